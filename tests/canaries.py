"""Records of values that stand out, and a search for them in everything that a command leaves or says."""

from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_WATCHED = """
import json, os, sys
seen = set()
def hook(event, args):
    if event == "open" and isinstance(args[0], (str, bytes)) and isinstance(args[2], int) and args[2] & (
        os.O_WRONLY | os.O_RDWR | os.O_CREAT
    ):
        seen.add(os.path.abspath(os.fsdecode(args[0])))
    elif event == "sqlite3.connect":
        seen.add(os.path.abspath(os.fsdecode(args[0])))
sys.addaudithook(hook)
import atexit
atexit.register(lambda: os.write(3, json.dumps(sorted(seen)).encode()))
from caduceus.cli import main
main()
"""


@dataclass(frozen=True, slots=True)
class Said:
    """What a command did: its exit code, what it printed, and every file that it opened to write."""

    code: int
    text: bytes
    written: tuple[Path, ...]


def caduceus_watched(*arguments: object, at: Path, **environment: str) -> Said:
    """Run the command line in a process of its own, and note what it writes where."""
    read, write = os.pipe()
    names = ("CADUCEUS_DATA", "CADUCEUS_DEBUG", "FORCE_COLOR")
    clean = {name: value for name, value in os.environ.items() if name not in names}
    with os.fdopen(read, "rb") as notes:
        process = subprocess.Popen(
            [sys.executable, "-c", f"import os; os.dup2({write}, 3)\n{_WATCHED}", *map(str, arguments)],
            cwd=at,
            env=clean | {"PYTHONDONTWRITEBYTECODE": "1"} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(write,),
        )
        os.close(write)
        assert process.stdout is not None
        text = process.stdout.read()
        code = process.wait()
        told = notes.read()
    assert told, text
    return Said(code, text, tuple(Path(one) for one in json.loads(told)))


class Canaries:
    """Values, and whether any of them is in some bytes: as written, as digits, or as a float of 64 bits."""

    def __init__(self, texts: Iterable[str] = (), numbers: Iterable[float] = ()) -> None:
        self._forms: dict[bytes, str] = {}
        for text in texts:
            assert len(text) >= 6, "too short to stand out"
            self._forms |= {text.encode(): text, text.lower().encode(): text, text.encode("utf-16-le"): text}
        for number in numbers:
            digits = repr(float(number))
            assert len(digits) >= 8, "too round to stand out"
            for form in ("<d", ">d"):  # four bytes of a short float would be found in masks by chance
                self._forms[struct.pack(form, number)] = digits
            self._forms[digits[:8].encode()] = digits
        self._pattern = re.compile(b"|".join(re.escape(one) for one in sorted(self._forms, key=len, reverse=True)))

    def __len__(self) -> int:
        return len(set(self._forms.values()))

    def found_in(self, data: bytes) -> str | None:
        """The first value that is in there."""
        match = self._pattern.search(data)
        return None if match is None else self._forms[match[0]]

    def places(self, folder: Path) -> Iterator[str]:
        """Every file under a folder, with one of the values in it."""
        for path in sorted(folder.rglob("*")):
            if path.is_file() and (value := self.found_in(path.read_bytes())) is not None:
                yield f"{path.relative_to(folder)}: {value}"
