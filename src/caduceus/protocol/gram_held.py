"""What an aggregator holds of a round's rows, and everything that it computes with it.

Two of three components: its own and the following one. Their images are kept, the rows themselves are drawn from seeds
again where they are summed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt

from caduceus.crypto import product_check, projections, rss
from caduceus.crypto.gram_pass import Dealt, pass_over
from caduceus.crypto.product_check import Challenge
from caduceus.crypto.sketch import Sketch
from caduceus.errors import Refused
from caduceus.kinds import Digest
from caduceus.protocol import gram_keys as keys
from caduceus.protocol.gram_messages import Vouch
from caduceus.protocol.gram_session import GramPlan, Ring

Seeds = tuple[bytes, bytes]
"""Of one dealer, for the components that an aggregator holds."""


@dataclass(frozen=True, slots=True)
class PairKeys:
    """An aggregator's keys in a round.

    own        shared with the one before it
    following  shared with the one after it
    """

    own: bytes
    following: bytes

    def __repr__(self) -> str:
        return "PairKeys()"


@dataclass(frozen=True, slots=True)
class Drawn:
    """What products are checked at.

    coins   `gathered` of the second coins
    beacon  that follows from them
    """

    coins: Digest
    beacon: Digest


@final
@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """Made by `hold`.

    k          0, 1 or 2
    label      what shares of zero are for
    seeds      of the dealers that are in
    images     uint64[2, rows, width], of component k and of the following one; zeros where a dealer is out
    projected  uint64[2, dealt rows, projections.COUNT], likewise
    """

    plan: GramPlan
    k: int
    keys: PairKeys
    label: bytes
    seeds: Mapping[int, Seeds]
    images: Ring
    projected: Ring

    def __repr__(self) -> str:
        return f"Held(k={self.k})"

    def products(self) -> Ring:
        """uint64[rows, rows]: its part of all inner products under its share of zero."""
        zero = rss.zeros(self.keys.own, self.keys.following, self.label, self._square)
        return np.asarray(rss.products(self.images[0], self.images[1]) + zero)

    def claim(self, drawn: Drawn) -> Ring:
        """What it says for its own products."""
        following, context = self.images[1], keys.check_context(drawn.coins, self.k)
        asked = self._challenge(drawn, self.k)
        return product_check.claim((following, following), asked, first_key=self.keys.own, context=context)

    def vouch(self, drawn: Drawn) -> bytes:
        """What it knows of the following aggregator's products, sealed for the one before it."""
        following, prover = self.images[1], (self.k + 1) % rss.PARTIES
        context = keys.check_context(drawn.coins, prover)
        vouched = product_check.vouch(
            (following, following),
            rss.mask(self.keys.following, self.label, self._square),
            self._challenge(drawn, prover),
            keys=(self.keys.following, self.keys.own),
            context=context,
        )
        return keys.seal_vouched(self.keys.own, vouched, context)

    def is_satisfied(self, drawn: Drawn, products: Ring, sealed: bytes, vouch: Vouch) -> bool:
        """Whether the products of the aggregator before it pass.

        products  that one opened
        sealed    what the aggregator after this one knows of them
        vouch     what the one before it says for them
        """
        own, prover = self.images[0], (self.k - 1) % rss.PARTIES
        context = keys.check_context(drawn.coins, prover)
        try:
            vouched = keys.open_vouched(self.keys.following, sealed, context, own.shape[1])
        except Refused:
            return False
        return product_check.accepts(
            (own, own),
            rss.mask(self.keys.own, self.label, self._square),
            products,
            self._challenge(drawn, prover),
            (vouched, vouch.claim),
            first_key=self.keys.following,
            context=context,
        )

    def part(self, weights: npt.NDArray[np.int64], which: int) -> Ring:
        """uint64[length]: the weighted sum of the keystreams of the sites' first rows.

        weights  int64[sites]
        which    0 of its own component, 1 of the following one
        """
        weighed = np.flatnonzero(weights).tolist()
        streams = [self.seeds[seat][which] for seat in weighed]
        return rss.weigh_streams(weights[weighed], streams, [0] * len(weighed), self.plan.session.length)

    @property
    def _square(self) -> tuple[int, int]:
        return self.plan.rows, self.plan.rows

    def _challenge(self, drawn: Drawn, prover: int) -> Challenge:
        return product_check.challenge(keys.challenge_beacon(drawn.beacon, prover), self.plan.rows)


def hold(
    plan: GramPlan,
    k: int,
    pair: PairKeys,
    *,
    seeds: Mapping[int, Seeds],
    corrections: Mapping[int, memoryview],
    accepted: Digest,
    beacon: Digest,
) -> Held:
    """Draw both components of all rows and keep their images and projections.

    seeds        of the dealers that are in
    corrections  of the same, for an aggregator that holds component 0; nothing for the other
    accepted     `gathered` of the three signed `Accepted`, which say who is in
    beacon       the first
    """
    session = plan.session
    sketch = Sketch(session.length, session.buckets, beacon)
    images = np.zeros((2, plan.rows, sketch.width), np.uint64)
    projected = np.zeros((2, plan.dealt_rows, projections.COUNT), np.uint64)
    for is_site in (True, False):
        group = [dealer for dealer in seeds if (dealer < plan.sites) is is_site]
        if not group:
            continue
        dealt = [Dealt(*seeds[dealer], _table(corrections.get(dealer), plan.shape(dealer))) for dealer in group]
        passed = pass_over(k, dealt, plan.rows_of(group[0]), sketch, beacon)
        places = np.concatenate([np.arange(plan.dealt_rows)[plan.place(dealer)] for dealer in group])
        images[:, places], projected[:, places] = passed.images, passed.projected
    if plan.public is not None and 0 in rss.holds(k):  # what everybody knows is its own component 0
        images[rss.holds(k).index(0), -1] = sketch.apply(plan.public[None, :])[0]
    return Held(plan, k, pair, keys.zero_label(accepted), seeds, images, projected)


def _table(correction: memoryview | None, shape: tuple[int, int]) -> Ring | None:
    return None if correction is None else np.frombuffer(correction, "<u8").reshape(shape)
