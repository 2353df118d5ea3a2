"""Private logistic regression: a few rounds of descent along noisy sums of clipped gradients.

Each round a site sends one gradient, each row's cut to a public length; the sum is opened with noise. The steps are
chosen from public numbers and from what was opened, so only what is opened costs privacy.

Why not Newton: a Hessian of c columns has c^2 / 2 entries, a record moves it by |x|^2 / 4, and noise of that size in
all of them drowns the small eigenvalues that its inverse is for. On standardised columns a few plain steps go as far;
they stop early in the directions that the data hardly tell apart, which is where noise would win.

Clipping the gradient and not the record leaves most rows whole: a row that the model predicts well has a small
gradient however unusual it is.
"""

from __future__ import annotations

import math

import numpy as np

from caduceus.errors import Misuse
from caduceus.kinds import Floats
from caduceus.learn.design import Design
from caduceus.learn.evaluate import sigmoid
from caduceus.learn.moments import standardise
from caduceus.learn.private.alone import each
from caduceus.learn.private.moments import check_shares
from caduceus.learn.private.noisy import Noisy
from caduceus.learn.rows import ROWS_LIMIT, SiteData
from caduceus.learn.spec import Logistic
from caduceus.learn.state import Moments, check_array, require

ROUNDS = 4
"""Of descent, where a job does not say: it serves from hundreds to tens of thousands of patients."""

MOMENTS_SHARE = 0.15
"""The part of the budget (of 1 / multiplier^2) that round 0 spends; the rounds of descent share the rest evenly."""

CLIP = 0.6
"""Longest gradient of a row, in lengths of a typical standardised record: sqrt(columns), the intercept counted."""

STIFFNESS = 3.0
"""The first step supposes that the largest eigenvalue of the columns' correlation matrix is this."""

FARTHEST = 1e6
"""No weight is larger, in a run or in a state that a site answers: so no record's gradient is beyond float64, and
whether a site answers says nothing of its records."""

STEP_LIMIT = 2.0
"""No step moves the weights further, in Euclidean length: what noise alone can do stays finite and small."""


def schedule(rounds: int, total: float) -> tuple[float, ...]:
    """The noise multiplier (noise per unit of sensitivity) of every round: the moments, then each of descent.

    rounds   of descent, >= 1
    total    multiplier of the one Gaussian mechanism that all rounds together must not exceed, > 0
    returns  float[1 + rounds]; the sum of 1 / z^2 is 1 / total^2, and never above it despite rounding

    Source: Dong, Roth, Su (2022), Gaussian Differential Privacy, J. R. Stat. Soc. B 84, corollary 3.3: Gaussian
    mechanisms of mu_1, ..., mu_k compose exactly to one of sqrt(mu_1^2 + ... + mu_k^2), where mu = 1 / multiplier.

    Raises Misuse.
    """
    if rounds < 1 or not (math.isfinite(total) and total > 0):
        raise Misuse(f"schedule: {rounds} rounds at a noise multiplier of {total}; wanted both positive")
    total *= 1 + 1e-12
    shares = (MOMENTS_SHARE, *([(1 - MOMENTS_SHARE) / rounds] * rounds))
    return tuple(total / math.sqrt(share) for share in shares)


def start(moments: Moments) -> Noisy:
    """Before the first round: weights 0, the intercept at the log-odds of the noisy rate.

    moments  of one fit, from `private_moments.combine`
    """
    rows, positives = float(moments.rows[0]), float(moments.positives[0])
    weights = np.zeros(moments.mean.shape[1] + 1)
    weights[-1] = math.log(positives / (rows - positives))
    return Noisy(weights, weights.copy(), np.zeros_like(weights), STIFFNESS * _information(moments), 0)


def check(noisy: Noisy, width: int) -> None:
    """Refuse a state, perhaps a peer's, that no run reaches.

    Raises Refused, naming the field.
    """
    for name in ("weights", "previous", "gradient"):
        check_array(noisy, name, (length(width),))
    require(float(np.abs(noisy.weights).max()) <= FARTHEST, "noisy.weights")
    require(math.isfinite(noisy.curvature) and noisy.curvature > 0, "noisy.curvature")
    require(noisy.rounds >= 0, "noisy.rounds")


def length(width: int) -> int:
    """Entries of the vector: the gradient of every column's weight and of the intercept."""
    return width + 1


def clip_norm(width: int) -> float:
    """The longest that a row's gradient may be."""
    return CLIP * math.sqrt(width + 1)


def sensitivity(width: int) -> float:
    """By how much, in Euclidean length, the sum moves at most if one patient comes or goes.

    A row's gradient is cut to `clip_norm` and then weighted by the row's share; a patient's shares add up to at most
    1, so by the triangle inequality the patient's sum is no longer.
    """
    return clip_norm(width)


def bound(width: int) -> float:
    """Every entry of a site's vector lies in [-bound, bound]: a sum over rows of at most `clip_norm` each."""
    return ROWS_LIMIT * clip_norm(width)


def contribute(design: Design, moments: Moments, noisy: Noisy, site: SiteData, shares: Floats) -> Floats:
    """A site's summed gradient over the rows that fit 0 learns from, before noise: float64[length].

    shares  float64[rows] in (0, 1]; a patient's add up to at most 1

    Reveals, once summed and noised: as much as its Gaussian mechanism says; without noise as much as an exact
    gradient.
    """
    check_shares(shares, site.rows)
    extended = np.ones((site.rows, len(noisy.weights)))
    extended[:, :-1] = standardise(design, moments, site.features, 0)
    residual = sigmoid(each(lambda rows: np.asarray(rows @ noisy.weights), extended)) - site.target
    limit = clip_norm(design.width)
    norm = np.abs(residual) * np.sqrt((extended * extended).sum(axis=1))
    kept = limit / np.maximum(norm, limit)
    return np.asarray((site.learning[0] * shares * kept * residual) @ extended)


def combine(moments: Moments, noisy: Noisy, model: Logistic, total: Floats, noise: float) -> Noisy:
    """Take a step; never fails, and the weights stay finite however large the noise.

    total  float64[length], the sum over all sites with its noise
    noise  standard deviation of the noise in each entry, model units, >= 0

    The step is the gradient of the penalised objective over a curvature. That is the largest seen along a step so
    far (how the gradient changed over how the weights did), at most what standardised columns allow, plus the usual
    length of the noise: noise of that length alone then moves the weights by less than 1, and under much noise the
    steps are short, so that it averages out over rounds. The intercept, which is not penalised, has its own
    curvature, because standardised columns are orthogonal to it.
    """
    columns = len(noisy.weights)
    curvature = noisy.curvature
    moved = noisy.weights - noisy.previous
    square = float(moved @ moved)
    if square > 0:
        seen = float(moved @ (total - noisy.gradient)) / square
        # Each standardised column has a square sum of `rows`, so their matrix has a trace, and no eigenvalue is
        # larger, of columns * rows; the logistic curvature is at most 1/4.
        curvature = max(curvature, min(seen, columns * float(moments.rows[0]) / 4))
    penalty = 1.0 / model.C
    slopes = np.append(noisy.weights[:-1], 0.0)
    divisor = np.full(columns, curvature + noise * math.sqrt(columns) + penalty)
    divisor[-1] = _information(moments) + noise
    step = (total + penalty * slopes) / divisor
    step *= STEP_LIMIT / max(float(np.linalg.norm(step)), STEP_LIMIT)
    return Noisy(noisy.weights - step, noisy.weights, total.copy(), curvature, noisy.rounds + 1)


def log_odds(noisy: Noisy, matrix: Floats) -> Floats:
    """What the model predicts: float64[rows].

    matrix  float64[rows, columns], standardised
    """
    return np.asarray(matrix @ noisy.weights[:-1] + noisy.weights[-1])


def _information(moments: Moments) -> float:
    """The summed loss's curvature in the intercept before the first round: rows * rate * (1 - rate)."""
    rows, positives = float(moments.rows[0]), float(moments.positives[0])
    return positives * (1.0 - positives / rows)
