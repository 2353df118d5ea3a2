"""Who is paid what, in whole units.

A settlement is recomputed by everyone who signs it and by every auditor, so it is a pure function of
public facts: the price and fee in the job, the rows on the registered cards, the rounds in which the
anchored transcript shows each site among the survivors, and what the judged rounds say that it contributed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from caduceus.canon import record
from caduceus.crypto.merkle import Tree, leaf
from caduceus.errors import Misuse
from caduceus.kinds import MICRO, Address, Digest, JobId, Seat, Tokens
from caduceus.market.standing import FORFEITED, NOTHING, Observation, Showing, observation


@record("settlement/participation/2")
class Participation:
    """What one site verifiably did.

    Reveals the coarse number of rows that the site's public card states, in how many rounds its upload entered the
    sum, and what judged rounds say of it; all of that is public already.
    """

    site: Address
    rows: int
    """As the registered card says, coarse; >= 0."""
    rounds: int
    """Rounds whose sum this site's upload entered."""
    score: int = 0
    """Measured contribution in millionths of the pot, all sites' together at most a million; 0 if none is measured."""
    poisoned: int = 0
    """Rounds in which this site's update was found to do harm."""


class Valuation(Protocol):
    """How contribution is measured: one score per site, whole numbers >= 0.

    One more score, after those of the sites, stands for what nobody earned.
    """

    def __call__(self, parts: Sequence[Participation]) -> Sequence[int]: ...


def by_participation(parts: Sequence[Participation]) -> tuple[int, ...]:
    """Rows on the card times rounds finished: effort, not quality."""
    return tuple(part.rows * part.rounds for part in parts)


def by_contribution(parts: Sequence[Participation]) -> tuple[int, ...]:
    """What the judged rounds say that each site contributed; the rest of the pot stays with the buyer.

    Raises Misuse if the scores are more than the whole pot.
    """
    scores = tuple(part.score for part in parts)
    if sum(scores) > MICRO:
        raise Misuse(f"settle: scores of {sum(scores)} millionths are more than the pot")
    return (*scores, MICRO - sum(scores))


@dataclass(frozen=True, slots=True)
class Settlement:
    """Amounts by claim position (sites by seat, the coordinator last), and what the job showed of its sites.

    observations  one per seat; empty if the job showed nothing of any
    slashed       seats whose stake is forfeited, in rising order
    """

    job: JobId
    accounts: tuple[Address, ...]
    amounts: tuple[Tokens, ...]
    observations: tuple[Observation, ...] = ()
    slashed: tuple[Seat, ...] = ()

    @property
    def payout(self) -> Tokens:
        """What all claims together take from the escrow."""
        return Tokens(sum(self.amounts))

    def tree(self) -> Tree:
        """The Merkle tree whose root is settled on the chain: the claims, then the observations."""
        return Tree([leaf(data) for data in self.leaf_data()])

    def leaf_data(self) -> list[bytes]:
        """What each leaf is the hash of, by position."""
        claims = [claim_leaf_data(self.job, *claim) for claim in zip(self.accounts, self.amounts, strict=True)]
        return claims + [
            observation_leaf_data(self.job, account, seen)
            for account, seen in zip(self.accounts, self.observations, strict=False)  # not of the coordinator
        ]

    def showing(self, seat: Seat) -> Showing:
        """A seat's observation with its proof.

        Raises Misuse if the job showed nothing of any seat, or has no such seat.
        """
        if not 0 <= seat < len(self.observations):
            raise Misuse(f"settlement: no observation of seat {seat}; there are {len(self.observations)}")
        index = len(self.accounts) + seat
        return Showing(self.observations[seat], index, self.tree().proof(index))

    @property
    def root(self) -> Digest:
        return self.tree().root


def settle(
    job: JobId,
    parts: Sequence[Participation],
    *,
    price: Tokens,
    fee: Tokens,
    coordinator: Address,
    value: Valuation = by_participation,
    slashed: Sequence[Seat] = (),
) -> Settlement:
    """Split a job's price: the coordinator's fee first, the rest by score.

    parts    one per seat, in the order of seats
    price    what the buyer locked; fee <= price
    value    scores; if all of the sites' are zero, nobody is paid and the buyer keeps everything
    slashed  seats that broke the protocol, in rising order. What each would have earned stays with the buyer: shared
             among the others, it would be a reward for finding fault

    Raises Misuse if the fee exceeds the price, or there is no such seat.
    """
    if not 0 <= fee <= price:
        raise Misuse(f"settle: a fee of {fee} does not fit a price of {price}")
    if list(slashed) != sorted({seat for seat in slashed if 0 <= seat < len(parts)}):
        raise Misuse(f"settle: seats {list(slashed)} are not rising ones of {len(parts)}")
    earned = split(Tokens(price - fee), value(parts))[: len(parts)]
    amounts = (Tokens(0) if seat in slashed else amount for seat, amount in enumerate(earned))
    return Settlement(
        job=job,
        accounts=(*(part.site for part in parts), coordinator),
        amounts=(*amounts, fee if any(earned) else Tokens(0)),
        observations=_observations(parts, slashed),
        slashed=tuple(slashed),
    )


def _observations(parts: Sequence[Participation], slashed: Sequence[Seat]) -> tuple[Observation, ...]:
    """What the job showed of each seat; empty if it is nothing of any."""
    seen = tuple(
        FORFEITED
        if seat in slashed
        else observation(score=part.score, rounds=part.rounds, poisoned=part.poisoned, sites=len(parts))
        for seat, part in enumerate(parts)
    )
    return seen if any(one != NOTHING for one in seen) else ()


def split(pot: Tokens, scores: Sequence[int]) -> tuple[Tokens, ...]:
    """Share whole units in proportion to scores by largest remainders (Hamilton's method).

    pot      whole units, >= 0
    scores   whole numbers >= 0; all zero gives all zero
    returns  one amount per score; they add up to `pot` exactly unless every score is zero. Of equal
             remainders the earlier seat's goes first, so that everyone computes the same.

    Raises Misuse on a negative pot or score.
    """
    if pot < 0 or any(score < 0 for score in scores):
        raise Misuse("split: the pot and every score must be at least 0")
    total = sum(scores)
    if total == 0:
        return tuple(Tokens(0) for _ in scores)
    floors = [pot * score // total for score in scores]
    by_remainder = sorted(range(len(scores)), key=lambda seat: (-(pot * scores[seat] % total), seat))
    for seat in by_remainder[: pot - sum(floors)]:
        floors[seat] += 1
    return tuple(Tokens(amount) for amount in floors)


def claim_leaf_data(job: JobId, account: Address, amount: Tokens) -> bytes:
    """Leaf data of the claims tree: abi.encode(bytes32 job, address account, uint256 amount)."""
    return job + account.rjust(32, b"\0") + amount.to_bytes(32, "big")


def observation_leaf_data(job: JobId, account: Address, seen: Observation) -> bytes:
    """Leaf data of an observation: abi.encode(bytes32 job, address account, uint256 good, uint256 bad).

    It is longer than a claim's, so neither can pass for the other.
    """
    return job + account.rjust(32, b"\0") + seen.good.to_bytes(32, "big") + seen.bad.to_bytes(32, "big")
