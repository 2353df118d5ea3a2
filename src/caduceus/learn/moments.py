"""Round 0: how the columns are distributed over all sites, so that every site standardises alike.

Per fit: rows, positives, and per measured column how many values are present, their sum and their sum of
squares. From these come the mean, which fills gaps, and the standard deviation after filling: the same as
if all rows lay in one table. An indicator of absence needs no sums of its own: its mean is the share of
gaps.
"""

from __future__ import annotations

import numpy as np

from caduceus.errors import Refused
from caduceus.kinds import Floats
from caduceus.learn.design import Design
from caduceus.learn.rows import ROWS_LIMIT, SiteData
from caduceus.learn.state import Moments

BOUND = float(ROWS_LIMIT)
"""Each entry sums at most `ROWS_LIMIT` values from [-1, 1]."""

FLOAT_NOISE = 1e-13
"""A variance below this, in squared half-ranges, may be the rounding of float64 and counts as none."""


def length(design: Design, fits: int) -> int:
    """Entries of the vector: fits * (2 + 3 * measured columns)."""
    return fits * (2 + 3 * design.measured)


def contribute(site: SiteData) -> Floats:
    """A site's counts and sums: float64[fits * (2 + 3 * measured)].

    Reveals, once summed: the size, the outcome rate and the mean and variance of each column, over all sites
    together, for all rows and for the rows of each fit; the difference of two fits tells the same of the rows that
    one of them leaves out.
    """
    present = ~np.isnan(site.features)
    values = np.where(present, site.features, 0.0)
    ones = np.ones((site.rows, 1))
    columns = np.hstack([ones, site.target[:, None], present, values, values * values])
    return np.ravel(site.learning.astype(np.float64) @ columns)


def combine(design: Design, total: Floats, noise: float) -> Moments:
    """Means and deviations from the summed vectors.

    total  float64[length]
    noise  by how much any entry may be off: the rounding of all parties together; a variance that this could
           explain counts as none

    Raises Refused if a fit has no rows or its target is constant.
    """
    width = design.measured
    table = total.reshape(-1, 2 + 3 * width)
    rows, positives = table[:, 0].round(), table[:, 1].round()
    if (rows < 1).any():
        raise Refused("the sites together bring no rows for some fit; invite more sites or use fewer folds")
    if ((positives < 1) | (positives > rows - 1)).any():
        raise Refused(f"target {design.target} is constant over all sites' rows of some fit: nothing to learn")
    count = table[:, 2 : 2 + width].round()
    first, second = table[:, 2 + width : 2 + 2 * width], table[:, 2 + 2 * width :]
    mean = first / np.maximum(count, 1)
    # Gaps are filled with the mean, so they add nothing to the squared deviations but count as rows.
    variance = (second - mean * first) / rows[:, None]
    absent = 1 - count[:, design.indicators] / rows[:, None]
    mean = np.hstack([mean, absent])
    variance = np.hstack([variance, absent * (1 - absent)])
    # |mean| <= 1, so the variance is off by at most 3 * noise / rows, besides the rounding of float64 itself.
    floor = np.maximum(FLOAT_NOISE, 4 * noise / rows)[:, None]
    deviation = np.where(variance > floor, np.sqrt(np.maximum(variance, 0.0)), 1.0)
    return Moments(rows, positives, mean, deviation)


def standardise(design: Design, moments: Moments, features: Floats, fit: int) -> Floats:
    """The matrix that a fit sees.

    features  float64[rows, measured], scaled, NaN where missing
    returns   float64[rows, width]: gaps filled, indicators of absence appended, all columns with mean 0 and
              deviation 1 over the fit's training rows of all sites
    """
    width = design.measured
    mean, deviation = moments.mean[fit], moments.deviation[fit]
    matrix = np.empty((len(features), design.width))
    np.subtract(features, mean[:width], out=matrix[:, :width])
    if design.indicators:
        matrix[:, width:] = np.isnan(features[:, design.indicators]) - mean[width:]
    np.nan_to_num(matrix, copy=False)
    matrix /= deviation
    return matrix
