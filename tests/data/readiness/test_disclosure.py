"""Re-identification rules on sheets: what is a quasi-identifier, what is named, and what is left unsaid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caduceus.data.readiness.disclosure import RULES
from caduceus.data.readiness.finding import Severity
from caduceus.data.readiness.sheet import OMOP
from readiness_sheets import context, look, sheet, table

RNG = np.random.default_rng(7)


def crowd(rows: int = 400) -> dict[str, list[object]]:
    return {
        "age": (np.arange(rows) % 4 * 10 + 30).tolist(),
        "sex": ["f", "m"] * (rows // 2),
        "marker": list(range(rows)),
    }


def test_a_file_whose_people_hide_in_crowds_has_no_finding():
    found, skipped = look(RULES, "disclosure.unique", context(table(crowd())))
    assert found == []
    assert skipped == []


def test_columns_that_single_people_out_are_named_smallest_sets_first():
    columns = crowd() | {"zip": RNG.integers(10_000, 10_060, 400).tolist(), "born_date": list(range(400))}
    found, _ = look(RULES, "disclosure.unique", context(table(columns)))
    assert [one.where for one in found if one.severity == Severity.WARN] == ["t.{born_date}", "t.{zip}"]
    assert found[0].count == found[0].of == 400
    assert "100 % of the records are alone" in found[0].says


def test_a_declared_column_is_a_quasi_identifier_whatever_its_name():
    given_context = context(table(crowd()), declared='quasi = ["t.marker"]')
    found, _ = look(RULES, "disclosure.unique", given_context)
    assert found[0].where == "t.{marker}"


def test_the_declared_k_is_asked_for():
    columns = {"age": np.repeat(np.arange(40, 60), 15).tolist()}
    assert look(RULES, "disclosure.unique", context(table(columns)))[0] == []
    found, _ = look(RULES, "disclosure.unique", context(table(columns), declared="k = 20"))
    assert "fewer than 20 persons" in found[0].says


def test_twelve_records_of_one_patient_are_no_crowd():
    columns = {"patient": np.repeat(np.arange(30), 12).tolist(), "age": np.repeat(np.arange(30), 12).tolist()}
    apart, _ = look(RULES, "disclosure.unique", context(table(columns, patient="patient")))
    assert "counted by persons" in apart[0].says
    assert apart[0].count == 360
    assert look(RULES, "disclosure.unique", context(table(columns)))[0][:1] == []


def test_columns_that_the_schema_does_not_read_or_that_are_predicted_are_left_aside():
    columns = {"age": list(range(100)), "discharge_date": list(range(100)), "sex": ["f", "m"] * 50}
    schema = """
    title = "t"
    [[column]]
    name = "sex"
    kind = "category"
    levels = ["f", "m"]
    """
    given_context = context(table(columns), roles={"t.sex": "feature", "t.age": "ignore"}, schema=schema)
    assert look(RULES, "disclosure.unique", given_context)[0] == []


def test_a_file_without_known_columns_says_so():
    found, skipped = look(RULES, "disclosure.unique", context(table({"x1": [1, 2], "x2": [3, 4]})))
    assert found == []
    assert "quasi" in skipped[0].reason


def test_persons_of_omop_are_looked_at_and_events_are_not():
    person = sheet("person", {"person_id": [1, 2], "year_of_birth": [1950, 1960]}, source=OMOP, patient="person_id")
    events = sheet("death", {"person_id": [1], "death_date": [9]}, source=OMOP, patient="person_id")
    found, _ = look(RULES, "disclosure.unique", context(person, events))
    assert {one.where.split(".")[0] for one in found} == {"person"}


def test_a_group_that_all_has_one_diagnosis_is_found_although_nobody_is_alone():
    columns = crowd() | {"diagnosis": ["cancer" if age == 30 else f"d{i % 7}" for i, age in enumerate(crowd()["age"])]}
    found, _ = look(RULES, "disclosure.alike", context(table(columns)))
    assert [(one.where, one.count) for one in found] == [("t.diagnosis", 100)]
    mixed = crowd() | {"diagnosis": [f"d{i % 7}" for i in range(400)]}
    assert look(RULES, "disclosure.alike", context(table(mixed)))[0] == []


def test_sampling_says_how_likely_a_match_is_right():
    columns = {"age": [*range(80), 1, 2, 3]}
    given_context = context(table(columns), declared="[population]\nsampling = 0.02")
    found, _ = look(RULES, "disclosure.unique", given_context)
    assert any("right with chance" in one.says for one in found)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=1, max_size=60))
def test_no_finding_tells_a_count_below_eleven(ages: list[int]):
    found, _ = look(RULES, "disclosure.unique", context(table({"age": ages, "sex": [one % 2 for one in ages]})))
    for one in found:
        assert one.count is None or one.count == 0 or one.count >= 11
        assert "%" not in one.says.replace("0 % of", "") or len(ages) >= 11


@pytest.mark.data
def test_stroke_patients_are_singled_out_by_age_or_day_and_hospital(clinical_data: Path):
    ist = pyarrow.parquet.read_table(clinical_data / "ist_stroke" / "ist.parquet")
    columns = {name: ist[name].combine_chunks() for name in ist.column_names}
    given_context = context(table(columns, name="ist"), roles={"ist.ID14": "target"})
    found, _ = look(RULES, "disclosure.unique", given_context)
    assert {"ist.{AGE, HOSPNUM}", "ist.{HOSPNUM, RDATE}"} <= {one.where for one in found}
    alike, _ = look(RULES, "disclosure.alike", given_context)
    assert {one.where for one in alike} == {"ist.DIED"}
