"""What is computed of a row does not depend on how many other rows there are.

A product of matrices rounds a row's result by one unit more or less with the number of rows, because kernels treat the
last rows apart. Weights that somebody chose could amplify that unit until the row's gradient turns round, or the row
falls into another bin: then a patient would change what is computed of others, and no bound on one patient holds. So
rows are computed in blocks that all have the same shape, the last one filled up with zeros: a row's place in a block
changes nothing (`tests/learn/test_private_alone.py` looks), and how many rows there are does not show in memory either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from caduceus.kinds import Floats

BLOCK = 256
"""Rows."""


def blocks(rows: int) -> Iterator[slice]:
    """The places of the rows, block by block."""
    return (slice(start, min(start + BLOCK, rows)) for start in range(0, rows, BLOCK))


def filled(part: Floats) -> Floats:
    """A part of an array's rows, filled up with zeros to a whole block."""
    if len(part) == BLOCK:
        return part
    whole = np.zeros((BLOCK, *part.shape[1:]))
    whole[: len(part)] = part
    return whole


def each(compute: Callable[[Floats], Floats], matrix: Floats) -> Floats:
    """A number per row, whoever else is there.

    compute  float64[BLOCK, columns] -> float64[BLOCK]
    matrix   float64[rows, columns]
    returns  float64[rows]
    """
    found = np.empty(len(matrix))
    for place in blocks(len(matrix)):
        found[place] = compute(filled(matrix[place]))[: place.stop - place.start]
    return found
