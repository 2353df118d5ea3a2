import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_hospitals import CROSSED, SCHEMA, learning, ring_sum, sites, table

from caduceus.data.table import Table
from caduceus.errors import Refused
from caduceus.learn import moments
from caduceus.learn.program import build_task

TASK = build_task(learning(evaluation=CROSSED), SCHEMA)
OPENING = TASK.opening()


def pooled_matrix(hospitals, fit):
    """Imputed by hand from the pooled training rows, with indicators of absence, not yet standardised."""
    features = np.concatenate([site.features for site in hospitals])
    learned = np.concatenate([site.learning[fit] for site in hospitals])
    gaps = np.isnan(features)
    filled = np.where(gaps, np.nanmean(features[learned], axis=0), features)
    return np.hstack([filled, gaps[:, TASK.design.indicators]]), learned


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(10, 60), min_size=1, max_size=5), st.integers(0, 10**6))
def test_summed_moments_are_those_of_the_pooled_rows_in_every_fit(sizes, seed):
    hospitals = sites(TASK, sizes, seed=seed)
    state = TASK.combine(
        OPENING, ring_sum(TASK, OPENING, [TASK.contribute(OPENING, one) for one in hospitals]), len(sizes)
    )
    assert state.moments is not None
    for fit in range(TASK.fits):
        matrix, learned = pooled_matrix(hospitals, fit)
        assert state.moments.rows[fit] == learned.sum()
        np.testing.assert_allclose(state.moments.mean[fit], matrix[learned].mean(axis=0), rtol=0, atol=1e-8)
        deviation = matrix[learned].std(axis=0)
        expected = np.where(deviation < 1e-5, 1.0, deviation)
        np.testing.assert_allclose(state.moments.deviation[fit], expected, rtol=1e-7)


@settings(deadline=None)
@given(st.permutations(range(4)))
def test_the_order_of_sites_does_not_change_a_bit(order):
    vectors = [TASK.contribute(OPENING, one) for one in sites(TASK, [12, 20, 33, 15])]
    one = ring_sum(TASK, OPENING, vectors)
    other = ring_sum(TASK, OPENING, [vectors[i] for i in order])
    assert one.tobytes() == other.tobytes()


def test_a_standardised_matrix_has_mean_0_and_deviation_1_on_its_training_rows():
    hospitals = sites(TASK, [40, 50])
    state = TASK.combine(OPENING, sum(TASK.contribute(OPENING, one) for one in hospitals), 2)
    assert state.moments is not None
    for fit in range(TASK.fits):
        matrix = np.vstack(
            [moments.standardise(TASK.design, state.moments, one.features[one.learning[fit]], fit) for one in hospitals]
        )
        np.testing.assert_allclose(matrix.mean(axis=0), 0, atol=1e-12)
        np.testing.assert_allclose(matrix.std(axis=0), 1, atol=1e-12)


def test_a_column_that_never_varies_keeps_deviation_1_despite_rounding():
    values = table(40, 3).values.copy()
    values[0] = 63.7  # not a whole number of fixed-point steps
    values[3] = 1.0
    one = TASK.ready(Table(SCHEMA, values), "A")
    state = TASK.combine(OPENING, ring_sum(TASK, OPENING, [TASK.contribute(OPENING, one)]), 1)
    assert state.moments is not None
    for name in ("age", "smoker"):
        np.testing.assert_array_equal(state.moments.deviation[:, TASK.design.names.index(name)], 1.0)


def test_a_column_that_nobody_measured_is_0_everywhere():
    values = table(40, 3).values.copy()
    values[1] = np.nan
    one = TASK.ready(Table(SCHEMA, values), "A")
    state = TASK.combine(OPENING, TASK.contribute(OPENING, one), 1)
    assert state.moments is not None
    matrix = moments.standardise(TASK.design, state.moments, one.features, 0)
    assert np.isfinite(matrix).all()
    np.testing.assert_array_equal(matrix[:, TASK.design.names.index("pressure")], 0.0)
    np.testing.assert_array_equal(matrix[:, TASK.design.names.index("pressure missing")], 0.0)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_target_that_is_constant_over_all_sites_is_refused(value):
    values = table(40, 3).values.copy()
    values[-1] = value
    one = TASK.ready(Table(SCHEMA, values), "A")
    with pytest.raises(Refused, match="target event is constant"):
        TASK.combine(OPENING, TASK.contribute(OPENING, one), 1)


def test_a_target_that_is_constant_at_one_site_only_is_no_obstacle():
    values = table(40, 3).values.copy()
    values[-1] = 0.0
    one, other = TASK.ready(Table(SCHEMA, values), "A"), TASK.ready(table(40, 4), "B")
    state = TASK.combine(OPENING, TASK.contribute(OPENING, one) + TASK.contribute(OPENING, other), 2)
    assert state.moments is not None
    assert state.moments.positives[0] == other.target.sum()


def test_a_sum_without_rows_is_refused():
    with pytest.raises(Refused, match="no rows for some fit"):
        TASK.combine(OPENING, np.zeros(TASK.length(OPENING)), 3)
