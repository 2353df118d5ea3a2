"""Special categories, by names of columns and by codes."""

from __future__ import annotations

import pytest

from caduceus.data.readiness.finding import Severity
from caduceus.data.readiness.special import CATEGORIES, RULES
from readiness_sheets import context, fhir, look, omop, table


@pytest.mark.parametrize(
    ("name", "category"),
    [
        ("hiv_status", "hiv"),
        ("alcohol_units", "substance_use"),
        ("brcaVariant", "genetic"),
        ("PHQ9", "mental_health"),
        ("pregnancies", "reproductive"),
        ("sexualOrientation", "sexual"),
        ("race", "ethnicity"),
        ("religion", "religion"),
        ("union", "union"),
    ],
)
def test_a_name_that_speaks_of_a_special_category_is_found_with_its_law(name: str, category: str):
    found, _ = look(RULES, "special.category", context(table({name: [1, 2]})))
    assert [one.severity for one in found] == [Severity.WARN]
    assert found[0].says.startswith(category.replace("_", " "))
    assert next(one.law for one in CATEGORIES if one.name == category) in found[0].says


def test_ordinary_names_and_codes_have_no_finding():
    columns = {
        "age": [50] * 3,
        "sex": [0, 1, 0],
        "chol": [1, 2, 3],
        "icd10": ["I10", "E11.9", "I63.9"],
        "trestbps": [1, 2, 3],
    }
    assert look(RULES, "special.category", context(table(columns)))[0] == []


@pytest.mark.parametrize(
    ("codes", "category"),
    [
        (["B20", "I10"], "hiv"),
        (["F32.1"], "mental health"),
        (["ICD10:F10.2"], "substance use"),
        (["O24.4"], "reproductive"),
    ],
)
def test_icd_10_codes_are_found_by_their_blocks(codes: list[str], category: str):
    found, _ = look(RULES, "special.category", context(table({"icd_code": codes * 20})))
    assert category in [one.says.split(":")[0] for one in found]
    assert all("such a code" in one.says for one in found)


def test_a_code_of_few_records_is_counted_as_fewer_than_eleven():
    found, _ = look(RULES, "special.category", context(table({"dx": ["I10"] * 200 + ["B20"] * 3})))
    assert [(one.count, "fewer than 11" in one.says) for one in found] == [(None, True)]


def test_fhir_and_omop_codes_are_found():
    conditions = fhir("Condition", {"Condition.code.coding.code": ["86406008"] * 12 + ["38341003"]})
    assert [one.count for one in look(RULES, "special.category", context(conditions))[0]] == [12]
    source = omop(condition_occurrence={"person_id": [1] * 12, "condition_source_value": ["35489007"] * 12})
    assert [one.where for one in look(RULES, "special.category", context(*source))[0]] == [
        "condition_occurrence.condition_source_value"
    ]


def test_what_is_declared_is_only_a_note_and_what_is_not_read_is_left_aside():
    given = context(table({"hiv": [0, 1]}), declared='special = ["hiv"]')
    assert [one.severity for one in look(RULES, "special.category", given)[0]] == [Severity.NOTE]
    given = context(table({"hiv": [0, 1]}), roles={"t.hiv": "ignore"})
    assert look(RULES, "special.category", given)[0] == []


def test_children_are_found_unless_there_are_none_and_noted_if_declared():
    ages = list(range(60))
    found, _ = look(RULES, "special.children", context(table({"age": ages})))
    assert [(one.count, one.severity) for one in found] == [(18, Severity.WARN)]
    given = context(table({"age": ages}), declared="[population]\nchildren = true")
    assert look(RULES, "special.children", given)[0][0].severity == Severity.NOTE
    assert look(RULES, "special.children", context(table({"age": ages[18:]}))) == ([], [])
    assert look(RULES, "special.children", context(table({"x": ages})))[1]
