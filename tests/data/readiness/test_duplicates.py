"""Records that are there twice."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caduceus.data.readiness.coded import Coded
from caduceus.data.readiness.duplicates import RULES, repeated
from caduceus.data.readiness.sheet import FHIR, Leaf, Sheet
from readiness_sheets import context, look, omop, table


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 1)), min_size=1, max_size=50))
def test_all_but_the_first_of_equal_records_are_marked(rows: list[tuple[int, int, int]]):
    columns = [Coded(str(i), np.array(one), 3) for i, one in enumerate(zip(*rows, strict=True))]
    seen: set[tuple[int, int, int]] = set()
    expected = []
    for row in rows:
        expected.append(row in seen)
        seen.add(row)
    assert repeated(columns).tolist() == expected


def test_a_record_entered_twice_under_two_numbers_is_found():
    columns = {"id": ["a", "b", "c"], "x": [1.5, 2.5, 1.5], "y": [1.0, 2.0, 1.0], "z": ["u", "v", "u"]}
    found, _ = look(RULES, "duplicates.equal", context(table(columns)))
    assert [(one.where, one.count, one.of) for one in found] == [("t", None, None)]
    assert "identifiers left aside" in found[0].says


def test_different_records_and_narrow_files_have_no_finding():
    columns = {"id": [1, 2, 3], "x": [1.5, 2.5, 3.5], "y": [1, 2, 1], "z": ["u", "v", "u"]}
    assert look(RULES, "duplicates.equal", context(table(columns)))[0] == []
    assert look(RULES, "duplicates.equal", context(table({"id": list("abcd"), "sex": list("fmfm")})))[0] == []


def test_two_patients_with_the_same_event_are_two_records():
    columns = {"person": [1, 2, 1, 2], "code": ["a"] * 4, "day": [3, 3, 4, 4]}
    assert look(RULES, "duplicates.equal", context(table(columns, patient="person")))[0] == []
    columns["day"] = [3, 3, 3, 4]
    assert len(look(RULES, "duplicates.equal", context(table(columns, patient="person")))[0]) == 1


def measurement(values: list[float]) -> dict[str, object]:
    return {
        "measurement_id": list(range(len(values))),
        "person_id": [1] * len(values),
        "measurement_concept_id": [3] * len(values),
        "measurement_date": pa.array([100] * len(values), pa.int32()).cast(pa.date32()),
        "value_as_number": values,
    }


def test_one_measurement_sent_twice_is_found_and_two_values_at_one_time_are_not():
    twice = omop(measurement=measurement([1.0] * 20))
    found, _ = look(RULES, "duplicates.event", context(*twice))
    assert [one.count for one in found] == [19]
    once = omop(measurement=measurement([float(i) for i in range(20)]))
    assert look(RULES, "duplicates.event", context(*once)) == ([], [])


def test_fhir_observations_are_compared_by_patient_code_time_and_value():
    def observations(values: list[float]) -> Sheet:
        rows = len(values)
        columns = {
            "Observation.subject.reference": ["Patient/1"] * rows,
            "Observation.code.coding.code": ["4548-4"] * rows,
            "Observation.effectiveDateTime": ["2020-01-01"] * rows,
            "Observation.valueQuantity.value": values,
        }
        leaves = {path: Leaf(path, pa.array(one), np.arange(rows)) for path, one in columns.items()}
        return Sheet("Observation", FHIR, rows, leaves, "Observation.subject.reference")

    assert [one.count for one in look(RULES, "duplicates.event", context(observations([5.0] * 12)))[0]] == [11]
    assert look(RULES, "duplicates.event", context(observations([5.0, 6.0])))[0] == []


@pytest.mark.data
@pytest.mark.parametrize(("site", "twice"), [("cleveland", 0), ("hungarian", 1), ("switzerland", 0), ("va", 1)])
def test_two_heart_files_have_one_record_twice(clinical_data: Path, site: str, twice: int):
    with (clinical_data / "uci_heart_disease" / f"processed.{site}.data").open() as file:
        rows = list(csv.reader(file))
    given = context(table({f"c{i}": list(one) for i, one in enumerate(zip(*rows, strict=True))}))
    assert len(rows) - len({tuple(row) for row in rows}) == twice
    assert len(look(RULES, "duplicates.equal", given)[0]) == twice
