"""The lines of a node's audit log: one JSON object each, in one byte form, holding the SHA-256 of the line before.

A line's digest is over its bytes with the newline, so that `tail -n 1 FILE | sha256sum` says what the head is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from caduceus.canon import digest_bytes
from caduceus.edges.watching.detail import Value
from caduceus.kinds import Digest

FORM = "caduceus/audit-log/1"
"""What the first line of every file says of its form."""

ORIGIN = Digest(bytes(32))
"""What the first line of all has for the digest of the line before."""

LONGEST_LINE = 8192
"""Bytes, with the newline; a writer's lines are far shorter."""


class Kind(Enum):
    """What a line is about: what was asked of this node, what it decided, what left it, what it got."""

    FILE = "file"
    """The first line of a file; says whose log it is."""
    STARTED = "started"
    STOPPED = "stopped"
    REPAIRED = "repaired"
    """A last line that a crash had cut was set aside."""
    ASKED = "asked"
    ALLOWED = "allowed"
    REFUSED = "refused"
    LEFT = "left"
    """Bytes that leave this node, by digest and size."""
    RESERVED = "reserved"
    """Privacy budget that a job takes."""
    RELEASED = "released"
    """Privacy budget that came back."""
    SIGNED = "signed"
    """A transaction, or a consent to one."""
    PAID = "paid"


@dataclass(frozen=True, slots=True)
class Head:
    """Where a log ends: publish it, and what is before it can't be changed unseen.

    lines   how many there are, from the first one ever
    digest  of the last one
    """

    lines: int
    digest: Digest


def encode(number: int, before: Digest, kind: str, at: str, fields: Mapping[str, Value]) -> bytes:
    """A line's bytes, newline included.

    number  from 0, over all files
    at      the writer's clock, UTC
    """
    return _bytes_of({**fields, "at": at, "before": before.hex(), "kind": kind, "n": number})


def _bytes_of(tree: Mapping[str, Any]) -> bytes:
    return json.dumps(tree, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n"


def read(line: bytes) -> dict[str, Any]:
    """A line as an object.

    Raises ValueError, saying what is wrong, if these are not the bytes of a line.
    """
    if len(line) > LONGEST_LINE:
        raise ValueError("too long for a line")
    try:
        tree = json.loads(line.decode("ascii"))
    except (ValueError, RecursionError):
        raise ValueError("not an object of JSON") from None
    if not isinstance(tree, dict):
        raise ValueError("not an object of JSON")
    kinds = {"n": int, "before": str, "kind": str, "at": str}
    if any(type(tree.get(key)) is not kind for key, kind in kinds.items()):
        raise ValueError("n, before, kind or at is missing, or is not what it should be")
    if tree["n"] < 0 or not _is_digest(tree["before"]):
        raise ValueError("n or before is not what it should be")
    if _rewritten(tree) != line:
        raise ValueError("not written as this log writes")
    return tree


def _is_digest(text: str) -> bool:
    return len(text) == 64 and set(text) <= set("0123456789abcdef")


def _rewritten(tree: Mapping[str, Any]) -> bytes:
    try:
        return _bytes_of(tree)
    except ValueError:
        return b""


def digest_of(line: bytes) -> Digest:
    """What the next line holds of this one."""
    return digest_bytes(line)
