"""Arithmetic modulo the Mersenne prime 2**31 - 1 on whole arrays.

Elements are uint64 in [0, P). A product of two is below 2**62, so four of them can be added before a
reduction; nothing here depends on a value, only on shapes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from caduceus.errors import Misuse

P = 2**31 - 1

Elements = npt.NDArray[np.uint64]
"""Residues modulo P, uint64."""

_P = np.uint64(P)


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
    """Matrix product of shapes (n, k) and (k, m).

    The second factor is cut into 16-bit halves: products stay below 2**47, so up to 2**17 of them add up in
    uint64 without a reduction in between.
    """
    if one.shape[1] > 1 << 16:
        raise Misuse(f"field: a product over {one.shape[1]} terms could wrap")
    low, high = other & np.uint64(0xFFFF), other >> np.uint64(16)
    return np.asarray((one @ low % _P + (one @ high % _P) * np.uint64(1 << 16)) % _P)


def evaluate(coefficients: Elements, points: Elements) -> Elements:
    """Polynomials at points, by Horner's rule.

    coefficients  [degree + 1, m]: m polynomials, constant term first
    points        [n]
    returns       [n, m]
    """
    at = points[:, None]
    result = np.broadcast_to(coefficients[-1], (len(points), coefficients.shape[1])).copy()
    for row in coefficients[-2::-1]:
        result = (result * at + row) % _P
    return result


def lagrange_at_zero(points: Elements) -> Elements:
    """Weights w with f(0) = sum of w[i] * f(points[i]) for every f of degree below len(points).

    points  [t], distinct and not zero

    Raises Misuse if a point is zero or stands twice.
    """
    difference = (points[None, :] + _P - points[:, None]) % _P  # [i, j] = x_j - x_i
    np.fill_diagonal(difference, 1)
    if not points.all() or not difference.all():
        raise Misuse("field: interpolation needs distinct points that are not zero")
    numerator, denominator = np.ones_like(points), np.ones_like(points)
    for j in range(len(points)):
        factor = np.where(np.arange(len(points)) == j, np.uint64(1), points[j])
        numerator = multiply(numerator, factor)
        denominator = multiply(denominator, difference[:, j])
    return multiply(numerator, inverse(denominator))
