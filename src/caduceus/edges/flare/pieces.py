"""Frames in pieces: cut on one side, put together in order on the other.

FLARE hands messages to a pool of threads, so that they arrive in any order, and loses those that were on their way
when a connection ended. Each piece therefore carries the run it belongs to (a new run after every reconnection), its
number in the run, and whether it begins or ends a frame. A frame comes out whole and once, in the order sent within
a run, or not at all.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from caduceus.errors import PeerFault

PIECE = 1 << 20
"""Bytes of a frame in one message of FLARE's."""

MAX_FRAME = 256 << 20
MAX_EARLY = 4096
MAX_EARLY_BYTES = 64 << 20
"""Pieces, and bytes of them, that may wait for an earlier one; FLARE's pool has 100 threads."""

PATIENCE = 2.0
"""Seconds that a missing piece is waited for; the run goes on after it."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One message's worth of a frame.

    run     the sender's start, and how often it has reconnected since: 16 hex digits, a colon, a count
    number  0, 1, 2, ... within the run
    begins  whether it is the first of its frame
    ends    whether it is the last
    body    at most PIECE bytes
    """

    run: str
    number: int
    begins: bool
    ends: bool
    body: bytes | memoryview


def cut(frame: bytes, *, run: str, number: int) -> Iterator[Piece]:
    """The pieces of a frame, numbered from `number` on; an empty frame is one empty piece."""
    view = memoryview(frame)
    for at in range(0, max(len(view), 1), PIECE):
        last = at + PIECE >= len(view)
        yield Piece(run, number + at // PIECE, at == 0, last, view[at : at + PIECE])


class Assembly:
    """What has come from one peer and is not a whole frame yet. Not thread-safe: its owner holds a lock."""

    def __init__(self, peer: str) -> None:
        self._peer = peer
        self._run: str | None = None
        self._past: OrderedDict[str, int] = OrderedDict()  # sender's start -> highest count seen
        self._next = 0
        self._early: dict[int, Piece] = {}
        self._early_bytes = 0
        self._since = 0.0
        self._parts: list[bytes | memoryview] | None = None
        self._size = 0

    def take(self, piece: Piece, now: float) -> list[bytes]:
        """The frames that this piece completes, in order.

        now  seconds of a clock that does not go back

        Raises PeerFault for a piece that no honest sender makes; what was gathered of the run is dropped.
        """
        if piece.run != self._run and not self._enter(piece.run):
            return []
        if piece.number < self._next or piece.number in self._early:
            return []
        size = len(piece.body)
        if size > PIECE or len(self._early) >= MAX_EARLY or self._early_bytes + size > MAX_EARLY_BYTES:
            self._forget()
            raise PeerFault(self._peer, "sent a piece too large, or too many pieces out of order")
        if not self._early:
            self._since = now
        self._early[piece.number] = piece
        self._early_bytes += size
        return self._drain(now)

    def hurry(self, now: float) -> list[bytes]:
        """The frames that come free when a piece has been missing for longer than PATIENCE: it is given up."""
        if not self._early or now - self._since <= PATIENCE:
            return []
        self._parts = None
        self._next = min(self._early)
        return self._drain(now)

    def _drain(self, now: float) -> list[bytes]:
        done: list[bytes] = []
        while (piece := self._early.pop(self._next, None)) is not None:
            self._next += 1
            self._early_bytes -= len(piece.body)
            self._since = now
            frame = self._join(piece)
            if frame is not None:
                done.append(frame)
        return done

    def _join(self, piece: Piece) -> bytes | None:
        if piece.begins:
            self._parts, self._size = [], 0
        if self._parts is None:
            return None  # the rest of a frame whose beginning was lost
        self._parts.append(piece.body)
        self._size += len(piece.body)
        if self._size > MAX_FRAME:
            self._parts = None
            raise PeerFault(self._peer, f"sent a frame of more than {MAX_FRAME} bytes")
        if not piece.ends:
            return None
        frame = b"".join(self._parts)
        self._parts = None
        return frame

    def _enter(self, run: str) -> bool:
        """Begin a run unless it is an older one than that of the same start."""
        start, _, count = run.partition(":")
        if not count.isdecimal() or len(run) > 64:
            raise PeerFault(self._peer, "sent a piece of an unreadable run")
        if self._past.get(start, -1) >= int(count):
            return False
        self._past[start] = int(count)
        self._past.move_to_end(start)
        while len(self._past) > 8:
            self._past.popitem(last=False)
        self._forget()
        self._run, self._next = run, 0
        return True

    def _forget(self) -> None:
        self._early.clear()
        self._early_bytes = 0
        self._parts = None
