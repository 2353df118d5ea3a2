"""The files of a FHIR export, and their bytes in blocks of whole lines.

Bulk exports are NDJSON, one resource a line, plain or gzip, in any number of files a type; bundles are JSON. Nothing
is read that is not wanted where a file's name tells its type, and of the rest no more than a block at a time.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from caduceus.errors import Refused

LINES, BUNDLE = "lines", "bundle"

BLOCK = 1 << 22
"""Bytes of a block, about."""
MOST_LINE = 1 << 26
"""Most bytes of one line, 64 MiB: no resource but a document in base64 comes near it."""
MOST_BUNDLE = 1 << 29
"""Most bytes of a bundle's file, 512 MiB, because it is read whole."""

_ENDINGS = ((".ndjson.gz", LINES), (".ndjson", LINES), (".jsonl", LINES), (".json.gz", BUNDLE), (".json", BUNDLE))
_TYPE = re.compile(r"^([A-Z][A-Za-z]+)(?:[._\-0-9].*)?$")
_NO_RESOURCES = frozenset(("log.ndjson", "manifest.json", "error.ndjson", "errors.ndjson"))
"""Files that the tools which make bulk exports leave beside them."""
_GLANCE = 1 << 16
_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class FhirFile:
    """One file.

    path  where it is
    kind  `LINES` or `BUNDLE`
    type  the resource type that its name says, as "Patient" of Patient.000.ndjson.gz; None if it says none
    """

    path: Path
    kind: str
    type: str | None


@dataclass(frozen=True, slots=True)
class Block:
    """Whole lines of one file, or all of a bundle's file.

    name   the file's, for messages
    kind   `LINES` or `BUNDLE`
    type   the resource type that the file's name says, None if it says none
    first  number of its first line, from 1
    data   bytes; the last line may lack its end
    """

    name: str
    kind: str
    type: str | None
    first: int
    data: bytes


def find_files(place: Path) -> tuple[FhirFile, ...]:
    """The FHIR files of a folder, or the one file that `place` is, by name.

    Raises Refused if there is none.
    """
    if place.is_file():
        paths = [place]
    elif place.is_dir():
        paths = sorted(path for path in place.iterdir() if path.is_file() and path.name not in _NO_RESOURCES)
    else:
        raise Refused(f"{place}: there is no such file or folder")
    found = tuple(file for path in paths if (file := _file(path)) is not None)
    if not found:
        endings = ", ".join(ending for ending, _ in _ENDINGS)
        raise Refused(f"{place}: no FHIR files; they are called {endings}, and lie in the folder itself")
    return found


def _file(path: Path) -> FhirFile | None:
    for ending, kind in _ENDINGS:
        if path.name.endswith(ending):
            named = _TYPE.match(path.name.removesuffix(ending)) if kind == LINES else None
            return FhirFile(path, kind, named[1] if named else None)
    return None


def read_blocks(file: FhirFile) -> Iterator[Block]:
    """A file's bytes, in order.

    Raises Refused, naming file and line, if a line or a bundle is too long, or a compressed file is damaged.
    """
    name, line = file.path.name, 1
    try:
        with _open(file.path) as source:
            if file.kind == BUNDLE:
                data = source.read(MOST_BUNDLE + 1)
                if len(data) > MOST_BUNDLE:
                    raise Refused(f"{name}: a bundle of more than {MOST_BUNDLE} bytes; export it as NDJSON")
                yield Block(name, BUNDLE, None, 1, data.removeprefix(_MARK))
                return
            rest = b""
            while True:
                more = source.read(BLOCK)
                data = rest + more if rest else more
                if line == 1:
                    data = data.removeprefix(_MARK)
                cut = data.rfind(b"\n") + 1 if more else len(data)
                if cut:
                    yield Block(name, LINES, file.type, line, data[:cut])
                    line += data.count(b"\n", 0, cut)
                rest = data[cut:]
                if len(rest) > MOST_LINE:
                    raise Refused(f"{name}: line {line} is longer than {MOST_LINE} bytes")
                if not more:
                    return
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise Refused(f"{name}: the compressed file is damaged or cut off, after line {line - 1}") from None
    except OSError as error:
        raise Refused(f"{name}: can't be read ({error.strerror or type(error).__name__})") from None


def first_line(file: FhirFile) -> bytes:
    """The first line of a file of lines that is not blank; empty if there is none, or it is long.

    Raises Refused as `read_blocks`.
    """
    try:
        with _open(file.path) as source:
            line = b"\n"
            while line and line.isspace():
                line = source.readline(_GLANCE)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise Refused(f"{file.path.name}: the compressed file is damaged or cut off, in line 1") from None
    except OSError as error:
        raise Refused(f"{file.path.name}: can't be read ({error.strerror or type(error).__name__})") from None
    return b"" if len(line) == _GLANCE else line.removeprefix(_MARK)


def _open(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path)) if path.name.endswith(".gz") else path.open("rb")
