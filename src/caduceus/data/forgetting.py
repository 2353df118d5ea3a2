"""Forgetting a patient: what is left of a commitment, and what the next version of the data set commits to.

Erased are the salts of the patient's rows, the token, the blind and the name. The leaves stay, so that the root and
everybody else's proofs stay what they are; without salt and blind they are noise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from caduceus import canon
from caduceus.data.commitment import Openings, commit_for
from caduceus.data.membership import are_named, name_patients
from caduceus.data.table import Table
from caduceus.errors import Misuse, Refused


@canon.record("data/previous/1")
class Previous:
    """The data set on the chain that a new version is to supersede.

    dataset  its identifier, 32 bytes
    budget_micro, delta_pico  its privacy budget, which the new version has too
    """

    dataset: bytes
    budget_micro: int
    delta_pico: int


def rows_under(openings: Openings, tag: bytes, name: str, table: Table) -> tuple[int, ...]:
    """Which rows of a commitment are a patient's.

    tag    of the patient's token
    name   the site's own identifier, for a commitment to records alone, in which nobody has a tag
    table  as the site has it now; such a commitment must be to it

    Raises Refused if the commitment is to records alone, and of another table.
    """
    if openings.holders is not None:
        place = openings.holders.place_of(tag)
        return () if place is None else openings.holders.rows_of(place)
    if not openings.holds(table):
        raise Refused(
            "is to records alone, and to another table than the present one: nothing says whose rows are whose"
        )
    names, index = name_patients(table)
    return tuple(np.flatnonzero(index == names.index(name)).tolist()) if name in names else ()


def forget(openings: Openings, tag: bytes, rows: Sequence[int]) -> Openings:
    """The openings without anything that links a patient to them; the root stays what it is.

    tag   of the patient's token
    rows  the patient's, from `rows_under`

    The caller destroys every copy of the old openings: only that makes the forgetting real.
    """
    erased, holders = openings.erase(rows), openings.holders
    place = None if holders is None else holders.place_of(tag)
    if holders is None or place is None:
        return erased
    owners, marks = holders.owners.copy(), holders.marks.copy()
    tokens, blinds = holders.tokens.copy(), holders.blinds.copy()
    owners[owners == place] = -1
    marks[place] = tokens[place] = blinds[place] = 0
    return replace(erased, holders=replace(holders, owners=owners, marks=marks, tokens=tokens, blinds=blinds))


def is_forgotten(openings: Openings, tag: bytes, rows: Sequence[int]) -> bool:
    """Whether nothing of a patient is left in openings that could show anything."""
    holders = openings.holders
    place = None if holders is None else holders.place_of(tag)
    if openings.salts[list(rows)].any():
        return False
    if holders is None or place is None:
        return True
    return not any(array[place].any() for array in (holders.marks, holders.tokens, holders.blinds))


def without(table: Table, name: str) -> Table:
    """A table without a patient's rows; the same table if the patient is not in it."""
    names, index = name_patients(table)
    if name not in names:
        return table
    return table.select(index != names.index(name))


def commit_again(
    table: Table, salts: bytes, tokens: Sequence[bytes], blinds: Sequence[bytes], known: Mapping[str, bytes]
) -> Openings:
    """Commit to the next version of a table: fresh salts and blinds, and for a patient who has a token the same one.

    tokens, blinds  fresh, one per patient
    known           tokens of patients by name, from versions before; all zeros stand for a forgotten one

    Raises Misuse as `commit_for`.
    """
    names, _ = name_patients(table)
    if len(tokens) != len(names):
        raise Misuse(f"commit_again: {len(tokens)} tokens for {len(names)} patients")
    kept = known if are_named(table) else {}
    carried = [
        known_token if any(known_token := kept.get(name, b"")) else fresh
        for name, fresh in zip(names, tokens, strict=True)
    ]
    return commit_for(table, salts, carried, blinds)
