"""What the hub's bridge keeps for one peer: frames that wait, letters that are out, and when the next is due.

A SuperNode works on one message at a time and sleeps three seconds when it finds none. While there is traffic a
lane therefore keeps two letters out, one at the site and one behind it, so that the SuperNode never finds none;
in quiet times it keeps one, which waits longer, and the site starts fewer processes.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace

from .letters import Answer, Letter


@dataclass(frozen=True)
class Pace:
    """How often a site is asked; all times in seconds.

    wait        a letter's wait while there is traffic: short, because frames for the site queue behind it, but
                every letter costs the SuperLink about twenty requests, so it is at least `per_site` times the sites
    quiet_wait  its wait in quiet times
    busy        how long after the last frame a lane counts as busy
    patience    how long past its wait a letter may be out before another is sent in spite of it
    rate        bytes per second that a transfer is granted on top of `patience`
    limit       bytes of frames per letter and per answer; one frame may exceed it
    """

    wait: float = 0.4
    per_site: float = 0.1
    quiet_wait: float = 5.0
    busy: float = 30.0
    patience: float = 15.0
    rate: float = 1e6
    limit: int = 64 << 20

    def among(self, sites: int) -> Pace:
        """The pace for a federation of so many sites."""
        return replace(self, wait=max(self.wait, self.per_site * sites))


@dataclass
class _Out:
    nonce: bytes
    overdue: float
    number: int


@dataclass
class Lane:
    """One peer. `attached` says whether its party process took the last letter that came back."""

    node: int
    attached: bool = False
    waiting: deque[bytes] = field(default_factory=deque)
    _out: dict[str, _Out] = field(default_factory=dict)
    _number: int = 0
    _traffic: float = float("-inf")

    def post(self, frame: bytes, now: float) -> None:
        """Queue a frame for this peer."""
        self.waiting.append(frame)
        self._traffic = now

    def busy(self, now: float, pace: Pace) -> bool:
        """Whether frames went either way lately."""
        return now - self._traffic < pace.busy

    def due(self, now: float, pace: Pace, nonce: bytes) -> Letter | None:
        """The next letter to send, if one is due; its frames leave the queue.

        A peer whose party process is away gets letters without frames, so that none is lost on it.
        """
        depth = 2 if self.attached and (self.waiting or self.busy(now, pace)) else 1
        if sum(out.overdue > now for out in self._out.values()) >= depth:
            return None
        wait = pace.wait if self.busy(now, pace) else pace.quiet_wait
        return Letter(nonce, wait, pace.limit, self._batch(pace.limit) if self.attached else ())

    def sent(self, message: str, letter: Letter, now: float, pace: Pace) -> None:
        """Note that `letter` went out as Flower's `message`."""
        size = sum(map(len, letter.frames))
        self._number += 1
        self._out[message] = _Out(letter.nonce, now + letter.wait + pace.patience + size / pace.rate, self._number)

    def answered(self, message: str, answer: Answer | None, now: float) -> tuple[bytes, ...] | None:
        """Take what came back for `message`: the frames to hand on, or None if it is no answer to a letter of ours.

        answer  None if Flower says that there will be none

        A SuperNode answers in order, so older letters that are still out will never be answered.
        """
        out = self._out.get(message)
        if out is None or (answer is not None and answer.nonce != out.nonce):
            return None
        self._out = {kept: other for kept, other in self._out.items() if other.number > out.number}
        self.attached = answer is not None and answer.attached
        if answer is not None and answer.frames:
            self._traffic = now
        return () if answer is None else answer.frames

    def out(self) -> list[str]:
        """Messages whose answers are awaited, in the order in which they went out."""
        return list(self._out)

    def _batch(self, limit: int) -> tuple[bytes, ...]:
        frames: list[bytes] = []
        size = 0
        while self.waiting and (not frames or size + len(self.waiting[0]) <= limit):
            frames.append(self.waiting.popleft())
            size += len(frames[-1])
        return tuple(frames)
