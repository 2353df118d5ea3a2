"""The command line in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that a real process ran.

    folder  where it ran; tests copy what they want to change
    """

    folder: Path
    code: int
    out: str
    err: str


def caduceus(*arguments: object, at: Path, **environment: str) -> Ran:
    """Run the command line in a process of its own, without colours, data or debugging."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if name not in ("CADUCEUS_DATA", "CADUCEUS_DEBUG", "FORCE_COLOR", "TTY_COMPATIBLE")
    }
    done = subprocess.run(
        [sys.executable, "-c", "from caduceus.cli import main; main()", *map(str, arguments)],
        cwd=at,
        env=clean | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return Ran(at, done.returncode, done.stdout, done.stderr)
