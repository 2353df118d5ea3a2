"""What the agents need from the outside world, as protocols.

Each port is implemented in `edges` and handed in by `wiring`; nothing here does I/O. An agent written
against these runs unchanged on an embedded chain or a public one, in one process or between hospitals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from caduceus.kinds import Address, Digest, JobId, Readiness, Role, Seat, Tokens
from caduceus.market.costs import Cost as Cost
from caduceus.market.ledger import Anchor as Anchor
from caduceus.market.ledger import BudgetMove as BudgetMove
from caduceus.market.ledger import Claimed as Claimed
from caduceus.market.ledger import DatasetEntry as DatasetEntry
from caduceus.market.ledger import Enrolment as Enrolment
from caduceus.market.ledger import Equivocated as Equivocated
from caduceus.market.ledger import JobEntry as JobEntry
from caduceus.market.ledger import JobTerms as JobTerms
from caduceus.market.ledger import Member as Member
from caduceus.market.ledger import Omission as Omission
from caduceus.market.slashing import Equivocation as Equivocation
from caduceus.market.standing import Showing as Showing
from caduceus.market.standing import Standing as Standing

# ---------------------------------------------------------------- the chain


@dataclass(frozen=True, slots=True)
class Sent:
    """A transaction that the chain has included."""

    transaction: bytes
    block: int
    gas: int
    what: str
    """The contract function, such as "Jobs.anchor"; for the report's gas table."""


class Chain(Protocol):
    """Reading. Every method raises Unavailable if the node does not answer."""

    @property
    def domain(self) -> bytes:
        """EIP-712 domain separator of the Jobs contract, 32 bytes."""

    def now(self) -> int:
        """Timestamp of the newest block, Unix seconds: the only clock that deadlines know."""

    def member(self, account: Address) -> Member | None: ...

    def dataset(self, dataset: Digest) -> DatasetEntry | None: ...

    def datasets(self) -> Sequence[DatasetEntry]:
        """Every data set ever registered, in order of registration, as it stands now."""

    def budget_moves(self, dataset: Digest) -> Sequence[BudgetMove]:
        """Everything that jobs reserved of a data set's privacy budget and gave back, in order; none without a budget.

        The budget is one with that of the steward's other data sets of the same records, and of their versions.
        """

    def job(self, job: JobId) -> JobEntry | None: ...

    def jobs(self) -> Sequence[JobId]:
        """Every job ever opened, oldest first."""

    def enrolments(self, job: JobId) -> Sequence[Enrolment]:
        """In the order of seats."""

    def beacon(self, job: JobId) -> Digest:
        """The hash of the block in which the enrolment closed: nobody knew it while sites enrolled.

        Raises Refused if the job has not started.
        """

    def anchors(self, job: JobId) -> Sequence[Anchor]:
        """In the order of rounds."""

    def omissions(self, job: JobId) -> Sequence[Omission]:
        """The challenges that wait for an answer, in the order of seats."""

    def claims(self, job: JobId) -> Sequence[Claimed]: ...

    def slashed(self, job: JobId) -> Sequence[Seat]:
        """The seats whose stake the settlement forfeits, in rising order; none before there is one."""

    def equivocations(self, job: JobId) -> Sequence[Equivocated]:
        """The seats that were shown to have signed two uploads for one round, in the order of showing."""

    def recorded(self, job: JobId) -> Sequence[Seat]:
        """The seats of which the job was entered in the site's standing, in the order of entering."""

    def entity_of(self, attester: Address, account: Address) -> Digest | None:
        """The legal entity that an account is in an attester's word, now."""

    def status_root(self, issuer: Address) -> Digest | None:
        """The digest of an issuer's newest status list of credentials, now; None if it published none."""

    def standing(self, token: int) -> Standing:
        """What is known of a party, as of the day on which it was last written.

        token  see `market.standing`
        """

    def balance(self, token: Address, account: Address) -> Tokens: ...

    def credit(self, token: Address, account: Address) -> Tokens:
        """What the Jobs contract owes an account beyond claims: refunds and forfeits."""


class Wallet(Protocol):
    """Acting as one account. Each call returns once the chain has included the transaction.

    Every method raises Refused with the contract's reason if the contract reverts, Unavailable if
    nothing was sent, and Uncertain if a transaction was sent and its fate is unknown.
    """

    @property
    def account(self) -> Address: ...

    def register_member(self, roles: Role, signer: Address, agreement_key: bytes, profile: Digest) -> Sent: ...

    def register_dataset(
        self, commitment: Digest, card: Digest, terms: Digest, budget_micro: int, delta_pico: int
    ) -> Sent:
        """Offer a data set with a lifetime privacy budget; both 0 set none."""

    def dataset_id(self, commitment: Digest, card: Digest, terms: Digest, budget_micro: int, delta_pico: int) -> Digest:
        """The identifier that `register_dataset` by this account gives."""

    def supersede_dataset(self, previous: Digest, commitment: Digest, card: Digest, terms: Digest) -> Sent:
        """Offer a newer version of a data set of this account's; once for each version.

        It has the previous version's privacy budget, with what was spent of it, and no verdict on its readiness. The
        previous version is withdrawn; jobs that it sits in go on.
        """

    def superseding_id(
        self, previous: Digest, commitment: Digest, card: Digest, terms: Digest, budget_micro: int, delta_pico: int
    ) -> Digest:
        """The identifier that `supersede_dataset` by this account gives.

        budget_micro, delta_pico  the previous version's budget, which is this one's too
        """

    def state_readiness(self, dataset: Digest, report: Digest, verdict: Readiness) -> Sent:
        """State whether a data set of this account's is ready to be lent; the newest verdict counts.

        report  digest of what the verdict stands on
        """

    def publish_status(self, root: Digest) -> Sent:
        """Say, as an issuer of credentials, which status list counts from now on: the one of this digest."""

    def withdraw_dataset(self, dataset: Digest) -> Sent: ...

    def vouch(self, account: Address, entity: Digest) -> Sent:
        """Say, as an attester, which legal entity an account is."""

    def revoke_vouch(self, account: Address) -> Sent:
        """Take that back; seats taken earlier stay."""

    def burn_standing(self, entity: Digest) -> Sent:
        """Revoke the standing that an entity has in this attester's word: the good is forgotten, the bad is not."""

    def transfer(self, token: Address, to: Address, amount: Tokens) -> Sent: ...

    def approve(self, token: Address, amount: Tokens) -> Sent:
        """Allow the Jobs contract to take `amount` of `token` from this account."""

    def open_job(self, terms: JobTerms) -> Sent:
        """Open and fund in one transaction."""

    def job_id(self, terms: JobTerms) -> JobId:
        """The identifier that `open_job` by this account gives these terms."""

    def cancel(self, job: JobId) -> Sent: ...

    def accept(self, job: JobId) -> Sent: ...

    def enrol(self, job: JobId, dataset: Digest) -> Sent:
        """Take a seat with one's own data set, reserve its privacy budget for the whole run, put down the stake."""

    def start(self, job: JobId) -> Sent: ...

    def anchor(self, job: JobId, anchors: Sequence[Anchor]) -> Sent:
        """Record one round or several; the chain refuses any but the next rounds in order."""

    def settle(
        self,
        job: JobId,
        claims: Digest,
        payout: Tokens,
        signatures: Sequence[tuple[Seat, bytes]],
        slashed: Sequence[Seat] = (),
    ) -> Sent:
        """Propose how the price is shared, and which seats lose their stake, with a quorum's signatures on both."""

    def slash_equivocation(self, found: Equivocation) -> Sent:
        """Have a seat's stake forfeited that signed two uploads for one round; anyone, while the job holds it."""

    def record_standing(self, job: JobId, seat: Seat, entity: Digest, shown: Showing) -> Sent:
        """Enter in a site's standing what a completed job showed of it; anyone, once a seat.

        entity  for which the seat was taken, as in its enrolment
        """

    def challenge_omission(self, job: JobId, round: int, seat: Seat, leaf: Digest, receipt: bytes) -> Sent: ...

    def answer_omission(self, job: JobId, round: int, seat: Seat, leaf: Digest, siblings: Sequence[Digest]) -> Sent: ...

    def uphold_omission(self, job: JobId, seat: Seat) -> Sent: ...

    def dispute_leaf(
        self, job: JobId, round: int, seat: Seat, leaf_data: bytes, signature: bytes, siblings: Sequence[Digest]
    ) -> Sent: ...

    def complete(self, job: JobId) -> Sent: ...

    def expire(self, job: JobId) -> Sent: ...

    def claim(self, job: JobId, amount: Tokens, index: int, siblings: Sequence[Digest]) -> Sent:
        """Pull a reward together with this account's stake or bond; amount 0 needs no proof."""

    def release_budget(self, job: JobId, seat: Seat, terms: JobTerms, cost: Cost, siblings: Sequence[Digest]) -> Sent:
        """Give this account's data set back what a job that is over reserved beyond `cost`; once."""

    def withdraw(self, token: Address) -> Sent:
        """Pull whatever the Jobs contract owes this account beyond claims (refunds, forfeits)."""


# ---------------------------------------------------------------- messages, blobs, memory, time


@dataclass(frozen=True, slots=True)
class Envelope:
    """A message as it arrived: who the channel says sent it, and the bytes.

    An empty body says that the party has started again and may have lost what was sent to it before.
    """

    sender: Address
    body: bytes


class Channel(Protocol):
    """The coordinator's line to the sites of a job: carries bytes, understands nothing."""

    def send(self, site: Address, body: bytes) -> None:
        """Hand a message over for delivery; never waits for the site.

        Raises Unavailable if there is no way to the site.
        """

    def receive(self, *, timeout: float) -> Envelope | None:
        """The next message from any site, or None after `timeout` seconds."""


class Reactor(Protocol):
    """A site's end: reacts to one message at a time."""

    def react(self, body: bytes) -> Sequence[bytes]:
        """What to send back to the coordinator, possibly nothing."""


class Hub(Protocol):
    """The coordinator's end of the network between organisations: a line for each job."""

    def open(self, job: JobId, signers: Mapping[Address, Address]) -> Channel:
        """The line to a job's parties; whoever was connected stays so.

        signers  the address of the key that each party signs with, by account: nobody else is heard
        """

    def shut(self, job: JobId) -> None:
        """End a job's line; who writes to it afterwards is told that it is over."""


class Spoke(Protocol):
    """Any other party's end: it connects to the hub, and nobody to it."""

    def serve(self, job: JobId, coordinator: Address, reactor: Reactor) -> None:
        """Answer what the coordinator sends about a job, one message at a time.

        coordinator  the address of the key that it must sign with
        """

    def leave(self, job: JobId) -> None:
        """Answer no more; what comes afterwards is refused with that reason."""

    def decline(self, job: JobId, reasons: Sequence[str]) -> None:
        """Tell the coordinator that this party takes no part, and why; lost where there is no connection."""


class Store(Protocol):
    """Blobs by the SHA-256 of their bytes. Writing the same blob twice is the same as once."""

    def put(self, blob: bytes) -> Digest: ...

    def get(self, digest: Digest) -> bytes:
        """Raises Refused, naming the digest, if the blob is missing or is not what its name says."""

    def has(self, digest: Digest) -> bool: ...


class Journal(Protocol):
    """A role's durable memory, written before the role acts on what it says."""

    def get(self, key: str) -> bytes | None: ...

    def put_once(self, key: str, value: bytes) -> None:
        """Remember `value`, durably, before returning.

        Raises Refused if another value is already remembered under `key`.
        """

    def put_all(self, entries: Mapping[str, bytes], *, at_once: bool = True) -> None:
        """Remember several things or none of them, durably.

        at_once  before returning; without it they outlive a crash of this process, and a power cut once a
                 later entry has been made durable

        Raises Refused if another value is already remembered under one of the keys.
        """

    def keys(self, prefix: str) -> Sequence[str]:
        """The remembered keys that start with `prefix`, sorted."""


class Clock(Protocol):
    """Time for waiting. Deadlines that bind are the chain's."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back."""
