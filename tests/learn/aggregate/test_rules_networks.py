"""Selection networks, and the two ways of running them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from caduceus.learn.aggregate import coordinates
from caduceus.learn.aggregate.network import BOTH, LARGER, SMALLER, network


def ranks(values, count, first, last):
    """What a network makes of columns: [count, columns] -> [last - first, columns]."""
    lanes = list(values)
    for each in network(count, first, last):
        low, high = np.minimum(lanes[each.low], lanes[each.high]), np.maximum(lanes[each.low], lanes[each.high])
        lanes[each.low] = low if each.wanted in (BOTH, SMALLER) else None
        lanes[each.high] = high if each.wanted in (BOTH, LARGER) else None
    return np.array(lanes[first:last])


@pytest.mark.parametrize("count", range(1, 13))
def test_a_network_puts_the_wanted_ranks_in_place_for_every_sequence_of_zeros_and_ones(count):
    columns = np.array(list(itertools.product([0, 1], repeat=count))).T  # the 0-1 principle: then for all sequences
    for first, last in itertools.combinations(range(count + 1), 2):
        np.testing.assert_array_equal(ranks(columns, count, first, last), np.sort(columns, axis=0)[first:last])


@pytest.mark.parametrize("count", [31, 50, 64, 100])
def test_large_networks_select_too(count):
    columns = np.random.default_rng(count).integers(0, 2, (count, 2000))
    for first, last in ((0, count), (count // 2, count // 2 + 1), (count // 5, count - count // 5), (0, 1)):
        np.testing.assert_array_equal(ranks(columns, count, first, last), np.sort(columns, axis=0)[first:last])


def test_a_network_for_few_ranks_is_smaller():
    assert len(network(50, 24, 26)) < len(network(50, 10, 40)) < len(network(50, 0, 50))
    assert network(1, 0, 1) == ()


RULES = {
    "median": coordinates.median,
    "trimmed mean": lambda rows: coordinates.trimmed_mean(rows, 3),
    "mean around the median": lambda rows: coordinates.mean_around_median(rows, 4),
    "mean of very few around the median": lambda rows: coordinates.mean_around_median(rows, (len(rows) - 1) // 2),
    "bulyan": lambda rows: coordinates.bulyan(rows, (len(rows) - 3) // 4),
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("count", [9, 10, 23])
def test_compiled_and_interpreted_agree_to_the_bit(rule, dtype, count, monkeypatch):
    pytest.importorskip("numba")
    monkeypatch.setattr(coordinates, "_WORTH_COMPILING", 0)
    draw = np.random.default_rng(count)
    rows = draw.normal(size=(count, 9001)).astype(dtype)
    rows[:, ::3] = draw.integers(-1, 2, rows[:, ::3].shape) * dtype(-1.0)  # ties, and zeros of both signs
    rows[0] *= dtype(1e10)
    assert coordinates.kernel() is not None
    fast = RULES[rule](rows)
    monkeypatch.setattr(coordinates, "kernel", lambda: None)
    plain = RULES[rule](rows)
    assert fast.dtype == plain.dtype == dtype
    assert fast.tobytes() == plain.tobytes()


@pytest.mark.parametrize("compiled_too", [False, True])
def test_rows_that_are_not_finite_are_left_out_of_every_coordinate(compiled_too, monkeypatch):
    if compiled_too:
        pytest.importorskip("numba")
        monkeypatch.setattr(coordinates, "_WORTH_COMPILING", 0)
    else:
        monkeypatch.setattr(coordinates, "kernel", lambda: None)
    rows = np.random.default_rng(3).normal(size=(12, 700)).astype(np.float32)
    hurt = rows.copy()
    hurt[2, 650], hurt[7, 0] = np.nan, np.inf
    kept = np.delete(rows, [2, 7], axis=0)
    for rule in RULES.values():
        if rule is not RULES["bulyan"] and rule is not RULES["mean of very few around the median"]:
            np.testing.assert_array_equal(rule(hurt), rule(kept))
    np.testing.assert_array_equal(coordinates.bulyan(hurt, 1), coordinates.bulyan(kept, 1))


def test_one_huge_value_leaves_nothing_in_the_others_rounding():
    rows = np.random.default_rng(4).normal(size=(9, 500)).astype(np.float32)
    rows[0] = -3e37
    plain = np.sort(rows[1:].astype(float), axis=0)
    for rule in (RULES["trimmed mean"], RULES["mean around the median"], RULES["bulyan"]):
        merged = rule(rows)
        assert (merged >= plain[0] - 1e-6).all()
        assert (merged <= plain[-1] + 1e-6).all()


def test_many_huge_finite_rows_are_present():
    rows = np.full((4, 20_000), 1e36, dtype=np.float32)  # their sums are not finite, they are
    rows[3] = 0
    np.testing.assert_array_equal(coordinates.median(rows), np.full(20_000, 1e36, dtype=np.float32))
