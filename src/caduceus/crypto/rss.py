"""Replicated secret sharing among three aggregators over Z_2^64: two of the three learn, one alone learns nothing.

A vector x is the sum of three components. Aggregator k holds components k and k + 1 (modulo 3), so every component
has two holders, who can be compared, and every product of two components has a holder, so that inner products of
shared vectors need no message (Araki, Furukawa, Lindell, Nof and Ohara, CCS 2016).

Components come from seeds: component k is the keystream of seed k, and component 0 has the *correction*
x - F(s0) - F(s1) - F(s2) added. Whoever lacks one of the three seeds cannot tell the correction from noise, and an
aggregator lacks one; so the correction is public, travels once, and lets anybody recompute a sum from what the
aggregators open of their keystreams.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import numpy as np

from caduceus.crypto import keystream, ring
from caduceus.crypto.entropy import expand, tagged
from caduceus.crypto.ring import Integers, Words
from caduceus.errors import Misuse
from caduceus.kinds import Digest

PARTIES = 3
SEED_BYTES = 32

_WORD_BYTES = 8
_WORDS_A_BLOCK = keystream.BLOCK_BYTES // _WORD_BYTES
_PIECE = 1 << 13
"""Words at a time: 64 KiB."""
_ZEROS = memoryview(bytes(_WORD_BYTES * (_PIECE + 1)))


def holds(party: int) -> tuple[int, int]:
    """The two components that an aggregator holds: its own, and the following one.

    Raises Misuse if there is no such aggregator.
    """
    if not 0 <= party < PARTIES:
        raise Misuse(f"rss: there is no aggregator {party}")
    return party, (party + 1) % PARTIES


def commit(seed: bytes) -> Digest:
    """What is published of a seed: it hides 32 uniform bytes, and stands for no others.

    Raises Misuse if a seed has another length.
    """
    return Digest(sha256(tagged("caduceus/rss/seed/1", _checked(seed))).digest())


def stream(seed: bytes, count: int) -> Words:
    """The first `count` words of a seed's keystream, AES-256-CTR under a key made of the seed.

    Raises Misuse if the seed has another length.
    """
    words = np.zeros(count, np.uint64)
    keystream.add(words, stream_key(seed))
    return words


def stream_key(seed: bytes) -> bytes:
    """The key of a seed's keystream: another than the seed, whose hash is public.

    Raises Misuse if the seed has another length.
    """
    return expand(_checked(seed), "rss/stream/1")


def cover(rows: Words, seeds: tuple[bytes, bytes, bytes]) -> None:
    """Turn vectors into their public correction, in place.

    rows   uint64[R, L], contiguous; row after row along one keystream
    seeds  one per component, uniform, used for these rows only

    Raises Misuse if an argument is not such.
    """
    if rows.ndim != 2 or rows.dtype != np.uint64 or not rows.flags.carray or len(seeds) != PARTIES:
        raise Misuse("rss: needs contiguous rows of uint64 and a seed for each of three components")
    keystream.apply(rows.reshape(-1), (), tuple(stream_key(seed) for seed in seeds))


def component(index: int, seed: bytes, correction: Words | None, *, shape: tuple[int, int]) -> Words:
    """One component of a dealer's vectors.

    index       which of the three
    seed        that component's
    correction  uint64[R, L] for component 0, None for the others
    shape       (R, L)
    returns     uint64[R, L]; the correction is not changed

    Raises Misuse if the correction is there for another component than 0, is missing for that, or has another shape.
    """
    if (index == 0) != (correction is not None) or not 0 <= index < PARTIES:
        raise Misuse(f"rss: component {index} {'takes no' if correction is not None else 'needs the'} correction")
    if correction is not None and (correction.shape != shape or correction.dtype != np.uint64):
        raise Misuse(f"rss: a correction of {correction.dtype}{correction.shape} for rows of {shape}")
    words = np.zeros(shape, np.uint64) if correction is None else np.array(correction, np.uint64, order="C")
    keystream.add(words.reshape(-1), stream_key(seed))
    return words


def mask(key: bytes, label: bytes, shape: tuple[int, ...]) -> Words:
    """What a key of two aggregators gives for one purpose: uniform words, as their zero share has them.

    key    32 uniform bytes
    label  what they are for (session and matrix); never the same for two things that are opened
    """
    words = np.zeros(shape, np.uint64)
    keystream.add(words.reshape(-1), expand(_checked(key), "rss/zero/1", label))
    return words


def zeros(mine: bytes, following: bytes, label: bytes, shape: tuple[int, ...]) -> Words:
    """An aggregator's share of zero: the three of one label add up to nothing, and two of them are uniform.

    mine       the key K_k of aggregators k and k - 1
    following  the key K_{k+1} of aggregators k + 1 and k
    label      see `mask`
    returns    F(mine) - F(following)
    """
    return np.asarray(mask(mine, label, shape) - mask(following, label, shape))


def products(own: Words, following: Words) -> Words:
    """An aggregator's part of all inner products, without its share of zero.

    own        uint64[N, m], component k of N vectors
    following  uint64[N, m], component k + 1
    returns    uint64[N, N], symmetric: O O^T + O F^T + F O^T. Over the three aggregators every pair of components
               occurs once, so the parts add up to the Gram matrix modulo 2**64
    """
    mixed = ring.matmul(own, following)
    return np.asarray(ring.matmul(own, own) + mixed + mixed.T)


def rectangle(own: tuple[Words, Words], following: tuple[Words, Words]) -> Words:
    """The same for inner products of some vectors with others.

    own        uint64[L, m] and uint64[R, m], component k of the left and of the right vectors
    following  likewise, component k + 1
    returns    uint64[L, R]
    """
    (left, right), (left_next, right_next) = own, following
    return np.asarray(ring.matmul(left, right + right_next) + ring.matmul(left_next, right))


def squares(own: Words, following: Words) -> Words:
    """An aggregator's part of the square norms alone, without its share of zero: cheap at full length.

    own        uint64[N, d]
    following  uint64[N, d]
    returns    uint64[N]
    """
    doubled = np.einsum("ij,ij->i", own, following) << np.uint64(1)
    return np.asarray(np.einsum("ij,ij->i", own, own) + doubled)


class Opened:
    """The keystream of one row, piece after piece.

    seed   the component's
    start  the word at which the row begins
    """

    __slots__ = ("_cipher", "_skip")

    def __init__(self, seed: bytes, start: int = 0) -> None:
        block, self._skip = divmod(start, _WORDS_A_BLOCK)
        (self._cipher,) = keystream.CIPHERS[keystream.CIPHER]([stream_key(seed)], block)
        if self._skip:
            self._cipher.update(bytes(_WORD_BYTES * self._skip))

    def read(self, place: memoryview, count: int) -> None:
        """Write the next `count` words to the beginning of `place`, bytes with room for a block more.

        count  at most `_PIECE`
        """
        self._cipher.update_into(_ZEROS[: _WORD_BYTES * count], place)


def weigh_streams(weights: Integers, seeds: Sequence[bytes], starts: Sequence[int], length: int) -> Words:
    """The weighted sum of rows of keystreams: what an aggregator opens of a component.

    weights  int64[n]
    seeds    n, the component's
    starts   n, the word of its keystream at which a row begins
    length   words of a row that count
    returns  uint64[length]: sum of weights[i] * F(seeds[i])[starts[i] : starts[i] + length]

    Takes the memory of the result. Rows of weight zero cost nothing: weights are public.

    Raises Misuse if the sizes do not fit.
    """
    if weights.dtype != np.int64 or not weights.shape == (len(seeds),) == (len(starts),):
        raise Misuse(f"rss: {weights.dtype}{weights.shape} weights for {len(seeds)} seeds at {len(starts)} places")
    counted = [
        (weight, Opened(seed, start))
        for weight, seed, start in zip(weights.view(np.uint64), seeds, starts, strict=True)
        if weight
    ]
    total = np.zeros(length, np.uint64)
    room = np.empty(_WORD_BYTES * _PIECE + keystream.BLOCK_BYTES, np.uint8)
    place, words = room.data, room[: -keystream.BLOCK_BYTES].view(np.uint64)
    for begin in range(0, length, _PIECE):
        piece = total[begin : begin + _PIECE]
        drawn = words[: len(piece)]
        for weight, row in counted:
            row.read(place, len(piece))
            drawn *= weight
            piece += drawn
    return total


def _checked(seed: bytes) -> bytes:
    if len(seed) != SEED_BYTES:
        raise Misuse(f"rss: a seed is {SEED_BYTES} bytes, got {len(seed)}")
    return seed
