"""Where a run's files are: what is public, and what belongs to one party alone."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from caduceus.edges.durable import sync_names
from caduceus.errors import Refused


@dataclass(frozen=True, slots=True)
class Workspace:
    """The folder of a run on one machine.

    chain/        the embedded chain's file and its seal
    transcript/   public: blobs, and which jobs they belong to; with the chain all that an auditor needs
    orders/       what was asked for, so that the run can be told about later; no secrets
    times/        how long each job has taken
    parties/      one folder per party: keys, journal, and at sites salts and what the site knows of its own quality
    models/       what the buyer of a model takes away, as JSON
    answers/      what the buyer of an analysis takes away, as JSON and as text
    report.html   for people
    """

    root: Path

    @property
    def chain(self) -> Path:
        """The embedded chain's file."""
        return self.root / "chain" / "chain.sqlite"

    @property
    def blobs(self) -> Path:
        """The folder of the public blobs."""
        return self.root / "transcript" / "blobs"

    @property
    def pointers(self) -> Path:
        """The folder that says which jobs the transcript is about."""
        return self.root / "transcript" / "jobs"

    @property
    def deployment(self) -> Path:
        """Where the contracts are; public."""
        return self.root / "transcript" / "deployment"

    @property
    def orders(self) -> Path:
        """The folder that says what was asked for, one file per job."""
        return self.root / "orders"

    @property
    def times(self) -> Path:
        """The folder that says how long each job has taken."""
        return self.root / "times"

    @property
    def models(self) -> Path:
        """The folder of the models that buyers take away, as JSON."""
        return self.root / "models"

    @property
    def answers(self) -> Path:
        """The folder of the answers that buyers take away."""
        return self.root / "answers"

    @property
    def report(self) -> Path:
        """The page about this run."""
        return self.root / "report.html"

    def party(self, name: str) -> Path:
        """The private folder of a party.

        Raises Refused if the name cannot be a folder's.
        """
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,63}", name):
            raise Refused(f"'{name}' cannot name a party: letters, digits, space, _ . - and at most 64 of them")
        return self.root / "parties" / name.replace(" ", "_")


def write_whole(path: Path, data: bytes, *, mode: int = 0o666) -> None:
    """Write a file so that it is there complete, and on disk, or not at all.

    mode  permissions, less what the process's mask takes away; nobody else can read it for a moment either
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    sync_names(path.parent)
