"""Values that are written like identifiers are found; measurements and codes of the same length are not."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from identity_sheets import column, found, table

from caduceus.data.readiness import identifier_checks as checks
from caduceus.data.readiness.finding import FEW, Severity
from caduceus.data.readiness.sheet import FHIR, Leaf, Sheet


def valid(check: checks.Check, digits: int, count: int = 30) -> list[str]:
    """Numbers of so many digits whose check digits fit."""
    chance, kept = random.Random(3), []
    while len(kept) < count:
        text = "".join(chance.choice("0123456789") for _ in range(digits))
        kept += [text] if check(text) and text[0] in "12" else []
    return kept


def dea(number: int) -> str:
    """A DEA number: the sum of the odd places and twice the even ones ends in the check digit."""
    body = [int(one) for one in f"{number:06d}"]
    return f"AB{number:06d}{(sum(body[::2]) + 2 * sum(body[1::2])) % 10}"


MANY = range(30)
FOUND = {
    "ssn": [f"{100 + i}-{10 + i}-{1000 + i}" for i in MANY],
    "npi": valid(checks.npi, 10),
    "mbi": [f"1EG4-TE5-MK{10 + i}" for i in MANY],
    "dea": [dea(100 + i) for i in MANY],
    "phone": [f"(415) 555-{1000 + i}" for i in MANY],
    "email": ["", "-", *(f"person{i}@clinic.example.org" for i in range(3))],
    "url": [f"https://portal.example.org/u/{i}" for i in MANY],
    "ip": [f"10.1.{i}.77" for i in MANY],
    "device": ["(01)00844588003288(17)141120(10)7654321D(21)10987654d321"] * 30,
    "iban": ["DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432"],
    "card": ["4111 1111 1111 1111", "5500005555555559", "4012888888881881", "340000000000009", "6011000990139424"],
    "vin": ["1M8GDM9AXKP042788", "5GZCZ43D13S812715", "1HGCM82633A004352"],
    "national": valid(checks.nhs, 10),
}
PASSED = {
    "ssn": [f"{i}-{i % 90 + 10}" for i in range(100, 130)],
    "npi": [str(1_000_000_000 + 7919 * i) for i in MANY],
    "mbi": [f"1EG4-TE5-MKA{i}" for i in MANY],
    "dea": [f"AB{1_000_000 + 37 * i}" for i in MANY],
    "phone": [f"{100 + i}/{60 + i}" for i in MANY] + [f"00{93 + i}-0058-0{i % 9}" for i in range(6)],
    "email": ["5 mg @ 8 am", "a@b", "@home"],
    "url": ["http status 200", "see www"],
    "ip": ["1.2.3", "999.1.1.1", "2.16.840.1.113883"],
    "device": [f"{10**13 + 7 * i}" for i in MANY],
    "iban": ["DE89370400440532013001", "GB82"],
    "card": [f"{4_111_111_111_111_111 + 10 * i}" for i in MANY],
    "vin": [f"1M8GDM9A{i % 10}KP0{42000 + i}" for i in MANY],
    "national": [str(3_100_000_000 + 7919 * i) for i in MANY],
}


@pytest.mark.parametrize("name", FOUND)
def test_a_column_of_identifiers_is_found(name: str):
    hits = column(f"identifier.{name}", FOUND[name])
    assert [one.where for one in hits] == ["t.v"]
    assert hits[0].severity == (Severity.WARN if name in ("npi", "dea") else Severity.BLOCK)


@pytest.mark.parametrize("name", PASSED)
def test_a_column_of_something_else_is_not(name: str):
    assert column(f"identifier.{name}", PASSED[name]) == []


NATIONAL = {
    "Dutch": valid(checks.bsn, 9),
    "German tax": valid(checks.steuer_id, 11),
    "Polish": [one for one in valid(checks.pesel, 11, 60) if one[4] in "0123"],
    "Spanish": [f"{10_000_000 + i}{'TRWAGMYFPDXBNJZSQVHLCKE'[(10_000_000 + i) % 23]}" for i in MANY],
    "Swiss": ["756.9217.0769.85"],
    "Italian": ["RSSMRA85T10A562S"],
    "Finnish": ["131052-308T"],
    "French": ["1 85 05 78 006 084 91"],
    "Danish": [f"0101{70 + i}-{1000 + i}" for i in range(20)],
}


@pytest.mark.parametrize("country", NATIONAL)
def test_numbers_of_other_countries_are_found(country: str):
    (hit,) = column("identifier.national", NATIONAL[country])
    assert country in hit.says


def test_one_social_security_number_among_thousands_is_found_and_its_count_is_not_said():
    (hit,) = column("identifier.ssn", ["none"] * 5000 + ["123-45-6789"])
    assert hit.count is None
    assert hit.of == 5001
    assert f"fewer than {FEW}" in hit.says


def test_nine_plain_digits_are_a_social_security_number_only_where_the_name_says_so():
    numbers = [123_456_789 + 1111 * i for i in MANY]
    assert column("identifier.ssn", numbers) == []
    assert len(column("identifier.ssn", numbers, path="patient_ssn")) == 1


def test_numbers_that_a_spreadsheet_made_of_telephone_numbers_are_found_by_the_column_name():
    numbers = [4_155_551_000.0 + i for i in MANY] + [None]
    assert len(column("identifier.phone", numbers, path="HomePhone")) == 1
    assert column("identifier.phone", numbers, path="cost") == []


def test_a_place_that_the_steward_vouches_for_is_left_out():
    from caduceus.data.readiness.declaration import Declared

    assert column("identifier.ip", FOUND["ip"], declared=Declared(not_secret=("t.v",))) == []


def test_addresses_of_code_systems_are_structure():
    import pyarrow as pa

    leaf = Leaf("Condition.code.coding.system", pa.array(["http://snomed.info/sct"] * 20))
    sheet = Sheet("Condition", FHIR, 20, {leaf.path: leaf})
    assert found("identifier.url", sheet) == []


@settings(max_examples=12)
@given(st.lists(st.floats(0, 500).map(lambda x: round(x, 1)), min_size=20, max_size=60))
def test_measurements_are_no_identifiers(values: list[float]):
    sheet = table({"v": values, "as_text": [str(one) for one in values]})
    assert all(found(f"identifier.{name}", sheet) == [] for name in FOUND)
