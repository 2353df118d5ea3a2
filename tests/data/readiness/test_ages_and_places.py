"""Ages over 89 and places smaller than a state."""

import pytest
from identity_sheets import column, fhir, found, looked

from caduceus.data.readiness.declaration import Declared, LegalBasis
from caduceus.data.readiness.finding import Severity
from caduceus.data.readiness.places import FEW_PEOPLE

MANY = range(40)


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("age", [50, 91]),
        ("AgeAtDiagnosis", [50.5, 103.0]),
        ("alter", ["50", "92"]),
        ("v", ["92-year-old", "young"]),
        ("v", ["seen at 90 Jahre"]),
    ],
)
def test_an_age_over_89_is_found(path: str, values: list[object]):
    (hit,) = column("ages.over_89", values * 20, path=path)
    assert (hit.count, hit.severity) == (20, Severity.BLOCK)


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("age", [50, 89]),
        ("dosage", [50, 91]),
        ("v", [50, 91]),
        ("gestational_age", [39, 91]),
        ("age_days", [39, 910]),
        ("v", ["89-year-old"]),
    ],
)
def test_other_ages_and_numbers_are_not(path: str, values: list[object]):
    assert column("ages.over_89", values * 20, path=path) == []


def test_a_group_of_ninety_and_older_is_a_note_and_a_limited_data_set_weighs():
    (hit,) = column("ages.over_89", [50, 90] * 20, path="age")
    assert hit.severity == Severity.NOTE
    limited = Declared(legal_basis=LegalBasis(hipaa="limited_data_set"))
    (hit,) = column("ages.over_89", [50, 95] * 20, path="age", declared=limited)
    assert hit.severity == Severity.WARN


def test_a_year_of_birth_tells_an_age_over_89():
    (hit,) = column("ages.birth_year", [1930, 1980] * 20, path="year_of_birth")
    assert hit.count == 20
    assert column("ages.birth_year", [1940, 1980] * 20, path="year_of_birth") == []
    (hit,) = found("ages.birth_year", fhir("Patient", {"birthDate": ["1931-05-01"] * 20}))
    assert hit.count == 20
    (skip,) = looked("ages.birth_year", fhir("Patient", {"birthDate": ["1931-05-01"] * 20}), today=None)
    assert skip.applies


PLACES = {
    "postal": [
        ("zip", [f"{10_000 + 137 * i}" for i in MANY]),
        ("zip", ["036"] * 20),
        ("PLZ", [80331, 10115] * 20),
        ("v", [f"{10_000 + 137 * i}-{1000 + i}" for i in MANY]),
        ("v", ["SW1A 1AA", "M1 1AE", "EC1A 1BB", "W1A 0AX", "B33 8TH"]),
    ],
    "street": [
        ("v", ["12 Main Street", "4 Elm Ave", "77 Oak Lane Apt 3"] * 5),
        ("v", ["Hauptstraße 12", "Lindenweg 4", "Domplatz 1"] * 5),
        ("v", [f"{i} {one} Loaf" for i, one in enumerate(["Kunde", "Adams", "Wyman"] * 6, 100)]),
    ],
    "town": [("v", ["Boston", "Chicago", "Denver", "Dallas", "Nowhereville"] * 5)],
    "coordinates": [("v", ["39.4695, -97.2646"] * 20)],
    "facility": [("v", ["Mount Auburn Hospital", "Klinikum Nord", "St. Mary's"] * 10)],
}
ELSEWHERE = {
    "postal": [
        ("zip", ["000", "00000"] * 20),
        ("zip", ["021", "945"] * 20),
        ("count", [10_000 + 137 * i for i in MANY]),
        ("code", ["99213"] * 20),
    ],
    "street": [("v", ["40 MG Oral Tablet", "10 mg daily", "12 Lead"] * 10), ("v", ["E11.9"] * 20)],
    "town": [("v", ["Asthma", "Gout", "Anaemia", "Boston"] * 5), ("v", ["male", "female"] * 5)],
    "coordinates": [("v", ["120/80", "1.5 2.5"] * 10)],
    "facility": [("v", ["hospitalised", "home"] * 10), ("v", [f"clinical finding {i}" for i in MANY])],
}


@pytest.mark.parametrize(("kind", "path", "values"), [(kind, *one) for kind, told in PLACES.items() for one in told])
def test_a_place_is_found(kind: str, path: str, values: list[object]):
    (hit,) = column(f"places.{kind}", values, path=path)
    assert hit.severity == (Severity.WARN if kind == "facility" else Severity.BLOCK)


@pytest.mark.parametrize(("kind", "path", "values"), [(kind, *one) for kind, told in ELSEWHERE.items() for one in told])
def test_something_else_is_not(kind: str, path: str, values: list[object]):
    assert column(f"places.{kind}", values, path=path) == []


def test_there_are_seventeen_areas_of_few_people():
    assert len(FEW_PEOPLE) == 17


def test_a_limited_data_set_keeps_towns_and_postal_codes_and_no_streets():
    limited = Declared(legal_basis=LegalBasis(hipaa="limited_data_set"))
    patient = fhir(
        "Patient", {"address.city": ["x"] * 20, "address.line": ["y"] * 20, "address.postalCode": ["67846"] * 20}
    )
    said = {
        kind: found(f"places.{kind}", patient, declared=limited)[0].severity for kind in ("town", "street", "postal")
    }
    assert said == {"town": Severity.WARN, "street": Severity.BLOCK, "postal": Severity.WARN}
    assert found("places.town", fhir("Patient", {"address.state": ["KS"] * 20})) == []
