"""What the chain says: members, data sets, jobs, seats and anchors, as plain values.

Agents read them through the `Chain` port; auditors check them against the transcript.
"""

from __future__ import annotations

from dataclasses import dataclass

from caduceus.kinds import Address, Digest, JobId, Readiness, Role, Seat, Stage, Tokens

NOBODY = Address(bytes(20))
"""The account of nobody: forfeited stakes are credited to it, and a job that names it as attester names none."""

NO_ENTITY = Digest(bytes(32))
"""The legal entity of a seat in a job that asks for none."""


@dataclass(frozen=True, slots=True)
class Member:
    """A registered party."""

    account: Address
    roles: Role
    signer: Address
    """Address of the key that signs protocol messages; apart from the account that holds money."""
    agreement_key: bytes
    """SHA-256 of the ML-DSA-65 key that vouches for the keys that others seal secrets to, 32 bytes."""


@dataclass(frozen=True, slots=True)
class DatasetEntry:
    """A data set as the chain knows it: commitments and digests, nothing made from a patient."""

    id: Digest
    steward: Address
    commitment: Digest
    """Digest over the trees of salted record commitments and of patients' tags; see `data.membership`."""
    card: Digest
    terms: Digest
    budget_micro: int
    """Lifetime privacy budget in millionths of epsilon; 0 means that none was set."""
    delta_pico: int
    """The same in millionths of a millionth of delta; 0 exactly where `budget_micro` is."""
    active: bool
    epsilon_spent_micro: int
    """What jobs have spent of the budget, or have reserved and not given back."""
    delta_spent_pico: int
    previous: Digest | None = None
    """The version that it supersedes, whose budget it has; None for a first one."""
    readiness: Readiness = Readiness.UNSTATED
    """The newest verdict that its steward stated."""
    report: Digest | None = None
    """Digest of the report on which the verdict stands; None exactly where the verdict is UNSTATED."""


@dataclass(frozen=True, slots=True)
class BudgetMove:
    """What a job did to a data set's privacy budget."""

    job: JobId
    epsilon_micro: int
    delta_pico: int
    released: bool
    """True for what the job gave back when it was over, False for what it reserved at enrolment."""


@dataclass(frozen=True, slots=True)
class JobTerms:
    """What a buyer opens a job with. Durations are seconds, amounts are smallest token units."""

    token: Address
    price: Tokens
    coordinator: Address
    stake: Tokens
    bond: Tokens
    min_sites: int
    max_sites: int
    max_rounds: int
    enrol_for: int
    train_for: int
    challenge_for: int
    epsilon_micro: int
    """What a whole run spends of each site's privacy budget, in millionths of epsilon; 0 if the sums are exact, and
    then the next three are 0 too."""
    delta_pico: int
    """The same in millionths of a millionth of delta."""
    sums: int
    """How many sums a whole run opens."""
    costs: Digest
    """Merkle root of what has been spent by number of sums (see `market.costs`)."""
    spec: Digest
    """Digest of the job specification's canonical bytes."""
    attester: Address = NOBODY
    """In whose word each site must be a legal entity, one seat an entity; `NOBODY` asks for no such word."""
    readiness: Readiness = Readiness.UNSTATED
    """Least verdict that must have been stated of a data set when it enrols; UNSTATED asks for none."""


@dataclass(frozen=True, slots=True)
class JobEntry:
    """A job as it stands on the chain."""

    id: JobId
    buyer: Address
    coordinator: Address
    coordinator_signer: Address
    token: Address
    price: Tokens
    stake: Tokens
    bond: Tokens
    min_sites: int
    max_sites: int
    max_rounds: int
    stage: Stage
    deadline: int
    """Unix seconds at which the present stage ends."""
    sites: int
    head: Digest
    rounds: int
    claims: Digest
    payout: Tokens
    epsilon_micro: int
    """What enrolling reserves of a site's privacy budget; 0 if the job opens exact sums."""
    delta_pico: int
    sums: int
    costs: Digest
    spec: Digest
    attester: Address = NOBODY
    forfeits: int = 0
    """How many of the stakes that the contract still held the settlement forfeits."""
    readiness: Readiness = Readiness.UNSTATED
    """Least verdict that must have been stated of a data set when it enrols."""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A site's seat in a job; all but the seat is as it was when the site enrolled."""

    seat: Seat
    site: Address
    dataset: Digest
    signer: Address
    agreement_key: bytes
    entity: Digest = NO_ENTITY
    readiness: Readiness = Readiness.UNSTATED
    """The verdict that was stated of the data set then."""


@dataclass(frozen=True, slots=True)
class Equivocated:
    """A seat that was shown to the contract to have signed two uploads for one round."""

    seat: Seat
    round: int


@dataclass(frozen=True, slots=True)
class Anchor:
    """One round as the chain recorded it."""

    round: int
    root: Digest
    """Merkle root over the seats' upload leaves."""
    model: Digest
    """Digest of the state after the round."""
    record: Digest
    """Digest of the round's record: the list of blobs from which the round can be replayed."""


@dataclass(frozen=True, slots=True)
class Omission:
    """A site's open complaint that a round leaves out an upload for which it holds a receipt."""

    seat: Seat
    round: int
    leaf: Digest
    """The leaf that the coordinator's receipt promised."""
    deadline: int
    """Unix seconds until which the coordinator's answer is accepted."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A payment that was pulled: amount beyond stake or bond, and what was returned with it."""

    account: Address
    amount: Tokens
    returned: Tokens
