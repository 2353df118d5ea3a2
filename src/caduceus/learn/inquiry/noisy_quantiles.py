"""Quantiles from a histogram with noise in every bin."""

from __future__ import annotations

import numpy as np

from caduceus.kinds import Floats
from caduceus.learn.inquiry.noisy_means import Z95, Estimate


def rising(values: Floats) -> Floats:
    """The nearest sequence that never falls: half way between the highest so far and the lowest to come.

    values   float64[n]
    returns  float64[n]; no sequence that never falls has a smaller largest distance from `values` (Ubhaya 1974)
    """
    return (np.maximum.accumulate(values) + np.minimum.accumulate(values[::-1])[::-1]) / 2


def quantile(counts: Floats, edges: Floats, level: float, noise: float) -> Estimate:
    """Below which value a share of the patients lies.

    counts   float64[bins], patients per bin with noise
    edges    float64[bins + 1]
    level    the share, in (0, 1)
    noise    standard deviation of the noise per bin
    returns  the value by straight lines between edges. The interval ends at edges and covers noise, sampling (patients
             as independent draws) and the width of the bins; the error is a quarter, or 1 / 3.92, of the width of the
             interval that leaves sampling out

    With C the patients below an edge and N all of them, C - level * N has mean at most 0 at edges below the quantile
    and at least 0 at those above. Its noise has variance noise^2 * ((1 - level)^2 * bins below + level^2 * bins
    above), its sampling at the quantile N * level * (1 - level). The interval starts at the last edge before the first
    that is not surely below, and ends likewise: each end is wrong with a chance of at most 2.5 %.
    """
    bins = len(counts)
    below = np.concatenate([[0.0], np.cumsum(counts)])
    total = float(below[-1])
    excess = below - level * total
    k = np.arange(bins + 1)
    blur = noise * noise * ((1 - level) ** 2 * k + level**2 * (bins - k))
    sampling = max(total, 0.0) * level * (1 - level)
    low, high = _interval(excess, edges, np.sqrt(blur + sampling))
    near, far = _interval(excess, edges, np.sqrt(blur))
    value = _crossing(rising(excess), edges)
    return Estimate(value, (far - near) / (2 * Z95), min(low, value), max(high, value))


def _interval(excess: Floats, edges: Floats, spread: Floats) -> tuple[float, float]:
    first = int(np.argmax(np.append(excess >= -Z95 * spread, True)))
    last = len(excess) - 1 - int(np.argmax(np.append(excess[::-1] <= Z95 * spread[::-1], True)))
    return float(edges[max(first - 1, 0)]), float(edges[min(last + 1, len(edges) - 1)])


def _crossing(excess: Floats, edges: Floats) -> float:
    """Where a sequence that never falls passes zero; the middle, where it stays at zero for a while."""
    ends = []
    for i in (int(np.searchsorted(excess, 0.0, "left")), int(np.searchsorted(excess, 0.0, "right"))):
        if i == 0 or i == len(excess):
            ends.append(float(edges[min(i, len(excess) - 1)]))
            continue
        before, after = float(excess[i - 1]), float(excess[i])
        part = -before / (after - before)
        ends.append(float(edges[i - 1] + part * (edges[i] - edges[i - 1])))
    return (ends[0] + ends[1]) / 2
