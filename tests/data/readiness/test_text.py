"""Free text blocks and is said to be unscanned; coded words do not."""

import pytest
from identity_sheets import fhir, looked, table

from caduceus.data.readiness.finding import Finding, Severity
from caduceus.data.readiness.rule import Skipped

NOTE = "Seen today with chest pain on exertion. Was well until Tuesday, when her daughter called us about a fall."


def verdicts(*sheets: object, **told: object) -> tuple[list[Finding], list[Skipped]]:
    given = looked("text.free", *sheets, **told)
    return [one for one in given if isinstance(one, Finding)], [one for one in given if isinstance(one, Skipped)]


@pytest.mark.parametrize(
    "sheet",
    [
        table({"x": [f"{NOTE} {i}" for i in range(12)]}),
        table({"comment": [f"looks {one} today" for one in "abcdefghijkl"]}),
        table({"x": [f"cause {chr(97 + i % 26)} number {chr(97 + i // 26)}" for i in range(60)]}),
        table({"note_text": ["two words", "three more words"]}, source="omop", name="note"),
        fhir("Observation", {"note.text": ["short note"] * 12}),
        fhir("Patient", {"text.div": ["<div>x</div>"] * 12}),
        fhir("DocumentReference", {"content.attachment.data": ["TG9yZW0="] * 12}),
        fhir("Observation", {"valueString": ["see letter"] * 12}),
    ],
)
def test_what_people_write_blocks_and_is_not_searched(sheet: object):
    findings, skipped = verdicts(sheet)
    assert [one.severity for one in findings] == [Severity.BLOCK]
    assert [one.applies for one in skipped] == [True]
    assert NOTE[:20] not in findings[0].says
    weighed, _ = verdicts(sheet, free_text="warn")
    assert [one.severity for one in weighed] == [Severity.WARN]


def test_bytes_block_and_are_not_opened():
    given = looked("text.packed", table({"scan": [b"\x89PNG" * 4] * 20, "age": [1] * 20}))
    assert [one.where for one in given] == ["t.scan", "t.scan"]
    assert isinstance(given[0], Finding)
    assert given[0].severity == Severity.BLOCK


@pytest.mark.parametrize(
    "sheet",
    [
        table(
            {"diagnosis": ["acute myocardial infarction of anterior wall", "chronic kidney disease stage four"] * 40}
        ),
        table({"comment": ["none", "none"] * 20}),
        table({"value": [f"{i}.5" for i in range(40)]}),
        table({"mrn": [f"A{i:07d}" for i in range(40)]}),
        fhir(
            "Condition",
            {"code.text": [f"finding number {i} of four" for i in range(40)], "code.coding.code": ["1"] * 40},
        ),
        fhir("Condition", {"code.coding.display": [f"finding number {i} of four" for i in range(40)]}),
        fhir("Patient", {"extension(us-core-race).extension(text).valueString": ["White"] * 40}),
    ],
)
def test_coded_words_numbers_and_keys_are_no_free_text(sheet: object):
    assert verdicts(sheet) == ([], [])
