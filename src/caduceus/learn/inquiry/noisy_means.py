"""Mean and deviation from three sums with noise, in units of half the public range around its middle."""

from __future__ import annotations

import math
from dataclasses import dataclass

Z95 = 1.959963984540054
"""Standard deviations on each side of a 95 % interval."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with noise.

    error      standard error from the noise alone
    low, high  95 % interval
    """

    value: float
    error: float
    low: float
    high: float


def mean(count: float, total: float, noise: float, variance: float) -> Estimate:
    """The mean of numbers in [-1, 1].

    count, total  sums of 1 and of x over patients, count > 0
    noise         standard deviation of the noise in each of the two
    variance      of x among patients if the interval is to cover sampling as well; 0 if not

    The interval is Fieller's (1954): it holds every m for which total - m * count is within 1.96 of its own standard
    deviations from zero. Unlike a plain quotient's it keeps its coverage where the noise is as large as the count, and
    is then wide.
    """
    m = min(max(total / count, -1.0), 1.0)
    error = noise * math.hypot(1.0, m) / count
    a = count * count - (Z95 * noise) ** 2
    c = total * total - Z95**2 * (noise * noise + count * variance)
    inside = (total * count) ** 2 - a * c
    if a <= 0 or inside < 0:  # no m can be ruled out by so much noise
        return Estimate(m, error, -1.0, 1.0)
    reach = math.sqrt(inside)
    low, high = ((total * count - reach) / a, (total * count + reach) / a)
    return Estimate(m, error, min(max(low, -1.0), m), max(min(high, 1.0), m))


def deviation(count: float, total: float, squares: float, noise: float) -> Estimate:
    """The standard deviation of numbers in [-1, 1], with `count` as the divisor.

    squares  sum of x * x over patients; count, total and noise as for `mean`

    The error is the delta method's, for the variance; its interval covers the noise alone.
    """
    m, q = total / count, squares / count
    m, q = min(max(m, -1.0), 1.0), min(max(q, 0.0), 1.0)
    variance = max(q - m * m, 0.0)
    spread = noise / count * math.sqrt(1.0 + 4 * m * m + (2 * m * m - q) ** 2)
    value = math.sqrt(variance)
    low, high = math.sqrt(max(variance - Z95 * spread, 0.0)), math.sqrt(min(variance + Z95 * spread, 1.0))
    # Near zero the root is steep: there the error of the root is that of a variance as large as its own error.
    error = spread / (2 * max(value, math.sqrt(spread))) if spread else 0.0
    return Estimate(value, error, low, high)
