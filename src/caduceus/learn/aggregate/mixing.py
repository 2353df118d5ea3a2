"""Nearest-neighbour mixing: every update becomes the average of its nearest neighbours, then any rule follows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from caduceus.errors import Misuse, Refused
from caduceus.kinds import Floats
from caduceus.learn.aggregate.gram import between
from caduceus.learn.aggregate.selection import order


def neighbours(gram: Floats, faults: int, voices: Floats | None = None) -> Floats:
    """Each row's average of itself and the n - faults - 1 updates nearest to it, by voice: float64[n, n].

    Rows of those present sum to 1; rows and columns of those absent are 0. Ties: as in `selection`; a row is always
    its own first neighbour.

    Needs GRAM. Breakdown: fewer than half; with it any (f, kappa)-robust rule becomes optimal up to a constant.
    Raises Refused unless more than 2 * faults are present.
    Source: Allouah et al., Fixing by Mixing, AISTATS 2023, algorithm 2.
    """
    here, squares = between(gram, voices)
    if faults < 0:
        raise Misuse(f"mixing: faults are 0 or more, got {faults}")
    if here.count <= 2 * faults:
        raise Refused(f"mixing: {faults} faulty sites need at least {2 * faults + 1} present, {here.count} are")
    np.fill_diagonal(squares, -1.0)  # before any duplicate
    nearest = order(squares)[:, : here.count - faults]
    narrow = np.zeros((here.count, here.count))
    np.put_along_axis(narrow, nearest, here.voices[nearest], axis=1)
    wide = np.zeros((here.total, here.total))
    wide[np.ix_(here.rows, here.rows)] = narrow / narrow.sum(axis=1, keepdims=True)
    return wide


def mix(matrix: Floats, gram: Floats) -> Floats:
    """Inner products of mixed rows, M G M': float64[m, m].

    matrix  float64[m, n]; what has weight 0 everywhere may be not finite
    """
    used = np.flatnonzero(matrix.any(axis=0))
    narrow = matrix[:, used]
    return np.asarray(narrow @ gram[np.ix_(used, used)] @ narrow.T)


def mixed(gram: Floats, faults: int, rule: Callable[[Floats, Floats], Floats], voices: Floats | None = None) -> Floats:
    """Weights of the original rows, when a rule is applied to the mixed ones: float64[n].

    rule  inner products float64[n, n] and voices float64[n] of the mixed rows -> weights float64[n]; a mixed row
          speaks with one voice, since voices are in the mixing already; absent rows have none
    """
    matrix = neighbours(gram, faults, voices)
    exists = np.asarray(matrix.any(axis=1), dtype=np.float64)
    return np.asarray(rule(mix(matrix, gram), exists) @ matrix)
