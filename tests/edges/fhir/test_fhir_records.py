"""What each kind of resource becomes: people, and one event for every code."""

import json
from datetime import date, datetime
from pathlib import Path

import pytest

from caduceus.data.records import DOMAINS, EVENTS
from caduceus.edges.fhir import read_export, read_records
from caduceus.edges.fhir.mapping import DEAD
from caduceus.edges.fhir.piece import needles
from caduceus.edges.fhir.systems import NAMES, system_name
from caduceus.errors import Refused

WHO = {"reference": "Patient/p"}
LOINC, SNOMED = "http://loinc.org", "http://snomed.info/sct"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"


def concept(system: str | None, *codes: str) -> dict:
    return {"coding": [{"code": code} | ({"system": system} if system else {}) for code in codes], "text": "private"}


def write(folder: Path, *resources: dict, name: str = "all.ndjson") -> Path:
    (folder / name).write_text("".join(json.dumps(one) + "\n" for one in resources))
    return folder


PATIENT = {"resourceType": "Patient", "id": "p"}


def events(folder: Path, *resources: dict) -> list[dict]:
    """The events of one patient with these resources, without what is null."""
    found = read_records(write(folder, PATIENT, *resources)).events.to_pylist()
    assert all(event.pop("patient") == "p" for event in found)
    return [{name: value for name, value in event.items() if value is not None} for event in found]


def observation(**more: object) -> dict:
    return {"resourceType": "Observation", "status": "final", "code": concept(LOINC, "1-1"), "subject": WHO} | more


def test_people_have_their_dates_and_their_sex(tmp_path: Path):
    people = [
        {"id": "day", "birthDate": "1970-06-03", "gender": "male", "deceasedDateTime": "2020-05-01T23:30:00-05:00"},
        {"id": "month", "birthDate": "1970-06", "gender": "female", "deceasedBoolean": True},
        {"id": "year", "birthDate": "1970", "gender": "other", "deceasedBoolean": False},
        {"id": "none", "birthDate": "1970-99", "gender": "m"},
    ]
    reading = read_export(write(tmp_path, *({"resourceType": "Patient"} | one for one in people)))
    rows = [tuple(row.values()) for row in reading.records.people.to_pylist()]
    assert rows == [
        ("day", date(1970, 6, 3), date(2020, 5, 1), "male", None, None),
        ("month", date(1970, 6, 15), None, "female", None, None),
        ("year", date(1970, 7, 2), None, "other", None, None),
        ("none", None, None, None, None, None),
    ]
    deaths = [(one["patient"], one["domain"], one["code"], one["start"]) for one in reading.records.events.to_pylist()]
    assert deaths == [("day", "death", DEAD, datetime(2020, 5, 1)), ("month", "death", DEAD, None)]
    assert [(note.rule, note.count, note.says) for note in reading.notes] == [
        ("fhir.unknown_date", None, "fewer than 11 dates that can't be read, left empty")
    ]
    assert read_records(tmp_path, codes=frozenset(("LOINC:1-1",))).events.num_rows == 0
    assert read_records(tmp_path, codes=frozenset((DEAD,))).events.num_rows == 2


def test_a_measurement_has_its_number_and_unit(tmp_path: Path):
    quantity = {"value": 6.5, "unit": "percent", "system": "http://unitsofmeasure.org", "code": "%"}
    found = events(
        tmp_path,
        observation(valueQuantity=quantity, effectiveDateTime="2020-01-02T03:04:05Z"),
        observation(valueQuantity={"value": 7, "unit": "mmol/L"}, effectivePeriod={"start": "2020", "end": "2021-03"}),
        observation(valueInteger=3, effectiveInstant="2020-01-02T03:04:05.5Z"),
        observation(valueBoolean=True, issued="2020-01-02T03:04:05Z"),
        observation(valueQuantity={"unit": "kg"}, category=[concept("s", "laboratory")]),
        observation(valueString="private"),
    )
    start = datetime(2020, 1, 2, 3, 4, 5)
    assert found == [
        {"domain": "measurement", "code": "LOINC:1-1", "start": start, "value": 6.5, "unit": "%"},
        {
            "domain": "measurement",
            "code": "LOINC:1-1",
            "start": datetime(2020, 7, 2),
            "end": datetime(2021, 3, 15),
            "value": 7.0,
            "unit": "mmol/L",
        },
        {"domain": "measurement", "code": "LOINC:1-1", "start": start.replace(microsecond=500_000), "value": 3.0},
        {"domain": "observation", "code": "LOINC:1-1", "start": start, "value": 1.0},
        {"domain": "measurement", "code": "LOINC:1-1"},
        {"domain": "observation", "code": "LOINC:1-1"},
    ]


def test_components_are_events_of_their_own(tmp_path: Path):
    def part(code: str, value: int) -> dict:
        return {"code": concept(LOINC, code), "valueQuantity": {"value": value, "code": "mm[Hg]"}}

    absent = {"code": concept(LOINC, "0-0"), "dataAbsentReason": concept("s", "unknown")}
    pressure = observation(code=concept(LOINC, "85354-9"), component=[part("8480-6", 120), part("8462-4", 80), absent])
    found = events(tmp_path, pressure)
    assert [(one["domain"], one["code"], one.get("value"), one.get("unit")) for one in found] == [
        ("observation", "LOINC:85354-9", None, None),
        ("measurement", "LOINC:8480-6", 120.0, "mm[Hg]"),
        ("measurement", "LOINC:8462-4", 80.0, "mm[Hg]"),
    ]


def test_every_code_and_every_answer_makes_a_row(tmp_path: Path):
    answered = observation(code=concept(LOINC, "1-1", "2-2"), valueCodeableConcept=concept(SNOMED, "7", "8"))
    found = [(one["code"], one["answer"]) for one in events(tmp_path, answered)]
    assert found == [(f"LOINC:{code}", f"SNOMED:{answer}") for code in ("1-1", "2-2") for answer in ("7", "8")]


def test_an_observation_that_says_why_it_has_no_value_leaves_nothing(tmp_path: Path):
    assert events(tmp_path, observation(dataAbsentReason=concept("s", "not-performed"))) == []


def test_a_condition_has_onset_and_abatement(tmp_path: Path):
    condition = {
        "resourceType": "Condition",
        "code": concept("http://hl7.org/fhir/sid/icd-10-cm", "E11.9"),
        "subject": WHO,
    }
    found = events(
        tmp_path,
        condition | {"onsetDateTime": "2010-02-03", "abatementDateTime": "2011-02-03"},
        condition | {"onsetPeriod": {"start": "2012-02-03"}, "abatementPeriod": {"end": "2013-02-03"}},
        condition | {"onsetAge": {"value": 50}, "recordedDate": "2014-02-03"},
        condition | {"verificationStatus": concept("s", "refuted")},
    )
    assert [(one["domain"], one["code"]) for one in found] == [("condition", "ICD10CM:E11.9")] * 3
    assert [(one["start"].year, one.get("end") and one["end"].year) for one in found] == [
        (2010, 2011),
        (2012, 2013),
        (2014, None),
    ]


def test_procedures_visits_immunizations_allergies_and_reports(tmp_path: Path):
    span = {"start": "2015-01-01T08:00:00Z", "end": "2015-01-03T08:00:00Z"}
    found = events(
        tmp_path,
        {
            "resourceType": "Procedure",
            "status": "completed",
            "code": concept(SNOMED, "1"),
            "subject": WHO,
            "performedPeriod": span,
        },
        {
            "resourceType": "Encounter",
            "status": "finished",
            "class": {"system": "http://e/class", "code": "IMP"},
            "type": [concept(SNOMED, "2")],
            "subject": WHO,
            "period": span,
        },
        {
            "resourceType": "Immunization",
            "status": "completed",
            "vaccineCode": concept("http://hl7.org/fhir/sid/cvx", "08"),
            "patient": WHO,
            "occurrenceDateTime": "2015-01-02",
        },
        {
            "resourceType": "AllergyIntolerance",
            "code": concept(SNOMED, "3"),
            "patient": WHO,
            "recordedDate": "2015-01-02",
        },
        {
            "resourceType": "DiagnosticReport",
            "status": "final",
            "category": [concept("http://terminology.hl7.org/CodeSystem/v2-0074", "LAB")],
            "code": concept(LOINC, "58410-2"),
            "conclusionCode": [concept(SNOMED, "4")],
            "subject": WHO,
            "effectiveDateTime": "2015-01-02",
        },
    )
    short = sorted((one["domain"], one["code"], one.get("answer", ""), "end" in one) for one in found)
    assert short == [
        ("immunization", "CVX:08", "", False),
        ("measurement", "LOINC:58410-2", "SNOMED:4", False),
        ("observation", "SNOMED:3", "", False),
        ("procedure", "SNOMED:1", "", True),
        ("visit", "SNOMED:2", "", True),
        ("visit", "http://e/class:IMP", "", True),
    ]
    assert {one["domain"] for one in found} < set(DOMAINS)
    assert all(one["start"].date() in (date(2015, 1, 1), date(2015, 1, 2)) for one in found)


def request(**more: object) -> dict:
    return {"resourceType": "MedicationRequest", "status": "active", "intent": "order", "subject": WHO} | more


def test_a_drugs_code_is_its_own_or_that_of_a_contained_or_another_resource(tmp_path: Path):
    inner = {"resourceType": "Medication", "id": "in", "code": concept(RXNORM, "2")}
    other = {"resourceType": "Medication", "id": "m", "code": concept(RXNORM, "3", "4")}
    found = events(
        tmp_path,
        request(medicationCodeableConcept=concept(RXNORM, "1"), authoredOn="2020-01-01"),
        request(contained=[inner], medicationReference={"reference": "#in"}),
        request(medicationReference={"reference": "Medication/m"}),
        {
            "resourceType": "MedicationStatement",
            "status": "active",
            "subject": WHO,
            "effectivePeriod": {"start": "2019"},
        }
        | {"medicationReference": {"reference": "urn:uuid:m"}},
        {"resourceType": "MedicationAdministration", "status": "completed", "subject": WHO}
        | {"medicationCodeableConcept": concept("http://www.whocc.no/atc", "A10"), "effectiveDateTime": "2018-01-01"},
        other,
    )
    assert {one["domain"] for one in found} == {"drug"}
    codes = [(one["code"], one["start"].year if "start" in one else None) for one in found]
    assert sorted(codes, key=str) == [
        ("ATC:A10", 2018),
        ("RxNorm:1", 2020),
        ("RxNorm:2", None),
        ("RxNorm:3", 2019),
        ("RxNorm:3", None),
        ("RxNorm:4", 2019),
        ("RxNorm:4", None),
    ]
    wanted = read_records(tmp_path, codes=frozenset(("RxNorm:3", "RxNorm:2")))
    assert sorted(wanted.events["code"].to_pylist()) == ["RxNorm:2", "RxNorm:3", "RxNorm:3"]


def test_a_medication_that_is_not_there_is_counted(tmp_path: Path):
    reading = read_export(write(tmp_path, PATIENT, *[request(medicationReference={"reference": "Medication/m"})] * 12))
    assert [(note.rule, note.count) for note in reading.notes] == [("fhir.unknown_medication", 12)]


@pytest.mark.parametrize(
    ("type_", "field", "values"),
    [
        ("Observation", "status", ["entered-in-error", "cancelled"]),
        ("DiagnosticReport", "status", ["entered-in-error", "cancelled"]),
        ("Procedure", "status", ["entered-in-error", "not-done", "preparation"]),
        ("Immunization", "status", ["entered-in-error", "not-done"]),
        ("Encounter", "status", ["entered-in-error", "cancelled", "planned"]),
        ("MedicationRequest", "status", ["entered-in-error", "cancelled", "draft"]),
        ("MedicationRequest", "intent", ["proposal", "option"]),
        ("MedicationStatement", "status", ["entered-in-error", "not-taken", "intended"]),
        ("MedicationAdministration", "status", ["entered-in-error", "not-done"]),
        ("Condition", "verificationStatus", ["entered-in-error", "refuted"]),
        ("AllergyIntolerance", "verificationStatus", ["entered-in-error", "refuted"]),
    ],
)
def test_what_is_withdrawn_or_was_not_done_leaves_nothing(tmp_path: Path, type_: str, field: str, values: list[str]):
    resource = {"resourceType": type_, "subject": WHO, "patient": WHO, "code": concept(SNOMED, "1")}
    resource |= {"vaccineCode": concept(SNOMED, "1"), "medicationCodeableConcept": concept(SNOMED, "1")}
    resource |= {"type": [concept(SNOMED, "1")]} if type_ == "Encounter" else {}
    assert len(events(tmp_path, resource)) == 1
    for value in values:
        said = concept("s", value) if field == "verificationStatus" else value
        assert events(tmp_path, resource | {field: said}) == [], value


def test_a_drug_that_is_not_to_be_taken_leaves_nothing(tmp_path: Path):
    assert events(tmp_path, request(medicationCodeableConcept=concept(RXNORM, "1"), doNotPerform=True)) == []


def test_events_without_a_known_patient_a_system_or_a_code_are_left_out_and_counted(tmp_path: Path):
    reading = read_export(
        write(
            tmp_path,
            PATIENT,
            observation(),
            *[observation(subject={"reference": "Patient/stranger"})] * 11,
            *[observation(subject={"display": "private"})] * 12,
            *[observation(code=concept(None, "1-1"))] * 13,
            observation(code={"text": "private"}),
        )
    )
    assert reading.records.events.num_rows == 1
    assert {(note.rule, note.count) for note in reading.notes} == {
        ("fhir.unknown_patient", 11),
        ("fhir.no_patient", 12),
        ("fhir.no_system", 13),
    }
    assert "private" not in str(reading.notes)
    assert "stranger" not in str(reading.notes)


def test_of_resources_with_one_id_the_last_counts(tmp_path: Path):
    old = PATIENT | {"gender": "male", "meta": {"lastUpdated": "2020-01-01T00:00:00Z"}}
    new = PATIENT | {"gender": "female", "meta": {"lastUpdated": "2021-01-01T00:00:00Z"}}
    place = write(
        tmp_path,
        old,
        new,
        old,
        observation(id="o", valueInteger=1, component=[{"code": concept(LOINC, "3-3"), "valueInteger": 1}]),
        observation(id="o", valueInteger=2),
        observation(valueInteger=3),
        observation(valueInteger=4),
        request(id="o", medicationCodeableConcept=concept(RXNORM, "1")),
    )
    records = read_records(place)
    assert records.people["sex"].to_pylist() == ["female"]
    assert sorted(records.events["value"].to_pylist(), key=str) == [2.0, 3.0, 4.0, None]


def test_encounters_say_from_when_to_when_a_patient_was_observed(tmp_path: Path):
    def visit(start: str, end: str, **more: object) -> dict:
        return {"resourceType": "Encounter", "subject": WHO, "period": {"start": start, "end": end}} | more

    early = observation(effectiveDateTime="1990-01-01")
    place = write(
        tmp_path, PATIENT, early, visit("2010-01-02", "2010-01-05"), visit("2012-01-02", "2012-01-03"),
        visit("2030-01-01", "2030-01-01", status="planned"), PATIENT | {"id": "q"}
    )  # fmt: skip
    for codes in (None, frozenset(("LOINC:9-9",))):
        people = read_records(place, codes=codes).people.to_pylist()
        assert [(one["observed_from"], one["observed_to"]) for one in people] == [
            (date(2010, 1, 2), date(2012, 1, 3)),
            (None, None),
        ]


def test_without_encounters_all_events_say_it_whatever_codes_are_wanted(tmp_path: Path):
    write(tmp_path, PATIENT, name="Patient.ndjson")
    dated = [
        observation(effectiveDateTime="1990-01-01"),
        observation(effectiveDateTime="1999-01-01", code=concept(LOINC, "2-2")),
    ]
    write(tmp_path, *dated, name="Observation.ndjson")
    for codes, count in ((None, 2), (frozenset(("LOINC:2-2",)), 1), (frozenset(("LOINC:9-9",)), 0)):
        records = read_records(tmp_path, codes=codes)
        (one,) = records.people.to_pylist()
        assert (one["observed_from"], one["observed_to"]) == (date(1990, 1, 1), date(1999, 1, 1))
        assert records.events.num_rows == count


def test_codes_that_are_wanted_are_found_however_they_are_written(tmp_path: Path):
    write(tmp_path, PATIENT, name="Patient.ndjson")
    escaped = json.dumps(observation()).replace("1-1", "1\\u002d1")
    write(tmp_path, {"resourceType": "Encounter", "subject": WHO, "period": {"start": "2000"}}, name="Encounter.ndjson")
    path = tmp_path / "Observation.ndjson"
    path.write_text(escaped + "\n" + json.dumps(observation(code=concept("urn:x:y", "a:1-1"))) + "\n")
    assert read_records(tmp_path, codes=frozenset(("LOINC:1-1",))).events.num_rows == 1
    assert read_records(tmp_path, codes=frozenset(("urn:x:y:a:1-1",))).events.num_rows == 1
    assert read_records(tmp_path, codes=frozenset()).events.num_rows == 0
    assert needles(frozenset(("LOINC:1-1", "x:a:b"))) == (b'"1-1"', b'b"')
    assert needles(frozenset(("LOINC:a b",))) == ()
    assert needles(frozenset(f"LOINC:{i}" for i in range(33))) == ()


def test_a_drug_whose_code_stands_elsewhere_is_found_among_files_named_by_type(tmp_path: Path):
    write(tmp_path, PATIENT, name="Patient.ndjson")
    write(tmp_path, {"resourceType": "Encounter", "subject": WHO, "period": {"start": "2000"}}, name="Encounter.ndjson")
    other = {"resourceType": "Medication", "id": "m", "code": concept(RXNORM, "3")}
    write(tmp_path, other, name="Medication.ndjson")
    write(tmp_path, request(medicationReference={"reference": "Medication/m"}), name="MedicationRequest.ndjson")
    assert read_records(tmp_path, codes=frozenset(("RxNorm:3",))).events["code"].to_pylist() == ["RxNorm:3"]


def test_references_of_a_bundle_are_resolved(tmp_path: Path):
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {"fullUrl": "urn:uuid:11", "resource": {"resourceType": "Patient", "gender": "male"}},
            {"fullUrl": "urn:uuid:22", "resource": {"resourceType": "Patient", "id": "named", "gender": "female"}},
            {"fullUrl": "urn:uuid:33", "resource": observation(subject={"reference": "urn:uuid:11"})},
            {"fullUrl": "urn:uuid:44", "resource": observation(subject={"reference": "urn:uuid:22"})},
            {"resource": observation(subject={"reference": "https://h/fhir/Patient/named/_history/2"})},
        ],
    }
    (tmp_path / "b.json").write_text(json.dumps(bundle))
    records = read_records(tmp_path / "b.json")
    assert records.people["patient"].to_pylist() == ["11", "named"]
    assert records.events["patient"].to_pylist() == ["11", "named", "named"]


@pytest.mark.parametrize(
    "hostile", [5, "text", [], [[]], {"coding": 7}, {"coding": ["x", None, []]}, {"coding": [{"code": []}]}]
)
def test_what_is_malformed_within_a_resource_makes_no_event_or_is_refused_but_never_fails(
    tmp_path: Path, hostile: object
):
    assert events(tmp_path, observation(code=hostile)) == []


def test_a_code_that_is_no_text_is_refused_with_its_line(tmp_path: Path):
    with pytest.raises(
        Refused, match=r"^all.ndjson: line 2: view 'observations': column 'code', path 'code': there is a"
    ):
        events(tmp_path, observation(code={"coding": [{"system": LOINC, "code": 7}]}))


def test_systems_have_the_names_of_schema_files():
    assert system_name("https://loinc.org/") == "LOINC"
    assert system_name("http://snomed.info/sct/731000124108") == "SNOMED"
    assert system_name("urn:oid:2.16.840.1.113883.6.90") == "ICD10CM"
    assert system_name("http://fhir.de/CodeSystem/bfarm/icd-10-gm") == "http://fhir.de/CodeSystem/bfarm/icd-10-gm"
    assert set(NAMES.values()) == {
        "LOINC",
        "SNOMED",
        "ICD10",
        "ICD10CM",
        "ICD9CM",
        "RxNorm",
        "ATC",
        "CVX",
        "CPT4",
        "HCPCS",
        "UCUM",
    }


def test_the_table_of_events_has_the_schema_of_records(tmp_path: Path):
    assert read_records(write(tmp_path, PATIENT)).events.schema.equals(EVENTS)
