"""FHIRPath as it is compiled, and as the library evaluates what is not."""

import gzip
import json
from pathlib import Path

import pytest

from caduceus.edges.fhir import mapping
from caduceus.edges.fhir.elements import Env
from caduceus.edges.fhir.expression import Constant, compile_path
from caduceus.edges.fhir.keys import reference_key
from caduceus.edges.fhir.moments import Written, boundary, compare, middle
from caduceus.edges.fhir.view import compile_view
from caduceus.errors import Refused

PATIENT = {
    "resourceType": "Patient",
    "id": "p1",
    "birthDate": "1970-06",
    "_birthDate": {"extension": [{"url": "http://e/x", "valueString": "as told"}]},
    "name": [{"use": "official", "family": "A", "given": ["B", "C"]}, {"use": "usual", "family": "D"}],
    "multipleBirthInteger": 2,
    "deceasedBoolean": False,
    "contact": [{"name": {"family": "E"}}, {"gender": "male"}],
    "managingOrganization": {"reference": "Organization/o1"},
}


def ask(path: str, resource: dict = PATIENT, **constants: Constant) -> list:
    made = compile_path(path, constants, focus=resource["resourceType"])
    return list(made.evaluate((resource,), Env(resource)))


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("name.given", ["B", "C"]),
        ("Patient.name.given", ["B", "C"]),
        ("Observation.name.given", []),
        ("name.where(use = 'usual').family", ["D"]),
        ("name[1].family", ["D"]),
        ("name[7].family", []),
        ("name.family.last()", ["D"]),
        ("name.count()", [2]),
        ("name.exists(use = 'old')", [False]),
        ("name.all(family.exists())", [True]),
        ("multipleBirth.ofType(integer) + 1", [3]),
        ("multipleBirth.ofType(boolean)", []),
        ("multipleBirth", [2]),
        ("deceased.ofType(boolean)", [False]),
        ("birthDate.extension('http://e/x').value.ofType(string)", ["as told"]),
        ("0.1 + 0.2 = 0.3", [True]),
        ("7 div 2", [3]),
        ("1 / 0", []),
        ("-2", [-2]),
        ("'a' & {} & 'b'", ["ab"]),
        ("'it\\'s \\u00e9'", ["it's é"]),
        ("true = 1", [False]),
        ("{} = 1", []),
        ("{} and false", [False]),
        ("{} or true", [True]),
        ("{} implies true", [True]),
        ("true xor false", [True]),
        ("birthDate < '1971'", [True]),
        ("birthDate < '1970-06-15'", []),
        ("'A' in name.family", [True]),
        ("name.family contains 'Z'", [False]),
        ("iif(name.exists(), 'y', 'n')", ["y"]),
        ("iif(photo.exists(), 'y')", []),
        ("(photo.title | name.family).first()", ["A"]),
        ("name.family | name.family", ["A", "D"]),
        ("name.select(family)", ["A", "D"]),
        ("name.given.skip(1)", ["C"]),
        ("name.given.take(1)", ["B"]),
        ("name.given.tail()", ["C"]),
        ("contact.name.family.single()", ["E"]),
        ("%resource.id", ["p1"]),
        ("%ucum", ["http://unitsofmeasure.org"]),
        ("managingOrganization.getReferenceKey(Organization)", ["o1"]),
        ("managingOrganization.getReferenceKey(Patient)", []),
    ],
)
def test_a_path_is_compiled_and_gives_its_values(path: str, values: list):
    assert compile_path(path, {}, focus="Patient").compiled
    assert ask(path) == values


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("name.family.first().lower()", ["a"]),
        ("name.given.first().startsWith('B')", [True]),
        ("name.family.where($this.matches('[A-C]'))", ["A"]),
        ("multipleBirth is integer", [True]),
        ("id.substring(0, 1)", ["p"]),
        ("getResourceKey().upper()", ["P1"]),
        ("managingOrganization.getReferenceKey(Organization).upper()", ["O1"]),
        ("managingOrganization.getReferenceKey(Patient).upper()", []),
    ],
)
def test_what_is_not_compiled_is_left_to_the_library(path: str, values: list):
    assert not compile_path(path, {}, focus="Patient").compiled
    assert ask(path) == values


def test_the_library_knows_the_type_of_what_it_is_asked_about_within_a_resource():
    resource = {"resourceType": "Observation", "component": [{"valueString": "s"}]}
    path = compile_path("value.ofType(string).upper()", {}, focus="Observation.component")
    assert list(path.evaluate(tuple(resource["component"]), Env(resource))) == ["S"]


@pytest.mark.parametrize(("focus", "item"), [("Patient.name.given", "b"), (None, "b"), (None, 5)])
def test_the_library_evaluates_what_the_focus_is_itself(focus: str | None, item: object):
    path = compile_path("$this.toString().upper()", {}, focus=focus)
    assert not path.compiled
    assert list(path.evaluate((item,), Env(PATIENT))) == [str(item).upper()]


def test_dates_of_constants_are_compared_as_moments():
    noon = Constant(("2020-01-01T12:00:00+01:00",), temporal=True)
    resource = {"resourceType": "Observation", "effectiveDateTime": "2020-01-01T11:00:00Z"}
    assert ask("effective.ofType(dateTime) = %t", resource, t=noon) == [True]
    resource["effectiveDateTime"] = "2020-01-01T12:00:00Z"
    assert ask("effective.ofType(dateTime) = %t", resource, t=noon) == [False]
    assert ask("effective.ofType(dateTime) > %t", resource, t=noon) == [True]
    resource["effectiveDateTime"] = "2020-01"
    assert ask("effective.ofType(dateTime) = %t", resource, t=noon) == []


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("@@", "no FHIRPath expression"),
        ("'open", "no FHIRPath expression"),
        *(
            (text, "no FHIRPath expression")
            for text in ("name.", "name family", "name)", "a..b", "name[", "a = ", "f(a", "%")
        ),
        ("%absent", "no constant 'absent'"),
        ("name.where(use = %absent)", "no constant 'absent'"),
        ("name.foo()", "no function 'foo'"),
        ("name.where(today() > birthDate)", "no function 'today'"),
        ("name.trace('x')", "no function 'trace'"),
        ("a" * 5000, "longer than 4096"),
        ("(" * 2000 + "a" + ")" * 2000, "no FHIRPath expression"),
    ],
)
def test_what_is_no_path_is_refused(path: str, why: str):
    with pytest.raises(Refused, match=why):
        compile_path(path, {}, focus=None)


@pytest.mark.parametrize(
    "path",
    ["name.family < 3", "name.given and true", "name.count() + 'a'", "name['a']", "name.single()", "name.join()"],
)
def test_data_that_do_not_fit_a_path_are_refused_without_a_value(path: str):
    with pytest.raises(Refused) as refusal:
        ask(path)
    assert not {"A", "D", "official"} & set(str(refusal.value).replace("'", " ").split())


@pytest.mark.parametrize("hostile", [7, "text", [["x"]], {"given": {"x": 1}}, [None, 3], None, True])
def test_what_is_no_object_has_no_elements(hostile: object):
    resource = {"resourceType": "Patient", "name": hostile}
    assert ask("name.given.first().x.y", resource) == []
    assert ask("name.where(use = 'a').family", resource) == []
    assert ask("name.extension('u').value.ofType(string)", resource) == []


@pytest.mark.parametrize(
    ("text", "wanted", "key"),
    [
        ("Patient/1", "Patient", "1"),
        ("https://h/fhir/Patient/1/_history/3", "Patient", "1"),
        ("urn:uuid:ab-1", "Patient", "ab-1"),
        ("Patient/1", "Observation", None),
        ("Patient?identifier=s|Patient/1", "Patient", None),
        ("https://h/fhir/Patient?link=https://h/fhir/Patient/1", "Patient", None),
        ("#p", "Patient", None),
        ("patient/1", None, None),
        ("Patient/1" + "x" * 4000, None, None),
        ("/" * 2000, None, None),
    ],
)
def test_a_reference_gives_the_key_of_what_it_points_at(text: str, wanted: str | None, key: str | None):
    assert reference_key({"reference": text}, wanted) == key
    assert reference_key({"reference": 5}, wanted) is None
    assert reference_key(text, wanted) is None


def test_a_uuid_of_another_stated_type_is_not_taken():
    assert reference_key({"reference": "urn:uuid:1", "type": "Device"}, "Patient") is None


@pytest.mark.parametrize(
    ("value", "low", "high"),
    [
        (Written("1.50"), 1.495, 1.505),
        (1.5, 1.45, 1.55),
        (2, 1.5, 2.5),
        ("2012-02", "2012-02-01", "2012-02-29"),
        ("12:34", "12:34:00.000", "12:34:59.999"),
        ("2010-10-10T10Z", "2010-10-10T10:00:00.000Z", "2010-10-10T10:59:59.999Z"),
        ("nothing", None, None),
        ("2010-13", None, None),
        (True, None, None),
    ],
)
def test_a_value_of_limited_precision_has_two_ends(value: object, low: object, high: object):
    assert boundary(value, high=False, clock=False) == low
    assert boundary(value, high=True, clock=False) == high


def test_moments_are_compared_as_far_as_they_are_known():
    assert compare("2020", "2021-05") == -1
    assert compare("2020", "2020-05") is None
    assert compare("2020-01-01T00:30:00+01:00", "2019-12-31T23:30:00Z") == 0
    assert compare("2020-01-01T00:30:00", "2020-01-01T00:30:00Z") is None
    assert compare("T10:00", "09:59:59") == 1
    assert compare("soon", "2020") is None


def test_a_moment_stands_where_it_was_written_or_in_the_middle_of_what_is_known():
    shown = {
        text: str(middle(text))
        for text in ("1970", "1970-06", "1970-06-03", "1970-06-03T23:10:00-05:00", "1970-06-03T23:10:00.25Z")
    }
    assert list(shown.values()) == [
        "1970-07-02 00:00:00",
        "1970-06-15 00:00:00",
        "1970-06-03 00:00:00",
        "1970-06-03 23:10:00",
        "1970-06-03 23:10:00.250000",
    ]
    for text in (
        "",
        "0000",
        "197",
        "1970-13",
        "1970-02-30",
        "yesterday",
        "1970-06-03T25:00:00Z",
        "12345-01-01",
        "²²²²",
    ):
        assert middle(text) is None, text


@pytest.mark.data
@pytest.mark.parametrize("type_", sorted(mapping.TYPES))
def test_a_built_in_view_gives_the_same_when_the_library_evaluates_all_of_it(type_: str, clinical_data: Path):
    definition = json.loads((mapping.VIEWS / f"{type_}.json").read_text())
    ours, library = compile_view(definition), compile_view(definition, compiled=False)
    assert not ours.slow
    assert library.slow
    resources = list(OTHERS.get(type_, ()))
    for file in sorted(clinical_data.glob(f"*_fhir_*/{type_}.*ndjson.gz")):
        with gzip.open(file) as lines:
            resources += [json.loads(line) for i, line in zip(range(700), lines, strict=False) if i % 40 == 0]
    rows = [list(ours.rows(resource)) for resource in resources]
    assert rows == [list(library.rows(resource)) for resource in resources]
    assert sum(map(len, rows)) >= len(OTHERS.get(type_, "1"))


_MEDICINE = {"subject": {"reference": "Patient/1"}, "contained": [{"resourceType": "Medication", "id": "m"}]}
_CODED = {"coding": [{"system": "s", "code": "c"}, {"code": "d"}]}
_MEDICINES = [
    _MEDICINE | {"status": "active", "medicationReference": {"reference": "Medication/2"}, "effectiveDateTime": "2020"},
    _MEDICINE | {"medicationReference": {"reference": "#m"}, "effectivePeriod": {"start": "2020", "end": "2021"}},
    _MEDICINE | {"medicationCodeableConcept": _CODED},
]
OTHERS = {
    "Medication": [{"resourceType": "Medication", "id": "1", "code": _CODED}],
    **{
        name: [{"resourceType": name} | one for one in _MEDICINES]
        for name in ("MedicationStatement", "MedicationAdministration")
    },
    "Observation": [
        {
            "resourceType": "Observation",
            "status": "final",
            "code": _CODED,
            "effectivePeriod": {"start": "2020", "end": "2021"},
            "component": [
                {"code": _CODED, "valueQuantity": {"value": 1.5, "unit": "kg"}},
                {"code": _CODED, "valueCodeableConcept": _CODED},
                {"code": _CODED, "dataAbsentReason": _CODED},
                {"code": _CODED, "valueInteger": 3},
            ],
        },
    ],
}
"""Resources of what the real sets lack."""
