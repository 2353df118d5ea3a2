"""What a run remembers of how it was asked for, so that it can be told about later. Holds no secret."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit

from caduceus import canon
from caduceus.edges.workspace import Workspace, write_whole
from caduceus.errors import Refused
from caduceus.kinds import Address

T = TypeVar("T")


@canon.record("run/party/1")
class Named:
    """A party of the run: what people call it, and its account."""

    name: str
    account: Address


@canon.record("run/misdeed/1")
class Misdeed:
    """A site made dishonest on purpose, for trying out, and its deed by name (see `learn.judged.dishonest`)."""

    site: str
    deed: str


@canon.record("run/order/2")
class Remembered:
    """One job of a run, as it was asked for on this machine.

    job         path of the job TOML
    federation  path of the federation TOML
    data_root   folder under which data lie; "" if it came from the environment or was not needed
    url         the node without user and password; "" for the embedded chain
    parties     everyone who plays
    dishonest   sites that do harm on purpose
    """

    label: str
    job: str
    federation: str
    data_root: str
    url: str
    parties: tuple[Named, ...]
    dishonest: tuple[Misdeed, ...] = ()

    @property
    def names(self) -> dict[Address, str]:
        """Names by account."""
        return {party.account: party.name for party in self.parties}


@canon.record("run/times/1")
class Times:
    """How long this machine has worked on a job, wall seconds; processes that were killed are not in it."""

    training: float
    total: float


@dataclass(frozen=True, slots=True)
class Memory:
    """The remembered jobs of a run."""

    workspace: Workspace

    def keep(self, order: Remembered) -> None:
        """Remember a job; a later call for the same job replaces the earlier one."""
        write_whole(self.workspace.orders / order.label, canon.pack(order))

    def add(self, label: str, times: Times) -> None:
        """Add to the time that a job has taken."""
        before = self.times(label)
        both = Times(before.training + times.training, before.total + times.total)
        write_whole(self.workspace.times / label, canon.pack(both))

    def orders(self) -> tuple[Remembered, ...]:
        """Every remembered job, by label.

        Raises Refused if there is none, naming the folder, or if a file is not one of ours.
        """
        folder = self.workspace.orders
        paths = sorted(path for path in folder.glob("*") if path.suffix != ".part") if folder.is_dir() else []
        if not paths:
            raise Refused(f"{self.workspace.root}: no run of this machine; `caduceus run` and `caduceus demo` make one")
        return tuple(_read(Remembered, path) for path in paths)

    def times(self, label: str) -> Times:
        """How long a job has taken so far."""
        path = self.workspace.times / label
        return _read(Times, path) if path.exists() else Times(0.0, 0.0)


def without_secrets(url: str) -> str:
    """A node's URL as it may be written down: without user, password and query."""
    parts = urlsplit(url)
    host = (parts.hostname or "") + (f":{parts.port}" if parts.port else "")
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def _read(kind: type[T], path: Path) -> T:
    try:
        return canon.unpack(kind, path.read_bytes())
    except Refused as problem:
        raise Refused(f"{path}: {problem}; delete it and run the same job again") from None
