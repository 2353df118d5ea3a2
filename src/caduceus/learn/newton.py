"""Federated Newton for logistic regression: the model that pooled rows would give, from sums.

Per fit, each site sends its gradient, the upper triangle of its Hessian, and its loss at the public trial
weights. Newton's step on their sums is Newton's step on the pooled rows. A step that makes the objective worse
is halved, so the objective never rises; logistic loss with a ridge is convex, so this converges from anywhere. If
halving does not help either, some sum was wrong, and the next round starts again from the best weights.
"""

from __future__ import annotations

import functools
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from caduceus.errors import Refused
from caduceus.kinds import Floats
from caduceus.learn.design import Design
from caduceus.learn.moments import standardise
from caduceus.learn.rows import SiteData
from caduceus.learn.spec import Logistic
from caduceus.learn.state import Moments, Newton

S = TypeVar("S", bound=np.generic)

HALVINGS_LIMIT = 8
"""A step that does not help at 2^-8 of its length was made of a sum that was not what it seemed: look again."""


def start(moments: Moments) -> Newton:
    """Before the first round: all weights 0.

    The intercept too: from there the first step is a linear regression, whereas from the overall rate of a rare
    outcome it overshoots.
    """
    fits, width = moments.mean.shape
    return Newton(
        weights=np.zeros((fits, width + 1)),
        trial=np.zeros((fits, width + 1)),
        objective=np.full(fits, np.inf),
        rows=0.0,
        active=np.ones(fits, dtype=np.uint8),
        halvings=np.zeros(fits, dtype=np.uint8),
        rounds=0,
    )


def finished(newton: Newton, model: Logistic) -> bool:
    """Whether every fit has converged or the rounds are used up."""
    return newton.rounds >= model.max_rounds or not newton.active.any()


def length(newton: Newton) -> int:
    """Entries of the vector: 1, and per active fit the gradient, the packed Hessian and the loss."""
    columns = newton.trial.shape[1]
    return 1 + int(newton.active.sum()) * _block(columns)


def bound(moments: Moments) -> float:
    """No entry of an honest vector is larger, if the sites are those that gave the moments.

    Standardised columns have a sum of squares of at most N, the training rows of all sites. So by Cauchy and
    Schwarz a gradient entry is at most sqrt(N) sqrt(N) = N, and a Hessian entry, whose weights q (1 - q) are at
    most 1/4, at most N / 4. A loss is cut at 2 N: the objective starts at C N log 2 and never rises, so a trial
    that loses more is turned down anyway. Rows left out by a fit are not in its sums. The factor 2 leaves room for
    a site that came late and is not in the moments; what passes it is cut.
    """
    return 2.0 * float(moments.rows.max())


def contribute(design: Design, moments: Moments, newton: Newton, site: SiteData) -> Floats:
    """A site's rows and, per active fit, gradient, packed Hessian and loss at the trial weights.

    Reveals, once summed: these statistics over the training rows of all sites. They fix the model and, like
    every exact sum, protect a patient by the number of rows in it and not by noise.
    """
    columns = newton.trial.shape[1]
    upper = _upper(columns)
    limit = bound(moments)
    parts = [np.array([float(site.rows)])]
    extended = np.ones((site.rows, columns))
    for fit in np.flatnonzero(newton.active):
        extended[:, :-1] = standardise(design, moments, site.features, int(fit))
        learning = site.learning[fit]
        score = extended @ newton.trial[fit]
        tail = np.exp(-np.abs(score))
        probability = np.where(score >= 0, 1.0, tail) / (1.0 + tail)
        loss = np.log1p(tail) + np.maximum(score, 0.0) - site.target * score
        weighted = extended * np.sqrt(learning * probability * (1.0 - probability))[:, None]
        parts.append((learning * (probability - site.target)) @ extended)
        parts.append((weighted.T @ weighted)[upper])
        parts.append(np.array([loss @ learning]))
    return np.asarray(np.clip(np.concatenate(parts), -limit, limit))


def combine(newton: Newton, model: Logistic, total: Floats) -> Newton:
    """Judge the trial weights of every active fit and choose the next.

    total  float64[length]

    Raises Refused if a summed Hessian cannot be solved, which honest sums do not give.
    """
    columns = newton.trial.shape[1]
    active = np.flatnonzero(newton.active)
    blocks = total[1:].reshape(len(active), _block(columns))
    trial = newton.trial[active]
    penalised = trial.copy()
    penalised[:, -1] = 0.0
    objective = 0.5 * (penalised**2).sum(axis=1) + model.C * blocks[:, -1]
    # Other sites than last time give another objective: then the old value says nothing about the trial.
    rows = float(total[0].round())
    old = newton.objective[active] if rows == newton.rows else np.full(len(active), np.inf)
    better = objective <= old + 1e-9 * np.maximum(1.0, np.abs(objective))

    step = np.zeros_like(trial)  # the Hessian of a trial that overshot is of no use, and may be singular
    gradient = penalised + model.C * blocks[:, :columns]
    step[better] = _steps(gradient[better], model.C * blocks[better, columns:-1])
    small = np.abs(step).max(axis=1) < model.tolerance
    halvings = np.where(better, 0, newton.halvings[active] + 1)
    lost = halvings > HALVINGS_LIMIT
    weights = np.where(better[:, None], trial, newton.weights[active])
    following = np.where(better[:, None], trial - step, (weights + trial) / 2)
    following = np.where(lost[:, None], weights, following)
    kept = np.where(lost, np.inf, newton.objective[active])
    last = newton.rounds + 1 >= model.max_rounds
    # A converged fit takes its last small step; so does one that runs out of rounds right after a good step.
    weights = np.where((better & (small | last))[:, None], following, weights)
    return Newton(
        weights=_put(newton.weights, active, weights),
        trial=_put(newton.trial, active, following),
        objective=_put(newton.objective, active, np.where(better, objective, kept)),
        rows=rows,
        active=_put(newton.active, active, ~(better & small)),
        halvings=_put(newton.halvings, active, np.where(lost, 0, halvings)),
        rounds=newton.rounds + 1,
    )


def _block(columns: int) -> int:
    return columns + columns * (columns + 1) // 2 + 1


@functools.cache
def _upper(columns: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    return np.triu_indices(columns)


def _steps(gradient: Floats, packed: Floats) -> Floats:
    """Newton's step per fit, ridge on all columns but the intercept."""
    fits, columns = gradient.shape
    hessian = np.empty((fits, columns, columns))
    row, column = _upper(columns)
    hessian[:, row, column] = packed
    hessian[:, column, row] = packed
    slope = np.arange(columns - 1)
    hessian[:, slope, slope] += 1.0
    try:
        return np.asarray(np.linalg.solve(hessian, gradient[:, :, None])[:, :, 0], dtype=np.float64)
    except np.linalg.LinAlgError:
        raise Refused("Newton: the summed Hessian is singular, which honest sums do not give; stop the job") from None


def _put(array: npt.NDArray[S], where: npt.NDArray[np.intp], values: npt.NDArray[Any]) -> npt.NDArray[S]:
    out = array.copy()
    out[where] = values
    return out
