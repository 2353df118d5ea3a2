"""Real exports: what is in them is what comes out."""

import gzip
import json
import re
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from caduceus.edges.fhir import Reading, read_export, read_records, read_view

pytestmark = pytest.mark.data


def counted(folder: Path, type_: str, file: str = "*") -> int:
    """How many resources of a type lie in a folder, by a way of our own: lines that say so."""
    pattern = re.compile(rb'^\{"resourceType":"' + type_.encode() + rb'"', re.M)
    return sum(len(pattern.findall(gzip.decompress(path.read_bytes()))) for path in folder.glob(f"{file}.ndjson.gz"))


def stated(folder: Path) -> dict[str, int]:
    """How many resources of each type the folder's README says."""
    rows = re.findall(r"^\| (?:[\w-]+/)?(\w+) \| ([\d,]+) \| - \|$", (folder / "README.md").read_text(), re.M)
    return {type_: int(count.replace(",", "")) for type_, count in rows}


@pytest.fixture(scope="module")
def bundles(clinical_data: Path) -> Reading:
    return read_export(clinical_data / "synthea_fhir_ndjson", processes=1)


@pytest.fixture(scope="module")
def bulk(clinical_data: Path) -> Reading:
    return read_export(clinical_data / "smart_bulk_fhir_10", processes=1)


def test_every_resource_of_the_flattened_bundles_is_read_and_belongs_to_somebody(bundles: Reading, clinical_data: Path):
    types = stated(clinical_data / "synthea_fhir_ndjson")
    assert bundles.records.people.num_rows == types["Patient"] == 79
    read = (
        "Patient",
        "Condition",
        "DiagnosticReport",
        "Encounter",
        "Immunization",
        "MedicationRequest",
        "Observation",
        "Procedure",
    )
    assert bundles.resources == sum(types[type_] for type_ in read) == 29_612
    assert bundles.notes == ()
    domains = Counter(bundles.records.events["domain"].to_pylist())
    assert domains["condition"] == types["Condition"]
    assert domains["immunization"] == types["Immunization"]
    assert domains["drug"] == types["MedicationRequest"]
    assert domains["procedure"] == types["Procedure"]
    assert domains["visit"] == 2 * types["Encounter"]  # a class and a type each


def test_events_of_the_flattened_bundles_are_those_of_a_plain_count(bundles: Reading, clinical_data: Path):
    wanted: Counter[tuple[str, str, float]] = Counter()
    with gzip.open(clinical_data / "synthea_fhir_ndjson" / "Observation.ndjson.gz") as lines:
        for line in lines:
            one = json.loads(line)
            if "valueQuantity" in one:
                patient = one["subject"]["reference"].removeprefix("urn:uuid:")
                for coding in one["code"]["coding"]:
                    wanted[patient, f"LOINC:{coding['code']}", float(one["valueQuantity"]["value"])] += 1
    found = bundles.records.events.filter(pc.equal(bundles.records.events["domain"], "measurement"))
    columns = (found[name].to_pylist() for name in ("patient", "code", "value"))
    assert Counter(zip(*columns, strict=True)) == wanted
    assert sum(wanted.values()) > 1000


def test_of_the_bulk_export_every_resource_is_read_and_patients_of_two_files_count_once(
    bulk: Reading, clinical_data: Path
):
    folder = clinical_data / "smart_bulk_fhir_10"
    types = stated(folder)
    assert bulk.records.people.num_rows == types["Patient_1000"] == 1144
    assert [(note.rule, note.count) for note in bulk.notes] == [("fhir.same_patient", types["Patient"])]
    domains = Counter(bulk.records.events["domain"].to_pylist())
    assert domains["condition"] == types["Condition"] == counted(folder, "Condition")
    assert domains["procedure"] == types["Procedure"]
    assert domains["drug"] == types["MedicationRequest"]
    assert domains["immunization"] == types["Immunization"]
    assert domains["observation"] == types["AllergyIntolerance"]
    assert domains["visit"] == 2 * types["Encounter"]
    dead = sum(b'"deceasedDateTime"' in line for line in _lines(folder / "Patient_1000.ndjson.gz"))
    assert domains["death"] == dead == len(bulk.records.people["died"].drop_null())


def _lines(path: Path) -> list[bytes]:
    return gzip.decompress(path.read_bytes()).splitlines()


def test_with_codes_the_same_people_and_only_their_events_are_left(bundles: Reading, clinical_data: Path):
    everything = bundles.records.events
    codes = frozenset(Counter(everything["code"].to_pylist()).most_common(30)[i][0] for i in (2, 9, 29))
    some = read_records(clinical_data / "synthea_fhir_ndjson", codes=codes)
    assert some.people.equals(bundles.records.people)
    assert some.events.equals(everything.filter(pc.is_in(everything["code"], pa.array(sorted(codes)))))
    assert set(some.events["code"].to_pylist()) == codes


def test_a_view_of_a_sites_own_sees_every_claim(clinical_data: Path):
    folder = clinical_data / "synthea_fhir_ndjson"
    view = {
        "name": "claims",
        "resource": "Claim",
        "select": [
            {
                "column": [
                    {"name": "id", "path": "getResourceKey()", "type": "id"},
                    {"name": "total", "path": "total.value", "type": "decimal"},
                    {"name": "patient", "path": "patient.getReferenceKey(Patient)", "type": "id"},
                ]
            }
        ],
    }
    table = read_view(folder, view, processes=1)
    assert table.num_rows == stated(folder)["Claim"] == 4028
    assert len(set(table["id"].to_pylist())) == 4028
    assert table["patient"].null_count == 0
    assert table["total"].null_count < 4028
