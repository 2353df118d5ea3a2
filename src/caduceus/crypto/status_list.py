"""Which of an issuer's credentials still count: one list of small numbers for all of them.

The list is a public blob, its digest stands on the chain, written by the issuer's account: that authenticates it, so
the blob needs no signature of its own.

Source: "Token Status List" (IETF draft-ietf-oauth-status-list), section 4 for the list's bytes and section 7 for what
the numbers mean.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from caduceus.crypto.sd_jwt_keys import decode, encode, read_object, write_json
from caduceus.errors import Refused

VALID, INVALID, SUSPENDED = 0, 1, 2
"""What a status means; others are the issuer's own and count as not valid."""

BLOB_MOST = 1 << 20
"""Bytes of a list as stored."""

LIST_MOST = 1 << 24
"""Bytes of a list once unpacked."""

_WIDTHS = (1, 2, 4, 8)


@final
@dataclass(frozen=True, slots=True)
class StatusList:
    """A status for each of an issuer's credentials.

    bits  of one status: 1, 2, 4 or 8
    data  packed, the lowest bits of a byte first
    """

    bits: int
    data: bytes

    @property
    def size(self) -> int:
        """How many statuses there are."""
        return len(self.data) * 8 // self.bits

    def at(self, index: int) -> int:
        """The status of one credential. Raises Refused if it is not on the list."""
        if not 0 <= index < self.size:
            raise Refused(f"credential number {index} is not on its issuer's status list of {self.size}")
        place = index * self.bits
        return self.data[place // 8] >> place % 8 & (1 << self.bits) - 1

    def with_status(self, index: int, status: int) -> StatusList:
        """The list with one status changed. Raises Refused if there is no such credential or status."""
        if not 0 <= status < 1 << self.bits:
            raise Refused(f"a status of {status} does not fit into {self.bits} bits")
        place, old = index * self.bits, self.at(index)
        data = bytearray(self.data)
        data[place // 8] ^= (old ^ status) << place % 8
        return StatusList(self.bits, bytes(data))


def all_valid(size: int, bits: int = 1) -> StatusList:
    """A list for at least so many credentials, none revoked. Raises Refused if it would be too large."""
    if bits not in _WIDTHS or not 0 < size * bits <= 8 * LIST_MOST:
        raise Refused(f"a status list of {size} times {bits} bits is not made")
    return StatusList(bits, bytes(-(-size * bits // 8)))


def pack_list(statuses: StatusList) -> bytes:
    """The list as a blob: JSON with `bits` and `lst`, as inside a Status List Token."""
    return write_json({"bits": statuses.bits, "lst": encode(zlib.compress(statuses.data, 9))})


def read_list(blob: bytes) -> StatusList:
    """A list, from anybody.

    Raises Refused if it is malformed or too large.
    """
    if len(blob) > BLOB_MOST:
        raise Refused(f"a status list of {len(blob)} bytes; at most {BLOB_MOST} are read")
    tree = read_object(blob, "the status list")
    bits, text = tree.get("bits"), tree.get("lst")
    if bits not in _WIDTHS or type(bits) is not int or not isinstance(text, str):
        raise Refused("the status list: expected bits of 1, 2, 4 or 8, and a list")
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(decode(text, "the status list"), LIST_MOST + 1)
    except zlib.error:
        raise Refused("the status list: not compressed by zlib") from None
    if not inflater.eof or inflater.unused_data or len(data) > LIST_MOST:
        raise Refused("the status list: cut off, longer than it says, or too long")
    return StatusList(bits, data)


def reference_of(claims: Mapping[str, Any]) -> tuple[str, int] | None:
    """Where a credential says that its status is: a list's URI and its index; None if it has no status.

    Raises Refused if what it says is malformed.
    """
    if "status" not in claims:
        return None
    status = claims["status"]
    entry = status.get("status_list") if isinstance(status, dict) else None
    if not isinstance(entry, dict) or type(entry.get("idx")) is not int or not isinstance(entry.get("uri"), str):
        raise Refused("the credential: its status names no list and index")
    return entry["uri"], entry["idx"]
