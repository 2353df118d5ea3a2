"""How a network's processes stand, for people: a table that changes on a terminal, a line for each change elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from caduceus.cli.tables import plain_table
from caduceus.report.words import count

_COLOURS = {"connected": "green", "answers": "green", "starting": "yellow", "disconnected": "yellow"}
_KEPT = 6


@dataclass(frozen=True, slots=True)
class PartySight:
    """One process.

    state   its connection, or whether it runs
    starts  how often it was started
    doing   the newest thing it says of a job, or what it refused last
    """

    name: str
    state: str
    starts: int
    doing: str = ""


@dataclass(frozen=True, slots=True)
class JobSight:
    """One job on the chain: its stage, how many have enrolled, how many rounds are anchored."""

    job: str
    stage: str
    seats: int
    rounds: int

    @property
    def text(self) -> str:
        """In a line."""
        return f"job {self.job}: {self.stage}, {count(self.seats, 'seat')}, {count(self.rounds, 'round')} anchored"


class Board:
    """A context manager. `tell` may be called from any thread, `show` from one."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._live = Live(console=self._console, auto_refresh=False) if self._console.is_terminal else None
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._said: list[str] = []
        self._shown: dict[str, str] = {}

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()

    def tell(self, who: str, what: str) -> None:
        """Something happened to a process."""
        line = f"{time.monotonic() - self._began:7.1f} s  {who}: {what}"
        with self._lock:
            if self._live is None:
                self._console.print(line, markup=False, soft_wrap=True)
            self._said = [*self._said, line][-_KEPT:]

    def show(self, parties: Sequence[PartySight], jobs: Sequence[JobSight]) -> None:
        """How all of it stands now."""
        if self._live is not None:
            with self._lock:
                said = "\n".join(escape(one) for one in self._said)
            self._live.update(Group(_table(parties), *(escape(one.text) for one in jobs), f"[dim]{said}[/dim]"))
            self._live.refresh()
            return
        for key, text in [*((one.name, one.state) for one in parties), *((one.job, one.text) for one in jobs)]:
            if self._shown.get(key) != text:
                self._shown[key] = text
                self.tell(*text.split(": ", 1)) if ": " in text else self.tell(key, text)


def _table(parties: Sequence[PartySight]) -> Table:
    table = plain_table("", "party", "state", "starts", "last", right=("starts",))
    for one in parties:
        colour = _COLOURS.get(one.state, "red")
        table.add_row(escape(one.name), f"[{colour}]{one.state}[/{colour}]", str(one.starts), escape(one.doing))
    return table
