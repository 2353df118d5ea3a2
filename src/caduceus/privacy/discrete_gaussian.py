"""Noise: exact samples of the discrete Gaussian on the integers (Canonne, Kamath, Steinke 2020), by whole arrays.

A sampler that is only nearly right leaks: Mironov (2012) reads data out of the low bits of floating-point noise. Here
no number is ever a float. Every sample is a function of independent uniform real numbers in [0, 1) whose binary digits
are a keystream's bits, read only as far as the answer needs them:

1. Inversion (Knuth and Yao 1976). A number U picks the value whose stretch of cumulative probabilities it lies in.
   Sixteen bits of U decide at once nearly always; else 64 do; else as many as it takes.
2. A variance of 576 and more (sigma 24) goes in cells of k = 2**shift steps, so that sigma / k lies in [12, 24)
   (Ducas et al. 2013, algorithm 12): y is drawn by inversion with weights exp(-(k y)**2 / (2 variance)), y >= 0, and z
   uniform in [0, k); the candidate k y + z is accepted if another U < exp(-t), t = z (z + 2 k y) / (2 variance).
   The product of both is exp(-(k y + z)**2 / (2 variance)). A sign at random; negative zero is rejected, as zero would
   count twice.

**Exactness.** A comparison of U with a real number r (a cumulative probability, exp(-t)) is made on integers that
enclose both: U lies in [u, u + 1) / 2**b where u is its first b bits, r in [low, high] / 2**b where every product,
quotient and sum that leads to low is rounded down and every one that leads to high is rounded up. It is decided only if
u + 1 <= low or high <= u; else it is made again with more bits of U and closer bounds. So no rounding ever decides a
sample, no tail is cut off, and how many bits were looked at changes no answer: given that AES-256 in counter mode is a
random stream, the samples have exactly the distribution named. The loop ends with probability one, since r is no
binary fraction (exp of a fraction other than 0 is transcendental).

**Not in constant time.** How long a draw takes depends on its samples (rejections, rare long comparisons), so whoever
times draws precisely, on the machine itself, learns something about the noise; nobody but the site should be able to.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, islice, takewhile

import numpy as np
import numpy.typing as npt

from caduceus.crypto import keystream
from caduceus.crypto.entropy import expand
from caduceus.errors import Misuse

MOST_VARIANCE = 1 << 80
"""In squared ring steps: sigma up to 2**40, and every sample fits 64 bits many times over."""

Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]
Words = npt.NDArray[np.uint64]
"""The first 64 bits of numbers, or whole numbers below 2**64."""

Uniforms = npt.NDArray[np.uint32]
"""The first 30 bits of the numbers that accept or reject."""

Ratio = tuple[int, int]

Bits = Callable[[int], int]
"""From b to the first b bits of one uniform number in [0, 1), as an integer below 2**b; more bits extend the same."""

_WIDEST = 576  # from this variance on in cells: every value that 16 bits decide fits a byte
_UNDECIDED = -128  # in the byte table: more bits are needed
_LONG = 400  # a longer y, with probability below 2**-199, could wrap 64 bits: `_acceptance` leaves it open
_GUARD = 64  # bits by which sums are closer than the bounds that are made of them
_FIRST_BITS = 128  # more than words hold, for the first comparison with integers of any length
_TABLES_REMEMBERED = 16
_BLOCK = 1 << 14  # candidates at a time: their words stay in the processor's cache
_ZEROS = memoryview(bytes(8 * _BLOCK))
_ONE = 1 << 30  # acceptance works in units of 2**-30: the bits of U in a word that also holds the sign


def draw(key: bytes, size: int, *, variance: int) -> Integers:
    """Independent samples of the discrete Gaussian: P(x) proportional to exp(-x**2 / (2 variance)) on all integers.

    key       32 uniform secret bytes, used for one draw only: who knows them takes the noise off again
    size      how many samples, >= 0
    variance  in squared ring steps, a whole number from 1 to 2**80, not necessarily a square
    returns   int64[size]; on every machine the same ones for the same key and variance, and a shorter draw is a
              longer one's beginning

    Raises Misuse if an argument is not such.
    Source: Canonne, Kamath, Steinke, "The Discrete Gaussian for Differential Privacy" (2020), definition 1.
    """
    if len(key) != keystream.KEY_BYTES:
        raise Misuse(f"discrete gaussian: a key is {keystream.KEY_BYTES} bytes, got {len(key)}")
    if size < 0:
        raise Misuse(f"discrete gaussian: cannot draw {size} samples")
    if isinstance(variance, float) or not 1 <= variance <= MOST_VARIANCE or variance != int(variance):
        raise Misuse(f"discrete gaussian: a variance is a whole number of squared steps, 1 to 2**80, got {variance}")
    source = _Candidates(key, int(variance))
    samples, filled = np.empty(size, np.int64), 0
    while filled < size:
        missing = size - filled
        count = min(missing + missing // 16 + 8, _BLOCK) if source.shift else min(missing, _BLOCK)
        found = source.next(count)[:missing]
        samples[filled : filled + len(found)] = found
        filled += len(found)
    return samples


class _Candidates:
    """Candidates 0, 1, 2, ... of one draw, in blocks of any length: a candidate is the same whatever the blocks."""

    __slots__ = ("_asked", "_further", "_steepness", "_streams", "_table", "_variance", "shift")

    def __init__(self, key: bytes, variance: int) -> None:
        self._variance, self.shift, self._table = variance, _shift(variance), _table(variance)
        self._steepness = (1 << 2 * self.shift, 2 * variance)
        names = ("picks", "places", "uniforms", "picks, further bits", "uniforms, further bits")
        keys = [expand(key, f"discrete gaussian/{name}", variance.to_bytes(16)) for name in names]
        self._streams, self._further = keystream.CIPHERS[keystream.CIPHER](keys[:3], 0), keys[3:]
        self._asked = 0

    def next(self, count: int) -> Integers:
        """The accepted ones among the next `count` candidates, at most 2**14, in their order."""
        first, self._asked = self._asked, self._asked + count
        raw = self._streams[0].update(_ZEROS[: 8 * count])
        quick = self._table.quick.take(np.frombuffer(raw, "<u2")[3::4])
        values, late = quick.astype(np.int64), np.flatnonzero(quick == _UNDECIDED)
        values[late] = self._looked_up(np.frombuffer(raw, "<u8")[late], late + first)
        if not self.shift:
            return values
        raw = self._streams[1].update(_ZEROS[: 8 * count])
        places = np.frombuffer(raw, "<u8") >> np.uint64(64 - self.shift)
        words = np.frombuffer(self._streams[2].update(_ZEROS[: 4 * count]), "<u4")
        uniforms, tops = words >> np.uint32(2), np.frombuffer(raw, np.uint8)[7::8]
        kept = _surely_accepted(quick, tops, uniforms, self._steepness)
        kept[late] = False  # `quick` said nothing there
        unsure = np.flatnonzero(~kept)
        kept[unsure] = self._accepted(values[unsure], places[unsure], uniforms[unsure], unsure + first)
        signs = (words & np.uint32(1)).astype(np.int64)
        samples = ((values << self.shift) + places.view(np.int64)) ^ -signs  # -1 - x where the sign is set
        kept &= samples != -1  # negative zero
        accepted: Integers = (samples + signs)[kept]
        return accepted

    def _looked_up(self, picks: Words, numbers: Integers) -> Integers:
        """What 64 bits say, or more of them: the value of each of these candidates."""
        ranks = np.searchsorted(self._table.edges, picks)
        values = self._table.values[ranks]
        for i in np.flatnonzero(self._table.edges[ranks] == picks).tolist():
            bits = _going_on(int(picks[i]), 64, self._further[0], int(numbers[i]))
            values[i] = _look_up_exactly(self._variance, bits)
        return values

    def _accepted(self, values: Integers, places: Words, uniforms: Uniforms, numbers: Integers) -> Booleans:
        """Whether these candidates are accepted: by cubic bounds, or by integers of any length."""
        low, high = _acceptance(values, places, self.shift, self._steepness)
        kept = uniforms < low
        for i in np.flatnonzero((uniforms >= low) & (uniforms < high)).tolist():
            value, place = int(values[i]) << self.shift, int(places[i])
            bits = _going_on(int(uniforms[i]), 30, self._further[1], int(numbers[i]))
            kept[i] = _is_below_exp(bits, place * (place + 2 * value), 2 * self._variance)
        return kept


def _going_on(prefix: int, known: int, key: bytes, number: int) -> Bits:
    """A number that begins with the `known` bits of `prefix` and goes on with a candidate's stretch of a keystream.

    A stretch is 2**64 blocks long, the candidate's number being the counter's upper half. Few are ever read.
    """

    def bits(count: int) -> int:
        size = -(-(count - known) // 8)
        (stream,) = keystream.CIPHERS[keystream.CIPHER]([key], number << 64)
        return (prefix << 8 * size | int.from_bytes(stream.update(bytes(size)))) >> (8 * size + known - count)

    return bits


# ---------------------------------------------------------------- inversion


@dataclass(frozen=True, slots=True)
class _Table:
    """The values in the order in which their probabilities are added up, and where U passes from each to the next.

    quick   int8[2**16], by the first 16 bits of U: the value, or -128 if they leave it open
    edges   uint64[n], rising: floor(2**64 P(one of the first j + 1 values)); the last is 2**64 - 1
    values  int64[n]
    """

    quick: npt.NDArray[np.int8]
    edges: Words
    values: Integers


def _shift(variance: int) -> int:
    """The least s >= 0 with variance < 576 * 4**s."""
    return ((variance // _WIDEST).bit_length() + 1) // 2


def _value(rank: int, shift: int) -> int:
    """Ranks 0, 1, 2, ... stand for y = 0, 1, 2, ... where there are cells, else for x = 0, 1, -1, 2, -2, ..."""
    return rank if shift else (rank + 1) // 2 * (1 if rank % 2 else -1)


@lru_cache(maxsize=_TABLES_REMEMBERED)  # a variance is public
def _table(variance: int) -> _Table:
    """The table of a variance; its edges are exact."""
    count, most, exact = 64, (1 << 64) - 1, False
    while not exact:  # once, unless an edge is within 2**-126 of a multiple of 2**-64
        count *= 2
        lows, highs = _cumulative(variance, count)
        floors = [low >> (count - 64) for low in lows]
        exact = floors == [min(high >> (count - 64), most) for high in highs]  # a probability is below 1
    last = floors.index(most)
    edges = np.array(floors[: last + 1], np.uint64)
    values = np.array([_value(rank, _shift(variance)) for rank in range(last + 1)], np.int64)
    prefixes, short = np.arange(1 << 16, dtype=np.uint64), edges >> np.uint64(48)
    ranks = np.searchsorted(short, prefixes)
    quick = np.where(short[ranks] == prefixes, _UNDECIDED, values[ranks]).astype(np.int8)  # an edge in it: left open
    for array in (quick, edges, values):
        array.setflags(write=False)
    return _Table(quick, edges, values)


def _look_up_exactly(variance: int, bits: Bits) -> int:
    """The value in whose stretch a number lies, from as many of its bits as it takes."""
    count = _FIRST_BITS
    while True:
        lows, highs = _cumulative(variance, count)
        u = bits(count)
        rank = bisect_right(highs, u)  # as many edges are at most u / 2**count: passed for sure
        if rank < len(lows) and u + 1 <= lows[rank]:
            return _value(rank, _shift(variance))
        count *= 2


@lru_cache(maxsize=_TABLES_REMEMBERED)
def _cumulative(variance: int, count: int) -> tuple[list[int], list[int]]:
    """Bounds of 2**count P(one of the first j + 1 values), for every j whose weight is not lost in them.

    Values of the same size share the weight q**(y * y), q = exp(-4**shift / (2 variance)). What the list leaves out is
    bounded by a geometric series, as every weight is at most q times the one before: (1). Whatever the last bits of the
    weights, the lower bounds rest on weights rounded down over a total rounded up, and the upper ones the other way.
    """
    shift, scale = _shift(variance), count + _GUARD
    low, high = _exp_minus(1 << 2 * shift, 2 * variance, scale)
    lows = list(takewhile(bool, _weights(low, scale, up=0)))
    *highs, first_left = islice(_weights(high, scale, up=1), len(lows) + 1)
    left = -(-(first_left << scale) // ((1 << scale) - high))  # (1)
    if not shift:  # one weight for x and -x
        lows, highs, left = [lows[0], *_twice(lows[1:])], [highs[0], *_twice(highs[1:])], 2 * left
    least, most = sum(lows), sum(highs) + left
    return [(w << count) // most for w in accumulate(lows)], [-(-(w << count) // least) for w in accumulate(highs)]


def _weights(q: int, scale: int, *, up: int) -> Iterator[int]:
    """2**scale times r**0, r**1, r**4, r**9, ... of r = q / 2**scale, rounded down throughout, or up (up = 1)."""
    slack = up * ((1 << scale) - 1)
    weight, ratio, square = 1 << scale, q, (q * q + slack) >> scale
    while True:
        yield weight
        weight, ratio = (weight * ratio + slack) >> scale, (ratio * square + slack) >> scale


def _twice(weights: list[int]) -> list[int]:
    return [weight for weight in weights for _ in range(2)]


# ---------------------------------------------------------------- acceptance


def _surely_accepted(
    quick: npt.NDArray[np.int8], tops: npt.NDArray[np.uint8], uniforms: Uniforms, steepness: Ratio
) -> Booleans:
    """True only where U < 1 - t, by an upper bound of t; exp(-t) >= 1 - t.

    With a = z / k < (top + 1) / 256 and c = k**2 / (2 variance) <= 1 / 288, t = c a (a + 2 y) <= c a (2 y + 1). All is
    in units of 2**-30, and nothing wraps: 256 * 255 * (2**22 / 288 + 1) + 2**30 < 2**31.
    """
    rate = np.uint32((steepness[0] << 22) // steepness[1] + 1)
    bound = (tops.astype(np.uint32) + np.uint32(1)) * (quick.astype(np.uint32) * np.uint32(2) + np.uint32(1)) * rate
    return uniforms + bound < np.uint32(_ONE)


def _acceptance(values: Integers, places: Words, shift: int, steepness: Ratio) -> tuple[Words, Words]:
    """Bounds of 2**30 exp(-t), t = z (z + 2 k y) / (2 variance): 0 and 2**30 for t above 1 or y > 400.

    With a = z / k, of which 20 bits are used, and c = k**2 / (2 variance) <= 1 / 288, t = c a (a + 2 y). Then
    1 - t + t**2 / 2 - t**3 / 6 <= exp(-t) <= 1 - t + t**2 / 2, and as both fall while t grows up to 1, `ceil` gives
    the lower and `floor` the upper bound. Nothing wraps where y <= 400 and t <= 1: the largest products are below
    (2**20 + 400 * 2**21) * (2**34 / 288 + 2) < 2**56 and 2**30 * (2**30 + 1).
    """
    y = values.astype(np.uint64) << np.uint64(21)
    a = places << np.uint64(20 - shift) if shift <= 20 else places >> np.uint64(shift - 20)
    rate, one = np.uint64((steepness[0] << 34) // steepness[1]), np.uint64(1)
    floor = (a * (a + y) >> np.uint64(20)) * rate >> np.uint64(24)
    ceil = (((a + one) * (a + one + y) >> np.uint64(20)) + one) * (rate + one) >> np.uint64(24)
    ceil += one
    unit, six = np.uint64(_ONE), np.uint64(6)
    cube = ((ceil * ceil >> np.uint64(30)) + one) * ceil >> np.uint64(30)
    low = unit - ceil + (ceil * ceil >> np.uint64(31)) - (cube // six + one)
    high = unit - floor + (floor * floor >> np.uint64(31)) + one
    clear = (ceil < unit) & (values <= _LONG)
    return np.where(clear, low, np.uint64(0)), np.where(clear, high, unit)


def _is_below_exp(bits: Bits, numerator: int, denominator: int) -> bool:
    """Whether a number is below exp(-numerator / denominator), from as many of its bits as it takes."""
    count = _FIRST_BITS
    while numerator:
        low, high = _exp_minus(numerator, denominator, count)
        u = bits(count)
        if u + 1 <= low or high <= u:
            return u + 1 <= low
        count *= 2
    return True  # below exp(0)


def _exp_minus(numerator: int, denominator: int, scale: int) -> tuple[int, int]:
    """Bounds of 2**scale exp(-t) for t = numerator / denominator >= 0: the inverses of bounds of exp(t).

    Terms of exp's series are rounded down in one sum and up in the other, until one rounded up is 1 and the next
    ones are at most halves of those before: together at most 2.
    """
    low = high = 0
    least = most = 1 << scale
    i = 0
    while most > 1 or 2 * numerator > i * denominator:
        low, high, i = low + least, high + most, i + 1
        least = least * numerator // (i * denominator)
        most = -(-most * numerator // (i * denominator))
    return (1 << 2 * scale) // (high + 2), -(-(1 << 2 * scale) // low)
