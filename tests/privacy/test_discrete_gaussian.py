"""Noise: the distribution named, to the last bit, however many bits a decision takes."""

from bisect import bisect_right
from dataclasses import replace
from decimal import Decimal, localcontext
from functools import lru_cache
from itertools import accumulate

import numpy as np
import pytest
from Crypto.Cipher import AES
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from caduceus.crypto.entropy import expand
from caduceus.errors import Misuse
from caduceus.privacy import discrete_gaussian
from caduceus.privacy.discrete_gaussian import MOST_VARIANCE, draw

KEY = bytes(range(32))
SMALL = (1, 2, 7, 30, 143, 575)
IN_CELLS = (576, 577, 700, 2303, 2304, 2311, 9216, 10**6 + 3)
LARGE = ((1 << 40) + 12345, MOST_VARIANCE)
LEAST_P = 1e-4  # of a fit: fixed before any key was tried
PLACES = 200  # decimal places of what is taken for the truth: about 660 bits

variances = st.sampled_from((*SMALL, *IN_CELLS, *LARGE)) | st.integers(1, MOST_VARIANCE)


# ---------------------------------------------------------------- another sampler, of the same bits


def shift_of(variance):
    return next(s for s in range(41) if variance < 576 * 4**s)


def value_of(rank, variance):
    return rank if variance >= 576 else (-1) ** (rank + 1) * ((rank + 1) // 2)


@lru_cache(maxsize=64)
def stretches(variance):
    """Cumulative probabilities of the values picked by inversion, as decimals, until nothing is left of them."""
    with localcontext() as context:
        context.prec = PLACES + 30
        step, weights, rank = Decimal(4 ** shift_of(variance)) / (2 * variance), [], 0
        while not weights or weights[-1] > Decimal(10) ** -(PLACES + 20):
            weights.append((-step * value_of(rank, variance) ** 2).exp())
            rank += 1
        total = sum(weights)
        return [partial / total for partial in accumulate(weights)]


def below_exp(place, value, variance):
    """exp(-t) of a candidate, t = z (z + 2 k y) / (2 variance)."""
    with localcontext() as context:
        context.prec = PLACES
        return (-Decimal(place * (place + 2 * value)) / (2 * variance)).exp()


def keystream_of(key, variance, name, size, first=0):
    made = expand(key, f"discrete gaussian/{name}", variance.to_bytes(16))
    return AES.new(made, AES.MODE_CTR, nonce=b"", initial_value=first).encrypt(bytes(size))


def long_number(prefix, known, key, variance, name, number):
    """A candidate's number in [0, 1) as a decimal, from its first bits and 640 further ones."""
    further = keystream_of(key, variance, f"{name}, further bits", 80, number << 64)
    with localcontext() as context:
        context.prec = PLACES
        return Decimal(prefix << 640 | int.from_bytes(further)) / 2 ** (known + 640)


def one_by_one(key, size, variance):
    """The same samples from decimals of 200 places, and every number to its 640th bit and more."""
    shift, edges, samples, asked = shift_of(variance), stretches(variance), [], 2 * size + 20
    picks = np.frombuffer(keystream_of(key, variance, "picks", 8 * asked), "<u8").tolist()
    places = np.frombuffer(keystream_of(key, variance, "places", 8 * asked), "<u8").tolist()
    words = np.frombuffer(keystream_of(key, variance, "uniforms", 4 * asked), "<u4").tolist()
    for number, (pick, place, word) in enumerate(zip(picks, places, words, strict=True)):
        rank = bisect_right(edges, long_number(pick, 64, key, variance, "picks", number))
        if not shift:
            samples.append(value_of(rank, variance))
            continue
        value, place, negative = rank << shift, place >> (64 - shift), word & 1
        u = long_number(word >> 2, 30, key, variance, "uniforms", number)
        if u < below_exp(place, value, variance) and (value + place or not negative):
            samples.append(-(value + place) if negative else value + place)
    return samples[:size]


@pytest.mark.parametrize("variance", [1, 30, 575, 576, 2303, 2304, (1 << 40) + 12345, MOST_VARIANCE])
def test_samples_are_those_of_a_sampler_that_reads_every_number_to_its_end(variance):
    assert draw(KEY, 700, variance=variance).tolist() == one_by_one(KEY, 700, variance)


@settings(deadline=None, max_examples=10)
@given(st.binary(min_size=32, max_size=32), variances)
def test_samples_of_any_key_and_variance_are_those_of_the_other_sampler(key, variance):
    assert draw(key, 40, variance=variance).tolist() == one_by_one(key, 40, variance)


# ---------------------------------------------------------------- every slower way gives the same answer


def undecided(table):
    return replace(table, quick=np.full(1 << 16, -128, np.int8))


@pytest.fixture
def slow_table(monkeypatch):
    """No prefix of 16 bits decides."""
    quick_table = discrete_gaussian._table
    monkeypatch.setattr(discrete_gaussian, "_table", lambda variance: undecided(quick_table(variance)))


@pytest.mark.parametrize("variance", [5, 600, 1 << 80])
def test_64_bits_say_what_16_bits_said_and_cubic_bounds_what_linear_ones_said(variance, slow_table, monkeypatch):
    slow = draw(KEY, 50_000, variance=variance)
    monkeypatch.undo()
    assert np.array_equal(slow, draw(KEY, 50_000, variance=variance))


@pytest.mark.parametrize("variance", [5, 600, 1 << 80])
def test_numbers_read_as_far_as_it_takes_say_what_64_bits_said(variance, slow_table, monkeypatch):
    asked = []

    def exactly(self, picks, numbers):
        found = []
        for pick, number in zip(picks.tolist(), numbers.tolist(), strict=True):
            bits = discrete_gaussian._going_on(pick, 64, self._further[0], number)
            found.append(discrete_gaussian._look_up_exactly(variance, bits))
        asked.extend(found)
        return np.array(found, np.int64)

    monkeypatch.setattr(discrete_gaussian._Candidates, "_looked_up", exactly)
    slow = draw(KEY, 3000, variance=variance)
    monkeypatch.undo()
    assert np.array_equal(slow, draw(KEY, 3000, variance=variance))
    assert len(asked) >= 3000


@pytest.mark.parametrize("variance", [600, 2303, (1 << 40) + 12345, 1 << 80])
def test_acceptance_by_integers_of_any_length_is_that_by_bounds(variance, monkeypatch):
    leave_all_acceptance_open(monkeypatch)
    slow = draw(KEY, 3000, variance=variance)
    monkeypatch.undo()
    assert np.array_equal(slow, draw(KEY, 3000, variance=variance))


@pytest.mark.parametrize("variance", [5, 600])
def test_a_candidate_whose_64_bits_are_an_edge_is_read_further(variance, monkeypatch):
    """Edges are put where the candidates are, so that each of them is such; the answers stay right."""
    right = draw(KEY, 2000, variance=variance)
    edges_everywhere(variance, monkeypatch)
    assert np.array_equal(draw(KEY, 2000, variance=variance), right)


def edges_everywhere(variance, monkeypatch):
    picks = np.frombuffer(keystream_of(KEY, variance, "picks", 8 * 2200), "<u8")
    edges = np.append(np.unique(picks), np.uint64((1 << 64) - 1))
    table = undecided(discrete_gaussian._table(variance))
    wrong = replace(table, edges=edges, values=np.full(len(edges), 99, np.int64))
    monkeypatch.setattr(discrete_gaussian, "_table", lambda _: wrong)


def leave_all_acceptance_open(monkeypatch):
    def open_(values, *_):
        return np.zeros(len(values), np.uint64), np.full(len(values), 1 << 30, np.uint64)

    monkeypatch.setattr(discrete_gaussian, "_acceptance", open_)
    monkeypatch.setattr(discrete_gaussian, "_surely_accepted", lambda quick, *_: np.zeros(len(quick), np.bool_))


def test_no_two_numbers_go_on_with_the_same_bits(monkeypatch):
    """Every candidate of every block has two stretches to itself, one for each of its numbers."""
    going_on, asked = discrete_gaussian._going_on, []

    def watched(prefix, known, key, number):
        asked.append((known, key, number))
        return going_on(prefix, known, key, number)

    edges_everywhere(600, monkeypatch)
    leave_all_acceptance_open(monkeypatch)
    monkeypatch.setattr(discrete_gaussian, "_BLOCK", 100)
    monkeypatch.setattr(discrete_gaussian, "_going_on", watched)
    draw(KEY, 350, variance=600)
    for known, name in ((64, "picks, further bits"), (30, "uniforms, further bits")):
        key = expand(KEY, f"discrete gaussian/{name}", (600).to_bytes(16))
        numbers = [number for bits, its, number in asked if (bits, its) == (known, key)]
        assert numbers == list(range(len(numbers)))
        assert 350 < len(numbers) == len(asked) / 2


def digits(number, length):
    """The number whose first `length` bits are given and whose other bits are all zero; and how often it was read."""
    reads = []

    def bits(count):
        reads.append(count)
        return number << (count - length) if count >= length else number >> (length - count)

    return bits, reads


def scaled(fraction, length):
    with localcontext() as context:
        context.prec = PLACES
        return int(fraction * 2**length)


@pytest.mark.parametrize("variance", [1, 30, 575, 576, 2303, (1 << 40) + 12345])
def test_a_number_within_600_bits_of_an_edge_falls_on_its_side(variance):
    for rank, edge in enumerate(stretches(variance)[:40:3]):
        below, reads = digits(scaled(edge, 600), 600)
        above, _ = digits(scaled(edge, 600) + 1, 600)
        assert discrete_gaussian._look_up_exactly(variance, below) == value_of(3 * rank, variance)
        assert discrete_gaussian._look_up_exactly(variance, above) == value_of(3 * rank + 1, variance)
        assert len(reads) == 4  # 128, 256, 512, 1024 bits


@pytest.mark.parametrize("length", [64, 200, 600])
@pytest.mark.parametrize("variance", [1, 575, 576, 2303])
def test_no_tail_is_cut_off(variance, length):
    """A number that close to 1 picks a value that far out, and the right one."""
    nearly_one, _ = digits((1 << length) - 1, length)
    edges = stretches(variance)
    with localcontext() as context:
        context.prec = PLACES
        rank = bisect_right(edges, 1 - Decimal(2) ** -length)
    assert discrete_gaussian._look_up_exactly(variance, nearly_one) == value_of(rank, variance)
    spread = (variance / 4 ** shift_of(variance)) ** 0.5
    assert abs(value_of(rank, variance)) > spread * (1.2 * length) ** 0.5


@pytest.mark.parametrize("variance", [576, 2303, (1 << 40) + 12345, MOST_VARIANCE])
def test_a_number_within_600_bits_of_an_acceptance_falls_on_its_side(variance):
    k = 1 << shift_of(variance)
    for place, y in ((k - 1, 0), (k - 1, 1), (k // 2 + 1, 17), (k - 1, 90), (1, 3), (k - 1, 700)):
        edge = scaled(below_exp(place, y * k, variance), 600)
        t = (place * (place + 2 * y * k), 2 * variance)
        below, reads = digits(edge, 600)
        above, _ = digits(edge + 1, 600)
        assert discrete_gaussian._is_below_exp(below, *t)
        assert not discrete_gaussian._is_below_exp(above, *t)
        assert len(reads) == 4


def test_a_cell_begins_with_a_candidate_that_is_never_rejected():
    assert discrete_gaussian._is_below_exp(digits((1 << 600) - 1, 600)[0], 0, 7)


# ---------------------------------------------------------------- every bound is one


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 1 << 90), st.integers(1, 1 << 82), st.integers(1, 400))
def test_bounds_of_exp_enclose_it(numerator, denominator, scale):
    numerator %= 40 * denominator  # t below 40
    low, high = discrete_gaussian._exp_minus(numerator, denominator, scale)
    with localcontext() as context:
        context.prec = PLACES
        truth = (-Decimal(numerator) / denominator).exp() * 2**scale
        assert low <= truth <= high
    assert high - low < 2000  # close enough for more bits to help


def check_cumulative(variance, count):
    lows, highs = discrete_gaussian._cumulative.__wrapped__(variance, count)
    with localcontext() as context:
        context.prec = PLACES
        for low, high, truth in zip(lows, highs, stretches(variance), strict=False):
            assert low <= truth * 2**count <= high
    return lows, highs


@pytest.mark.parametrize("variance", [1, 2, 7, 576])
def test_bounds_of_cumulative_probabilities_hold_without_bits_to_spare(variance, monkeypatch):
    monkeypatch.setattr(discrete_gaussian, "_GUARD", 0)
    for count in range(12, 40):
        check_cumulative(variance, count)


@settings(deadline=None, max_examples=8)
@given(variances, st.integers(1, 300))
def test_bounds_of_cumulative_probabilities_enclose_them(variance, count):
    lows, highs = check_cumulative(variance, count)
    assert max(high - low for low, high in zip(lows, highs, strict=True)) <= 2


@pytest.mark.parametrize("variance", [*SMALL, *IN_CELLS, *LARGE])
def test_a_table_says_only_what_is_certain(variance):
    table, edges = discrete_gaussian._table(variance), stretches(variance)
    with localcontext() as context:
        context.prec = PLACES
        assert table.edges.tolist() == [int(edge * 2**64) for edge in edges][: len(table.edges)]
        last = [bisect_right(edges, Decimal((i + 1) * 2**200 - 1) / 2**216) for i in range(0, 1 << 16, 7)]
        first = [bisect_right(edges, Decimal(i) / 2**16) for i in range(0, 1 << 16, 7)]
    for low, high, said in zip(first, last, table.quick[::7].tolist(), strict=True):
        assert said == (value_of(low, variance) if low == high else -128)
    assert 0 < np.mean(table.quick == -128) < 0.005


in_cells = st.integers(576, MOST_VARIANCE) | st.sampled_from((*IN_CELLS, *LARGE))


@settings(deadline=None, max_examples=300)
@given(in_cells, st.integers(0, 127), st.integers(0, (1 << 64) - 1), st.integers(0, (1 << 30) - 1))
def test_linear_bounds_accept_only_what_is_below_exp(variance, y, raw, uniform):
    shift = shift_of(variance)
    steepness, place = (4**shift, 2 * variance), raw >> (64 - shift)
    quick, tops = np.array([y], np.int8), np.array([raw >> 56], np.uint8)

    def accepts(u):
        return discrete_gaussian._surely_accepted(quick, tops, np.array([u], np.uint32), steepness)[0]

    truth = below_exp(place, y << shift, variance) * (1 << 30)
    bound = max((u for u in (uniform, int(truth) - 1, int(truth), int(truth) + 1) if u >= 0 and accepts(u)), default=-1)
    assert bound + 1 <= truth
    a, c = raw / 2**64, 4**shift / (2 * variance)
    loose = c * (a + 1 / 256) * (2 * y + 1.001) + 1e-4
    assert loose >= 1 or accepts(int((1 - loose) * (1 << 30)))  # and most of what is


@settings(deadline=None, max_examples=300)
@given(in_cells, st.integers(0, 500), st.integers(0, (1 << 64) - 1))
def test_cubic_bounds_enclose_exp(variance, y, raw):
    shift = shift_of(variance)
    place = raw >> (64 - shift)
    low, high = discrete_gaussian._acceptance(
        np.array([y], np.int64), np.array([place], np.uint64), shift, (4**shift, 2 * variance)
    )
    truth = below_exp(place, y << shift, variance)
    assert int(low[0]) <= truth * (1 << 30) <= int(high[0])
    t = -float(truth.ln())
    if y <= 400 and t < 0.99:
        assert int(high[0]) - int(low[0]) <= (t**3 / 6 + 1e-5) * (1 << 30)
    if y > 400 or t > 1.01:
        assert (low[0], high[0]) == (0, 1 << 30)


def test_a_number_goes_on_with_its_candidates_stretch_of_a_keystream():
    for number in (0, 1, 7, 1 << 40):
        stream = AES.new(KEY, AES.MODE_CTR, nonce=b"", initial_value=number << 64).encrypt(bytes(32))
        bits = discrete_gaussian._going_on(5, 16, KEY, number)
        assert bits(16) == 5
        assert bits(80) == 5 << 64 | int.from_bytes(stream[:8])
        assert bits(83) == 5 << 67 | int.from_bytes(stream) >> (256 - 67)
        assert bits(16 + 256) == 5 << 256 | int.from_bytes(stream)


# ---------------------------------------------------------------- the distribution


def fit(samples, variance):
    """The p-value of a chi-square test against exact probabilities, tails pooled where fewer than 10 are expected."""
    reach = int(12 * variance**0.5) + 2
    values = np.arange(-reach, reach + 1)
    weights = np.exp(-(values.astype(float) ** 2) / (2 * variance))
    expected = len(samples) * weights / weights.sum()
    counts = np.bincount(samples + reach, minlength=len(values))
    full = expected >= 10
    observed = np.append(counts[full], counts[~full].sum())
    return stats.chisquare(observed, np.append(expected[full], expected[~full].sum())).pvalue


@pytest.mark.parametrize("variance", [*SMALL, *IN_CELLS])
def test_every_value_comes_as_often_as_it_should(variance):
    assert fit(draw(KEY, 400_000, variance=variance), variance) > LEAST_P


def test_the_test_of_fit_would_notice():
    samples = draw(KEY, 400_000, variance=600)
    assert fit(samples, 630) < LEAST_P
    assert fit(np.where(samples == 0, 1, samples), 600) < LEAST_P


@pytest.mark.parametrize("variance", LARGE)
def test_wide_samples_are_normal_in_the_large_and_uniform_in_the_small(variance):
    """Against the normal distribution: a bin's chance differs from its share there by about 1 / sigma, below 2**-19."""
    samples = draw(KEY, 400_000, variance=variance)
    normal = stats.norm.cdf(samples / variance**0.5)
    assert stats.chisquare(np.bincount((normal * 500).astype(int), minlength=500)).pvalue > LEAST_P
    assert stats.kstest(normal, "uniform").pvalue > LEAST_P
    assert stats.chisquare(np.bincount(samples % 64, minlength=64)).pvalue > LEAST_P


@pytest.mark.parametrize("variance", LARGE)
def test_places_within_a_cell_fall_off_as_they_should(variance):
    """Cells of k steps: where in its cell a sample lies, against the exact sum over all cells."""
    k = 1 << shift_of(variance)
    samples = np.abs(draw(KEY, 400_000, variance=variance))
    parts = np.minimum(samples % k * 64 // k, 63)
    starts = (np.arange(0, 400)[:, None] + np.arange(65) / 64) * (k / variance**0.5)
    chances = 2 * np.diff(stats.norm.cdf(starts), axis=1).sum(axis=0)
    assert stats.chisquare(np.bincount(parts, minlength=64), chances / chances.sum() * len(samples)).pvalue > LEAST_P


@pytest.mark.parametrize("variance", [2, 575, 576, 1 << 80])
def test_signs_are_even_and_neighbours_strangers(variance):
    samples = draw(KEY, 400_000, variance=variance)
    positive, negative = int((samples > 0).sum()), int((samples < 0).sum())
    assert stats.binomtest(positive, positive + negative).pvalue > LEAST_P
    assert stats.ks_2samp(samples[samples > 0], -samples[samples < 0]).pvalue > LEAST_P
    thirds = np.searchsorted(np.array([-0.43, 0.43]) * variance**0.5, samples)
    for apart in (1, 2, 8):
        pairs = np.bincount(3 * thirds[:-apart:2] + thirds[apart::2], minlength=9).reshape(3, 3)
        assert stats.chi2_contingency(pairs).pvalue > LEAST_P
        correlation = np.corrcoef(samples[:-apart].astype(float), samples[apart:])[0, 1]
        assert abs(correlation) * len(samples) ** 0.5 < 4


@pytest.mark.parametrize(("scale", "width"), [(3.0, 1), (24.0, 4), (1024.0, 128)])
def test_samples_are_distributed_as_those_of_another_library(scale, width):
    """Its samples cannot be repeated, so that the threshold is one that chance does not reach."""
    opendp = pytest.importorskip("opendp.prelude", reason="compares with OpenDP's sampler: pip install opendp")
    opendp.enable_features("contrib")
    domain = opendp.vector_domain(opendp.atom_domain(T="i64"))
    measured = opendp.m.make_gaussian(domain, opendp.l2_distance(T=float), scale=scale)
    theirs = np.array(measured([0] * 20_000)) // width
    ours = draw(KEY, 200_000, variance=int(scale) ** 2) // width
    values = np.arange(-int(2.5 * scale) // width, int(2.5 * scale) // width)
    table = [np.bincount(np.searchsorted(values, those)) for those in (theirs, ours)]
    assert stats.chi2_contingency(table).pvalue > 1e-9


# ---------------------------------------------------------------- keys and arguments


@pytest.mark.parametrize("variance", [3, 577, 1 << 60])
def test_a_shorter_draw_is_the_beginning_of_a_longer_one(variance):
    long = draw(KEY, 70_000, variance=variance)
    assert long.dtype == np.int64
    for size in (0, 1, 2, 1000, 16_384, 16_385, 50_001):
        assert np.array_equal(draw(KEY, size, variance=variance), long[:size])


def test_another_key_or_variance_gives_other_samples():
    samples = draw(KEY, 1000, variance=1 << 40)
    assert np.mean(samples == draw(bytes(32), 1000, variance=1 << 40)) < 0.01
    other = draw(KEY, 1000, variance=(1 << 40) + 1)
    assert abs(np.corrcoef(samples.astype(float), other)[0, 1]) < 0.2


@pytest.mark.parametrize(
    ("key", "size", "variance"),
    [
        (KEY[:-1], 1, 4),
        (KEY + b"0", 1, 4),
        (KEY, -1, 4),
        (KEY, 1, 0),
        (KEY, 1, -4),
        (KEY, 1, MOST_VARIANCE + 1),
        (KEY, 1, 4.0),
        (KEY, 1, float("nan")),
    ],
)
def test_what_is_no_key_size_or_variance_is_misuse(key, size, variance):
    with pytest.raises(Misuse, match="discrete gaussian"):
        draw(key, size, variance=variance)
