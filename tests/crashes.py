"""Processes that are killed while they write, and journals that stop before or after an entry."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from enum import Enum

from caduceus.ports import Journal


class When(Enum):
    """On which side of the write a crash comes."""

    BEFORE = "before"
    AFTER = "after"


class Crash(BaseException):
    """No handler of errors stops it, as none stops a killed process."""


class CrashingJournal:
    """A journal whose role crashes at one write, before it or after it, and stays down.

    at  the number of the write, from 0
    """

    def __init__(self, inner: Journal, at: int, when: When) -> None:
        self._inner, self._at, self._when = inner, at, when
        self.writes = 0

    def get(self, key: str) -> bytes | None:
        return self._inner.get(key)

    def keys(self, prefix: str) -> Sequence[str]:
        return self._inner.keys(prefix)

    def put_once(self, key: str, value: bytes) -> None:
        self.put_all({key: value})

    def put_all(self, entries: Mapping[str, bytes], *, at_once: bool = True) -> None:
        number, self.writes = self.writes, self.writes + 1
        if number > self._at or (number == self._at and self._when is When.BEFORE):
            raise Crash
        self._inner.put_all(entries, at_once=at_once)
        if number == self._at:
            raise Crash


def killed_while_writing(script: str, *arguments: str, after: int) -> list[str]:
    """Run a script in its own process and kill it (SIGKILL) once it has printed so many lines; returns all it printed.

    script  prints one line, flushed, after each thing that it holds to be done, and never ends by itself
    """
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stderr is not None
    said = []
    for line in child.stdout:
        said.append(line.strip())
        if len(said) >= after:
            break
    child.kill()
    # Not `communicate`: it reads the pipe beneath the buffer that the lines above came from, and loses what is in it.
    rest, problem = child.stdout.read(), child.stderr.read()
    child.wait()
    assert child.returncode == -9, f"the script ended by itself: {problem}"
    return said + rest.split()
