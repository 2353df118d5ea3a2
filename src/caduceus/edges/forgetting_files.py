"""Erasing a patient's secrets on disk: planned in a file first, so that a crash anywhere in between is made up for.

Each file that holds them is written anew beside itself, the old bytes are overwritten where they lie, and the new file
takes their name. Disks and file systems that write elsewhere (flash, copy on write, snapshots) may keep old bytes for a
time, as do backups: `docs/forgetting.md` says what to do about them.
"""

from __future__ import annotations

import os
from pathlib import Path

from caduceus import canon
from caduceus.data.commitment import Openings, read_openings
from caduceus.data.forgetting import Previous, forget, is_forgotten
from caduceus.edges.durable import sync_names
from caduceus.edges.workspace import write_whole
from caduceus.errors import Refused

PLAN = "forgetting"
"""The file in a site's folder that says what is being forgotten; gone once it is done."""

OPENINGS = "openings"


@canon.record("forgetting/target/1")
class Target:
    """A file of openings to be erased in.

    name  in the folder
    root  of its commitment: it stays what it is
    rows  the patient's
    """

    name: str
    root: bytes
    rows: tuple[int, ...]


@canon.record("forgetting/plan/1")
class Plan:
    """What is to be done, all of it; holds no secret of the patient.

    tag      of the patient's token
    targets  the file of the present version among them
    fresh    openings of the next version
    previous what the next version is to supersede on the chain; None if the present one was never registered
    """

    tag: bytes
    targets: tuple[Target, ...]
    fresh: Openings
    previous: Previous | None = None


def begin(folder: Path, plan: Plan) -> None:
    """Write a plan down; from here on `finish` carries it out, whoever calls it.

    Raises Refused if another one is not finished.
    """
    if (folder / PLAN).exists():
        raise Refused(f"{folder / PLAN}: another forgetting is not finished; give the command again")
    write_whole(folder / PLAN, canon.pack(plan), mode=0o600)


def finish(folder: Path) -> Plan | None:
    """Carry out what is planned in a folder, from wherever it was left.

    returns  what was done; None if nothing was planned

    Raises Refused, naming the file, if one of them is neither as planned nor as done.
    """
    path = folder / PLAN
    if not path.exists():
        return None
    data = path.read_bytes()
    if not any(data):  # all was done, and the plan overwritten already
        destroy(path)
        return None
    try:
        plan = canon.unpack(Plan, data)
    except Refused as problem:
        raise Refused(f"{path}: damaged ({problem}); put the openings back from a backup, and begin again") from None
    for target in plan.targets:
        _erase_in(folder / target.name, target, plan)
    _renew(folder, plan)
    for stray in folder.glob(f"{OPENINGS}*.part"):
        destroy(stray)
    destroy(path)
    return plan


def destroy(path: Path) -> None:
    """Overwrite a file where it lies, then remove it; both are on disk before this returns."""
    _overwrite(path)
    path.unlink()
    sync_names(path.parent)


def kept_name(root: bytes) -> str:
    """What the openings of an earlier version are called."""
    return f"{OPENINGS}.{root.hex()[:16]}"


def previous_of(folder: Path, root: bytes) -> Previous | None:
    """What the data set with a commitment is to supersede on the chain; None if nothing.

    Raises Refused, naming the file, if it is damaged.
    """
    path = folder / _previous_name(root)
    if not path.exists():
        return None
    try:
        return canon.unpack(Previous, path.read_bytes())
    except Refused as problem:
        raise Refused(f"{path}: damaged ({problem}); put it back from a backup") from None


def _previous_name(root: bytes) -> str:
    return f"supersedes-{root.hex()[:16]}"


def _erase_in(path: Path, target: Target, plan: Plan) -> None:
    part = path.with_name(f"{path.name}.part")
    moved = path.with_name(kept_name(target.root))
    if path.name == OPENINGS and _root(path) != target.root and _root(moved) == target.root:
        return  # erased, and named as an earlier version already
    found = _read(path)
    if found is not None and found.root == target.root:
        if is_forgotten(found, plan.tag, target.rows):
            return
        _write_beside(part, canon.pack(forget(found, plan.tag, target.rows)))
    else:
        made = _read(part)  # the old bytes are overwritten already
        if made is None or made.root != target.root or not is_forgotten(made, plan.tag, target.rows):
            raise Refused(f"{path}: neither as it was when the forgetting began nor as it should be; restore it")
    if path.exists():
        _overwrite(path)
    part.replace(path)
    sync_names(path.parent)


def _renew(folder: Path, plan: Plan) -> None:
    """Name the present version as an earlier one, and put the next in its place."""
    path, fresh = folder / OPENINGS, plan.fresh
    found = _read(path)
    if found is not None and found.root == fresh.root:
        return
    if plan.previous is not None:
        write_whole(folder / _previous_name(fresh.root), canon.pack(plan.previous), mode=0o600)
    if found is not None:
        path.replace(folder / kept_name(found.root))
        sync_names(folder)
    write_whole(path, canon.pack(fresh), mode=0o600)


def _write_beside(part: Path, data: bytes) -> None:
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    sync_names(part.parent)


def _overwrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(bytes(path.stat().st_size))
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path) -> Openings | None:
    try:
        return read_openings(path.read_bytes())
    except (Refused, FileNotFoundError):
        return None


def _root(path: Path) -> bytes | None:
    found = _read(path)
    return None if found is None else found.root
