"""Kaplan-Meier curves and the log-rank test from counts per bin of time, with noise in every count.

Times are known up to their bin, so a curve is that of times rounded up to the next time of the grid: the estimator of
Kaplan and Meier 1958, in which a patient who is lost from sight at a time was at risk of an event at that time.

**What is published.** A curve and its numbers at risk start with the group's size. A later time of the grid is
published if at least `minimum` patients had left the risk set, by an event or otherwise, since the last published
time, and if at least so many were at risk before its bin; a number at risk must be at least `minimum` itself. So
nothing that is published is about fewer than `minimum` patients; how many of those who left had the event is told by
the curve, as any curve does. All by noisy counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from caduceus.kinds import Floats
from caduceus.learn.inquiry.cells import Mask
from caduceus.learn.inquiry.noisy_means import Z95
from caduceus.learn.inquiry.noisy_quantiles import rising
from caduceus.learn.inquiry.small_cells import enough


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A group's survival at every time of the grid, its start included: arrays of bins + 1.

    survival    float64 in [0, 1], never rises
    error       standard error from the noise alone
    low, high   95 % interval, noise and sampling
    shown       which of these are published; the others mean nothing
    at_risk     patients still under observation after the time, with noise
    risk_error  its standard error from the noise
    risk_shown  which of them are published
    """

    survival: Floats
    error: Floats
    low: Floats
    high: Floats
    shown: Mask
    at_risk: Floats
    risk_error: Floats
    risk_shown: Mask


def kaplan_meier(events: Floats, censored: Floats, noise: float, minimum: int) -> Curve:
    """One group's curve.

    events, censored  float64[bins], patients with noise
    noise             standard deviation of the noise in each
    minimum           see the module's docstring

    Survival is the product of (at risk - events) / at risk. A bin's negative count of events is left as it is and the
    product is made to fall afterwards: setting it to zero would add phantom events to every other bin. The band is
    log survival +- 1.96 * sqrt(Greenwood's variance, sum of events / (at risk * staying), plus that of the noise by
    the delta method), where a count enters every number at risk up to its own bin.
    """
    bins = len(events)
    at_risk = _at_risk(events + censored)
    usable = int(np.argmin(np.append(enough(at_risk[:-1], minimum), False)))
    n = at_risk[:usable]
    staying = n - events[:usable]
    # Where hardly anyone stays, errors are those for one patient, or for as many as the noise would hide.
    floored = np.maximum(staying, max(1.0, noise))
    spread = np.sqrt(_noise_variance(n, floored, bins)) * noise
    greenwood = np.maximum.accumulate(np.append(0.0, np.cumsum(events[:usable] / (n * floored))))[1:]
    survival = _product(staying / n)
    base = np.maximum(survival, _product(floored / n))
    reach = np.exp(np.minimum(Z95 * np.sqrt(spread**2 + greenwood), 700.0))
    shown = _shown(at_risk, usable, minimum)
    return Curve(
        survival=_padded(1.0, survival, bins),
        error=_padded(0.0, base * spread, bins),
        low=_padded(1.0, survival / reach, bins),
        high=_padded(1.0, np.minimum(base * reach, 1.0), bins),
        shown=shown,
        at_risk=at_risk,
        risk_error=noise * np.sqrt(2.0 * np.arange(bins, -1, -1)),
        risk_shown=shown & enough(at_risk, minimum),
    )


def log_rank(events: Floats, censored: Floats, noise: float, minimum: int) -> float | None:
    """The log-rank statistic of two groups (Mantel 1966): near a standard normal if both have the same survival.

    events, censored  float64[2, bins], patients with noise
    noise             standard deviation of the noise in each
    returns           positive if the first group has more events than it would have under one survival for both; None
                      if there are fewer than `minimum` events or patients in a group. Its variance has that of the
                      noise in it, by the delta method, besides the hypergeometric one
    """
    bins = events.shape[1]
    n1, n2 = _at_risk(events[0] + censored[0])[:-1], _at_risk(events[1] + censored[1])[:-1]
    usable = int(np.argmin(np.append(enough(n1, minimum) & enough(n2, minimum), False)))
    both = events[:, :usable].sum(axis=0)
    if not usable or not enough(both.sum(keepdims=True), minimum)[0]:
        return None
    n1, n2 = n1[:usable], n2[:usable]
    n = n1 + n2
    share = n1 / n
    excess = float((events[0, :usable] - both * share).sum())
    sampling = float((both * share * (1 - share) * (n - both) / np.maximum(n - 1, 1)).sum())
    first, second = _held(np.cumsum(both * n2 / n**2), bins), _held(np.cumsum(both * n1 / n**2), bins)
    here = np.append(share, np.zeros(bins - usable))
    own = np.append(1 - share, np.zeros(bins - usable))
    slopes = np.stack([own - first, second - here, -first, second])  # by events 1, events 2, censored 1, censored 2
    variance = max(sampling, 0.0) + noise * noise * float((slopes**2).sum())
    return excess / float(np.sqrt(variance)) if variance > 0 else None


def _at_risk(leaving: Floats) -> Floats:
    """float64[bins + 1]: before each bin, and after the last."""
    return np.append(np.cumsum(leaving[::-1])[::-1], 0.0)


def _noise_variance(n: Floats, staying: Floats, bins: int) -> Floats:
    """Variance of log survival after each usable bin for noise of deviation 1 in every count.

    Log survival after bin j is the sum over i <= j of log(staying_i) - log(n_i). An event in bin m is in n_i for
    i <= m and in staying_i for i < m; a censored patient of bin m is in both for i <= m.
    """
    dying = np.append(0.0, np.cumsum(1 / n))
    stays = np.append(0.0, np.cumsum(1 / staying))
    upto = np.minimum.outer(np.arange(len(n)), np.arange(bins)) + 1
    before = np.minimum.outer(np.arange(len(n)) + 1, np.arange(bins))
    slopes = np.stack([stays[before] - dying[upto], stays[upto] - dying[upto]])
    return np.asarray((slopes**2).sum(axis=(0, 2)), dtype=np.float64)


def _product(ratios: Floats) -> Floats:
    """The running product, made to fall; ratios far from [0, 1] come from noise alone."""
    running = np.cumprod(np.clip(ratios, 0.0, 2.0), dtype=np.float64)
    return np.clip(-rising(-running), 0.0, 1.0)


def _padded(start: float, values: Floats, bins: int) -> Floats:
    return np.concatenate([[start], values, np.zeros(bins - len(values))])


def _held(values: Floats, bins: int) -> Floats:
    return np.append(values, np.full(bins - len(values), values[-1]))


def _shown(at_risk: Floats, usable: int, minimum: int) -> Mask:
    shown = np.zeros(len(at_risk), dtype=np.bool_)
    shown[0] = enough(at_risk[:1], minimum)[0]
    last = float(at_risk[0])
    for j in range(1, usable + 1):
        if enough(last - at_risk[j : j + 1], minimum)[0]:
            shown[j], last = True, float(at_risk[j])
    return shown
