"""A site's end: frames to and from the hub, through the bridge in the ClientApp."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

from caduceus.edges.flower.bridge import wire
from caduceus.edges.flower.hub import LONGEST_FRAME
from caduceus.edges.flower.listening import Listener
from caduceus.errors import Refused, Unavailable

_LINGER = 0.02  # seconds that the first frame waits for others to travel with it


class FlowerSite:
    """Carries frames between this process and the hub.

    The bridge comes, brings frames, waits a while for ours, and goes; between its visits frames wait here.
    Delivery is at most once and in order; a frame is lost if a process that holds it dies.
    """

    def __init__(
        self,
        path: Path,
        arrived: Callable[[bytes], None],
        *,
        group: int | None = None,
        backlog: int = 512 << 20,
    ) -> None:
        """Listen for the bridge at once.

        path     of the Unix socket that the SuperNode's `caduceus-socket` names
        arrived  called with every frame from the hub, one call at a time, in a thread of this object. It should not
                 raise: that closes this object, and the hub sees the site leave
        group    as in `Listener`
        backlog  bytes that may wait for the bridge before `post` says Unavailable

        Raises Refused if the socket cannot be had.
        """
        self._arrived = arrived
        self._backlog = backlog
        self._guard = threading.Condition()
        self._inbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._visit = 0
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._closed = False
        self._listener = Listener(path, self._serve, group=group)
        threading.Thread(target=self._hand_on, name="flower arrivals", daemon=True).start()

    def post(self, frame: bytes) -> None:
        """Queue a frame for the hub; it leaves with the bridge's next visit.

        Raises Unavailable if too much waits already, Refused if the frame is too long.
        """
        if len(frame) > LONGEST_FRAME:
            raise Refused(f"a frame of {len(frame)} bytes; at most {LONGEST_FRAME} go through Flower")
        with self._guard:
            if self._waiting and self._size + len(frame) > self._backlog:
                raise Unavailable(f"{self._size} bytes wait for Flower's bridge; see that the SuperNode runs, retry")
            self._waiting.append(frame)
            self._size += len(frame)
            self._guard.notify_all()

    def close(self) -> None:
        """Stop; what still waits is dropped."""
        with self._guard:
            self._closed = True
            self._guard.notify_all()
        self._inbox.put(None)
        self._listener.close()

    def _serve(self, line: wire.Line) -> None:
        wire.hear_greeting(line, "site")
        wire.welcome(line, "site")
        frames: list[bytes] = []
        with self._guard:
            self._visit += 1  # a newer visit ends an older one, whose bridge is dead
            visit = self._visit
            self._guard.notify_all()
        while True:
            kind, _, payload = line.receive()
            if kind == wire.FRAME:
                frames.append(payload)
            elif kind == wire.COLLECT:
                break
        for frame in frames:
            self._inbox.put(frame)
        self._give(line, visit, *wire.asked(payload))

    def _hand_on(self) -> None:
        try:
            while (frame := self._inbox.get()) is not None:
                self._arrived(frame)
        finally:
            self.close()

    def _give(self, line: wire.Line, visit: int, wait: float, limit: int) -> None:
        """Wait for frames, then send as many as fit. What could not all be sent goes back to the queue's head."""
        with self._guard:
            self._guard.wait_for(lambda: self._waiting or self._closed or self._visit != visit, wait)
            if self._waiting and self._visit == visit:
                self._guard.wait_for(lambda: self._closed or self._visit != visit, _LINGER)
            batch = self._batch(limit) if self._visit == visit else []
        try:
            for frame in batch:
                line.send(wire.FRAME, payload=frame)
            line.send(wire.END)
        except OSError:
            line.close()
            with self._guard:
                self._waiting.extendleft(reversed(batch))
                self._size += sum(map(len, batch))

    def _batch(self, limit: int) -> list[bytes]:
        batch: list[bytes] = []
        size = 0
        while self._waiting and (not batch or size + len(self._waiting[0]) <= limit):
            batch.append(self._waiting.popleft())
            size += len(batch[-1])
        self._size -= size
        return batch
