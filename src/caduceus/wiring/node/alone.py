"""A party's process that stands by itself, beside an engine whose own processes bring its frames to a Unix socket.

Flower's are such: see `edges.flower`. The kit is a folder with `flower.toml`, which names the socket and the end.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal, Protocol, cast, final

from pydantic import Field

from caduceus.data.document import Document, read_document
from caduceus.data.federation import SiteName
from caduceus.edges.flower.hub import FlowerHub
from caduceus.edges.flower.site import FlowerSite
from caduceus.edges.tabular import read_text
from caduceus.edges.workspace import write_whole
from caduceus.errors import Error, Misuse, Refused, Unavailable

KIT_FILE, PARTY_FILE = "flower.toml", "party.txt"

REFUSED, AWAY, BUG = 2, 4, 70
"""Exit codes, as the command's: somebody has to change something first; start it again; it ended by a bug, start it
again. 0 where it was asked to end."""


class FlowerKit(Document):
    """`flower.toml`: which end this is, and where the bridge comes.

    name    what the operator calls the party
    end     "hub" for the coordinator, "site" for everybody else
    socket  path of the Unix socket that this process makes; the ServerApp's or SuperNode's configuration names it too
    """

    name: SiteName
    end: Literal["hub", "site"]
    socket: Annotated[str, Field(min_length=1)]


class _Running(Protocol):
    def stop(self) -> None: ...

    def wait(self, seconds: float | None = None) -> bool: ...


@final
class Lines:
    """Frames through Flower, for `wiring.node.roles`: hub or site, whichever the kit says.

    Raises Refused if the socket cannot be had.
    """

    def __init__(self, kit: FlowerKit) -> None:
        self._kit = kit
        self._hub: FlowerHub | None = None
        self._site: FlowerSite | None = None

    def listen(self, arrived: Callable[..., None]) -> None:
        """Have `arrived(peer, frame)` called at the hub, `arrived(frame)` elsewhere; nothing comes before that."""
        path = Path(self._kit.socket)
        if self._kit.end == "hub":
            self._hub = FlowerHub(path, arrived)
        else:
            self._site = FlowerSite(path, arrived)

    def post(self, *frame: str | bytes) -> None:
        """Send `(peer, frame)` at the hub, `(frame,)` elsewhere; raises Unavailable if there is no way."""
        try:
            if self._hub is not None:
                self._hub.post(*cast(tuple[str, bytes], frame))
            elif self._site is not None:
                self._site.post(*cast(tuple[bytes], frame))
            else:
                raise Unavailable("Flower's bridge has not come yet")
        except Refused as problem:  # too long a frame: whoever sends it counts as away
            raise Unavailable(str(problem)) from None

    def close(self) -> None:
        """Hang up."""
        for one in (self._hub, self._site):
            if one is not None:
                one.close()


def read_kit(kit: Path) -> FlowerKit:
    """A kit's file. Raises Refused, naming it, if it is no kit of this engine."""
    path = kit / KIT_FILE
    if not path.is_file():
        raise Refused(f"{kit}: is not a kit for Flower: it has no {KIT_FILE}")
    return read_document(read_text(path), FlowerKit, where=str(path))


def equip(kit: Path, entry: str, folder: Path) -> None:
    """Say which role the kit's process runs, and in which folder; may be repeated."""
    read_kit(kit)
    write_whole(kit / PARTY_FILE, f"{entry}\n{folder.resolve()}\n".encode())


def command(kit: Path) -> tuple[str, ...]:
    """The process of an equipped kit; SIGTERM ends it. Raises Refused if nobody has equipped it."""
    if not (kit / PARTY_FILE).is_file():
        raise Refused(f"{kit}: has no {PARTY_FILE}; equip the kit with the party's role first")
    return (sys.executable, "-m", "caduceus.wiring.node.alone", str(kit.resolve()))


def main(kit: Path) -> int:
    """Run the party of a kit until somebody asks it to end; returns the exit code: see `REFUSED`."""
    stopping = threading.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, lambda _number, _frame: stopping.set())
    try:
        entry, folder = _equipped(kit)
        module, _, name = entry.partition(":")
        lines = Lines(read_kit(kit))
        running = cast(_Running, getattr(importlib.import_module(module), name)(folder, lines))
    except Error as problem:
        print(f"caduceus: {kit}: {problem}", file=sys.stderr)  # noqa: T201  (the outermost edge of this process)
        return BUG if isinstance(problem, Misuse) else REFUSED if isinstance(problem, Refused) else AWAY
    while not stopping.wait(0.2):
        if running.wait(0.0):  # a bug was found and told: whoever watches this process starts it again
            break
    status = 0 if stopping.is_set() else BUG
    running.stop()
    lines.close()
    return status


def _equipped(kit: Path) -> tuple[str, Path]:
    """Which role a kit's process runs, and in which folder. Raises Refused if nobody has said so."""
    said = read_text(kit / PARTY_FILE).splitlines()
    if len(said) != 2:
        raise Refused(f"{kit / PARTY_FILE}: does not name a role and a folder; equip the kit again")
    return said[0], Path(said[1])


if __name__ == "__main__":
    code = main(Path(sys.argv[1]))
    sys.stderr.flush()
    os._exit(code)  # threads of the carrying end with the process
