"""What a job knows in public between two rounds: everything that the sums so far have given.

A state is a record, so its digest is what the chain anchors, and an auditor who holds the sums
computes the same states again. Arrays have a leading axis over fits: 0 is the final model, trained on
every row; the others are there to be judged on rows that they did not see (see `folds`). Features are
in scaled units (see `design`).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from caduceus import canon
from caduceus.errors import Refused
from caduceus.kinds import Floats
from caduceus.learn.inquiry.answers import Answers
from caduceus.learn.private.noisy import Noisy
from caduceus.market.mechanism.rules import Memory


class Phase(IntEnum):
    """What the coming round computes."""

    MOMENTS = 0
    TRAINING = 1
    EVALUATION = 2
    DONE = 3
    QUESTIONS = 4


@canon.record("learn/moments/1")
class Moments:
    """How the training rows of each fit are distributed, all sites together.

    rows       float64[fits], training rows
    positives  float64[fits], those whose target is true
    mean       float64[fits, columns], of the present values; it also fills the gaps
    deviation  float64[fits, columns], standard deviation once gaps are filled; 1 where nothing varies
    """

    rows: Floats
    positives: Floats
    mean: Floats
    deviation: Floats


@canon.record("learn/newton/1")
class Newton:
    """Where federated Newton stands. The last entry of a weight vector is the intercept.

    weights    float64[fits, columns + 1], the best so far; final for fits that are not active
    trial      float64[fits, columns + 1], where the coming round is evaluated
    objective  float64[fits], value at `weights`; infinite before the first round
    rows       float64, rows behind `objective`: another number means that other sites took part
    active     uint8[fits], 1 while a fit goes on
    halvings   uint8[fits], how often the present step was halved
    rounds     rounds of Newton so far
    """

    weights: Floats
    trial: Floats
    objective: Floats
    rows: float
    active: npt.NDArray[np.uint8]
    halvings: npt.NDArray[np.uint8]
    rounds: int

    @property
    def converged(self) -> npt.NDArray[np.bool_]:
        """bool[fits]: whether each fit ended because its steps had become small."""
        return np.equal(self.active, 0)


@canon.record("learn/averaged/1")
class Averaged:
    """Where federated averaging stands.

    weights  float64[fits, parameters]
    share    float64[fits], sum of the sites' weights in the last average; 0 before the first
    rounds   rounds of averaging so far
    """

    weights: Floats
    share: Floats
    rounds: int


@canon.record("learn/descended/1")
class Descended:
    """Where gradient descent with differential privacy stands.

    weights   float64[parameters]
    velocity  float64[parameters], the last move, before the step length
    steps     so far
    """

    weights: Floats
    velocity: Floats
    steps: int


@canon.record("learn/quality/1")
class Quality:
    """How well models predict rows that they did not learn from; a leading axis over repeats.

    rows         float64[repeats], rows judged
    auroc        float64[repeats], of all sites' rows together; within `auroc_error` of the exact value
    auroc_error  float64[repeats], half the pairs that share a bin of the histogram, as a share of all
    brier        float64[repeats], mean squared error of the probability
    site_auroc   float64[repeats], mean over the sites that hold both classes, exact; 0 if there is none
    site_brier   float64[repeats], mean over sites, exact
    sites        float64[repeats], sites in the mean of `site_auroc`
    calibration  float64[repeats, groups, 3]: rows, mean predicted probability, share that came true, for
                 predictions in equal parts of [0, 1]; the last two are 0 where a part is empty
    histogram    float64[repeats, 2, bins], rows by class (false, true) and predicted log-odds
    """

    rows: Floats
    auroc: Floats
    auroc_error: Floats
    brier: Floats
    site_auroc: Floats
    site_brier: Floats
    sites: Floats
    calibration: Floats
    histogram: Floats


@canon.record("learn/judged/1")
class Judged:
    """Where averaging of judged updates stands.

    weights     float64[parameters]
    before      float64[parameters], what the last move started from: roll-back returns to it
    moved       float64[parameters], the last move; zeros before the first, and after a roll-back
    rounds      rounds of training so far
    weighed     int64[sites], the last round's weights
    lanes       uint8[sites], what was decided about every site in the last round (see `mechanism.verdict.Lane`)
    vetoed      int64[sites], rounds in which an update was found to do harm
    memory      what the mechanism carries from round to round, pay among it
    by_stratum  how well the last model predicts every stratum; None before the evaluation
    """

    weights: Floats
    before: Floats
    moved: Floats
    rounds: int
    weighed: npt.NDArray[np.int64]
    lanes: npt.NDArray[np.uint8]
    vetoed: npt.NDArray[np.int64]
    memory: Memory
    by_stratum: Quality | None


@canon.record("learn/state/3")
class State:
    """The public state of a job; what has not been reached yet, or is another kind of job's, is None.

    round      rounds combined so far
    phase      what the coming round computes
    moments    of every job that trains
    newton     logistic regression from exact sums
    averaged   federated averaging
    noisy      logistic regression from noisy sums
    descended  gradient descent with differential privacy
    quality    of every job that judges its model
    answers    of an analysis
    judged     federated averaging of updates that are judged unseen
    """

    round: int
    phase: Phase
    moments: Moments | None = None
    newton: Newton | None = None
    averaged: Averaged | None = None
    noisy: Noisy | None = None
    descended: Descended | None = None
    quality: Quality | None = None
    answers: Answers | None = None
    judged: Judged | None = None


OPENING = State(0, Phase.MOMENTS)
"""Before the first round nothing is known."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a task's states look like.

    fits        the final one included
    columns     of a standardised matrix
    parameters  of a model that is averaged; None for logistic regression by Newton
    repeats     of the evaluation
    rounds      no run has more
    """

    fits: int
    columns: int
    parameters: int | None
    repeats: int
    rounds: int


def check(state: State, shape: Shape) -> None:
    """Refuse a state that no run of such a task reaches; a state may come from a peer.

    Raises Refused, naming the field.
    """
    require(state.phase is not Phase.QUESTIONS, "phase")
    trained = state.phase > Phase.MOMENTS
    by_newton = trained and shape.parameters is None
    require(0 <= state.round <= shape.rounds, "round")
    require((state.moments is not None) == trained, "moments")
    require((state.newton is not None) == by_newton, "newton")
    require((state.averaged is not None) == (trained and not by_newton), "averaged")
    require(state.noisy is None, "noisy")
    require(state.descended is None, "descended")
    require(state.answers is None, "answers")
    require(state.judged is None, "judged")
    require((state.quality is not None) == (state.phase is Phase.DONE and shape.repeats > 0), "quality")
    require(state.phase is not Phase.EVALUATION or shape.repeats > 0, "phase")
    fits, columns = shape.fits, shape.columns
    if state.moments is not None:
        for name in ("rows", "positives"):
            check_array(state.moments, name, (fits,))
        for name in ("mean", "deviation"):
            check_array(state.moments, name, (fits, columns))
        require(bool((state.moments.rows >= 1).all()), "moments.rows")
        require(bool((state.moments.deviation > 0).all()), "moments.deviation")
    if state.newton is not None:
        for name in ("weights", "trial"):
            check_array(state.newton, name, (fits, columns + 1))
        for name in ("active", "halvings"):
            check_array(state.newton, name, (fits,), "|u1")
        require(state.newton.objective.shape == (fits,), "newton.objective")
        require(bool((state.newton.active <= 1).all()), "newton.active")
    if state.averaged is not None and shape.parameters is not None:
        check_array(state.averaged, "weights", (fits, shape.parameters))
        check_array(state.averaged, "share", (fits,))


def check_array(record: Any, name: str, shape: tuple[int, ...], kind: str = "<f8") -> None:
    """Refuse a record whose array is of another shape or type, or not finite.

    Raises Refused, naming record and field.
    """
    array = getattr(record, name)
    fits = array.dtype.str == kind and array.shape == shape and bool(np.isfinite(array).all())
    require(fits, f"{type(record).__name__.lower()}.{name}")


def require(holds: bool, field: str) -> None:
    """Refuse a state because of a field.

    Raises Refused, naming it, unless `holds`.
    """
    if not holds:
        raise Refused(f"state: {field} is not what a run of this task has here; the sender holds another task or none")


def difference(one: State, other: State, *, tolerance: float = 1e-9) -> str | None:
    """The first field in which two states differ by more than rounding on another machine explains.

    tolerance  on each number, relative to its size and at least absolute, >= 0
    returns    the field's path, such as "newton.weights", or None if the states agree
    """
    return _difference(one, other, tolerance, "")


def _difference(one: Any, other: Any, tolerance: float, path: str) -> str | None:
    if type(one) is not type(other):
        return path
    if dataclasses.is_dataclass(one):
        for field in dataclasses.fields(one):
            inner = f"{path}.{field.name}" if path else field.name
            found = _difference(getattr(one, field.name), getattr(other, field.name), tolerance, inner)
            if found is not None:
                return found
        return None
    if isinstance(one, np.ndarray | float):
        same = np.shape(one) == np.shape(other) and np.allclose(
            one, other, rtol=tolerance, atol=tolerance, equal_nan=True
        )
        return None if same else path
    return None if one == other else path
