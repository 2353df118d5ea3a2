"""Real hospitals: the figures that earlier, independent scripts took on the same rows (see the bench for more)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from small_hospitals import NO_EVALUATION, ring_run

from caduceus.edges.federation import example, open_federation, read_sites
from caduceus.learn import control, metrics
from caduceus.learn.evaluate import own_quality
from caduceus.learn.program import Program, build_task
from caduceus.learn.rows import SiteData, pooled
from caduceus.learn.spec import CROSS, HOLDOUT, Averaging, Evaluation, Learning, Logistic
from caduceus.learn.state import State

NEWTON = Logistic(1.0, 1e-4, 25)
HEART = ("age", "trestbps", "chol", "thalach", "oldpeak", "sex", "cp", "restecg", "fbs", "exang")
HEART_MISSING = ("chol", "fbs", "trestbps", "thalach")

pytestmark = pytest.mark.data


def opened(
    root: Path, name: str, evaluation: Evaluation, *, averaging: Averaging | None = None
) -> tuple[Program, list[SiteData]]:
    federation = open_federation(example(name))
    schema = federation.public_schema
    features, missing = (HEART, HEART_MISSING) if name == "heart" else (schema.features, ())
    logistic = NEWTON if averaging is None else None
    spec = Learning(features, missing, schema.targets[0], logistic, averaging, None, evaluation, seed=0)
    task = build_task(spec, schema)
    return task, [task.ready(one.table, one.name) for one in read_sites(federation, data_root=root)]


def scikit_learn_weights(task: Program, hospitals: Sequence[SiteData]) -> np.ndarray:
    """Mean imputation, indicators, standardisation and fit on all rows in one place, in another library."""
    linear_model = pytest.importorskip("sklearn.linear_model", reason="needs scikit-learn (pip install caduceus[demo])")
    rows = pooled(hospitals)
    raw = rows.features * task.design.half + task.design.center
    gaps = np.isnan(raw)
    filled = np.hstack([np.where(gaps, np.nanmean(raw, axis=0), raw), gaps[:, task.design.indicators]])
    deviation = filled.std(axis=0)
    deviation[deviation < 1e-9] = 1.0
    model = linear_model.LogisticRegression(C=1.0, tol=1e-12, max_iter=10000, solver="newton-cholesky")
    model.fit((filled - filled.mean(axis=0)) / deviation, rows.target)
    return np.append(model.coef_[0], model.intercept_)


def mean_site_auroc(hospitals: Sequence[SiteData], scores: Sequence[np.ndarray]) -> float:
    return float(np.mean([own_quality(site, score).auroc for site, score in zip(hospitals, scores, strict=True)]))


def pooled_auroc(hospitals: Sequence[SiteData], scores: Sequence[np.ndarray]) -> float:
    target, score = np.concatenate([site.target for site in hospitals]), np.concatenate(scores, axis=1)
    judged = ~np.isnan(score)
    return float(np.mean([metrics.auroc(target[k], row[k]) for k, row in zip(judged, score, strict=True)]))


@pytest.mark.parametrize("name", ["heart", "stroke"])
def test_the_model_is_the_one_that_scikit_learn_fits_to_all_rows(clinical_data, name):
    task, hospitals = opened(clinical_data, name, NO_EVALUATION)
    state: State = ring_run(task, hospitals)
    assert state.newton is not None
    assert state.newton.converged.all()
    assert state.round <= 10
    difference = np.abs(state.newton.weights[0] - scikit_learn_weights(task, hospitals))
    assert difference.max() < 1e-6


def test_four_hospitals_predict_heart_disease_as_well_as_pooled_rows_would(clinical_data):
    """Anchors: mean over sites .801 +- .003, pooled .888; alone .773 and .884."""
    task, hospitals = opened(clinical_data, "heart", Evaluation(CROSS, 10, 5, 0.0))
    assert sum(site.rows for site in hospitals) == 920
    assert task.design.width == 17
    quality = ring_run(task, hospitals).quality
    assert quality is not None
    assert quality.site_auroc.mean() == pytest.approx(0.801, abs=0.006)
    assert quality.auroc.mean() == pytest.approx(0.888, abs=0.003)
    assert quality.rows.tolist() == [920] * 10
    alone = [control.local(task, site) for site in hospitals]
    assert mean_site_auroc(hospitals, alone) == pytest.approx(0.773, abs=0.008)
    assert pooled_auroc(hospitals, alone) == pytest.approx(0.884, abs=0.004)


def test_forty_nine_hospitals_predict_death_after_stroke_better_together_than_alone(clinical_data):
    """Anchors: mean-site AUROC .797 and Brier .077 together, .702 alone; the spread over ten splits is .02."""
    task, hospitals = opened(clinical_data, "stroke", Evaluation(HOLDOUT, 10, 0, 0.25))
    assert len(hospitals) == 49
    assert task.design.width == 37
    quality = ring_run(task, hospitals).quality
    assert quality is not None
    assert quality.site_auroc.mean() == pytest.approx(0.797, abs=0.012)
    assert quality.site_brier.mean() == pytest.approx(0.077, abs=0.002)
    alone = mean_site_auroc(hospitals, [control.local(task, site, strength=0.1) for site in hospitals])
    assert alone == pytest.approx(0.702, abs=0.012)
    assert quality.site_auroc.mean() - alone > 0.07


def test_averaging_reaches_its_anchor_on_the_four_hospitals(clinical_data):
    """Anchor: mean over sites .810, pooled .888 (five epochs, rate .05, fifty rounds)."""
    averaging = Averaging((), "relu", 50, 5, 16, 0.05, 0.05, 1.0, "rows", 2**20, 8.0, 32)
    task, hospitals = opened(clinical_data, "heart", Evaluation(CROSS, 1, 5, 0.0), averaging=averaging)
    quality = ring_run(task, hospitals).quality
    assert quality is not None
    assert quality.site_auroc.mean() == pytest.approx(0.810, abs=0.012)
    assert quality.auroc.mean() == pytest.approx(0.888, abs=0.005)


def test_a_small_perceptron_learns_on_the_four_hospitals(clinical_data):
    averaging = Averaging((16,), "relu", 20, 2, 16, 0.1, 0.05, 1.0, "rows", 2**20, 8.0, 32)
    task, hospitals = opened(clinical_data, "heart", Evaluation(HOLDOUT, 1, 0, 0.25), averaging=averaging)
    quality = ring_run(task, hospitals).quality
    assert quality is not None
    assert quality.auroc.mean() > 0.86
