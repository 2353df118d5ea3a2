"""Files become sheets as they lie there: texts keep their zeros, resources their paths, and no message quotes a
value.
"""

import decimal
import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from caduceus.data.readiness.sheet import FHIR, OMOP, TABLE
from caduceus.data.schema_file import read_schema_file
from caduceus.edges.federation import open_federation
from caduceus.edges.sheets.columns import read_columns, roles, taken
from caduceus.edges.sheets.fhir import read_resources
from caduceus.edges.sheets.omop import read_tables
from caduceus.edges.sheets.opening import open_path, open_site
from caduceus.errors import Refused

SCHEMA = """
title = "t"
[file]
header = false
[[column]]
name = "age"
kind = "integer"
range = [0, 120]
[[column]]
name = "who"
role = "patient"
[[column]]
name = "left_out"
role = "ignore"
"""

PATIENT = {
    "resourceType": "Patient",
    "id": "a",
    "name": [{"family": "F", "given": ["G", "H"]}],
    "extension": [
        {
            "url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race",
            "extension": [{"url": "text", "valueString": "W"}],
        },
        {"url": "http://vendor.example/secret-name", "valueString": "x"},
    ],
    "active": True,
}
OBSERVATION = {
    "resourceType": "Observation",
    "id": "o",
    "subject": {"reference": "Patient/a"},
    "valueQuantity": {"value": 5.5},
}


def test_a_csv_becomes_numbers_and_dates_only_where_that_loses_nothing(tmp_path: Path):
    path = tmp_path / "ward.csv"
    path.write_text("zip,age,level,day,mixed,none\n01960,50,1.5,2016-05-28,5,\n67846,NA,2,2016-05-29,x,\n")
    sheet = read_columns(path)
    kinds = {name: str(leaf.values.type) for name, leaf in sheet.leaves.items()}
    assert kinds == {
        "zip": "string",
        "age": "int64",
        "level": "double",
        "day": "date32[day]",
        "mixed": "string",
        "none": "string",
    }
    assert (sheet.name, sheet.source, sheet.rows) == ("ward", TABLE, 2)
    assert sheet.leaves["age"].values.null_count == 1


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_seen_in_the_header_and_gzip_is_opened(tmp_path: Path, delimiter: str):
    path = tmp_path / "ward.csv.gz"
    path.write_bytes(gzip.compress(f"a{delimiter}b\n1{delimiter}2\n".encode()))
    assert list(read_columns(path).leaves) == ["a", "b"]


def test_a_schema_names_the_columns_of_a_file_without_a_header_and_their_roles(tmp_path: Path):
    path = tmp_path / "ward.csv"
    path.write_text("50,p1,x\n60,p2,y\n")
    schema = read_schema_file(SCHEMA, where="schema.toml")
    sheet = read_columns(path, schema)
    assert (list(sheet.leaves), sheet.patient) == (["age", "who", "left_out"], "who")
    assert roles(sheet, schema) == {"ward.age": "feature", "ward.who": "patient", "ward.left_out": "ignore"}
    assert taken(sheet, [1]).leaves["age"].values.to_pylist() == [60]


@pytest.mark.parametrize(
    ("name", "text", "match"),
    [
        ("a.csv", "50,2016-05-28,SECRET\n1,2,3\n", r"first row looks like a record"),
        ("a.csv", "", r"empty"),
        ("a.csv", "a,a\n1,2\n", r"two columns have the same name"),
        ("a.csv", "a,b\n1,SECRET,3\n", r"every row needs 2 fields"),
        ("a.csv.gz", "SECRET", r"not a whole gzip file"),
        ("a.parquet", "SECRET", r"not a whole Parquet file"),
        ("a.ndjson", "{SECRET\n", r"line 1: not JSON"),
        ("a.ndjson", '{"SECRET": 1}\n', r"line 1: not a FHIR resource"),
        ("a.json", '{"resourceType": "Bundle"}', r"no FHIR resources"),
        ("a.doc", "SECRET", r"not a CSV, Parquet or FHIR file"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_without_a_value(tmp_path: Path, name: str, text: str, match: str):
    (tmp_path / name).write_text(text)
    with pytest.raises(Refused, match=match) as caught:
        open_path(tmp_path / name)
    assert "SECRET" not in str(caught.value)


def test_a_parquet_file_loses_no_column_to_its_kind(tmp_path: Path):
    kinds = {
        "nested": pa.array([{"phone": "x"}, None]),
        "listed": pa.array([["a"], []]),
        "decimal": pa.array([decimal.Decimal("1.50"), None]),
        "coded": pa.array(["a", "b"]).dictionary_encode(),
        "large": pa.array(["a", "b"], pa.large_string()),
        "bytes": pa.array([b"a", b"b"]),
    }
    pq.write_table(pa.table(kinds), tmp_path / "a.parquet")
    sheet = read_columns(tmp_path / "a.parquet")
    found = {name: str(leaf.values.type) for name, leaf in sheet.leaves.items()}
    assert found == dict.fromkeys(kinds, "string") | {"decimal": "double", "bytes": "binary"}
    assert sheet.leaves["nested"].values.to_pylist() == ['{"phone": "x"}', None]


def test_resources_become_sheets_by_type_with_paths_and_records(tmp_path: Path):
    (tmp_path / "Patient.ndjson").write_text(json.dumps(PATIENT) + "\n\n" + json.dumps(PATIENT | {"id": "b"}) + "\n")
    bundle = {"resourceType": "Bundle", "entry": [{"resource": OBSERVATION}, {"request": {}}]}
    (tmp_path / "more.json.gz").write_bytes(gzip.compress(json.dumps(bundle).encode()))
    (tmp_path / "log.ndjson").write_text("{}\n")
    observation, patient = read_resources(tmp_path)
    assert (patient.name, patient.source, patient.rows, patient.patient) == ("Patient", FHIR, 2, "Patient.id")
    assert patient.leaves["Patient.name.given"].values.to_pylist() == ["G", "H", "G", "H"]
    assert patient.leaves["Patient.name.given"].rows.tolist() == [0, 0, 1, 1]
    assert "Patient.extension(us-core-race).extension(text).valueString" in patient.leaves
    assert "Patient.extension(local).valueString" in patient.leaves
    assert patient.leaves["Patient.active"].values.type == pa.bool_()
    assert observation.patient == "Observation.subject.reference"
    assert observation.leaves["Observation.valueQuantity.value"].values.to_pylist() == [5.5]
    assert not any("vendor" in path for path in patient.leaves)


def test_a_resource_that_is_nested_without_end_is_refused(tmp_path: Path):
    deep: dict[str, object] = {}
    inner = deep
    for _ in range(80):
        inner["a"] = {}
        inner = inner["a"]  # type: ignore[assignment]
    inner["b"] = 1
    (tmp_path / "x.json").write_text(json.dumps({"resourceType": "Basic", "a": deep}))
    with pytest.raises(Refused, match=r"levels deep"):
        read_resources(tmp_path)


def test_a_folder_of_omop_tables_is_read_without_its_vocabularies(tmp_path: Path):
    pq.write_table(pa.table({"person_id": [1, 2], "gender_concept_id": [8507, 8532]}), tmp_path / "person.parquet")
    (tmp_path / "visit_occurrence.csv").write_text("visit_occurrence_id,person_id\n1,1\n")
    (tmp_path / "concept.csv").write_text("concept_id,concept_name\n1,x\n")
    (tmp_path / "death.csv").write_text("person_id,death_date\n")
    person, visit = open_path(tmp_path).sheets
    assert (person.name, person.source, person.patient) == ("person", OMOP, "person_id")
    assert visit.name == "visit_occurrence"
    assert [one.name for one in read_tables(tmp_path)] == ["person", "visit_occurrence"]


def test_a_site_of_a_federation_is_its_own_rows_and_its_digest_needs_the_salt():
    from caduceus.edges.federation import example

    federation = open_federation(example("breast"))
    ash, elm = (open_site(federation, name) for name in ("Ash", "Birch"))
    assert ash.sheets[0].rows > 50
    assert ash.roles["breast_cancer.malignant"] == "target"
    assert ash.digest(bytes(32)) == open_site(federation, "Ash").digest(bytes(32))
    assert len({ash.digest(bytes(32)), ash.digest(bytes([1] * 32)), elm.digest(bytes(32))}) == 3
    with pytest.raises(Refused, match=r"no site 'Nowhere'"):
        open_site(federation, "Nowhere")
