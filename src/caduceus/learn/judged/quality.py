"""How well the last model predicts held-out rows, of everybody and of every stratum, from a weighted sum of counts."""

from __future__ import annotations

import numpy as np

from caduceus.errors import Refused
from caduceus.kinds import Floats
from caduceus.learn import evaluate
from caduceus.learn.judged.rows import JudgedData
from caduceus.learn.rows import SiteData
from caduceus.learn.state import Quality


def bound(views: int) -> float:
    """Largest Euclidean norm of a vector: per view a histogram, three columns of a table, and two means are at most 1
    long each, and four entries are at most one over the rows."""
    return 4.0 * float(np.sqrt(views))


def length(views: int) -> int:
    """Entries of the vector.

    views  everybody, and the strata
    """
    return evaluate.length(views)


def contribute(site: JudgedData, log_odds: Floats, strata: int) -> tuple[Floats, int]:
    """A site's histograms and sums over its held-out rows, divided by their number, and that number.

    log_odds  float64[rows], by the last model
    returns   float64[length(1 + strata)]

    Reveals, once summed with the weights of all sites: as `evaluate.contribute`, for everybody and for every stratum.

    Raises Refused if the site holds nothing back.
    """
    held = int(site.held.sum())
    if held == 0:
        raise Refused(f"site {site.label}: no rows are held out; it has too few to judge a model with")
    views = np.stack([site.held, *(site.held & (site.stratum == part) for part in range(strata))])
    judging = np.where(views, 1, -1).astype(np.int64)
    nobody = np.zeros((1, site.rows), dtype=np.bool_)
    data = SiteData(site.label, site.features, site.target, nobody, judging)
    scores = np.where(views, log_odds[None, :], np.nan)
    return evaluate.contribute(data, scores) / held, held


def combine(mean: Floats, views: int, rows: float) -> Quality:
    """Quality of every view.

    mean  float64[length], the weighted mean of the sites' vectors
    rows  how many rows stand behind it
    """
    return evaluate.combine(mean * rows, views)
