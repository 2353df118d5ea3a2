"""The outermost edge: every failure becomes one line that says who is at fault, and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from caduceus.errors import Error, Misuse, PeerFault, Refused, Unavailable, Uncertain

REFUSED, PEER, UNAVAILABLE, UNCERTAIN, BUG, STOPPED = 2, 3, 4, 5, 70, 130
"""Exit codes; 2 is also what wrong arguments give, 70 is EX_SOFTWARE of sysexits.h, 130 what shells say of Ctrl-C."""

DEBUG = "CADUCEUS_DEBUG"
"""The environment variable that asks for tracebacks."""

_LEADS: tuple[tuple[type[Error], int, str, str], ...] = (
    (Refused, REFUSED, "refused", ""),
    (PeerFault, PEER, "a party broke the protocol", ""),
    (Unavailable, UNAVAILABLE, "no answer", "; nothing happened, the same command may be given again"),
    (Uncertain, UNCERTAIN, "it may have happened", "; the same command looks before it repeats anything"),
    (Misuse, BUG, "a bug of this program", f"; {DEBUG}=1 shows where"),
)


class Outermost(TyperGroup):
    """The command group that ends the program in words."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; what it raises becomes one line on standard error."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            _say("stopped; the same command goes on where it was")
            raise typer.Exit(STOPPED) from None
        except Error as problem:
            _trace()
            code, line = explain(problem)
            _say(line)
            raise typer.Exit(code) from None
        except (typer.Exit, typer.Abort, typer.TyperException):
            raise
        except OSError as problem:
            _trace()
            _say(f"refused: {problem.filename or 'a file'}: {problem.strerror or type(problem).__name__}")
            raise typer.Exit(REFUSED) from None
        except Exception as problem:  # noqa: BLE001  (the outermost edge: nothing is above it)
            _trace()
            _say(f"a bug of this program: {type(problem).__name__} {_place(problem)}; {DEBUG}=1 shows more")
            raise typer.Exit(BUG) from None


def explain(problem: Error) -> tuple[int, str]:
    """The exit code and the line for an error."""
    for kind, code, lead, tail in _LEADS:
        if isinstance(problem, kind):
            return code, f"{lead}: {' '.join(str(problem).split())}{tail}"
    return BUG, f"a bug of this program: {problem}"


def _place(problem: BaseException) -> str:
    """Where it was raised. The message itself is not shown: other people's code may quote a record in it."""
    frames = traceback.extract_tb(problem.__traceback__)
    ours = [frame for frame in frames if "caduceus" in frame.filename] or frames
    return f"in {Path(ours[-1].filename).name}, line {ours[-1].lineno}" if ours else ""


def _trace() -> None:
    if os.environ.get(DEBUG):
        traceback.print_exc(file=sys.stderr)


def _say(line: str) -> None:
    typer.echo(f"caduceus: {line}", err=True)
