"""Arithmetic modulo the Mersenne prime 2**31 - 1 on whole arrays.

Elements are uint64 in [0, P). A product of two is below 2**62, so four of them can be added before a
reduction. Branches depend on shapes only; that the processor's multiplications take constant time is not promised.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from caduceus.errors import Misuse

P = 2**31 - 1

Elements = npt.NDArray[np.uint64]
"""Residues modulo P, uint64."""

_P = np.uint64(P)
_MOST_TERMS = 1 << 20
_AT_ONCE = 1 << 18
"""Multiplications in one product of floats; from here on OpenBLAS wakes threads, which wait longer than they work."""


def multiply(one: Elements, other: Elements) -> Elements:
    """Entry by entry; broadcasts."""
    return np.asarray(one * other % _P)


def power(base: Elements, exponent: int) -> Elements:
    """Entry by entry, exponent >= 0, by squaring."""
    result = np.ones_like(base)
    while exponent:
        if exponent & 1:
            result = multiply(result, base)
        base = multiply(base, base)
        exponent >>= 1
    return result


def inverse(value: Elements) -> Elements:
    """Entry by entry, by Fermat's little theorem.

    Raises Misuse if an entry is zero.
    """
    if not value.all():
        raise Misuse("field: zero has no inverse")
    return power(value, P - 2)


def matmul(one: Elements, other: Elements) -> Elements:
    """Matrix product of shapes (n, k) and (k, m), k up to 2**20.

    Both factors are cut into halves of 16 and 15 bits and multiplied as float64, which numpy gives to the BLAS.
    Exact: a product of halves is below 2**32, a pair of middle ones together too, and 2**20 of them stay below
    2**53. With 2**32 = 2 (mod P) the parts are put together.

    Raises Misuse if k is larger.
    """
    terms = one.shape[1]
    if terms > _MOST_TERMS:
        raise Misuse(f"field: a product over {terms} terms may be inexact")
    rows = max(1, _AT_ONCE // max(1, terms * other.shape[1]))
    other_low, other_high = _halves(other)
    result = np.empty((len(one), other.shape[1]), np.uint64)
    for start in range(0, len(one), rows):
        low, high = _halves(one[start : start + rows])
        bottom, middle, top = low @ other_low, low @ other_high + high @ other_low, high @ other_high
        parts = [part.astype(np.uint64) % _P for part in (bottom, middle, top)]
        result[start : start + rows] = (parts[0] + (parts[1] << np.uint64(16)) + (parts[2] << np.uint64(1))) % _P
    return result


@lru_cache(maxsize=16)  # a function of public sizes, the same for every site and round
def vandermonde(points: int, terms: int) -> Elements:
    """Powers 0 .. terms - 1 of the points 1 .. `points`, as [points, terms]; read-only.

    A matrix product with it evaluates polynomials, constant term first, at those points.
    """
    at = np.arange(1, points + 1, dtype=np.uint64)
    columns = np.ones((terms, points), np.uint64)
    for k in range(1, terms):
        columns[k] = multiply(columns[k - 1], at)
    table = np.ascontiguousarray(columns.T)
    table.setflags(write=False)
    return table


def lagrange_at_zero(points: Elements) -> Elements:
    """Weights w with f(0) = sum of w[i] * f(points[i]) for every f of degree below len(points).

    points  [t], distinct and not zero

    Raises Misuse if a point is zero or stands twice.
    """
    difference = (points[None, :] + _P - points[:, None]) % _P  # [i, j] = x_j - x_i
    np.fill_diagonal(difference, 1)
    if not points.all() or not difference.all():
        raise Misuse("field: interpolation needs distinct points that are not zero")
    factors = np.where(np.eye(len(points), dtype=bool), np.uint64(1), points[None, :])
    return multiply(_product(factors), inverse(_product(difference)))


def _product(factors: Elements) -> Elements:
    """The product of every row, by halving."""
    while factors.shape[1] > 1:
        if factors.shape[1] % 2:
            factors = np.concatenate([factors, np.ones((len(factors), 1), np.uint64)], axis=1)
        half = factors.shape[1] // 2
        factors = multiply(factors[:, :half], factors[:, half:])
    return np.asarray(factors[:, 0])


def _halves(value: Elements) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    return (value & np.uint64(0xFFFF)).astype(np.float64), (value >> np.uint64(16)).astype(np.float64)
