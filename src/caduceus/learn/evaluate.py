"""The last round: how well the models predict rows that they did not learn from, from sums of counts.

Per repeat, each site sorts its judged rows into a histogram by class and predicted log-odds, and adds what else
sums up: squared errors, calibration counts, and its own AUROC and Brier score for the mean over sites.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from caduceus.kinds import Floats
from caduceus.learn import metrics
from caduceus.learn.rows import ROWS_LIMIT, SiteData
from caduceus.learn.state import Quality

BINS = 512
"""Equal parts of [-REACH, REACH] in log-odds, the outer ones without an end."""

REACH = 8.0
"""Log-odds of 8 is a probability of 0.99966."""

GROUPS = 10
"""Parts of [0, 1] in the calibration table."""

BOUND = float(ROWS_LIMIT)
"""Every entry counts a site's rows, or sums a value from [0, 1] over them."""

_EXTRA = 6  # rows, squared error, site AUROC, whether it has one, site Brier score, one per site


def length(repeats: int) -> int:
    """Entries of the vector."""
    return repeats * (2 * BINS + 3 * GROUPS + _EXTRA)


def contribute(site: SiteData, log_odds: Floats) -> Floats:
    """A site's histograms and sums: float64[length].

    log_odds  float64[repeats, rows], predicted by the fit that did not learn from the row; NaN where not judged

    Reveals, once summed: the histogram of predictions by class over the judged rows of all sites, their
    calibration, and the mean over sites of AUROC and Brier score. A bin may hold one patient, of no known site.
    """
    parts = []
    for repeat in range(len(log_odds)):
        judged = site.judging[repeat] >= 0
        score, target = log_odds[repeat, judged], site.target[judged]
        probability = sigmoid(score)
        place = np.clip(((score + REACH) * (BINS / (2 * REACH))).astype(np.int64), 0, BINS - 1)
        parts.append(np.bincount(place + BINS * target.astype(np.int64), minlength=2 * BINS).astype(np.float64))
        parts.append(metrics.calibration(target, probability, GROUPS).ravel())
        own = metrics.auroc(target, score)
        own_brier = metrics.brier(target, probability) if len(target) else 0.0
        error = own_brier * len(target)
        has_both, has_rows = float(own is not None), float(len(target) > 0)
        parts.append(np.array([len(target), error, own or 0.0, has_both, own_brier, has_rows]))
    return np.concatenate(parts)


def combine(total: Floats, repeats: int) -> Quality:
    """Quality of every repeat from the summed histograms.

    total  float64[length]
    """
    table = total.reshape(repeats, -1)
    histogram = table[:, : 2 * BINS].round().reshape(repeats, 2, BINS)
    groups = table[:, 2 * BINS : 2 * BINS + 3 * GROUPS].reshape(repeats, GROUPS, 3)
    rows, error, site_auroc, with_both, site_brier, sites = table[:, -_EXTRA:].T
    negatives, positives = histogram[:, 0], histogram[:, 1]
    pairs = np.maximum(negatives.sum(axis=1) * positives.sum(axis=1), 1.0)
    below = np.cumsum(negatives, axis=1) - negatives
    tied = (positives * negatives).sum(axis=1) / pairs
    counts = groups[:, :, :1].round()
    shares = np.where(counts > 0, groups[:, :, 1:] / np.maximum(counts, 1.0), 0.0)
    return Quality(
        rows=rows.round(),
        # Pairs in different bins are ordered as their bins are; in one bin, half of them on average.
        auroc=(positives * below).sum(axis=1) / pairs + tied / 2,
        auroc_error=tied / 2,
        brier=error / np.maximum(rows, 1.0),
        site_auroc=site_auroc / np.maximum(with_both, 1.0),
        site_brier=site_brier / np.maximum(sites, 1.0),
        sites=with_both.round(),
        calibration=np.concatenate([counts, shares], axis=2),
        histogram=histogram,
    )


@dataclass(frozen=True, slots=True, eq=False)
class OwnQuality:
    """How well one site's rows were predicted, for its own report; means over the repeats.

    rows         judged rows per repeat, as a mean
    auroc        over the repeats in which both classes were judged, None if there is none
    brier        None if no row was judged
    calibration  float64[groups, 3]: judged rows of all repeats, sum of probabilities, positives, for predictions in
                 equal parts of [0, 1]
    """

    rows: float
    auroc: float | None
    brier: float | None
    calibration: Floats


def own_quality(site: SiteData, log_odds: Floats) -> OwnQuality:
    """Judge predictions on a site's own rows.

    log_odds  float64[repeats, rows], NaN where not judged, such as `Program.judged` or `control.local` gives

    Reveals, if published: the site's own figures. They leave the site only if its steward says so.
    """
    areas, errors, counts = [], [], np.zeros((GROUPS, 3))
    for repeat in range(len(log_odds)):
        judged = ~np.isnan(log_odds[repeat])
        target, probability = site.target[judged], sigmoid(log_odds[repeat, judged])
        if len(target):
            areas.append(metrics.auroc(target, log_odds[repeat, judged]))
            errors.append(metrics.brier(target, probability))
            counts += metrics.calibration(target, probability, GROUPS)
    known = [area for area in areas if area is not None]
    return OwnQuality(
        rows=float(counts[:, 0].sum()) / max(len(log_odds), 1),
        auroc=float(np.mean(known)) if known else None,
        brier=float(np.mean(errors)) if errors else None,
        calibration=counts,
    )


def sigmoid(log_odds: Floats) -> Floats:
    """Probabilities from log-odds, without overflow."""
    tail = np.exp(-np.abs(log_odds))
    return np.where(log_odds >= 0, 1.0, tail) / (1.0 + tail)
