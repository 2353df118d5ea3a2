"""A patient is told whether they were in a training, strangers learn nothing, and who is forgotten is forgotten."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from caduceus.cli.app import app
from caduceus.crypto.xwing import Decapsulator
from caduceus.data.membership import Present, name_patients
from caduceus.edges.federation import open_federation, read_site
from caduceus.edges.keystore import LIGHT, Passphrase, seal
from caduceus.edges.private import known_tokens, load, load_or_commit
from caduceus.edges.workspace import Workspace
from caduceus.errors import Refused
from caduceus.wiring import openings as answering
from caduceus.wiring import openings_letter
from caduceus.wiring.openings import Place, answer, find_place, forget_patient, write_letter
from caduceus.wiring.openings_letter import Letter, Statement, open_letter, seal_letter
from caduceus.wiring.openings_reading import tell_letter
from caduceus.wiring.order import Order
from caduceus.wiring.play import play
from caduceus.wiring.provenance import provenance_of
from caduceus.wiring.watch import Watch
from small_federation import Small, write_small

SECRET = Passphrase("a patient's own words")


class Silent:
    """Implements `watch.Watch`, and looks away."""

    def begin(self, what: str, steps: int) -> None: ...

    def step(self, text: str) -> None: ...

    def round(self, record: object, state: object, session: object) -> None: ...

    def fault(self, who: str, problem: Exception) -> None: ...


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of three hospitals whose patients have identifiers."""
    folder = tmp_path_factory.mktemp("openings")
    small = write_small(folder / "files")
    watch: Watch = Silent()  # type: ignore[assignment]
    play(Workspace(folder / "run"), Order(small.job, small.federation), watch)
    return folder


@pytest.fixture
def run(played: Path, tmp_path: Path) -> Workspace:
    """A copy of the run, whose sites may forget."""
    shutil.copytree(played / "run", tmp_path / "run")
    return Workspace(tmp_path / "run")


@pytest.fixture
def north(run: Workspace) -> Place:
    return find_place(run.root, "North", None)


def told(run: Workspace, letter: Letter):  # type: ignore[no-untyped-def]
    return tell_letter(letter, run.root / "transcript", chain=run.chain, url=None)


def test_a_patient_learns_in_which_jobs_and_rounds_their_record_was(run, north):
    letter = write_letter(north, "N3")
    (statement,) = letter.statements
    assert isinstance(statement.present, Present)
    (row,) = statement.present.rows
    assert row.record == north.table.record_bytes()[3].tobytes()
    (one,) = told(run, letter)
    assert (one.rows, one.version) == (1, 1)
    assert one.entry is not None
    assert one.entry.commitment == load(north.openings).root
    (part,) = one.parts
    assert (part.title, part.purpose) == ("Death in a small clinic", "research")
    assert re.fullmatch(r"0-\d+", part.rounds)


def test_somebody_elses_record_is_nowhere_in_the_letter(north, tmp_path):
    letter = write_letter(north, "N3")
    openings = load(north.openings)
    data = tmp_path / "letter"
    data.write_bytes(seal_letter(letter, SECRET, cost=LIGHT))
    assert letter.token not in data.read_bytes()
    assert open_letter(data, SECRET) == letter
    assert openings.holders is not None
    (statement,) = letter.statements
    shown = [row for row in range(60) if openings.salts[row].tobytes() in _bytes(statement)]
    assert shown == [3]


def _bytes(statement: Statement) -> bytes:
    from caduceus import canon

    return canon.pack(statement)


def test_a_letter_opens_for_its_owner_alone(north, tmp_path):
    letter, path = write_letter(north, "N3"), tmp_path / "letter"
    mine, other = Decapsulator(b"\1" * 32), Decapsulator(b"\2" * 32)
    path.write_bytes(seal_letter(letter, mine.public))
    assert open_letter(path, mine) == letter
    with pytest.raises(Refused, match="meant for somebody else"):
        open_letter(path, other)
    with pytest.raises(Refused, match="sealed to a key"):
        open_letter(path, SECRET)
    path.write_bytes(seal_letter(letter, SECRET, cost=LIGHT))
    with pytest.raises(Refused, match="wrong passphrase"):
        open_letter(path, Passphrase("guessed"))
    with pytest.raises(Refused, match="sealed under a passphrase"):
        open_letter(path, mine)
    with pytest.raises(Refused, match="no such file"):
        open_letter(tmp_path / "none", mine)


def test_a_letter_that_says_what_was_not_published_is_refused(run, north):
    letter = write_letter(north, "N3")
    (statement,) = letter.statements
    stranger = Letter(letter.site, b"\7" * 32, letter.schema, letter.statements)
    for bad in (
        stranger,
        Letter(letter.site, letter.token, letter.schema, (Statement(b"\1" * 32, statement.present, None),)),
        Letter(letter.site, letter.token, letter.schema, (Statement(statement.root, None, None),)),
    ):
        with pytest.raises(Refused, match="does not hold"):
            told(run, bad)


def test_whoever_is_forgotten_can_be_shown_nothing_and_the_others_go_on(run, north):
    before = load(north.openings)
    letter, other = write_letter(north, "N3"), write_letter(north, "N4")
    assert before.holders is not None
    place = before.holders.find("N3")
    (row,) = before.holders.rows_of(place)
    done = forget_patient(north, "N3")
    assert (done.versions, done.is_in_table, done.old) == (1, True, before.root)
    left = b"".join(path.read_bytes() for path in north.folder.rglob("*") if path.is_file())
    for gone in (before.salts[row].tobytes(), letter.token, before.holders.blinds[place].tobytes()):
        assert gone not in left
    for act in (write_letter, forget_patient):
        with pytest.raises(Refused, match="no such patient"):
            act(replace(north, table=_rest(north)), "N3")
    with pytest.raises(Refused, match="forgotten"):
        answer(north, letter.token)
    assert told(run, letter)[0].rows == 1  # what a patient holds already is the patient's
    again = write_letter(replace(north, table=_rest(north)), "N4")
    assert again.token == other.token
    assert [(one.rows, one.version) for one in told(run, again)] == [(1, 1), (1, 0)]


def _rest(north: Place):  # type: ignore[no-untyped-def]
    import numpy as np

    names, index = name_patients(north.table)
    return north.table.select(index != names.index("N3")) if "N3" in names else north.table.select(np.arange(60))


def test_a_site_whose_source_still_has_a_forgotten_patient_does_not_go_on(north):
    forget_patient(north, "N3")
    with pytest.raises(Refused, match="commits to other records"):
        load_or_commit(north.openings, north.table)
    load_or_commit(north.openings, _rest(north))


def test_a_patient_whose_rows_left_the_source_first_is_forgotten_too(north):
    rest = replace(north, table=_rest(north))
    assert not forget_patient(rest, "N3").is_in_table
    assert not known_tokens(north.openings, ("N3",))


@pytest.mark.slow
def test_the_next_version_supersedes_the_one_before_and_a_model_of_it_is_traced_to_both(tmp_path):
    small = write_small(tmp_path / "files")
    run = Workspace(tmp_path / "run")
    play(run, Order(small.job, small.federation), Silent())  # type: ignore[arg-type]
    letter = write_letter(find_place(run.root, "North", None), "N3")
    forget_patient(find_place(run.root, "North", None), "N3")
    source = small.csv("North")
    source.write_text("".join(line for line in source.open() if not line.startswith("N3,")))
    later = small.job.with_name("later.toml")
    later.write_text(small.job.read_text())
    play(run, Order(later, small.federation), Silent())  # type: ignore[arg-type]
    found = provenance_of(str(run.models / "later.json"), run.root / "transcript", chain=run.chain, url=None)
    (one,) = found.lineages
    assert [use.version for use in one.sources] == [2 if use.card.title.endswith("North") else 1 for use in one.sources]
    assert sum(use.version for use in one.sources) == 4
    told = tell_letter(
        answer(find_place(run.root, "North", None), write_letter(find_place(run.root, "North", None), "N4").token),
        run.root / "transcript",
        chain=run.chain,
        url=None,
    )
    assert [(part.version, part.rows, len(part.parts)) for part in told] == [(1, 1, 1), (2, 1, 1)]
    fresh = load(run.party("North") / "openings")
    absent = Letter(
        letter.site, letter.token, letter.schema, (Statement(fresh.root, None, fresh.prove_for(letter.token)),)
    )  # type: ignore[arg-type]
    (gone,) = tell_letter(absent, run.root / "transcript", chain=run.chain, url=None)
    assert (gone.rows, gone.version, len(gone.parts)) == (0, 2, 1)


def test_a_running_site_forgets_nobody(north, monkeypatch):
    monkeypatch.setattr(answering, "is_running", lambda _: True)
    with pytest.raises(Refused, match="its process runs"):
        forget_patient(north, "N3")


def test_a_place_is_a_sites_folder_or_a_run_and_says_what_is_missing(run, tmp_path):
    with pytest.raises(Refused, match="say which with --site"):
        find_place(run.root, None, None)
    with pytest.raises(Refused, match="neither the folder of a site nor of a run"):
        find_place(tmp_path, "North", None)
    with pytest.raises(Refused, match="no site 'Nowhere'"):
        find_place(run.root, "Nowhere", None)


def test_the_commands_show_verify_and_forget(run, tmp_path, played, monkeypatch):
    monkeypatch.setattr(openings_letter, "seal", lambda data, to, cost: seal(data, to, cost=LIGHT))  # not a second each
    words = tmp_path / "words"
    words.write_text("a patient's own words\n")
    words.chmod(0o600)
    letter, at = tmp_path / "letter", [str(run.root), "--site", "North"]
    made = ["--patient", "N3", "--out", str(letter), "--passphrase-file", str(words)]
    said = CliRunner().invoke(app, ["records", "show", *at, *made])
    assert said.exit_code == 0, said.output
    check = ["records", "verify", str(letter), "--run", str(run.root), "--passphrase-file", str(words)]
    said = CliRunner().invoke(app, check)
    assert said.exit_code == 0, said.output
    assert "1 record of yours was in version 1" in said.output
    assert "took part in" in said.output
    assert CliRunner().invoke(app, ["records", "forget", *at, "--patient", "N3"], input="n\n").exit_code == 1
    assert known_tokens(run.party("North") / "openings", ("N3",))
    said = CliRunner().invoke(app, ["records", "forget", *at, "--patient", "N3", "--yes"])
    assert (said.exit_code, "Forgotten in 1 versions" in said.output) == (0, True)
    said = CliRunner().invoke(app, ["records", "show", *at, *made])
    assert (said.exit_code, "no such patient" in said.output) == (2, True)
    assert "N3" not in said.output
    key = tmp_path / "mine"
    assert CliRunner().invoke(app, ["records", "key", str(key)]).exit_code == 0
    assert CliRunner().invoke(app, ["records", "key", str(key)]).exit_code == 2
    sealed = ["--patient", "N4", "--out", str(letter), "--to", f"{key}.pub"]
    run_again = Workspace(tmp_path / "again")
    shutil.copytree(played / "run", run_again.root)
    assert CliRunner().invoke(app, ["records", "show", str(run_again.root), "--site", "North", *sealed]).exit_code == 0
    said = CliRunner().invoke(app, ["records", "verify", str(letter), "--run", str(run_again.root), "--key", str(key)])
    assert (said.exit_code, "1 record of yours" in said.output) == (0, True)
    small = Small(played / "files")
    assert len(read_site(open_federation(small.federation), "North").table.values[0]) == 60  # the source is untouched
