"""What a party keeps on its own disk and shows to nobody."""

from __future__ import annotations

import secrets
from pathlib import Path

from caduceus import canon
from caduceus.data.commitment import SALT_BYTES, Openings, commit
from caduceus.data.table import Table
from caduceus.edges.workspace import write_whole
from caduceus.errors import Refused


def load_or_commit(path: Path, table: Table) -> Openings:
    """The openings of a table's commitment, made with fresh salts first if there are none.

    path  the steward's file; readable by its owner alone

    Raises Refused if the file is of another table: a changed table is a new data set.
    """
    if not path.exists():
        made = commit(table, secrets.token_bytes(SALT_BYTES * table.rows))
        write_whole(path, canon.pack(made), mode=0o600)
    try:
        openings = canon.unpack(Openings, path.read_bytes())
    except Refused as problem:
        raise Refused(f"{path}: not a file of openings ({problem})") from None
    if len(openings.salts) != table.rows or commit(table, openings.salts.tobytes()).root != openings.root:
        raise Refused(
            f"{path}: commits to other records than the table now holds; register the changed table as a new data set"
        )
    return openings
