"""All eighteen classes of Safe Harbor are served by rules, and a planted column of each blocks a data set."""

import pytest
from identity_sheets import TODAY, fhir, table

from caduceus.data.readiness import hipaa
from caduceus.data.readiness.engine import examine
from caduceus.data.readiness.finding import Severity
from caduceus.data.readiness.rule import Context
from caduceus.data.readiness.rules import ALL, IDENTITY
from caduceus.data.readiness.sheet import Sheet
from caduceus.kinds import Readiness

MANY = range(40)

PLANTED: dict[int, Sheet] = {
    1: table({"v": ["Mary Smith", "James Jones", "Linda Brown", "Ana Garcia", "Wei Zhang"] * 8}),
    2: table({"v": [f"{100 + i} Main Street" for i in MANY]}),
    3: table({"v": ["2016-05-28", "2017-01-02"] * 20}),
    4: table({"v": [f"415-555-{1000 + i}" for i in MANY]}),
    5: table({"fax": [f"415-555-{1000 + i}" for i in MANY]}),
    6: table({"v": [f"p{i}@example.org" for i in MANY]}),
    7: table({"v": [f"999-{10 + i}-{1000 + i}" for i in MANY]}),
    8: table({"v": [f"{10_000_019 + 7919 * i}" for i in MANY]}),
    9: table({"v": [f"CHP{625_708_648 + 9973 * i}" for i in MANY]}),
    10: table({"v": ["DE89370400440532013000", "GB82WEST12345698765432"] * 20}),
    11: table({"v": [f"S{99_970_944 + 7 * i}" for i in MANY]}),
    12: table({"v": ["1M8GDM9AXKP042788", "5GZCZ43D13S812715", "1HGCM82633A004352"] * 10}),
    13: fhir("Device", {"serialNumber": [f"PJN{7_084_129 + i}H" for i in MANY]}),
    14: table({"v": [f"https://portal.example.org/u/{i}" for i in MANY]}),
    15: table({"v": [f"10.1.{i}.77" for i in MANY]}),
    16: table({"fingerprint": [f"AAECAwQF{i}" for i in MANY]}),
    17: fhir("Patient", {"photo.data": ["aGVsbG8="] * 40}),
    18: table({"v": [f"{943_476_591 + i:010d}"[:9] + "x" + str(i) for i in MANY]}),
}


def test_no_class_is_without_a_rule():
    assert hipaa.not_covered(IDENTITY) == ()
    assert set(PLANTED) == set(hipaa.CLASSES)
    assert hipaa.not_covered([one for one in IDENTITY if hipaa.PHOTO not in one.hipaa]) != ()


@pytest.mark.parametrize("number", sorted(PLANTED))
def test_a_planted_column_of_a_class_blocks_by_a_rule_of_that_class(number: int):
    outcome = examine(Context((PLANTED[number],), today=TODAY), IDENTITY)
    classes = {one.name: one.hipaa for one in IDENTITY}
    assert any(number in classes[one.rule] for one in outcome.findings if one.severity == Severity.BLOCK)
    assert outcome.verdict.readiness is Readiness.BLOCKED


def test_a_table_of_measurements_is_ready_by_all_rules_of_identity():
    clean = table(
        {
            "age": [40 + i for i in MANY],
            "sex": ["male", "female"] * 20,
            "glucose": [80.5 + i for i in MANY],
            "stage": ["I", "II", "III", "IV"] * 10,
            "malignant": [0, 1] * 20,
        }
    )
    outcome = examine(Context((clean,), today=TODAY), IDENTITY)
    assert outcome.findings == ()
    assert outcome.verdict.readiness is Readiness.READY


def test_a_clean_export_is_ready_by_all_rules_of_identity():
    patient = fhir(
        "Patient",
        {"id": [f"{7919 * i % 99991:x}q" for i in MANY], "gender": ["male", "female"] * 20, "birthDate": ["1960"] * 40},
    )
    condition = fhir(
        "Condition",
        {
            "subject.reference": [f"Patient/{7919 * i % 99991:x}q" for i in MANY],
            "code.coding.code": ["73211009"] * 40,
            "code.coding.display": ["Diabetes mellitus"] * 40,
            "onsetDateTime": ["2016"] * 40,
        },
    )
    outcome = examine(Context((patient, condition), today=TODAY), IDENTITY)
    assert outcome.verdict.reasons == ()
    assert outcome.verdict.readiness is Readiness.READY


def test_names_of_rules_are_all_different():
    assert len({one.name for one in ALL}) == len(ALL)
