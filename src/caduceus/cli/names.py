"""What people may call a job, a federation or a run."""

from __future__ import annotations

from pathlib import Path

from caduceus.data.schema import did_you_mean
from caduceus.edges.federation import EXAMPLES
from caduceus.edges.workspace import Workspace
from caduceus.errors import Refused


def job_path(name: str) -> Path:
    """The job TOML that a name stands for: a path, its folder, or an example such as heart or breast/job-mlp.toml.

    Raises Refused, naming the examples, if there is no such file.
    """
    return _find(name, "job")


def federation_path(name: str) -> Path:
    """The federation TOML that a name stands for: a path, its folder, or an example such as heart.

    Raises Refused, naming the examples, if there is no such file.
    """
    return _find(name, "federation")


def _find(name: str, kind: str) -> Path:
    for place in (Path(name), EXAMPLES / name):
        if place.is_file():
            return place
        if (place / f"{kind}.toml").is_file():
            return place / f"{kind}.toml"
    known = tuple(sorted(f"{path.parent.name}/{path.name}" for path in EXAMPLES.glob(f"*/{kind}*.toml")))
    raise Refused(f"{name}: no such {kind} file, and no example of that name{did_you_mean(name, known)}")


def new_or_old_run(out: Path) -> Workspace:
    """The folder of a run that begins or goes on; nothing is made yet.

    Raises Refused if something else is there.
    """
    workspace = Workspace(out)
    if out.exists() and not out.is_dir():
        raise Refused(f"{out}: a file, not a folder; choose another --out")
    if out.is_dir() and any(out.iterdir()) and not workspace.orders.is_dir() and not (out / "parties").is_dir():
        raise Refused(f"{out}: not empty and not the folder of a run; choose another --out")
    return workspace


def old_run(folder: Path) -> Workspace:
    """The folder of a run that has been made.

    Raises Refused if there is none.
    """
    if not (folder / "transcript").is_dir():
        raise Refused(f"{folder}: not the folder of a run; `caduceus run` and `caduceus demo` make one")
    return Workspace(folder)
