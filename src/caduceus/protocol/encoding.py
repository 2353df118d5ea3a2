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
    scale    steps per model unit, >= 1; each entry moves by at most 0.5 / scale
    bits     32 or 64
    parties  how many encodings will be summed, >= 1
    returns  uint32[d] or uint64[d]

    Raises Misuse if `update` is not finite, if a sum of `parties` such encodings could wrap: (1) proves that
    it cannot; or if an entry has more steps than float64 counts exactly (2).
    """
    if not np.isfinite(update).all():
        raise Misuse("encode: an entry is not a finite number")
    peak = np.rint(float(np.abs(update).max(initial=0.0)) * scale)
    if 2 * parties * int(peak) >= 1 << bits:  # (1) |sum| <= parties * peak < 2**bits / 2
        raise Misuse("encode: a sum of such updates wraps; clip first or lower the scale")
    if peak > _EXACT:  # (2)
        raise Misuse("encode: more steps than float64 counts exactly; lower the scale")
    whole = np.rint(update * float(scale)).astype(np.int64)
    return whole.view("<u8") if bits == 64 else whole.astype("<u4")


def decode(total: Residues, *, scale: int) -> Floats:
    """The sum in model units: residues in the upper half of the ring are negative.

    total  uint32[d] or uint64[d], a sum of encodings
    scale  as they were encoded with
    """
    signed = total.view("<i4" if total.itemsize == 4 else "<i8")
    return signed.astype(np.float64) / float(scale)
