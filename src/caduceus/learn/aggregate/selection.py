"""Rules that keep some updates and average them: Krum, multi-Krum, the subset of smallest diameter.

All look at squared distances alone. Scores that differ by no more than a millionth are tied, and ties go to the
lowest seat: what a float32 product cannot tell apart must not decide who is paid.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from caduceus.errors import Misuse, Refused
from caduceus.kinds import Floats
from caduceus.learn.aggregate.gram import between
from caduceus.learn.aggregate.voices import Indices

TIE = 1e-6
"""Relative difference up to which two neighbouring scores are tied."""

BRANCHES = 50_000
"""How many branches the search for the smallest diameter may take: about a second."""


def order(scores: Floats) -> Indices:
    """Ranks along the last axis, smallest first; runs of tied scores in the order of their places.

    scores  float64[..., n], >= 0
    """
    by_score = np.argsort(scores, axis=-1, kind="stable")
    ascending = np.take_along_axis(scores, by_score, axis=-1)
    steps = np.diff(ascending, axis=-1) > TIE * ascending[..., 1:]
    runs = np.zeros(scores.shape, dtype=np.intp)
    np.cumsum(steps, axis=-1, out=runs[..., 1:])
    within = np.argsort(runs * scores.shape[-1] + by_score, axis=-1)
    return np.take_along_axis(by_score, within, axis=-1)


def _scores(squares: Floats, faults: int) -> Floats:
    """Sums of the k - faults - 2 smallest squared distances to others (at least one): float64[k]."""
    others = min(max(len(squares) - faults - 2, 1), len(squares) - 1)
    return np.asarray(np.sort(squares, axis=1)[:, 1 : others + 1].sum(axis=1))


def _enough(count: int, faults: int, least: int, rule: str) -> None:
    if faults < 0:
        raise Misuse(f"{rule}: faults are 0 or more, got {faults}")
    if count < least:
        raise Refused(f"{rule}: {faults} faulty sites need at least {least} present, {count} are; lower the faults")


def krum_scores(gram: Floats, faults: int, voices: Floats | None = None) -> Floats:
    """How far each update is from its nearest n - faults - 2 neighbours, as a sum of squares: smaller is better.

    gram     float64[n, n]
    faults   how many sites may be hostile, >= 0
    voices   as in `voices.present`
    returns  float64[n], squared model units; infinite for absent rows

    Raises Refused if fewer than 2 * faults + 3 are present.
    Source: Blanchard et al., Machine Learning with Adversaries, NIPS 2017, section 4.
    """
    here, squares = between(gram, voices)
    _enough(here.count, faults, 2 * faults + 3, "Krum")
    found = np.full(here.total, np.inf)
    found[here.rows] = _scores(squares, faults)
    return found


def krum(gram: Floats, faults: int, voices: Floats | None = None) -> Floats:
    """All weight to the update of the best Krum score: float64[n].

    Needs GRAM. Breakdown: fewer than half, n >= 2 * faults + 3. Raises and source: as `krum_scores`.
    """
    return multi_krum(gram, faults, keep=1, voices=voices)


def multi_krum(gram: Floats, faults: int, *, keep: int | None = None, voices: Floats | None = None) -> Floats:
    """The average, by voice, of the updates with the best Krum scores: float64[n].

    keep  how many, 1 to those present; None: all but `faults`

    Needs GRAM. Breakdown: fewer than half, n >= 2 * faults + 3; beyond keep = n - 2 * faults - 2 an attacker near the
    others can be among the kept.
    Raises and source: as `krum_scores` (section 5, multi-Krum).
    """
    here, squares = between(gram, voices)
    _enough(here.count, faults, 2 * faults + 3, "Krum")
    kept = here.count - faults if keep is None else keep
    if not 1 <= kept <= here.count:
        raise Misuse(f"multi-Krum: keep 1 to {here.count}, got {kept}")
    return here.average(order(_scores(squares, faults))[:kept])


def bulyan_selection(gram: Floats, faults: int, voices: Floats | None = None) -> Indices:
    """Bulyan's first step: n - 2 * faults rows, the best by Krum of those left, again and again: intp[m], ascending.

    Raises Refused if fewer than 4 * faults + 3 are present.
    Source: El Mhamdi et al., The Hidden Vulnerability of Distributed Learning in Byzantium, ICML 2018, section 4.
    """
    here, squares = between(gram, voices)
    _enough(here.count, faults, 4 * faults + 3, "Bulyan")
    left = np.arange(here.count)
    chosen = []
    for _ in range(here.count - 2 * faults):
        best = int(order(_scores(squares[np.ix_(left, left)], faults))[0]) if len(left) > 1 else 0
        chosen.append(left[best])
        left = np.delete(left, best)
    return np.asarray(here.rows[np.sort(chosen)])


def smallest_diameter(gram: Floats, faults: int, voices: Floats | None = None) -> Floats:
    """The average, by voice, of the n - faults updates whose largest distance is smallest (MDA): float64[n].

    Exact: at each candidate diameter, the pairs further apart are a graph, and the question is whether `faults` of
    its vertices touch all edges (vertex cover, by a bounded search tree). Several subsets often have the same
    diameter, as one pair decides it: then the first in the order of their sorted seats. Diameters (squared) within a
    millionth are tied.

    Needs GRAM. Breakdown: fewer than half, n >= 2 * faults + 1.
    Raises Refused if fewer than that are present, or if the search takes more than `BRANCHES` branches.
    Source: El Mhamdi et al., Genuinely Distributed Byzantine Machine Learning, PODC 2020, section 3.3.
    """
    here, squares = between(gram, voices)
    _enough(here.count, faults, 2 * faults + 1, "smallest diameter")
    search = _Search(faults)
    candidates = np.unique(squares)
    low, high = 0, len(candidates) - 1
    while low < high:
        middle = (low + high) // 2
        if search.possible(_far(squares, float(candidates[middle])), (1 << here.count) - 1, faults):
            high = middle
        else:
            low = middle + 1
    far = _far(squares, float(candidates[low]) * (1 + TIE))
    return here.average(np.array(search.first(far, here.count - faults), dtype=np.intp))


def _far(squares: Floats, limit: float) -> list[int]:
    """Per row, whose distance exceeds the limit, as a set of bits."""
    packed = np.packbits(squares > limit, axis=1, bitorder="little")
    return [int.from_bytes(row.tobytes(), "little") for row in packed]


class _Search:
    """A bounded search; counts its branches over all questions."""

    def __init__(self, faults: int) -> None:
        self._faults = faults
        self._branches = 0

    def first(self, far: Sequence[int], size: int) -> list[int]:
        """The first set of `size` rows, none far from another; there is one."""
        alive, chosen = (1 << len(far)) - 1, list[int]()
        for row in range(len(far)):
            bit = 1 << row
            if len(chosen) == size or not alive & bit:
                continue
            rest = alive & ~far[row]
            if self.possible(far, rest, rest.bit_count() - size):
                chosen.append(row)
                alive = rest
            else:
                alive &= ~bit
        return chosen

    def possible(self, far: Sequence[int], alive: int, spare: int) -> bool:
        """Whether leaving out `spare` of the rows in `alive` leaves no two far from each other."""
        if spare < 0:
            return False
        self._branches += 1
        if self._branches > BRANCHES:
            raise Refused(
                f"smallest diameter: more than {BRANCHES} branches for {len(far)} updates and {self._faults} faults; "
                "lower the faults or take another rule"
            )
        degrees = {row: (far[row] & alive).bit_count() for row in _rows(alive)}
        worst = max(degrees, key=degrees.__getitem__, default=-1)
        if worst < 0 or degrees[worst] == 0:
            return True
        if sum(degrees.values()) > 2 * spare * degrees[worst]:  # one row takes at most so many edges with it
            return False
        if degrees[worst] <= 2:
            return _chains(far, alive) <= spare
        neighbours = far[worst] & alive
        if self.possible(far, alive & ~(1 << worst), spare - 1):
            return True
        return self.possible(far, alive & ~(1 << worst) & ~neighbours, spare - degrees[worst])


def _rows(bits: int) -> list[int]:
    found = []
    while bits:
        low = bits & -bits
        found.append(low.bit_length() - 1)
        bits ^= low
    return found


def _chains(far: Sequence[int], alive: int) -> int:
    """How many rows must go where every row is far from two others at most: paths and rings."""
    needed = 0
    while alive:
        part = edge = alive & -alive
        edges = 0
        while edge:
            row = (edge & -edge).bit_length() - 1
            edge &= edge - 1
            fresh = far[row] & alive
            edges += fresh.bit_count()
            edge |= fresh & ~part
            part |= fresh
        size = part.bit_count()
        needed += size // 2 if edges // 2 < size else -(-size // 2)
        alive &= ~part
    return needed
