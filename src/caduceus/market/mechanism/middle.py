"""Medians in which not everybody has the same say."""

from __future__ import annotations

import numpy as np

from caduceus.kinds import Floats

NORMAL = 1.4826
"""Median absolute deviations in a standard deviation, were the values normal."""


def middle(values: Floats, say: Floats) -> Floats:
    """Weighted medians along the last axis: the value at which half of the say is reached.

    values   float64[..., k]; NaN does not count
    say      float64, broadcast to `values`; >= 0
    returns  float64[...]; NaN where nobody has a say
    """
    values, say = np.broadcast_arrays(values, say)
    known = ~np.isnan(values) & (say > 0.0)
    order = np.argsort(np.where(known, values, np.inf), axis=-1, kind="stable")
    ranked = np.take_along_axis(values, order, axis=-1)
    reached = np.cumsum(np.take_along_axis(np.where(known, say, 0.0), order, axis=-1), axis=-1)
    half = reached[..., -1:] / 2.0
    at = np.argmax(reached >= half * (1.0 - 1e-12), axis=-1)
    found = np.take_along_axis(ranked, at[..., None], axis=-1)[..., 0]
    return np.where(known.any(axis=-1), found, np.nan)


def spread(values: Floats, say: Floats, least: float) -> float:
    """1.4826 weighted median absolute deviations of float64[k], `least` at least."""
    centre = middle(values, say)
    return max(float(np.nan_to_num(NORMAL * middle(np.abs(values - centre), say))), least)


def standing_out(values: Floats, say: Floats, least: float) -> Floats:
    """How many spreads each value lies from the median: float64[k]; 0 for everybody if nobody has a say."""
    return np.asarray(np.nan_to_num((values - middle(values, say)) / spread(values, say, least)))
