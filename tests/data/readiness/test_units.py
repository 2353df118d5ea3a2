"""Two units in one column."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caduceus.data.readiness.sheet import FHIR, Leaf, Sheet
from caduceus.data.readiness.units import FACTORS, RULES, groups_apart
from readiness_sheets import context, look, omop, table

BY_WHAT = {one.what: one for one in FACTORS} | {"metres": next(one for one in FACTORS if one.by == 100)}


def draw(what: str, rows: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return {
        "glucose": rng.lognormal(np.log(105), 0.25, rows),
        "cholesterol": rng.normal(200, 40, rows).clip(80),
        "creatinine": rng.lognormal(np.log(0.95), 0.3, rows),
        "metres": rng.normal(170, 10, rows),
        "hemoglobin, albumin or protein": rng.normal(13.5, 1.6, rows).clip(5),
        "temperature": rng.normal(37, 0.6, rows),
    }[what]


def other(what: str, values: np.ndarray) -> np.ndarray:
    return {
        "glucose": values / 18.016,
        "cholesterol": values / 38.67,
        "creatinine": values * 88.42,
        "metres": values / 100,
        "hemoglobin, albumin or protein": values * 10,
        "temperature": values * 1.8 + 32,
    }[what]


@settings(deadline=None, max_examples=30)
@given(
    st.sampled_from(
        ("glucose", "cholesterol", "creatinine", "metres", "hemoglobin, albumin or protein", "temperature")
    ),
    st.floats(0.02, 0.98),
    st.integers(0, 2**32),
)
def test_two_units_are_found_in_every_mixture_and_one_unit_never_is(what: str, part: float, seed: int):
    values = draw(what, 2_000, seed)
    assert groups_apart(values, BY_WHAT[what]) == 0
    mixed = values.copy()
    count = int(part * len(values))
    mixed[:count] = other(what, values[:count])
    found = groups_apart(mixed, BY_WHAT[what])
    assert found == pytest.approx(min(count, len(values) - count), rel=0.05, abs=8)


def test_missing_and_few_values_are_no_groups():
    assert groups_apart(np.full(100, np.nan), BY_WHAT["glucose"]) == 0
    assert groups_apart(np.array([100.0, 5.5]), BY_WHAT["glucose"]) == 0


def test_a_mixed_column_is_found_by_its_name_and_the_same_values_under_another_name_are_not():
    values = np.concatenate([draw("glucose", 300, 1), draw("glucose", 100, 2) / 18.016])
    found, _ = look(RULES, "units.mixture", context(table({"glucose": values, "x": values})))
    assert [(one.where, one.count, one.of) for one in found] == [("t.glucose", 100, 400)]
    assert "mg/dL and mmol/L" in found[0].says


def test_measurements_are_looked_at_by_their_loinc_codes():
    values = np.concatenate([draw("creatinine", 200, 1), draw("creatinine", 50, 2) * 88.42])
    columns = {"Observation.code.coding.code": ["2160-0"] * 250, "Observation.valueQuantity.value": values}
    leaves = {path: Leaf(path, pa.array(one), np.arange(250)) for path, one in columns.items()}
    found, _ = look(RULES, "units.mixture", context(Sheet("Observation", FHIR, 250, leaves)))
    assert [(one.where, one.count) for one in found] == [("Observation.2160-0", 50)]


def test_a_code_in_several_units_is_found_and_one_in_one_unit_is_not():
    measurement = {"measurement_concept_id": [1] * 30 + [2] * 30, "unit_concept_id": [5] * 15 + [6] * 15 + [7] * 30}
    found, _ = look(RULES, "units.several", context(*omop(measurement=measurement)))
    assert [one.count for one in found] == [30]
    measurement["unit_concept_id"] = [5] * 30 + [7] * 30
    assert look(RULES, "units.several", context(*omop(measurement=measurement))) == ([], [])


@pytest.mark.data
def test_the_cholesterol_of_the_heart_files_has_one_unit(clinical_data: Path):
    for site in ("cleveland", "hungarian", "switzerland", "va"):
        with (clinical_data / "uci_heart_disease" / f"processed.{site}.data").open() as file:
            values = [np.nan if row[4] == "?" else float(row[4]) for row in csv.reader(file)]
        found, skipped = look(RULES, "units.mixture", context(table({"chol": values})))
        assert (found, skipped) == ([], [])
        halved = np.array(values)
        halved[::4] /= 38.67
        assert bool(look(RULES, "units.mixture", context(table({"chol": halved})))[0]) == (np.nanmax(values) > 0)
