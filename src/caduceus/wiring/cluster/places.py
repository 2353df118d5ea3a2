"""Where a network's parts lie in its folder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

TREASURY, COORDINATOR, BUYER = "treasury", "coordinator", "buyer"
"""Names of the parties that are not sites."""


@dataclass(frozen=True, slots=True)
class Places:
    """A network on one machine.

    record      what the network was made for; there once it is complete
    unfinished  there while it is being made
    deployment  where the contracts are
    kits        the network's authority, with its root key
    chain       the chain node's state
    logs        what the processes say
    """

    root: Path

    @property
    def record(self) -> Path:
        """A file."""
        return self.root / "cluster.json"

    @property
    def unfinished(self) -> Path:
        """A file."""
        return self.root / "unfinished"

    @property
    def deployment(self) -> Path:
        """A file."""
        return self.root / "deployment"

    @property
    def treasury(self) -> Path:
        """The keys that hold the demo money."""
        return self.root / TREASURY

    @property
    def kits(self) -> Path:
        """A folder."""
        return self.root / "authority"

    @property
    def chain(self) -> Path:
        """A folder."""
        return self.root / "chain"

    @property
    def logs(self) -> Path:
        """A folder."""
        return self.root / "logs"

    @property
    def parties(self) -> Path:
        """A folder for each party in it."""
        return self.root / "parties"

    @property
    def transcript(self) -> Path:
        """What an auditor needs besides the chain."""
        return self.party(COORDINATOR) / "transcript"

    def party(self, name: str) -> Path:
        """A party's own folder."""
        return self.parties / slug(name)


def slug(name: str) -> str:
    """A party's name as engines and folders want it: 2 to 40 lower-case letters, digits, hyphens."""
    found = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].strip("-")
    return found if len(found) > 1 else f"site-{found}"
