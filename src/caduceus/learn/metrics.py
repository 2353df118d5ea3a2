"""How good predicted probabilities are, on rows in one place: for a site's own report."""

from __future__ import annotations

import numpy as np

from caduceus.errors import Misuse
from caduceus.kinds import Floats


def auroc(target: Floats, score: Floats) -> float | None:
    """Chance that a random positive scores above a random negative; ties count half.

    target   float64[rows], 0 or 1
    score    float64[rows], finite; larger means more likely
    returns  0 to 1, or None without both classes

    Source: Mann and Whitney 1947, by mid-ranks.
    """
    _check(target, score)
    positives = int(target.sum())
    negatives = len(target) - positives
    if not positives or not negatives:
        return None
    _, place, count = np.unique(score, return_inverse=True, return_counts=True)
    middle = np.cumsum(count) - (count - 1) / 2  # mean of the ranks 1 .. rows that equal scores share
    above = float(middle[place] @ target) - positives * (positives + 1) / 2
    return above / (positives * negatives)


def brier(target: Floats, probability: Floats) -> float:
    """Mean squared error of predicted probabilities.

    target, probability  float64[rows], at least one row

    Raises Misuse if there are no rows.
    """
    _check(target, probability)
    if not len(target):
        raise Misuse("brier: no rows")
    return float(np.mean((probability - target) ** 2))


def calibration(target: Floats, probability: Floats, groups: int) -> Floats:
    """What was predicted beside what came true.

    target, probability  float64[rows]
    groups               how many equal parts of [0, 1] to sort predictions into, >= 1
    returns              float64[groups, 3]: rows, sum of probabilities, positives
    """
    _check(target, probability)
    part = np.minimum((probability * groups).astype(np.int64), groups - 1)
    columns = (None, probability, target)
    return np.stack([np.bincount(part, weights, minlength=groups) for weights in columns], axis=1)


def _check(target: Floats, score: Floats) -> None:
    if target.shape != score.shape or not np.isfinite(score).all() or not np.isin(target, (0.0, 1.0)).all():
        raise Misuse("metrics: wanted targets of 0 and 1 and as many finite scores")
