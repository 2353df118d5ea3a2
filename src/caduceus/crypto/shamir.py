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
from caduceus.errors import Misuse

SECRET_BYTES = 32
LIMBS = 9
"""30-bit limbs in a key: 8 full ones and one of 16 bits."""

SHARE_BYTES = 4 * LIMBS

MOST_HOLDERS = 1 << 16

Shares = npt.NDArray[np.uint32]
"""uint32[secrets, holders, LIMBS], little-endian: the shares of holder i are values at the point i + 1."""

_LIMB_BITS = 30
_SHARE_TYPE = np.dtype("<u4")


def share(secrets: Sequence[bytes], *, threshold: int, holders: int, entropy: Entropy, context: bytes) -> Shares:
    """Split keys so that any `threshold` of `holders` shares of one give it back.

    secrets  32 bytes each
    entropy  gives the coefficients; `context` must never repeat for other secrets, holders or threshold
    returns  uint32[secrets, holders, LIMBS]

    Raises Misuse if the threshold does not fit or a secret has another length.
    """
    if not 1 <= threshold <= holders <= MOST_HOLDERS or any(len(secret) != SECRET_BYTES for secret in secrets):
        raise Misuse(f"shamir: cannot share such secrets among {holders} with threshold {threshold}")
    columns = len(secrets) * LIMBS
    coefficients = np.empty((threshold, columns), np.uint64)
    coefficients[0] = np.concatenate([_limbs(secret) for secret in secrets])
    coefficients[1:] = _uniform((threshold - 1) * columns, entropy, context).reshape(threshold - 1, columns)
    values = field.matmul(field.vandermonde(holders, threshold), coefficients).astype(_SHARE_TYPE)
    return np.ascontiguousarray(values.reshape(holders, len(secrets), LIMBS).transpose(1, 0, 2))


def reconstruct(holders: Sequence[int], shares: Shares) -> list[bytes | None]:
    """Keys from shares that the same holders have of each.

    holders  [t], distinct positions, 0 for the first; t is at least the threshold
    shares   uint32[secrets, t, LIMBS]
    returns  per secret its 32 bytes; None where the result is no key, or a share is no number below 2**31 - 1:
             whoever dealt those shares dealt no key

    Raises Misuse if the shapes do not fit, or a holder stands twice.
    """
    if shares.ndim != 3 or shares.shape[1:] != (len(holders), LIMBS):
        raise Misuse(f"shamir: shares of shape {shares.shape} for {len(holders)} holders")
    sound: list[bool] = np.all(shares < field.P, axis=(1, 2)).tolist()
    weights = field.lagrange_at_zero(np.asarray(holders, np.uint64) + np.uint64(1))
    flat = shares.astype(np.uint64).transpose(1, 0, 2).reshape(len(holders), -1) % np.uint64(field.P)
    limbs = field.matmul(weights[None, :], flat).reshape(len(shares), LIMBS)
    return [_join(row) if fits else None for row, fits in zip(limbs.tolist(), sound, strict=True)]


def are_shares(data: bytes) -> bool:
    """Whether bytes are shares one after the other: nine little-endian words below 2**31 - 1 each."""
    return len(data) % SHARE_BYTES == 0 and bool((np.frombuffer(data, _SHARE_TYPE) < field.P).all())


def _limbs(secret: bytes) -> npt.NDArray[np.uint64]:
    number = int.from_bytes(secret, "little")
    mask = (1 << _LIMB_BITS) - 1
    return np.array([number >> (_LIMB_BITS * i) & mask for i in range(LIMBS)], np.uint64)


def _join(limbs: list[int]) -> bytes | None:
    number = 0
    for i, limb in enumerate(limbs):
        if limb >> _LIMB_BITS:
            return None
        number |= limb << (_LIMB_BITS * i)
    return None if number >> (8 * SECRET_BYTES) else number.to_bytes(SECRET_BYTES, "little")


def _uniform(count: int, entropy: Entropy, context: bytes) -> npt.NDArray[np.uint64]:
    """`count` uniform field elements: 31-bit words of an AES keystream, P itself thrown away."""
    from_key = keystream.words(entropy.derive("shamir/coefficients", context, size=32), count + 64)
    words = from_key & np.uint32(0x7FFFFFFF)
    kept = words[words != field.P][:count]
    if len(kept) < count:  # more than 64 of them thrown away: probability below 2**-1900
        raise Misuse("shamir: the keystream is not uniform")
    return np.asarray(kept, np.uint64)
