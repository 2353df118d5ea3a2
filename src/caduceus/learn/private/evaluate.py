"""How well a model predicts patients that it did not learn from, from a noisy histogram.

The patients that are held back are in no other sum, so their histogram has the whole epsilon for itself (parallel
composition). What a sum over sites' own AUROC would need is not asked for: one patient can change it by as much as all.
"""

from __future__ import annotations

import numpy as np

from caduceus.kinds import Floats
from caduceus.learn.evaluate import GROUPS, sigmoid
from caduceus.learn.rows import ROWS_LIMIT, SiteData
from caduceus.learn.state import Quality

BINS = 16
"""Equal parts of [-REACH, REACH] in log-odds, the outer ones without an end: more would each hold less than their
noise, fewer would tie more pairs."""

REACH = 4.0
"""Log-odds of 4 is a probability of 0.982."""

LENGTH = 2 * BINS
SENSITIVITY = 1.0
"""A patient's rows are in one class and bin each, and their shares add up to at most 1."""

BOUND = float(ROWS_LIMIT)


def contribute(site: SiteData, log_odds: Floats) -> Floats:
    """A site's histogram of predictions by class: float64[LENGTH].

    log_odds  float64[rows], NaN where a row is not judged

    Reveals, once summed with noise: the histogram over the judged patients of all sites, with differential privacy.
    """
    judged = ~np.isnan(log_odds)
    score, target = log_odds[judged], site.target[judged]
    shares = np.ones(len(score)) if site.patients is None else site.patients.shares[judged]
    place = ((np.clip(score, -REACH, REACH) + REACH) * (BINS / (2 * REACH))).astype(np.int64)
    place = np.minimum(place, BINS - 1)
    cell = place + BINS * target.astype(np.int64)
    return np.bincount(cell, weights=shares, minlength=LENGTH).astype(np.float64)


def combine(total: Floats, deviation: float) -> Quality:
    """Quality from the noisy histogram.

    total      float64[LENGTH]
    deviation  standard deviation of the noise in each entry, >= 0

    `auroc_error` is half the pairs that share a bin, and two standard errors of what noise does (delta method).
    Probabilities are those of a bin's middle.
    """
    histogram = total.reshape(1, 2, BINS)
    negatives, positives = histogram[0]
    n, p = (max(float(counts.sum()), 1.0) for counts in (negatives, positives))
    below = np.cumsum(negatives) - negatives / 2
    above = p - np.cumsum(positives) + positives / 2
    area = float(np.clip((positives @ below) / (n * p), 0.0, 1.0))
    ties = float(abs(positives @ negatives)) / (2 * n * p)
    slope = np.concatenate([(above / p - area) / n, (below / n - area) / p])
    error = min(1.0, ties + 2 * deviation * float(np.sqrt(slope @ slope)))
    middle = sigmoid((np.arange(BINS, dtype=np.float64) + 0.5) * (2 * REACH / BINS) - REACH)
    squared = float(negatives @ middle**2 + positives @ (1 - middle) ** 2) / (n + p)
    return Quality(
        rows=np.array([n + p]),
        auroc=np.array([area]),
        auroc_error=np.array([error]),
        brier=np.array([float(np.clip(squared, 0.0, 1.0))]),
        site_auroc=np.zeros(1),
        site_brier=np.zeros(1),
        sites=np.zeros(1),
        calibration=_calibration(negatives, positives, middle),
        histogram=histogram.copy(),
    )


def _calibration(negatives: Floats, positives: Floats, middle: Floats) -> Floats:
    group = np.minimum((middle * GROUPS).astype(np.int64), GROUPS - 1)
    both = np.maximum(negatives, 0.0), np.maximum(positives, 0.0)
    rows = np.bincount(group, weights=both[0] + both[1], minlength=GROUPS)
    predicted = np.bincount(group, weights=(both[0] + both[1]) * middle, minlength=GROUPS)
    true = np.bincount(group, weights=both[1], minlength=GROUPS)
    some = np.maximum(rows, 1.0)
    table = np.stack([rows, predicted / some, true / some], axis=1)
    return np.where(rows[:, None] >= 1.0, table, 0.0)[None]
