"""Quality from a noisy histogram: right without noise, and within what is stated with it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caduceus.data.patients import Patients
from caduceus.learn import metrics
from caduceus.learn.evaluate import sigmoid
from caduceus.learn.private import evaluate as private_evaluate
from caduceus.learn.rows import SiteData


def site(target: np.ndarray, shares: np.ndarray | None = None) -> SiteData:
    rows = len(target)
    shares = np.ones(rows) if shares is None else shares
    held = np.zeros((1, rows), dtype=np.int64)
    whose = Patients(rows, np.arange(rows), shares)
    return SiteData("here", np.zeros((rows, 1)), target, np.zeros((1, rows), dtype=np.bool_), held, whose)


def scores(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    score = draw.normal(-1.0, 1.3, rows)
    return score, (draw.random(rows) < sigmoid(score)).astype(float)


@pytest.mark.parametrize("seed", range(5))
def test_without_noise_the_figures_are_right_to_within_the_bins(seed: int):
    score, target = scores(5000, seed)
    quality = private_evaluate.combine(private_evaluate.contribute(site(target), score), 0.0)
    area = metrics.auroc(target, score)
    assert area is not None
    assert abs(float(quality.auroc[0]) - area) <= float(quality.auroc_error[0]) < 0.05
    assert float(quality.rows[0]) == 5000
    assert float(quality.brier[0]) == pytest.approx(metrics.brier(target, sigmoid(score)), abs=0.005)
    table = quality.calibration[0]
    some = table[:, 0] > 200
    assert table[some, 1] == pytest.approx(table[some, 2], abs=0.12)


def test_the_stated_error_covers_the_noise():
    score, target = scores(2000, 9)
    area = metrics.auroc(target, score)
    assert area is not None
    exact = private_evaluate.contribute(site(target), score)
    draw = np.random.default_rng(2)
    found = [private_evaluate.combine(exact + draw.normal(0, 4.0, len(exact)), 4.0) for _ in range(200)]
    misses = sum(abs(float(one.auroc[0]) - area) > float(one.auroc_error[0]) for one in found)
    assert misses <= 14  # two standard errors, and the bins besides


@given(st.lists(st.floats(-1e6, 1e6), min_size=private_evaluate.LENGTH, max_size=private_evaluate.LENGTH))
def test_no_noise_makes_a_figure_that_is_none(total: list[float]):
    quality = private_evaluate.combine(np.array(total), 10.0)
    for name in ("rows", "auroc", "auroc_error", "brier", "calibration"):
        assert np.isfinite(getattr(quality, name)).all()
    assert 0 <= float(quality.auroc[0]) <= 1
    assert 0 <= float(quality.brier[0]) <= 1
    assert ((quality.calibration >= 0) & np.isfinite(quality.calibration)).all()


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 8))
def test_a_patient_with_all_rows_moves_the_histogram_by_one_at_most(seed: int, rows: int):
    score, target = scores(40, seed)
    mine = np.zeros(40, dtype=np.bool_)
    mine[:rows] = True
    shares = np.where(mine, 1.0 / rows, 1.0)
    score[0] = np.inf if seed % 2 else -np.inf
    whole = private_evaluate.contribute(site(target, shares), score)
    less = private_evaluate.contribute(site(target[~mine], shares[~mine]), score[~mine])
    assert float(np.linalg.norm(whole - less)) <= private_evaluate.SENSITIVITY + 1e-12


def test_only_rows_that_are_judged_are_counted():
    score, target = scores(50, 3)
    score[10:] = np.nan
    vector = private_evaluate.contribute(site(target), score)
    assert vector.shape == (private_evaluate.LENGTH,)
    assert vector.sum() == 10
    assert vector.max() <= private_evaluate.BOUND
