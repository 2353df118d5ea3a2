"""What the contracts keep, and who is calling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from caduceus.crypto import sign
from caduceus.kinds import Address, Digest, JobId, Readiness, Seat, Stage, Tokens
from caduceus.market.ledger import (
    NOBODY,
    Anchor,
    BudgetMove,
    Claimed,
    Enrolment,
    Equivocated,
    JobTerms,
    Member,
)
from caduceus.market.standing import Standing
from caduceus.sim.rules.state import Rows, Table, Way
from caduceus.sim.rules.words import NO_WORD


@dataclass(frozen=True, slots=True)
class Call:
    """A transaction's circumstances: who sends it, and in a block of which number and time (Unix seconds)."""

    sender: Address
    time: int
    block: int


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it stands; what changes in it, and what it was opened with."""

    id: JobId
    buyer: Address
    terms: JobTerms
    stage: Stage
    deadline: int
    sites: int = 0
    signer: Address = NOBODY
    head: Digest = NO_WORD
    claims: Digest = NO_WORD
    payout: int = 0
    paid: int = 0
    forfeits: int = 0
    challenges: int = 0
    bond_held: bool = False
    started_in: int = 0
    """The block in which the enrolment closed."""
    slashed: tuple[Seat, ...] = ()
    signed: tuple[tuple[Seat, bytes], ...] = ()
    """The signatures under the settlement."""


@dataclass(frozen=True, slots=True)
class Place:
    """A seat."""

    site: Address
    signer: Address
    reserved: Digest = NO_WORD
    """The data set whose budget the job holds a reservation of; zero for none."""
    stake_held: bool = True
    slashed: bool = False
    equivocated: bool = False
    recorded: bool = False


@dataclass(frozen=True, slots=True)
class Challenge:
    """An omission challenge that waits for an answer."""

    round: int
    leaf: Digest
    deadline: int


Records = tuple[Address, Digest]
"""A steward's records under a commitment; data sets of the same records share one budget."""


@dataclass(frozen=True, slots=True)
class Offered:
    """A data set; `limited` says whether it has a part in the budget of its records."""

    id: Digest
    steward: Address
    commitment: Digest
    card: Digest
    terms: Digest
    epsilon_micro: int
    delta_pico: int
    active: bool = True
    superseded: bool = False
    previous: Digest | None = None
    readiness: Readiness = Readiness.UNSTATED
    report: Digest | None = None

    @property
    def limited(self) -> bool:
        """Whether it has a privacy budget."""
        return self.epsilon_micro != 0

    @property
    def records(self) -> Records:
        """Whose records they are, and which."""
        return self.steward, self.commitment


@dataclass(frozen=True, slots=True)
class Budget:
    """A privacy budget and what is spent of it."""

    epsilon_micro: int
    delta_pico: int
    epsilon_spent: int = 0
    delta_spent: int = 0


@dataclass(frozen=True, slots=True)
class Deployed:
    """Where the contracts are: the same values give the same identifiers and signatures as on a real chain."""

    chain_id: int
    jobs: Address

    @property
    def domain(self) -> Digest:
        """EIP-712 domain separator of the Jobs contract."""
        return sign.domain_separator(self.chain_id, self.jobs)


@final
class Tables:
    """All state of all contracts."""

    def __init__(self, at: Deployed) -> None:
        self.at = at
        self.domain = at.domain
        self.way = way = Way()
        self.balances: Table[tuple[Address, Address], int] = Table(way)
        """By token and account."""
        self.allowances: Table[tuple[Address, Address], int] = Table(way)
        """What the Jobs contract may take, by token and account."""
        self.credits: Table[tuple[Address, Address], int] = Table(way)
        self.supplies: Table[Address, int] = Table(way)
        self.members: Table[Address, Member] = Table(way)
        self.entities: Table[tuple[Address, Address], Digest] = Table(way)
        """By attester and account."""
        self.datasets: Table[Digest, Offered] = Table(way)
        self.registered: Rows[None, Digest] = Rows(way)
        self.joined: Table[Records, Records] = Table(way)
        """Records that share the budget of others, since a version of a data set is made of each."""
        self.budgets: Table[Records, Budget] = Table(way)
        self.moves: Rows[Records, BudgetMove] = Rows(way)
        self.statuses: Table[Address, Digest] = Table(way)
        """Each issuer's newest status list."""
        self.standings: Table[int, Standing] = Table(way)
        self.holders: Table[int, Address] = Table(way)
        """Who holds a standing's token; none after it was burnt."""
        self.jobs: Table[JobId, Job] = Table(way)
        self.opened: Rows[None, JobId] = Rows(way)
        self.places: Table[tuple[JobId, int], Place] = Table(way)
        self.seat_of: Table[tuple[JobId, Address], int] = Table(way)
        self.seat_of_entity: Table[tuple[JobId, Digest], int] = Table(way)
        self.challenges: Table[tuple[JobId, int], Challenge] = Table(way)
        self.paid: Table[tuple[JobId, int], bool] = Table(way)
        self.enrolled: Rows[JobId, Enrolment] = Rows(way)
        self.anchored: Rows[JobId, Anchor] = Rows(way)
        self.claimed: Rows[JobId, Claimed] = Rows(way)
        self.equivocated: Rows[JobId, Equivocated] = Rows(way)
        self.recorded: Rows[JobId, Seat] = Rows(way)

    def issue(self, token: Address, account: Address, amount: Tokens) -> None:
        """Make money: for the beginning of a world only."""
        key = token, account
        self.balances.put(key, self.balances.get_or(key, 0) + amount)
        self.supplies.put(token, self.supplies.get_or(token, 0) + amount)
