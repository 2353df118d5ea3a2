"""The salted commitment to a table's records."""

from __future__ import annotations

from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caduceus import canon
from caduceus.data.commitment import Openings, RecordProof, commit, verify
from caduceus.data.schema import Column, Schema
from caduceus.data.table import Table
from caduceus.errors import Misuse, Refused

SCHEMA = Schema(
    title="two columns",
    columns=tuple(Column(name, "number", "feature", "", "", -9.0, 9.0, (), False, None) for name in ("a", "b")),
)


def table(rows: int) -> Table:
    return Table(SCHEMA, np.arange(2.0 * rows).reshape(2, rows))


def salts(rows: int, *, seed: int = 0) -> bytes:
    return b"".join(sha256(bytes([seed]) + i.to_bytes(4, "big")).digest() for i in range(rows))


def record(of: Table, position: int) -> bytes:
    return of.record_bytes()[position].tobytes()


def test_the_root_is_the_tree_that_the_format_describes():
    one = table(3)
    leaves = [sha256(b"\x00" + salts(3)[32 * i : 32 * i + 32] + record(one, i)).digest() for i in range(3)]
    left = sha256(b"\x01" + leaves[0] + leaves[1]).digest()
    right = sha256(b"\x01" + leaves[2] + bytes(32)).digest()
    assert commit(one, salts(3)).root == sha256(b"\x01" + left + right).digest()


@given(st.integers(1, 40), st.data())
def test_every_record_is_shown_and_no_other_passes_for_it(rows: int, data: st.DataObject):
    position = data.draw(st.integers(0, rows - 1))
    one = table(rows)
    openings = commit(one, salts(rows))
    proof = canon.unpack(RecordProof, canon.pack(openings.prove(position)))
    assert verify(openings.root, record(one, position), proof)
    other = record(table(rows + 1), position)
    assert not verify(openings.root, other, proof)


def test_a_proof_with_anything_altered_fails():
    one = table(5)
    openings = commit(one, salts(5))
    good = openings.prove(3)
    siblings = good.siblings
    for bad in (
        RecordProof(2, 5, good.salt, siblings),
        RecordProof(-1, 5, good.salt, siblings),
        RecordProof(3, 9, good.salt, siblings),
        RecordProof(3, 5, good.salt[::-1], siblings),
        RecordProof(3, 5, good.salt[:-1], siblings),
        RecordProof(3, 5, good.salt, siblings[::-1]),
        RecordProof(3, 5, good.salt, siblings[:-1]),
    ):
        assert not verify(openings.root, record(one, 3), bad)
    assert not verify(bytes(32), record(one, 3), good)


def test_other_salts_give_another_root_for_the_same_records():
    assert commit(table(5), salts(5)).root != commit(table(5), salts(5, seed=1)).root


def test_an_erased_salt_ends_the_proof_of_its_record_and_of_no_other():
    one = table(5)
    before = commit(one, salts(5))
    after = before.erase([3])
    assert after.root == before.root
    assert verify(after.root, record(one, 2), after.prove(2))
    with pytest.raises(Refused, match="erased"):
        after.prove(3)
    assert before.salts[3].tobytes() not in canon.pack(after)


def test_openings_survive_their_canonical_bytes():
    openings = commit(table(5), salts(5)).erase([1])
    again = canon.unpack(Openings, canon.pack(openings))
    assert again == openings
    assert again.prove(4) == openings.prove(4)


def test_an_empty_table_has_the_empty_root():
    assert commit(table(0), b"").root == bytes(32)


def test_too_few_or_repeated_salts_are_a_callers_bug():
    with pytest.raises(Misuse, match="160 bytes of salt for 6"):
        commit(table(6), salts(5))
    with pytest.raises(Misuse, match="used twice"):
        commit(table(2), salts(1) * 2)
    with pytest.raises(Misuse, match="no record 5"):
        commit(table(5), salts(5)).prove(5)
