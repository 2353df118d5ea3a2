"""Who is paid what, in whole units.

A settlement is recomputed by everyone who signs it and by every auditor, so it is a pure function of
public facts: the price and fee in the job, the rows on the registered cards, and the rounds in which the
anchored transcript shows each site among the survivors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from caduceus.canon import record
from caduceus.crypto.merkle import Tree, leaf
from caduceus.errors import Misuse
from caduceus.kinds import Address, Digest, JobId, Tokens


@record("settlement/participation/1")
class Participation:
    """What one site verifiably did.

    Reveals the coarse number of rows that the site's public card states, and in how many rounds its
    upload entered the sum; both are public already.
    """

    site: Address
    rows: int
    """As the registered card says, coarse; >= 0."""
    rounds: int
    """Rounds whose sum this site's upload entered."""


class Valuation(Protocol):
    """How contribution is measured: one score per site, whole numbers >= 0."""

    def __call__(self, parts: Sequence[Participation]) -> Sequence[int]: ...


def by_participation(parts: Sequence[Participation]) -> tuple[int, ...]:
    """Rows on the card times rounds finished: effort, not quality."""
    return tuple(part.rows * part.rounds for part in parts)


@dataclass(frozen=True, slots=True)
class Settlement:
    """Amounts by claim position: sites by seat, the coordinator last."""

    job: JobId
    accounts: tuple[Address, ...]
    amounts: tuple[Tokens, ...]

    @property
    def payout(self) -> Tokens:
        """What all claims together take from the escrow."""
        return Tokens(sum(self.amounts))

    def tree(self) -> Tree:
        """The Merkle tree whose root is settled on the chain."""
        return Tree([leaf(data) for data in self.leaf_data()])

    def leaf_data(self) -> list[bytes]:
        """What each claim's leaf is the hash of, by position."""
        return [claim_leaf_data(self.job, *claim) for claim in zip(self.accounts, self.amounts, strict=True)]

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
) -> Settlement:
    """Split a job's price: the coordinator's fee first, the rest by score.

    parts  one per seat, in the order of seats
    price  what the buyer locked; fee <= price
    value  scores; if all are zero, nobody but the coordinator is paid and the buyer keeps the rest

    Raises Misuse if the fee exceeds the price.
    """
    if not 0 <= fee <= price:
        raise Misuse(f"settle: a fee of {fee} does not fit a price of {price}")
    amounts = split(Tokens(price - fee), value(parts))
    paid = any(amounts)
    return Settlement(
        job=job,
        accounts=(*(part.site for part in parts), coordinator),
        amounts=(*amounts, fee if paid else Tokens(0)),
    )


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
