"""A coordinator's daemon: takes on jobs that name it, runs their rounds, settles, and sees them to an end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import final

from caduceus.agents.coordinator import Coordinator
from caduceus.agents.dispute import answer
from caduceus.agents.duties import GRACE, Docket, Event, Happened, OnEvent, Pauses, end_if_overdue
from caduceus.agents.payment import settlement_of
from caduceus.errors import Refused
from caduceus.kinds import Address, JobId, Stage
from caduceus.learn.judged.program import JudgedProgram
from caduceus.learn.state import State
from caduceus.market.job import FINAL
from caduceus.market.specification import JobSpec, read_spec
from caduceus.market.terms import difference, terms_of
from caduceus.market.work import work_of
from caduceus.ports import Anchor, Hub, JobEntry, Sent, Store
from caduceus.protocol.round_record import RoundRecord, Shown, show

OnRecord = Callable[[JobId, RoundRecord, State], None]
"""Told of every round that is done, also of those that an earlier process did."""


@final
class CoordinatorDuties:
    """One coordinator, in all jobs that name it.

    Different jobs may be attended to by different threads at once, one job by one thread at a time.

    agreement  SHA-256 of the key that vouches for its others
    on_job     told of a job that is trained here, before its first round and whenever it is taken up again
    waits      part of the enrolment's time after which a job with enough sites begins, though more might come; 0 to 1
    """

    def __init__(
        self,
        coordinator: Coordinator,
        hub: Hub,
        *,
        agreement: bytes,
        on_event: OnEvent,
        on_job: Callable[[JobEntry], None] = lambda _entry: None,
        on_record: OnRecord = lambda _job, _record, _state: None,
        waits: float = 0.5,
    ) -> None:
        self._role, self._hub, self._agreement = coordinator, hub, agreement
        self._on_event, self._on_job, self._on_record = on_event, on_job, on_record
        self._waits = waits
        self._docket = Docket(coordinator.journal, "coordinator", coordinator.wallet.account)
        self._pauses = Pauses()
        self._money, self._joining = threading.Lock(), threading.Lock()
        self._declined: set[JobId] = set()
        self._given_up: set[JobId] = set()
        self._ready = False

    def prepare(self) -> None:
        """Be a member; once, however often it is called."""
        with self._joining:
            if not self._ready:
                self._role.join(self._agreement)
                self._ready = True
                self._on_event(Event(Happened.JOINED))

    def jobs(self) -> list[JobId]:
        """The jobs that this coordinator may still have to attend to.

        Raises as `prepare`.
        """
        self.prepare()
        return [job for job in self._docket.left(self._role.chain.jobs()) if job not in self._declined]

    def attend(self, job: JobId) -> None:
        """Do what is next to do about a job, if anything is.

        A job that is trained is one thing to do: this returns when its rounds are done and its settlement is on the
        chain, hours later perhaps. So whoever calls gives each job a thread; meanwhile the job's sites must be able to
        reach the hub.

        Raises Refused, Unavailable, Uncertain or PeerFault as its parts do; it may be called again. After a Refused it
        lets a few calls pass.
        """
        self.prepare()
        if self._pauses.holds(job):
            return
        try:
            self._attend(job)
        except Refused:
            self._pauses.wait(job)
            raise

    def _attend(self, job: JobId) -> None:
        role = self._role
        entry = role.chain.job(job)
        if entry is None or not self._docket.is_own(job, entry.coordinator):
            return
        if entry.stage in FINAL:
            self._end(entry)
        elif end_if_overdue(role.chain, role.wallet, entry, GRACE):
            self._on_event(Event(Happened.EXPIRED, job))
        elif entry.stage is Stage.FUNDED:
            self._accept(entry)
        elif entry.stage is Stage.ENROLLING:
            self._start(entry)
        elif entry.stage is Stage.TRAINING:
            self._train(entry)
        elif entry.stage is Stage.SETTLING:
            self._see_through(entry)

    def specification(self, entry: JobEntry) -> JobSpec:
        """What a job asks for; raises Refused if it is not to be had, or not what the chain says."""
        spec = read_spec(self._role.store.get(entry.spec))
        rounds = work_of(spec).max_rounds
        found = difference(terms_of(spec, rounds, token=entry.token, coordinator=entry.coordinator), entry)
        if found is not None:
            raise Refused(f"the specification and the chain name different values of {found}")
        return spec

    def _accept(self, entry: JobEntry) -> None:
        try:
            self.specification(entry)
        except Refused as problem:
            if not self._role.store.has(entry.spec):
                raise  # it may still come
            self._declined.add(entry.id)
            self._on_event(Event(Happened.DECLINED, entry.id, why=str(problem)))
            return
        role = self._role
        with self._money:  # else the allowance for one job's bond would replace another's before it is taken
            held = role.chain.balance(entry.token, role.wallet.account)
            if held < entry.bond:
                raise Refused(f"the job takes a bond of {entry.bond} and the account holds {held}; fund it first")
            role.accept(entry.id)
        self._pauses.forget(entry.id)
        self._on_event(Event(Happened.ACCEPTED, entry.id))

    def _start(self, entry: JobEntry) -> None:
        """Begin when every seat is taken, or when there are enough and part of the time has gone."""
        left = entry.deadline - self._role.chain.now()
        enough = (
            entry.sites >= entry.min_sites and left <= (1 - self._waits) * self.specification(entry).deadlines.enrol
        )
        if left >= 0 and (entry.sites == entry.max_sites or enough):
            self._role.start(entry.id)
            self._on_event(Event(Happened.STARTED, entry.id, why=f"{entry.sites} sites"))

    def _train(self, entry: JobEntry) -> None:
        if entry.id in self._given_up:
            return
        role, job, spec = self._role, entry.id, self.specification(entry)
        task = work_of(spec)
        self._on_job(entry)
        channel = self._hub.open(job, self._signers(entry, spec))
        try:
            state = role.train(
                job,
                spec,
                task,
                channel,
                on_round=lambda record, state, _session: self._tell(record, state),
                on_sent=lambda sent, anchors: self._sent(job, sent, anchors),
                on_vain=lambda problem: self._on_event(Event(Happened.FAULT, job, why=str(problem))),
            )
            if task.finished(state):
                role.settle(job, spec, channel)
                self._on_event(Event(Happened.SETTLED, job))
            else:
                self._given_up.add(job)
                self._on_event(Event(Happened.WAITING, job, why="too many rounds failed; the job ends by its deadline"))
        finally:
            self._hub.shut(job)

    def _signers(self, entry: JobEntry, spec: JobSpec) -> Mapping[Address, Address]:
        """Who may speak in a job, with the keys that they sign with."""
        signers = {one.site: one.signer for one in self._role.chain.enrolments(entry.id)}
        if spec.judging is not None and isinstance(work_of(spec), JudgedProgram):
            signers |= {one.account: one.signer for one in spec.judging.aggregators}
            signers |= {one.account: one.signer for one in spec.judging.evaluators}
        return signers

    def _tell(self, record: RoundRecord, state: State) -> None:
        self._on_record(record.job, record, state)
        self._on_event(Event(Happened.ROUND, record.job, record.round, record.failure))

    def _sent(self, job: JobId, sent: Sent, anchors: Sequence[Anchor]) -> None:
        self._on_event(Event(Happened.ANCHORED, job, anchors[-1].round, f"block {sent.block}"))

    def _see_through(self, entry: JobEntry) -> None:
        """Answer complaints, and complete the job once nobody can dispute it any more."""
        role, job = self._role, entry.id
        if waiting := role.chain.omissions(job):
            answer(job, role.chain, role.wallet, partial(_shown, job, role.store))
            if len(role.chain.omissions(job)) < len(waiting):
                self._on_event(Event(Happened.ANSWERED, job))
        elif role.chain.now() > entry.deadline:
            role.complete(job)
            self._on_event(Event(Happened.COMPLETED, job))

    def _end(self, entry: JobEntry) -> None:
        role = self._role
        settled = None
        if entry.stage is Stage.COMPLETED:
            spec, enrolments = self.specification(entry), tuple(role.chain.enrolments(entry.id))
            settled, _ = settlement_of(entry, spec, enrolments, role.chain, role.store)
        role.collect(entry.id, settled)
        if settled is not None:
            role.record_standing(entry.id, settled)
        self._docket.close(entry.id)
        self._on_event(Event(Happened.COLLECTED, entry.id, why=entry.stage.name.lower()))


def _shown(job: JobId, store: Store, anchor: Anchor) -> Shown:
    """An anchored round as the public transcript shows it."""
    return show(anchor, job, store.get)
