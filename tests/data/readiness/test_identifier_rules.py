"""Rules about identifiers that no pattern knows: by names of columns, by form, by words, and by how they were
replaced.
"""

import hashlib
import hmac
import uuid

import pytest
from identity_sheets import column, fhir, found, looked, table

from caduceus.data.readiness import identifier_pseudonyms
from caduceus.data.readiness.declaration import Declared, Pseudonyms
from caduceus.data.readiness.finding import Severity
from caduceus.data.readiness.identifier_names import classes_of
from caduceus.data.readiness.rule import Skipped

MANY = range(40)
ALL = tuple(range(1, 19))


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("PatientLastName", 1),
        ("nachname", 1),
        ("Vorname_1", 1),
        ("zip_code", 2),
        ("PLZ", 2),
        ("home address", 2),
        ("cell_phone", 4),
        ("FAX", 5),
        ("e-mail", 6),
        ("SSN", 7),
        ("patientSSN2", 7),
        ("mrn", 8),
        ("medicalRecordNumber", 8),
        ("Fallnummer", 8),
        ("insurance_id", 9),
        ("bank_account", 10),
        ("driversLicense", 11),
        ("license_plate", 12),
        ("Kennzeichen", 12),
        ("pump serial number", 13),
        ("portal_url", 14),
        ("ip_address", 15),
        ("fingerprint", 16),
        ("face_image", 17),
        ("national_id", 18),
    ],
)
def test_a_name_speaks_of_a_class(name: str, number: int):
    assert number in classes_of(name)
    assert [one.where for one in column("identifier.column_name", [f"x{i}" for i in MANY], path=name)] == [f"t.{name}"]


@pytest.mark.parametrize(
    "name",
    [
        "age",
        "drug_name",
        "white_cell_count",
        "cell_size",
        "long_term_care",
        "telomere",
        "recapitulation",
        "emaciated",
        "shipment",
        "motor_vehicle_accident",
        "platelets",
        "sinus",
        "zipper",
        "named_entity",
        "citya",
        "radius_mean",
        "ip_hours",
    ],
)
def test_other_names_do_not(name: str):
    assert column("identifier.column_name", [f"x{i}" for i in MANY], path=name) == []


def test_yes_or_no_and_empty_columns_are_no_identifiers_whatever_they_are_called():
    assert column("identifier.column_name", ["yes", "no"] * 20, path="has_phone") == []
    assert column("identifier.column_name", [None, None, None], path="ssn") == []


@pytest.mark.parametrize(
    "values",
    [
        [f"{10_000_019 + 7919 * i}" for i in MANY],
        [10_000_019 + 7919 * i for i in MANY],
        [f"CHP{625_708_648 + 9973 * i}" for i in MANY],
        [f"{i:08x}"[::-1] for i in range(3**15, 3**15 + 40)],
        [str(uuid.UUID(int=(i + 1) * 2**90 + i)) for i in MANY],
    ],
)
def test_values_written_to_one_plan_are_keys(values: list[object]):
    (hit,) = column("identifier.key_like", values)
    assert hit.severity == Severity.BLOCK
    roles = {"t.v": "patient"}
    assert column("identifier.key_like", values, roles=roles) == []


@pytest.mark.parametrize(
    "values",
    [
        [f"{100 + i}/{60 + i}" for i in MANY],
        [f"{i / 7:.4f}" for i in MANY],
        [f"E{10 + i}.{i % 10}" for i in MANY],
        [f"{4500 + i}-{i % 10}" for i in MANY],
        [f"2016-05-{1 + i % 28:02d}" for i in MANY],
        [60 + i for i in MANY],
        ["A0001", "A0002"] * 20,
        [f"{10_000_019 + i}" for i in range(10)],
    ],
)
def test_measurements_codes_dates_and_few_values_are_not(values: list[object]):
    assert column("identifier.key_like", values) == []


def test_a_short_whole_number_of_its_own_for_every_record_is_weighed():
    (hit,) = column("identifier.key_like", [150_000 + 977 * i for i in MANY])
    assert hit.severity == Severity.WARN


@pytest.mark.parametrize(
    "values",
    [
        ["Mary Smith", "James Jones", "Björn Andersson", "Wei Zhang", "Ana García", "K. Unknowable"],
        ["Dr. Xylo Quark", "Dr. Brill Onyx", "Mrs. Opal Flint", "Herr Zork Pling"],
        ["Andrew29", "Xyzza721", "Quorble359", "Brunhild12", "Zed45"],
        ["SMITH, MARY", "JONES, JAMES", "MILLER, ANN", "WEIMANN, LELA", "BROWN, ANN"],
    ],
)
def test_a_column_of_names_is_found(values: list[str]):
    (hit,) = column("identifier.person_names", values * 5)
    assert hit.severity == Severity.BLOCK


@pytest.mark.parametrize(
    "values",
    [
        [
            "Graves disease",
            "Bell palsy",
            "Parkinson disease",
            "Foley catheter",
            "Wilson disease",
            "Asthma",
            "Gout",
            "Anaemia",
        ],
        ["lisinopril 10 MG", "metformin 500 MG", "Sinemet 25/100", "Lasix 40"],
        ["white", "black", "asian", "other"],
        ["yes", "no", "unknown", "refused"],
    ],
)
def test_a_column_of_other_words_is_not(values: list[str]):
    assert column("identifier.person_names", values * 5) == []


def test_plain_hashes_of_small_numbers_are_undone():
    for how in (hashlib.md5, hashlib.sha1, hashlib.sha256):
        (hit,) = column("identifier.hashed", [how(b"%d" % (7919 * i)).hexdigest() for i in range(1, 41)])
        assert hit.severity == Severity.BLOCK
        assert "whole numbers" in hit.says


def test_plain_hashes_of_another_column_are_undone_also_without_its_separators():
    numbers = [f"{100 + i}-{10 + i}-{1000 + i}" for i in MANY]
    hashes = [hashlib.sha256(one.replace("-", "").encode()).hexdigest() for one in numbers]
    (hit,) = found("identifier.hashed", table({"pseudonym": hashes, "ssn": numbers}))
    assert hit.where == "t.pseudonym"
    assert "'ssn'" in hit.says
    assert not any(one in hit.says for one in numbers)


def test_keyed_hashes_are_weighed_and_a_declaration_makes_them_a_note():
    keyed = [hmac.new(b"k" * 32, b"%d" % i, "sha256").hexdigest() for i in MANY]
    with pytest.MonkeyPatch.context() as fewer:
        fewer.setattr(identifier_pseudonyms, "NUMBERS", 1000)
        (hit,) = column("identifier.hashed", keyed)
        assert hit.severity == Severity.WARN
        (hit,) = column("identifier.hashed", keyed, declared=Declared(pseudonyms=Pseudonyms(rule="keyed")))
    assert hit.severity == Severity.NOTE


def test_uuids_that_tell_time_and_machine_are_found_and_random_ones_are_not():
    timed = [str(uuid.UUID(fields=(i, 5, 0x11EE, 0x80, 1, 2**40 + 7))) for i in range(1, 41)]
    assert len(column("identifier.hashed", timed)) == 1
    random = [str(uuid.UUID(int=(i + 1) << 64, version=4)) for i in MANY]
    assert column("identifier.hashed", random) == []


def test_pseudonyms_in_order_are_found_and_shuffled_draws_are_not():
    roles = {"t.id": "patient"}
    (hit,) = found("identifier.sequential", table({"id": [f"P{i:04d}" for i in MANY]}), roles=roles)
    assert hit.severity == Severity.WARN
    assert found("identifier.sequential", table({"id": [f"P{(i * 7919) % 99991}" for i in MANY]}), roles=roles) == []
    skipped = looked("identifier.sequential", table({"id": [1, 2]}))
    assert [type(one) for one in skipped] == [Skipped]


def test_an_identifier_that_was_not_replaced_is_found():
    ids = [f"a{i:07d}" for i in MANY]
    same = fhir("Patient", {"id": ids, "identifier.value": [f"urn:uuid:{one}" for one in ids]})
    (hit,) = found("identifier.reused", same)
    assert hit.severity == Severity.BLOCK
    other = fhir("Patient", {"id": ids, "identifier.value": [f"b{one}" for one in ids]})
    assert found("identifier.reused", other) == []
    declared = Declared(pseudonyms=Pseudonyms(rule="original"))
    assert [one.where for one in found("identifier.reused", other, declared=declared)] == ["declaration"]
