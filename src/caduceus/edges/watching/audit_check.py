"""Checking a node's audit log: line by line, over its files, and against a head that was kept elsewhere.

What this can show, and what not: a line that was edited, deleted, inserted or moved breaks the chain, and is named.
Whoever can write the files can also cut the end off, or write everything after a change again; neither breaks the
chain. Only a head that somebody else holds shows it, so give one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, final

from caduceus.edges.watching.audit_line import FORM, LONGEST_LINE, ORIGIN, Head, Kind, digest_of, read
from caduceus.errors import Refused
from caduceus.kinds import Digest

_NAME = re.compile(r"(\d{6})\.log")
_BLOCK = 1 << 16


@dataclass(frozen=True, slots=True)
class Fault:
    """The first line that is wrong.

    line  in its file, from 1
    """

    file: Path
    line: int
    why: str


@dataclass(frozen=True, slots=True)
class Verified:
    """What a check found.

    files   that were read, in order
    first   the number of the first line, from 0: more than 0 if earlier files were not given
    head    after the last good line
    torn    bytes of a last line that a crash cut; no fault, the next start sets them aside
    fault   the first line that is wrong, None if none is
    found   the number of the line whose digest the given head is; None if there is none, or no head was given
    """

    files: tuple[Path, ...]
    first: int
    head: Head
    torn: int
    fault: Fault | None
    found: int | None


@final
class Walk:
    """Reads one file after the other and holds each line to the one before.

    head  after which the first file should go on; None to take its first line's word for that
    seek  a digest to look for
    """

    def __init__(self, head: Head | None, seek: Digest | None = None) -> None:
        self.first = head
        self.head = head or Head(0, ORIGIN)
        self.found: int | None = None
        self.torn = self.size = self.lines = 0
        """Of the last file: bytes of its cut line, bytes of its good lines, and how many those are."""
        self._seek = seek

    def through(self, file: Path) -> Fault | None:
        """Read a file; the first line that is wrong, if one is. A last line without its end is counted in `torn`."""
        self.size = self.torn = self.lines = 0
        with file.open("rb") as lines:
            while data := lines.readline(LONGEST_LINE + 1):
                if not data.endswith(b"\n") and (rest := _rest_of_line(lines)) is not None:
                    self.torn = len(data) + rest
                    return None
                why = self._take(data, is_header=self.lines == 0)
                if why:
                    return Fault(file, self.lines + 1, why)
                self.lines += 1
                self.size += len(data)
        return None

    def _take(self, data: bytes, *, is_header: bool) -> str:
        """Hold a line to the one before; returns what is wrong with it."""
        try:
            tree = read(data)
        except ValueError as problem:
            return str(problem)
        number, before = tree["n"], Digest(bytes.fromhex(tree["before"]))
        if is_header != (tree["kind"] == Kind.FILE.value) or (is_header and tree.get("form") != FORM):
            return f"a file begins with a line of its own, of form {FORM}, and has no other"
        if self.first is None:
            self.head = self.first = Head(number, before)
            if number == 0 and before != ORIGIN:
                return "the first line of all has something before it"
        if number != self.head.lines:
            return f"line number {number}, where {self.head.lines} is due"
        if before != self.head.digest:
            return "does not hold the digest of the line before"
        self.head = Head(number + 1, digest_of(data))
        if self.head.digest == self._seek:
            self.found = number
        return ""


def _rest_of_line(lines: BinaryIO) -> int | None:
    """How many bytes follow up to the end of the file; None if a line ends before."""
    size = 0
    while block := lines.read(_BLOCK):
        if b"\n" in block:
            return None
        size += len(block)
    return size


def log_files(folder: Path) -> list[tuple[int, Path]]:
    """The files of a log by their numbers, in order; nothing else in the folder counts."""
    found = [(int(match[1]), path) for path in folder.iterdir() if (match := _NAME.fullmatch(path.name))]
    return sorted(found)


def verify(path: Path, *, head: Digest | None = None) -> Verified:
    """Check a log's folder, or one file of it.

    path  of one file only its inside is checked: what its first line says of the one before is taken on trust
    head  that somebody kept: is it in the chain?

    Raises Refused if there is no log, or it cannot be read.
    """
    try:
        files = log_files(path) if path.is_dir() else [(1, path)]
        if not files:
            raise Refused(f"{path}: holds no audit log; give the folder, or one of its files (000001.log)")
        walk = Walk(Head(0, ORIGIN) if path.is_dir() else None, head)
        fault = _walk(walk, files)
    except OSError as problem:
        raise Refused(f"{path}: cannot be read ({problem.strerror})") from None
    first = walk.first.lines if walk.first else 0
    return Verified(tuple(file for _, file in files), first, walk.head, walk.torn, fault, walk.found)


def _walk(walk: Walk, files: list[tuple[int, Path]]) -> Fault | None:
    for due, (number, file) in enumerate(files, 1):
        if number != due:
            return Fault(file, 1, f"{due:06}.log, which comes before, is missing")
        if fault := walk.through(file):
            return fault
        if walk.torn and due < len(files):
            return Fault(file, walk.lines + 1, "ends within a line, and is not the last file")
    return None
