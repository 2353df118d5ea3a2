"""The command line: what it prints, which codes it leaves with, and that bad input leaves nothing behind."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from caduceus.canon import peek_tag, tag_of
from caduceus.cli import app
from caduceus.cli.exits import BUG, PEER, REFUSED, UNAVAILABLE, UNCERTAIN, explain
from caduceus.errors import Error, Misuse, PeerFault, Refused, Unavailable, Uncertain
from caduceus.protocol.secagg_exchange import Exchange
from caduceus.protocol.secagg_setup_record import SetupRecord
from command import Ran, caduceus
from small_federation import Small, write_small


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments])


def run(small: Small, out: Path, *more: object) -> Result:
    return call("run", small.job, small.federation, "--out", out, *more)


def the_line(result: Result) -> str:
    """The one line of an error, without progress before it."""
    assert result.exit_code == REFUSED, (result.output, result.exception)
    lines = [line for line in result.stderr.splitlines() if line.startswith("caduceus: ")]
    assert len(lines) == 1, result.stderr
    assert result.stderr.splitlines()[-1] == lines[0]
    assert "Traceback" not in result.stderr
    return lines[0]


def fingerprint(folder: Path) -> dict[str, str]:
    """Every file's content."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture
def small(tmp_path: Path) -> Small:
    return write_small(tmp_path / "files")


@pytest.fixture
def copied(small_run: tuple[Small, Ran], tmp_path: Path) -> Path:
    """A copy of the small run, to be spoilt."""
    return Path(shutil.copytree(small_run[1].folder / "run", tmp_path / "copied"))


# ---------------------------------------------------------------- what works


@pytest.mark.slow
def test_the_demo_runs_three_jobs_offline_and_ends_with_a_passing_audit_and_a_report(demo_run):
    assert demo_run.code == 0, demo_run.err
    assert demo_run.out.count("passes") == 3
    assert "Report: runs/demo/report.html" in demo_run.out
    page = (demo_run.folder / "runs/demo/report.html").read_text()
    assert "Malignancy of a breast mass from cell nuclei" in page
    assert "Malignancy of a breast mass: a perceptron" in page
    assert "The audit passes" in page
    federated = re.search(r"federated\s+(\.\d+)\s+(\.\d+)", demo_run.out)
    assert federated is not None
    assert all(float(value) > 0.98 for value in federated.groups())


def test_progress_is_plain_lines_where_nobody_watches(small_run):
    _, ran = small_run
    assert ran.code == 0, ran.err
    assert re.search(r"^Training, \d+ steps, \d+\.\d s$", ran.err, re.MULTILINE)
    assert "\x1b" not in ran.err + ran.out
    assert "Enrolling" not in ran.out


def test_a_run_given_again_changes_no_money_and_says_the_same(small_run, copied):
    files, first = small_run
    again = run(files, copied)
    assert again.exit_code == 0, again.stderr
    assert again.stdout.replace(str(copied), "run") == first.out.replace(str(first.folder / "run"), "run")
    kept = {
        name: digest for name, digest in fingerprint(first.folder / "run").items() if name.startswith("transcript/")
    }
    assert {name: one for name, one in fingerprint(copied).items() if name.startswith("transcript/")} == kept


def test_an_audit_needs_only_the_chain_and_the_transcript(copied, tmp_path):
    shutil.rmtree(copied / "parties")
    shutil.rmtree(copied / "orders")
    shutil.move(copied / "transcript", tmp_path / "elsewhere")
    result = call("audit", tmp_path / "elsewhere", "--chain", copied / "chain" / "chain.sqlite")
    assert result.exit_code == 0, result.stderr
    for word in ("signed", "re-executed", "not checked"):
        assert word in result.stdout
    assert "Audit of job: passes" in result.stdout


def test_an_audit_changes_nothing(copied):
    before = fingerprint(copied)
    assert call("audit", copied).exit_code == 0
    assert fingerprint(copied) == before


def test_a_report_can_be_written_later_and_is_the_same(small_run, copied, tmp_path):
    before = fingerprint(copied)
    result = call("report", copied, "--out", tmp_path / "again.html")
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "again.html").read_text() == (small_run[1].folder / "run" / "report.html").read_text()
    assert fingerprint(copied) == before


def test_a_run_without_a_report_says_how_to_audit(small, tmp_path):
    result = run(small, tmp_path / "run", "--no-report")
    assert result.exit_code == 0, result.stderr
    assert "caduceus audit" in result.stdout
    assert not (tmp_path / "run" / "report.html").exists()


def test_job_show_tells_stage_seats_and_money(copied):
    result = call("job", "show", copied)
    assert result.exit_code == 0, result.stderr
    assert "completed" in result.stdout
    assert "100 001" in result.stdout


@pytest.mark.parametrize("name", ["heart", "heart/job.toml", "breast/job-mlp.toml", "stroke"])
def test_a_job_is_found_by_the_name_of_an_example(name):
    result = call("job", "check", name)
    assert result.exit_code == 0, result.stderr
    assert "Predicts" in result.stdout


def test_a_job_says_what_it_shows_of_single_updates(small):
    assert "Shows of single updates: sum. " in call("job", "check", small.job).stdout
    edit(small.job, lambda text: text.replace("[job]\n", '[job]\nvisibility = "cohort"\ncohort = 3\n'))
    edit(small.job, lambda text: text.replace("min = 3", "min = 6"))
    assert "Shows of single updates: cohort, of at least 3 sites. " in call("job", "check", small.job).stdout


def test_site_shows_rows_and_no_value(small):
    result = call("site", "check", small.federation)
    assert result.exit_code == 0, result.stderr
    for word in ("North", "60", "East", "45", "South", "30", "135 rows"):
        assert word in result.stdout
    for value in ("yes", "S3", "E7"):
        assert not re.search(rf"\b{value}\b", result.stdout)


def test_card_as_json_is_the_card_and_nothing_else(small):
    result = call("card", small.federation, "--site", "East", "--json")
    assert result.exit_code == 0, result.stderr
    said = json.loads(result.stdout)
    assert said["rows"] == "at least 40"
    assert [one["name"] for one in said["columns"]] == ["age", "chol", "dead"]


def test_card_says_what_it_reveals_and_on_which_terms(small):
    result = call("card", small.federation, "--site", "East")
    assert result.exit_code == 0, result.stderr
    for word in ("at least 40 rows", "Reveals:", "Terms:", "for research", "exact sums may be opened"):
        assert word in " ".join(result.stdout.split())


@pytest.mark.parametrize(
    "command",
    [
        (),
        ("demo",),
        ("run",),
        ("site",),
        ("site", "check"),
        ("card",),
        ("job",),
        ("job", "check"),
        ("job", "show"),
        ("audit",),
        ("report",),
    ],
)
def test_help_teaches_with_an_example(command):
    result = call(*command, "--help")
    assert result.exit_code == 0
    assert len(result.stdout.split()) > 40
    assert command in ((), ("job",), ("site",)) or f"caduceus {' '.join(command)}" in result.stdout


def said_by(code: str, at: Path, **environment: str) -> str:
    """What a fresh interpreter prints."""
    told = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")} | environment
    done = subprocess.run([sys.executable, "-c", code], cwd=at, env=told, capture_output=True, text=True, check=True)
    return done.stdout


def test_help_loads_neither_numpy_nor_the_chain(tmp_path):
    heavy = ("numpy", "eth", "pyarrow", "torch", "pydantic", "coincurve")
    said = said_by(f"import sys, caduceus.cli; print([m for m in {heavy} if m in sys.modules])", tmp_path)
    assert said.strip() == "[]"


def test_one_thread_multiplies_matrices_unless_told_otherwise(tmp_path):
    code = "import os, caduceus.cli; print(os.environ['OPENBLAS_NUM_THREADS'], os.environ['OMP_NUM_THREADS'])"
    assert said_by(code, tmp_path, OMP_NUM_THREADS="3").split() == ["1", "3"]


# ---------------------------------------------------------------- bad input


def edit(path: Path, change: Callable[[str], str]) -> None:
    before = path.read_text()
    after = change(before)
    assert after != before
    path.write_text(after)


def lines(change: Callable[[list[str]], list[str]]) -> Callable[[str], str]:
    return lambda text: "\n".join(change(text.splitlines())) + "\n"


def in_row(number: int, column: int, value: str) -> Callable[[str], str]:
    """Another value in a row, counted from 1 without the header."""

    def change(rows: list[str]) -> list[str]:
        fields = rows[number].split(",")
        fields[column] = value
        return [*rows[:number], ",".join(fields), *rows[number + 1 :]]

    return lines(change)


BAD_DATA = {
    "a missing column": (
        lines(lambda rows: [",".join(row.split(",")[:2] + row.split(",")[3:]) for row in rows]),
        ["east.csv", "column 'chol' is missing"],
    ),
    "a wrong type": (in_row(7, 2, "secretvalue"), ["east.csv", "row 7", "chol"]),
    "a ragged row": (in_row(9, 2, "200,1"), ["east.csv", "row 9", "5 fields instead of 4"]),
    "NaN where none may be": (in_row(4, 1, "NaN"), ["east.csv", "row 4", "age"]),
    "a missing outcome": (in_row(4, 3, ""), ["east.csv", "row 4", "dead"]),
    "duplicate identifiers": (in_row(12, 0, "E3"), ["east.csv", "row 12", "patient"]),
    "an empty site": (lines(lambda rows: rows[:1]), ["East", "no rows"]),
    "a constant target": (lambda text: text.replace(",no\n", ",yes\n"), ["East", "dead"]),
    "a value out of range": (in_row(5, 1, "421"), ["east.csv", "row 5", "age"]),
}


@pytest.mark.parametrize("name", BAD_DATA)
@pytest.mark.parametrize("command", ["run", "site", "card"])
def test_bad_data_are_named_in_one_line_and_nothing_is_written(small, tmp_path, name, command):
    change, wanted = BAD_DATA[name]
    edit(small.csv("East"), change)
    out = tmp_path / "run"
    tried = {
        "run": lambda: run(small, out),
        "site": lambda: call("site", "check", small.federation),
        "card": lambda: call("card", small.federation, "--site", "East"),
    }
    line = the_line(tried[command]())
    for word in wanted:
        assert word in line
    assert "secretvalue" not in line
    assert "421" not in line
    assert not out.exists()


BAD_FILES = {
    "an unknown key": (
        "job",
        lambda text: text.replace("fee =", "fees ="),
        ["job.toml", "unknown key 'fees'", "did you mean 'fee'"],
    ),
    "a missing key": ("job", lambda text: text.replace("price = 100_001\n", ""), ["job.toml", "price"]),
    "an unknown target": (
        "job",
        lambda text: text.replace('target = "dead"', 'target = "death"'),
        ["job.toml", "death"],
    ),
    "a fee above the price": (
        "job",
        lambda text: text.replace("fee = 5_000", "fee = 200_000"),
        ["job.toml", "money.fee"],
    ),
    "no TOML": ("job", lambda text: text + "\n[broken", ["job.toml", "not TOML"]),
    "more sites than there are": (
        "job",
        lambda text: text.replace("min = 3", "min = 4"),
        ["job.toml", "sites.min", "3 sites"],
    ),
    "too few sites for a sum to hide one": (
        "job",
        lambda text: text.replace("min = 3\nmax = 8", "min = 2\nmax = 8"),
        ["job.toml", "sites min"],
    ),
    "a purpose that terms forbid": (
        "job",
        lambda text: text.replace('"research"', '"marketing"'),
        ["job.toml", "marketing"],
    ),
    "an unknown key of a schema": (
        "schema",
        lambda text: text.replace("unit =", "units =", 1),
        ["schema.toml", "units"],
    ),
    "an unknown key of terms": ("terms", lambda text: text + "price = 1\n", ["terms.toml", "price"]),
    "a site without a file": (
        "federation",
        lambda text: text.replace("east.csv", "west.csv"),
        ["west.csv", "no such file"],
    ),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files_are_named_in_one_line_and_nothing_is_written(small, tmp_path, name):
    which, change, wanted = BAD_FILES[name]
    edit(getattr(small, which), change)
    line = the_line(run(small, tmp_path / "run"))
    for word in wanted:
        assert word in line
    assert not (tmp_path / "run").exists()


def test_a_run_is_unchanged_by_a_job_that_says_something_else_than_before(small_run, copied, tmp_path):
    small = Small(Path(shutil.copytree(small_run[0].folder, tmp_path / "files")))
    edit(small.job, lambda text: text.replace("price = 100_001", "price = 100_002"))
    before = fingerprint(copied)
    assert "job.toml" in the_line(run(small, copied))
    assert public(fingerprint(copied)) == public(before)


def test_a_run_is_unchanged_by_data_that_are_others_than_before(small_run, copied, tmp_path):
    small = Small(Path(shutil.copytree(small_run[0].folder, tmp_path / "files")))
    edit(small.csv("South"), in_row(3, 1, "55"))
    edit(small.federation, lambda text: text.replace(str(small_run[0].folder), str(small.folder)))
    before = fingerprint(copied)
    line = the_line(run(small, copied))
    assert "South" in line
    assert "other records" in line
    assert public(fingerprint(copied)) == public(before)


def public(files: dict[str, str]) -> dict[str, str]:
    """What others see of a run: all but SQLite's own files, which opening alone may touch."""
    return {name: digest for name, digest in files.items() if name.startswith(("transcript/", "orders/"))}


def test_a_chain_from_another_network_is_refused_by_name(small, copied, tmp_path):
    assert run(small, tmp_path / "other", "--no-report").exit_code == 0
    foreign = tmp_path / "other" / "chain" / "chain.sqlite"
    line = the_line(call("audit", copied, "--chain", foreign))
    assert str(foreign) in line
    shutil.copy(foreign, copied / "chain" / "chain.sqlite")
    shutil.copy(f"{foreign}.seal", copied / "chain" / "chain.sqlite.seal")
    before = fingerprint(copied)
    for command in (("report",), ("audit",), ("job", "show")):
        line = the_line(call(*command, copied))
        assert f"{copied / 'chain' / 'chain.sqlite'}: another network's" in line
    assert fingerprint(copied) == before


def test_a_run_does_not_go_on_over_a_chain_from_another_network(small_run, small, copied, tmp_path):
    assert run(small, tmp_path / "other", "--no-report").exit_code == 0
    shutil.copy(tmp_path / "other" / "chain" / "chain.sqlite", copied / "chain" / "chain.sqlite")
    shutil.copy(tmp_path / "other" / "chain" / "chain.sqlite.seal", copied / "chain" / "chain.sqlite.seal")
    before = fingerprint(copied)
    assert f"{copied / 'chain' / 'chain.sqlite'}: another network's" in the_line(run(small_run[0], copied))
    assert fingerprint(copied) == before


def test_a_missing_blob_is_named_and_the_transcript_left_alone(copied):
    blobs = sorted(path for path in (copied / "transcript" / "blobs").rglob("*") if path.is_file())
    gone = blobs[len(blobs) // 2]
    gone.unlink()
    before = fingerprint(copied)
    result = call("audit", copied)
    assert gone.name in the_line(result)
    assert "does not pass" in result.stdout
    assert fingerprint(copied) == before


def blob_of(kind: type, run: Path) -> Path:
    """The largest blob of a kind in a run's transcript."""
    blobs = [path for path in (run / "transcript" / "blobs").rglob("*") if path.is_file()]
    return max((path for path in blobs if peek_tag(path.read_bytes()) == tag_of(kind)), key=lambda p: p.stat().st_size)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)


def test_a_flipped_byte_in_what_the_report_is_made_of_fails_it_too(copied):
    blob = blob_of(Exchange, copied)
    flip(blob)
    (copied / "report.html").unlink()
    result = call("report", copied)
    assert blob.name in the_line(result)
    assert not (copied / "report.html").exists()


def test_a_flipped_byte_that_only_the_audit_finds_is_said_in_the_report(copied):
    blob = blob_of(SetupRecord, copied)
    flip(blob)
    (copied / "report.html").unlink()
    result = call("report", copied)
    assert result.exit_code == REFUSED
    assert blob.name in the_line(result)
    assert blob.name in (copied / "report.html").read_text()


def test_a_folder_with_something_else_in_it_is_no_place_for_a_run(small, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("one")
    assert "not empty" in the_line(run(small, tmp_path / "thesis"))
    assert fingerprint(tmp_path / "thesis").keys() == {"chapter.txt"}


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (("run", "nothing", "heart", "--out", "x"), "no such job file"),
        (("site", "check", "hart"), "no such federation file"),
        (("card", "breast", "--site", "Ashe"), "did you mean 'Ash'?"),
        (("demo", "--example", "lungs", "--out", "x"), "no example 'lungs"),
        (("audit", "nowhere"), "not the folder of a run"),
        (("report", "nowhere"), "not the folder of a run"),
        (("job", "show", "nowhere"), "not the folder of a run"),
        (("run", "breast", "breast", "--out", "x", "--node", "ftp://there"), "no http or https URL"),
        (("audit", "nowhere", "--chain", "a", "--node", "http://b"), "one of them"),
    ],
)
def test_what_is_not_there_is_named(arguments, wanted, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert wanted in the_line(call(*arguments))
    assert not any(tmp_path.iterdir())


def test_data_that_need_a_place_ask_for_it(tmp_path):
    ran = caduceus("site", "check", "heart", at=tmp_path)
    assert ran.code == REFUSED
    assert "CADUCEUS_DATA" in ran.err.splitlines()[-1]


def test_a_node_that_does_not_answer_is_not_our_fault(small, tmp_path):
    result = run(small, tmp_path / "run", "--node", "http://127.0.0.1:9")
    assert result.exit_code == UNAVAILABLE
    assert "no connection" in result.stderr.splitlines()[-1]


# ---------------------------------------------------------------- errors in general


@pytest.mark.parametrize(
    ("problem", "code", "lead"),
    [
        (Refused("no"), REFUSED, "refused: no"),
        (PeerFault("Ash", "lied"), PEER, "a party broke the protocol: Ash: lied"),
        (Unavailable("gone"), UNAVAILABLE, "no answer: gone"),
        (Uncertain("sent"), UNCERTAIN, "it may have happened: sent"),
        (Misuse("bug"), BUG, "a bug of this program: bug"),
    ],
)
def test_each_kind_of_error_has_its_code_and_says_who_is_at_fault(problem: Error, code: int, lead: str):
    assert explain(problem)[0] == code
    assert explain(problem)[1].startswith(lead)


def test_a_traceback_is_shown_to_whoever_asks_for_it(tmp_path):
    assert "Traceback" not in caduceus("site", "check", "heart", at=tmp_path).err
    assert "Traceback" in caduceus("site", "check", "heart", at=tmp_path, CADUCEUS_DEBUG="1").err


def test_a_bug_is_one_line_that_quotes_nothing(monkeypatch, small):
    def broken(*_: object, **__: object) -> None:
        raise ValueError("patient 17 has 421")

    monkeypatch.setattr("caduceus.cli.looking.read_sites", broken)
    result = call("site", "check", small.federation)
    assert result.exit_code == BUG
    assert "ValueError" in result.stderr
    assert "421" not in result.stderr
