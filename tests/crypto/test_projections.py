"""Projections: what wraps past a norm is caught, what is honest never is, and the proven bound is one."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caduceus.crypto import projections, rss
from caduceus.crypto.sketch import Sketch
from caduceus.errors import Misuse

M = 1 << 64
BEACON = bytes(range(32))
WIDTH = 300


def opened(row, beacon=BEACON, seed=bytes(32)):
    """Blinded projections of one vector of integers modulo 2**64."""
    words = np.array([[int(entry) % M for entry in row]], np.uint64)
    blinding = projections.blind(seed).view(np.uint64)[None]
    return projections.project(words, projections.draw(beacon, words.shape[1]), blinding)


def passes(row, **more):
    (verdict,) = projections.within(opened(row, **more))
    return bool(verdict)


def beacons(count):
    return [number.to_bytes(32) for number in range(count)]


def spread(*entries, width=WIDTH):
    row = [0] * width
    for i, entry in enumerate(entries):
        row[i * (width // len(entries))] = entry
    return row


# ---------------------------------------------------------------- attacks


@pytest.mark.parametrize(
    "row",
    [
        spread(1 << 32),
        spread(1 << 63),
        spread(*[1 << 32] * 100),
        spread(*[1 << 63] * WIDTH),
        spread(1 << 33, 1 << 34, 1 << 40),
        spread(1 << 62, 1 << 62, 1 << 62, 1 << 62),
        spread(*[3 << 32, -(5 << 32)] * 10),
    ],
)
def test_a_vector_with_square_norm_zero_modulo_2_64_is_caught(row):
    assert sum(entry * entry for entry in row) % M == 0  # so its norm is no longer than that of nothing
    assert not any(passes(row, beacon=beacon) for beacon in beacons(200))


@given(st.integers(31, 63), st.integers(-(1 << 15), 1 << 15), st.integers(0, 500))
@settings(deadline=None, max_examples=50)
def test_one_large_entry_beside_an_honest_vector_is_caught(power, other, number):
    assert not passes(spread((1 << power) + other, 5, -7), beacon=number.to_bytes(32))


def test_many_small_entries_that_are_long_together_are_caught():
    each = math.ceil(projections.PROVEN_NORM / math.sqrt(WIDTH))
    assert each < projections.WINDOW
    assert not any(passes([each] * WIDTH, beacon=beacon) for beacon in beacons(200))


def test_no_choice_of_the_blinding_entries_hides_a_wrap():
    """The worst case of the proof: one entry, which a projection leaves out half the time. 64 never all do."""
    words = np.array([spread(1 << 63)], np.uint64)
    for beacon in beacons(200):
        exposed = projections.project(words, projections.draw(beacon, WIDTH), np.zeros((1, 64), np.uint64)) != 0
        assert 8 < exposed.sum() < 56  # half of them; each bound is 6 standard deviations away


def test_two_chunks_of_2_63_vanish_in_every_sketch_but_not_in_a_projection():
    row = np.full((1, 256), 1 << 63, np.uint64)
    assert not any(Sketch(256, 128, beacon).apply(row).any() for beacon in beacons(20))
    assert not any(passes(row[0], beacon=beacon) for beacon in beacons(20))


# ---------------------------------------------------------------- honest vectors


def honest_rows():
    rng = np.random.default_rng(7)
    long = rng.standard_normal(WIDTH)
    long *= (projections.LARGEST_NORM - math.sqrt(WIDTH)) / np.linalg.norm(long)
    norm = projections.LARGEST_NORM
    equal = [norm // 20] * 300
    return [np.rint(long).astype(int).tolist(), spread(norm), spread(-norm), spread(*[norm // 2] * 4), equal, [0] * 300]


@pytest.mark.parametrize("row", honest_rows())
def test_an_honest_vector_never_fails(row):
    assert math.hypot(*row) <= projections.LARGEST_NORM
    for number, beacon in enumerate(beacons(300)):
        assert passes(row, beacon=beacon, seed=(number + 1).to_bytes(32, "little"))


def test_shares_are_projected_apart_and_opened_together():
    row = np.array([[*range(WIDTH)]], np.uint64)
    seeds = tuple(bytes([k]) * 32 for k in range(3))
    whole = np.concatenate([row, projections.blind(bytes(32)).view(np.uint64)[None]], axis=1)
    correction = whole.copy()
    rss.cover(correction, seeds)
    drawn, total = projections.draw(BEACON, WIDTH), np.zeros((1, projections.COUNT), np.uint64)
    for k in range(3):
        share = rss.component(k, seeds[k], correction if k == 0 else None, shape=correction.shape)
        total += projections.project(share[:, :WIDTH], drawn, share[:, WIDTH:])
    assert np.array_equal(total, opened(row[0]))


# ---------------------------------------------------------------- the theorem


def distribution(entries):
    """P(S = s) of S = <r, x> for small integers x; the middle of the array is s = 0."""
    chances = np.ones(1)
    for entry in entries:
        step = np.zeros(2 * entry + 1)
        step[[0, entry, 2 * entry]] += (0.25, 0.5, 0.25)
        chances = np.convolve(chances, step)
    return chances


@pytest.mark.parametrize(
    "entries",
    [
        [2] * 600,
        [20] * 80,
        [99] * 4,
        [100, 100, 100, 100],
        [100, 50, 25, 12, 6, 3, 1] * 4,
        list(range(1, 60)),
        [100, 100, *[1] * 3000],
        [279],
        [60] * 25 + [7] * 100,
    ],
)
def test_no_window_holds_more_than_the_proof_says(entries):
    """Exactly, for a window that is small enough to count: entries beyond 2T, many small ones, and mixtures."""
    window = 50
    norm = math.sqrt(sum(entry**2 for entry in entries))
    cumulated = np.concatenate([[0.0], np.cumsum(distribution(entries))])
    size = min(2 * window + 1, len(cumulated) - 1)
    most = float((cumulated[size:] - cumulated[:-size]).max())
    if max(entries) <= 2 * window:
        assert most <= math.pi**1.5 / 2 * window / norm
    if norm >= math.pi**1.5 * window:
        assert most <= 0.5


def test_the_constants_fit_the_proof():
    assert math.pi**1.5 * projections.WINDOW <= projections.PROVEN_NORM < math.pi**1.5 * projections.WINDOW + 1
    assert projections.PROVEN_NORM**2 < 1 << 63
    assert projections.SLACK**2 == 64 * projections.LARGEST_NORM**2
    assert projections.BLINDING + projections.SLACK == projections.WINDOW


# ---------------------------------------------------------------- what is drawn


def test_coefficients_are_minus_one_zero_and_one_with_a_quarter_a_half_and_a_quarter():
    drawn = projections.draw(BEACON, 20_000)
    assert drawn.shape == (projections.COUNT, 20_000)
    values, counts = np.unique(drawn, return_counts=True)
    assert values.tolist() == [-1, 0, 1]
    assert np.abs(counts / drawn.size - [0.25, 0.5, 0.25]).max() < 0.002  # 4 standard deviations or more
    correlations = drawn.astype(float) @ drawn.T / drawn.shape[1] - np.eye(projections.COUNT) / 2
    assert np.abs(correlations).max() < 6 * 0.5 / math.sqrt(drawn.shape[1])


def test_coefficients_of_some_columns_are_those_of_all():
    whole = projections.draw(BEACON, 500)
    assert np.array_equal(whole[:, 130:201], projections.draw(BEACON, 71, 130))
    assert np.array_equal(whole.T, projections.draw_transposed(BEACON, 500))
    assert not np.array_equal(whole, projections.draw(bytes(32), 500))


def test_blinding_is_uniform_and_the_shift_of_an_honest_vector_is_small_in_it():
    drawn = np.concatenate([projections.blind(number.to_bytes(32)) for number in range(2000)])
    assert -projections.BLINDING <= drawn.min() < drawn.max() < projections.BLINDING
    counts, _ = np.histogram(drawn, bins=64, range=(-projections.BLINDING, projections.BLINDING))
    expected = len(drawn) / 64
    assert ((counts - expected) ** 2 / expected).sum() < 63 + 6 * math.sqrt(126)  # chi-squared, 63 degrees
    shift = np.abs(projections.draw(BEACON, WIDTH).astype(int) @ np.array(honest_rows()[0]))
    assert (shift / (2 * projections.BLINDING)).sum() < 2**-9.5  # statistical distance of all 64, summed


def test_the_window_is_closed_at_both_ends():
    edge = projections.WINDOW
    rows = np.zeros((6, projections.COUNT), np.int64)
    rows[:, 5] = [edge, -edge, edge + 1, -edge - 1, -(1 << 63), (1 << 63) - 1]
    assert projections.within(rows.view(np.uint64)).tolist() == [True, True, False, False, False, False]


def test_seeds_and_beacons_of_another_length_are_refused():
    with pytest.raises(Misuse, match="seed"):
        projections.blind(b"short")
    with pytest.raises(Misuse, match="beacon"):
        projections.draw(b"short", 5)
