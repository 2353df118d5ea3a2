"""Which 32 bytes are an X25519 public key that everybody can agree with (RFC 7748)."""

from __future__ import annotations

PUBLIC_BYTES = 32

_P = 2**255 - 19
_SMALL_ORDER = frozenset(
    (
        0,
        1,
        _P - 1,
        325606250916557431795983626356110631294008115727848805560023387167927233504,
        39382357235489614581723060781553021112529911719440698176882885853963445705823,
    )
)
"""The u-coordinates below p of points of order 1, 2, 4 and 8, on the curve and on its twist."""


def is_sound(public: bytes) -> bool:
    """Whether everybody can agree with a public key: 32 bytes, below the field's prime, not of small order.

    It depends on the key alone, so that everybody judges alike whom to leave out. A key that is not the least
    of its residue class is somebody's other writing of a key, and no generator makes it.
    """
    number = int.from_bytes(public, "little")
    return len(public) == PUBLIC_BYTES and number < _P and number not in _SMALL_ORDER
