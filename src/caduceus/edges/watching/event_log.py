"""What a role's process does, one event a line: JSON for programs, or plain words for a terminal.

Over Python's own logging, under one logger's name. Other libraries' loggers are left as they are, and what anyone
else sends to ours is dropped: only an `Event` with a `Detail` is written.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import TextIO, final

from caduceus.edges.watching.detail import NOTHING, Detail, Value, Who
from caduceus.errors import Misuse

LOGGER = "caduceus.events"
"""The logger's name, for those who route logs themselves."""

_SAID = "caduceus_said"
_DEBUG, _INFO, _WARNING, _ERROR = logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR


class Event(Enum):
    """All that is ever logged: a name, and how urgent it is."""

    STARTED = ("started", _INFO)
    RESUMED = ("resumed", _INFO)
    STOPPING = ("stopping", _INFO)
    STOPPED = ("stopped", _INFO)
    CONNECTED = ("connected", _INFO)
    DISCONNECTED = ("disconnected", _WARNING)
    MESSAGE_IN = ("message in", _DEBUG)
    MESSAGE_OUT = ("message out", _DEBUG)
    MESSAGE_WAITS = ("message waits", _WARNING)
    MESSAGE_REPEATED = ("message repeated", _INFO)
    REFUSED = ("refused", _WARNING)
    PEER_FAULT = ("peer fault", _WARNING)
    UNAVAILABLE = ("unavailable", _WARNING)
    UNCERTAIN = ("uncertain", _WARNING)
    BUG = ("bug", _ERROR)
    JOB_SEEN = ("job seen", _INFO)
    JOB_TAKEN = ("job taken", _INFO)
    JOB_DECLINED = ("job declined", _INFO)
    STAGE_REACHED = ("stage reached", _INFO)
    SETUP_DONE = ("setup done", _INFO)
    ROUND_BEGUN = ("round begun", _INFO)
    ROUND_DONE = ("round done", _INFO)
    ROUND_FAILED = ("round failed", _WARNING)
    SITE_SILENT = ("site silent", _WARNING)
    BUDGET_RESERVED = ("budget reserved", _INFO)
    BUDGET_RELEASED = ("budget released", _INFO)
    TRANSACTION_SENT = ("transaction sent", _INFO)
    TRANSACTION_INCLUDED = ("transaction included", _INFO)
    ANCHORED = ("anchored", _INFO)
    SETTLED = ("settled", _INFO)
    PAID = ("paid", _INFO)
    CHAIN_BEHIND = ("chain behind", _WARNING)
    CHAIN_CURRENT = ("chain current", _INFO)
    BLOB_FETCHED = ("blob fetched", _DEBUG)
    BLOB_STORED = ("blob stored", _DEBUG)
    LOG_REPAIRED = ("log repaired", _WARNING)
    METRICS_OFF = ("metrics off", _WARNING)

    @property
    def word(self) -> str:
        """The event as it is written."""
        return self.value[0]

    @property
    def level(self) -> int:
        """As Python's logging counts."""
        return self.value[1]


FAULTS = {
    "refused": Event.REFUSED,
    "peer fault": Event.PEER_FAULT,
    "unavailable": Event.UNAVAILABLE,
    "uncertain": Event.UNCERTAIN,
    "misuse": Event.BUG,
    "bug": Event.BUG,
}
"""The event that an error is, by its class (see `detail.class_of`)."""


class Form(Enum):
    """How a line is written."""

    JSON = "json"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class _Said:
    who: Who
    event: Event
    fields: dict[str, Value]


@final
class EventLog:
    """One party's events. Cheap where nobody listens; any thread may use it."""

    def __init__(self, who: Who) -> None:
        self.who = who
        self._logger = logging.getLogger(LOGGER)
        self._logger.propagate = False
        if not self._logger.handlers:
            self._logger.addHandler(logging.NullHandler())  # otherwise Python writes warnings to standard error itself

    def say(self, event: Event, detail: Detail = NOTHING) -> None:
        """Log an event.

        Raises Misuse if it is none of the list, or names somebody whom the configuration does not.
        """
        if type(event) is not Event or type(detail) is not Detail:
            raise Misuse(f"say: an Event and a Detail are logged, not {type(event).__name__}, {type(detail).__name__}")
        self.who.check(detail)
        if self._logger.isEnabledFor(event.level):
            said = _Said(self.who, event, detail.written())
            self._logger.log(event.level, event.word, extra={_SAID: said})


@contextmanager
def listening(target: TextIO | Path, form: Form = Form.JSON, *, least: int = logging.INFO) -> Iterator[None]:
    """Write the events of this process to a stream, or to the end of a file, until left.

    target  a file may be moved away by who rotates logs: a new one is begun
    least   the least urgent level that is written
    """
    handler = (
        WatchedFileHandler(target, encoding="utf-8") if isinstance(target, Path) else logging.StreamHandler(target)
    )
    handler.setLevel(least)
    handler.setFormatter(_Json() if form is Form.JSON else _Plain())
    handler.addFilter(lambda record: isinstance(getattr(record, _SAID, None), _Said))
    logger = logging.getLogger(LOGGER)
    logger.propagate = False
    logger.addHandler(handler)
    _set_level(logger)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        _set_level(logger)
        handler.close()


def _set_level(logger: logging.Logger) -> None:
    """As low as the least of those who listen here asks for; what others attach takes what comes."""
    levels = [one.level for one in logger.handlers if isinstance(one.formatter, (_Json, _Plain))]
    logger.setLevel(min(levels, default=logging.WARNING))


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class _Json(logging.Formatter):
    """One object a line: time, level, role, party, event, then the event's own fields."""

    def format(self, record: logging.LogRecord) -> str:
        said: _Said = getattr(record, _SAID)
        return json.dumps(
            {
                "time": _time(record),
                "level": record.levelname.lower(),
                "role": said.who.role,
                "party": said.who.party,
                "event": said.event.word,
                **said.fields,
            },
            ensure_ascii=False,
            separators=(",", ":"),
        )


class _Plain(logging.Formatter):
    """For reading: long identifiers are cut, and the reason comes last."""

    def format(self, record: logging.LogRecord) -> str:
        said: _Said = getattr(record, _SAID)
        fields = dict(said.fields)
        reason = fields.pop("reason", None)
        shown = " ".join(f"{name}={_short(value)}" for name, value in fields.items())
        head = f"{_time(record)} {record.levelname.lower():7} {said.who.role} {said.who.party}: {said.event.word}"
        return f"{head}{' ' if shown else ''}{shown}{f' ({reason})' if reason else ''}"


def _short(value: Value) -> str:
    text = str(value)
    return f"{text[:10]}…" if len(text) > 40 else f"'{text}'" if " " in text else text
