"""No value from a record is in anything that a command prints, logs, publishes, or leaves on a disk."""

from __future__ import annotations

import struct
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest

from canaries import Canaries, Said, caduceus_watched
from small_federation import JOB, TERMS

SCHEMA = """
title = "Canaries"

[[column]]
name = "patient"
role = "identifier"

[[column]]
name = "glucose"
kind = "number"
unit = "mg/dL"
range = [20, 900]
required = true

[[column]]
name = "lactate"
kind = "number"
unit = "mmol/L"
range = [0, 40]

[[column]]
name = "dead"
kind = "boolean"
role = "target"
positive = ["yes"]
negative = ["no"]
required = true
"""
SITES = {"North": 60, "East": 45, "South": 30}
_OFFSET = 0.000000763939


@dataclass(frozen=True, slots=True)
class Clinic:
    """Three hospitals whose every value stands out, and what a job came to."""

    folder: Path
    canaries: Canaries

    def run(self, *arguments: object, code: int | None = 0) -> Said:
        """Run a command; nothing that it prints holds a value, and it writes nowhere but here."""
        said = caduceus_watched(*arguments, at=self.folder, TMPDIR=str(self.folder / "temporary"))
        assert code is None or said.code == code, said.text.decode()
        assert self.canaries.found_in(said.text) is None
        elsewhere = [path for path in said.written if not path.is_relative_to(self.folder) and not _is_system(path)]
        assert not elsewhere
        return said

    def assert_clean(self) -> None:
        """No file but the hospitals' own has a value in it."""
        for part in self.folder.iterdir():
            if part.is_dir() and part.name != "data":
                assert not list(self.canaries.places(part))


def _is_system(path: Path) -> bool:
    """Devices, and what libraries keep of their own code (such as numba's compiled functions)."""
    code = [Path(sysconfig.get_path("purelib")), Path(__file__).parents[2] / "src", Path.home() / ".cache"]
    return path.is_relative_to("/dev") or path.is_relative_to("/proc") or any(map(path.is_relative_to, code))


def _rows(site: str, count: int) -> tuple[list[str], list[str], list[float]]:
    lines, names, numbers = [], [], []
    for i in range(count):
        name = f"ZQX-{site}-{7919 * (i + 1):07d}"
        glucose = round(60 + sum(map(ord, site)) * 0.000137 + 7.137913 * (i % 37) + 31 * _OFFSET * (i + 1), 9)
        lactate = round(1.1 + ord(site[0]) * 0.00171 + 0.4139171 * ((i * 5) % 23) + 17 * _OFFSET * (i + 3), 9)
        dead = glucose / 30 + lactate + (i * 7) % 5 > 14
        lines.append(f"{name},{glucose!r},{lactate!r},{'yes' if dead else 'no'}\n")
        names.append(name)
        numbers += [glucose, lactate]
    return lines, names, numbers


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Clinic:
    folder = tmp_path_factory.mktemp("clinic")
    (folder / "data").mkdir()
    (folder / "temporary").mkdir()
    entries, names, numbers = "", list[str](), list[float]()
    for site, count in SITES.items():
        rows, more, values = _rows(site, count)
        (folder / "data" / f"{site}.csv").write_text("patient,glucose,lactate,dead\n" + "".join(rows))
        entries += f'\n[[site]]\nname = "{site}"\nfile = "{site}.csv"\n'
        names, numbers = names + more, numbers + values
    (folder / "schema.toml").write_text(SCHEMA)
    (folder / "terms.toml").write_text(TERMS)
    (folder / "job.toml").write_text(JOB.replace('missing_indicators = ["chol"]\n', ""))
    about = f'[federation]\ntitle = "Canaries"\ndata = "{folder / "data"}"\nschema = "schema.toml"\n'
    (folder / "federation.toml").write_text(about + entries)
    return Clinic(folder, Canaries(names, numbers))


@pytest.fixture(scope="module")
def played(clinic: Clinic) -> Clinic:
    clinic.run("run", "job.toml", "federation.toml", "--out", "run")
    return clinic


def test_the_search_finds_a_value_in_every_form_that_it_knows(clinic, tmp_path):
    assert len(clinic.canaries) > 400
    for site in SITES:
        assert clinic.canaries.found_in((clinic.folder / "data" / f"{site}.csv").read_bytes())
    one = Canaries(numbers=[2.718281828459])
    for form in (b"x 2.718281828459", struct.pack("<d", 2.718281828459), struct.pack(">d", 2.718281828459)):
        (tmp_path / "blob").write_bytes(b"junk" + form + b"junk")
        assert list(one.places(tmp_path)) == ["blob: 2.718281828459"]
    (tmp_path / "blob").write_bytes(b"junk" + struct.pack("<d", 2.718281828458))
    assert not list(one.places(tmp_path))


def test_a_whole_job_its_audit_and_its_report_leave_no_value_anywhere(played):
    played.run("audit", "run")
    played.run("report", "run", "--out", "run/again.html")
    played.run("job", "show", "run")
    assert (played.folder / "run" / "chain" / "chain.sqlite").stat().st_size > 10_000
    assert (played.folder / "run" / "again.html").stat().st_size > 10_000
    played.assert_clean()


def test_looking_at_data_shows_no_value(clinic):
    clinic.run("site", "check", "federation.toml")
    clinic.run("card", "federation.toml", "--site", "North")
    clinic.run("card", "federation.toml", "--site", "North", "--json")
    clinic.assert_clean()


def test_a_check_of_readiness_finds_much_and_shows_none_of_it(clinic):
    for path in ("data/North.csv", "federation.toml"):
        more = ("--schema", "schema.toml") if path.endswith("csv") else ("--site", "North")
        said = clinic.run("readiness", path, *more, "--out", f"ready/{Path(path).stem}", code=None)
        assert said.code in (0, 2)
        assert (clinic.folder / "ready" / Path(path).stem / "report.html").stat().st_size > 10_000
    clinic.assert_clean()


def test_what_is_published_of_data_and_models_holds_no_value(played):
    played.run("card", "federation.toml", "--site", "East", "--format", "croissant", "--run", "run")
    played.run("card", "federation.toml", "--site", "East", "--epsilon", "1.0")
    played.run("search", "glucose", "--run", "run")
    played.run("terms", "check", "terms.toml", "job.toml")
    played.run("preflight", "questions", "job.toml", "--out", "asked.toml")
    model = next((played.folder / "run" / "models").glob("*.json"))
    for form, out in (("json", "trace.json"), ("prov", "trace.prov"), ("rocrate", "crate"), ("card", "card.html")):
        played.run("provenance", model, "--run", "run", "--format", form, "--out", f"run/{out}")
    played.assert_clean()


@pytest.mark.parametrize(
    ("column", "value"),
    [(1, "98765.432109"), (1, "ZQX-typo-in-glucose"), (3, "ZQX-perhaps"), (0, "ZQX-North-0007919")],
)
def test_a_bad_value_is_named_by_its_place_and_never_shown(clinic, tmp_path, column, value):
    path = clinic.folder / "data" / "North.csv"
    whole = path.read_text()
    rows = whole.splitlines()
    fields = rows[9].split(",")
    fields[column] = value
    try:
        path.write_text("\n".join([*rows[:9], ",".join(fields), *rows[10:]]) + "\n")
        said = clinic.run("run", "job.toml", "federation.toml", "--out", str(clinic.folder / "spoilt"), code=2)
    finally:
        path.write_text(whole)
    assert value.encode() not in said.text
    assert b"North.csv: row 9" in said.text
    assert not (clinic.folder / "spoilt").exists()
