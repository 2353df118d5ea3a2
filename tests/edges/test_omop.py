"""OMOP databases as clinical records: a small one written by hand, two real ones, and the same in PostgreSQL."""

from __future__ import annotations

import datetime as dt
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
import pytest

from caduceus.data.records import Records
from caduceus.edges.omop import read_records
from caduceus.errors import Refused, Unavailable

CONCEPT = """concept_id\tconcept_name\tdomain_id\tvocabulary_id\tconcept_class_id\tstandard_concept\tconcept_code
1\t"quoted" diabetes\tCondition\tSNOMED\tFinding\tS\t73211009
2\ttype 2\tCondition\tSNOMED\tFinding\tS\t44054006
3\ttype 2, billed\tCondition\tICD10CM\tBilling\t\tE11.9
4\tglucose\tMeasurement\tLOINC\tLab Test\tS\t2345-7
5\tmilligram per decilitre\tUnit\tUCUM\tUnit\tS\tmg/dL
6\tpositive\tMeas Value\tSNOMED\tFinding\tS\t10828004
7\tinpatient\tVisit\tVisit\tVisit\tS\tIP
8\tmetformin\tDrug\tRxNorm\tIngredient\tS\t6809
"""
TABLES = {
    "PERSON.csv": """PERSON_ID,GENDER_CONCEPT_ID,YEAR_OF_BIRTH,MONTH_OF_BIRTH,DAY_OF_BIRTH,BIRTH_DATETIME
1,8507,1950,,,
2,8532,1960,4,,
3,8521,1970,5,6,
20,0,1980,7,8,1980-07-09 10:00:00
""",
    "concept.csv": CONCEPT,
    "Concept_Ancestor.csv": "ancestor_concept_id\tdescendant_concept_id\n1\t1\n1\t2\n2\t2\n4\t4\n",
    "observation_period.csv": """person_id,observation_period_start_date,observation_period_end_date
1,2000-01-01,2000-12-31
1,2002-01-01,2009-12-31
2,2001-01-01,2001-01-02
""",
    "condition_occurrence.csv": """person_id,condition_concept_id,condition_start_date,condition_start_datetime,"""
    """condition_end_date,condition_source_concept_id
1,2,2003-02-01,,2003-02-03,3
2,1,2003-02-01,2003-02-01 08:30:00,,1
2,99,2003-02-02,,,0
3,0,2003-02-03,,,3
""",
    "measurement.csv": """person_id,measurement_concept_id,measurement_date,value_as_number,unit_concept_id,"""
    """unit_source_value,value_as_concept_id
1,4,2003-03-01,105.5,5,mg/dl,0
1,4,2003-03-02,6.1,0,mmol/L,6
""",
    "visit_occurrence.csv": """person_id,visit_concept_id,visit_start_date,visit_end_date
1,7,2004-01-01,2004-01-09
""",
    "death.csv": "person_id,death_date,cause_concept_id\n1,2009-12-31,2\n2,2008-01-01,\n",
}


@pytest.fixture
def small(tmp_path: Path) -> Path:
    folder = tmp_path / "cdm"
    folder.mkdir()
    for name, text in TABLES.items():
        (folder / name).write_text(text)
    return folder


def events(records: Records) -> list[tuple[object, ...]]:
    names = ("patient", "domain", "code", "start", "end", "value", "unit", "answer")
    rows = [tuple(row[name] for name in names) for row in records.events.to_pylist()]
    return sorted(rows, key=repr)


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def test_persons_have_birth_sex_death_and_their_longest_observation(small: Path):
    assert [tuple(one.values()) for one in read_records(small).people.to_pylist()] == [
        ("1", dt.date(1950, 7, 1), dt.date(2009, 12, 31), "male", dt.date(2002, 1, 1), dt.date(2009, 12, 31)),
        ("2", dt.date(1960, 4, 15), dt.date(2008, 1, 1), "female", dt.date(2001, 1, 1), dt.date(2001, 1, 2)),
        ("20", dt.date(1980, 7, 9), None, "unknown", None, None),
        ("3", dt.date(1970, 5, 6), None, "other", None, None),
    ]


def test_what_happened_stands_under_the_standard_code_and_that_of_the_source(small: Path):
    assert events(read_records(small)) == sorted(
        [
            ("1", "condition", "SNOMED:44054006", at("2003-02-01"), at("2003-02-03"), None, None, None),
            ("1", "condition", "ICD10CM:E11.9", at("2003-02-01"), at("2003-02-03"), None, None, None),
            ("2", "condition", "SNOMED:73211009", at("2003-02-01 08:30"), None, None, None, None),
            ("2", "condition", "OMOP:99", at("2003-02-02"), None, None, None, None),
            ("3", "condition", "ICD10CM:E11.9", at("2003-02-03"), None, None, None, None),
            ("1", "measurement", "LOINC:2345-7", at("2003-03-01"), None, 105.5, "mg/dL", None),
            ("1", "measurement", "LOINC:2345-7", at("2003-03-02"), None, 6.1, "mmol/L", "SNOMED:10828004"),
            ("1", "visit", "Visit:IP", at("2004-01-01"), at("2004-01-09"), None, None, None),
            ("1", "death", "SNOMED:44054006", at("2009-12-31"), None, None, None, None),
        ],
        key=repr,
    )


def test_a_code_stands_for_all_its_kinds_that_are_there(small: Path):
    records = read_records(small)
    assert records.descendants(["SNOMED:73211009", "A:1"]) == {"SNOMED:73211009", "SNOMED:44054006", "A:1"}
    assert records.descendants(["SNOMED:44054006"]) == {"SNOMED:44054006"}
    (small / "Concept_Ancestor.csv").unlink()
    assert read_records(small).descendants(["SNOMED:73211009"]) == {"SNOMED:73211009"}


def test_only_what_a_cohort_names_is_read_and_everybody(small: Path):
    some = read_records(small, codes=frozenset({"SNOMED:73211009", "OMOP:99", "RxNorm:1"}))
    assert {row[2] for row in events(some)} == {"SNOMED:73211009", "SNOMED:44054006", "OMOP:99"}
    assert some.people.num_rows == 4
    assert "SNOMED:44054006" in some.descendants(["SNOMED:73211009"])
    assert read_records(small, codes=frozenset()).events.num_rows == 0


@pytest.mark.parametrize("form", ["one file", "a folder of parts"])
def test_parquet_with_numbers_as_a_database_exports_them_reads_the_same(small: Path, tmp_path: Path, form: str):
    other = tmp_path / "other"
    other.mkdir()
    for name, text in TABLES.items():
        delimiter = "\t" if "\t" in text else ","
        layout = pa.csv.ParseOptions(delimiter=delimiter, quote_char=False if delimiter == "\t" else '"')
        table = pa.csv.read_csv(pa.BufferReader(text.encode()), parse_options=layout)
        floats = [pc.cast(one, pa.float64()) if pa.types.is_integer(one.type) else one for one in table.columns]
        stem = name.removesuffix(".csv")
        place = other / f"{stem}.parquet" if form == "one file" else other / stem / "part-0.parquet"
        place.parent.mkdir(exist_ok=True)
        pa.parquet.write_table(pa.table(floats, table.column_names), place)
    there, here = read_records(other), read_records(small)
    assert events(there) == events(here)
    assert there.people.equals(here.people)


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("PERSON.csv", None, "", "cdm: there is no table 'person', so this is no OMOP database"),
        ("concept.csv", None, "", "there is no table 'concept'"),
        ("PERSON.csv", "\n2,", "\n1,", "table person: a person_id is missing or stands twice"),
        ("PERSON.csv", "\n2,", "\n,", "table person: a person_id is missing or stands twice"),
        (
            "measurement.csv",
            "2003-03-02",
            "02.03.2003",
            "measurement, column measurement_date: not all are dates as YYYY",
        ),
        ("measurement.csv", "105.5", "secret", "table measurement, column value_as_number: not all are numbers"),
        ("PERSON.csv", "1950", "secret", "table person, column year_of_birth: not all are numbers"),
        ("concept.csv", "vocabulary_id", "vocabulary", "table concept: column vocabulary_id is missing"),
        ("measurement.csv", "measurement_date", "date", "table measurement: column measurement_date is missing"),
    ],
)
def test_what_is_no_such_database_is_refused_and_no_value_is_quoted(
    small: Path, name: str, old: str | None, new: str, message: str
):
    if old is None:
        (small / name).unlink()
    else:
        (small / name).write_text(TABLES[name].replace(old, new))
    with pytest.raises(Refused, match=message) as found:
        read_records(small)
    assert not any(word in str(found.value) for word in ("secret", "02.03", "105.5"))


def test_a_table_that_is_there_twice_or_cut_off_is_refused(small: Path):
    (small / "person.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(Refused, match=r"cdm: table person is there twice, PERSON\.csv and person\.parquet"):
        read_records(small)
    (small / "PERSON.csv").unlink()
    with pytest.raises(Refused, match=r"cdm: person.parquet: not readable as Parquet or CSV; is it whole\?"):
        read_records(small)


def test_a_place_that_is_none_is_refused(tmp_path: Path):
    with pytest.raises(Refused, match="no such folder; it should hold the tables of an OMOP database"):
        read_records(tmp_path / "absent")
    with pytest.raises(Refused, match="'mysql://' is no place for an OMOP database"):
        read_records("mysql://host/cdm")
    with pytest.raises(Refused, match="a name of letters, digits and _"):
        read_records("postgresql://host/cdm", namespace="cdm; drop table person")
    with pytest.raises(Refused, match="put the password into a file that PGPASSFILE names") as found:
        read_records("postgresql://me:hunter2@host/cdm")
    assert "hunter2" not in str(found.value)


# ---------------------------------------------------------------- the shared data sets


@pytest.mark.data
def test_the_teaching_database_of_version_5_3_is_read(clinical_data: Path):
    records = read_records(clinical_data / "omop_gibleed")
    assert records.people.num_rows == 2694
    counts = {one["values"]: one["counts"] for one in pc.value_counts(records.events["domain"]).to_pylist()}
    # Rows of the tables as its own README counts them; more where a source has another code than the standard.
    assert counts["measurement"] == 44_053
    assert counts["procedure"] == 37_409
    assert counts["condition"] >= 65_332
    codes = pc.value_counts(records.events["code"]).to_pylist()
    by_code = {one["values"]: one["counts"] for one in codes}
    assert (by_code["RxNorm:140587"], by_code["RxNorm:3355"], by_code["SNOMED:74474003"]) == (1844, 850, 479)


@pytest.mark.data
def test_a_database_of_version_5_4_is_read_with_its_units(clinical_data: Path):
    records = read_records(clinical_data / "omop_synthea27nj", codes=frozenset({"LOINC:2339-0", "LOINC:8302-2"}))
    found = records.events.group_by(["code", "unit"]).aggregate([("value", "min"), ("value", "max")]).to_pylist()
    spans = {one["code"]: (one["unit"], one["value_min"], one["value_max"]) for one in found}
    assert spans["LOINC:2339-0"][0] == "mg/dL"
    assert 40 < spans["LOINC:2339-0"][1] < spans["LOINC:2339-0"][2] < 400
    assert spans["LOINC:8302-2"][0] == "cm"
    assert records.people.num_rows == 28
    assert pc.sum(pc.is_valid(records.people["died"])).as_py() == 3


# ---------------------------------------------------------------- PostgreSQL


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def server() -> Iterator[int]:
    """The port of a PostgreSQL server of one's own, without passwords, on the loopback alone."""
    programs = {name: shutil.which(name) for name in ("initdb", "postgres")}
    if None in programs.values():
        pytest.skip("no PostgreSQL server on the path (initdb, postgres)")
    pytest.importorskip("adbc_driver_postgresql", reason="pip install adbc-driver-postgresql")
    folder, user = Path(tempfile.mkdtemp(prefix="postgres-")), {}
    if os.getuid() == 0:  # it refuses to run as root
        nobody = pwd.getpwnam("nobody")
        user = {"user": nobody.pw_uid, "group": nobody.pw_gid}
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    data, port = folder / "data", _free_port()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/"}
    made = [str(programs["initdb"]), "-D", str(data), "-A", "trust", "-U", "tester", "--no-sync"]
    if subprocess.run(made, **user, **quiet).returncode:  # type: ignore[call-overload]
        pytest.skip("initdb makes no database here")
    told = ["-D", str(data), "-k", str(folder), "-h", "127.0.0.1", "-p", str(port), "-F"]
    running = subprocess.Popen([str(programs["postgres"]), *told], **user, **quiet)  # type: ignore[call-overload]
    try:
        _await(port)
        yield port
    finally:
        running.send_signal(signal.SIGINT)
        running.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


def _await(port: int) -> None:
    from adbc_driver_postgresql import dbapi

    for _ in range(200):
        try:
            dbapi.connect(f"postgresql://tester@127.0.0.1:{port}/postgres").close()
            return
        except dbapi.Error:
            time.sleep(0.1)
    pytest.skip("the PostgreSQL server does not start here")


def _fill(port: int, folder: Path, namespace: str) -> None:
    """Put the tables of a folder into a schema, with the types that the model's own scripts give them."""
    from adbc_driver_postgresql import dbapi

    from caduceus.edges.omop.files import Files
    from caduceus.edges.omop.model import HAPPENINGS, kind

    wanted = {
        "person",
        "death",
        "observation_period",
        "concept",
        "concept_ancestor",
        *(one.table for one in HAPPENINGS),
    }
    with (
        Files(folder) as files,
        dbapi.connect(f"postgresql://tester@127.0.0.1:{port}/postgres") as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(f"create schema {namespace}")
        for path in sorted(folder.iterdir()):
            name = path.name.split(".")[0].lower()
            if name not in wanted:
                continue
            columns = sorted(files.columns(name))
            cursor.execute(f"create table {namespace}.{name} ({', '.join(f'{one} {kind(one)}' for one in columns)})")
            table = files.fetch(f"select * from {files.table(name, columns)} t")
            cursor.adbc_ingest(name, table, mode="append", db_schema_name=namespace)
        connection.commit()


def test_a_postgresql_database_gives_the_same_records_as_files(server: int, small: Path):
    _fill(server, small, "cdm")
    url = f"postgresql://tester@127.0.0.1:{server}/postgres"
    for codes in (None, frozenset({"SNOMED:73211009", "OMOP:99"})):
        there, here = read_records(url, codes=codes, namespace="cdm"), read_records(small, codes=codes)
        assert events(there) == events(here)
        assert there.people.equals(here.people)
        assert there.descendants(["SNOMED:73211009"]) == here.descendants(["SNOMED:73211009"])
    with pytest.raises(Refused, match="database postgres, schema other: there is no table 'person'"):
        read_records(url, namespace="other")


@pytest.mark.slow
@pytest.mark.data
def test_a_real_database_in_postgresql_gives_the_same_records(server: int, clinical_data: Path):
    wanted = frozenset({"LOINC:2339-0", "SNOMED:10509002"})
    _fill(server, clinical_data / "omop_synthea27nj", "nj")
    there = read_records(f"postgresql://tester@127.0.0.1:{server}/postgres", codes=wanted, namespace="nj")
    here = read_records(clinical_data / "omop_synthea27nj", codes=wanted)
    assert events(there) == events(here)
    assert there.people.equals(here.people)


def test_a_database_that_does_not_answer_is_unavailable():
    pytest.importorskip("adbc_driver_postgresql", reason="pip install adbc-driver-postgresql")
    with pytest.raises(Unavailable, match="database cdm, schema public: no connection"):
        read_records(f"postgresql://tester@127.0.0.1:{_free_port()}/cdm")
