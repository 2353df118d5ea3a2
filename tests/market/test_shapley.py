"""Shapley's axioms hold, and the closed form is the exact value."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caduceus.errors import Misuse, Refused
from caduceus.market.shapley import MOST_PLAYERS, curvature_from, curved, exact, quadratic


def game(products, helps, curvature):
    """The quadratic game, written from its definition."""

    def value(inside):
        size = inside.sum(axis=1)
        mean = inside / np.maximum(size, 1)[:, None]
        return mean @ helps - curvature / 2 * np.einsum("ki,ij,kj->k", mean, products, mean)

    return value


def drawn(seed, players):
    generator = np.random.default_rng(seed)
    updates = generator.normal(size=(players, 7)) + generator.normal(size=7)
    return updates @ updates.T, generator.normal(size=players), float(generator.uniform(0, 3))


def by_orders(value, players):
    """Shapley values from the other definition: the mean gain over all orders of arrival."""
    found = np.zeros(players)
    orders = list(itertools.permutations(range(players)))
    for order in orders:
        inside = np.zeros((players + 1, players), bool)
        for place, player in enumerate(order):
            inside[place + 1 :, player] = True
        found[list(order)] += np.diff(value(inside))
    return found / len(orders)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32), st.integers(1, 9))
def test_the_closed_form_equals_the_exact_value(seed, players):
    products, helps, curvature = drawn(seed, players)
    wanted = exact(game(products, helps, curvature), players)
    assert np.abs(quadratic(products, helps, curvature) - wanted).max() < 1e-10


def test_the_closed_form_equals_the_exact_value_for_fourteen():
    products, helps, curvature = drawn(14, 14)
    wanted = exact(game(products, helps, curvature), 14)
    assert np.abs(quadratic(products, helps, curvature) - wanted).max() < 1e-10


@given(st.integers(0, 2**32), st.integers(1, 60))
def test_the_values_add_up_to_what_everybody_gains(seed, players):
    products, helps, curvature = drawn(seed, players)
    everybody = game(products, helps, curvature)(np.ones((1, players), bool))[0]
    assert quadratic(products, helps, curvature).sum() == pytest.approx(everybody, abs=1e-9)


@given(st.integers(0, 2**32), st.integers(2, 20))
def test_the_order_of_sites_does_not_matter(seed, players):
    products, helps, curvature = drawn(seed, players)
    order = np.random.default_rng(seed).permutation(players)
    moved = quadratic(products[np.ix_(order, order)], helps[order], curvature)
    assert np.allclose(moved, quadratic(products, helps, curvature)[order], rtol=0, atol=1e-10)


def test_equal_updates_have_equal_values():
    products, helps, curvature = drawn(3, 6)
    twins = [0, 1, 2, 3, 4, 5, 2]
    values = quadratic(products[np.ix_(twins, twins)], helps[twins], curvature)
    assert values[2] == pytest.approx(values[6], abs=1e-12)


def test_rounds_in_which_nobody_moves_are_worth_nothing():
    assert not quadratic(np.zeros((5, 5)), np.zeros(5), 1.0).any()


def test_the_exact_value_is_the_mean_over_all_orders_of_arrival():
    worth = np.random.default_rng(8).normal(size=2**6)

    def value(inside):
        return worth[inside @ (1 << np.arange(6))]

    assert np.allclose(exact(value, 6), by_orders(value, 6), rtol=0, atol=1e-12)


def test_a_player_who_adds_nothing_is_worth_nothing_and_one_who_always_adds_the_same_is_worth_that():
    def value(inside):
        return inside[:, 0] * inside[:, 1] * 6.0 + 2.0 * inside[:, 3]

    assert exact(value, 4) == pytest.approx([3.0, 3.0, 0.0, 2.0])


def test_the_glove_game_has_its_textbook_values():
    def value(inside):  # one left glove, two right ones: a pair is worth 1
        return np.minimum(inside[:, 0], inside[:, 1:].sum(axis=1)).astype(float)

    assert exact(value, 3) == pytest.approx([2 / 3, 1 / 6, 1 / 6])


def test_the_curvature_makes_the_game_meet_the_evaluation():
    products, helps, _ = drawn(5, 8)
    gain = float(helps.mean()) - 0.25
    curvature = curvature_from(float(helps.mean()), float(products.mean()), gain)
    assert quadratic(products, helps, curvature).sum() == pytest.approx(gain)


def test_a_move_that_brought_more_than_it_promised_has_no_curvature():
    assert curvature_from(1.0, 2.0, 1.5) == 0.0
    assert curvature_from(1.0, 2.0, 0.5) == 0.5
    assert curvature_from(0.0, 0.0, 0.0) == 0.0


def test_two_gradients_fix_what_a_lopsided_loss_gains_by_the_mean_and_value_sites_better_than_one_curvature():
    generator = np.random.default_rng(11)
    updates = generator.normal(size=(9, 5)) + 0.5
    slope, bends = generator.normal(size=5), np.diag([9.0, 1.0, 0.5, 0.2, 0.1])
    products, helps, mean = updates @ updates.T, -updates @ slope, updates.mean(axis=0)
    truth = exact(game(updates @ bends @ updates.T, helps, 1.0), 9)
    lopsided = quadratic(curved(products, helps, helps - updates @ bends @ mean), helps, 1.0)
    gain = float(helps.mean() - mean @ bends @ mean / 2)
    even = quadratic(products, helps, curvature_from(float(helps.mean()), float(products.mean()), gain))
    assert lopsided.sum() == pytest.approx(gain)
    assert np.abs(lopsided - truth).sum() < 0.8 * np.abs(even - truth).sum()


def test_a_loss_that_does_not_bend_along_the_move_is_valued_to_first_order():
    products, helps, _ = drawn(2, 5)
    assert not curved(products, helps, helps + 0.1).any()
    with pytest.raises(Misuse):
        curved(products, helps, helps[:4])


def test_too_many_players_for_all_coalitions_are_refused():
    with pytest.raises(Refused, match="19 players"):
        exact(lambda inside: inside.sum(axis=1).astype(float), MOST_PLAYERS + 1)


def test_shapes_that_do_not_fit_are_a_bug_of_the_caller():
    with pytest.raises(Misuse):
        quadratic(np.eye(3), np.zeros(4), 1.0)
    with pytest.raises(Misuse):
        quadratic(np.zeros((0, 0)), np.zeros(0), 1.0)
    with pytest.raises(Misuse):
        exact(lambda inside: inside.sum(axis=1).astype(float), 0)
