"""Secret sharing: a threshold gives a key back, one share fewer says nothing, and the field is a field."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caduceus.crypto import field, shamir
from caduceus.crypto.entropy import KeyedEntropy
from caduceus.errors import Misuse

ENTROPY = KeyedEntropy(bytes(range(32)))
element = st.integers(0, field.P - 1)
secrets = st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=4)


def deal(keys, threshold, holders, context=b"", entropy=ENTROPY):
    return shamir.share(keys, threshold=threshold, holders=holders, entropy=entropy, context=context)


def array(values):
    return np.array(values, np.uint64)


# ---------------------------------------------------------------- the field


@given(element, element)
def test_field_operations_are_those_of_whole_numbers(a, b):
    assert field.multiply(array([a]), array([b])) == a * b % field.P
    assert field.power(array([a]), b % 1000) == pow(a, b % 1000, field.P)
    if a:
        assert field.multiply(field.inverse(array([a])), array([a])) == 1


@settings(deadline=None)
@given(st.integers(1, 5), st.integers(1, 40), st.integers(1, 5), st.data())
def test_a_matrix_product_is_exact(n, k, m, data):
    extreme = st.sampled_from([0, 1, 0xFFFF, 0x10000, 0x7FFF0000, field.P - 1]) | element
    one = [data.draw(st.lists(extreme, min_size=k, max_size=k)) for _ in range(n)]
    other = [data.draw(st.lists(extreme, min_size=m, max_size=m)) for _ in range(k)]
    expected = [[sum(a * other[i][j] for i, a in enumerate(row)) % field.P for j in range(m)] for row in one]
    assert field.matmul(array(one), array(other)).tolist() == expected


def test_a_matrix_product_is_exact_at_the_largest_entries_and_many_terms():
    k = 1 << 16
    one, other = np.full((1, k), field.P - 1, np.uint64), np.full((k, 1), field.P - 1, np.uint64)
    assert field.matmul(one, other).tolist() == [[k % field.P]]
    with pytest.raises(Misuse, match="terms"):
        field.matmul(np.zeros((1, (1 << 20) + 1), np.uint64), np.zeros(((1 << 20) + 1, 1), np.uint64))


def test_a_large_matrix_product_is_taken_in_blocks_and_is_the_same():
    rows, terms, columns = 40, 500, 30  # more multiplications than are done at once
    one = np.arange(rows * terms, dtype=np.uint64).reshape(rows, terms) * np.uint64(104_729) % np.uint64(field.P)
    other = np.arange(terms * columns, dtype=np.uint64).reshape(terms, columns) * np.uint64(99_991) % np.uint64(field.P)
    expected = one.astype(object) @ other.astype(object) % field.P
    assert field.matmul(one, other).tolist() == expected.tolist()


@given(st.integers(1, 30), st.lists(element, min_size=1, max_size=12))
def test_the_vandermonde_table_evaluates_polynomials(points, coefficients):
    table = field.vandermonde(points, len(coefficients))
    expected = [[sum(c * x**k for k, c in enumerate(coefficients)) % field.P] for x in range(1, points + 1)]
    assert field.matmul(table, array(coefficients)[:, None]).tolist() == expected
    with pytest.raises(ValueError, match="read-only"):
        table[0, 0] = 1


@given(st.lists(st.integers(1, field.P - 1), min_size=1, max_size=9, unique=True), st.data())
def test_lagrange_weights_give_the_constant_term(points, data):
    coefficients = [data.draw(element) for _ in points]
    values = array([[sum(c * x**k for k, c in enumerate(coefficients)) % field.P] for x in points])
    assert field.matmul(field.lagrange_at_zero(array(points))[None, :], values) == coefficients[0]


def test_interpolation_refuses_zero_and_doubled_points_and_inversion_zero():
    for points in ([0, 1], [3, 3]):
        with pytest.raises(Misuse, match="distinct points"):
            field.lagrange_at_zero(array(points))
    with pytest.raises(Misuse, match="no inverse"):
        field.inverse(array([1, 0]))


# ---------------------------------------------------------------- sharing


@settings(deadline=None)
@given(secrets, st.integers(1, 12), st.integers(0, 12), st.randoms(use_true_random=False))
def test_any_threshold_of_holders_gives_the_keys_back(keys, threshold, more, shuffle):
    shares = deal(keys, threshold, threshold + more)
    chosen = shuffle.sample(range(threshold + more), threshold)
    assert shamir.reconstruct(chosen, shares[:, chosen]) == keys


@pytest.mark.parametrize("secret", [bytes(32), b"\xff" * 32, bytes(31) + b"\x80", b"\x01" + bytes(31)])
def test_extreme_keys_come_back(secret):
    assert shamir.reconstruct([6, 0, 3], deal([secret], 3, 7)[:, [6, 0, 3]]) == [secret]


def test_more_holders_than_the_threshold_give_the_same_key():
    shares = deal([bytes(range(32))], 3, 9)
    assert shamir.reconstruct(range(9), shares) == [bytes(range(32))]


@given(st.lists(element, min_size=shamir.LIMBS, max_size=shamir.LIMBS))
def test_one_share_fewer_fits_every_other_key_equally_well(wanted):
    # Whatever t - 1 holders see, one value of the missing share makes it the shares of any other secret.
    threshold = 4
    seen = deal([bytes(range(32))], threshold, 6)[0, : threshold - 1].astype(np.uint64)
    weights = field.lagrange_at_zero(np.arange(1, threshold + 1, dtype=np.uint64))
    known = field.matmul(weights[None, :-1], seen)[0]
    missing = field.multiply(
        (array(wanted) + np.uint64(field.P) - known) % np.uint64(field.P), field.inverse(weights[-1:])
    )
    assert field.matmul(weights[None, :], np.vstack([seen, missing])).tolist() == [wanted]


def test_shares_of_fixed_secrets_look_uniform():
    entropies = [KeyedEntropy(i.to_bytes(32)) for i in range(400)]
    words = np.concatenate([deal([bytes(32)], 2, 3, entropy=entropy)[0, 1] for entropy in entropies])
    counts = np.histogram(words, bins=16, range=(0, field.P))[0]
    expected = len(words) / 16
    assert ((counts - expected) ** 2 / expected).sum() < 44.3  # chi-square, 15 degrees of freedom, p = 1e-4


def test_sharing_repeats_itself_and_never_across_contexts():
    one, again, other = deal([bytes(32)], 3, 5), deal([bytes(32)], 3, 5), deal([bytes(32)], 3, 5, context=b"x")
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_only_the_dealer_of_no_key_is_left_without_one():
    shares = deal([bytes(32), b"\x11" * 32, b"\x22" * 32], 3, 5)[:, :3].copy()
    shares[1, :, 8] = 1 << 20  # a top limb of more than 16 bits
    assert shamir.reconstruct([0, 1, 2], shares) == [bytes(32), None, b"\x22" * 32]
    shares[2, 0, 0] = field.P
    assert shamir.reconstruct([0, 1, 2], shares) == [bytes(32), None, None]


@pytest.mark.parametrize(("threshold", "holders", "size"), [(0, 3, 32), (4, 3, 32), (2, 3, 31), (2, 3, 33)])
def test_a_threshold_or_a_key_that_does_not_fit_is_misuse(threshold, holders, size):
    with pytest.raises(Misuse, match="shamir"):
        deal([bytes(size)], threshold, holders)


def test_shares_of_another_shape_or_a_holder_twice_are_misuse():
    shares = deal([bytes(32)], 2, 3)
    with pytest.raises(Misuse, match="shape"):
        shamir.reconstruct([0, 1], shares)
    with pytest.raises(Misuse, match="distinct"):
        shamir.reconstruct([1, 1], shares[:, :2])


def test_a_thousand_holders_are_dealt_to_and_reconstructed():
    keys = [bytes([i]) * 32 for i in range(2)]
    shares = deal(keys, 667, 1000)
    assert shamir.reconstruct(range(333, 1000), shares[:, 333:]) == keys
