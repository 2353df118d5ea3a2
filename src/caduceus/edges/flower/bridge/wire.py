"""Records on a Unix socket between the bridge in Flower's environment and a party's own process.

A record is a 13-byte head (payload length, kind, peer) and the payload. Both ends run on one machine and belong
to one operator, so a malformed record is a version mismatch, and the line is closed.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

HEAD = struct.Struct(">IBQ")
LONGEST = 256 << 20
"""The longest payload in bytes; frames are at most 100 MB."""
GREETING = b"caduceus-flower/1 "

HELLO = 1  # first record of the bridge, and of the party's process in return: GREETING and the role
FRAME = 2  # a frame; peer is the Flower node that it comes from or goes to (0 on a site's line)
UP = 3  # to the hub: a peer's party process is there
DOWN = 4  # to the hub: that peer is gone
SENT = 5  # to the hub: 8-byte count of payload bytes that have left the bridge for that peer
COLLECT = 6  # to a site: 8-byte float of seconds to wait for frames, 8-byte limit of bytes
END = 7  # to a site's bridge: no more frames for this visit; to the hub's: a newer run has taken over

_KINDS = frozenset({HELLO, FRAME, UP, DOWN, SENT, COLLECT, END})
_COUNT = struct.Struct(">Q")
_ASK = struct.Struct(">dQ")


class BrokenLineError(ConnectionError):
    """The other end closed the line, or speaks another version."""


class Line:
    """One connected socket: whole records in, whole records out. Sends may come from several threads."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._sending = threading.Lock()

    def send(self, kind: int, peer: int = 0, payload: bytes = b"") -> None:
        """Write one record; waits while the other end is not reading. Raises OSError if the line is broken."""
        if len(payload) > LONGEST:
            raise ValueError(f"a record of {len(payload)} bytes; at most {LONGEST} go through the line")
        with self._sending:
            head = HEAD.pack(len(payload), kind, peer)
            if len(payload) < 1 << 16:
                self._link.sendall(head + payload)
            else:
                self._link.sendall(head)
                self._link.sendall(payload)

    def receive(self) -> tuple[int, int, bytes]:
        """Wait for one record: kind, peer, payload. Raises BrokenLineError at its end."""
        length, kind, peer = HEAD.unpack(self._exactly(HEAD.size))
        if kind not in _KINDS or length > LONGEST:
            self.close()
            raise BrokenLineError(f"not a record of this version (kind {kind}, {length} bytes)")
        return kind, peer, self._exactly(length)

    def records(self) -> Iterator[tuple[int, int, bytes]]:
        """Every record until the line ends, however it ends."""
        with contextlib.suppress(OSError):
            while True:
                yield self.receive()

    def patience(self, seconds: float | None) -> None:
        """Bound each wait of `receive` and `send`; None waits for ever."""
        self._link.settimeout(seconds)

    def close(self) -> None:
        """Close; the other end and any thread that waits here see the end of the line."""
        with contextlib.suppress(OSError):
            self._link.shutdown(socket.SHUT_RDWR)
        self._link.close()

    def _exactly(self, count: int) -> bytes:
        gathered = bytearray(count)
        view, have = memoryview(gathered), 0
        while have < count:
            got = self._link.recv_into(view[have:])
            if got == 0:
                raise BrokenLineError("the other end closed the line")
            have += got
        return bytes(gathered)


def connect(path: str | Path, role: str, *, patience: float) -> Line:
    """Reach the party's process and greet it.

    path      the Unix socket on which it listens
    role      "hub" or "site", so that a mixed-up path is noticed at once
    patience  seconds for each wait on the line

    Raises OSError if nobody listens there, or nobody who wants this bridge.
    """
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        link.settimeout(patience)
        link.connect(str(path))
        line = Line(link)
        line.send(HELLO, payload=GREETING + role.encode())
        hear_greeting(line, role)
    except OSError:
        link.close()
        raise
    return line


def hear_greeting(line: Line, role: str) -> None:
    """Read the other end's greeting. Raises BrokenLineError if it is another role's or another version's."""
    kind, _, payload = line.receive()
    if kind != HELLO or payload != GREETING + role.encode():
        line.close()
        raise BrokenLineError(f"no {role} of this version at the other end: its greeting is {payload[:40]!r}")


def welcome(line: Line, role: str) -> None:
    """Greet a bridge in return; it does nothing before."""
    line.send(HELLO, payload=GREETING + role.encode())


def count(payload: bytes) -> int:
    """The number in a SENT record."""
    return int(_COUNT.unpack(payload)[0])


def counted(number: int) -> bytes:
    """The payload of a SENT record."""
    return _COUNT.pack(number)


def asked(payload: bytes) -> tuple[float, int]:
    """What a COLLECT record asks for: seconds to wait, bytes at most."""
    wait, limit = _ASK.unpack(payload)
    return float(wait), int(limit)


def asking(wait: float, limit: int) -> bytes:
    """The payload of a COLLECT record."""
    return _ASK.pack(wait, limit)
