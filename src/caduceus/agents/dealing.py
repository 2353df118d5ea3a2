"""A party that gives rows to judged rounds, as a site or as an evaluator: it computes, shares out, sends once.

A reactor: one message in, what to answer out. Before anything leaves, what it decides is in the journal: one session
and one upload per round. A coordinator that calls again to the same round, with another state in mind, is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import final

from caduceus import canon
from caduceus.agents.consent import Consent, receipt_key
from caduceus.agents.standing import Secrets
from caduceus.errors import PeerFault, Refused
from caduceus.kinds import Digest, JobId, Seat, Stage
from caduceus.learn.judged.opened import Given
from caduceus.learn.judged.program import JudgedProgram
from caduceus.learn.state import State
from caduceus.market.specification import JobSpec
from caduceus.ports import Chain, Journal, Store
from caduceus.protocol.envelope import kind_of, read_signed
from caduceus.protocol.gram_audit import GramAgain
from caduceus.protocol.gram_dealer import GramDealer
from caduceus.protocol.gram_for import ground_of, in_ring, plan_for
from caduceus.protocol.gram_session import GramGround
from caduceus.protocol.job_messages import Call, Offer
from caduceus.protocol.round_record import RoundRecord
from caduceus.protocol.secagg_reading import COORDINATOR

Give = Callable[[State], Given]
"""What the party gives to the round that starts from a state."""

_CALL, _OFFER = canon.tag_of(Call), canon.tag_of(Offer)


@dataclass(frozen=True, slots=True)
class Stand:
    """What every party of a judged job stands on.

    ground  of all its rounds
    """

    job: JobId
    chain: Chain
    spec: JobSpec
    task: JudgedProgram
    ground: GramGround
    found: set[Digest] = field(default_factory=set)
    """Heads of the chain whose rounds were done again and are in order; parties of one process share it."""

    def do_again(self, records: Sequence[RoundRecord], store: Store) -> None:
        """Do all anchored rounds again, once for what is anchored.

        Raises PeerFault or Refused for the first thing that is not as the records say.
        """
        entry, anchors = self.chain.job(self.job), self.chain.anchors(self.job)
        if entry is None or entry.head in self.found:
            return
        if len(records) != len(anchors):
            raise Refused("rounds were anchored meanwhile; the settlement is not signed")
        again = GramAgain(self.ground, self.task, store.get, lambda _text: None, self.task.opening())
        again.begin(records)
        again.read_rounds(records, anchors)
        if again.sum_problem is not None:
            raise again.sum_problem
        if not self.task.finished(again.state):
            raise PeerFault(COORDINATOR, "settles a job that is not done, and would be paid for all of it")
        self.found.add(entry.head)

    def call(self, body: bytes) -> tuple[Call, State]:
        """A call to a round, and the state that it starts from.

        Raises PeerFault if it is not the coordinator's, Refused if the state is none of this job's, or the job is over.
        """
        ground = self.ground
        call = read_signed(Call, body, signer=ground.coordinator, domain=ground.domain, who=COORDINATOR)
        if call.job != self.job or call.ready != ground.digest:
            raise PeerFault(COORDINATOR, "called to a round of another job, or of other parties", evidence=body)
        if not 0 <= call.round < self.task.max_rounds + self.spec.spare_rounds:  # every round opens more products
            raise PeerFault(COORDINATOR, "called to a round that the job does not have", evidence=body)
        entry = self.chain.job(self.job)
        if entry is None or entry.stage is not Stage.TRAINING:
            raise Refused("the job is not in training; nothing is given to it")
        state = canon.unpack(State, call.state)
        self.task.check(state)
        if self.task.finished(state):
            raise PeerFault(COORDINATOR, "called to a round of a job that is done", evidence=body)
        return call, state


def stand_on(job: JobId, chain: Chain, spec: JobSpec, task: JudgedProgram) -> Stand:
    """Read from the chain what a judged job stands on.

    Raises Refused if the job is not one that is trained or settled now.
    """
    entry = chain.job(job)
    if entry is None or entry.stage not in (Stage.TRAINING, Stage.SETTLING):
        raise Refused("the job is not in training; nobody reacts to it")
    ground = ground_of(job, chain.domain, entry.coordinator_signer, chain.enrolments(job), spec)
    return Stand(job, chain, spec, task, ground)


@final
class Dealer:
    """The part that sites and evaluators have in common.

    number   the party's
    give     computes its rows; they stay in there
    journal  its own memory
    """

    def __init__(self, stand: Stand, number: int, give: Give, *, journal: Journal, secrets: Secrets) -> None:
        self._stand, self._number, self._give = stand, number, give
        self._journal, self._secrets = journal, secrets
        self._dealer: GramDealer | None = None

    def react(self, body: bytes) -> list[bytes]:
        """Answer a call with an upload, and keep a receipt.

        Raises PeerFault if the coordinator broke the protocol, Refused if the party may not answer.
        """
        if kind_of(body) == _CALL:
            return [self._upload(body)]
        if self._dealer is None:
            # Nobody's fault: this process may have started since it was called, or could not answer the call.
            raise Refused("this party has no call to the round at hand; it waits for the next one")
        replies = self._dealer.react(body)
        if self._dealer.receipt is not None:
            key = receipt_key(self._stand.job, self._dealer.round)
            self._journal.put_all({key: canon.pack(self._dealer.receipt)}, at_once=False)
        return replies

    def _upload(self, body: bytes) -> bytes:
        call, state = self._stand.call(body)
        plan = plan_for(call.round, self._stand.ground, self._stand.task, state)
        if self._number not in plan.dealers:
            raise PeerFault(COORDINATOR, "called an evaluator to a round in which none is asked", evidence=body)
        dealer = GramDealer(
            plan,
            self._number,
            signer=self._secrets.signer,
            entropy=self._secrets.entropy,
            remember=lambda what, value: self._remember(call.round, what, value, plan.session.state),
            kept=self._journal.get(self._key(call.round, "upload")) or b"",
        )
        given = self._give(state)
        message = dealer.upload(in_ring(given.rows, plan.session.scale), given.report)
        self._dealer = dealer
        return message

    def _remember(self, round: int, what: str, value: bytes, state: bytes) -> None:
        """Write a decision down before it is acted on; the upload must outlast a power cut."""
        if what == "session":
            # A session names its state by digest only; the settlement's check asks which one it was.
            self._journal.put_all({self._key(round, what): value + state}, at_once=False)
        else:
            self._journal.put_once(self._key(round, what), value)

    def _key(self, round: int, what: str) -> str:
        return f"{self._stand.job.hex()}/round/{round:05}/{what}"


@final
class JudgedSite:
    """Implements `ports.Reactor` for one site of a job whose updates are judged: it deals, and it signs what it checks.

    give  computes the site's rows from a state
    """

    def __init__(
        self, stand: Stand, seat: Seat, give: Give, *, store: Store, journal: Journal, secrets: Secrets
    ) -> None:
        self._stand = stand
        self._dealer = Dealer(stand, seat, give, journal=journal, secrets=secrets)
        entry = stand.chain.job(stand.job)
        assert entry is not None  # `stand_on` has seen it
        self._store = store
        self._consent = Consent(
            entry,
            seat,
            stand.chain,
            store,
            journal,
            secrets.signer,
            stand.spec,
            tuple(stand.chain.enrolments(stand.job)),
            self._do_again,
        )

    def react(self, body: bytes) -> Sequence[bytes]:
        """Answer one message of the coordinator.

        Raises PeerFault if the coordinator broke the protocol, Refused if the site may not answer.
        """
        if kind_of(body) != _OFFER:
            return self._dealer.react(body)
        ground = self._stand.ground
        offer = read_signed(Offer, body, signer=ground.coordinator, domain=ground.domain, who=COORDINATOR)
        if offer.job != self._stand.job:
            raise PeerFault(COORDINATOR, "sent a message about another job", evidence=body)
        return [self._consent.sign()]

    def _do_again(self, records: Sequence[RoundRecord]) -> None:
        """Do all rounds again from what is public, as an auditor does: pay, standing and stakes follow from them."""
        self._stand.do_again(records, self._store)
