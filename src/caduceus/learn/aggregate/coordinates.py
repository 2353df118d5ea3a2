"""Rules that work coordinate by coordinate, so that they need the updates themselves: median, trimmed mean, Bulyan.

Columns go through a selection network (`network`) in blocks that stay in a core's cache. With the optional extra
`fast` the same steps run compiled (`compiled`): same comparisons, same order of additions, same bits.

One site, one vote: voices do not count here. A row that is not finite is absent.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from caduceus.errors import Misuse, Refused
from caduceus.kinds import Floats
from caduceus.learn.aggregate.gram import Rows, gram
from caduceus.learn.aggregate.network import BOTH, SMALLER, Plan, Table, network, table
from caduceus.learn.aggregate.selection import bulyan_selection
from caduceus.learn.aggregate.voices import Indices

_STEP = 8192
"""Columns of a block: long enough that numpy's calls cost less than their work."""

_WORTH_COMPILING = 1 << 18
"""Numbers from which compiled code is used: below, loading it takes longer than the work."""


Kernel = Callable[[Rows, Indices, Table, int, int, int, Rows], bool]
"""Rows, places, comparisons, first, last, closest, out: as `_columns`."""


@cache
def kernel() -> Kernel | None:
    """The compiled loop, or None without numba."""
    try:
        from caduceus.learn.aggregate.compiled import columns
    except ImportError:
        return None
    found: Kernel = columns
    return found


def median(rows: Rows) -> Rows:
    """The median of every coordinate; of an even number the mean of the middle two: [d].

    rows  float32[n, d] or float64[n, d]

    Needs OPEN. Breakdown: fewer than half.
    Raises Misuse if the rows are not such a matrix, Refused if none is finite.
    Source: Yin et al., Byzantine-Robust Distributed Learning, ICML 2018, definition 1.
    """
    return _each(rows, lambda count: Plan(count, (count - 1) // 2, count // 2 + 1))


def trimmed_mean(rows: Rows, faults: int) -> Rows:
    """The mean of every coordinate without its `faults` smallest and largest values: [d].

    Needs OPEN. Breakdown: fewer than half, n >= 2 * faults + 1.
    Raises as `median`, and Refused if fewer are present.
    Source: Yin et al., Byzantine-Robust Distributed Learning, ICML 2018, definition 2.
    """

    def plan(count: int) -> Plan:
        _enough(count, faults, "trimmed mean")
        return Plan(count, faults, count - faults)

    return _each(rows, plan)


def mean_around_median(rows: Rows, faults: int) -> Rows:
    """The mean of the values closest to the median, in every coordinate: [d].

    faults  all values but this many are averaged, >= 0; of two equally far from the median the larger goes first

    Needs OPEN. Breakdown: fewer than half, n >= 2 * faults + 1.
    Raises as `median`, and Refused if fewer are present.
    Source: Xie et al., Generalized Byzantine-tolerant SGD, 2018, definition 5; Bulyan's second step.
    """

    def plan(count: int) -> Plan:
        _enough(count, faults, "mean around median")
        return Plan(count, 0, count, count - faults)

    return _each(rows, plan)


def bulyan(rows: Rows, faults: int, voices: Floats | None = None) -> Rows:
    """Bulyan: n - 2 * faults updates chosen by repeated Krum, then the n - 4 * faults values around their median: [d].

    voices  who takes part: rows with 0 do not

    Needs OPEN. Breakdown: fewer than a quarter, n >= 4 * faults + 3.
    Raises Refused if fewer are present.
    Source: El Mhamdi et al., The Hidden Vulnerability of Distributed Learning in Byzantium, ICML 2018, section 4.
    """
    chosen = bulyan_selection(gram(rows), faults, voices)
    closest = len(chosen) - 2 * faults
    return _each(rows, lambda count: Plan(count, 0, count, closest), chosen)


def _enough(count: int, faults: int, rule: str) -> None:
    if faults < 0:
        raise Misuse(f"{rule}: faults are 0 or more, got {faults}")
    if count <= 2 * faults:
        raise Refused(f"{rule}: {faults} faulty sites need more than {2 * faults} present, {count} are")


def _each(rows: Rows, plan: Callable[[int], Plan], places: Indices | None = None) -> Rows:
    """Every column by the plan for as many rows as are present.

    places  rows to use; None: all
    """
    if rows.ndim != 2 or rows.dtype not in (np.float32, np.float64):
        raise Misuse(f"rows: expected a matrix of float32 or float64, got {rows.dtype}{list(rows.shape)}")
    if places is None:
        places = np.arange(len(rows))
    out = np.empty(rows.shape[1], rows.dtype)
    if len(places) and _columns(rows, places, plan(len(places)), out):
        return out
    places = places[[bool(np.isfinite(rows[place]).all()) for place in places]]
    if not len(places):
        raise Refused("nobody to aggregate: every row is absent or not finite")
    _columns(rows, places, plan(len(places)), out)
    return out


def _columns(rows: Rows, places: Indices, plan: Plan, out: Rows) -> bool:
    """Fill `out`; whether all values were finite for sure (else `out` is only right if they were all the same)."""
    fast = kernel() if rows.size >= _WORTH_COMPILING else None
    if fast is not None:
        return bool(fast(rows, places, table(plan), plan.first, plan.last, plan.closest, out))
    scratch = np.empty((plan.count + 1, min(_STEP, rows.shape[1])), rows.dtype)
    sure = True
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, rows.shape[1], _STEP):
            into = out[start : start + _STEP]
            block = scratch[:, : len(into)]
            for lane, place in enumerate(places):
                block[lane] = rows[place, start : start + _STEP]
            sure = sure and bool(np.isfinite(block[:-1].sum(axis=1)).all())
            ranks = _sorted(block, plan)
            if plan.closest:
                ranks = _closest(ranks, plan.closest)
            np.add(ranks[0], 0, out=into)
            for rank in ranks[1:]:
                into += rank
            into /= len(ranks)
    return sure


def _sorted(block: Rows, plan: Plan) -> list[Rows]:
    """The wanted ranks of the block's columns; its last row is spare."""
    *lanes, spare = block
    for each in network(plan.count, plan.first, plan.last):
        low, high = lanes[each.low], lanes[each.high]
        if each.wanted == BOTH:
            np.minimum(low, high, out=spare)
            np.maximum(low, high, out=high)
            lanes[each.low], spare = spare, low
        elif each.wanted == SMALLER:
            np.minimum(low, high, out=low)
        else:
            np.maximum(low, high, out=high)
    return lanes[plan.first : plan.last]


def _closest(ranks: list[Rows], size: int) -> list[Rows]:
    """The `size` ranks closest to the median, in no order: the run of ranks that starts at s, as they are sorted.

    Rank s is out, and rank s + size in, if the latter is closer: x[s + size] - median < median - x[s], which is tested
    as x[s] + x[s + size] < 2 median. No sum is ever moved along by adding and subtracting: one huge value would leave
    its rounding in it.
    """
    count = len(ranks)
    twice = ranks[(count - 1) // 2] + ranks[count // 2]
    found = ranks[:size]
    for s in range(count - size):
        further = ranks[s] + ranks[s + size] < twice
        found[s % size] = np.where(further, ranks[s + size], found[s % size])
    return found
