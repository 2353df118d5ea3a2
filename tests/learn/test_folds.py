import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caduceus.learn import folds
from caduceus.learn.spec import CROSS, HOLDOUT, NONE, Evaluation

targets = st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=60).map(np.array)


@settings(deadline=None)
@given(targets, st.integers(2, 6), st.integers(1, 3), st.integers(0, 2**63 - 1))
def test_cross_validation_judges_every_row_once_per_repeat_in_even_folds(target, parts, repeats, seed):
    fit = folds.judging(target, "A", seed, Evaluation(CROSS, repeats, parts, 0.0))
    for repeat in range(repeats):
        own = np.arange(1 + repeat * parts, 1 + (repeat + 1) * parts)
        assert np.isin(fit[repeat], own).all()
        for rows in (slice(None), target == 0, target == 1):
            sizes = [(fit[repeat][rows] == one).sum() for one in own]
            assert max(sizes) - min(sizes) <= 1


@settings(deadline=None)
@given(targets, st.floats(0.05, 0.95), st.integers(0, 1000))
def test_holdout_keeps_back_its_share_of_each_class_and_at_least_one_row(target, fraction, seed):
    fit = folds.judging(target, "A", seed, Evaluation(HOLDOUT, 2, 0, fraction))
    assert set(fit[1]) <= {-1, 2}
    for value in (0.0, 1.0):
        rows = int((target == value).sum())
        kept = int((fit[0][target == value] == 1).sum())
        assert kept == (max(1, round(fraction * rows)) if rows else 0)


@settings(deadline=None)
@given(
    targets,
    st.sampled_from([Evaluation(CROSS, 2, 3, 0.0), Evaluation(HOLDOUT, 2, 0, 0.25), Evaluation(NONE, 0, 0, 0.0)]),
)
def test_a_fit_learns_from_all_rows_but_those_it_judges(target, evaluation):
    judging = folds.judging(target, "A", 1, evaluation)
    learning = folds.learning(judging, 1 + evaluation.fits)
    assert learning[0].all()
    for fit in range(1, 1 + evaluation.fits):
        np.testing.assert_array_equal(learning[fit], ~(judging == fit).any(axis=0))


def test_splits_depend_on_seed_site_and_repeat_and_on_nothing_else():
    target = np.zeros(200)
    evaluation = Evaluation(CROSS, 2, 5, 0.0)
    fit = folds.judging(target, "A", 1, evaluation)
    np.testing.assert_array_equal(fit, folds.judging(target, "A", 1, evaluation))
    assert (fit[0] != fit[1] - 5).any()
    assert (fit != folds.judging(target, "B", 1, evaluation)).any()
    assert (fit != folds.judging(target, "A", 2, evaluation)).any()


def test_the_public_order_is_the_same_for_ever():
    """Pinned: another order would change every split and break the comparison with earlier runs."""
    assert folds.permutation(10, "split", "Cleveland", 1, 0).tolist() == [4, 9, 6, 5, 8, 2, 0, 7, 1, 3]


def test_a_site_name_cannot_imitate_another_purpose_or_seed():
    plain = folds.keystream(4, "split", "AB", 1)
    assert (plain != folds.keystream(4, "splitA", "B", 1)).any()
    assert (plain != folds.keystream(4, "split", "A", 1)).any()


@pytest.mark.parametrize("size", [0, 1, 1000])
def test_an_order_holds_each_position_once(size):
    assert sorted(folds.permutation(size, "split", "A", 1)) == list(range(size))
