"""Curves from counts: against Kaplan-Meier written plainly, against SciPy, and against the noise itself."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caduceus.learn.inquiry.survival import kaplan_meier, log_rank


def patients(rows, seed, *, mean=200.0):
    draw = np.random.default_rng(seed)
    died, lost = draw.exponential(mean, rows), draw.uniform(50, 500, rows)
    return np.ceil(np.minimum(np.minimum(died, lost), 365.0) / 30) * 30, died <= np.minimum(lost, 365.0)


def counts(times, event, bins=13):
    place = (times / 30).astype(int) - 1
    return (np.bincount(place[kind], minlength=bins).astype(float) for kind in (event, ~event))


def plain_kaplan_meier(times, event):
    """One patient at a time: survival after each grid time, and how many are still there."""
    survival, left, one = [1.0], [len(times)], 1.0
    for k in range(1, 14):
        there = sum(1 for time in times if time >= 30 * k)
        deaths = sum(1 for time, died in zip(times, event, strict=True) if time == 30 * k and died)
        one *= 1 - deaths / there if there else 1.0
        survival.append(one)
        left.append(sum(1 for time in times if time > 30 * k))
    return np.array(survival), np.array(left)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 400), st.integers(0, 2**32 - 1))
def test_without_noise_the_published_points_are_kaplan_meiers(rows, seed):
    times, event = patients(rows, seed)
    curve = kaplan_meier(*counts(times, event), 0.0, 10)
    survival, left = plain_kaplan_meier(times, event)
    np.testing.assert_allclose(curve.survival[curve.shown], survival[curve.shown], atol=1e-12)
    np.testing.assert_allclose(curve.at_risk, left)
    assert not curve.error[curve.shown].any()
    assert (np.diff(curve.survival[curve.shown]) <= 1e-12).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 400), st.integers(0, 2**32 - 1), st.integers(5, 30))
def test_no_two_published_points_have_fewer_patients_between_them_than_the_minimum(rows, seed, minimum):
    times, event = patients(rows, seed)
    curve = kaplan_meier(*counts(times, event), 0.0, minimum)
    _, left = plain_kaplan_meier(times, event)
    assert (-np.diff(left[curve.shown]) >= minimum).all()
    assert (left[curve.risk_shown] >= minimum).all()
    assert curve.shown.any() == (rows >= minimum)
    assert (left[:-1][curve.shown[1:]] >= minimum).all()


def test_curve_and_band_agree_with_scipys():
    stats = pytest.importorskip("scipy.stats")
    times, event = patients(500, 1)
    curve = kaplan_meier(*counts(times, event), 0.0, 10)
    theirs = stats.ecdf(stats.CensoredData.right_censored(times, ~event)).sf
    grid = 30.0 * np.arange(14)
    shown = curve.shown & (grid > 0)
    np.testing.assert_allclose(curve.survival[shown], theirs.evaluate(grid[shown]), atol=1e-12)
    # SciPy's band is survival +- z * deviation (Greenwood); ours has the same deviation on the scale of logarithms.
    low = theirs.confidence_interval(0.95, method="linear").low
    relative = 1 - low.evaluate(grid[shown]) / curve.survival[shown]
    np.testing.assert_allclose(np.log(curve.survival[shown] / curve.low[shown]), relative, rtol=1e-6)


def test_the_log_rank_statistic_agrees_with_scipys():
    stats = pytest.importorskip("scipy.stats")
    groups = [patients(300, 2), patients(250, 3, mean=260.0)]
    tables = np.array([list(counts(*group)) for group in groups])
    ours = log_rank(tables[:, 0], tables[:, 1], 0.0, 5)
    data = [stats.CensoredData.right_censored(times, ~event) for times, event in groups]
    theirs = stats.logrank(*data)
    assert ours == pytest.approx(theirs.statistic, rel=1e-6)
    assert ours > 2


def test_the_log_rank_statistic_is_withheld_for_few_patients_or_events():
    tables = np.array([list(counts(*patients(300, 2))), list(counts(*patients(8, 3)))])
    assert log_rank(tables[:, 0], tables[:, 1], 0.0, 10) is None
    nobody_died = np.zeros((2, 13))
    assert log_rank(nobody_died, np.full((2, 13), 20.0), 0.0, 10) is None


def test_the_stated_errors_are_those_of_the_noise():
    draw = np.random.default_rng(4)
    events, censored = counts(*patients(3000, 5))
    curve = kaplan_meier(events, censored, 6.0, 10)
    noisy = [
        kaplan_meier(events + draw.normal(0, 6, 13), censored + draw.normal(0, 6, 13), 6.0, 10) for _ in range(600)
    ]
    at = slice(2, 9)
    spread = np.std([one.survival[at] for one in noisy], axis=0)
    np.testing.assert_allclose(spread, curve.error[at], rtol=0.15)
    np.testing.assert_allclose(np.std([one.at_risk for one in noisy], axis=0)[at], curve.risk_error[at], rtol=0.15)
    np.testing.assert_allclose(np.mean([one.survival[at] for one in noisy], axis=0), curve.survival[at], atol=2e-3)


def test_the_band_covers_the_truth_with_noise_and_sampling():
    draw = np.random.default_rng(6)
    inside = []
    for seed in range(300):
        events, censored = counts(*patients(600, 1000 + seed))
        curve = kaplan_meier(events + draw.normal(0, 4, 13), censored + draw.normal(0, 4, 13), 4.0, 10)
        truth = np.exp(-30.0 * np.arange(14) / 200.0)
        at = curve.shown & (np.arange(14) > 0) & (np.arange(14) < 10)
        inside.append(np.mean((curve.low <= truth)[at] & (truth <= curve.high)[at]))
    assert 0.91 < np.mean(inside) < 0.99


def test_the_log_rank_statistic_of_equal_groups_is_a_standard_normal_even_with_noise():
    draw = np.random.default_rng(7)
    found = []
    for seed in range(300):
        tables = np.array([list(counts(*patients(400, 5000 + 2 * seed + g))) for g in range(2)])
        tables = tables + draw.normal(0, 5, tables.shape)
        found.append(log_rank(tables[:, 0], tables[:, 1], 5.0, 10))
    assert abs(np.mean(found)) < 0.2
    assert 0.85 < np.std(found) < 1.15
