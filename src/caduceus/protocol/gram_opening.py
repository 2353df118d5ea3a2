"""What is public of a round of judged updates, computed the same by aggregators, coordinator and auditor.

Three parts of a matrix make the inner products, three projections say who is within its bounds, the public rule makes
weights of both, and corrections and keystream sums make the total.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from caduceus.crypto import projections, ring, rss
from caduceus.errors import Misuse, PeerFault, Refused
from caduceus.kinds import Floats
from caduceus.learn.judged.opened import UNKNOWN, WHOLE
from caduceus.protocol.gram_messages import GramShare, GramSum, words_digest
from caduceus.protocol.gram_session import GramPlan, Judge, Ring

Integers = npt.NDArray[np.int64]

TOO_FAR = "dealt a row that fails the projections of its length"
TOO_LONG = "dealt a row above the bound"


@dataclass(frozen=True, slots=True, eq=False)
class Products:
    """What the three parts give.

    raw      int64[rows, rows], inner products in steps squared; zeros where a dealer is out
    outside  by dealer that breaks its bounds, what it did
    present  dealers that are in, ascending
    """

    raw: Integers
    outside: Mapping[int, str]
    present: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What follows from the products.

    gram     float64[rows, rows], in squared model units; zeros where a party is absent (see `GramPlan.place`)
    reports  int64[dealers, numbers]; `UNKNOWN` where a party is absent
    present  bool[dealers]
    weights  int64[sites]
    """

    gram: Floats
    reports: Integers
    present: npt.NDArray[np.bool_]
    weights: Integers


def quarrels(parts: Sequence[GramShare] | Sequence[GramSum]) -> tuple[tuple[int, int], ...]:
    """Which aggregators do not agree on a component that both of them hold: (k, k - 1) for component k.

    Nobody can tell which of the two lied.
    """
    own = [words_digest(one.lengths if isinstance(one, GramShare) else one.part) for one in parts]
    before = [(k, (k - 1) % rss.PARTIES) for k in range(rss.PARTIES)]
    return tuple((k, other) for k, other in before if parts[other].following != own[k])


def multiply_out(plan: GramPlan, inside: Sequence[int], shares: Sequence[GramShare]) -> Products:
    """The inner products, and who breaks its bounds.

    inside  dealers whose shares the aggregators have, ascending
    shares  of the three, who agree on the projections (see `quarrels`)

    A row is within its bounds if its projections are within the window, so that its square norm is the true one (see
    `projections`), and that is at most the bound's.

    Raises Refused if the parts do not add up to inner products at all: an aggregator lied, and it is not known which.
    """
    raw = ring.signed(np.asarray(shares[0].products + shares[1].products + shares[2].products)).copy()
    lengths = np.asarray(shares[0].lengths + shares[1].lengths + shares[2].lengths)
    is_in = np.zeros(plan.rows, np.bool_)
    is_in[plan.dealt_rows :] = True
    for dealer in inside:
        is_in[plan.place(dealer)] = True
    if not np.array_equal(raw, raw.T) or raw[~is_in].any() or lengths[~is_in[: plan.dealt_rows]].any():
        raise Refused("what the aggregators opened is no matrix of inner products; one of them did not multiply")
    near, squares, most = projections.within(lengths), raw.diagonal(), plan.session.bound**2
    outside: dict[int, str] = {}
    for dealer in inside:
        place = plan.place(dealer)
        if not near[place].all():
            outside[dealer] = TOO_FAR
        elif not ((squares[place] >= 0) & (squares[place] <= most)).all():
            outside[dealer] = TOO_LONG
    for dealer in outside:
        raw[plan.place(dealer)] = 0
        raw[:, plan.place(dealer)] = 0
    return Products(raw, outside, tuple(dealer for dealer in inside if dealer not in outside))


def judge_by(plan: GramPlan, products: Products, reports: Mapping[int, tuple[int, ...]], judge: Judge) -> Judged:
    """The weights, by the public rule.

    reports  by dealer

    Raises Refused if too few sites are present, or if the rule weighs nothing; Misuse if it gives no such weights.
    """
    sites, needed = sum(dealer < plan.sites for dealer in products.present), plan.session.quorum
    if sites < needed:
        raise Refused(f"only {sites} sites are within their bounds, {needed} are needed")
    gram = products.raw.astype(np.float64) / float(plan.session.scale) ** 2
    told = np.full((len(plan.dealers), plan.session.report), UNKNOWN, np.int64)
    present = np.zeros(len(plan.dealers), np.bool_)
    for dealer in products.present:
        told[dealer], present[dealer] = reports[dealer], True
    weights = np.asarray(judge(gram.copy(), told.copy(), present.copy()))
    if weights.shape != (plan.sites,) or weights.dtype != np.int64 or weights[~present[: plan.sites]].any():
        raise Misuse(f"gram: the rule gave {weights.dtype}{weights.shape}, or a weight to a site that is absent")
    if (weights < 0).any() or sum(weights.tolist()) > WHOLE:
        raise Misuse(f"gram: weights are whole numbers from 0, adding up to at most {WHOLE}")
    return Judged(gram, told, present, weights)


def add_up(
    plan: GramPlan,
    products: Products,
    weights: Integers,
    parts: Sequence[GramSum],
    correction: Callable[[int], Ring],
) -> Ring:
    """The weighted sum of the sites' first rows: uint64[length].

    parts       of the three, who agree on every component
    correction  gives a site's, uint64[rows, length + projections.COUNT]

    Raises Refused if the sum does not fit the products, or is longer than its summands can make it: then an aggregator
    lied, or a row's length was lost in its sketch, and the sum is not to be used.
    """
    total = np.asarray(parts[0].part + parts[1].part + parts[2].part)
    for seat in np.flatnonzero(weights).tolist():
        total += weights[seat].view(np.uint64) * correction(seat)[0, : plan.session.length]
    steps = ring.signed(total).astype(np.float64)
    most = float(weights.sum()) * plan.session.bound
    if float(np.sqrt(steps @ steps)) > most * (1 + 1e-9):
        raise Refused("the sum is longer than rows within their bounds can make it; it is not used")
    if plan.is_exact:
        first = [plan.place(seat).start for seat in range(plan.sites)]
        words = products.raw[np.ix_(first, first)].view(np.uint64)
        row = weights.view(np.uint64)
        expected = (row * (words * row).sum(axis=1, dtype=np.uint64)).sum(dtype=np.uint64)
        if (total * total).sum(dtype=np.uint64) != expected:
            raise Refused("the sum is not the one whose square norm the inner products give; it is not used")
    return total


def require_agreement(plan: GramPlan, parts: Sequence[GramShare] | Sequence[GramSum], evidence: bytes) -> None:
    """Raise PeerFault naming the first two aggregators that do not agree on a component which both of them hold."""
    for k, other in quarrels(parts):
        one, two = (plan.ground.name_of(plan.aggregators[which]) for which in (k, other))
        raise PeerFault(f"{one} or {two}", f"lied about component {k}, which both of them hold", evidence=evidence)


def blamed(plan: GramPlan, parts: Sequence[GramShare] | Sequence[GramSum]) -> tuple[tuple[int, str], ...]:
    """Every aggregator that does not agree with another, by number, and what is said of it."""
    return tuple(
        (plan.aggregators[k], f"or {plan.ground.name_of(plan.aggregators[other])} lied about component {pair[0]}")
        for pair in quarrels(parts)
        for k, other in (pair, pair[::-1])
    )
