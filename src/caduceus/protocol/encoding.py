"""Fixed point: model numbers as residues whose sum provably does not wrap."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from caduceus.errors import Misuse
from caduceus.kinds import Floats, Residues

DTYPES: Mapping[int, np.dtype[Any]] = {32: np.dtype("<u4"), 64: np.dtype("<u8")}
"""The ring Z_2^bits is the wrap-around of these types."""

_EXACT = 2**53


def encode(update: Floats, *, scale: int, bits: int, parties: int) -> Residues:
    """Round an update onto the integers mod 2**bits, ready for masking.

    update   float64[d], finite, model units; not changed
    scale    steps per model unit, >= 1; each entry moves by at most 0.5 / scale, half a step going to even, and
             by float64's own rounding of entry * scale, which is none where `scale` is a power of two
    bits     32 or 64
    parties  how many encodings will be summed, >= 1
    returns  uint32[d] or uint64[d]

    Raises Misuse if `update` is not finite; if a sum of `parties` such encodings could wrap: (1) proves that
    it cannot; or if an entry has more steps than float64 counts one by one (2): in the ring of 64 bits that is
    the tighter limit for fewer than 2**10 parties.
    """
    if bits not in DTYPES or scale < 1 or parties < 1:
        raise Misuse(f"encode: bits {bits}, scale {scale}, parties {parties}; need 32 or 64, and at least 1 of each")
    if not np.isfinite(update).all():
        raise Misuse("encode: an entry is not a finite number")
    with np.errstate(over="ignore"):  # an infinite product is refused by (2)
        steps = np.rint(update * float(scale))
    peak = float(np.abs(steps).max(initial=0.0))
    if peak > _EXACT:  # (2)
        raise Misuse("encode: more steps than float64 counts exactly; clip first or lower the scale")
    if 2 * parties * int(peak) >= 1 << bits:  # (1) |sum| <= parties * peak < 2**bits / 2
        raise Misuse("encode: a sum of such updates wraps; clip first or lower the scale")
    whole = steps.astype(np.int64)
    return whole.view("<u8") if bits == 64 else whole.astype("<u4")


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
