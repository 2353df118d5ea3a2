"""What admitted updates earn: the Shapley value of what each adds, shared among those who add the same.

Four rules, each a function of inner products alone, so that everybody can recompute the payout:

- *Novelty.* The last move of the global model is projected out of every update first. Who sends it again, alone or
  mixed into an update, earns nothing by it.
- *Length.* Updates count with the length of half a typical one at most, and most are longer: scaling changes nothing.
  What is far shorter (nothing, noise, the remains of a replay) isn't scaled up.
- *Worth.* Per stratum, the Shapley value of the round's quadratic game; never more than the update would be worth if
  all others were idle, so that nobody is paid for diluting others' harm. Each stratum divides its own budget.
- *Division.* Sites whose updates are alike beyond the typical divide one site's worth, the better update taking more;
  one that committed earlier stays whole. Seats that send one update plus noise lose as much help to the noise as the
  division forgives them for it.

A hospital that trains each of several seats on a part of its patients makes hospitals of them: no inner product tells.
That is left to vouching, which gives one legal entity one seat.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from caduceus.errors import Misuse
from caduceus.kinds import Floats
from caduceus.market.mechanism.rules import Rules
from caduceus.market.mechanism.seen import Seen
from caduceus.market.shapley import quadratic

REACH = 0.5
"""How much of the median length is paid for. Below 1, or a site shorter than the median could gain by scaling up."""

SPREADS = 1.5
"""Pairs are alike from this many spreads (1.4826 MAD) above the median cosine of all pairs."""


def fresh(seen: Seen) -> Seen:
    """The same round with the last move of the global model projected out of every update.

    With a = <D, M> / |M|^2 what is left of D is D - a M; its inner products follow from those that were opened:
    <D_i - a_i M, D_j - a_j M> = <D_i, D_j> - a_i a_j |M|^2, and its help is helps_i - a_i moved_helps.
    """
    if seen.moved_norm2 <= 0.0:
        return seen
    along = seen.moved / seen.moved_norm2
    products = seen.products - np.outer(along, seen.moved)
    np.fill_diagonal(products, np.maximum(np.diag(products), 0.0))  # rounding may leave less than nothing
    return replace(
        seen,
        products=products,
        helps=seen.helps - along[:, None, None] * seen.moved_helps,
        moved=np.zeros_like(seen.moved),
        moved_helps=np.zeros_like(seen.moved_helps),
        moved_norm2=0.0,
    )


def novelty(seen: Seen) -> Floats:
    """float64[n], 0 to 1: how much of an update's squared length the last move does not explain; 0 for none."""
    before, after = np.diag(seen.products), np.diag(fresh(seen).products)
    left = np.divide(after, before, out=np.zeros(len(before)), where=before > 0)
    return np.asarray(np.clip(left, 0.0, 1.0), dtype=np.float64)


def shares(
    left: Seen,
    helps: Floats,
    admitted: npt.NDArray[np.bool_],
    rules: Rules,
    curvature: float = 0.0,
) -> Floats:
    """What part of a round's pot each site earns.

    left       the round without the last move, from `fresh`: its products and the order of commitments count
    helps      float64[n, s]; what each update without the last move gains on each stratum to first order, the
               evaluators combined: from `left.helps`
    admitted   bool[n]; who entered the move; nobody else earns or counts
    curvature  of the losses along a move, per square model unit; 0 if no evaluation is at hand
    returns    float64[n], >= 0; sum <= the rules' budgets. A stratum that nobody helps keeps its budget

    Raises Misuse if the shapes differ or an admitted site's numbers are not finite.
    """
    n = left.sites
    if helps.shape != (n, len(rules.budgets)) or admitted.shape != (n,):
        raise Misuse(f"shares: {helps.shape} helps and {admitted.shape} admitted for {n} sites")
    paid = np.zeros(n)
    seats = np.flatnonzero(admitted)
    if not len(seats):
        return paid
    products, gains = left.products[np.ix_(seats, seats)], helps[seats]
    if not (np.isfinite(products).all() and np.isfinite(gains).all()):
        raise Misuse("shares: an admitted site's products or helps are not finite")
    length = _lengths(products)
    shrink = np.minimum(1.0, np.divide(REACH * np.median(length), length, out=np.ones(len(seats)), where=length > 0))
    products, gains = products * np.outer(shrink, shrink), gains * shrink[:, None]
    alike = alikeness(products, rules.twin)
    for stratum, budget in enumerate(rules.budgets):
        earned = divided(worth(products, gains[:, stratum], curvature), alike, left.order[seats])
        if (total := float(earned.sum())) > 0:
            paid[seats] += budget * earned / total
    return paid


def worth(products: Floats, helps: Floats, curvature: float) -> Floats:
    """float64[n], >= 0: Shapley values in the round's game, at most what each would have among idle others."""
    harmonic = float((1.0 / np.arange(1, len(helps) + 1)).sum())
    among_idle = harmonic / len(helps) * np.maximum(helps, 0.0)
    return np.asarray(np.clip(quadratic(products, helps, curvature), 0.0, among_idle), dtype=np.float64)


def alikeness(products: Floats, twin: float) -> Floats:
    """How much of one site two sites are together: 1 for one and the same, 0 for a typical pair.

    products  float64[n, n]; inner products
    twin      cosine from which two updates are one and the same, in (0, 1]
    returns   float64[n, n]; the root of where the cosine lies between typical and `twin`, clipped to [0, 1]; diagonal 1

    Why the root: an update plus independent noise has r times its help, and two such have r^2 of cosine. k of them
    together earn k r / (1 + (k - 1) alike), which is at most 1 for alike = r, whatever the noise.
    """
    length = _lengths(products)
    scale = np.outer(length, length)
    cosine = np.divide(products, scale, out=np.zeros_like(products), where=scale > 0)
    pairs = cosine[np.triu_indices(len(length), 1)]
    typical = 0.0
    if len(pairs):
        middle = np.median(pairs)
        typical = float(np.clip(middle + SPREADS * 1.4826 * np.median(np.abs(pairs - middle)), 0.0, twin - 0.05))
    alike = np.sqrt(np.clip((cosine - typical) / (twin - typical), 0.0, 1.0))
    np.fill_diagonal(alike, 1.0)
    return alike


def divided(worth: Floats, alike: Floats, order: npt.NDArray[np.int64]) -> Floats:
    """Each site's part of what it and those alike are worth.

    worth    float64[n], >= 0
    alike    float64[n, n], as from `alikeness`
    order    int64[n]; when each committed to its update
    returns  float64[n], >= 0; at most `worth`. Sites that committed at once divide in proportion to worth; a later
             one leaves an earlier one whole and keeps what isn't alike
    """
    peak = float(worth.max(initial=0.0))
    if peak <= 0:
        return np.zeros_like(worth)
    earlier = order[:, None] > order  # [i, j]: j committed before i
    weight = worth / peak
    crowd = np.where(earlier.T, 0.0, alike) @ weight
    apart = 1.0 - np.where(earlier & (weight > 0), alike, 0.0).max(axis=1)
    part = np.divide(weight, crowd, out=np.zeros_like(worth), where=crowd > 0)
    return np.asarray(worth * part * apart, dtype=np.float64)


def _lengths(products: Floats) -> Floats:
    return np.sqrt(np.maximum(np.diag(products), 0.0))
