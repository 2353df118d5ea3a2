"""What keeps strangers and spam cheap: how often somebody may err, and how often the same thing is said."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import final

_NAMES = 4096
"""Of whom something is remembered; beyond, the oldest is forgotten."""


@final
class Allowance:
    """A token bucket for each name.

    most        tokens of somebody who has taken none lately
    per_second  how fast they come back
    now         seconds from an arbitrary start
    """

    def __init__(self, most: float, per_second: float, now: Callable[[], float] = time.monotonic) -> None:
        self._most, self._rate, self._now = most, per_second, now
        self._lock = threading.Lock()
        self._left: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def has(self, name: Hashable) -> bool:
        """Whether somebody has a token left."""
        with self._lock:
            return self._count(name) >= 1.0

    def take(self, name: Hashable) -> bool:
        """Take a token; whether there was one."""
        with self._lock:
            left = self._count(name)
            self._left[name] = (max(left - 1.0, 0.0), self._now())
            self._left.move_to_end(name)
            while len(self._left) > _NAMES:
                self._left.popitem(last=False)
            return left >= 1.0

    def _count(self, name: Hashable) -> float:
        left, then = self._left.get(name, (self._most, self._now()))
        return min(self._most, left + (self._now() - then) * self._rate)


@final
class Quiet:
    """Lets the same thing be said once in a while.

    seconds  between two times
    now      seconds from an arbitrary start
    """

    def __init__(self, seconds: float = 60.0, now: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._now = seconds, now
        self._lock = threading.Lock()
        self._said: OrderedDict[Hashable, float] = OrderedDict()

    def may_say(self, what: Hashable) -> bool:
        """Whether it was not said lately; it has been said now."""
        with self._lock:
            now, then = self._now(), self._said.get(what)
            if then is not None and now - then < self._seconds:
                return False
            self._said[what] = now
            self._said.move_to_end(what)
            while len(self._said) > _NAMES:
                self._said.popitem(last=False)
            return True
