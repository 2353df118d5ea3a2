"""How a role's process stands, as a small file that anyone may read while it runs.

The journal is the process's own (a second reader would be locked out), so it says in `status.json` what an operator
asks: is it there, is it connected, how far is the chain, what does each job wait for, what was refused.
"""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from caduceus.errors import Refused

Connection = Literal["starting", "connected", "disconnected", "stopped"]
"""The line to the other parties."""

FILE = "status.json"
"""The file's name in a party's folder."""

LOCK = "status.lock"
"""Beside it; locked for as long as the process lives."""

MOST_REFUSALS = 20
"""That are kept, the newest."""

MOST_JOBS = 200
"""That are kept, those of the newest events."""

_MOST_BYTES = 1 << 20


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ChainSight(_Part):
    """The newest block that was seen.

    lag  seconds from its timestamp until `at`
    """

    height: int = Field(ge=0)
    lag: float = Field(ge=0)
    at: AwareDatetime


class JobStatus(_Part):
    """One job, as this role knows it.

    job         0x and 64 hex digits
    round       the newest, None before the first
    unanchored  rounds done that the chain does not have yet
    event       the last one about this job
    """

    job: str = Field(pattern=r"^0x[0-9a-f]{64}$")
    stage: str
    round: int | None = None
    unanchored: int = 0
    event: str
    at: AwareDatetime


class Refusal(_Part):
    """Something that was refused, or failed; `kind` is its class."""

    at: AwareDatetime
    kind: str
    reason: str
    job: str | None = None


class Status(_Part):
    """A role's process at one moment.

    process  its number on its machine
    since    when it started
    at       when anything here changed last
    audit_lines, audit_head  where its audit log ends; None if it keeps none
    """

    form: Literal["caduceus/status/1"] = "caduceus/status/1"
    role: str
    party: str
    process: int
    since: AwareDatetime
    at: AwareDatetime
    connection: Connection = "starting"
    chain: ChainSight | None = None
    outbox: int = 0
    jobs: tuple[JobStatus, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    refused: int = 0
    """How many there were since the start; `refusals` has the newest."""
    audit_lines: int | None = None
    audit_head: str | None = None


def read_status(folder: Path) -> Status:
    """What a role's process says of itself; `is_running` says whether it is still there.

    folder  the party's, or the file itself

    Raises Refused if there is none, or it is not such a file.
    """
    path = folder / FILE if folder.is_dir() else folder
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES + 1)
    except OSError as problem:
        raise Refused(f"{path}: no status to read ({problem.strerror}); has the role been started here?") from None
    if len(text) > _MOST_BYTES:
        raise Refused(f"{path}: too long for a status")
    try:
        return Status.model_validate_json(text)
    except ValidationError as problem:
        first = problem.errors(include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise Refused(f"{path}: not a status ({where}: {first['msg']}); start the role again") from None


def is_running(folder: Path) -> bool:
    """Whether the process that writes a folder's status is there: it holds a lock for as long as it lives."""
    path = (folder if folder.is_dir() else folder.parent) / LOCK
    try:
        with path.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False
