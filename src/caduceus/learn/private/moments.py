"""Round 0 of a private job: counts, means and deviations from one sum that noise is added to.

The same moments as `moments` finds, from a vector made for noise: every entry is centred, so that a patient
moves the sum by little whatever the record holds, and a column of zeros and ones sends no squares, since
there x^2 = x. The sum is read with its noise in mind: counts are kept in their range, the outcome rate is drawn
towards a half by as much as noise could have moved it, and no deviation is believed to be smaller than noise
allows.

Where a patient has several rows, each row's share is in (0, 1] and a patient's shares add up to at most 1. A row's
vector is bounded before it is weighted by its share, so a patient's vector is bounded as one row's is (convexity).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from caduceus.data.schema import BOOLEAN, CATEGORY, Schema
from caduceus.errors import Misuse
from caduceus.kinds import Floats
from caduceus.learn.design import Design
from caduceus.learn.rows import ROWS_LIMIT, SiteData
from caduceus.learn.state import Moments

Flags = npt.NDArray[np.bool_]

ABSENCE = 0.25
"""How large the entry is that counts gaps: small, as a share of gaps needs no more precision than a tenth."""

PSEUDO_ROWS = 1.0
"""Rows of an even outcome that are added per unit of noise, so that the rate of few rows is not read off noise."""

LEAST_VARIANCE = 1e-4
"""In squared half-ranges: no column is stretched more than a hundredfold."""


def zero_one(design: Design, schema: Schema) -> Flags:
    """Which measured columns hold zeros and ones only: bool[measured]."""
    return np.array([schema.column(name).kind in (BOOLEAN, CATEGORY) for name in design.source], dtype=np.bool_)


def length(binary: Flags, fits: int) -> int:
    """Entries of the vector: per fit 2, two per measured column and one more per column that is not zeros and ones."""
    return fits * _block(binary)


def sensitivity(binary: Flags, fits: int) -> float:
    """By how much, in Euclidean length, the sum moves at most if one patient comes or goes.

    A row adds 1 to the count and +-1/2 for its target; +-1/4 per column for a gap or none; at most 1/2 for a column
    of zeros and ones; and (x, x^2 - 1/2) with x in [-1, 1] for another, whose square length is x^4 + 1/4 <= 5/4.
    A gap adds 0 instead of these. So a row's square length is at most
    5/4 + measured / 16 + zero-one columns / 4 + 5 other columns / 4, a patient's likewise (shares add up to at most
    1), and fits repeat the vector at most.
    """
    columns = ABSENCE**2 * len(binary) + np.where(binary, 0.25, 1.25).sum()
    return float(np.sqrt(fits * (1.25 + columns)))


def bound() -> float:
    """Every entry of a site's vector lies in [-bound, bound]: a sum over rows of at most 1 each."""
    return float(ROWS_LIMIT)


def contribute(binary: Flags, site: SiteData, shares: Floats) -> Floats:
    """A site's vector, before noise: float64[length].

    shares  float64[rows] in (0, 1]; a patient's add up to at most 1

    Reveals, once summed and noised: as much as its Gaussian mechanism says; without noise the same as
    `moments.contribute`.
    """
    check_shares(shares, site.rows)
    gap = np.isnan(site.features)
    # The clip is what the proof of `sensitivity` rests on; honest data do not need it.
    value = np.clip(site.features, np.where(binary, 0.0, -1.0), 1.0)
    square = value[:, ~binary] ** 2 - 0.5
    value = np.where(binary, value - 0.5, value)
    columns = np.hstack(
        [
            np.ones((site.rows, 1)),
            np.clip(site.target, 0.0, 1.0)[:, None] - 0.5,
            np.where(gap, ABSENCE, -ABSENCE),
            np.where(gap, 0.0, value),
            np.where(gap[:, ~binary], 0.0, square),
        ]
    )
    return np.ravel((site.learning * shares) @ columns)


def combine(design: Design, binary: Flags, total: Floats, noise: float) -> Moments:
    """The moments that a noisy sum tells of; never fails, however large the noise.

    total    float64[length], the sum over all sites with its noise
    noise    standard deviation of the noise in each entry, model units, >= 0
    returns  rows is the count but at least 1 and at least `noise`; positives has the drawn rate; a deviation is at
             least sqrt(noise / rows), so a mean that is off by one standard deviation of its noise moves a
             standardised column by no more than that root. Without noise these are the exact moments, but for
             deviations below a hundredth of the half-range
    """
    width = len(binary)
    table = total.reshape(-1, _block(binary))
    rows = np.maximum(table[:, 0], max(noise, 1.0))
    positives = np.clip(table[:, 1] + rows / 2, 0.0, rows)
    pseudo = PSEUDO_ROWS * noise
    rate = (positives + pseudo / 2) / (rows + pseudo)
    least = 1.0 / (rows + 2.0)  # rows >= 1, so log-odds of the rate are finite
    rate = np.clip(rate, least, 1.0 - least)

    absent = np.clip((table[:, 2 : 2 + width] / ABSENCE + rows[:, None]) / (2 * rows[:, None]), 0.0, 1.0)
    present = np.maximum((1.0 - absent) * rows[:, None], 1.0)
    sums = table[:, 2 + width : 2 + 2 * width] / present
    mean = np.where(binary, np.clip(sums + 0.5, 0.0, 1.0), np.clip(sums, -1.0, 1.0))
    second = mean.copy()  # zeros and ones are their own squares
    second[:, ~binary] = np.clip(table[:, 2 + 2 * width :] / present[:, ~binary] + 0.5, 0.0, 1.0)
    # Gaps are filled with the mean, so they add nothing to the squared deviations but count as rows.
    variance = (second - mean * mean) * (1.0 - absent)
    shares = absent[:, design.indicators]
    mean = np.hstack([mean, shares])
    variance = np.hstack([variance, shares * (1.0 - shares)])
    floor = np.clip(noise / rows, LEAST_VARIANCE, 1.0)[:, None]
    return Moments(rows, rate * rows, mean, np.sqrt(np.clip(variance, floor, 1.0)))


def check_shares(shares: Floats, rows: int) -> None:
    """Refuse shares for which no bound on a patient holds.

    Raises Misuse.
    """
    if shares.shape != (rows,) or not bool(((shares > 0) & (shares <= 1)).all()):
        raise Misuse(f"shares: wanted one number in (0, 1] for each of {rows} rows")


def _block(binary: Flags) -> int:
    return 2 + 2 * len(binary) + int((~binary).sum())
