"""The commands that look at a party's process: its status, and its audit log."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from caduceus.cli.tables import plain_table, whole
from caduceus.edges.watching.audit_check import Verified, verify
from caduceus.edges.watching.status import Status, is_running, read_status
from caduceus.errors import Refused
from caduceus.kinds import Digest

_SECONDS = ((86_400, "d"), (3_600, "h"), (60, "min"))
_SHOWN = 12  # characters of a job's identifier


def verify_log(path: Path, head: str | None) -> None:
    """Check an audit log line by line, and whether a head that was kept is in it.

    path  the log's folder, or one of its files
    head  64 hex digits

    Raises Refused, naming the first bad line, if the chain is broken or does not lead to the head.
    """
    wanted = None if head is None else _digest(head)
    found = verify(path, head=wanted)
    console = Console(highlight=False)
    _say_found(console, path, found)
    if found.fault is not None:
        raise Refused(f"{found.fault.file}, line {found.fault.line}: {found.fault.why}")
    if wanted is None:
        console.print(
            "No head was given: that the end was not cut off, or all of it written again, only a head shows that "
            "somebody else has kept (--head).",
            soft_wrap=True,
        )
    elif found.found is None:
        raise Refused(
            f"{path}: no line has the digest {wanted.hex()}; the end was cut off, the log was written again, or the "
            "head is of another log"
        )
    else:
        since = found.head.lines - 1 - found.found
        console.print(f"The head that was given is line number {found.found}; {whole(since)} came after it.")


def _say_found(console: Console, path: Path, found: Verified) -> None:
    good = found.head.lines - found.first
    files = f"{len(found.files)} file{'' if len(found.files) == 1 else 's'}"
    console.print(f"{path}: {whole(good)} good lines in {files}", markup=False, soft_wrap=True)
    if found.first:
        console.print(f"Begins with line number {found.first}; what it says of earlier ones was taken on trust.")
    if found.torn:
        console.print(f"Ends with {found.torn} bytes of a line that a crash cut; the next start sets them aside.")
    console.print(f"Head: {found.head.digest.hex()}", soft_wrap=True)


def _digest(text: str) -> Digest:
    try:
        raw = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        raw = b""
    if len(raw) != 32:
        raise Refused("--head: not 64 hex digits")
    return Digest(raw)


def show_status(folder: Path, *, as_json: bool) -> None:
    """Show what a role's process says of itself.

    folder   the party's
    as_json  for other programs: the status, and whether its process runs

    Raises Refused if there is no status.
    """
    status, runs = read_status(folder), is_running(folder)
    if as_json:
        said = {"running": runs, **status.model_dump(mode="json")}
        print(json.dumps(said, indent=1))  # noqa: T201  (for other programs: nothing may wrap or colour it)
        return
    now = datetime.now(UTC)
    console = Console(highlight=False)
    _show_process(console, status, now, runs=runs)
    _show_jobs(console, status, now)
    _show_refusals(console, status, now)


def _show_process(console: Console, status: Status, now: datetime, *, runs: bool) -> None:
    table = plain_table(f"{status.party} ({status.role})", "", "")
    state = status.connection if runs else "not running" if status.connection == "stopped" else "gone without a word"
    colour = "green" if runs and status.connection == "connected" else "yellow" if runs else "red"
    table.add_row("State", f"[{colour}]{state}[/{colour}]")
    table.add_row("Process", f"{status.process}, since {_moment(status.since)} ({_ago(status.since, now)})")
    table.add_row("Last change", _ago(status.at, now))
    if status.chain is None:
        table.add_row("Chain", "not seen yet")
    else:
        lag = f"{status.chain.lag:.0f} s old when seen, {_ago(status.chain.at, now)}"
        table.add_row("Chain", f"block {whole(status.chain.height)}, {lag}")
    table.add_row("Waiting to be sent", whole(status.outbox))
    if status.audit_head is not None:
        table.add_row("Audit log", f"{whole(status.audit_lines or 0)} lines, head {status.audit_head}")
    console.print(table)


def _show_jobs(console: Console, status: Status, now: datetime) -> None:
    if not status.jobs:
        console.print("No job yet.")
        return
    right = ("round", "unanchored")
    table = plain_table("Jobs", "job", "stage", "round", "unanchored", "last event", "", right=right)
    for one in status.jobs:
        round = "–" if one.round is None else str(one.round)
        table.add_row(
            f"{one.job[:_SHOWN]}…",
            *map(escape, (one.stage, round, str(one.unanchored), one.event)),
            _ago(one.at, now),
        )
    console.print(table)


def _show_refusals(console: Console, status: Status, now: datetime) -> None:
    if not status.refused:
        console.print("Nothing was refused and nothing failed.")
        return
    shown = len(status.refusals)
    title = f"Refused or failed: {whole(status.refused)}" + (f", the last {shown}" if shown < status.refused else "")
    table = plain_table(title, "", "class", "reason")
    for one in status.refusals:
        table.add_row(_ago(one.at, now), escape(one.kind), escape(one.reason))
    console.print(table)


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _ago(at: datetime, now: datetime) -> str:
    seconds = max(0, int((now - at).total_seconds()))
    for size, unit in _SECONDS:
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"
