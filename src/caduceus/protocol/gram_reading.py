"""Reading the messages of a round of judged updates: the same checks at the coordinator, aggregators and an auditor.

A PeerFault names the party that a message was taken from. Whoever reads what the coordinator only passed on does so
inside `secagg_reading.passed_on`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar, final

import numpy as np
import numpy.typing as npt

from caduceus.crypto import product_check, projections, rss, seal
from caduceus.errors import PeerFault
from caduceus.kinds import Digest
from caduceus.protocol.envelope import read_signed
from caduceus.protocol.gram_messages import (
    COIN_BYTES,
    PAIR_BOX_BYTES,
    Accepted,
    Coin,
    GramList,
    GramShare,
    GramSum,
    Loan,
    Objection,
    Pledge,
    Verdict,
    Vouch,
    coin_digest,
    gathered,
)
from caduceus.protocol.gram_session import GramPlan
from caduceus.protocol.secagg_reading import COORDINATOR, statement
from caduceus.protocol.secagg_setup import ascending

T = TypeVar("T", Pledge, Accepted, Loan, GramShare, Coin, Vouch, Verdict, GramSum, Objection)

TWO_REJECTED = "dealt boxes that did not open to what it committed to, as two aggregators say"

LENT_BYTES = rss.SEED_BYTES + seal.TAG_BYTES
_MOST_SAID = 1 << 10


@dataclass(frozen=True, slots=True)
class Rejections:
    """What becomes of the boxes that did not open.

    inside     dealers that are in, ascending: with one box that did not open at most
    out        dealers that at least two aggregators rejected, of whom one at least keeps to the protocol
    borrowers  by dealer that is in, the aggregator (0, 1, 2) that alone did not get its seeds
    """

    inside: tuple[int, ...]
    out: tuple[int, ...]
    borrowers: Mapping[int, int]

    def due(self, lender: int) -> tuple[int, ...]:
        """The dealers whose seed an aggregator has to lend."""
        return tuple(dealer for dealer in self.inside if self.borrowers.get(dealer, lender) != lender)


@final
class GramReader:
    """Reads messages of one round; `k` is an aggregator, 0 to 2."""

    __slots__ = ("id", "plan")

    def __init__(self, plan: GramPlan) -> None:
        self.plan, self.id = plan, plan.id

    # ------------------------------------------------------------ who is in

    def pledge(self, data: bytes, k: int) -> Pledge:
        """An aggregator's pledge; raises PeerFault if it is malformed or another's."""
        said = self.statement(Pledge, data, k)
        if {len(one) for one in said.coins} != {32} or len(said.box) != PAIR_BOX_BYTES:
            raise PeerFault(self.name(k), "pledged coins or a box of the wrong length", evidence=data)
        return said

    def told(self, data: bytes, heads: Sequence[bytes] | None, pledges: Sequence[bytes]) -> GramList:
        """The coordinator's list.

        heads  signed heads of the uploads, dealers ascending; not compared if None

        Raises PeerFault naming the coordinator if it lists what it should not, or other messages than these.
        """
        signer, domain = self.plan.ground.coordinator, self.plan.ground.domain
        said = read_signed(GramList, data, signer=signer, domain=domain, who=COORDINATOR)
        if said.session != self.id or not ascending(said.dealers) or not set(said.dealers) <= {*self.plan.dealers}:
            raise PeerFault(COORDINATOR, "listed dealers that there are not, or of another round", evidence=data)
        if said.pledges != gathered(pledges) or (heads is not None and said.heads != gathered(heads)):
            raise PeerFault(COORDINATOR, "listed other messages than it shows", evidence=data)
        self.require_quorum(said.dealers)
        return said

    def require_quorum(self, dealers: Sequence[int]) -> None:
        """Raise PeerFault naming the coordinator if it goes on with too few sites."""
        sites, needed = sum(dealer < self.plan.sites for dealer in dealers), self.plan.session.quorum
        if sites < needed:
            raise PeerFault(COORDINATOR, f"goes on with {sites} sites, {needed} are needed")

    def accepted(self, data: bytes, k: int, told: Digest, dealers: Sequence[int], pledge: Pledge) -> Accepted:
        """An aggregator's acceptance of a list; raises PeerFault if it is malformed, or of another."""
        said = self.statement(Accepted, data, k)
        if said.told != told:
            raise PeerFault(self.name(k), "accepted another list than it was shown", evidence=data)
        if not ascending(said.rejected) or not set(said.rejected) <= set(dealers):
            raise PeerFault(self.name(k), "rejected dealers that are not listed, or one twice", evidence=data)
        self._check_coin(said.coin, 0, k, pledge, data)
        return said

    def rejections(self, accepted: Sequence[Accepted], dealers: Sequence[int]) -> Rejections:
        """What becomes of dealers whose boxes were rejected, by what the three accepted."""
        by = {dealer: [k for k, one in enumerate(accepted) if dealer in one.rejected] for dealer in dealers}
        return Rejections(
            tuple(dealer for dealer in dealers if len(by[dealer]) < 2),
            tuple(dealer for dealer in dealers if len(by[dealer]) >= 2),
            {dealer: by[dealer][0] for dealer in dealers if len(by[dealer]) == 1},
        )

    def loan(self, data: bytes, k: int, accepted: Digest, due: Sequence[int]) -> Loan:
        """What an aggregator lends; raises PeerFault if it is malformed, or not what is due."""
        said = self.statement(Loan, data, k)
        if said.accepted != accepted or said.dealers != tuple(due):
            raise PeerFault(self.name(k), "lent other seeds than are due", evidence=data)
        if len(said.sealed) != len(due) or any(len(one) != LENT_BYTES for one in said.sealed):
            raise PeerFault(self.name(k), "lent something else than seeds", evidence=data)
        return said

    # ------------------------------------------------------------ products and sum

    def share(self, data: bytes, k: int, accepted: Digest) -> GramShare:
        """An aggregator's part of what is opened; raises PeerFault if it is malformed, or for other dealers."""
        said, plan = self.statement(GramShare, data, k), self.plan
        if said.accepted != accepted or len(said.following) != 32:
            raise PeerFault(self.name(k), "opened products of other dealers", evidence=data)
        products, lengths = (plan.rows, plan.rows), (plan.dealt_rows, projections.COUNT)
        if not _fits(said.products, products) or not _fits(said.lengths, lengths):
            raise PeerFault(self.name(k), "opened tables of another shape", evidence=data)
        return said

    def coin(self, data: bytes, k: int, shares: Digest, pledge: Pledge) -> Coin:
        """An aggregator's second coin; raises PeerFault if it is malformed, or not the one it pledged."""
        said = self.statement(Coin, data, k)
        if said.shares != shares:
            raise PeerFault(self.name(k), "gave its coin for other shares than it was shown", evidence=data)
        self._check_coin(said.coin, 1, k, pledge, data)
        return said

    def vouch(self, data: bytes, k: int, coins: Digest) -> Vouch:
        """What an aggregator says for its products; raises PeerFault if it is malformed."""
        said = self.statement(Vouch, data, k)
        if said.coins != coins or len(said.sealed) != 32 or not _fits(said.claim, (product_check.DEGREE,)):
            raise PeerFault(self.name(k), "vouched for something else than is due", evidence=data)
        return said

    def verdict(self, data: bytes, k: int, vouches: Digest) -> Verdict:
        """That an aggregator is satisfied; raises PeerFault if it is malformed, or with something else."""
        said = self.statement(Verdict, data, k)
        if said.vouches != vouches:
            raise PeerFault(self.name(k), "is satisfied with something else than is due", evidence=data)
        return said

    def sum(self, data: bytes, k: int, verdicts: Digest, weights: npt.NDArray[np.int64]) -> GramSum:
        """An aggregator's part of the sum; raises PeerFault if it is malformed, or weighed otherwise than is the rule.

        weights  int64[sites], as the public rule gives them
        """
        said, plan = self.statement(GramSum, data, k), self.plan
        if said.verdicts != verdicts or len(said.following) != 32 or not _fits(said.part, (plan.session.length,)):
            raise PeerFault(self.name(k), "opened a part of another sum", evidence=data)
        if said.weights.dtype.str != "<i8" or not np.array_equal(said.weights, weights):
            raise PeerFault(self.name(k), "weighed otherwise than the public rule says", evidence=data)
        return said

    def objection(self, data: bytes, k: int) -> Objection:
        """Why an aggregator stops; raises PeerFault if it is malformed."""
        said = self.statement(Objection, data, k)
        if said.about not in (-1, *self.plan.aggregators) or len(said.answers) != 32 or len(said.why) > _MOST_SAID:
            raise PeerFault(self.name(k), "objected in a form that there is not", evidence=data)
        return said

    # ------------------------------------------------------------ in common

    def name(self, k: int) -> str:
        """How an aggregator is called in faults."""
        return self.plan.ground.name_of(self.plan.aggregators[k])

    def statement(self, kind: type[T], data: bytes, k: int) -> T:
        """A record that an aggregator signed in this round; raises PeerFault if it is malformed, or another's."""
        ground, party = self.plan.ground, self.plan.aggregators[k]
        try:
            said = statement(kind, data, signer=ground.signer_of(party), domain=ground.domain, seat=party)
        except PeerFault as problem:
            raise PeerFault(self.name(k), problem.why, evidence=data) from None
        if (said.session, said.party) != (self.id, party):
            raise PeerFault(self.name(k), "sent a message of another round or from another party", evidence=data)
        return said

    def _check_coin(self, coin: bytes, place: int, k: int, pledge: Pledge, data: bytes) -> None:
        if len(coin) != COIN_BYTES or coin_digest(place, coin) != pledge.coins[place]:
            raise PeerFault(self.name(k), "gave another coin than it pledged", evidence=data)


def _fits(words: npt.NDArray[np.uint64], shape: tuple[int, ...]) -> bool:
    return words.shape == shape and words.dtype.str == "<u8"
