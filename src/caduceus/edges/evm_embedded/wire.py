"""Recursive length prefix (RLP), the byte form of Ethereum's transactions, headers and receipts.

Strict in both directions: one encoding per value, and every other is refused.
*Source*: Ethereum Yellow Paper, appendix B.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from caduceus.errors import Refused

Item: TypeAlias = "bytes | Sequence[Item]"
"""What RLP can hold: byte strings and sequences of such items."""


def encode(item: Item) -> bytes:
    """The RLP bytes of an item."""
    if isinstance(item, bytes):
        if len(item) == 1 and item[0] < 0x80:
            return item
        return _prefix(len(item), 0x80) + item
    return join([encode(part) for part in item])


def join(parts: Sequence[bytes]) -> bytes:
    """A list whose parts are encoded already."""
    body = b"".join(parts)
    return _prefix(len(body), 0xC0) + body


def number(value: int) -> bytes:
    """The shortest big-endian form of a non-negative integer; 0 is empty."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def decode(data: bytes) -> Item:
    """Read exactly one item.

    Raises Refused if `data` is not the one encoding of an item, or has bytes left over.
    """
    item, end = _read(data, 0, len(data), 0)
    if end != len(data):
        raise Refused(f"rlp: {len(data) - end} bytes after the end of the item")
    return item


def as_bytes(item: Item, name: str, size: int | None = None) -> bytes:
    """The item as a byte string, of exactly `size` bytes if given.

    Raises Refused, naming the field, if it is something else.
    """
    if not isinstance(item, bytes) or (size is not None and len(item) != size):
        raise Refused(f"rlp: {name} is not a string of {'bytes' if size is None else f'{size} bytes'}")
    return item


def as_list(item: Item, name: str, size: int | None = None) -> Sequence[Item]:
    """The item as a list, of exactly `size` items if given.

    Raises Refused, naming the field, if it is something else.
    """
    if isinstance(item, bytes) or (size is not None and len(item) != size):
        raise Refused(f"rlp: {name} is not a list{'' if size is None else f' of {size} items'}")
    return item


def as_number(item: Item, name: str, bits: int = 256) -> int:
    """The item as a non-negative integer in its shortest form.

    Raises Refused, naming the field, if it has leading zeros or does not fit `bits` bits.
    """
    data = as_bytes(item, name)
    if data[:1] == b"\0" or len(data) * 8 > bits:
        raise Refused(f"rlp: {name} is not a number of at most {bits} bits without leading zeros")
    return int.from_bytes(data, "big")


def _prefix(size: int, offset: int) -> bytes:
    if size < 56:
        return bytes((offset + size,))
    length = number(size)
    return bytes((offset + 55 + len(length),)) + length


def _read(data: bytes, at: int, limit: int, depth: int) -> tuple[Item, int]:
    if at >= limit or depth > 16:
        raise Refused("rlp: ends too early, or is nested too deeply")
    first = data[at]
    if first < 0x80:
        return data[at : at + 1], at + 1
    offset = 0x80 if first < 0xC0 else 0xC0
    start, size = at + 1, first - offset
    if size >= 56:
        width = size - 55
        start, size = start + width, int.from_bytes(data[start : start + width], "big")
        if start > limit or size < 56 or data[at + 1] == 0:
            raise Refused("rlp: a length is cut off or longer than it needs to be")
    end = start + size
    if end > limit:
        raise Refused("rlp: ends too early")
    if offset == 0x80:
        if size == 1 and data[start] < 0x80:
            raise Refused("rlp: a single byte is longer than it needs to be")
        return data[start:end], end
    items: list[Item] = []
    while start < end:
        item, start = _read(data, start, end, depth + 1)
        items.append(item)
    return items, end
