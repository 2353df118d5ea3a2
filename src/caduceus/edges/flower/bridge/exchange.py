"""The hub's bridge: frames from the coordinator's process into letters, answers back into frames.

One loop drives Flower; one thread reads the line to the coordinator's process. While nobody listens at the other
end of that line nothing is sent to sites and no answer is fetched: answers wait in the SuperLink.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from . import wire
from .lanes import Lane, Pace
from .letters import Answer, Letter

_GREETING_TIME = 10.0  # seconds for the coordinator's process to greet
_ROSTER = 2.0  # seconds between looks at who is in the federation
_RETRY = 0.25  # seconds between tries to reach the coordinator's process
_TICK, _QUIET_TICK = 0.1, 0.25  # seconds between looks for answers
_SLOW = 0.5  # seconds after which a look that still fetches no longer keeps another from starting
_LOOKS = 8  # looks at a time


@dataclass(frozen=True)
class Arrival:
    """One reply that Flower gave: to which message, from which node, and the answer if it is one."""

    message: str
    node: int
    answer: Answer | None


@dataclass(frozen=True)
class _Look:
    """One question for answers: when it began, of which nodes, to which messages (per node in order)."""

    began: float
    nodes: frozenset[int]
    messages: list[str]


class Post(Protocol):
    """What the exchange needs of Flower."""

    def nodes(self) -> Iterable[int]:
        """The nodes of the federation that are online."""
        ...

    def push(self, node: int, letter: Letter) -> str | None:
        """Send; gives the message's name, or None if Flower took none for that node."""
        ...

    def pull(self, messages: set[str]) -> Iterable[Arrival]:
        """The replies that are there, each once."""
        ...


class Exchange:
    """All lanes, and the line to the coordinator's process."""

    def __init__(self, post: Post, path: str | Path, pace: Pace, note: Callable[[str], None]) -> None:
        self._post = post
        self._path = path
        self._pace = pace
        self._note = note
        self._lanes: dict[int, Lane] = {}
        self._inbox: deque[tuple[int, bytes]] = deque()
        self._wake = threading.Event()
        self._homeward: deque[tuple[int, bytes]] = deque()
        self._arrivals: deque[Arrival] = deque()
        self._looks: dict[threading.Thread, _Look] = {}
        self._failure: BaseException | None = None
        self._replaced = False
        self._roster_at = float("-inf")

    def run(self, stop: threading.Event) -> None:
        """Carry frames until `stop` is set or a newer run takes over. What Flower raises ends it."""
        while not stop.is_set() and not self._replaced:
            line = None
            with contextlib.suppress(OSError):
                line = wire.connect(self._path, "hub", patience=_GREETING_TIME)
            if line is None:
                stop.wait(_RETRY)
                continue
            self._note("the coordinator's process is there")
            try:
                with contextlib.suppress(wire.BrokenLineError):
                    self._serve(line, stop)
            finally:
                line.close()
            self._note("a newer run has taken over" if self._replaced else "the coordinator's process has gone")
            stop.wait(_RETRY)

    def _serve(self, line: wire.Line, stop: threading.Event) -> None:
        gone = threading.Event()
        line.patience(None)  # a coordinator that is slow to take frames slows the bridge down
        threading.Thread(target=self._read, args=(line, gone), daemon=True).start()
        for lane in self._lanes.values():
            if lane.attached:
                _tell(line, wire.UP, lane.node)
        self._deliver(line)
        while not stop.is_set() and not gone.is_set() and not self._replaced:
            now = time.monotonic()
            self._take_inbox(line, now)
            self._look_at_roster(line, now)
            self._send_letters(line, now)
            self._look_for_answers(now)
            self._take_answers(line)
            busy = any(lane.busy(now, self._pace) for lane in self._lanes.values())
            self._wake.wait(_TICK if busy else _QUIET_TICK)
            self._wake.clear()

    def _read(self, line: wire.Line, gone: threading.Event) -> None:
        for kind, peer, payload in line.records():
            if kind == wire.END:
                self._replaced = True
            elif kind == wire.FRAME:
                self._inbox.append((peer, payload))
                self._wake.set()
        gone.set()
        self._wake.set()

    def _take_inbox(self, line: wire.Line, now: float) -> None:
        while self._inbox:
            peer, frame = self._inbox.popleft()
            if peer in self._lanes:
                self._lanes[peer].post(frame, now)
            else:
                self._note(f"a frame of {len(frame)} bytes for node {peer}, which has left the federation, is dropped")
                _tell(line, wire.SENT, peer, wire.counted(len(frame)))

    def _look_at_roster(self, line: wire.Line, now: float) -> None:
        if now - self._roster_at < _ROSTER:
            return
        self._roster_at = now
        online = set(self._post.nodes())
        for node in online - self._lanes.keys():
            self._lanes[node] = Lane(node)
        for node in self._lanes.keys() - online:
            self._down(line, self._lanes[node])
            if not self._lanes[node].waiting and not self._lanes[node].out():
                del self._lanes[node]

    def _send_letters(self, line: wire.Line, now: float) -> None:
        pace = self._pace.among(sum(lane.attached for lane in self._lanes.values()))
        for lane in self._lanes.values():
            self._take_inbox(line, now)  # the last letter may have taken its time
            while (letter := lane.due(time.monotonic(), pace, secrets.token_bytes(32))) is not None:
                message = self._post.push(lane.node, letter)
                if size := sum(map(len, letter.frames)):
                    _tell(line, wire.SENT, lane.node, wire.counted(size))
                if message is None:
                    self._note(f"Flower takes nothing for node {lane.node}; {len(letter.frames)} frames are dropped")
                    self._down(line, lane)
                    break
                lane.sent(message, letter, time.monotonic(), pace)

    def _look_for_answers(self, now: float) -> None:
        """Fetch in threads: an answer that comes slowly must not hold up the others.

        A lane is in one look at a time, so that its answers come in order.
        """
        looking = list(self._looks.values())
        if len(looking) >= _LOOKS or any(now - look.began < _SLOW for look in looking):
            return
        taken = {node for look in looking for node in look.nodes}
        lanes = [lane for lane in self._lanes.values() if lane.node not in taken and lane.out()]
        if not lanes:
            return
        look = _Look(now, frozenset(lane.node for lane in lanes), [name for lane in lanes for name in lane.out()])
        thread = threading.Thread(target=self._look, args=(look,), name="caduceus look", daemon=True)
        self._looks[thread] = look
        thread.start()

    def _look(self, look: _Look) -> None:
        try:
            arrivals = list(self._post.pull(set(look.messages)))
            arrivals.sort(key=lambda arrival: look.messages.index(arrival.message))
            self._arrivals.extend(arrivals)
            self._wake.set()
        except BaseException as problem:
            self._failure = problem
            raise
        finally:
            self._looks.pop(threading.current_thread(), None)

    def _take_answers(self, line: wire.Line) -> None:
        if self._failure is not None:
            raise RuntimeError("Flower gives no replies any more") from self._failure
        while self._arrivals:
            arrival = self._arrivals.popleft()
            lane = next((lane for lane in self._lanes.values() if arrival.message in lane.out()), None)
            if lane is not None:
                self._take(line, lane, arrival)

    def _take(self, line: wire.Line, lane: Lane, arrival: Arrival) -> None:
        was = lane.attached
        frames = lane.answered(arrival.message, arrival.answer if arrival.node == lane.node else None, time.monotonic())
        if frames is None:
            self._note(f"a reply to a letter for node {lane.node} that does not know the letter is dropped")
            return
        if lane.attached and not was:
            self._note(f"node {lane.node} is there")
            _tell(line, wire.UP, lane.node)
        elif was and not lane.attached:
            self._down(line, lane)
        self._homeward.extend((lane.node, frame) for frame in frames)
        self._deliver(line)

    def _deliver(self, line: wire.Line) -> None:
        while self._homeward:
            _tell(line, wire.FRAME, *self._homeward[0])  # a record that was not sent whole is sent again
            self._homeward.popleft()

    def _down(self, line: wire.Line, lane: Lane) -> None:
        if lane.attached:
            self._note(f"node {lane.node} has gone")
        lane.attached = False
        _tell(line, wire.DOWN, lane.node)


def _tell(line: wire.Line, kind: int, peer: int, payload: bytes = b"") -> None:
    """Send, with every failure of the line as BrokenLineError: Flower's own errors must not look like it."""
    try:
        line.send(kind, peer, payload)
    except OSError as problem:
        raise wire.BrokenLineError(str(problem)) from problem
