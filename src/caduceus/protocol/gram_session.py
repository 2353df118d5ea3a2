"""What everybody in a round of judged updates agrees on before it begins.

Sites, and evaluators who are no sites, *deal* rows: each splits its rows among three aggregators, of which no one alone
learns anything. Parties are numbered: the sites by their seats, then the evaluators, then the three aggregators.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt

from caduceus import canon
from caduceus.crypto import projections, rss
from caduceus.errors import Misuse, Refused
from caduceus.kinds import Address, Digest, Floats, JobId
from caduceus.learn.judged.opened import STEPS

Ring = npt.NDArray[np.uint64]
"""Integers modulo 2**64."""

Judge = Callable[[Floats, npt.NDArray[np.int64], npt.NDArray[np.bool_]], npt.NDArray[np.int64]]
"""The public rule: gram float64[rows, rows] in squared model units, reports int64[dealers, numbers], present
bool[dealers] give weights int64[sites], >= 0 and adding up to at most `WHOLE`. Absent parties have zeros in the first
and `UNKNOWN` in the second. The same on every machine. Raises Refused if nothing can be weighed."""

MOST_TOLD = 1 << 53
"""Numbers in a report lie below it."""

MOST_ROWS = 1 << 14
"""Rows of all parties together."""

_LONGEST = 4 * STEPS  # with rounding, and with what a sketch adds to a norm
_MOST_ENTRIES = 1 << 28  # rounding then adds a quarter of `STEPS` to a norm at most
_WORD = 1 << 32


@canon.record("gram/aggregator/1")
class AggregatorKeys:
    """One of the three, each run by another organisation.

    signer  of its messages
    kem     X-Wing public key that shares are sealed for
    """

    signer: Address
    kem: bytes


@canon.record("gram/ground/1")
class GramGround:
    """Who takes part in the rounds of a job.

    domain       EIP-712 domain separator
    coordinator  signer of the coordinator, who relays and adds and holds no share
    aggregators  three
    evaluators   signers, in order
    sites        signers, by seat
    """

    domain: Digest
    job: JobId
    coordinator: Address
    aggregators: tuple[AggregatorKeys, ...]
    evaluators: tuple[Address, ...]
    sites: tuple[Address, ...]

    @property
    def digest(self) -> Digest:
        """SHA-256 of the canonical bytes."""
        return canon.digest(self)

    @property
    def first_aggregator(self) -> int:
        """The number of aggregator 0."""
        return len(self.sites) + len(self.evaluators)

    def signer_of(self, party: int) -> Address:
        """The signer of any numbered party."""
        if party < len(self.sites):
            return self.sites[party]
        if party < self.first_aggregator:
            return self.evaluators[party - len(self.sites)]
        return self.aggregators[party - self.first_aggregator].signer

    def name_of(self, party: int) -> str:
        """How a party is called in faults."""
        if party < len(self.sites):
            return f"seat {party}"
        if party < self.first_aggregator:
            return f"evaluator {party - len(self.sites)}"
        return f"aggregator {party - self.first_aggregator}"


@canon.record("gram/session/1")
class GramSession:
    """One round.

    ground          digest of the ground, which names the job
    round           its number in the job
    state           digest of the public state that the round starts from
    site_rows       rows that a site deals, >= 1; the first of them is what is weighed and summed
    evaluator_rows  rows that an evaluator deals; 0 if none is asked
    length          entries of a row
    scale           steps of the fixed point per model unit
    bound           greatest norm of a row, in steps, that passes (see `bound_for`)
    report          how many numbers a dealer says in public
    quorum          nothing is opened over fewer sites
    buckets         what rows are sketched to before they are multiplied; nothing is lost if they are no longer
    public          SHA-256 of one more row that everybody knows (`row_digest`), multiplied with the others; None if
                    there is none

    Reveals: nothing that the chain and the public state do not say.
    """

    ground: Digest
    round: int
    state: Digest
    site_rows: int
    evaluator_rows: int
    length: int
    scale: int
    bound: int
    report: int
    quorum: int
    buckets: int
    public: Digest | None

    @property
    def digest(self) -> Digest:
        """SHA-256 of the canonical bytes; in every message, so that none can be replayed elsewhere."""
        return canon.digest(self)


@final
@dataclass(frozen=True, slots=True)
class GramPlan:
    """A session on its ground: who deals what, and where it stands in the matrix of inner products.

    public  uint64[length], the row that everybody knows, encoded; None if there is none

    Raises Refused if the session is not a sound one, Misuse if ground or public row are others than it names.
    """

    session: GramSession
    ground: GramGround
    public: Ring | None = None

    def __post_init__(self) -> None:
        if self.session.ground != self.ground.digest:
            raise Misuse("gram: the session names another ground")
        given = None if self.public is None else row_digest(self.public)
        if given != self.session.public:
            raise Misuse("gram: the session names another public row")
        _check(self.session, self.ground)

    @property
    def id(self) -> Digest:
        """The session's digest."""
        return self.session.digest

    @property
    def sites(self) -> int:
        """How many sites are enrolled."""
        return len(self.ground.sites)

    @property
    def dealers(self) -> range:
        """Everyone who is asked for rows."""
        return range(self.ground.first_aggregator if self.session.evaluator_rows else self.sites)

    @property
    def aggregators(self) -> range:
        """The three, by number."""
        return range(self.ground.first_aggregator, self.ground.first_aggregator + rss.PARTIES)

    def rows_of(self, dealer: int) -> int:
        """How many rows a dealer deals."""
        return self.session.site_rows if dealer < self.sites else self.session.evaluator_rows

    def place(self, dealer: int) -> slice:
        """Where a dealer's rows stand among all rows, present or not."""
        if dealer < self.sites:
            start = dealer * self.session.site_rows
        else:
            start = self.sites * self.session.site_rows + (dealer - self.sites) * self.session.evaluator_rows
        return slice(start, start + self.rows_of(dealer))

    @property
    def dealt_rows(self) -> int:
        """Rows of everyone who is asked, present or not."""
        return sum(self.rows_of(dealer) for dealer in self.dealers)

    @property
    def rows(self) -> int:
        """The same with the public row, which comes last."""
        return self.dealt_rows + (self.public is not None)

    def shape(self, dealer: int) -> tuple[int, int]:
        """What a dealer shares: its rows, each with the entries that blind the checks of its length."""
        return self.rows_of(dealer), self.session.length + projections.COUNT

    @property
    def is_exact(self) -> bool:
        """Whether products are those of the rows themselves and not of their sketches."""
        return self.session.length <= self.session.buckets


def bound_for(norm: float, *, scale: int, length: int, buckets: int) -> int:
    """What the norm of an honest row never exceeds once it is encoded and sketched, in steps.

    norm     in model units
    buckets  see `GramSession`

    Rounding moves a row by at most sqrt(length) / 2 steps. Whoever is above the bound pays for it, so that an honest
    row must not be, whatever is drawn: where rows are sketched the bound is twice as high. A sketch's square norm has
    a variance of 2 / buckets of its square (see `sketch`), for which less would do, but a row of few large entries has
    another tail: its square norm becomes four times as large if four of them make it up and meet with one sign, which
    happens once in 8 buckets^3.

    Raises Misuse if the norm is more than `STEPS` steps.
    """
    if not 0 < norm * scale <= STEPS:
        raise Misuse(f"gram: a norm of {norm} at {scale} steps per unit; at most {STEPS} steps are checked for")
    longest = norm * scale + float(np.sqrt(length)) / 2
    return int(np.ceil(longest if length <= buckets else 2 * longest))


def row_digest(row: Ring) -> Digest:
    """SHA-256 of a row's little-endian words."""
    return canon.digest_bytes(np.ascontiguousarray(row, "<u8").tobytes())


def _check(session: GramSession, ground: GramGround) -> None:
    if len(ground.aggregators) != rss.PARTIES or not ground.sites:
        raise Refused(f"session: {len(ground.aggregators)} aggregators and {len(ground.sites)} sites")
    signers = [ground.coordinator, *(one.signer for one in ground.aggregators), *ground.evaluators, *ground.sites]
    if len(set(signers)) != len(signers):
        raise Refused("session: one signer stands for two parties")
    if len(session.state) != 32 or not 0 <= session.round < _WORD:
        raise Refused("session: a round or a digest that there cannot be")
    if session.site_rows < 1 or session.evaluator_rows < 0 or not 1 <= session.quorum <= len(ground.sites):
        raise Refused(f"session: {session.site_rows} rows of a site, {session.quorum} sites of {len(ground.sites)}")
    rows = session.site_rows * len(ground.sites) + session.evaluator_rows * len(ground.evaluators) + 1
    if rows > MOST_ROWS or not 0 < session.length <= _MOST_ENTRIES or not 0 <= session.report <= 64:
        raise Refused(f"session: {rows} rows of {session.length} entries, reports of {session.report} numbers")
    if session.scale < 1 or not 0 < session.bound <= _LONGEST or session.buckets < 1 or session.buckets % 128:
        raise Refused(f"session: scale {session.scale}, rows of up to {session.bound} steps, {session.buckets} buckets")
