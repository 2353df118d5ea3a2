"""Inner products of updates that are visible, squared distances from inner products, and weighted sums.

Where updates are not visible the same matrix comes out of the aggregators' shares, and everything else is equal.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from caduceus.errors import Misuse
from caduceus.kinds import Floats, Singles
from caduceus.learn.aggregate.voices import Present, present

Rows = Singles | Floats
"""Updates, one per row: float32[n, d] or float64[n, d], model units."""

_ROOM = 1 << 22
"""Bytes of a block of columns: it stays in the cache while it is shifted and multiplied."""


_NOISE = 2.0**-44

_FEW = 64
"""Rows up to which compiled products are faster than the linear algebra library's."""

_WORTH_COMPILING = 1 << 18
"""Numbers from which compiled code is used: below, loading it takes longer than the work."""


def width(rows: Rows) -> int:
    """How many columns make a block."""
    return min(max(_ROOM // (rows.itemsize * max(len(rows), 1)) & ~63, 512), 16384)


def gram(rows: Rows) -> Floats:
    """Inner products of all pairs of rows, computed in the rows' precision and summed in float64.

    rows     float32[n, d] or float64[n, d]; not changed
    returns  float64[n, n], symmetric; a row that is not finite, or too long for its precision, makes its own row
             and column not finite and no others

    What all updates have in common would drown their distances in a float32 product: 24 bits of |x|^2 leave nothing
    of |x - y|^2 where x is near y. So every block of columns is taken relative to one of its rows r, and with
    y = x - r the product is <x, x'> = <y, y'> + <y, r> + <y', r> + <r, r>, where the last three terms are added in
    float64 and cancel in a distance. A far-away r would do the harm that it is to prevent, so r is a row of about
    median length in the block: fewer than half of the rows cannot make that longer than all honest ones.

    Raises Misuse if the rows are not a matrix of float32 or float64.
    """
    if rows.ndim != 2 or rows.dtype not in (np.float32, np.float64):
        raise Misuse(f"rows: expected a matrix of float32 or float64, got {rows.dtype}{list(rows.shape)}")
    count, length = rows.shape
    step = width(rows)
    total = np.zeros((count, count))
    scratch = np.empty(count * min(step, length), rows.dtype)
    products = _products() if count <= _FEW and rows.size >= _WORTH_COMPILING else None
    at = 0
    with np.errstate(over="ignore", invalid="ignore"):  # such rows are absent: `present`
        for start in range(0, length, step):
            block = rows[:, start : start + step]
            shifted = scratch[: block.size].reshape(block.shape)
            product = _relative(block, at, shifted, products)
            if not _fits(product, at):
                at = _median_length(block)
                product = _relative(block, at, shifted, products)
            total += product
    return total


Products = Callable[[Rows, Floats], None]
"""Rows [n, d], out float64[n, n]: fills `out` with their inner products."""


@cache
def _products() -> Products | None:
    """Compiled products, or None without numba."""
    try:
        from caduceus.learn.aggregate.compiled import products
    except ImportError:
        return None
    found: Products = products
    return found


def _relative(block: Rows, at: int, shifted: Rows, products: Products | None) -> Floats:
    """Inner products of a block by way of row `at`; `shifted` is scratch of the block's shape."""
    middle = block[at]
    np.subtract(block, middle, out=shifted)
    along = (shifted @ middle).astype(np.float64)
    if products is None:
        product = (shifted @ shifted.T).astype(np.float64)
    else:
        product = np.empty((len(block), len(block)))
        products(shifted, product)
    product += along[:, None] + (along + float(middle @ middle))
    return product


def _fits(product: Floats, at: int) -> bool:
    """Whether row `at` is no longer than twice the median: one that was chosen for an earlier block mostly is not.

    Rounding cannot hide one that is far longer: then it is some 1e-7 of that row's square, and the median is that.
    """
    squares = np.diagonal(product)
    finite = squares[np.isfinite(squares)]
    return bool(len(finite)) and float(product[at, at]) <= 4 * float(np.median(finite))


def _median_length(block: Rows) -> int:
    squares = np.einsum("ij,ij->i", block, block)
    finite = np.isfinite(squares)
    ranks = np.argsort(np.where(finite, squares, np.inf), kind="stable")
    known = int(np.count_nonzero(finite))
    return int(ranks[max(known - 1, 0) // 2])


def distances(gram: Floats) -> Floats:
    """Squared distances from inner products: float64[n, n], symmetric, none negative, 0 on the diagonal.

    A distance that the rounding of float64 could have made (squared, below 2^-44 of the squared lengths) is 0, so that
    copies are at the same place.
    """
    own = np.diagonal(gram)
    both = own[:, None] + own
    found: Floats = both - (gram + gram.T)
    found[found <= _NOISE * both] = 0.0
    np.fill_diagonal(found, 0.0)
    return found


def between(gram: Floats, voices: Floats | None = None) -> tuple[Present, Floats]:
    """Who takes part, and their squared distances: float64[k, k]."""
    here = present(gram, voices)
    return here, distances(here.of(gram))


def apply(weights: Floats, rows: Rows) -> Rows:
    """The weighted sum of rows, in their precision: [d].

    weights  float64[n]; rows of weight 0 are not looked at, so what is not finite there does no harm

    Raises Misuse if there is not one weight per row.
    """
    if weights.shape != (len(rows),):
        raise Misuse(f"weights: {weights.shape} for {len(rows)} rows")
    summed: Rows = mixed_rows(weights[None, :], rows)[0]
    return summed


def mixed_rows(matrix: Floats, rows: Rows) -> Rows:
    """Several weighted sums of rows: [m, d].

    matrix  float64[m, n]; rows of weight 0 in all sums are not looked at
    """
    used = np.flatnonzero(matrix.any(axis=0))
    factors = matrix[:, used].astype(rows.dtype)
    out: Rows = np.zeros((len(matrix), rows.shape[1]), rows.dtype)
    if len(used) == len(rows):
        return np.matmul(factors, rows, out=out)
    step = width(rows)
    for start in range(0, rows.shape[1], step):
        block = slice(start, start + step)
        np.matmul(factors, rows[used, block], out=out[:, block])
    return out
