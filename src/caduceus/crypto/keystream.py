"""Masks: an AES-256-CTR keystream added to, or taken from, a vector in place (NIST SP 800-38A).

Little-endian words of the keystream are the mask's entries in Z_2^32 or Z_2^64. It is drawn in pieces that
stay in the processor's cache, into one reused buffer, so a mask of any length takes no memory of its own.
A key is used for one mask only, so the counter starts at zero.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR

from caduceus.errors import Misuse
from caduceus.kinds import Residues

CIPHER = "aes-256-ctr"
"""The name that travels with a session."""

KEY_BYTES = 32
_PIECE_BYTES = 1 << 17
_ZEROS = memoryview(bytes(_PIECE_BYTES))


def add(vector: Residues, key: bytes) -> None:
    """Add the key's mask to `vector`, in place, in the ring of its dtype.

    vector  uint32[d] or uint64[d], contiguous, native byte order (little-endian)
    key     32 bytes
    """
    _stream(vector, key, np.add)


def subtract(vector: Residues, key: bytes) -> None:
    """Take the key's mask from `vector`, in place: undoes `add`."""
    _stream(vector, key, np.subtract)


def words(key: bytes, count: int) -> npt.NDArray[np.uint32]:
    """The first `count` 32-bit words of a key's stream."""
    vector = np.zeros(count, np.uint32)
    add(vector, key)
    return vector


def _stream(vector: Residues, key: bytes, combine: np.ufunc) -> None:
    if len(key) != KEY_BYTES or vector.ndim != 1 or vector.dtype.str not in ("<u4", "<u8"):
        raise Misuse("keystream: needs a key of 32 bytes and a vector of uint32 or uint64")
    encryptor = Cipher(AES256(key), CTR(bytes(16))).encryptor()
    step = _PIECE_BYTES // vector.itemsize
    buffer = np.empty(min(step, max(len(vector), 1)) * vector.itemsize + 16, np.uint8)
    for start in range(0, len(vector), step):
        piece = vector[start : start + step]
        encryptor.update_into(_ZEROS[: piece.nbytes], buffer.data)
        combine(piece, buffer[: piece.nbytes].view(vector.dtype), out=piece)
