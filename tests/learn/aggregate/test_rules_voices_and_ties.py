"""Who takes part, how much they count, and what happens to ties, absences and what is not a number."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caduceus.errors import Misuse, Refused
from caduceus.learn.aggregate import centres, coordinates, mixing, selection, trust
from caduceus.learn.aggregate.gram import apply, distances, gram
from caduceus.learn.aggregate.rules import Setting, rule_named
from caduceus.learn.aggregate.voices import capped, present

WEIGHTS = {
    "krum": lambda g, v: selection.krum(g, 2, v),
    "multi-krum": lambda g, v: selection.multi_krum(g, 2, voices=v),
    "smallest diameter": lambda g, v: selection.smallest_diameter(g, 2, v),
    "geometric median": centres.geometric_median,
    "mixing": lambda g, v: mixing.mixed(g, 2, lambda m, w: selection.krum(m, 2, w), v),
    "foolsgold": trust.foolsgold,
    "flame": trust.flame,
}


def rows(n=9, d=30, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def test_a_large_claim_buys_no_more_than_the_cap():
    assert capped(np.array([10.0, 20, 30, 1e9]), cap=2.0).tolist() == [10, 20, 30, 50]
    assert capped(np.array([0.0, 10, 10]), cap=1.0).tolist() == [0, 10, 10]


@pytest.mark.parametrize("counts", [[-1.0, 2.0], [np.nan, 1.0]])
def test_a_count_that_makes_no_sense_is_a_misuse(counts):
    with pytest.raises(Misuse, match="sample count"):
        capped(np.array(counts))


def test_no_samples_at_all_are_refused():
    with pytest.raises(Refused, match="no site has any samples"):
        capped(np.zeros(3))
    with pytest.raises(Misuse, match="cap"):
        capped(np.ones(3), cap=0.0)


@pytest.mark.parametrize("name", WEIGHTS)
def test_an_update_that_is_not_a_number_is_absent_and_nothing_else_changes(name):
    x = rows()
    without = WEIGHTS[name](gram(x[1:]), None)
    for poison in (np.nan, np.inf, -np.inf):
        hurt = np.vstack([x[:1], x[1:]])
        hurt[0, 7] = poison
        weights = WEIGHTS[name](gram(hurt), None)
        assert weights[0] == 0
        np.testing.assert_allclose(weights[1:], without, rtol=1e-7, atol=1e-12)
        assert np.isfinite(apply(weights, hurt)).all()


@pytest.mark.parametrize("name", WEIGHTS)
def test_a_row_without_a_voice_is_as_if_it_was_not_there(name):
    x = rows()
    x[4] *= 1e6
    silent = np.ones(9)
    silent[4] = 0
    weights = WEIGHTS[name](gram(x), silent)
    assert weights[4] == 0
    kept = np.delete(np.arange(9), 4)
    np.testing.assert_allclose(weights[kept], WEIGHTS[name](gram(x[kept]), None), rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("name", WEIGHTS)
def test_all_voices_alike_are_no_voices(name):
    g = gram(rows())
    np.testing.assert_allclose(WEIGHTS[name](g, np.full(9, 7.0)), WEIGHTS[name](g, None), rtol=1e-9, atol=1e-12)


def test_the_kept_are_averaged_by_voice():
    g, voices = gram(rows()), np.arange(1.0, 10.0)
    kept = np.flatnonzero(selection.multi_krum(g, 2))
    weights = selection.multi_krum(g, 2, voices=voices)
    np.testing.assert_allclose(weights[kept], voices[kept] / voices[kept].sum())
    assert weights.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("name", ["krum", "multi-krum", "smallest diameter", "geometric median", "mixing"])
def test_weights_sum_to_one(name):
    for seed in range(20):
        weights = WEIGHTS[name](gram(rows(seed=seed)), None)
        assert (weights >= 0).all()
        assert weights.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("name", [name for name in WEIGHTS if name != "smallest diameter"])
@given(order=st.permutations(range(9)), seed=st.integers(0, 50))
def test_who_sits_where_does_not_matter(name, order, seed):
    x = rows(seed=seed)
    weights, moved = WEIGHTS[name](gram(x), None), WEIGHTS[name](gram(x[order]), None)
    np.testing.assert_allclose(moved, weights[order], rtol=1e-6, atol=1e-9)


@given(order=st.permutations(range(9)), seed=st.integers(0, 50))
def test_who_sits_where_does_not_change_the_smallest_diameter_itself(order, seed):
    x = rows(seed=seed)
    sizes = [
        distances(gram(y))[np.ix_(kept, kept)].max()
        for y in (x, x[order])
        for kept in [np.flatnonzero(selection.smallest_diameter(gram(y), 3))]
    ]
    assert sizes[0] == pytest.approx(sizes[1])  # other subsets may have the same: then seats decide


@given(order=st.permutations(range(15)), seed=st.integers(0, 50))
def test_coordinates_do_not_care_who_sits_where(order, seed):
    x = rows(15, seed=seed)
    for rule in (coordinates.median, lambda y: coordinates.trimmed_mean(y, 3), lambda y: coordinates.bulyan(y, 3)):
        np.testing.assert_allclose(rule(x[order]), rule(x), rtol=0, atol=1e-12)


def test_of_tied_updates_the_lowest_seat_is_taken():
    x = np.zeros((7, 3))
    assert selection.krum(gram(x), 2).tolist() == [1, 0, 0, 0, 0, 0, 0]
    assert np.flatnonzero(selection.multi_krum(gram(x), 2, keep=3)).tolist() == [0, 1, 2]
    assert np.flatnonzero(selection.smallest_diameter(gram(x), 2)).tolist() == [0, 1, 2, 3, 4]
    corners = np.repeat(np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]]), 2, axis=0)
    assert np.flatnonzero(selection.krum(gram(corners[::-1].copy()), 2)).tolist() == [0]
    assert selection.order(np.array([3.0, 1.0, 2.0, 1.0 + 1e-9])).tolist() == [1, 3, 2, 0]
    assert selection.order(np.array([3.0, 1.0 + 1e-9, 2.0, 1.0])).tolist() == [1, 3, 2, 0]
    assert selection.order(np.array([3.0, 1.0 + 1e-5, 2.0, 1.0])).tolist() == [3, 1, 2, 0]


def test_copies_are_at_the_same_place_whatever_their_length():
    x = rows() * 1e6
    x[5] = x[2]
    assert distances(gram(x))[5, 2] == 0
    assert (distances(gram(x)) >= 0).all()


def test_too_few_for_the_faults_are_refused_and_just_enough_are_not():
    for least, faults, rule in (
        (7, 2, lambda g: selection.krum(g, 2)),
        (5, 2, lambda g: selection.smallest_diameter(g, 2)),
        (5, 2, lambda g: mixing.neighbours(g, 2)),
        (11, 2, lambda g: selection.bulyan_selection(g, 2)),
    ):
        rule(gram(rows(least)))
        with pytest.raises(Refused, match=f"{faults} faulty sites need at least {least} present"):
            rule(gram(rows(least - 1)))
    coordinates.trimmed_mean(rows(5), 2)
    for rule in (coordinates.trimmed_mean, coordinates.mean_around_median):
        with pytest.raises(Refused, match="need more than 4 present, 4 are"):
            rule(rows(4), 2)


def test_nobody_is_refused_and_nonsense_is_a_misuse():
    with pytest.raises(Refused, match="nobody to aggregate"):
        present(np.full((3, 3), np.nan))
    with pytest.raises(Refused, match="nobody to aggregate"):
        coordinates.median(np.full((3, 4), np.nan))
    with pytest.raises(Misuse, match="square"):
        present(np.zeros((2, 3)))
    broken = np.eye(3)
    broken[0, 1] = np.nan
    with pytest.raises(Misuse, match="not finite between rows"):
        present(broken)
    with pytest.raises(Misuse, match="voices"):
        present(np.eye(3), np.array([1.0, -1.0, 1.0]))
    with pytest.raises(Misuse, match="faults"):
        selection.krum(np.eye(9), -1)
    with pytest.raises(Misuse, match="keep 1 to 9"):
        selection.multi_krum(np.eye(9), 1, keep=10)
    with pytest.raises(Misuse, match="float32 or float64"):
        gram(np.zeros((3, 3), dtype=np.int64))
    with pytest.raises(Misuse, match="weights"):
        apply(np.ones(2), rows())


def test_a_reference_has_no_voice_and_must_be_finite():
    x = np.vstack([rows(), np.full((1, 30), np.inf)])
    for rule in (lambda g: centres.centred_clipping(g, 9), lambda g: trust.fltrust(g, 9)):
        with pytest.raises(Misuse, match="cannot be the reference"):
            rule(gram(x))
    with pytest.raises(Misuse, match="needs a reference row"):
        rule_named("fltrust").merge(rows(), Setting())


def test_the_search_for_the_smallest_diameter_stops_at_its_cap(monkeypatch):
    monkeypatch.setattr(selection, "BRANCHES", 3)
    with pytest.raises(Refused, match="more than 3 branches for 12 updates and 5 faults"):
        selection.smallest_diameter(gram(rows(12, 4)), 5)
