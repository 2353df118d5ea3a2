"""Which cells of a table are not published: those about too few patients, and as many others as hide them.

This is a rule for what is put forward as an answer, the one that statistical offices and hospitals know (Hundepool et
al. 2012, "Statistical Disclosure Control", chapter 4). It does not protect the transcript: the sum with its noise is
public there, and anyone can compute every withheld cell's noisy count from it. What protects a patient there is the
noise. The rule is applied to noisy counts, so it costs no privacy, and a cell whose noise hides a smaller count may
pass it.

**Negative counts.** Noise can make a count negative. Nothing is clamped, because clamping would add patients to every
sum of cells; no negative count is ever published, since it is below any minimum.

**Withheld cells stay unknown.** A table is published with all its margins: a cell of the extended table has on each
axis a level or "all". On every line along an axis the levels add up to "all"; change the sign of each number once
per "all" in it, and every line adds up to zero. A box is a choice of two places on every axis, and its corners are
cells. Add +1 to the corners with an even number of second places and -1 to the others: each line meets a box in none of
its corners or in two of opposite sign, so every line still adds up to zero, and no cell off the box has changed. So
where all corners of a box are withheld, none of them is determined by what is published.                         (1)
`withheld` withholds cells until every one of them is a corner of such a box. It takes for each the box that costs the
fewest published patients; a greedy choice, so it may withhold more than the least.

That says exactly determined. That a withheld cell is small is told by withholding it, and two withheld cells whose sum
is published bound each other; the noise of the sum is in both. Other questions of the same analysis about the same
patients have noise of their own, so they give an estimate of a withheld cell, never its number.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from caduceus.kinds import Floats
from caduceus.learn.inquiry.cells import Mask

ROUNDING = 1e-3
"""Patients: by how much the rounding of the secure sum may take a whole count below itself."""


def enough(counts: Floats, minimum: int) -> Mask:
    """Which noisy counts are large enough to be published."""
    return counts > minimum - ROUNDING


def with_margins(counts: Floats) -> Floats:
    """The extended table: every axis has one more place, the sum over its levels.

    counts  float64[levels, ...], one to three axes
    """
    for axis in range(counts.ndim):
        counts = np.concatenate([counts, counts.sum(axis=axis, keepdims=True)], axis=axis)
    return counts


def withheld(extended: Floats, minimum: int) -> Mask:
    """Which cells of an extended table are not published: bool, of its shape.

    extended  as `with_margins` makes it
    minimum   the least count to be published

    No withheld cell is determined by the others, by (1).
    """
    hidden = ~enough(extended, minimum)
    cost = np.where(hidden, 0.0, extended)
    boxed = np.zeros_like(hidden)
    for place in sorted(zip(*np.nonzero(hidden), strict=True), key=lambda place: (float(extended[place]), place)):
        if not boxed[place]:
            corners = np.ix_(*zip(place, _cheapest_box(cost, place), strict=True))
            hidden[corners], boxed[corners], cost[corners] = True, True, 0.0
    return hidden


def _cheapest_box(cost: Floats, place: tuple[int, ...]) -> tuple[int, ...]:
    """The corner opposite to `place` in the box whose corners cost the least together."""
    price = np.zeros(cost.shape)
    for moved in product((False, True), repeat=cost.ndim):
        price += cost[tuple(slice(None) if m else slice(p, p + 1) for m, p in zip(moved, place, strict=True))]
    for axis, p in enumerate(place):
        price[(slice(None),) * axis + (p,)] = np.inf  # a box has two places on every axis
    return tuple(int(p) for p in np.unravel_index(price.argmin(), price.shape))
