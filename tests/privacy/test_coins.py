"""Coins: as often as the rate says, never more, and exact about it."""

from fractions import Fraction

import numpy as np
import pytest
from Crypto.Cipher import AES
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from caduceus.crypto.entropy import expand
from caduceus.errors import Misuse
from caduceus.privacy.coins import toss

KEY = bytes(range(32))
ONE = 1 << 64
LEAST_P = 1e-4  # fixed before any key was tried


def words(key, size):
    """The 64-bit words behind the coins, from another library."""
    stream = AES.new(expand(key, "coins"), AES.MODE_CTR, nonce=b"", initial_value=0).encrypt(bytes(8 * size))
    return np.frombuffer(stream, "<u8").tolist()


@settings(deadline=None, max_examples=50)
@given(
    st.binary(min_size=32, max_size=32),
    st.fractions(Fraction(1, ONE), 1) | st.floats(2.0**-64, 1.0) | st.sampled_from([1, 0.1, Fraction(1, 3)]),
)
def test_coins_are_those_of_whole_number_comparisons(key, rate):
    expected = [word * Fraction(rate).denominator < Fraction(rate).numerator * ONE for word in words(key, 50)]
    assert toss(key, 50, rate=rate).tolist() == expected


def test_a_rate_is_rounded_down_to_64_bits():
    word = words(KEY, 1)[0]
    just = Fraction(word, ONE)  # so many words are below it that this one is not
    assert not toss(KEY, 1, rate=just)[0]
    assert not toss(KEY, 1, rate=just + Fraction(2, 3 * ONE))[0]
    assert toss(KEY, 1, rate=just + Fraction(1, ONE))[0]


def test_a_rate_of_one_takes_everybody_and_the_least_rate_nobody_one_meets():
    assert toss(KEY, 100_000, rate=1.0).all()
    assert toss(KEY, 100_000, rate=Fraction(1)).all()
    assert not toss(KEY, 100_000, rate=2.0**-64).any()


@pytest.mark.parametrize("rate", [0.01, 0.5, Fraction(1, 3), 0.999])
def test_coins_fall_as_often_as_they_should_and_neighbours_are_strangers(rate):
    coins = toss(KEY, 400_000, rate=rate)
    assert stats.binomtest(int(coins.sum()), len(coins), float(rate)).pvalue > LEAST_P
    assert stats.binomtest(int((coins[:-1] & coins[1:])[::2].sum()), len(coins) // 2, float(rate) ** 2).pvalue > LEAST_P


def test_a_shorter_toss_is_the_beginning_of_a_longer_one_and_a_higher_rate_only_adds():
    coins = toss(KEY, 50_000, rate=0.3)
    for size in (0, 1, 16_384, 16_385):
        assert np.array_equal(toss(KEY, size, rate=0.3), coins[:size])
    assert toss(KEY, 50_000, rate=0.4)[coins].all()
    assert not np.array_equal(toss(bytes(32), 50_000, rate=0.3), coins)


@pytest.mark.parametrize(
    ("key", "size", "rate"),
    [
        (KEY[:-1], 1, 0.5),
        (KEY, -1, 0.5),
        (KEY, 1, 0),
        (KEY, 1, -0.5),
        (KEY, 1, 1.0000001),
        (KEY, 1, Fraction(ONE + 1, ONE)),
        (KEY, 1, Fraction(1, ONE + 1)),
        (KEY, 1, float("nan")),
        (KEY, 1, float("inf")),
    ],
)
def test_what_is_no_key_size_or_rate_is_misuse(key, size, rate):
    with pytest.raises(Misuse, match="coins"):
        toss(key, size, rate=rate)
