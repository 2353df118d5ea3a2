"""What one Flower message carries: a batch of frames, and the few numbers of a visit.

A *letter* goes to a site and asks it to wait for frames of its own; an *answer* comes back. Both hold frames as
one blob, which Flower cuts into chunks. The letter's nonce comes back in the answer: Flower 1.41 checks that a
SuperNode is who it says it is, but not that a reply names that same SuperNode as its source, so what ties an
answer to a peer is that nobody else has read the letter.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

_LENGTH = struct.Struct(">I")


@dataclass(frozen=True)
class Letter:
    """Hub to site.

    nonce   32 random bytes, new for each letter
    wait    seconds that the site may wait for frames of its own
    limit   bytes of frames that the answer may carry (one frame may exceed it)
    frames  in the order in which the hub posted them
    """

    nonce: bytes
    wait: float
    limit: int
    frames: tuple[bytes, ...]


@dataclass(frozen=True)
class Answer:
    """Site to hub.

    nonce     the letter's
    attached  whether the site's party process took the letter's frames
    frames    in the order in which the site posted them
    """

    nonce: bytes
    attached: bool
    frames: tuple[bytes, ...]


def join(frames: Sequence[bytes]) -> bytes:
    """Frames as one blob: each behind its 4-byte length."""
    return b"".join(part for frame in frames for part in (_LENGTH.pack(len(frame)), frame))


def split(blob: bytes) -> tuple[bytes, ...]:
    """The frames of a blob. Raises ValueError if it is not one."""
    frames, at = [], 0
    while at < len(blob):
        if at + _LENGTH.size > len(blob):
            raise ValueError("a batch of frames ends within a length")
        (length,) = _LENGTH.unpack_from(blob, at)
        at += _LENGTH.size
        if at + length > len(blob):
            raise ValueError("a batch of frames ends within a frame")
        frames.append(blob[at : at + length])
        at += length
    return tuple(frames)
