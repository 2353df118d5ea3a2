from dataclasses import replace

import pytest
from small_hospitals import AVERAGING, CROSSED, NEWTON, NO_EVALUATION, learning

from caduceus import canon
from caduceus.errors import Refused
from caduceus.learn.spec import CROSS, HOLDOUT, NONE, Evaluation, Learning, check


@pytest.mark.parametrize("spec", [learning(), learning(averaging=AVERAGING), learning(evaluation=CROSSED)])
def test_a_sensible_specification_passes_and_comes_back_from_its_bytes(spec):
    check(spec)
    assert canon.unpack(Learning, canon.pack(spec)) == spec


@pytest.mark.parametrize(
    ("field", "spec"),
    [
        ("model:", replace(learning(), logistic=None)),
        ("model:", replace(learning(), averaging=AVERAGING)),
        ("seed", replace(learning(), seed=-1)),
        ("model.C", learning(logistic=replace(NEWTON, C=0.0))),
        ("model.C", learning(logistic=replace(NEWTON, C=float("nan")))),
        ("model.tolerance", learning(logistic=replace(NEWTON, tolerance=-1e-9))),
        ("model.max_rounds", learning(logistic=replace(NEWTON, max_rounds=0))),
        ("model.hidden", learning(averaging=replace(AVERAGING, hidden=(16, 0)))),
        ("model.activation", learning(averaging=replace(AVERAGING, activation="gelu"))),
        ("model.rounds", learning(averaging=replace(AVERAGING, rounds=0))),
        ("model.epochs", learning(averaging=replace(AVERAGING, epochs=0))),
        ("model.batch", learning(averaging=replace(AVERAGING, batch=0))),
        ("model.rate", learning(averaging=replace(AVERAGING, rate=0.0))),
        ("model.decay", learning(averaging=replace(AVERAGING, decay=-0.1))),
        ("model.penalty", learning(averaging=replace(AVERAGING, penalty=-1.0))),
        ("model.weighting", learning(averaging=replace(AVERAGING, weighting="best"))),
        ("model.cap", learning(averaging=replace(AVERAGING, cap=0))),
        ("model.clip", learning(averaging=replace(AVERAGING, clip=0.0))),
        ("model.bits", learning(averaging=replace(AVERAGING, bits=16))),
        ("evaluation.method", learning(evaluation=Evaluation("bootstrap", 1, 0, 0.0))),
        ("evaluation.repeats", learning(evaluation=Evaluation(NONE, 1, 0, 0.0))),
        ("evaluation.repeats", learning(evaluation=Evaluation(CROSS, 0, 5, 0.0))),
        ("evaluation.folds", learning(evaluation=Evaluation(CROSS, 1, 1, 0.0))),
        ("evaluation.folds", learning(evaluation=Evaluation(HOLDOUT, 1, 5, 0.25))),
        ("evaluation.fraction", learning(evaluation=Evaluation(HOLDOUT, 1, 0, 1.0))),
        ("evaluation.fraction", learning(evaluation=Evaluation(CROSS, 1, 5, 0.25))),
        ("evaluation:", learning(evaluation=Evaluation(CROSS, 100, 20, 0.0))),
    ],
)
def test_a_number_that_makes_no_sense_is_refused_by_field(field, spec):
    with pytest.raises(Refused, match=f"^{field}"):
        check(spec)


def test_fits_are_counted_besides_the_final_one():
    assert NO_EVALUATION.fits == 0
    assert Evaluation(CROSS, 10, 5, 0.0).fits == 50
    assert Evaluation(HOLDOUT, 10, 0, 0.25).fits == 10
