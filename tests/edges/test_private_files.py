"""What a site keeps of its commitments: made once, read in both forms, and erased for good, wherever a crash comes."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from caduceus import canon
from caduceus.data.commitment import Openings, commit, read_openings
from caduceus.data.forgetting import rows_under, without
from caduceus.data.membership import name_patients, tag_of, verify_absent, verify_present
from caduceus.data.schema import Column, Schema
from caduceus.data.table import Table
from caduceus.edges.forgetting_files import PLAN, Plan, Target, begin, finish, kept_name
from caduceus.edges.private import known_tokens, load_or_commit, make, versions
from caduceus.errors import Refused

SCHEMA = Schema(title="one column", columns=(Column("a", "number", "feature", "", "", -900.0, 900.0, (), False, None),))
PATIENT = "Canary-Ada"


def table(first: float = 0.0, visits: tuple[str, ...] = (PATIENT, "Ben", PATIENT, "Cleo")) -> Table:
    values = first + np.arange(float(len(visits))).reshape(1, -1)
    return Table(SCHEMA, values, {"patient": np.array(visits, dtype=np.str_)}, "patient")


class Crash(BaseException):
    """The power went."""


def plan_for(folder: Path, one: Table) -> Plan:
    path = folder / "openings"
    tag = tag_of(known_tokens(path, (PATIENT,))[PATIENT])
    targets = tuple(
        Target(file.name, openings.root, rows_under(openings, tag, PATIENT, one)) for file, openings in versions(path)
    )
    return Plan(tag, targets, make(without(one, PATIENT), known_tokens(path, name_patients(without(one, PATIENT))[0])))


def two_versions(folder: Path) -> tuple[Table, tuple[Openings, Openings]]:
    """A site whose table changed once: the openings of both versions are kept."""
    path = folder / "openings"
    first = load_or_commit(path, table())
    path.rename(folder / "openings.2025")
    return table(5.0), (first, load_or_commit(path, table(5.0)))


def secrets_of(openings: Openings) -> list[bytes]:
    """What must be nowhere once the patient is forgotten."""
    holders = openings.holders
    assert holders is not None
    place = holders.find(PATIENT)
    salts = [openings.salts[row].tobytes() for row in holders.rows_of(place)]
    return [*salts, holders.tokens[place].tobytes(), holders.blinds[place].tobytes(), holders.marks[place].tobytes()]


def everything(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def check_forgotten(folder: Path, before: tuple[Openings, Openings], fresh: Openings, token: bytes) -> None:
    left = everything(folder)
    for openings in before:
        for gone in secrets_of(openings):
            assert gone not in left
    found = {openings.root: openings for _, openings in versions(folder / "openings")}
    assert set(found) == {before[0].root, before[1].root, fresh.root}
    for openings in before:
        with pytest.raises(Refused, match="forgotten"):
            found[openings.root].prove_for(token)
        ben = openings.token_for("Ben")
        assert ben is not None
        assert verify_present(openings.root, ben, found[openings.root].prove_for(ben))  # type: ignore[arg-type]
    assert verify_absent(fresh.root, token, found[fresh.root].prove_for(token))  # type: ignore[arg-type]
    assert not (folder / PLAN).exists()
    assert not list(folder.glob("*.part"))


def test_openings_are_made_once_and_are_their_owners_alone(tmp_path):
    path = tmp_path / "openings"
    made = load_or_commit(path, table())
    assert load_or_commit(path, table()) == made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(Refused, match="commits to other records"):
        load_or_commit(path, table(1.0))
    with pytest.raises(Refused, match="commits to other records"):
        load_or_commit(path, table(visits=(PATIENT, "Ben", "Ben", "Cleo")))
    path.write_bytes(b"junk")
    with pytest.raises(Refused, match="openings: not a file of openings"):
        load_or_commit(path, table())


def test_openings_of_the_form_before_go_on(tmp_path):
    old = commit(table(), os.urandom(32 * 4))
    data = canon.pack(old)
    (tmp_path / "openings").write_bytes(b"\x83\x6fdata/openings/1" + data[17:-1])
    assert load_or_commit(tmp_path / "openings", table()).root == old.root
    with pytest.raises(Refused, match="commits to other records"):
        load_or_commit(tmp_path / "openings", table(1.0))


def test_a_patient_has_one_token_in_all_versions_and_fresh_salts_in_each(tmp_path):
    _, (first, second) = two_versions(tmp_path)
    for name in (PATIENT, "Ben", "Cleo"):
        assert first.token_for(name) == second.token_for(name)
    assert not {salt.tobytes() for salt in first.salts} & {salt.tobytes() for salt in second.salts}
    assert set(known_tokens(tmp_path / "openings", (PATIENT, "Ben", "Cleo", "Nobody"))) == {PATIENT, "Ben", "Cleo"}


def test_a_forgotten_patient_is_nowhere_in_the_folder_and_the_next_version_stands(tmp_path):
    one, before = two_versions(tmp_path)
    token = known_tokens(tmp_path / "openings", (PATIENT,))[PATIENT]
    assert all(gone in everything(tmp_path) for openings in before for gone in secrets_of(openings))
    plan = plan_for(tmp_path, one)
    begin(tmp_path, plan)
    with pytest.raises(Refused, match="another forgetting is not finished"):
        begin(tmp_path, plan)
    assert finish(tmp_path) == plan
    assert finish(tmp_path) is None
    check_forgotten(tmp_path, before, plan.fresh, token)
    assert (tmp_path / kept_name(before[1].root)).is_file()
    assert load_or_commit(tmp_path / "openings", without(one, PATIENT)) == plan.fresh
    assert stat.S_IMODE((tmp_path / "openings").stat().st_mode) == 0o600


def test_the_old_bytes_are_overwritten_where_they_lie(tmp_path):
    one, _ = two_versions(tmp_path)
    inodes = [(tmp_path / name).open("rb") for name in ("openings.2025", "openings")]  # they outlive the names
    begin(tmp_path, plan_for(tmp_path, one))
    planned = (tmp_path / PLAN).open("rb")
    finish(tmp_path)
    for file in (*inodes, planned):
        assert not any(file.read())
        file.close()


def count_steps(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object], stop: int | None) -> int:
    """Run with every wait for the disk, renaming and removing counted; the power goes before number `stop`."""
    done = 0

    def counted(real: Callable[..., object]) -> Callable[..., object]:
        def step(*arguments: object, **named: object) -> object:
            nonlocal done
            if done == stop:
                raise Crash
            done += 1
            return real(*arguments, **named)

        return step

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", counted(os.fsync))
        patched.setattr(Path, "replace", counted(Path.replace))
        patched.setattr(Path, "unlink", counted(Path.unlink))
        with suppress(Crash):
            act()
    return done


def test_a_crash_before_any_step_is_made_up_for(tmp_path, monkeypatch):
    def begun(folder: Path) -> tuple[tuple[Openings, Openings], Plan, bytes]:
        folder.mkdir()
        one, before = two_versions(folder)
        plan = plan_for(folder, one)
        begin(folder, plan)
        return before, plan, known_tokens(folder / "openings", (PATIENT,))[PATIENT]

    begun(tmp_path / "whole")
    steps = count_steps(monkeypatch, lambda: finish(tmp_path / "whole"), None)
    assert steps > 12
    for stop in range(steps):
        folder = tmp_path / f"{stop}"
        before, plan, token = begun(folder)
        assert count_steps(monkeypatch, lambda at=folder: finish(at), stop) == stop  # type: ignore[misc]
        assert (folder / PLAN).exists() == (stop < steps - 1)  # the last step only waits for the disk
        load_or_commit(folder / "openings", without(table(5.0), PATIENT))  # any start of the site finishes it
        check_forgotten(folder, before, plan.fresh, token)


def test_a_file_that_is_neither_as_planned_nor_as_done_is_named(tmp_path):
    one, _ = two_versions(tmp_path)
    begin(tmp_path, plan_for(tmp_path, one))
    (tmp_path / "openings.2025").write_bytes(b"junk")
    with pytest.raises(Refused, match=r"openings\.2025: neither as it was"):
        finish(tmp_path)
    (tmp_path / PLAN).write_bytes(b"junk")
    with pytest.raises(Refused, match="forgetting: damaged"):
        finish(tmp_path)


def test_what_was_read_back_is_what_was_written(tmp_path):
    made = load_or_commit(tmp_path / "openings", table())
    assert read_openings((tmp_path / "openings").read_bytes()) == made
