"""Shamir's secret sharing of 32-byte keys (Shamir 1979) over GF(2**31 - 1), limb by limb.

A key is nine limbs of up to 30 bits, each shared by a polynomial of its own, so fewer than `threshold`
shares say nothing at all about it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from caduceus.crypto import field, keystream
from caduceus.crypto.entropy import Entropy
from caduceus.errors import Misuse, Refused

SECRET_BYTES = 32
LIMBS = 9
"""30-bit limbs in a key: 8 full ones and one of 16 bits."""

SHARE_BYTES = 4 * LIMBS

Shares = npt.NDArray[np.uint32]
"""uint32[holders, LIMBS]: the share of holder i, evaluated at the point i + 1."""

_LIMB_BITS = 30


def share(secret: bytes, *, threshold: int, holders: int, entropy: Entropy, context: bytes) -> Shares:
    """Split a key so that any `threshold` of `holders` shares give it back.

    secret   32 bytes
    entropy  gives the coefficients; `context` must never repeat for another secret or threshold

    Raises Misuse if the threshold does not fit or the secret has another length.
    """
    if not 1 <= threshold <= holders < field.P or len(secret) != SECRET_BYTES:
        raise Misuse(f"shamir: cannot share {len(secret)} bytes among {holders} with threshold {threshold}")
    coefficients = np.empty((threshold, LIMBS), np.uint64)
    coefficients[0] = _limbs(secret)
    coefficients[1:] = _uniform((threshold - 1) * LIMBS, entropy, context).reshape(threshold - 1, LIMBS)
    points = np.arange(1, holders + 1, dtype=np.uint64)
    return field.evaluate(coefficients, points).astype(np.uint32)


def reconstruct(holders: Sequence[int], shares: npt.NDArray[np.uint32]) -> list[bytes]:
    """Keys from shares that the same holders have of each.

    holders  [t], distinct positions, 0 for the first; t is at least the threshold
    shares   uint32[secrets, t, LIMBS]
    returns  one key of 32 bytes per secret

    Raises Refused if a result is no key: some share is wrong.
    """
    if shares.ndim != 3 or shares.shape[1:] != (len(holders), LIMBS):
        raise Misuse(f"shamir: shares of shape {shares.shape} for {len(holders)} holders")
    if (shares >= field.P).any():
        raise Refused("shamir: a share is not a number below 2^31 - 1")
    weights = field.lagrange_at_zero(np.asarray(holders, np.uint64) + np.uint64(1))
    flat = shares.astype(np.uint64).transpose(1, 0, 2).reshape(len(holders), -1)
    limbs = field.matmul(weights[None, :], flat).reshape(len(shares), LIMBS)
    return [_join(row) for row in limbs]


def pack_share(share: npt.NDArray[np.uint32]) -> bytes:
    """A share as bytes: nine little-endian words."""
    return share.astype("<u4").tobytes()


def unpack_share(data: bytes) -> npt.NDArray[np.uint32]:
    """A share from bytes.

    Raises Refused if it is not nine words below 2**31 - 1.
    """
    if len(data) != SHARE_BYTES:
        raise Refused(f"shamir: a share is {SHARE_BYTES} bytes, got {len(data)}")
    words = np.frombuffer(data, "<u4")
    if (words >= field.P).any():
        raise Refused("shamir: a share is not a number below 2^31 - 1")
    return words


def _limbs(secret: bytes) -> npt.NDArray[np.uint64]:
    number = int.from_bytes(secret, "little")
    mask = (1 << _LIMB_BITS) - 1
    return np.array([number >> (_LIMB_BITS * i) & mask for i in range(LIMBS)], np.uint64)


def _join(limbs: npt.NDArray[np.uint64]) -> bytes:
    number = 0
    for i, limb in enumerate(limbs.tolist()):
        if limb >> _LIMB_BITS:
            raise Refused("shamir: the shares do not come from one key")
        number |= limb << (_LIMB_BITS * i)
    if number >> (8 * SECRET_BYTES):
        raise Refused("shamir: the shares do not come from one key")
    return number.to_bytes(SECRET_BYTES, "little")


def _uniform(count: int, entropy: Entropy, context: bytes) -> npt.NDArray[np.uint64]:
    """`count` uniform field elements: 31-bit words of an AES keystream, P itself thrown away."""
    from_key = keystream.words(entropy.derive("shamir/coefficients", context, size=32), count + 64)
    words = from_key & np.uint32(0x7FFFFFFF)
    kept = words[words != field.P][:count]
    if len(kept) < count:  # more than 64 of them thrown away: probability below 2**-1900
        raise Misuse("shamir: the keystream is not uniform")
    return np.asarray(kept, np.uint64)
