"""Progress for people: bars on a terminal, plain lines elsewhere; always on standard error."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from caduceus.errors import Error
from caduceus.learn.state import State
from caduceus.protocol.gram_for import AnySession
from caduceus.protocol.round_record import RoundRecord


class Screen:
    """Implements `wiring.watch.Watch`; a context manager. Methods may be called from any thread."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._live = self._console.is_terminal
        self._lock = threading.Lock()
        self._progress = Progress(
            SpinnerColumn(finished_text="✓"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[said]}", style="dim"),
            console=self._console,
        )
        self._task: TaskID | None = None
        self._what, self._said, self._began, self._done = "", "", 0.0, 0

    def __enter__(self) -> Self:
        if self._live:
            self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: TracebackType | BaseException | None) -> None:
        with self._lock:
            if kind is None:
                self._end()
            if self._live:
                self._progress.stop()

    def title(self, text: str) -> None:
        """What the following parts belong to."""
        with self._lock:
            self._end()
            self._print(escape(text), style="bold")

    def begin(self, what: str, steps: int) -> None:
        """A part begins; it has this many steps, 0 if nobody knows."""
        with self._lock:
            self._end()
            self._what, self._said, self._began, self._done = what, "", time.monotonic(), 0
            if self._live:
                self._task = self._progress.add_task(escape(what), total=steps or None, said="")

    def step(self, text: str) -> None:
        """A step of the present part is done."""
        with self._lock:
            self._advance(text)

    def round(self, record: RoundRecord, state: State, session: AnySession) -> None:
        """A round is done."""
        if record.failure:
            said = f"round {record.round} failed: {record.failure}"
        else:
            sites = f"{len(record.survivors)} of {len(record.uploads)} sites"
            said = (
                f"round {record.round}: a sum of {sites}, {session.length:,} entries; next: {state.phase.name.lower()}"
            )
        with self._lock:
            self._advance(said)

    def fault(self, who: str, problem: Error) -> None:
        """A site refused a message or found a fault in it."""
        with self._lock:
            self._print(f"! {escape(who)}: {escape(str(problem))}", style="yellow")

    def _advance(self, said: str) -> None:
        self._said = said
        self._done += 1
        if self._live and self._task is not None:
            self._progress.update(self._task, advance=1, said=escape(said))

    def _end(self) -> None:
        """The present part is done: its bar is full, or its line is written."""
        if not self._what:
            return
        if self._live and self._task is not None:
            self._progress.update(self._task, total=max(self._done, 1), completed=max(self._done, 1), said="")
        elif not self._live:
            count = f", {self._done} steps" if self._done else ""
            self._print(f"{escape(self._what)}{count}, {time.monotonic() - self._began:.1f} s")
        self._what, self._task = "", None

    def _print(self, text: str, style: str = "") -> None:
        self._console.print(text, style=style, soft_wrap=True)
