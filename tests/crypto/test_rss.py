"""Replicated shares: two aggregators have everything, one has nothing, and inner products need no message."""

import tracemalloc
from hashlib import sha256

import numpy as np
import pytest
from Crypto.Cipher import AES
from hypothesis import given, settings
from hypothesis import strategies as st

from caduceus.crypto import ring, rss
from caduceus.crypto.entropy import expand
from caduceus.errors import Misuse

M = 1 << 64
parties = pytest.mark.parametrize("party", range(rss.PARTIES))


def seeds_of(name):
    return tuple(sha256(f"{name} {k}".encode()).digest() for k in range(rss.PARTIES))


def some_rows(rows, length, number=0):
    return np.random.default_rng(number).integers(0, M, (rows, length), dtype=np.uint64)


def corrected(rows, seeds):
    covered = rows.copy()
    rss.cover(covered, seeds)
    return covered


def components(rows, seeds):
    correction = corrected(rows, seeds)
    return [rss.component(k, seeds[k], correction if k == 0 else None, shape=rows.shape) for k in range(rss.PARTIES)]


@settings(deadline=None)
@given(st.integers(1, 4), st.integers(1, 40), st.lists(st.binary(min_size=32, max_size=32), min_size=3, max_size=3))
def test_three_components_add_up_to_what_was_dealt(rows, length, seeds):
    secret = some_rows(rows, length)
    one, two, three = components(secret, tuple(seeds))
    assert np.array_equal(one + two + three, secret)


def test_a_stream_is_what_another_library_says():
    (seed, *_) = seeds_of("stream")
    cipher = AES.new(expand(seed, "rss/stream/1"), AES.MODE_CTR, nonce=b"", initial_value=0)
    assert rss.stream(seed, 1001).tobytes() == cipher.encrypt(bytes(8008))


@parties
def test_what_one_aggregator_sees_fits_every_other_secret_as_well(party):
    """For any other secret there are a seed's words that give the same correction: and only words, not a seed, because
    a keystream is no one-time pad. The component that the aggregator lacks is what takes up the difference."""
    secret, other, seeds = some_rows(2, 9, 1), some_rows(2, 9, 2), seeds_of("secret")
    correction, held = corrected(secret, seeds), rss.holds(party)
    (lacking,) = set(range(rss.PARTIES)) - set(held)
    streams = {k: rss.stream(seeds[k], 18).reshape(2, 9) for k in held}
    missing = other - correction - sum(streams.values())  # what the lacking seed would have to give
    assert np.array_equal(correction + missing + sum(streams.values()), other)
    assert not np.array_equal(missing, rss.stream(seeds[lacking], 18).reshape(2, 9))
    held_shares = [components(secret, seeds)[k] for k in held]
    expected = [streams[k] + (correction if k == 0 else 0) for k in held]
    assert all(np.array_equal(*pair) for pair in zip(held_shares, expected, strict=True))


@parties
def test_an_aggregator_holds_its_own_component_and_the_following(party):
    assert rss.holds(party) == (party, (party + 1) % 3)
    holders = [k for k in range(rss.PARTIES) if party in rss.holds(k)]
    assert len(holders) == 2  # every component has two who can be compared


def test_there_is_no_fourth_aggregator():
    with pytest.raises(Misuse, match="no aggregator 3"):
        rss.holds(3)


@settings(deadline=None)
@given(st.integers(1, 6), st.integers(1, 50))
def test_parts_of_products_add_up_to_the_gram_matrix(count, length):
    rows, keys = some_rows(count, length, count), seeds_of("zero")
    x = components(rows, seeds_of("rows"))
    parts = [
        rss.products(x[k], x[(k + 1) % 3]) + rss.zeros(keys[k], keys[(k + 1) % 3], b"gram", (count, count))
        for k in range(rss.PARTIES)
    ]
    expected = rows.astype(object) @ rows.astype(object).T % M
    assert (parts[0] + parts[1] + parts[2]).tolist() == expected.tolist()


def test_parts_of_a_rectangle_and_of_square_norms_add_up_too():
    left, right = some_rows(3, 21, 1), some_rows(2, 21, 2)
    x, y = components(left, seeds_of("left")), components(right, seeds_of("right"))
    parts = [rss.rectangle((x[k], y[k]), (x[(k + 1) % 3], y[(k + 1) % 3])) for k in range(3)]
    assert sum(parts).tolist() == (left.astype(object) @ right.astype(object).T % M).tolist()
    norms = [rss.squares(x[k], x[(k + 1) % 3]) for k in range(3)]
    assert sum(norms).tolist() == np.diag(left.astype(object) @ left.astype(object).T % M).tolist()


def test_shares_of_zero_cancel_and_two_of_them_say_nothing_about_the_third():
    keys = seeds_of("zero")
    shares = [rss.zeros(keys[k], keys[(k + 1) % 3], b"label", (5, 7)) for k in range(3)]
    assert not (shares[0] + shares[1] + shares[2]).any()
    assert all(share.all() for share in shares)  # 105 uniform words: none is zero but for a chance of 2**-57
    assert len({share.tobytes() for share in shares}) == 3
    others = [rss.zeros(keys[k], keys[(k + 1) % 3], b"other", (5, 7)) for k in range(3)]
    assert not any((one == other).any() for one, other in zip(shares, others, strict=True))


def test_a_share_of_zero_is_the_difference_of_what_both_keys_give():
    mine, following, _ = seeds_of("keys")
    difference = rss.mask(mine, b"z", (2, 2)) - rss.mask(following, b"z", (2, 2))
    assert np.array_equal(rss.zeros(mine, following, b"z", (2, 2)), difference)


def test_a_commitment_stands_for_one_seed_and_its_stream_is_under_another_key():
    one, two, _ = seeds_of("commit")
    assert rss.commit(one) == rss.commit(one) != rss.commit(two)
    assert rss.stream_key(one) not in (one, rss.commit(one))


def test_a_weighted_sum_of_streams_is_that_of_the_streams():
    length, rows, seeds = 20_011, 2, [seed for name in "abc" for seed in seeds_of(name)]
    weights = np.arange(2 * len(seeds), dtype=np.int64) - 3  # one of them is zero
    both = [rss.stream(seed, rows * length).reshape(rows, length) for seed in seeds]
    found = rss.weigh_streams(
        weights, [s for s in seeds for _ in range(rows)], [r * length for _ in seeds for r in range(rows)], length
    )
    assert np.array_equal(found, ring.weigh(weights, np.concatenate(both)))


def test_a_weighted_sum_of_what_is_public_and_opened_is_the_weighted_sum_of_the_updates():
    names, weights = ("a", "b", "c"), np.array([3, 0, 65_000], np.int64)
    rows = [some_rows(1, 50, number) for number, _ in enumerate(names)]
    corrections = np.concatenate([corrected(row, seeds_of(name)) for row, name in zip(rows, names, strict=True)])
    opened = [rss.weigh_streams(weights, [seeds_of(name)[k] for name in names], [0, 0, 0], 50) for k in range(3)]
    assert np.array_equal(ring.weigh(weights, corrections) + sum(opened), ring.weigh(weights, np.concatenate(rows)))


def test_a_weighted_sum_of_long_streams_takes_little_more_than_its_result():
    length, seeds = 300_000, [seed for number in range(10) for seed in seeds_of(number)]
    tracemalloc.start()
    rss.weigh_streams(np.ones(len(seeds), np.int64), seeds, [0] * len(seeds), length)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * length * 1.2


def test_sizes_that_do_not_fit_are_refused():
    rows, seeds = some_rows(2, 5), seeds_of("bad")
    with pytest.raises(Misuse, match="needs the correction"):
        rss.component(0, seeds[0], None, shape=(2, 5))
    with pytest.raises(Misuse, match="takes no correction"):
        rss.component(1, seeds[1], rows, shape=(2, 5))
    with pytest.raises(Misuse, match="for rows of"):
        rss.component(0, seeds[0], rows, shape=(5, 2))
    with pytest.raises(Misuse, match="32 bytes"):
        rss.stream(b"short", 1)
    with pytest.raises(Misuse, match="contiguous"):
        rss.cover(rows[:, ::2], seeds)
    with pytest.raises(Misuse, match="contiguous"):
        rss.cover(rows, seeds[:2])
    with pytest.raises(Misuse, match="weights"):
        rss.weigh_streams(np.ones(2, np.int64), seeds, [0, 0, 0], 5)
