"""The sketch: linear, drawn from the beacon, unbiased, and with the variance of CountSketch."""

import numpy as np
import pytest

from caduceus.crypto.sketch import Sketch
from caduceus.errors import Misuse

M = 1 << 64
BEACON = bytes(range(32))


def beacons(count):
    return [number.to_bytes(32) for number in range(count)]


def words(rows):
    return np.asarray(rows, np.int64).view(np.uint64)


@pytest.mark.parametrize("length", [1, 127, 128, 129, 255, 256, 1000])
def test_an_image_is_that_of_the_matrix_with_one_sign_in_every_column(length):
    sketch = Sketch(length, 128, BEACON)
    columns = sketch.apply(np.eye(length, dtype=np.uint64)).view(np.int64)  # the images of the unit vectors
    assert columns.shape == (length, sketch.width)
    assert (np.abs(columns).sum(axis=1) == 1).all()
    rows = np.random.default_rng(length).integers(0, M, (3, length), dtype=np.uint64)
    expected = rows.astype(object) @ columns.astype(object) % M
    assert sketch.apply(rows).tolist() == expected.tolist()


def test_coordinates_of_one_chunk_never_meet():
    columns = Sketch(1000, 128, BEACON).apply(np.eye(1000, dtype=np.uint64))
    for start in range(0, 1000, 128):
        places = columns[start : start + 128].nonzero()[1]
        assert len(set(places.tolist())) == len(places)


def test_images_of_shares_add_up_to_the_image_of_the_sum():
    sketch, rng = Sketch(1000, 256, BEACON), np.random.default_rng(1)
    one, two = (rng.integers(0, M, (2, 1000), dtype=np.uint64) for _ in range(2))
    kept = one.copy()
    assert np.array_equal(sketch.apply(one) + sketch.apply(two), sketch.apply(one + two))
    assert np.array_equal(one, kept)


def test_short_vectors_are_their_own_image():
    sketch = Sketch(256, 256, BEACON)
    rows = np.random.default_rng(1).integers(0, M, (2, 256), dtype=np.uint64)
    assert sketch.is_identity
    assert np.array_equal(sketch.apply(rows), rows)


def test_another_beacon_draws_another_sketch_and_the_same_draws_the_same():
    rows = np.random.default_rng(1).integers(0, M, (1, 1000), dtype=np.uint64)
    first, again, other = (Sketch(1000, 128, beacon).apply(rows) for beacon in (BEACON, BEACON, bytes(32)))
    assert np.array_equal(first, again)
    assert (first != other).mean() > 0.9


def test_inner_products_are_unbiased_and_vary_as_those_of_a_count_sketch():
    rng, buckets, draws = np.random.default_rng(5), 128, 3000
    x = rng.integers(-30, 31, 1024)
    y = x // 2 + rng.integers(-20, 21, 1024)
    found = []
    for beacon in beacons(draws):
        u, v = Sketch(1024, buckets, beacon).apply(words([x, y])).view(np.int64)
        found.append((u @ v, u @ u))
    for values, truth, bound in (
        ([value for value, _ in found], x @ y, (x @ x) * (y @ y) + (x @ y) ** 2),
        ([value for _, value in found], x @ x, 2 * (x @ x) ** 2),
    ):
        variance = bound / buckets
        assert abs(np.mean(values) - truth) < 5 * np.sqrt(variance / draws)
        # Coordinates of one of the eight chunks never meet, which takes an eighth from the bound.
        assert 0.75 < np.var(values) / variance < 1.0


def test_two_entries_meet_one_time_in_as_many_as_there_are_buckets():
    buckets, chunks, draws = 128, 60, 20
    one_a_chunk = np.zeros((chunks, chunks * buckets), np.uint64)
    for chunk in range(chunks):
        one_a_chunk[chunk, chunk * buckets + 7 * chunk % buckets] = 1
    meet = 0
    for beacon in beacons(draws):
        places = Sketch(chunks * buckets, buckets, beacon).apply(one_a_chunk).nonzero()[1]
        counts = np.bincount(places)
        meet += int((counts * (counts - 1) // 2).sum())
    expected = draws * chunks * (chunks - 1) / 2 / buckets  # pairs meet pairwise independently
    assert abs(meet - expected) < 5 * np.sqrt(expected)


def test_what_is_no_size_or_beacon_is_refused():
    for length, buckets, beacon in ((0, 128, BEACON), (10, 100, BEACON), (10, 0, BEACON), (10, 128, b"")):
        with pytest.raises(Misuse, match="sketch"):
            Sketch(length, buckets, beacon)
    with pytest.raises(Misuse, match="vectors of 300"):
        Sketch(300, 128, BEACON).apply(np.zeros((1, 299), np.uint64))
