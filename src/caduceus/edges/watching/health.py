"""Whether a role's process is well: its loop still turns, its line is there, the chain is not far behind."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import final

from caduceus.edges.watching.status import Status


@dataclass(frozen=True, slots=True)
class Health:
    """What is wrong, in sentences; nothing if all is well.

    silence  seconds since the process's loop last turned
    """

    troubles: tuple[str, ...]
    silence: float

    @property
    def is_well(self) -> bool:
        """Whether nothing is wrong."""
        return not self.troubles


@final
class Pulse:
    """Told by the process's loop that it turns.

    patience      seconds without a beat after which the loop is held to hang
    most_lag      seconds that the newest block may be old; None for chains that make blocks only when asked
    monotonic     seconds from an arbitrary start
    """

    def __init__(
        self,
        *,
        patience: float = 120,
        most_lag: float | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._patience, self._most_lag, self._monotonic, self._now = patience, most_lag, monotonic, now
        self._last = monotonic()

    def beat(self) -> None:
        """The loop has turned."""
        self._last = self._monotonic()

    def health(self, status: Status) -> Health:
        """What is wrong now, as far as the process knows itself."""
        silence = self._monotonic() - self._last
        troubles = []
        if silence > self._patience:
            troubles.append(f"the process has not moved for {silence:.0f} s")
        if status.connection != "connected":
            troubles.append(f"the line to the other parties is {status.connection}")
        if self._most_lag is not None and status.chain is not None:
            lag = status.chain.lag + max(0.0, (self._now() - status.chain.at).total_seconds())
            if lag > self._most_lag:
                troubles.append(f"the newest block that was seen is {lag:.0f} s old")
        return Health(tuple(troubles), silence)
