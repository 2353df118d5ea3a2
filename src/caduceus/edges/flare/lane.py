"""The way out to one peer: a queue and a thread, so that who posts never waits for a network."""

from __future__ import annotations

import logging
import secrets
import threading
from collections import deque
from collections.abc import Callable

from caduceus.edges.flare.pieces import MAX_FRAME, Piece, cut
from caduceus.errors import Misuse, Unavailable

MAX_WAITING = 512 << 20
"""Bytes of frames that may wait for a slow peer."""

log = logging.getLogger(__name__)


class Lane:
    """Sends frames to one peer, in order; what is on its way when the connection ends is dropped."""

    def __init__(self, peer: str, send: Callable[[str, Piece], str], connected: Callable[[str], bool]) -> None:
        """peer       who is at the other end, for messages and for `send`
        send       hands one piece to FLARE; says what went wrong, or nothing
        connected  whether FLARE has a connection to the peer now
        """
        self._peer = peer
        self._send = send
        self._connected = connected
        self._changed = threading.Condition()
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._closing = False
        self._closed = False
        self._start = secrets.token_hex(8)
        self._count = 0
        self._number = 0
        self._thread = threading.Thread(target=self._run, name=f"lane-{peer}", daemon=True)
        self._thread.start()

    def post(self, frame: bytes) -> None:
        """Queue a frame. Raises Unavailable where there is no connection, or the peer is too far behind."""
        if len(frame) > MAX_FRAME:
            raise Misuse(f"a frame of {len(frame)} bytes: at most {MAX_FRAME}")
        if not self._connected(self._peer):
            raise Unavailable(f"{self._peer} is not connected: nothing was sent; try again when it is")
        with self._changed:
            if self._closing:
                raise Unavailable(f"the way to {self._peer} is closed: this process is ending")
            if self._bytes + len(frame) > MAX_WAITING:
                raise Unavailable(f"{self._bytes} bytes are waiting for {self._peer}, which takes them too slowly")
            self._waiting.append(frame)
            self._bytes += len(frame)
            self._changed.notify_all()

    def renew(self) -> None:
        """The connection is a new one: what was half sent begins again, in a new run."""
        with self._changed:
            self._count += 1
            self._number = 0

    def close(self, seconds: float = 0.0) -> None:
        """Take no more; after so many seconds at most drop what still waits, and end the thread."""
        with self._changed:
            self._closing = True
            self._changed.wait_for(lambda: self._bytes == 0, seconds)
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if self._closed:
                    return
                frame = self._waiting.popleft()
            trouble = self._deliver(frame)
            with self._changed:
                self._bytes -= len(frame)
                dropped = 1 + len(self._waiting)
                if trouble:
                    self._waiting.clear()
                    self._bytes = 0
                self._changed.notify_all()
            if not trouble:
                continue
            self.renew()
            log.warning("%d frame(s) to %s were dropped: %s", dropped, self._peer, trouble)

    def _deliver(self, frame: bytes) -> str:
        """Send all pieces in one run; what went wrong, or nothing."""
        while True:
            with self._changed:
                count, number = self._count, self._number
            for piece in cut(frame, run=f"{self._start}:{count}", number=number):
                trouble = self._send(self._peer, piece)
                if trouble:
                    return trouble
                with self._changed:
                    if self._count == count:
                        self._number += 1
                    elif not piece.ends:
                        break  # no last piece went out, so the other side has no whole frame: begin again
            else:
                return ""
