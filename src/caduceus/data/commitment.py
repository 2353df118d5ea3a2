"""A commitment to every record of a table, each under its own salt, and to whose records they are.

The root stands on the chain. With its salt a single record can later be shown to have been in the table; with a token a
patient can be shown which records are theirs, or that none are (see `data.membership`). Without salts and tokens the
leaves are noise, so erasing them cuts the link between a patient and the chain for good.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

import numpy as np
import numpy.typing as npt

from caduceus import canon
from caduceus.crypto import merkle
from caduceus.data.membership import (
    Absent,
    Holders,
    Present,
    Roots,
    RowProof,
    hold,
    marks_of,
    name_patients,
    prove_absent,
    tag_of,
)
from caduceus.data.table import Table
from caduceus.errors import Misuse, Refused
from caduceus.kinds import Digest

SALT_BYTES = 32
"""Bytes of salt per record."""


@canon.record("data/record-proof/1")
class RecordProof:
    """Shows that a record stands under a tree of records.

    position  of the record in the table
    size      how many records the table has
    salt      the record's, 32 bytes
    siblings  32 bytes each, from the bottom up

    Reveals: to whoever also has the record, that it was in the table, and where; nothing of others.
    """

    position: int
    size: int
    salt: bytes
    siblings: tuple[bytes, ...]


@canon.record("data/openings/2")
class Openings:
    """What a steward keeps of a commitment, and keeps secret: all salts and leaves, and whose they are.

    salts    uint8[rows, 32]; zeros where the salt was erased
    leaves   uint8[rows, 32]
    holders  whose rows they are; None in a commitment to records alone
    """

    salts: npt.NDArray[np.uint8]
    leaves: npt.NDArray[np.uint8]
    holders: Holders | None = None

    @property
    def records_root(self) -> Digest:
        """The Merkle root over the leaves of the records."""
        return merkle.root(_rows(self.leaves))

    @property
    def root(self) -> Digest:
        """What is published: the digest over both roots, or the root of the records where there is nothing else."""
        if self.holders is None:
            return self.records_root
        return canon.digest(Roots(self.records_root, self.holders.tree().root))

    def holds(self, table: Table) -> bool:
        """Whether this is a commitment to a table: to these records, in this order, of these patients."""
        if len(self.salts) != table.rows or _leaves(table, self.salts) != self.leaves.tobytes():
            return False
        if self.holders is None or not table.rows:
            return True
        owners, (names, index) = self.holders.owners, name_patients(table)
        wanted = marks_of(self.holders.key, names)
        return bool((owners >= 0).all() and (self.holders.marks[owners] == wanted[index]).all())

    def prove(self, position: int) -> RecordProof:
        """The proof for one record, under `records_root`.

        Raises Misuse if there is no such record, and Refused if its salt was erased.
        """
        if not 0 <= position < len(self.salts):
            raise Misuse(f"Openings: no record {position} among {len(self.salts)}")
        if not self.salts[position].any():
            raise Refused("this record's salt was erased: nothing links it to the commitment any more")
        tree = merkle.Tree(_rows(self.leaves))
        return RecordProof(position, len(self.leaves), self.salts[position].tobytes(), tree.proof(position))

    def prove_for(self, token: bytes, table: Table | None = None) -> Present | Absent:
        """What a patient gets who holds a token: the proof of all of their rows, or that there is none.

        table  as the site has it now; rows that it has as they were are shown with what they say

        Raises Refused if this is a commitment to records alone, or if the patient was forgotten.
        """
        if self.holders is None:
            raise Refused("this commitment is of an older kind, to records and not to patients; make a new version")
        place = self.holders.place_of(tag_of(token))
        if place is None:
            return prove_absent(self.holders, self.records_root, token)
        if not self.holders.tokens[place].any():
            raise Refused("this patient was forgotten: the salts are erased, and nothing can be shown any more")
        tree = merkle.Tree(_rows(self.leaves))
        known = {} if table is None else _by_leaf(table, self.salts[list(self.holders.rows_of(place))])
        rows = []
        for position in self.holders.rows_of(place):
            leaf, salt = self.leaves[position].tobytes(), self.salts[position].tobytes()
            record = known.get(leaf, b"")
            rows.append(RowProof(position, leaf, salt if record else b"", record, tree.proof(position)))
        patients = self.holders.tree()
        return Present(
            Roots(tree.root, patients.root),
            place + 1,  # behind the leaf at the start that is nobody's
            self.holders.blinds[place].tobytes(),
            patients.proof(place + 1),
            tuple(rows),
        )

    def token_for(self, name: str) -> bytes | None:
        """The token of a patient by the site's own identifier; None if there is no such patient here."""
        place = None if self.holders is None else self.holders.find(name)
        return None if self.holders is None or place is None else bytes(self.holders.tokens[place])

    def erase(self, positions: Sequence[int]) -> Openings:
        """The openings without the salts of some records; the root stays what it is.

        The caller destroys every copy of the old openings: only that makes the erasure real.
        """
        salts = self.salts.copy()
        salts[list(positions)] = 0
        return replace(self, salts=salts)


@canon.record("data/openings/1")
class _FirstOpenings:
    """Openings as they were kept before patients had tokens."""

    salts: npt.NDArray[np.uint8]
    leaves: npt.NDArray[np.uint8]


def read_openings(data: bytes) -> Openings:
    """Openings of this form or the one before.

    Raises Refused if they are neither, or their arrays do not fit one another.
    """
    if canon.peek_tag(data) == canon.tag_of(_FirstOpenings):
        first = canon.unpack(_FirstOpenings, data)
        found = Openings(first.salts, first.leaves)
    else:
        found = canon.unpack(Openings, data)
    rows, holders = len(found.salts), found.holders
    shapes = [(found.salts, (rows, SALT_BYTES), "|u1"), (found.leaves, (rows, 32), "|u1")]
    if holders is not None:
        people = len(holders.marks)
        shapes += [(holders.owners, (rows,), "<i8")]  # type: ignore[list-item]
        shapes += [(one, (people, 32), "|u1") for one in holders.arrays]
        if (
            rows
            and holders.owners.shape == (rows,)
            and not (-1 <= holders.owners.min() <= holders.owners.max() < people)
        ):
            raise Refused("openings: a row is of a patient that there is not")
    if any(array.shape != shape or array.dtype.str != kind for array, shape, kind in shapes):
        raise Refused("openings: their arrays do not fit one another")
    return found


def commit(table: Table, salts: bytes) -> Openings:
    """Commit to every record of a table.

    salts  32 fresh bytes per record from the operating system's generator; never used before

    Raises Misuse if there are not 32 bytes per record, or a record's salt repeats another's.
    """
    if len(salts) != SALT_BYTES * table.rows:
        raise Misuse(f"commit: {len(salts)} bytes of salt for {table.rows} records; {SALT_BYTES} each are needed")
    salt = np.frombuffer(salts, np.uint8).reshape(table.rows, SALT_BYTES)
    if len(set(_rows(salt))) < table.rows:
        raise Misuse("commit: a salt is used twice; take fresh ones from the operating system's generator")
    leaves = np.frombuffer(_leaves(table, salt), np.uint8).reshape(table.rows, 32)
    return Openings(salt, leaves)


def commit_for(table: Table, salts: bytes, tokens: Sequence[bytes], blinds: Sequence[bytes]) -> Openings:
    """Commit to every record of a table, and to whose records they are.

    tokens  one per patient, in the order of `membership.name_patients`; a patient's own in every version
    blinds  likewise, fresh

    Raises Misuse as `commit` and `membership.hold`.
    """
    made = commit(table, salts)
    return replace(made, holders=hold(made.leaves, table, tokens, blinds))


def verify(root: bytes, record: bytes, proof: RecordProof) -> bool:
    """Whether a record stands under a root of records.

    record  its canonical bytes (a row of `Table.record_bytes`)
    """
    if len(proof.salt) != SALT_BYTES:
        return False
    leaf = merkle.leaf(proof.salt + record)
    return merkle.verify(root, leaf, position=proof.position, siblings=proof.siblings, size=proof.size)


def _leaves(table: Table, salts: npt.NDArray[np.uint8]) -> bytes:
    data = _rows(np.hstack([salts, table.record_bytes()]))
    return b"".join([sha256(b"\x00" + one).digest() for one in data])  # as merkle.leaf, without a call per record


def _by_leaf(table: Table, salts: npt.NDArray[np.uint8]) -> dict[bytes, bytes]:
    """The records that some salts, one by one, turn into leaves: the bytes of each by its leaf."""
    records = _rows(table.record_bytes())
    return {merkle.leaf(salt + record): record for salt in _rows(salts) for record in records}


def _rows(array: npt.NDArray[np.uint8]) -> list[bytes]:
    data, width = array.tobytes(), array.shape[1]
    return [data[start : start + width] for start in range(0, len(data), width)]
