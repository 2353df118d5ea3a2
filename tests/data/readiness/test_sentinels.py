"""Numbers and days that stand for "unknown", and zeros that can't be."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caduceus.data.readiness.finding import Severity
from caduceus.data.readiness.sentinels import RULES, impossible_zeros, placeholder_days, sentinels
from readiness_sheets import context, look, omop, table

RNG = np.random.default_rng(3)
AGES = RNG.normal(60, 12, 500).round()


@pytest.mark.parametrize(
    ("code", "form"), [(999, "all nines"), (9999, "all nines"), (888, "all eights"), (-99, "all nines")]
)
def test_a_heap_of_a_known_code_far_from_all_others_is_a_sentinel(code: float, form: str):
    (found,) = sentinels(np.concatenate([AGES, [code] * 7]))
    assert (found.form, found.count) == (form, 7)


def test_two_codes_beside_each_other_are_both_found():
    assert len(sentinels(np.concatenate([AGES, [998] * 9, [999] * 5]))) == 2


@pytest.mark.parametrize(
    "values", [AGES, np.arange(100.0), np.array([98.0, 99, 97, 99, 99, 98, 97] * 30), np.array([9, 9.0, 9])]
)
def test_ordinary_values_are_no_sentinels(values: np.ndarray):
    assert sentinels(values) == []


def test_one_or_two_such_values_are_no_heap():
    assert sentinels(np.concatenate([AGES, [999, 999]])) == []


@given(st.lists(st.floats(0, 200), min_size=0, max_size=60))
def test_a_column_without_known_codes_has_no_sentinel(values: list[float]):
    assert all(one.value in (9, 99, 8, 88, 97, 98) for one in sentinels(np.array(values)))


def test_zeros_that_stand_apart_are_counted_and_zeros_of_counts_are_not():
    pressure = RNG.normal(130, 15, 300)
    assert impossible_zeros(np.concatenate([pressure, [0.0] * 5]), never=False) == 5
    assert impossible_zeros(np.concatenate([pressure, [0.0]]), never=True) == 1
    assert impossible_zeros(RNG.poisson(3, 300).astype(float), never=False) == 0
    assert impossible_zeros(np.abs(RNG.normal(0, 1, 300)), never=False) == 0


def test_a_heap_on_a_placeholder_day_is_found_and_a_birthday_is_not():
    days = RNG.integers(15_000, 18_000, 400)
    epoch = int(np.datetime64("1900-01-01", "D").astype(np.int64))
    assert placeholder_days(np.concatenate([days, [epoch] * 6])) == 6
    born = np.arange(-30_000, 0, 7)
    assert placeholder_days(born) == 0


def test_findings_name_the_form_and_never_the_value():
    columns = {
        "age": np.concatenate([AGES, [999.0] * 20]),
        "seen": pa.array([*range(15_000, 15_500), *[-25_567] * 20], pa.int32()),
    }
    columns["seen"] = columns["seen"].cast(pa.date32())
    found, _ = look(RULES, "sentinels.code", context(table(columns)))
    assert [(one.where, one.count, one.severity) for one in found] == [
        ("t.age", 20, Severity.WARN),
        ("t.seen", 20, Severity.WARN),
    ]
    assert all("999" not in one.says and "1900" not in one.says for one in found)


SCHEMA = """
title = "t"
[[column]]
name = "cholesterol"
source = "chol"
kind = "number"
range = [50, 700]
impossible = [0]
"""


def test_what_the_schema_takes_as_missing_is_only_a_note():
    columns = {"chol": [0.0] * 20 + [200.0 + i for i in range(100)]}
    found, _ = look(RULES, "sentinels.zero", context(table(columns)))
    assert [one.severity for one in found] == [Severity.WARN]
    found, _ = look(RULES, "sentinels.zero", context(table(columns), roles={"t.chol": "feature"}, schema=SCHEMA))
    assert [one.severity for one in found] == [Severity.NOTE]


def test_keys_of_omop_are_no_measurements():
    person = {"person_id": [*range(100), 99999, 99999, 99999], "race_concept_id": [0] * 50 + [8527] * 53}
    for name in ("sentinels.code", "sentinels.zero"):
        assert look(RULES, name, context(*omop(person=person)))[0] == []


@pytest.mark.data
def test_zero_cholesterol_and_blood_pressure_of_the_heart_files_are_found(clinical_data: Path):
    names = ["age", "sex", "cp", "trestbps", "chol", "fbs", "restecg", "thalach", "exang", "oldpeak"]
    found = {}
    for site in ("cleveland", "hungarian", "switzerland", "va"):
        with (clinical_data / "uci_heart_disease" / f"processed.{site}.data").open() as file:
            rows = [[None if one == "?" else float(one) for one in row] for row in csv.reader(file)]
        columns = {name: pa.array([row[i] for row in rows], pa.float64()) for i, name in enumerate(names)}
        for one in look(RULES, "sentinels.zero", context(table(columns, name=site)))[0]:
            found[one.where] = one.count
    assert found == {"switzerland.chol": 123, "va.chol": 49, "va.trestbps": None}


@pytest.mark.data
def test_the_unknown_hours_of_the_stroke_trial_are_found(clinical_data: Path):
    ist = pyarrow.parquet.read_table(clinical_data / "ist_stroke" / "ist.parquet")
    columns = {name: ist[name].combine_chunks() for name in ("HOURLOCAL", "AGE", "RSBP", "RDELAY", "MINLOCAL")}
    found, _ = look(RULES, "sentinels.code", context(table(columns, name="ist")))
    hours = ist["HOURLOCAL"].to_numpy()
    assert [(one.where, one.count) for one in found] == [("ist.HOURLOCAL", int((hours == 99).sum()))]
