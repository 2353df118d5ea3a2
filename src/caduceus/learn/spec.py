"""What a job asks to be learned: features, target, kind of model, and how its quality is judged."""

from __future__ import annotations

from caduceus import canon
from caduceus.errors import Refused

NONE, CROSS, HOLDOUT = "none", "cross", "holdout"
"""How quality is judged: not at all; repeated cross-validation; repeated held-out rows."""

BY_ROWS, EQUAL = "rows", "equal"
"""How much a site's model counts in an average: by its rows up to a cap, or as much as any other."""

RELU, TANH = "relu", "tanh"
"""What may stand between the layers of a perceptron."""

FITS_LIMIT = 1000
"""No job has more fits than this: all of them are stacked into every update."""


@canon.record("learn/evaluation/1")
class Evaluation:
    """Which rows judge a model that did not learn from them.

    method    none, cross (every row is held out once per repeat) or holdout
    repeats   independent splits, 1 to 100; 0 for none
    folds     parts per repeat of cross, 2 to 20; 0 otherwise
    fraction  share of each site's rows of each class that holdout keeps back, in (0, 1); 0.0 otherwise
    """

    method: str
    repeats: int
    folds: int
    fraction: float

    @property
    def fits(self) -> int:
        """How many models are trained besides the final one."""
        return self.repeats * (self.folds if self.method == CROSS else 1)


@canon.record("learn/logistic/1")
class Logistic:
    """Logistic regression by federated Newton: the model that pooled rows would give.

    C           inverse strength of the L2 penalty, > 0: the objective is 0.5 |w|^2 + C * (sum of losses),
                without a penalty on the intercept, as in scikit-learn
    tolerance   a fit ends once no weight moves by this much, >= 0; the error left is about its square,
                and 0 asks for all rounds
    max_rounds  >= 1
    """

    C: float
    tolerance: float
    max_rounds: int


@canon.record("learn/averaging/1")
class Averaging:
    """Federated averaging (McMahan et al. 2017, AISTATS) of a perceptron or another module.

    hidden      widths of the hidden layers; () is logistic regression
    activation  relu or tanh
    rounds      how often the sites' models are averaged, >= 1
    epochs      passes over a site's rows per round, >= 1
    batch       rows per step, >= 1
    rate        step length of plain gradient descent in the first round, > 0
    decay       the step length of round r is rate / (1 + decay * r), >= 0
    penalty     L2 penalty on weights that are not intercepts, in units of one over all training rows, >= 0;
                1 is the penalty of logistic regression with C = 1
    weighting   rows or equal
    cap         rows beyond this number do not add to a site's weight, >= 1
    clip        Euclidean bound on a site's change of the model in one round, > 0
    bits        ring of the secure sum, 32 or 64
    """

    hidden: tuple[int, ...]
    activation: str
    rounds: int
    epochs: int
    batch: int
    rate: float
    decay: float
    penalty: float
    weighting: str
    cap: int
    clip: float
    bits: int


@canon.record("learn/descent/1")
class Descent:
    """Stochastic gradient descent with differential privacy (Abadi et al. 2016), one step of all sites per round.

    hidden      widths of the hidden layers; () is logistic regression
    activation  relu or tanh
    rounds      steps, >= 1
    sampling    chance of every patient to be in a step, in (0, 1]
    rate        step length, on the mean gradient of the patients that are expected in a step, > 0
    momentum    share of the last move that is made again, in [0, 1)
    penalty     L2 penalty on weights that are not intercepts, in units of one over all training rows, >= 0
    clip        Euclidean bound on the gradient of one patient, > 0
    """

    hidden: tuple[int, ...]
    activation: str
    rounds: int
    sampling: float
    rate: float
    momentum: float
    penalty: float
    clip: float


@canon.record("learn/spec/2")
class Learning:
    """Everything public that decides what is learned, besides the schema and the rows.

    features            names of schema columns of role feature
    missing_indicators  those of them whose absence is itself a feature
    target              name of a boolean schema column of role target
    logistic, averaging, descent  the kind of model: exactly one of them
    evaluation          how quality is judged
    seed                >= 0; decides splits, orders and first weights
    """

    features: tuple[str, ...]
    missing_indicators: tuple[str, ...]
    target: str
    logistic: Logistic | None
    averaging: Averaging | None
    descent: Descent | None
    evaluation: Evaluation
    seed: int


def check(spec: Learning) -> None:
    """Refuse a specification whose numbers make no sense, naming the field.

    Names of columns are checked against the schema in `design.plan`.

    Raises Refused.
    """
    kinds = (spec.logistic, spec.averaging, spec.descent)
    _require(sum(kind is not None for kind in kinds) == 1, "model", "choose one kind of model")
    _require(0 <= spec.seed < 2**63, "seed", "from 0 to 2^63 - 1")
    if spec.logistic is not None:
        _check_logistic(spec.logistic)
    if spec.averaging is not None:
        _check_averaging(spec.averaging)
    if spec.descent is not None:
        _check_descent(spec.descent)
    _check_evaluation(spec.evaluation)


def _check_logistic(model: Logistic) -> None:
    _require(1e-6 <= model.C <= 1e6, "model.C", "from 1e-6 to 1e6")
    _require(0 <= model.tolerance <= 0.1, "model.tolerance", "from 0 to 0.1")
    _require(1 <= model.max_rounds <= 1000, "model.max_rounds", "from 1 to 1000")


def _check_layers(hidden: tuple[int, ...], activation: str) -> None:
    _require(all(1 <= width <= 65536 for width in hidden), "model.hidden", "widths from 1 to 65536")
    _require(activation in (RELU, TANH), "model.activation", "relu or tanh")


def _check_descent(model: Descent) -> None:
    _check_layers(model.hidden, model.activation)
    _require(1 <= model.rounds <= 10000, "model.rounds", "from 1 to 10000")
    _require(0 < model.sampling <= 1, "model.sampling", "above 0, at most 1")
    _require(0 < model.rate <= 100, "model.rate", "above 0, at most 100")
    _require(0 <= model.momentum < 1, "model.momentum", "from 0, below 1")
    _require(0 <= model.penalty <= 1e6, "model.penalty", "from 0 to 1e6")
    _require(0.001 <= model.clip <= 1024, "model.clip", "from 0.001 to 1024")


def _check_averaging(model: Averaging) -> None:
    _check_layers(model.hidden, model.activation)
    _require(1 <= model.rounds <= 10000, "model.rounds", "from 1 to 10000")
    _require(1 <= model.epochs <= 1000, "model.epochs", "from 1 to 1000")
    _require(1 <= model.batch <= 2**20, "model.batch", "from 1 to 2^20")
    _require(0 < model.rate <= 100, "model.rate", "above 0, at most 100")
    _require(0 <= model.decay <= 100, "model.decay", "from 0 to 100")
    _require(0 <= model.penalty <= 1e6, "model.penalty", "from 0 to 1e6")
    _require(model.weighting in (BY_ROWS, EQUAL), "model.weighting", "rows or equal")
    _require(1 <= model.cap <= 2**20, "model.cap", "from 1 to 2^20")
    _require(0.01 <= model.clip <= 1024, "model.clip", "from 0.01 to 1024")
    _require(model.bits in (32, 64), "model.bits", "32 or 64")


def _check_evaluation(evaluation: Evaluation) -> None:
    if evaluation.method == NONE:
        _require(evaluation.repeats == 0, "evaluation.repeats", "0 when nothing is judged")
    else:
        _require(1 <= evaluation.repeats <= 100, "evaluation.repeats", "from 1 to 100")
    if evaluation.method == CROSS:
        _require(2 <= evaluation.folds <= 20, "evaluation.folds", "from 2 to 20")
    else:
        _require(evaluation.folds == 0, "evaluation.folds", "0 without cross-validation")
    if evaluation.method == HOLDOUT:
        _require(0 < evaluation.fraction < 1, "evaluation.fraction", "between 0 and 1")
    else:
        _require(evaluation.fraction == 0, "evaluation.fraction", "0 without held-out rows")
    _require(evaluation.method in (NONE, CROSS, HOLDOUT), "evaluation.method", "none, cross or holdout")
    _require(evaluation.fits < FITS_LIMIT, "evaluation", f"at most {FITS_LIMIT} fits (repeats times folds, and one)")


def _require(holds: bool, field: str, wanted: str) -> None:
    if not holds:
        raise Refused(f"{field}: {wanted}")
