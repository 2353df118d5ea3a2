from dataclasses import replace

import numpy as np
import pytest
from small_hospitals import CROSSED, NEWTON, SCHEMA, learning, ring_run, ring_sum, sites, table

from caduceus.data.table import Table
from caduceus.errors import Refused
from caduceus.learn import moments, newton
from caduceus.learn.control import unsafe_open_run, unsafe_pooled
from caduceus.learn.program import Program, build_task
from caduceus.learn.rows import pooled
from caduceus.learn.spec import Logistic
from caduceus.learn.state import Phase, State

TASK = build_task(learning(evaluation=CROSSED), SCHEMA)


def sklearn_weights(task: Program, state: State, hospitals, fit: int, strength: float):
    linear_model = pytest.importorskip("sklearn.linear_model", reason="needs scikit-learn (pip install caduceus[demo])")
    rows = pooled(hospitals)
    learned = rows.learning[fit]
    assert state.moments is not None
    matrix = moments.standardise(task.design, state.moments, rows.features[learned], fit)
    model = linear_model.LogisticRegression(C=strength, tol=1e-12, max_iter=10000, solver="newton-cholesky")
    model.fit(matrix, rows.target[learned])
    return np.append(model.coef_[0], model.intercept_)


@pytest.mark.parametrize("strength", [0.01, 1.0, 100.0])
def test_every_fit_is_the_model_of_the_pooled_rows_even_through_the_ring(strength):
    task = build_task(learning(logistic=Logistic(strength, 1e-5, 30), evaluation=CROSSED), SCHEMA)
    hospitals = sites(task, [60, 45, 80, 30])
    state = ring_run(task, hospitals)
    assert state.newton is not None
    assert state.newton.converged.all()
    for fit in range(task.fits):
        expected = sklearn_weights(task, state, hospitals, fit, strength)
        np.testing.assert_allclose(state.newton.weights[fit], expected, rtol=0, atol=1e-6)


def test_one_site_with_all_rows_gives_the_same_model_as_many_with_some():
    hospitals = sites(TASK, [60, 45, 80])
    many, one = unsafe_open_run(TASK, hospitals), unsafe_pooled(TASK, hospitals)
    assert many.newton is not None
    assert one.newton is not None
    np.testing.assert_allclose(many.newton.weights, one.newton.weights, rtol=0, atol=1e-9)


def test_the_bound_holds_for_honest_sums_without_cutting_anything():
    """The proof in `newton.bound` is for the total over all sites, so also for each of them."""
    hospitals = [TASK.ready(table(200, i, rate=0.02), f"h{i}") for i in range(3)]
    state = TASK.opening()
    while not TASK.finished(state):
        vectors = [TASK.contribute(state, site) for site in hospitals]
        if state.phase is Phase.TRAINING:
            assert state.moments is not None
            assert np.abs(vectors).sum(axis=0).max() <= state.moments.rows.max() * (1 + 1e-9)
        state = TASK.combine(state, np.sum(vectors, axis=0), 3)


def test_a_latecomer_beyond_the_bound_is_cut_to_it():
    hospitals = sites(TASK, [12, 15])
    state = TASK.combine(TASK.opening(), sum(TASK.contribute(TASK.opening(), one) for one in hospitals), 2)
    late = TASK.contribute(state, TASK.ready(table(5000, 9), "late"))
    assert np.abs(late).max() == TASK.bound(state)


def test_the_objective_never_rises_and_a_step_too_far_is_halved():
    task = build_task(learning(), SCHEMA)
    hospitals = sites(task, [60, 45])
    state = task.combine(task.opening(), sum(task.contribute(task.opening(), one) for one in hospitals), 2)
    state = task.combine(state, sum(task.contribute(state, one) for one in hospitals), 2)
    good = state.newton
    assert good is not None
    step = good.trial - good.weights
    far = replace(state, newton=replace(good, trial=good.weights + 64 * step))
    halved = task.combine(far, sum(task.contribute(far, one) for one in hospitals), 2).newton
    assert halved is not None
    np.testing.assert_array_equal(halved.weights, good.weights)
    np.testing.assert_allclose(halved.trial, good.weights + 32 * step)
    assert halved.objective == good.objective
    assert halved.halvings.tolist() == [1]
    recovered = replace(far, newton=halved)
    while not task.finished(recovered):
        previous = recovered.newton
        recovered = task.combine(recovered, sum(task.contribute(recovered, one) for one in hospitals), 2)
        assert previous is not None
        assert recovered.newton is not None
        assert recovered.newton.objective[0] <= previous.objective[0] * (1 + 1e-8)
    assert recovered.newton is not None
    expected = sklearn_weights(task, recovered, hospitals, 0, 1.0)
    np.testing.assert_allclose(recovered.newton.weights[0], expected, rtol=0, atol=1e-6)


def test_a_direction_that_never_helps_is_given_up_and_the_right_model_still_found():
    task = build_task(learning(logistic=Logistic(1.0, 1e-5, 40)), SCHEMA)
    hospitals = sites(task, [60, 45])
    state = task.combine(task.opening(), sum(task.contribute(task.opening(), one) for one in hospitals), 2)
    state = task.combine(state, sum(task.contribute(state, one) for one in hospitals), 2)
    good = state.newton
    assert good is not None
    uphill = replace(state, newton=replace(good, trial=2 * good.weights - good.trial))
    while not task.finished(uphill):
        uphill = task.combine(uphill, sum(task.contribute(uphill, one) for one in hospitals), 2)
    assert uphill.newton is not None
    assert uphill.newton.converged.all()
    expected = sklearn_weights(task, uphill, hospitals, 0, 1.0)
    np.testing.assert_allclose(uphill.newton.weights[0], expected, rtol=0, atol=1e-6)


def test_a_site_that_leaves_halfway_leaves_the_model_of_the_others():
    task = build_task(learning(), SCHEMA)
    hospitals = sites(task, [60, 45, 80])
    state = task.opening()
    while not task.finished(state):
        present = hospitals if state.round < 3 else hospitals[:2]
        state = task.combine(state, ring_sum(task, state, [task.contribute(state, s) for s in present]), len(present))
    assert state.newton is not None
    expected = sklearn_weights(task, state, hospitals[:2], 0, 1.0)
    np.testing.assert_allclose(state.newton.weights[0], expected, rtol=0, atol=1e-6)


def test_a_fit_that_has_converged_is_sent_no_more_and_stays():
    hospitals = sites(TASK, [60, 45])
    state = TASK.opening()
    lengths, final = [], {}
    while not TASK.finished(state):
        if state.phase is Phase.TRAINING and state.newton is not None:
            lengths.append(TASK.length(state))
            for fit in np.flatnonzero(state.newton.converged):
                kept = final.setdefault(int(fit), state.newton.weights[fit])
                np.testing.assert_array_equal(kept, state.newton.weights[fit])
        state = TASK.combine(state, sum(TASK.contribute(state, one) for one in hospitals), 2)
    columns = TASK.design.width + 1
    assert lengths[0] == 1 + TASK.fits * (columns + columns * (columns + 1) // 2 + 1)
    assert lengths == sorted(lengths, reverse=True)


def test_tolerance_0_asks_for_all_rounds():
    task = build_task(learning(logistic=Logistic(1.0, 0.0, 12)), SCHEMA)
    state = unsafe_open_run(task, sites(task, [60, 45]))
    assert state.newton is not None
    assert state.newton.rounds == 12
    assert state.round == task.max_rounds == 13


def test_the_last_allowed_round_still_moves_the_model():
    task = build_task(learning(logistic=replace(NEWTON, max_rounds=1)), SCHEMA)
    state = unsafe_open_run(task, sites(task, [60, 45]))
    assert state.newton is not None
    assert not state.newton.converged.any()
    assert np.abs(state.newton.weights).max() > 0.1


def test_perfectly_separable_rows_still_converge():
    values = table(60, 3).values.copy()
    values[-1] = (values[0] > 60).astype(float)
    task = build_task(learning(logistic=Logistic(100.0, 1e-5, 40)), SCHEMA)
    hospitals = [task.ready(Table(SCHEMA, values), "A")]
    state = ring_run(task, hospitals)
    assert state.newton is not None
    assert state.newton.converged.all()
    expected = sklearn_weights(task, state, hospitals, 0, 100.0)
    np.testing.assert_allclose(state.newton.weights[0], expected, rtol=0, atol=1e-6)


def test_a_sum_that_no_honest_sites_give_is_refused():
    task = build_task(learning(), SCHEMA)
    hospitals = sites(task, [60])
    state = task.combine(task.opening(), task.contribute(task.opening(), hospitals[0]), 1)
    flat = np.zeros(task.length(state))
    with pytest.raises(Refused, match="singular"):
        task.combine(state, flat, 1)


def test_the_packed_hessian_is_the_derivative_of_the_gradient():
    task = build_task(learning(), SCHEMA)
    site = sites(task, [50])[0]
    state = task.combine(task.opening(), task.contribute(task.opening(), site), 1)
    assert state.newton is not None
    assert state.moments is not None
    columns = state.newton.trial.shape[1]

    def block(trial):
        moved = replace(state.newton, trial=trial[None, :])
        return newton.contribute(task.design, state.moments, moved, site)[1:]

    at = np.linspace(-0.5, 0.5, columns)
    nudge = 1e-6
    gradient = [(block(at + nudge * row)[-1] - block(at - nudge * row)[-1]) / (2 * nudge) for row in np.eye(columns)]
    np.testing.assert_allclose(block(at)[:columns], gradient, atol=1e-6)
    hessian = np.array(
        [
            (block(at + nudge * row)[:columns] - block(at - nudge * row)[:columns]) / (2 * nudge)
            for row in np.eye(columns)
        ]
    )
    np.testing.assert_allclose(block(at)[columns:-1], hessian[np.triu_indices(columns)], atol=1e-6)
