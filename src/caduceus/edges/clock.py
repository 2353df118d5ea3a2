"""The machine's clock, for waiting."""

from __future__ import annotations

import time


class SystemClock:
    """Monotonic seconds."""

    def monotonic(self) -> float:
        return time.monotonic()
