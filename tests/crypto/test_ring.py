"""Matrices over Z_2^64: exact beside Python's integers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caduceus.crypto import ring
from caduceus.errors import Misuse

M = 1 << 64
word = st.sampled_from([0, 1, 0xFFFF, 1 << 16, 1 << 32, (1 << 32) - 1, 1 << 63, M - 1]) | st.integers(0, M - 1)
sizes = st.integers(1, 5)


def words(values):
    return np.array(values, np.uint64)


def product(one, other):
    """`one` times `other` transposed, by Python."""
    return [[sum(int(a) * int(b) for a, b in zip(x, y, strict=True)) % M for y in other] for x in one]


def a_matrix(data, rows, columns, entry=word):
    return [data.draw(st.lists(entry, min_size=columns, max_size=columns)) for _ in range(rows)]


@settings(deadline=None, max_examples=40)
@given(sizes, sizes, st.integers(1, 30), st.data())
def test_a_product_is_that_of_whole_numbers(n, m, d, data):
    one, other = a_matrix(data, n, d), a_matrix(data, m, d)
    assert ring.matmul(words(one), words(other)).tolist() == product(one, other)


@settings(deadline=None, max_examples=40)
@given(sizes, st.integers(1, 30), st.data())
def test_a_product_with_itself_is_the_same_on_the_shorter_way(n, d, data):
    one = words(a_matrix(data, n, d))
    assert ring.matmul(one, one).tolist() == ring.matmul(one, one.copy()).tolist() == product(one, one)


@settings(deadline=None, max_examples=40)
@given(sizes, sizes, st.integers(1, 30), st.data())
def test_a_product_with_small_coefficients_is_that_of_whole_numbers(n, m, d, data):
    one, other = a_matrix(data, n, d), a_matrix(data, m, d, st.sampled_from([-128, 127]) | st.integers(-1, 1))
    assert ring.matmul_small(words(one), np.array(other, np.int8)).tolist() == product(one, other)


@pytest.mark.parametrize("terms", [1, 2047, 2048, 2049, 5000, 1 << 15])
def test_products_of_the_largest_words_are_exact_at_any_length(terms):
    largest = np.full((2, terms), M - 1, np.uint64)
    assert ring.matmul(largest, largest.copy()).tolist() == [[terms] * 2] * 2  # (-1) * (-1), so many times
    assert ring.matmul(largest, largest).tolist() == [[terms] * 2] * 2
    odd = np.full((2, terms), 0xFFFF_FFFF_7FFF_FFFF, np.uint64)
    assert ring.matmul(odd, odd).tolist() == [[0xFFFF_FFFF_7FFF_FFFF**2 * terms % M] * 2] * 2
    small = np.full((3, terms), -128, np.int8)
    assert ring.matmul_small(largest, small).tolist() == [[128 * terms] * 3] * 2


def test_columns_that_do_not_lie_side_by_side_are_multiplied_alike():
    wide = np.random.default_rng(1).integers(0, M, (8, 60), dtype=np.uint64)
    apart, together = wide[::2, ::3], np.ascontiguousarray(wide[::2, ::3])
    assert ring.matmul(apart, apart).tolist() == ring.matmul(together, together).tolist()
    assert ring.matmul(wide.T, wide.T.copy()).tolist() == product(wide.T, wide.T)


def test_a_product_of_shapes_or_types_that_do_not_fit_is_refused():
    one = np.zeros((2, 3), np.uint64)
    for other in (np.zeros((2, 4), np.uint64), np.zeros(3, np.uint64), np.zeros((2, 3), np.int64)):
        with pytest.raises(Misuse, match="cannot multiply"):
            ring.matmul(one, other)
    with pytest.raises(Misuse, match="cannot multiply"):
        ring.matmul_small(one, one)
    with pytest.raises(Misuse, match="inexact"):
        ring.combined(np.zeros((2, 1, (1 << 14) + 1)), np.zeros(((1 << 14) + 1, 1)))


@settings(deadline=None, max_examples=40)
@given(sizes, st.integers(1, 30), st.data())
def test_a_weighted_sum_is_that_of_whole_numbers(n, d, data):
    rows = a_matrix(data, n, d)
    weights = data.draw(st.lists(st.integers(-(1 << 63), (1 << 63) - 1), min_size=n, max_size=n))
    expected = [sum(w * row[j] for w, row in zip(weights, rows, strict=True)) % M for j in range(d)]
    assert ring.weigh(np.array(weights, np.int64), words(rows)).tolist() == expected


def test_a_long_weighted_sum_goes_piece_by_piece():
    rows = np.random.default_rng(2).integers(0, M, (3, 20_000), dtype=np.uint64)
    weights = np.array([1, 0, 65_536], np.int64)
    assert np.array_equal(ring.weigh(weights, rows), rows[0] + rows[2] * np.uint64(65_536))
    with pytest.raises(Misuse, match="weigh"):
        ring.weigh(weights[:2], rows)
    with pytest.raises(Misuse, match="weigh"):
        ring.weigh(weights.astype(np.float64), rows)


def test_words_in_the_upper_half_are_negative():
    assert ring.signed(words([0, 1, M - 1, 1 << 63])).tolist() == [0, 1, -1, -(1 << 63)]
    with pytest.raises(Misuse, match="uint64"):
        ring.signed(np.zeros(1, np.uint32))
