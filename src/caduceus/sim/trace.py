"""What happened, as one running hash: two runs are the same exactly if theirs are."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from hashlib import sha256
from typing import final

from caduceus.kinds import Digest
from caduceus.sim.clock import VirtualClock


@final
class Trace:
    """Notes with their times.

    kept   how many of the last notes can be read, to see what led to a finding
    watch  told every note; may be replaced at any time
    """

    def __init__(self, clock: VirtualClock, *, kept: int = 200) -> None:
        self._clock = clock
        self._state = sha256()
        self._last: deque[str] = deque(maxlen=kept)
        self.count = 0
        self.watch: Callable[[str], None] = _unwatched

    def note(self, what: str) -> None:
        """Add what happens now."""
        line = f"{self._clock.ticks} {what}"
        self._state.update(f"{line}\n".encode())
        self._last.append(line)
        self.watch(line)
        self.count += 1

    @property
    def digest(self) -> Digest:
        """Of all notes so far."""
        return Digest(self._state.copy().digest())

    def last(self) -> tuple[str, ...]:
        """The newest notes, oldest first: ticks, then what happened."""
        return tuple(self._last)


def _unwatched(_line: str) -> None:
    return
