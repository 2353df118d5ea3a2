"""A role's figures, in the text form that Prometheus reads; off, and saying so, where its client is not installed."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from enum import Enum
from types import ModuleType
from typing import Any, Protocol, final

from caduceus.edges.watching.detail import CLASSES, Who, class_of
from caduceus.errors import Misuse
from caduceus.kinds import MICRO, PICO, Digest

CLIENT = "prometheus_client"
"""The package that metrics need: the optional extra `node`."""

TEXT = "text/plain; version=0.0.4; charset=utf-8"
"""The content type of `Metrics.text`."""

_OFF = f"# metrics are off: {CLIENT} is not installed (pip install 'caduceus[node]')\n"
_SECONDS = (0.1, 0.3, 1, 3, 10, 30, 60, 120, 300, 600, 1800, 3600)


class Way(Enum):
    """Which way a message goes."""

    IN = "in"
    OUT = "out"


class _Family(Protocol):
    """What is used of the client's figures."""

    def labels(self, *values: str) -> _Family: ...
    def inc(self, amount: float = 1) -> None: ...
    def set(self, value: float) -> None: ...
    def set_function(self, value: Callable[[], float]) -> None: ...
    def observe(self, amount: float) -> None: ...


@final
class _Uncounted:
    """Stands for any figure where metrics are off."""

    def labels(self, *_values: str) -> _Uncounted:
        return self

    def inc(self, amount: float = 1) -> None: ...
    def set(self, value: float) -> None: ...
    def set_function(self, value: Callable[[], float]) -> None: ...
    def observe(self, amount: float) -> None: ...


def find_client() -> ModuleType | None:
    """The Prometheus client, if it is installed."""
    try:
        return importlib.import_module(CLIENT)
    except ImportError:
        return None


@final
class Metrics:
    """One party's figures. Any thread may use it; labels take no values but those of closed lists, and data set ids."""

    def __init__(self, who: Who, client: ModuleType | None, *, now: Callable[[], float] = time.time) -> None:
        """client  see `find_client`; with None nothing is counted
        now     seconds
        """
        self._now = now
        self.is_on = client is not None
        self._client = client
        self._registry: Any = None if client is None else client.CollectorRegistry()
        if client is not None:
            for collector in (client.ProcessCollector, client.PlatformCollector):
                collector(registry=self._registry)
        self._make("Gauge", "role", "Whose process this is.", "role", "party").labels(who.role, who.party).set(1)
        self._rounds = self._make("Counter", "rounds", "Rounds that ended, by how.", "outcome")
        self._seconds = self._make("Histogram", "round_seconds", "How long rounds took that were done.")
        self._messages = self._make("Counter", "messages", "Messages, by way.", "way")
        self._bytes = self._make("Counter", "message_bytes", "Bytes of messages, by way.", "way")
        self._problems = self._make("Counter", "refusals", "What was refused or failed, by class.", "class")
        self._height = self._make("Gauge", "chain_height_blocks", "Number of the newest block that was seen.")
        self._lag = self._make("Gauge", "chain_lag_seconds", "Age of the newest block that was seen.")
        self._unanchored = self._make("Gauge", "rounds_unanchored", "Rounds done that the chain does not have yet.")
        self._journal = self._make("Counter", "journal_writes", "Times that the journal was written.")
        self._audit = self._make("Gauge", "audit_log_lines", "Lines of the audit log.")
        self._epsilon = self._make("Gauge", "privacy_epsilon_reserved", "Of a data set's lifetime budget.", "dataset")
        self._delta = self._make("Gauge", "privacy_delta_reserved", "Of a data set's lifetime budget.", "dataset")
        self._outbox = self._make("Gauge", "outbox_waiting", "Messages that wait to be sent.")
        for outcome in ("done", "failed"):
            self._rounds.labels(outcome)
        for way in Way:
            self._messages.labels(way.value)
            self._bytes.labels(way.value)
        for word in CLASSES:
            self._problems.labels(word)

    def _make(self, kind: str, name: str, about: str, *labels: str) -> _Family:
        if self._client is None:
            return _Uncounted()
        more = {"buckets": _SECONDS} if kind == "Histogram" else {}
        made: _Family = getattr(self._client, kind)(
            name, about, labels, namespace="caduceus", registry=self._registry, **more
        )
        return made

    def round_done(self, seconds: float) -> None:
        """A round ended with a sum."""
        self._rounds.labels("done").inc()
        self._seconds.observe(seconds)

    def round_failed(self) -> None:
        """A round ended without one."""
        self._rounds.labels("failed").inc()

    def message(self, way: Way, size: int) -> None:
        """A message came or went; `size` in bytes."""
        self._messages.labels(way.value).inc()
        self._bytes.labels(way.value).inc(size)

    def problem(self, problem: BaseException) -> None:
        """Something was refused or failed."""
        self._problems.labels(class_of(problem)).inc()

    def chain(self, height: int, lag: float) -> None:
        """The newest block that was seen: its number, and how many seconds old it is."""
        self._height.set(height)
        made = self._now() - lag
        self._lag.set_function(lambda: max(0.0, self._now() - made))  # grows while the node is away

    def unanchored(self, rounds: int) -> None:
        """How many rounds are done that the chain does not have yet."""
        self._unanchored.set(rounds)

    def journal_written(self) -> None:
        """The journal was written once."""
        self._journal.inc()

    def audit_log(self, lines: int) -> None:
        """How many lines the audit log has."""
        self._audit.set(lines)

    def budget(self, dataset: Digest, epsilon_micro: int, delta_pico: int) -> None:
        """How much of a data set's privacy budget jobs have reserved; its identifier is public on the chain."""
        if type(dataset) is not bytes or len(dataset) != 32:
            raise Misuse("budget: a data set's identifier is 32 bytes")
        name = "0x" + dataset.hex()
        self._epsilon.labels(name).set(epsilon_micro / MICRO)
        self._delta.labels(name).set(delta_pico / PICO)

    def outbox(self, waiting: int) -> None:
        """How many messages wait to be sent."""
        self._outbox.set(waiting)

    def text(self) -> str:
        """All figures as Prometheus reads them; where metrics are off a comment that says so."""
        if self._client is None:
            return _OFF
        said: bytes = self._client.generate_latest(self._registry)
        return said.decode()
