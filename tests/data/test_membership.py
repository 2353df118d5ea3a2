"""What a patient is shown of a commitment: all of their rows, or that there is none; and nothing of anyone else."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caduceus import canon
from caduceus.crypto import merkle
from caduceus.data.commitment import Openings, commit, commit_for, read_openings
from caduceus.data.forgetting import commit_again, forget, is_forgotten, rows_under, without
from caduceus.data.membership import (
    Absent,
    Present,
    name_patients,
    tag_of,
    verify_absent,
    verify_present,
)
from caduceus.data.schema import Column, Schema
from caduceus.data.table import Table
from caduceus.errors import Misuse, Refused

SCHEMA = Schema(
    title="two columns",
    columns=tuple(Column(name, "number", "feature", "", "", -900.0, 900.0, (), False, None) for name in ("a", "b")),
)
VISITS = ("Ada", "Ben", "Ada", "Cleo", "Ben", "Ada")


def table(visits: tuple[str, ...] = VISITS, *, of: str = "patient") -> Table:
    values = np.arange(2.0 * len(visits)).reshape(2, len(visits))
    return Table(SCHEMA, values, {"patient": np.array(visits, dtype=np.str_)}, of)


def secret(*parts: object) -> bytes:
    return sha256(repr(parts).encode()).digest()


def committed(one: Table, *, seed: int = 0, known: dict[str, bytes] | None = None) -> Openings:
    people = range(len(name_patients(one)[0]))
    return commit_again(
        one,
        b"".join(secret("salt", seed, row) for row in range(one.rows)),
        [secret("token", seed, person) for person in people],
        [secret("blind", seed, person) for person in people],
        known or {},
    )


def token(openings: Openings, name: str) -> bytes:
    found = openings.token_for(name)
    assert found is not None
    return found


def test_a_patient_is_shown_all_of_their_rows_with_what_they_say():
    one = table()
    openings = committed(one)
    proof = openings.prove_for(token(openings, "Ada"), one)
    assert isinstance(proof, Present)
    assert [row.position for row in proof.rows] == [0, 2, 5]
    assert [row.record for row in proof.rows] == [one.record_bytes()[row].tobytes() for row in (0, 2, 5)]
    assert verify_present(openings.root, token(openings, "Ada"), canon.unpack(Present, canon.pack(proof)))
    assert not verify_present(openings.root, token(openings, "Ben"), proof)
    assert not verify_present(secret("root"), token(openings, "Ada"), proof)


def test_the_published_root_is_the_digest_over_the_two_trees_that_the_format_describes():
    one = table(("Ada", "Ben"))
    openings = committed(one)
    rows = [secret("salt", 0, i) + one.record_bytes()[i].tobytes() for i in range(2)]
    leaves = [sha256(b"\0" + row).digest() for row in rows]
    records = sha256(b"\1" + b"".join(leaves)).digest()
    people = []
    for i in range(2):
        tag = sha256(b"caduceus/patient-tag" + secret("token", 0, i)).digest()
        body = secret("blind", 0, i) + (1).to_bytes(8, "big") + i.to_bytes(8, "big") + leaves[i]
        people.append(tag + sha256(b"caduceus/patient-rows" + body).digest())
    ends = [bytes(64), *sorted(people), b"\xff" * 32 + bytes(32)]
    a, b, c, d = (sha256(b"\0" + end).digest() for end in ends)
    patients = sha256(b"\1" + sha256(b"\1" + a + b).digest() + sha256(b"\1" + c + d).digest()).digest()
    assert (
        openings.root == sha256(b"\x83" + b"\x6cdata/roots/1" + b"\x58\x20" + records + b"\x58\x20" + patients).digest()
    )


@given(st.lists(st.sampled_from("ABCDEFGH"), max_size=14), st.binary(min_size=32, max_size=32))
def test_whoever_is_not_in_it_is_shown_that_and_whoever_is_cannot_be(visits: list[str], stranger: bytes):
    one = table(tuple(visits))
    openings = committed(one)
    proof = openings.prove_for(stranger)
    assert isinstance(proof, Absent)
    assert verify_absent(openings.root, stranger, canon.unpack(Absent, canon.pack(proof)))
    for name in set(visits):
        assert isinstance(openings.prove_for(token(openings, name), one), Present)
        assert not verify_absent(openings.root, token(openings, name), proof)


def test_a_gap_that_is_none_proves_nothing():
    openings = committed(table(tuple("ABCDEFGH")))
    assert openings.holders is not None
    tree, holders = openings.holders.tree(), openings.holders
    proof = openings.prove_for(secret("stranger"))
    assert isinstance(proof, Absent)
    own = holders.tokens[4].tobytes()
    wide = []  # leaves that are not side by side, with the patient's between them
    for place in (4, 6):
        tag, inner = holders.tags[place - 1].tobytes(), holders.inners[place - 1].tobytes()
        wide.append(replace(proof.before, tag=tag, inner=inner, siblings=tree.proof(place)))
    assert wide[0].tag < tag_of(own) < wide[1].tag
    assert not verify_absent(openings.root, own, replace(proof, place=4, before=wide[0], behind=wide[1]))


def test_a_proof_with_anything_altered_fails():
    one = table()
    openings = committed(one)
    own = token(openings, "Ada")
    good = openings.prove_for(own, one)
    assert isinstance(good, Present)
    first, *rest = good.rows
    for bad in (
        replace(good, place=good.place ^ 1),
        replace(good, place=-1),
        replace(good, blind=secret("other")),
        replace(good, blind=b""),
        replace(good, siblings=good.siblings[:-1]),
        replace(good, rows=()),
        replace(good, rows=tuple(rest)),  # fewer rows than there are
        replace(good, rows=(first, first, *rest)),
        replace(good, rows=(replace(first, record=one.record_bytes()[1].tobytes()), *rest)),
        replace(good, rows=(replace(first, salt=secret("other")), *rest)),
        replace(good, rows=(replace(first, position=1), *rest)),
        replace(good, rows=(replace(first, siblings=first.siblings[:-1]), *rest)),
        replace(good, roots=replace(good.roots, records=good.roots.patients)),
    ):
        assert not verify_present(openings.root, own, bad)
    stranger = secret("stranger")
    none = openings.prove_for(stranger)
    assert isinstance(none, Absent)
    for worse in (
        replace(none, before=none.behind),
        replace(none, behind=none.before),
        replace(none, place=none.place + 1),
        replace(none, before=replace(none.before, tag=none.before.tag + b"\0")),
        replace(none, before=replace(none.before, inner=secret("other"))),
        replace(none, roots=replace(none.roots, patients=none.roots.records)),
    ):
        assert not verify_absent(openings.root, stranger, worse)


def test_a_proof_says_nothing_of_a_neighbour_but_a_random_tag_and_a_blinded_digest():
    one = table()
    openings = committed(one)
    assert openings.holders is not None
    shown = canon.pack(openings.prove_for(secret("stranger"))) + canon.pack(
        openings.prove_for(token(openings, "Cleo"), one)
    )
    for name in ("Ada", "Ben"):
        assert name.encode() not in shown
        assert token(openings, name) not in shown
        place = openings.holders.find(name)
        assert openings.holders.blinds[place].tobytes() not in shown
        for row in openings.holders.rows_of(place):
            assert openings.salts[row].tobytes() not in shown
            assert one.record_bytes()[row].tobytes() not in shown


def test_a_row_that_the_site_no_longer_has_as_it_was_is_shown_without_what_it_says():
    one = table()
    openings = committed(one)
    changed = Table(SCHEMA, one.values + (np.arange(6) == 2), one.labels, one.of)
    proof = openings.prove_for(token(openings, "Ada"), changed)
    assert isinstance(proof, Present)
    assert [bool(row.record) for row in proof.rows] == [True, False, True]
    assert [bool(row.salt) for row in proof.rows] == [True, False, True]
    assert verify_present(openings.root, token(openings, "Ada"), proof)


# ---------------------------------------------------------------- forgetting


def test_nothing_of_a_forgotten_patient_is_left_and_everybody_else_goes_on():
    one = table()
    before = committed(one)
    own, tag = token(before, "Ada"), tag_of(token(before, "Ada"))
    rows = rows_under(before, tag, "Ada", one)
    after = forget(before, tag, rows)
    assert after.root == before.root
    assert is_forgotten(after, tag, rows)
    assert not is_forgotten(before, tag, rows)
    left = canon.pack(after)
    assert before.holders is not None
    place, mark = before.holders.find("Ada"), bytes(before.holders.marks[before.holders.find("Ada")])
    assert b"Ada" not in canon.pack(before)  # nor was it ever
    for gone in (own, mark, before.holders.blinds[place].tobytes(), *(before.salts[row].tobytes() for row in rows)):
        assert gone in canon.pack(before)
        assert gone not in left
    with pytest.raises(Refused, match="forgotten"):
        after.prove_for(own, one)
    with pytest.raises(Refused, match="erased"):
        after.prove(rows[0])
    assert after.token_for("Ada") is None
    assert after.token_for("") is None
    ben = token(after, "Ben")
    assert verify_present(before.root, ben, after.prove_for(ben, one))  # type: ignore[arg-type]
    assert verify_absent(before.root, secret("stranger"), after.prove_for(secret("stranger")))  # type: ignore[arg-type]


def test_the_next_version_has_everyone_else_under_the_same_token_with_fresh_salts():
    one = table()
    before = committed(one)
    rest = without(one, "Ada")
    assert list(rest.labels["patient"]) == ["Ben", "Cleo", "Ben"]
    known = {name: token(before, name) for name in ("Ada", "Ben", "Cleo")}
    fresh = committed(rest, seed=1, known=known)
    assert token(fresh, "Ben") == token(before, "Ben")
    assert not {salt.tobytes() for salt in fresh.salts} & {salt.tobytes() for salt in before.salts}
    assert verify_absent(fresh.root, token(before, "Ada"), fresh.prove_for(token(before, "Ada")))  # type: ignore[arg-type]
    assert without(rest, "Ada") is rest


def test_a_forgotten_patient_who_comes_back_is_somebody_new():
    one = table()
    before = committed(one)
    again = committed(one, seed=1, known={"Ada": bytes(32), "Ben": token(before, "Ben")})
    assert token(again, "Ada") != token(before, "Ada")
    assert token(again, "Ben") == token(before, "Ben")


def test_rows_without_names_are_patients_of_their_own_and_get_new_tokens_in_every_version():
    bare = Table(SCHEMA, np.arange(6.0).reshape(2, 3))
    assert name_patients(bare)[0] == ("row 1", "row 2", "row 3")
    before = committed(bare)
    again = committed(bare, seed=1, known={"row 1": token(before, "row 1")})
    assert token(again, "row 1") != token(before, "row 1")
    named = table(("x", "y", "z"), of="")
    assert name_patients(named)[0] == ("x", "y", "z")
    assert name_patients(table(of=""))[0] == tuple(f"row {i}" for i in range(1, 7))


# ---------------------------------------------------------------- what it holds, and the form before


def test_openings_hold_the_table_that_they_were_made_of_and_no_other():
    one = table()
    openings = committed(one)
    assert openings.holds(one)
    assert not openings.holds(table(("Ada", "Ben", "Ada", "Cleo", "Ben", "Ben")))
    assert not openings.holds(without(one, "Ada"))
    assert not openings.holds(Table(SCHEMA, one.values + 1, one.labels, one.of))
    assert not forget(openings, tag_of(token(openings, "Ada")), (0, 2, 5)).holds(one)
    assert commit(one, b"".join(secret(row) for row in range(6))).holds(one)
    assert committed(table(())).holds(table(()))


def test_openings_of_the_form_before_are_read_and_their_root_is_what_it_was():
    one = table()
    old = commit(one, b"".join(secret(row) for row in range(6)))
    data = canon.pack(old)
    first = b"\x83" + b"\x6fdata/openings/1" + data[1 + 16 : -1]  # without the field that is new
    read = read_openings(first)
    assert (read, read.root) == (old, merkle.root([leaf.tobytes() for leaf in old.leaves]))
    with pytest.raises(Refused, match="of an older kind"):
        read.prove_for(secret("any"))
    assert rows_under(read, b"", "Ben", one) == (1, 4)
    assert rows_under(read, b"", "Nobody", one) == ()
    with pytest.raises(Refused, match="to records alone"):
        rows_under(read, b"", "Ben", without(one, "Ada"))
    forgotten = forget(read, b"", (1, 4))
    assert (forgotten.root, forgotten.salts[1].any()) == (read.root, False)


def test_openings_whose_arrays_do_not_fit_are_refused():
    openings = committed(table())
    holders = openings.holders
    assert holders is not None
    for bad in (
        replace(openings, leaves=openings.leaves[:-1]),
        replace(openings, holders=replace(holders, tokens=holders.tokens[:-1])),
        replace(openings, holders=replace(holders, owners=holders.owners + 1)),
        replace(openings, holders=replace(holders, owners=holders.owners[:-1])),
    ):
        with pytest.raises(Refused, match="openings: "):
            read_openings(canon.pack(bad))


def test_secrets_that_are_missing_or_used_twice_are_a_callers_bug():
    one = table()
    salts = b"".join(secret(row) for row in range(6))
    fresh = [secret("t", i) for i in range(3)]
    with pytest.raises(Misuse, match="tokens are one per patient"):
        commit_for(one, salts, fresh[:2], fresh)
    with pytest.raises(Misuse, match="blinds are one per patient"):
        commit_for(one, salts, fresh, [fresh[0]] * 3)
    with pytest.raises(Misuse, match="a token is 32 bytes"):
        tag_of(b"short")
