"""Masks: AES-256-CTR keystreams added to, or taken from, a vector in place (NIST SP 800-38A).

Little-endian words of a keystream are the mask's entries in Z_2^32 or Z_2^64. A key is used for one mask only,
so its counter starts at zero. Masks are drawn in pieces that stay in the processor's cache, into one reused
buffer: a piece of the vector gets every key's words before the next piece is touched, so that memory depends
neither on the vector's length nor on the number of keys.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR

from caduceus.errors import Misuse, Refused
from caduceus.kinds import Residues

CIPHER = "aes-256-ctr"
"""The name that travels with a session."""

KEY_BYTES = 32
BLOCK_BYTES = 16

Opening = Callable[[Sequence[bytes], int], list[CipherContext]]
"""From keys and the number of a block of 16 bytes: per key, what turns zeros into its keystream from there on."""

_PIECE_BYTES = 1 << 17
_ZEROS = memoryview(bytes(_PIECE_BYTES))
_RIGHT_SIZE = {KEY_BYTES}
_GROUP = 256  # keystreams open at a time
_SPAN_BYTES = 1 << 19  # shorter spans: threads open keystreams and wait for each other as long as they draw
_WORTH_THREADS = 1 << 26  # bytes of masks: for fewer, two threads were no faster than one (bench/masks.py)


def _aes_256_ctr(keys: Sequence[bytes], block: int) -> list[CipherContext]:
    counter = CTR(block.to_bytes(BLOCK_BYTES))
    return [Cipher(AES256(key), counter).encryptor() for key in keys]


CIPHERS: Mapping[str, Opening] = MappingProxyType({CIPHER: _aes_256_ctr})
"""Every keystream that a mask can be made of, by the name that travels with a session."""


def available() -> tuple[str, ...]:
    """The names of the ciphers that masks can be made of here."""
    return tuple(CIPHERS)


def add(vector: Residues, key: bytes) -> None:
    """Add the key's mask to `vector`, in place, in the ring of its dtype.

    vector  uint32[d] or uint64[d], contiguous, native byte order (little-endian)
    key     32 bytes
    """
    apply(vector, (key,), ())


def subtract(vector: Residues, key: bytes) -> None:
    """Take the key's mask from `vector`, in place: undoes `add`."""
    apply(vector, (), (key,))


def apply(
    vector: Residues, plus: Sequence[bytes], minus: Sequence[bytes], *, threads: int = 1, cipher: str = CIPHER
) -> None:
    """Add the masks of some keys to `vector` and take those of others from it, in place.

    vector   uint32[d] or uint64[d], contiguous, native byte order (little-endian)
    plus     keys of 32 bytes whose masks are added
    minus    keys of 32 bytes whose masks are taken away
    threads  at most so many work at once, >= 1; fewer where more would not be faster
    cipher   a name in `CIPHERS`

    Raises Misuse if a key or the vector is not such, Refused if there is no such cipher.
    """
    check(vector, plus, minus)
    if threads < 1:
        raise Misuse(f"keystream: {threads} threads")
    if cipher not in CIPHERS:
        raise Refused(f"keystream: no cipher {cipher!r} here; there is {', '.join(available())}")
    opening, size = CIPHERS[cipher], vector.nbytes
    if size * (len(plus) + len(minus)) < _WORTH_THREADS:
        threads = 1
    threads = min(threads, size // _SPAN_BYTES)
    if threads <= 1:
        _combine(vector, plus, minus, 0, opening)
        return
    blocks = -(-size // (threads * BLOCK_BYTES))  # per thread: a span starts where a block does
    step = blocks * BLOCK_BYTES // vector.itemsize
    spans = [vector[start : start + step] for start in range(0, len(vector), step)]
    with ThreadPoolExecutor(len(spans)) as pool:
        work = [pool.submit(_combine, span, plus, minus, i * blocks, opening) for i, span in enumerate(spans)]
        for one in work:
            one.result()


def words(key: bytes, count: int) -> npt.NDArray[np.uint32]:
    """The first `count` 32-bit words of a key's stream."""
    vector = np.zeros(count, np.uint32)
    add(vector, key)
    return vector


def check(vector: Residues, plus: Sequence[bytes], minus: Sequence[bytes]) -> None:
    """Raise Misuse unless masks of these keys can be put on this vector in place."""
    sizes = {*map(len, plus), *map(len, minus)}
    if sizes - _RIGHT_SIZE or vector.ndim != 1 or vector.dtype.str not in ("<u4", "<u8") or not vector.flags.carray:
        raise Misuse("keystream: needs keys of 32 bytes and a contiguous, writable vector of uint32 or uint64")


def _combine(vector: Residues, plus: Sequence[bytes], minus: Sequence[bytes], block: int, opening: Opening) -> None:
    """Combine a vector with masks from block number `block` on."""
    step = _PIECE_BYTES // vector.itemsize
    buffer = np.empty(min(_PIECE_BYTES, vector.nbytes) + BLOCK_BYTES, np.uint8)
    target, words = buffer.data, buffer[:-BLOCK_BYTES].view(vector.dtype)
    keys, added = chain(plus, minus), len(plus)
    while group := list(islice(keys, _GROUP)):
        streams = opening(group, block)
        signed = ((streams[:added], np.add), (streams[added:], np.subtract))
        added = max(added - len(group), 0)
        for start in range(0, len(vector), step):
            piece = vector[start : start + step]
            zeros, mask = _ZEROS[: piece.nbytes], words[: len(piece)]
            for those, combine in signed:
                for stream in those:
                    stream.update_into(zeros, target)
                    combine(piece, mask, piece)
