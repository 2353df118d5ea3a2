"""A commitment to every record of a table, each under its own salt.

The root stands on the chain. With its salt a single record can later be shown to have been in the table;
without it the leaf is noise, so erasing a salt cuts the link between a patient and the chain for good.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import numpy as np
import numpy.typing as npt

from caduceus import canon
from caduceus.crypto import merkle
from caduceus.data.table import Table
from caduceus.errors import Misuse, Refused
from caduceus.kinds import Digest

SALT_BYTES = 32
"""Bytes of salt per record."""


@canon.record("data/record-proof/1")
class RecordProof:
    """Shows that a record stands under a commitment's root.

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


@canon.record("data/openings/1")
class Openings:
    """What a steward keeps of a commitment, and keeps secret: all salts and leaves.

    salts   uint8[rows, 32]; zeros where the salt was erased
    leaves  uint8[rows, 32]
    """

    salts: npt.NDArray[np.uint8]
    leaves: npt.NDArray[np.uint8]

    @property
    def root(self) -> Digest:
        """What is published: the Merkle root over the leaves."""
        return merkle.root(_rows(self.leaves))

    def prove(self, position: int) -> RecordProof:
        """The proof for one record.

        Raises Misuse if there is no such record, and Refused if its salt was erased.
        """
        if not 0 <= position < len(self.salts):
            raise Misuse(f"Openings: no record {position} among {len(self.salts)}")
        if not self.salts[position].any():
            raise Refused("this record's salt was erased: nothing links it to the commitment any more")
        tree = merkle.Tree(_rows(self.leaves))
        return RecordProof(position, len(self.leaves), self.salts[position].tobytes(), tree.proof(position))

    def erase(self, positions: Sequence[int]) -> Openings:
        """The openings without the salts of some records; the root stays what it is.

        The caller destroys every copy of the old openings: only that makes the erasure real.
        """
        salts = self.salts.copy()
        salts[list(positions)] = 0
        return Openings(salts, self.leaves)


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
    data = _rows(np.hstack([salt, table.record_bytes()]))
    leaves = b"".join([sha256(b"\x00" + one).digest() for one in data])  # as merkle.leaf, without a call per record
    return Openings(salt, np.frombuffer(leaves, np.uint8).reshape(table.rows, 32))


def verify(root: bytes, record: bytes, proof: RecordProof) -> bool:
    """Whether a record stands under a root.

    record  its canonical bytes (a row of `Table.record_bytes`)
    """
    if len(proof.salt) != SALT_BYTES:
        return False
    leaf = merkle.leaf(proof.salt + record)
    return merkle.verify(root, leaf, position=proof.position, siblings=proof.siblings, size=proof.size)


def _rows(array: npt.NDArray[np.uint8]) -> list[bytes]:
    data, width = array.tobytes(), array.shape[1]
    return [data[start : start + width] for start in range(0, len(data), width)]
