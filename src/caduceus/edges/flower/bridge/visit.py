"""One visit of the bridge to a site's party process: hand over the letter's frames, wait for some, leave."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from . import wire
from .letters import Answer, Letter

_ANSWER_TIME = 60.0  # seconds for the party process to take or give frames, beyond the wait that was asked for
_RETRY = 0.1  # seconds between tries to reach a party process that is not there


def visit(path: str | Path, letter: Letter) -> Answer:
    """Bring a letter's frames to the party process at `path` and take its own back.

    A process that is not there is waited for as long as the letter allows. Frames count as the site's answer only
    if the process said END: one that stopped half-way keeps them, and none is taken twice.
    """
    until = time.monotonic() + letter.wait
    line = _reach(path, until)
    if line is None:
        return Answer(letter.nonce, attached=False, frames=())
    try:
        with contextlib.suppress(OSError):
            return _exchange(line, letter, max(0.0, until - time.monotonic()))
        return Answer(letter.nonce, attached=False, frames=())
    finally:
        line.close()


def _reach(path: str | Path, until: float) -> wire.Line | None:
    while True:
        with contextlib.suppress(OSError):
            return wire.connect(path, "site", patience=_ANSWER_TIME)
        if time.monotonic() + _RETRY > until:
            return None
        time.sleep(_RETRY)


def _exchange(line: wire.Line, letter: Letter, wait: float) -> Answer:
    for frame in letter.frames:
        line.send(wire.FRAME, payload=frame)
    line.send(wire.COLLECT, payload=wire.asking(wait, letter.limit))
    line.patience(wait + _ANSWER_TIME)
    return Answer(letter.nonce, attached=True, frames=_gathered(line))


def _gathered(line: wire.Line) -> tuple[bytes, ...]:
    frames: list[bytes] = []
    while True:
        kind, _, payload = line.receive()
        if kind == wire.END:
            return tuple(frames)
        if kind == wire.FRAME:
            frames.append(payload)
