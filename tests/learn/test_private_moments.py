from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_hospitals import CROSSED, SCHEMA, learning, sites, table

from caduceus.data.table import Table
from caduceus.errors import Misuse
from caduceus.learn import moments
from caduceus.learn.private import moments as private_moments
from caduceus.learn.program import build_task
from caduceus.learn.rows import SiteData

TASK = build_task(learning(evaluation=CROSSED), SCHEMA)
DESIGN = TASK.design
BINARY = private_moments.zero_one(DESIGN, SCHEMA)

VALUES = st.sampled_from([-1.0, 1.0, 0.0, 0.5, float("nan"), float("inf"), -float("inf"), 7.0])


@st.composite
def any_rows(draw):
    """A site whose records hold anything, even what no schema allows, and a patient's rows among them."""
    rows = draw(st.integers(2, 6))
    features = np.array(draw(st.lists(VALUES, min_size=rows * len(BINARY), max_size=rows * len(BINARY))))
    target = np.array(draw(st.lists(st.sampled_from([0.0, 1.0]), min_size=rows, max_size=rows)))
    fits = draw(st.integers(1, 3))
    learned = np.array(draw(st.lists(st.booleans(), min_size=fits * rows, max_size=fits * rows)))
    site = SiteData(
        "any",
        features.reshape(rows, -1),
        target,
        learned.reshape(fits, rows),
        np.zeros((0, rows), dtype=np.int64),
    )
    patient = draw(st.integers(1, rows - 1))  # the first rows are one patient's
    shares = np.where(np.arange(rows) < patient, 1.0 / patient, 1.0)
    return site, shares, patient


def without(site, shares, patient):
    kept = slice(patient, None)
    rest = SiteData(
        site.label, site.features[kept], site.target[kept], site.learning[:, kept], np.zeros((0, 0), dtype=np.int64)
    )
    return rest, shares[kept]


@settings(max_examples=200, deadline=None)
@given(any_rows())
def test_a_patient_moves_the_sum_by_no_more_than_the_sensitivity_whatever_the_records_hold(case):
    site, shares, patient = case
    fits = len(site.learning)
    whole = private_moments.contribute(BINARY, site, shares)
    rest = private_moments.contribute(BINARY, *without(site, shares, patient))
    assert whole.shape == (private_moments.length(BINARY, fits),)
    assert np.linalg.norm(whole - rest) <= private_moments.sensitivity(BINARY, fits) * (1 + 1e-12)
    assert np.abs(whole).max() <= site.rows <= private_moments.bound()


def test_some_patient_moves_the_sum_by_almost_the_sensitivity():
    """Numbers at the end of their range, nothing missing, in every fit: the bound wastes nothing."""
    row = SiteData(
        "one", np.ones((1, len(BINARY))), np.ones(1), np.ones((2, 1), bool), np.zeros((0, 1), dtype=np.int64)
    )
    moved = np.linalg.norm(private_moments.contribute(BINARY, row, np.ones(1)))
    np.testing.assert_allclose(moved, private_moments.sensitivity(BINARY, 2), rtol=1e-12)


def test_without_noise_the_moments_are_the_exact_ones():
    hospitals = sites(TASK, [60, 45, 80])
    total = sum(private_moments.contribute(BINARY, one, np.ones(one.rows)) for one in hospitals)
    found = private_moments.combine(DESIGN, BINARY, total, 0.0)
    opening = TASK.opening()
    exact = TASK.combine(opening, sum(TASK.contribute(opening, one) for one in hospitals), 3).moments
    assert exact is not None
    for name in ("rows", "positives", "mean", "deviation"):
        np.testing.assert_allclose(getattr(found, name), getattr(exact, name), rtol=1e-9, atol=1e-12)


def test_a_patient_of_two_rows_counts_as_one():
    site = sites(TASK, [40])[0]
    twice = TASK.ready(Table(SCHEMA, np.repeat(table(40, 0).values, 2, axis=1)), "twice")
    twice = replace(twice, learning=np.repeat(site.learning, 2, axis=1))
    one = private_moments.contribute(BINARY, site, np.ones(40))
    other = private_moments.contribute(BINARY, twice, np.full(80, 0.5))
    np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shares", [np.zeros(20), np.full(20, 1.5), np.full(20, np.nan), np.ones(19)])
def test_shares_that_would_break_the_bound_are_refused(shares):
    with pytest.raises(Misuse, match="shares"):
        private_moments.contribute(BINARY, sites(TASK, [20])[0], shares)


@settings(deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 1.0, 1e3, 1e9, 1e15]))
def test_any_noise_gives_moments_that_a_state_accepts_and_a_matrix_can_be_made_with(seed, noise):
    hospital = sites(TASK, [30])[0]
    total = private_moments.contribute(BINARY, hospital, np.ones(30))
    total = total + noise * np.random.default_rng(seed).normal(size=total.shape)
    found = private_moments.combine(DESIGN, BINARY, total, noise)
    assert (found.rows >= max(1.0, noise)).all()
    assert ((found.positives > 0) & (found.positives < found.rows)).all()
    assert (np.abs(found.mean) <= 1).all()
    assert ((found.deviation >= 0.01 - 1e-12) & (found.deviation <= 1)).all()
    assert np.isfinite(moments.standardise(DESIGN, found, hospital.features, 0)).all()


def test_no_deviation_is_believed_to_be_smaller_than_noise_allows():
    hospital = sites(TASK, [30])[0]
    total = private_moments.contribute(BINARY, hospital, np.ones(30))
    exact = private_moments.combine(DESIGN, BINARY, total, 0.0)
    careful = private_moments.combine(DESIGN, BINARY, total, 5.0)
    least = np.sqrt(5.0 / careful.rows)[:, None]
    assert (exact.deviation < least).any()
    np.testing.assert_allclose(careful.deviation, np.maximum(exact.deviation, least), rtol=1e-9)


def test_the_rate_of_few_rows_is_drawn_towards_a_half_by_as_much_as_noise_could_move_it():
    hospital = sites(TASK, [30])[0]
    total = private_moments.contribute(BINARY, hospital, np.ones(30))
    rows, positives = hospital.learning.sum(axis=1), hospital.learning @ hospital.target
    assert (positives != rows / 2).all()
    found = private_moments.combine(DESIGN, BINARY, total, 6.0)
    np.testing.assert_allclose(found.positives / found.rows, (positives + 3) / (rows + 6), rtol=1e-12)


def test_a_number_whose_range_looks_like_zeros_and_ones_is_not_taken_for_one():
    """Range and kind are told apart: a number in [-1, 1] has the centre and half-range of an indicator."""
    columns = tuple(replace(one, low=-1.0, high=1.0) if one.name == "age" else one for one in SCHEMA.columns)
    schema = replace(SCHEMA, columns=columns)
    design = build_task(learning(), schema).design
    assert (design.center[0], design.half[0]) == (0.0, 1.0)
    assert not private_moments.zero_one(design, schema)[0]
    assert private_moments.zero_one(design, schema)[design.names.index("smoker")]
