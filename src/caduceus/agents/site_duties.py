"""A site's daemon: judges jobs by its terms, enrols, answers in rounds, complains, and pulls what is its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import final

from caduceus.agents.dispute import complain
from caduceus.agents.duties import GRACE, Docket, Event, Happened, OnEvent, Pauses, end_if_overdue, see_out
from caduceus.agents.payment import settlement_of
from caduceus.agents.seat import close
from caduceus.agents.steward import Steward
from caduceus.agents.under_terms import UnderTerms, turns_by_itself
from caduceus.errors import Refused, Unavailable
from caduceus.kinds import Address, Digest, JobId, Seat, Stage
from caduceus.market.job import FINAL
from caduceus.market.specification import JobSpec
from caduceus.market.terms import costs_of, terms_of
from caduceus.market.work import work_of
from caduceus.ports import Anchor, Chain, Enrolment, JobEntry, Journal, Reactor, Spoke, Store, Wallet
from caduceus.protocol.round_record import Shown, show

Seating = Callable[[JobEntry, Seat, JobSpec], Reactor]
"""Builds a site's part in a job that is trained now."""

Objections = Callable[[JobSpec], Sequence[str]]
"""What a site has against a job besides its terms; nothing if nothing."""


@final
class SiteDuties:
    """One site, in all jobs of one coordinator.

    coordinator  account of the coordinator whose hub the spoke connects to
    signer       address of the key that signs the site's messages
    agreement    SHA-256 of the key that vouches for its others
    """

    def __init__(
        self,
        steward: Steward,
        spoke: Spoke,
        journal: Journal,
        *,
        coordinator: Address,
        signer: Address,
        agreement: bytes,
        seating: Seating,
        objections: Objections,
        on_event: OnEvent,
    ) -> None:
        self._steward, self._spoke, self._journal = steward, spoke, journal
        self._coordinator, self._signer, self._agreement = coordinator, signer, agreement
        self._seating, self._objections, self._on_event = seating, objections, on_event
        self._docket = Docket(journal, "coordinator", coordinator)
        self._pauses = Pauses()
        self._serving: dict[JobId, tuple[Digest, tuple[Enrolment, ...]]] = {}
        self._checked: set[JobId] = set()
        self._declined: dict[JobId, tuple[str, ...]] = {}
        self._ready = False

    @property
    def _chain(self) -> Chain:
        return self._steward.chain

    @property
    def _wallet(self) -> Wallet:
        return self._steward.wallet

    @property
    def _store(self) -> Store:
        return self._steward.store

    def prepare(self) -> None:
        """Be a member and have the data set registered; once, however often it is called."""
        if not self._ready:
            self._steward.join(self._signer, self._agreement)
            self._steward.publish()
            self._ready = True
            self._on_event(Event(Happened.PUBLISHED))

    def jobs(self) -> list[JobId]:
        """The jobs that this site may still have to attend to.

        Raises as `prepare`.
        """
        self.prepare()
        return self._docket.left(self._chain.jobs())

    def attend(self, job: JobId) -> None:
        """Do what is next to do about a job, if anything is.

        Raises Refused, Unavailable, Uncertain or PeerFault as its parts do; it may be called again.
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
        entry = self._chain.job(job)
        if entry is None or not self._docket.is_own(job, entry.coordinator) or entry.stage < Stage.ENROLLING:
            return
        if entry.stage is Stage.ENROLLING and self._chain.now() <= entry.deadline:
            self._enrol(entry)
            return
        seat = next((one.seat for one in self._chain.enrolments(job) if one.site == self._wallet.account), None)
        if seat is None:
            self._docket.close(job)
            return
        if end_if_overdue(self._chain, self._wallet, entry, GRACE):
            self._on_event(Event(Happened.EXPIRED, job))
            return
        if entry.stage is Stage.TRAINING:
            self._serve(entry, seat)
        elif entry.stage is Stage.SETTLING:
            self._leave(job)
            self._watch(entry)
        elif entry.stage in FINAL:
            self._leave(job)
            self._collect(entry)

    def _enrol(self, entry: JobEntry) -> None:
        if self._steward.is_seated(entry.id):
            return
        spec = self._steward.specification(entry)
        # In this order: whoever objects may look at the records, and does so for jobs that the terms allow only.
        reasons = self._steward.consider(entry).reasons or tuple(self._objections(spec))
        if reasons:
            self._decline(entry.id, reasons)
            self._pauses.wait_long(entry.id)  # budgets come back, and stewards change their minds
            return
        if entry.sites >= entry.max_sites:
            return
        if self._journal.get(_begun(entry.id)) is None:
            self._journal.put_all({_begun(entry.id): self._chain.now().to_bytes(8)}, at_once=False)
        self._journal.put_once(_agreed(entry.id), entry.spec)
        self._steward.enrol(entry.id, self._steward.publish())
        self._pauses.forget(entry.id)
        self._declined.pop(entry.id, None)
        self._on_event(Event(Happened.ENROLLED, entry.id))

    def _decline(self, job: JobId, reasons: tuple[str, ...]) -> None:
        """Tell the coordinator and the operator why; again only if the reasons are others."""
        if self._declined.get(job) != reasons:
            self._declined[job] = reasons
            self._spoke.decline(job, reasons)
            self._on_event(Event(Happened.DECLINED, job, why="; ".join(reasons)))

    def _serve(self, entry: JobEntry, seat: Seat) -> None:
        # A reorganisation may give the job another beginning and the sites other seats: then this site sits down anew.
        stands_on = self._chain.beacon(entry.id), tuple(self._chain.enrolments(entry.id))
        if self._serving.get(entry.id) == stands_on:
            return
        self._leave(entry.id)
        spec = self._steward.specification(entry)
        # Its chain's node could show a site a seat that it never took, in a job that its terms never allowed.
        strange = () if self._journal.get(_agreed(entry.id)) == entry.spec else ("this site did not agree to this job",)
        if reasons := strange or tuple(self._objections(spec)):  # such as another program than when the site enrolled
            self._decline(entry.id, reasons)
            self._pauses.wait_long(entry.id)
            return
        self._spoke.serve(
            entry.id, entry.coordinator_signer, self._under_terms(entry, self._seating(entry, seat, spec))
        )
        self._serving[entry.id] = stands_on
        self._on_event(Event(Happened.SERVING, entry.id, why=f"seat {seat}"))

    def _under_terms(self, entry: JobEntry, reactor: Reactor) -> Reactor:
        """The site's part behind the check that its terms still allow the job, made again before anything leaves."""
        kept = self._journal.get(_begun(entry.id))
        return UnderTerms(
            reactor,
            judge=lambda: self._steward.still_allows(entry, None if kept is None else int.from_bytes(kept)),
            now=self._chain.now,
            turns=lambda verdict: turns_by_itself(self._steward.terms, verdict),
            refused=lambda reasons: self._on_event(Event(Happened.DECLINED, entry.id, why="; ".join(reasons))),
        )

    def _leave(self, job: JobId) -> None:
        if job in self._serving:
            del self._serving[job]
            self._spoke.leave(job)

    def _watch(self, entry: JobEntry) -> None:
        """Complain about an upload that was left out; else see that the job comes to its end."""
        job = entry.id
        if job not in self._checked:
            challenge = self._steward.specification(entry).deadlines.challenge
            shown_of = partial(_shown, entry, challenge, self._chain, self._store)
            round_ = complain(job, self._chain, self._wallet, self._journal, shown_of)
            self._checked.add(job)
            if round_ is not None:
                self._on_event(Event(Happened.COMPLAINED, job, round_, "a round leaves out an upload of this site"))
                return
        ended = see_out(self._chain, self._wallet, entry, GRACE)
        if ended is not None:
            self._on_event(Event(ended, job))

    def _collect(self, entry: JobEntry) -> None:
        spec = self._steward.specification(entry)
        settled = None
        if entry.stage is Stage.COMPLETED:
            enrolments = tuple(self._chain.enrolments(entry.id))
            settled, _ = settlement_of(entry, spec, enrolments, self._chain, self._store)
        self._steward.collect(entry.id, settled)
        if (costs := costs_of(spec)) is not None:
            rounds = work_of(spec).max_rounds
            terms = terms_of(spec, rounds, token=entry.token, coordinator=entry.coordinator)
            self._steward.settle_budget(entry.id, terms, costs, close(self._journal, entry.id))
        self._docket.close(entry.id)
        earned = 0 if settled is None else settled.amounts[settled.accounts.index(self._wallet.account)]
        self._on_event(Event(Happened.COLLECTED, entry.id, why=entry.stage.name.lower(), tokens=int(earned)))


def _agreed(job: JobId) -> str:
    """Where a site's journal has the specification that its terms allowed."""
    return f"{job.hex()}/agreed"


def _begun(job: JobId) -> str:
    """Where a site's journal has the time at which it agreed to a job."""
    return f"{job.hex()}/begun"


def _shown(entry: JobEntry, challenge: int, chain: Chain, store: Store, anchor: Anchor) -> Shown:
    """An anchored round as the public transcript shows it.

    A coordinator that does not answer is waited for half of the time in which one can complain. From then on, what it
    does not show counts as missing: else a coordinator that left an upload out would only have to keep silent.
    """
    try:
        return show(anchor, entry.id, store.get)
    except Unavailable:
        if chain.now() < entry.deadline - challenge // 2:
            raise
        return Shown(None, None)
