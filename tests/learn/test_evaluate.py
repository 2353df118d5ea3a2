from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_hospitals import CROSSED, SCHEMA, learning, ring_run, ring_sum, sites, table

from caduceus.data.table import Table
from caduceus.learn import evaluate, metrics
from caduceus.learn.program import build_task
from caduceus.learn.spec import HOLDOUT, Evaluation

TASK = build_task(learning(evaluation=CROSSED), SCHEMA)


@pytest.fixture(scope="module")
def run():
    hospitals = sites(TASK, [60, 45, 80, 30])
    state = ring_run(TASK, hospitals)
    assert state.quality is not None
    return hospitals, state, state.quality


def test_pooled_auroc_is_exact_within_its_stated_error(run):
    hospitals, state, quality = run
    target = np.concatenate([site.target for site in hospitals])
    scores = np.concatenate([TASK.judged(state, site) for site in hospitals], axis=1)
    for repeat, score in enumerate(scores):
        exact = metrics.auroc(target, score)
        assert abs(quality.auroc[repeat] - exact) <= quality.auroc_error[repeat] + 1e-12
    assert quality.auroc_error.max() < 0.01
    assert quality.auroc.min() > 0.6


def test_brier_and_the_means_over_sites_are_exact(run):
    hospitals, state, quality = run
    for repeat in range(2):
        scores = [TASK.judged(state, site)[repeat] for site in hospitals]
        chance = [evaluate.sigmoid(score) for score in scores]
        areas = [metrics.auroc(site.target, score) for site, score in zip(hospitals, scores, strict=True)]
        errors = [metrics.brier(site.target, p) for site, p in zip(hospitals, chance, strict=True)]
        pooled = metrics.brier(np.concatenate([site.target for site in hospitals]), np.concatenate(chance))
        assert quality.rows[repeat] == 215
        assert quality.sites[repeat] == 4
        assert quality.brier[repeat] == pytest.approx(pooled, abs=1e-8)
        assert quality.site_auroc[repeat] == pytest.approx(np.mean(areas), abs=1e-8)
        assert quality.site_brier[repeat] == pytest.approx(np.mean(errors), abs=1e-8)


def test_calibration_tells_what_was_predicted_and_what_came_true(run):
    hospitals, state, quality = run
    target = np.concatenate([site.target for site in hospitals])
    chance = evaluate.sigmoid(np.concatenate([TASK.judged(state, site)[0] for site in hospitals]))
    for group, (rows, predicted, true) in enumerate(quality.calibration[0]):
        inside = (chance >= group / 10) & (chance < (group + 1) / 10)
        assert rows == inside.sum()
        if rows:
            assert predicted == pytest.approx(chance[inside].mean(), abs=1e-8)
            assert true == pytest.approx(target[inside].mean(), abs=1e-8)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.01, 20))
def test_the_histogram_brackets_auroc_for_any_spread_of_scores(seed, spread):
    draw = np.random.default_rng(seed)
    site = TASK.ready(table(70, seed), "A")
    score = np.tile(draw.normal(0, spread, 70), (2, 1))
    quality = evaluate.combine(evaluate.contribute(site, score), 2)
    exact = metrics.auroc(site.target, score[0])
    assert abs(quality.auroc[0] - exact) <= quality.auroc_error[0] + 1e-12


def test_predictions_come_from_fits_that_did_not_see_the_row(run):
    hospitals, state, _ = run
    site = hospitals[0]
    judged = TASK.judged(state, site)
    assert not np.isnan(judged).any()
    for repeat in range(2):
        for row in (0, 17, 59):
            fit = int(site.judging[repeat, row])
            assert not site.learning[fit, row]
            expected = TASK.log_odds(state, site.features[row : row + 1], fit)[0]
            assert judged[repeat, row] == pytest.approx(expected, rel=1e-12)


def test_rows_that_are_not_held_out_are_not_judged():
    task = build_task(learning(evaluation=Evaluation(HOLDOUT, 2, 0, 0.25)), SCHEMA)
    hospitals = sites(task, [60, 45])
    state = ring_run(task, hospitals)
    assert state.quality is not None
    kept = sum(int((site.judging[0] >= 0).sum()) for site in hospitals)
    assert state.quality.rows[0] == kept < 40
    own = evaluate.own_quality(hospitals[0], task.judged(state, hospitals[0]))
    assert own.rows == (hospitals[0].judging[0] >= 0).sum()


def test_a_site_with_one_class_counts_for_brier_but_not_for_the_mean_auroc():
    values = table(30, 3).values.copy()
    values[-1] = 0.0
    hospitals = [*sites(TASK, [60, 45]), TASK.ready(Table(SCHEMA, values), "all well")]
    state = ring_run(TASK, hospitals)
    assert state.quality is not None
    assert state.quality.sites.tolist() == [2, 2]
    own = [evaluate.own_quality(site, TASK.judged(state, site)) for site in hospitals]
    assert own[2].auroc is None
    assert own[2].brier is not None
    assert state.quality.site_auroc.mean() == pytest.approx((own[0].auroc + own[1].auroc) / 2, abs=1e-8)
    assert state.quality.site_brier.mean() == pytest.approx(np.mean([one.brier for one in own]), abs=1e-8)


def test_counts_come_through_the_ring_unchanged(run):
    hospitals, _, quality = run
    assert (quality.histogram == quality.histogram.astype(int)).all()
    assert quality.histogram[0].sum() == 215
    assert quality.histogram[0, 1].sum() == sum(site.target.sum() for site in hospitals)


def test_a_site_without_judged_rows_adds_nothing():
    site = sites(TASK, [20])[0]
    idle = replace(site, judging=np.full_like(site.judging, -1))
    vector = evaluate.contribute(idle, np.full(idle.judging.shape, np.nan))
    assert not vector.any()
    assert evaluate.own_quality(idle, np.full(idle.judging.shape, np.nan)).brier is None
    state = TASK.opening()
    assert ring_sum(TASK, state, [np.zeros(TASK.length(state))]).sum() == 0
