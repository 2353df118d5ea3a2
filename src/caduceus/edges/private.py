"""What a party keeps on its own disk and shows to nobody."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path

from caduceus import canon
from caduceus.data.commitment import SALT_BYTES, Openings, read_openings
from caduceus.data.forgetting import commit_again
from caduceus.data.membership import BLIND_BYTES, TOKEN_BYTES, mark, name_patients
from caduceus.data.table import Table
from caduceus.edges.forgetting_files import finish
from caduceus.edges.workspace import write_whole
from caduceus.errors import Refused


def load_or_commit(path: Path, table: Table) -> Openings:
    """The openings of a table's commitment, made with fresh salts first if there are none.

    path  the steward's file; readable by its owner alone. A patient's token is the one of the versions that are kept
          beside it as `NAME.VERSION`

    A forgetting that was begun beside it is finished first.

    Raises Refused if the file is of another table: a changed table is a new data set.
    """
    finish(path.parent)
    if not path.exists():
        write_whole(path, canon.pack(make(table, known_tokens(path, name_patients(table)[0]))), mode=0o600)
    openings = load(path)
    if not openings.holds(table):
        raise Refused(
            f"{path}: commits to other records than the table now holds; register the changed table as a new data set"
        )
    return openings


def load(path: Path) -> Openings:
    """The openings in a file.

    Raises Refused, naming it, if they are none.
    """
    try:
        return read_openings(path.read_bytes())
    except Refused as problem:
        raise Refused(f"{path}: not a file of openings ({problem})") from None


def make(table: Table, known: dict[str, bytes] | None = None) -> Openings:
    """A commitment to a table, with fresh secrets from the operating system's generator.

    known  tokens of patients by name
    """
    people = len(name_patients(table)[0])
    return commit_again(
        table,
        secrets.token_bytes(SALT_BYTES * table.rows),
        [secrets.token_bytes(TOKEN_BYTES) for _ in range(people)],
        [secrets.token_bytes(BLIND_BYTES) for _ in range(people)],
        known or {},
    )


def versions(path: Path) -> Iterator[tuple[Path, Openings]]:
    """The openings that are kept beside a file, then the file's own, if there is one.

    Raises Refused, naming the file, if one is damaged.
    """
    kept = [one for one in sorted(path.parent.glob(f"{path.name}.*")) if one.suffix != ".part"]
    for one in (*kept, *([path] if path.exists() else [])):
        yield one, load(one)


def known_tokens(path: Path, names: Iterable[str]) -> dict[str, bytes]:
    """The tokens that patients of these names have, from all versions; those without one are left out."""
    holders = [openings.holders for _, openings in versions(path) if openings.holders is not None]
    found: dict[str, bytes] = {}
    for one in holders:
        tokens = dict(zip(map(bytes, one.marks), map(bytes, one.tokens), strict=True))
        found |= {name: token for name in names if any(token := tokens.get(mark(one.key, name), b""))}
    return found
