"""A chain whose node may be away: facts that cannot change, or that only grow older, are answered from memory.

Training needs the chain between its beginning and its settlement for little: who sits where, which keys they have,
what was agreed. With the node stopped, a site and a coordinator that have seen these facts go on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar, final

from caduceus.errors import Unavailable
from caduceus.kinds import Address, Digest, JobId, Seat, Stage, Tokens
from caduceus.ports import (
    Anchor,
    BudgetMove,
    Chain,
    Claimed,
    DatasetEntry,
    Enrolment,
    Equivocated,
    JobEntry,
    Member,
    Omission,
    Standing,
)

T = TypeVar("T")

OnRemembered = Callable[[str, Unavailable], None]
"""Told which question was answered from memory, and why."""


@final
class RememberingChain:
    """A chain that answers from its last good answer while its node does not.

    chain          asked first, every time
    on_remembered  told each time that memory answered; such as a line in the log

    Answered from memory, once it was answered by the node:

    domain       cannot change.
    beacon       of a started job: a block's hash. Cannot change but by a reorganisation of the chain, which a node
                 that is away would not tell either.
    enrolments   of a started job: the roster is closed, so they cannot change. Before the start they are not
                 remembered: a roster that lacks the last sites must not look closed.
    job          as last seen. Terms, parties, costs and the specification's digest cannot change. Stage, deadline,
                 head, rounds, claims and payout may be stale: the job may have ended meanwhile (expired, rejected), and
                 then more rounds are work that nobody pays. They cost no privacy beyond what the job reserved: the
                 contract took the whole run's budget from the data set when the site enrolled, nothing gives it back
                 but the site's own release, after the job, and a site that trains counts its own spending in its own
                 journal. A job that has not started when last seen is not remembered: to start, one must look.
    member       as last seen. May have changed keys, or resigned. Messages of a job are checked against the keys in
                 its enrolments, which cannot change; a key that was replaced because it was lost is still taken for
                 the member's where somebody asks for the member itself, until the node is back.
    dataset      as last seen. May have been withdrawn or superseded, or its readiness stated anew, which ends no job
                 that it is in; what is spent of its budget may be more, by jobs that it or another version was enrolled
                 in elsewhere. A site enrols only by a transaction, for which the node must be there, and the contract
                 itself refuses what exceeds the budget and what is not ready enough. So a stale answer can spend
                 nothing.

    All else raises Unavailable as before, for a stale answer would be acted on: the time (deadlines), money (balance,
    credit, claims), lists that are chosen from (jobs, datasets), what is left of a budget (budget_moves), what was
    recorded and must not be recorded twice (anchors, recorded), accusations that must be answered in time or that cost
    a stake (omissions, slashed, equivocations), and whom somebody vouches for now (entity_of, standing, status_root).

    Whoever anchors rounds asks the chain itself and not its memory: with a stale count of rounds it would send again
    what the chain has. Nothing is remembered across a restart of the process, nor is that something is not there.
    """

    def __init__(self, chain: Chain, *, on_remembered: OnRemembered | None = None) -> None:
        self._chain = chain
        self._on_remembered = on_remembered
        self._domain = chain.domain
        self._lock = threading.Lock()
        self._memory: dict[tuple[str, bytes], object] = {}

    @property
    def domain(self) -> bytes:
        """EIP-712 domain separator of the Jobs contract, 32 bytes."""
        return self._domain

    # ------------------------------------------------------------ from memory while the node is away

    def member(self, account: Address) -> Member | None:
        """The member at `account`, as last seen, or None."""
        return self._ask("member", account, lambda: self._chain.member(account), _is_there)

    def dataset(self, dataset: Digest) -> DatasetEntry | None:
        """A data set, as last seen, or None."""
        return self._ask("dataset", dataset, lambda: self._chain.dataset(dataset), _is_there)

    def job(self, job: JobId) -> JobEntry | None:
        """A started job, as last seen, or None."""
        return self._ask("job", job, lambda: self._chain.job(job), _is_started)

    def enrolments(self, job: JobId) -> Sequence[Enrolment]:
        """The job's seats, in their order; from memory only if it has started."""

        def is_closed(found: Sequence[Enrolment]) -> bool:
            return self._seats(job) == len(found)

        return self._ask("enrolments", job, lambda: self._chain.enrolments(job), is_closed)

    def beacon(self, job: JobId) -> Digest:
        """The hash of the block in which the enrolment closed."""
        return self._ask("beacon", job, lambda: self._chain.beacon(job), lambda _: True)

    def _seats(self, job: JobId) -> int | None:
        """How many seats a started job has; None if it is not known to have started."""
        with self._lock:
            entry = self._memory.get(("job", job))
        if not isinstance(entry, JobEntry):
            try:
                entry = self.job(job)
            except Unavailable:
                return None
        return entry.sites if entry is not None and _is_started(entry) else None

    def _ask(self, what: str, of: bytes, ask: Callable[[], T], is_kept: Callable[[T], bool]) -> T:
        try:
            answer = ask()
        except Unavailable as problem:
            with self._lock:
                if (what, of) not in self._memory:
                    raise
                kept: T = self._memory[what, of]  # type: ignore[assignment]  # kept below, under the same name
            if self._on_remembered is not None:
                self._on_remembered(f"{what} 0x{of.hex()}", problem)
            return kept
        if is_kept(answer):
            with self._lock:
                self._memory[what, of] = answer
        return answer

    # ------------------------------------------------------------ never from memory

    def now(self) -> int:
        """Timestamp of the newest block, Unix seconds."""
        return self._chain.now()

    def datasets(self) -> Sequence[DatasetEntry]:
        """Every data set ever registered, in order of registration, as it stands now."""
        return self._chain.datasets()

    def budget_moves(self, dataset: Digest) -> Sequence[BudgetMove]:
        """What jobs reserved of a data set's privacy budget and gave back, in order."""
        return self._chain.budget_moves(dataset)

    def jobs(self) -> Sequence[JobId]:
        """Every job ever opened, oldest first."""
        return self._chain.jobs()

    def anchors(self, job: JobId) -> Sequence[Anchor]:
        """The job's rounds, in their order."""
        return self._chain.anchors(job)

    def omissions(self, job: JobId) -> Sequence[Omission]:
        """The challenges that wait for an answer, in the order of seats."""
        return self._chain.omissions(job)

    def claims(self, job: JobId) -> Sequence[Claimed]:
        """What was pulled from the job, in order."""
        return self._chain.claims(job)

    def slashed(self, job: JobId) -> Sequence[Seat]:
        """The seats whose stake the settlement forfeits, in rising order."""
        return self._chain.slashed(job)

    def equivocations(self, job: JobId) -> Sequence[Equivocated]:
        """The seats that were shown to have signed two uploads for one round, in the order of showing."""
        return self._chain.equivocations(job)

    def recorded(self, job: JobId) -> Sequence[Seat]:
        """The seats of which the job was entered in the site's standing, in the order of entering."""
        return self._chain.recorded(job)

    def entity_of(self, attester: Address, account: Address) -> Digest | None:
        """The legal entity that an account is in an attester's word, or None."""
        return self._chain.entity_of(attester, account)

    def status_root(self, issuer: Address) -> Digest | None:
        """The digest of an issuer's newest status list, now, or None."""
        return self._chain.status_root(issuer)

    def standing(self, token: int) -> Standing:
        """What is known of a party, as of the day on which it was last written."""
        return self._chain.standing(token)

    def balance(self, token: Address, account: Address) -> Tokens:
        """What an account holds of an ERC-20."""
        return self._chain.balance(token, account)

    def credit(self, token: Address, account: Address) -> Tokens:
        """What the Jobs contract owes an account beyond claims: refunds and forfeits."""
        return self._chain.credit(token, account)


def _is_there(answer: object) -> bool:
    return answer is not None


def _is_started(entry: JobEntry | None) -> bool:
    return entry is not None and entry.stage >= Stage.TRAINING
