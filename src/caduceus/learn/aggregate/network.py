"""Networks that sort by comparing fixed pairs of places, cut down to the ranks that are wanted.

A network's comparisons do not depend on the values, so whole blocks of columns go through it at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Table = npt.NDArray[np.int32]
"""Comparisons in order, int32[m, 3]: place of the smaller, place of the larger, and which of them anybody needs."""

BOTH, SMALLER, LARGER = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of a sorted column of values.

    count        how many values
    first, last  ranks first..last - 1 are averaged
    closest      0; or how many of all values, those closest to the median, are averaged instead
    """

    count: int
    first: int
    last: int
    closest: int = 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """Afterwards the smaller value is at `low`, the larger at `high`.

    wanted  BOTH, or the only one that is needed: SMALLER, LARGER
    """

    low: int
    high: int
    wanted: int


@lru_cache(maxsize=64)
def network(count: int, first: int, last: int) -> tuple[Comparison, ...]:
    """The comparisons after which places first..last - 1 hold those ranks; other places hold anything.

    count        values, >= 1
    first, last  0 <= first < last <= count

    Merge exchange, walked backwards: a comparison that feeds no wanted place is left out, and one that feeds a
    single wanted place needs only its minimum or its maximum.
    Source: Batcher 1968; Knuth, The Art of Computer Programming 3, algorithm 5.2.2M.
    """
    wanted, kept = set(range(first, last)), []
    for low, high in reversed(_merge_exchange(count)):
        if low in wanted or high in wanted:
            need = BOTH if low in wanted and high in wanted else SMALLER if low in wanted else LARGER
            kept.append(Comparison(low, high, need))
            wanted |= {low, high}
    return tuple(reversed(kept))


def table(plan: Plan) -> Table:
    """The comparisons of a plan as numbers, for compiled code."""
    rows = [(each.low, each.high, each.wanted) for each in network(plan.count, plan.first, plan.last)]
    return np.array(rows, dtype=np.int32).reshape(-1, 3)


def _merge_exchange(count: int) -> list[tuple[int, int]]:
    top = 1 << max((count - 1).bit_length() - 1, 0)
    found, part = [], top
    while part and count > 1:
        jump, offset, gap = top, 0, part
        while True:
            found += [(place, place + gap) for place in range(count - gap) if place & part == offset]
            if jump == part:
                break
            gap, jump, offset = jump - part, jump >> 1, part
        part >>= 1
    return found
