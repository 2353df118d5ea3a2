from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_hospitals import NEWTON, SCHEMA, learning, sites, table
from test_private_moments import any_rows, without

from caduceus import canon
from caduceus.data.table import Table
from caduceus.errors import Misuse, Refused
from caduceus.learn import metrics, moments
from caduceus.learn.control import unsafe_open_run
from caduceus.learn.private import logistic as private_logistic
from caduceus.learn.private import moments as private_moments
from caduceus.learn.private.noisy import Noisy
from caduceus.learn.program import build_task
from caduceus.learn.rows import pooled

TASK = build_task(learning(), SCHEMA)
DESIGN = TASK.design
WIDTH = DESIGN.width
BINARY = private_moments.zero_one(DESIGN, SCHEMA)


def known(hospitals, noise=0.0, seed=0):
    total = sum(private_moments.contribute(BINARY, one, np.ones(one.rows)) for one in hospitals)
    total = total + noise * np.random.default_rng(seed).normal(size=total.shape)
    return private_moments.combine(DESIGN, BINARY, total, noise)


def opened(found, noisy, hospitals):
    return sum(private_logistic.contribute(DESIGN, found, noisy, one, np.ones(one.rows)) for one in hospitals)


def descend(hospitals, rounds, *, multiplier=0.0, seed=0):
    """A whole run with the same noise multiplier in every round."""
    draw = np.random.default_rng(seed)
    found = known(hospitals, multiplier * private_moments.sensitivity(BINARY, 1), seed)
    noisy = private_logistic.start(found)
    spread = multiplier * private_logistic.sensitivity(WIDTH)
    for _ in range(rounds):
        total = opened(found, noisy, hospitals) + spread * draw.normal(size=private_logistic.length(WIDTH))
        noisy = private_logistic.combine(found, noisy, NEWTON, total, spread)
    return found, noisy


def predict(found, noisy, rows):
    return private_logistic.log_odds(noisy, moments.standardise(DESIGN, found, rows.features, 0))


def area(rows, score):
    found = metrics.auroc(rows.target, score)
    assert found is not None
    return found


@settings(max_examples=200, deadline=None)
@given(any_rows(), st.integers(0, 10**6))
def test_a_patient_moves_the_sum_by_no_more_than_the_sensitivity_whatever_the_records_hold(case, seed):
    site, shares, patient = case
    finite = replace(site, features=np.where(np.isinf(site.features), 1e6, site.features))
    found = known([replace(finite, learning=np.ones((1, site.rows), bool))])
    noisy = private_logistic.start(found)
    noisy = replace(noisy, weights=np.random.default_rng(seed).normal(size=WIDTH + 1) * 3)
    whole = private_logistic.contribute(DESIGN, found, noisy, finite, shares)
    rest = private_logistic.contribute(DESIGN, found, noisy, *without(finite, shares, patient))
    assert whole.shape == (private_logistic.length(WIDTH),)
    assert np.linalg.norm(whole - rest) <= private_logistic.sensitivity(WIDTH) * (1 + 1e-9)
    assert np.abs(whole).max() <= site.rows * private_logistic.clip_norm(WIDTH) <= private_logistic.bound(WIDTH)


def test_a_surprising_patient_moves_the_sum_by_exactly_the_sensitivity():
    hospitals = sites(TASK, [50])
    found = known(hospitals)
    noisy = replace(private_logistic.start(found), weights=np.full(WIDTH + 1, 2.0))
    site = replace(hospitals[0], features=np.ones_like(hospitals[0].features), target=np.zeros(50))
    moved = private_logistic.contribute(DESIGN, found, noisy, *without(site, np.ones(50), 49))
    np.testing.assert_allclose(np.linalg.norm(moved), private_logistic.sensitivity(WIDTH), rtol=1e-12)


def test_a_gradient_that_is_short_enough_is_the_exact_one():
    site = sites(TASK, [200])[0]
    found = known([site])
    noisy = private_logistic.start(found)
    matrix = np.hstack([moments.standardise(DESIGN, found, site.features, 0), np.ones((200, 1))])
    residual = found.positives[0] / found.rows[0] - site.target
    short = np.abs(residual) * np.linalg.norm(matrix, axis=1) < private_logistic.clip_norm(WIDTH)
    assert 20 < short.sum() < 200
    calm = replace(site, learning=site.learning & short)
    np.testing.assert_allclose(opened(found, noisy, [calm]), residual[short] @ matrix[short], rtol=1e-9, atol=1e-9)


def test_steps_along_exact_gradients_end_at_the_exact_model():
    """What differs from the exact model is the clip and how few the rounds are, not where the steps lead."""
    hospitals = sites(TASK, [200, 150])
    exact = unsafe_open_run(TASK, hospitals)
    assert exact.newton is not None
    found, rows = known(hospitals), pooled(hospitals)
    matrix = np.hstack([moments.standardise(DESIGN, found, rows.features, 0), np.ones((350, 1))])
    noisy = private_logistic.start(found)
    for _ in range(300):
        probability = 1 / (1 + np.exp(-(matrix @ noisy.weights)))
        noisy = private_logistic.combine(found, noisy, NEWTON, (probability - rows.target) @ matrix, 0.0)
    np.testing.assert_allclose(noisy.weights, exact.newton.weights[0], rtol=0, atol=1e-6)


def test_four_rounds_without_noise_rank_patients_as_the_exact_model_does():
    """Not the same weights: four steps stop short of the end, and the clip makes surprising patients count less."""
    hospitals = sites(TASK, [300, 200, 100])
    rows = pooled(hospitals)
    ours = predict(*descend(hospitals, 4), rows)
    theirs = TASK.log_odds(unsafe_open_run(TASK, hospitals), rows.features)
    assert np.corrcoef(ours, theirs)[0, 1] > 0.98
    assert area(rows, ours) > area(rows, theirs) - 0.005


def test_moderate_noise_still_learns_and_heavy_noise_learns_less():
    hospitals = sites(TASK, [1500, 1200])
    rows = pooled(hospitals)
    best = area(rows, TASK.log_odds(unsafe_open_run(TASK, hospitals), rows.features))

    def mean_area(multiplier):
        runs = [descend(hospitals, 4, multiplier=multiplier, seed=seed) for seed in range(5)]
        return np.mean([area(rows, predict(*run, rows)) for run in runs])

    assert mean_area(8.0) > best - 0.02
    assert mean_area(2000.0) < best - 0.05


@settings(deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 1e2, 1e6, 1e12]))
def test_any_noise_gives_a_state_that_a_peer_accepts_with_weights_of_bounded_length(seed, multiplier):
    found, noisy = descend(sites(TASK, [30]), 6, multiplier=multiplier, seed=seed)
    private_logistic.check(noisy, WIDTH)
    opening = np.linalg.norm(private_logistic.start(found).weights)
    assert np.linalg.norm(noisy.weights) <= opening + 6 * private_logistic.STEP_LIMIT + 1e-9


@pytest.mark.parametrize("entry", [0.0, 1e18, -1e18])
def test_a_sum_that_is_nothing_like_a_gradient_moves_the_weights_by_one_short_step(entry):
    found = known(sites(TASK, [30]))
    noisy = private_logistic.start(found)
    for _ in range(3):
        following = private_logistic.combine(found, noisy, NEWTON, np.full(WIDTH + 1, entry), 0.0)
        private_logistic.check(following, WIDTH)
        assert np.linalg.norm(following.weights - noisy.weights) <= private_logistic.STEP_LIMIT + 1e-9
        noisy = following


@pytest.mark.parametrize("stiffness", [0.5, 2.0, 1e6])
def test_too_long_a_step_is_noticed_by_the_next_gradient_and_the_steps_become_shorter(stiffness):
    """A quadratic whose curvature is known: the secant finds it, up to what standardised columns allow."""
    found = known(sites(TASK, [300]))
    noisy = private_logistic.start(found)
    supposed, most = noisy.curvature, (WIDTH + 1) * found.rows[0] / 4
    assert supposed * 2 < most
    aim = noisy.weights + np.eye(WIDTH + 1)[0] / 10
    for _ in range(2):
        total = stiffness * supposed * (noisy.weights - aim)
        noisy = private_logistic.combine(found, noisy, NEWTON, total, 0.0)
    assert noisy.curvature == pytest.approx(np.clip(stiffness * supposed, supposed, most))


def test_noise_alone_moves_the_weights_by_less_than_one():
    found = known(sites(TASK, [300]))
    noisy = private_logistic.start(found)
    for spread in (1.0, 1e3, 1e6):
        total = np.full(WIDTH + 1, spread)  # as long as noise of this deviation usually is
        moved = private_logistic.combine(found, noisy, NEWTON, total, spread).weights - noisy.weights
        assert np.linalg.norm(moved[:-1]) < 1
        assert abs(moved[-1]) < 1


def test_a_patient_of_two_rows_counts_as_one():
    hospitals = sites(TASK, [40])
    found = known(hospitals)
    noisy = private_logistic.start(found)
    twice = TASK.ready(Table(SCHEMA, np.repeat(table(40, 0).values, 2, axis=1)), "twice")
    other = private_logistic.contribute(DESIGN, found, noisy, twice, np.full(80, 0.5))
    np.testing.assert_allclose(opened(found, noisy, hospitals), other, rtol=1e-12, atol=1e-12)


def test_shares_that_would_break_the_bound_are_refused():
    hospitals = sites(TASK, [40])
    found = known(hospitals)
    with pytest.raises(Misuse, match="shares"):
        private_logistic.contribute(DESIGN, found, private_logistic.start(found), hospitals[0], np.full(40, 1.01))


def test_the_same_sums_give_the_same_bytes_and_a_state_survives_the_wire():
    one, other = (descend(sites(TASK, [30, 40]), 3, multiplier=2.0)[1] for _ in range(2))
    packed = canon.pack(one)
    assert packed == canon.pack(other)
    assert canon.pack(canon.unpack(Noisy, packed)) == packed


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"weights": np.zeros(WIDTH)}, "weights"),
        ({"previous": np.full(WIDTH + 1, np.inf)}, "previous"),
        ({"gradient": np.zeros(WIDTH + 1, dtype=np.float32)}, "gradient"),
        ({"curvature": 0.0}, "curvature"),
        ({"curvature": np.nan}, "curvature"),
        ({"rounds": -1}, "rounds"),
    ],
)
def test_a_state_that_no_run_reaches_is_refused_by_its_field(change, field):
    noisy = private_logistic.start(known(sites(TASK, [30])))
    private_logistic.check(noisy, WIDTH)
    with pytest.raises(Refused, match=f"noisy.{field}"):
        private_logistic.check(replace(noisy, **change), WIDTH)


@given(st.integers(1, 50), st.floats(0.05, 1e4))
def test_all_rounds_together_spend_the_budget_and_never_more(rounds, total):
    multipliers = private_logistic.schedule(rounds, total)
    spent = sum(1 / z**2 for z in multipliers)
    assert len(multipliers) == rounds + 1
    assert spent <= 1 / total**2
    assert spent == pytest.approx(1 / total**2, rel=1e-9)


@pytest.mark.parametrize(("rounds", "total"), [(0, 1.0), (-1, 1.0), (3, 0.0), (3, -1.0), (3, np.inf), (3, np.nan)])
def test_a_schedule_without_rounds_or_noise_is_refused(rounds, total):
    with pytest.raises(Misuse, match="schedule"):
        private_logistic.schedule(rounds, total)
