"""Masks made on a torch device are those that the processor makes, byte for byte."""

import numpy as np
import pytest
from Crypto.Cipher import AES

from caduceus.crypto import keystream
from caduceus.edges import gpu_masks
from caduceus.errors import Misuse, Refused

RINGS = (np.uint32, np.uint64)
LENGTHS = (0, 1, 3, 4, 127, 128, 129, 1000, 4099)  # 32 blocks are 128 words of 32 bits


def counted(count, *, prefix=b"key"):
    return [prefix.ljust(28, b".") + number.to_bytes(4) for number in range(count)]


def both(device, length, ring, plus, minus, **bound):
    """A vector with masks from the device, and the same vector with masks from the processor."""
    made = np.arange(length, dtype=ring) * ring(0x9E3779B9)
    expected = made.copy()
    gpu_masks.apply_on(device, made, plus, minus, **bound)
    keystream.apply(expected, plus, minus)
    return made, expected


@pytest.mark.parametrize("ring", RINGS)
@pytest.mark.parametrize("length", LENGTHS)
def test_masks_of_several_keys_are_the_processors(length, ring):
    made, expected = both("cpu", length, ring, counted(3), counted(2, prefix=b"other"))
    assert np.array_equal(made, expected)


@pytest.mark.parametrize(("plus", "minus"), [(0, 0), (1, 0), (0, 1), (40, 0)])
@pytest.mark.parametrize("ring", RINGS)
def test_masks_of_any_number_of_keys_are_the_processors(plus, minus, ring):
    made, expected = both("cpu", 131, ring, counted(plus), counted(minus, prefix=b"other"))
    assert np.array_equal(made, expected)


@pytest.mark.parametrize("memory", [1, 20_000, 100_000])
@pytest.mark.parametrize("ring", RINGS)
def test_little_memory_gives_the_same_in_more_steps(memory, ring):
    made, expected = both("cpu", 1001, ring, counted(5), counted(3, prefix=b"other"), memory=memory)
    assert np.array_equal(made, expected)


def test_a_mask_alone_is_another_librarys_keystream():
    key = bytes(range(32))
    vector = np.zeros(100_003, np.uint32)  # counters of more than two bytes do not all start with zeros
    gpu_masks.apply_on("cpu", vector, [key], [])
    assert vector.tobytes() == AES.new(key, AES.MODE_CTR, nonce=b"", initial_value=0).encrypt(bytes(vector.nbytes))


def test_the_circuit_is_the_s_box_of_the_standard():
    box = gpu_masks._substituted_bytes(np.arange(256, dtype=np.uint8))
    inverses = [next((y for y in range(256) if times(x, y) == 1), 0) for x in range(256)]
    assert box.tolist() == [affine(x) for x in inverses]


def times(x, y):
    """The product in GF(2^8), FIPS 197, 4.2."""
    product = 0
    while y:
        product ^= x * (y & 1)
        x = x << 1 ^ 0x11B * (x >> 7)
        y >>= 1
    return product


def affine(x):
    """FIPS 197, 5.1.1."""
    doubled = x << 8 | x
    return (x ^ doubled >> 4 ^ doubled >> 5 ^ doubled >> 6 ^ doubled >> 7 ^ 0x63) & 0xFF


def test_a_vector_or_a_key_that_is_none_is_misuse():
    with pytest.raises(Misuse, match="contiguous"):
        gpu_masks.apply_on("cpu", np.zeros(8, np.int32), [bytes(32)], [])
    with pytest.raises(Misuse, match="32 bytes"):
        gpu_masks.apply_on("cpu", np.zeros(8, np.uint32), [], [bytes(31)])
    with pytest.raises(Misuse, match="memory"):
        gpu_masks.apply_on("cpu", np.zeros(8, np.uint32), [bytes(32)], [], memory=0)


@pytest.mark.parametrize("device", ["cuda:99", "meta", "somewhere", ""])
def test_a_device_that_is_not_there_is_refused(device):
    with pytest.raises(Refused, match="no device"):
        gpu_masks.apply_on(device, np.zeros(8, np.uint32), [bytes(32)], [])


def test_the_best_device_is_one_that_masks_can_be_made_on():
    device = gpu_masks.best_device()
    assert device is None or device in gpu_masks._devices()


@pytest.mark.gpu
@pytest.mark.skipif(gpu_masks.best_device() is None, reason="torch sees no CUDA device here")
@pytest.mark.parametrize("ring", RINGS)
@pytest.mark.parametrize("length", [*LENGTHS, 1_000_003])
def test_masks_from_a_cuda_device_are_the_processors(length, ring):
    made, expected = both("cuda", length, ring, counted(7), counted(5, prefix=b"other"))
    assert np.array_equal(made, expected)
