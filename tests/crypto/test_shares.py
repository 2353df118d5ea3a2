"""Arithmetic modulo 2**31 - 1 and the sharing built on it, against whole numbers of Python."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caduceus.crypto import field, shamir
from caduceus.crypto.entropy import MOST_BYTES, KeyedEntropy
from caduceus.errors import Misuse

P = field.P
ENTROPY = KeyedEntropy(bytes(32))
element = st.integers(0, P - 1)
edge = st.one_of(element, st.sampled_from([0, 1, 2, P - 1, P - 2, 2**16 - 1, 2**16, 2**30]))
secrets = st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=3)


def elements(values):
    return np.array(values, np.uint64)


@settings(deadline=None)
@given(st.data(), st.integers(1, 4), st.integers(1, 40), st.integers(1, 4))
def test_a_matrix_product_is_exact(data, n, k, m):
    one = [[data.draw(edge) for _ in range(k)] for _ in range(n)]
    other = [[data.draw(edge) for _ in range(m)] for _ in range(k)]
    expected = [[sum(one[i][x] * other[x][j] for x in range(k)) % P for j in range(m)] for i in range(n)]
    assert field.matmul(elements(one), elements(other)).tolist() == expected


def test_a_matrix_product_is_exact_where_its_sums_are_largest():
    for terms in (1, 1000, 1 << 16):
        one = np.full((1, terms), P - 1, np.uint64)
        assert field.matmul(one, one.T).tolist() == [[terms % P]]
    with pytest.raises(Misuse, match="may be inexact"):
        field.matmul(np.zeros((1, (1 << 20) + 1), np.uint64), np.zeros(((1 << 20) + 1, 1), np.uint64))


@given(st.lists(st.integers(1, P - 1), min_size=1, max_size=8))
def test_an_inverse_undoes_a_product(values):
    assert field.multiply(elements(values), field.inverse(elements(values))).tolist() == [1] * len(values)
    with pytest.raises(Misuse, match="zero has no inverse"):
        field.inverse(elements([*values, 0]))


@given(st.integers(1, 12), st.integers(1, 8))
def test_a_vandermonde_table_holds_powers_and_cannot_be_written(points, terms):
    table = field.vandermonde(points, terms)
    assert table.tolist() == [[pow(x, k, P) for k in range(terms)] for x in range(1, points + 1)]
    with pytest.raises(ValueError, match="read-only"):
        table[0, 0] = 5


@settings(deadline=None)
@given(st.sets(st.integers(1, P - 1), min_size=1, max_size=9), st.data())
def test_lagrange_weights_give_a_polynomial_at_zero(points, data):
    points = sorted(points)
    coefficients = [data.draw(element) for _ in points]
    values = [sum(c * pow(x, k, P) for k, c in enumerate(coefficients)) % P for x in points]
    weights = field.lagrange_at_zero(elements(points)).tolist()
    assert sum(w * v for w, v in zip(weights, values, strict=True)) % P == coefficients[0]


@pytest.mark.parametrize("points", [[0, 1], [3, 3], [1, 2, 1]])
def test_points_that_stand_twice_or_at_zero_are_misuse(points):
    with pytest.raises(Misuse, match="distinct points"):
        field.lagrange_at_zero(elements(points))


@settings(deadline=None, max_examples=60)
@given(secrets, st.integers(1, 12), st.data())
def test_any_threshold_of_shares_gives_the_secrets_back(keys, holders, data):
    threshold = data.draw(st.integers(1, holders))
    dealt = shamir.share(keys, threshold=threshold, holders=holders, entropy=ENTROPY, context=b"c")
    assert dealt.shape == (len(keys), holders, shamir.LIMBS)
    chosen = data.draw(st.permutations(range(holders)))[: data.draw(st.integers(threshold, holders))]
    assert shamir.reconstruct(chosen, dealt[:, chosen]) == keys
    assert all(shamir.are_shares(dealt[0, holder].tobytes()) for holder in range(holders))


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 8), st.binary(min_size=32, max_size=32), st.data())
def test_one_share_too_few_fits_every_other_secret_as_well(threshold, other, data):
    """Perfect secrecy: for any other secret there is a last share that makes the same others give it."""
    key = bytes(range(32))
    dealt = shamir.share([key], threshold=threshold, holders=threshold, entropy=ENTROPY, context=b"c")[0]
    weights = field.lagrange_at_zero(np.arange(1, threshold + 1, dtype=np.uint64)).tolist()
    want = shamir._limbs(other).tolist()
    last = [
        (want[limb] - sum(weights[i] * int(dealt[i, limb]) for i in range(threshold - 1))) * pow(weights[-1], -1, P) % P
        for limb in range(shamir.LIMBS)
    ]
    forged = np.concatenate([dealt[:-1], np.array([last], np.uint32)])
    assert shamir.reconstruct(range(threshold), forged[None]) == [other]


def test_shares_look_uniform_though_the_secret_does_not():
    dealt = shamir.share([bytes(32)], threshold=3, holders=3000, entropy=ENTROPY, context=b"u")[0]
    counts = np.bincount((dealt >> 23).ravel(), minlength=256)
    expected = dealt.size / 256
    assert ((counts - expected) ** 2 / expected).sum() < 390  # 255 degrees of freedom: probability 1e-7; fixed seed


def test_secrets_dealt_together_have_coefficients_of_their_own():
    one, two = shamir.share([bytes(32), bytes(32)], threshold=2, holders=4, entropy=ENTROPY, context=b"c")
    assert not (one == two).any()
    again = shamir.share([bytes(32), bytes(32)], threshold=2, holders=4, entropy=ENTROPY, context=b"c")
    assert (again[0] == one).all()
    other = shamir.share([bytes(32), bytes(32)], threshold=2, holders=4, entropy=ENTROPY, context=b"d")
    assert not (other[0] == one).any()


@pytest.mark.parametrize(
    ("keys", "threshold", "holders"),
    [([bytes(31)], 2, 3), ([bytes(33)], 2, 3), ([bytes(32)], 0, 3), ([bytes(32)], 4, 3), ([bytes(32)], 2, 2**16 + 1)],
)
def test_a_sharing_that_does_not_fit_is_misuse(keys, threshold, holders):
    with pytest.raises(Misuse, match="shamir"):
        shamir.share(keys, threshold=threshold, holders=holders, entropy=ENTROPY, context=b"")


@pytest.mark.parametrize("shape", [(1, 2, 8), (1, 3, 9), (2, 9)])
def test_shares_of_another_shape_are_misuse(shape):
    with pytest.raises(Misuse, match="for 2 holders"):
        shamir.reconstruct([0, 1], np.zeros(shape, np.uint32))
    with pytest.raises(Misuse, match="distinct points"):
        shamir.reconstruct([1, 1], np.zeros((1, 2, 9), np.uint32))


def test_what_is_a_share_and_what_is_not():
    assert shamir.are_shares(bytes(36))
    assert shamir.are_shares(np.full(18, P - 1, "<u4").tobytes())
    assert not shamir.are_shares(bytes(35))
    assert not shamir.are_shares(np.full(9, P, "<u4").tobytes())
    assert not shamir.are_shares(bytes(32) + b"\xff" * 4)


@pytest.mark.parametrize("size", [0, -1, MOST_BYTES + 1])
def test_entropy_gives_no_more_than_it_can(size):
    assert len(ENTROPY.derive("most", size=MOST_BYTES)) == MOST_BYTES
    with pytest.raises(Misuse, match="at a time"):
        ENTROPY.derive("most", size=size)


def test_a_keystream_that_is_no_keystream_is_noticed(monkeypatch):
    monkeypatch.setattr(shamir.keystream, "words", lambda key, count: np.full(count, P, np.uint32))
    with pytest.raises(Misuse, match="not uniform"):
        shamir.share([bytes(32)], threshold=2, holders=3, entropy=ENTROPY, context=b"")
