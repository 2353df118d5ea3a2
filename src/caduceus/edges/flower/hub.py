"""The coordinator's end: frames to and from named peers, through the bridge in the ServerApp."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

from caduceus.edges.flower.bridge import wire
from caduceus.edges.flower.listening import Listener
from caduceus.errors import Refused, Unavailable

LONGEST_FRAME = 128 << 20
"""Bytes; a longer frame is refused."""


class FlowerHub:
    """Carries frames between this process and the sites that Flower connects to it.

    A peer is named by its Flower node id in decimal, which the SuperLink authenticates by the SuperNode's key.
    Delivery is at most once and in order per peer; a frame is lost if a process that holds it dies.
    """

    def __init__(
        self,
        path: Path,
        arrived: Callable[[str, bytes], None],
        *,
        group: int | None = None,
        backlog: int = 512 << 20,
    ) -> None:
        """Listen for the bridge at once.

        path     of the Unix socket that the ServerApp's `hub-socket` names
        arrived  called with peer and frame for every frame, one call at a time, in a thread of this object; while it
                 runs nothing else arrives. It should not raise: that drops the line, and the bridge connects again
        group    as in `Listener`
        backlog  bytes that may wait for one peer before `post` says Unavailable

        Raises Refused if the socket cannot be had.
        """
        self._arrived = arrived
        self._backlog = backlog
        self._guard = threading.Condition()
        self._line: wire.Line | None = None
        self._up: set[int] = set()
        self._owed: dict[int, int] = {}
        self._outbox: deque[tuple[int, bytes]] = deque()
        self._listener = Listener(path, self._serve, group=group)

    def post(self, peer: str, frame: bytes) -> None:
        """Queue a frame for a peer; never waits for the peer.

        Raises Unavailable if the peer is not connected or too much waits for it, Refused if the frame is too long.
        """
        if len(frame) > LONGEST_FRAME:
            raise Refused(f"a frame of {len(frame)} bytes; at most {LONGEST_FRAME} go through Flower")
        with self._guard:
            node = int(peer) if peer.isascii() and peer.isdecimal() else None
            if self._line is None:
                raise Unavailable(f"peer {peer}: Flower's ServerApp is not connected; start the run and retry")
            if node is None or node not in self._up:
                raise Unavailable(f"peer {peer}: not connected through Flower; retry when it is")
            owed = self._owed.get(node, 0)
            if owed and owed + len(frame) > self._backlog:
                raise Unavailable(f"peer {peer}: {owed} bytes wait for it already; retry when it has taken some")
            self._owed[node] = owed + len(frame)
            self._outbox.append((node, frame))
            self._guard.notify_all()

    def peers(self) -> frozenset[str]:
        """The peers that are connected now."""
        with self._guard:
            return frozenset(str(node) for node in self._up)

    def close(self) -> None:
        """Stop; what still waits is dropped."""
        self._listener.close()

    def _serve(self, line: wire.Line) -> None:
        wire.hear_greeting(line, "hub")
        with self._guard:
            older, self._line = self._line, line
            self._forget()
        if older is not None:
            with contextlib.suppress(OSError):
                older.send(wire.END)
            older.close()
        writer = threading.Thread(target=self._write, args=(line,), name="flower hub writer", daemon=True)
        try:
            wire.welcome(line, "hub")
            writer.start()
            for kind, peer, payload in line.records():
                self._take(line, kind, peer, payload)
        finally:
            with self._guard:
                if self._line is line:
                    self._line = None
                    self._forget()
            line.close()

    def _forget(self) -> None:
        """What was known of peers came over a line that is gone; frames that it did not take are dropped."""
        self._up.clear()
        self._owed.clear()
        self._outbox.clear()
        self._guard.notify_all()

    def _take(self, line: wire.Line, kind: int, peer: int, payload: bytes) -> None:
        with self._guard:
            if self._line is not line:
                return
            if kind in (wire.UP, wire.FRAME):
                self._up.add(peer)
            elif kind == wire.DOWN:
                self._up.discard(peer)
            elif kind == wire.SENT:
                self._owed[peer] = max(0, self._owed.get(peer, 0) - wire.count(payload))
        if kind == wire.FRAME:
            self._arrived(str(peer), payload)

    def _write(self, line: wire.Line) -> None:
        while True:
            with self._guard:
                self._guard.wait_for(lambda: self._outbox or self._line is not line)
                if self._line is not line:
                    return
                node, frame = self._outbox.popleft()
            try:
                line.send(wire.FRAME, node, frame)
            except OSError:
                line.close()
                return
