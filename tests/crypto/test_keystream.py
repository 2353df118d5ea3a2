"""Sums of masks: the same as one mask after the other, and as another library's AES says."""

import tracemalloc

import numpy as np
import pytest
from Crypto.Cipher import AES
from hypothesis import given, settings
from hypothesis import strategies as st

from caduceus.crypto import keystream
from caduceus.errors import Misuse, Refused

PIECE = 1 << 15  # words of 32 bits that are drawn at a time
RINGS = (np.uint32, np.uint64)

keys = st.binary(min_size=32, max_size=32)
lengths = st.integers(0, 70) | st.integers(PIECE - 5, PIECE + 5) | st.integers(1, 3 * PIECE)


def mask(key, length, ring):
    """The mask that pycryptodome makes of a key."""
    cipher = AES.new(key, AES.MODE_CTR, nonce=b"", initial_value=0)
    return np.frombuffer(cipher.encrypt(bytes(length * np.dtype(ring).itemsize)), ring)


def summed(vector, plus, minus):
    """What masks make of a vector, from pycryptodome."""
    total = vector.copy()
    for key in plus:
        total += mask(key, len(vector), vector.dtype)
    for key in minus:
        total -= mask(key, len(vector), vector.dtype)
    return total


def counted(count, *, prefix=b"key"):
    return [prefix.ljust(28, b".") + number.to_bytes(4) for number in range(count)]


def a_vector(length, ring):
    return np.arange(length, dtype=ring) * ring(0x9E3779B9)


@pytest.fixture
def eager(monkeypatch):
    """Threads work on vectors of any length, down to a block each."""
    monkeypatch.setattr(keystream, "_WORTH_THREADS", 0)
    monkeypatch.setattr(keystream, "_SPAN_BYTES", 16)


@settings(deadline=None)
@given(st.sampled_from(RINGS), lengths, st.lists(keys, max_size=5), st.lists(keys, max_size=5))
def test_masks_put_on_together_are_those_of_another_library(ring, length, plus, minus):
    vector = a_vector(length, ring)
    expected = summed(vector, plus, minus)
    keystream.apply(vector, plus, minus)
    assert np.array_equal(vector, expected)


@settings(deadline=None)
@given(st.sampled_from(RINGS), lengths, st.lists(keys, max_size=5), st.lists(keys, max_size=5))
def test_masks_put_on_together_are_those_put_on_one_by_one(ring, length, plus, minus):
    together, singly = a_vector(length, ring), a_vector(length, ring)
    keystream.apply(together, plus, minus)
    for key in minus:
        keystream.subtract(singly, key)
    for key in plus:
        keystream.add(singly, key)
    assert np.array_equal(together, singly)


@settings(deadline=None)
@given(st.sampled_from(RINGS), lengths, st.lists(keys, min_size=1, max_size=5))
def test_masks_that_are_added_and_taken_leave_the_vector(ring, length, those):
    vector = a_vector(length, ring)
    keystream.apply(vector, those, those[::-1])
    assert np.array_equal(vector, a_vector(length, ring))


@pytest.mark.parametrize("threads", [1, 2, 3, 4])
@pytest.mark.parametrize("ring", RINGS)
@pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 5, 8, 17, 4099, PIECE, 2 * PIECE + 1, 5 * PIECE + 3])
@pytest.mark.usefixtures("eager")
def test_any_number_of_threads_gives_the_same(threads, ring, length):
    vector = a_vector(length, ring)
    plus, minus = counted(3), counted(2, prefix=b"other")
    expected = summed(vector, plus, minus)
    keystream.apply(vector, plus, minus, threads=threads)
    assert np.array_equal(vector, expected)


def test_threads_share_a_long_vector_and_change_nothing():
    vector = a_vector(700_001, np.uint32)
    plus, minus = counted(25), counted(1, prefix=b"other")
    expected = summed(vector, plus, minus)
    keystream.apply(vector, plus, minus, threads=4)
    assert np.array_equal(vector, expected)


def test_more_keys_than_are_open_at_a_time_all_count():
    vector = a_vector(10, np.uint64)
    plus, minus = counted(600), counted(300, prefix=b"other")
    expected = summed(vector, plus, minus)
    keystream.apply(vector, plus, minus)
    assert np.array_equal(vector, expected)


def peak(count):
    """Bytes that masks of so many keys take besides vector and keys."""
    vector, plus = a_vector(3 * PIECE, np.uint32), counted(count)
    tracemalloc.start()
    try:
        keystream.apply(vector, plus, ())
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_number_of_keys():
    peak(1)
    few, many, more = peak(10), peak(500), peak(2000)
    assert few > PIECE * 4  # the buffer is seen: numpy's memory counts
    assert many < few + (1 << 17)  # the keystreams that are open at a time; a mask is three times as large
    assert more < many + (1 << 12)


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(33)])
def test_a_key_of_another_size_is_misuse_and_changes_nothing(key):
    vector = a_vector(9, np.uint32)
    for plus, minus in (([bytes(32), key], []), ([bytes(32)], [key])):
        with pytest.raises(Misuse, match="32 bytes"):
            keystream.apply(vector, plus, minus)
    assert np.array_equal(vector, a_vector(9, np.uint32))


def read_only():
    vector = a_vector(8, np.uint32)
    vector.flags.writeable = False
    return vector


@pytest.mark.parametrize(
    "vector",
    [
        np.zeros(8, np.int32),
        np.zeros(8, ">u4"),
        np.zeros(8, np.uint16),
        np.zeros(8),
        np.zeros((2, 4), np.uint32),
        np.zeros(16, np.uint32)[::2],
        read_only(),
    ],
    ids=["signed", "big-endian", "short words", "floats", "two axes", "every other entry", "read-only"],
)
def test_a_vector_in_no_ring_or_not_in_one_piece_is_misuse(vector):
    for those in ([bytes(32)], []):
        with pytest.raises(Misuse, match="contiguous"):
            keystream.apply(vector, those, [])


@pytest.mark.parametrize("threads", [0, -1])
def test_no_thread_at_all_is_misuse(threads):
    with pytest.raises(Misuse, match="threads"):
        keystream.apply(np.zeros(4, np.uint32), [bytes(32)], [], threads=threads)


def test_a_cipher_that_is_not_there_is_refused_and_those_there_are_named():
    assert keystream.CIPHER in keystream.available()
    with pytest.raises(Refused, match=r"aegis-256x4.*aes-256-ctr"):
        keystream.apply(np.zeros(4, np.uint32), [bytes(32)], [], cipher="aegis-256x4")
