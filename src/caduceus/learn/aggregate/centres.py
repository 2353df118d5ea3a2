"""Rules that seek a centre: the geometric median and centred clipping, as coefficients of the updates.

A centre is always sum of c_i x_i with sum of c_i = 1, so its squared distance to x_j is (D c)_j - c'Dc / 2, with D the
squared distances: no vector of d numbers is ever needed.
"""

from __future__ import annotations

import numpy as np

from caduceus.errors import Misuse
from caduceus.kinds import Floats
from caduceus.learn.aggregate.gram import between, distances
from caduceus.learn.aggregate.voices import present

_STEPS = 10_000
_MOVED = 1e-10
_SMOOTH = 1e-9


def _off(along: Floats, coefficients: Floats) -> Floats:
    """Distances of all rows from a centre, with `along` = D c: float64[k]."""
    return np.sqrt(np.maximum(along - 0.5 * float(coefficients @ along), 0.0))


def geometric_median(gram: Floats, voices: Floats | None = None) -> Floats:
    """The point with the smallest sum of distances to all updates, weighted by voice: float64[n], sum 1.

    First every update is asked whether it is the median itself (the pull of all others on it is not longer than its
    own voice); Weiszfeld's steps would only creep towards it. Else they are repeated until a step moves the centre by
    less than 1e-10 of the mean distance. Distances under 1e-9 of the mean distance count as that (smoothing).

    Needs GRAM. Breakdown: fewer than half, by voice.
    Source: Weiszfeld 1937; Vardi and Zhang, The multivariate L1-median, PNAS 2000, (2.6); smoothing: Pillutla et al.,
    Robust Aggregation for Federated Learning, IEEE TSP 2022, algorithm 2.
    """
    here, squares = between(gram, voices)
    voices = here.voices
    apart = np.sqrt(squares)
    if not apart.any():
        return here.spread(voices)
    at = _itself(squares, apart, voices)
    if at is not None:
        alike = np.where(apart[at] == 0.0, voices, 0.0)
        return here.spread(alike / alike.sum())
    weights, along = voices, squares @ voices
    for _ in range(_STEPS):
        off = _off(along, weights)
        scale = float(voices @ off)
        pulls = voices / np.maximum(off, _SMOOTH * scale)
        before, weights = weights, pulls / pulls.sum()
        before_along, along = along, squares @ weights
        # |X step|^2, as the step's entries sum to 0
        moved = -0.5 * float((weights - before) @ (along - before_along))
        if moved <= (_MOVED * scale) ** 2:
            break
    return here.spread(weights)


def _itself(squares: Floats, apart: Floats, voices: Floats) -> int | None:
    """The first row that is the geometric median, if one is."""
    pulls = np.divide(voices[None, :], apart, out=np.zeros_like(apart), where=apart > 0)
    balanced = pulls - np.diag(pulls.sum(axis=1))
    lengths = -0.5 * ((balanced @ squares) * balanced).sum(axis=1)
    own = (apart == 0.0) @ voices
    fits = np.flatnonzero(lengths <= own * own)
    return int(fits[0]) if len(fits) else None


def centred_clipping(
    gram: Floats, reference: int, *, radius: float | None = None, steps: int = 5, voices: Floats | None = None
) -> Floats:
    """Move from a reference by the average of updates clipped around it, some times: coefficients float64[n], sum 1.

    gram       float64[n, n], with the reference (the last aggregate, say) as one of the rows
    reference  which row; it has no voice, whatever `voices` says
    radius     how far one update can pull per step, model units, > 0; None: the median distance of the updates from
               the reference, at the start
    steps      how often, >= 1

    Needs GRAM. Breakdown: below 0.1 for the proof, fewer than half in use, with a reference that is near.
    Raises Misuse if the reference is no finite row, or the radius or the steps make no sense.
    Source: Karimireddy et al., Learning from History for Byzantine Robust Optimization, ICML 2021, section 4.
    """
    if not 0 <= reference < len(gram) or not np.isfinite(gram[reference, reference]):
        raise Misuse(f"centred clipping: row {reference} cannot be the reference")
    if steps < 1 or not (radius is None or radius > 0):
        raise Misuse(f"centred clipping: steps are 1 or more and a radius is above 0, got {steps} and {radius}")
    says = np.ones(len(gram)) if voices is None else voices.copy()
    says[reference] = 0.0
    here = present(gram, says)
    rows = np.append(here.rows, reference)
    squares = distances(gram[np.ix_(rows, rows)])
    voices = np.append(here.voices, 0.0)
    found = np.zeros(len(rows))
    found[-1] = 1.0
    if radius is None:
        radius = float(np.median(np.sqrt(squares[-1, :-1])))
    for _ in range(steps):
        off = _off(squares @ found, found)
        pulls = voices * np.divide(radius, off, out=np.ones_like(off), where=off > radius)
        found = found * (1.0 - pulls.sum()) + pulls
    wide = np.zeros(here.total)
    wide[rows] = found
    return wide
