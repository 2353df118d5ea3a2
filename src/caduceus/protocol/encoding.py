"""Fixed point: model numbers as residues whose sum provably does not wrap."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from caduceus.errors import Misuse
from caduceus.kinds import Floats, Residues, Singles

DTYPES: Mapping[int, np.dtype[Any]] = {32: np.dtype("<u4"), 64: np.dtype("<u8")}
"""The ring Z_2^bits is the wrap-around of these types."""

_EXACT = 2**53
_PIECE = 1 << 16
"""Entries at a time: 512 KiB of steps."""


def encode(update: Floats | Singles, *, scale: int, bits: int, parties: int) -> Residues:
    """Round an update onto the integers mod 2**bits, ready for masking.

    bits     32 or 64
    returns  uint32[d] or uint64[d]

    For the other arguments and what is raised see `encode_into`.
    """
    if bits not in DTYPES:
        raise Misuse(f"encode: a ring of {bits} bits; need 32 or 64")
    residues = np.empty(np.shape(update), DTYPES[bits])
    encode_into(residues, update, scale=scale, parties=parties)
    return residues


def encode_into(residues: Residues, update: Floats | Singles, *, scale: int, parties: int) -> None:
    """Round an update onto the integers mod 2**32 or 2**64, into the place where it will be masked.

    residues  uint32[d] or uint64[d], written; of no use if this raises
    update    float64[d] or float32[d], finite, model units; not changed
    scale     steps per model unit, >= 1; each entry moves by at most 0.5 / scale, half a step going to even, and
              by float64's own rounding of entry * scale, which is none where `scale` is a power of two
    parties   how many encodings will be summed, >= 1

    Raises Misuse if `update` is not finite; if a sum of `parties` such encodings could wrap: (1) proves that
    it cannot; or if an entry has more steps than float64 counts one by one (2): in the ring of 64 bits that is
    the tighter limit for fewer than 2**10 parties.

    Works in pieces that stay in the processor's cache.
    """
    if residues.dtype not in DTYPES.values() or scale < 1 or parties < 1 or residues.shape != np.shape(update):
        raise Misuse(
            f"encode: {residues.dtype}{residues.shape} for {np.shape(update)}, scale {scale}, {parties} parties"
        )
    bits = 8 * residues.itemsize
    signed = residues.view(f"<i{residues.itemsize}")
    most = min(_EXACT, ((1 << bits) - 1) // (2 * parties))  # (1) 2 * |sum| <= 2 * parties * most < 2**bits; (2)
    # In float32 a product with a power of two is exact, and whatever is too large to have halves is whole.
    is_exact = update.dtype == np.float32 and scale & (scale - 1) == 0 and scale < 1 << 64
    kind = np.float32 if is_exact else np.float64
    steps = np.empty(min(_PIECE, max(len(update), 1)), kind)
    for start in range(0, len(update), _PIECE):
        piece = steps[: min(_PIECE, len(update) - start)]
        with np.errstate(over="ignore", invalid="ignore"):  # whatever is not finite is found below
            np.multiply(update[start : start + _PIECE], kind(scale), out=piece, dtype=kind)
        np.rint(piece, out=piece)
        low, high = float(piece.min()), float(piece.max())
        if not -most <= low <= high <= most:  # false for NaN as well
            raise Misuse(_why(update, low, high))
        signed[start : start + _PIECE] = piece


def _why(update: Floats | Singles, low: float, high: float) -> str:
    if not np.isfinite(update).all():
        return "encode: an entry is not a finite number"
    if max(-low, high) > _EXACT:
        return "encode: more steps than float64 counts exactly; clip first or lower the scale"
    return "encode: a sum of such updates wraps; clip first or lower the scale"


def decode(total: Residues, *, scale: int) -> Floats:
    """The sum in model units: residues in the upper half of the ring are negative.

    total    uint32[d] or uint64[d], a sum of encodings
    scale    as they were encoded with
    returns  float64[d]; exact for sums of up to 2**53 steps and a scale that is a power of two, else the nearest

    Raises Misuse if `total` is of another type or the scale is below 1.
    """
    if total.dtype not in DTYPES.values() or scale < 1:
        raise Misuse(f"decode: {total.dtype} with scale {scale}; need uint32 or uint64, and a scale of at least 1")
    signed = total.view("<i4" if total.itemsize == 4 else "<i8")
    return signed.astype(np.float64) / float(scale)
