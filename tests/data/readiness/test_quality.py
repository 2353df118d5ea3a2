"""Files against their schema, and dates in an order that can be."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa

from caduceus.data.readiness.checks import FAIL, NOT_APPLICABLE, PASS
from caduceus.data.readiness.quality import RULES, order_checks, schema_checks
from readiness_sheets import context, look, table

SCHEMA = """
title = "t"
[file]
missing = ["?"]
[[column]]
name = "age"
kind = "integer"
range = [0, 120]
required = true
[[column]]
name = "sbp"
kind = "number"
range = [40, 300]
impossible = [0]
missing = [-1]
[[column]]
name = "sex"
kind = "category"
levels = ["f", {name = "male", codes = ["m", "M"]}]
[[column]]
name = "sick"
role = "target"
kind = "boolean"
positive = [1]
negative = [0]
"""
GOOD = {
    "age": ["30", "45"] * 10,
    "sbp": [120.0, 0.0, -1.0, None] * 5,
    "sex": ["f", "m", "M", ""] * 5,
    "sick": [0, 1] * 10,
}


def states(columns: dict[str, object]) -> dict[tuple[str, str], str]:
    return {(one.column, one.name): one.state for one in schema_checks(context(table(columns), schema=SCHEMA))}


def test_a_file_that_keeps_to_its_schema_passes_every_check():
    assert set(states(GOOD | {"sbp": [120.0, 0.0, 110.0, 100.0] * 5}).values()) == {PASS}


def test_each_broken_rule_fails_its_own_check_and_no_other():
    broken = {
        ("age", "number"): {"age": [str(30 + i) for i in range(19)] + ["x1"]},
        ("age", "whole"): {"age": [30.0] * 19 + [30.5]},
        ("age", "range"): {"age": [30] * 19 + [130]},
        ("age", "required"): {"age": ["30"] * 19 + ["?"]},
        ("sbp", "range"): {"sbp": [120.0] * 19 + [20.0]},
        ("sbp", "missing"): {"sbp": [120.0] * 5 + [-1.0] * 15},
        ("sex", "levels"): {"sex": ["f"] * 19 + ["x"]},
        ("sick", "levels"): {"sick": [0] * 19 + [2]},
    }
    whole = GOOD | {"sbp": [120.0] * 20}
    for place, columns in broken.items():
        assert {where for where, state in states(whole | columns).items() if state == FAIL} == {place}, place


def test_a_column_that_is_not_there_has_nothing_to_check():
    columns = {name: values for name, values in GOOD.items() if name != "sex"}
    assert states(columns)["sex", "present"] == NOT_APPLICABLE


def test_an_empty_field_that_is_a_level_is_not_missing():
    schema = SCHEMA.replace('levels = ["f",', 'levels = ["f", {name = "not recorded", codes = [""]},')
    columns = GOOD | {"sex": ["f", "", "", ""] * 5}
    made = {(one.column, one.name): one.state for one in schema_checks(context(table(columns), schema=schema))}
    assert made["sex", "missing"] == made["sex", "levels"] == PASS
    assert states(columns)["sex", "missing"] == FAIL


def test_findings_say_how_many_checks_passed():
    found, _ = look(RULES, "quality.schema", context(table(GOOD | {"sick": [0] * 5 + [7] * 15}), schema=SCHEMA))
    assert [(one.where, one.count) for one in found if one.count] == [("t.sick", 15)]
    assert "checks" in found[-1].says
    assert look(RULES, "quality.schema", context(table(GOOD)))[1][0].reason.startswith("there is no schema")


def dates(*days: int) -> pa.Array:
    return pa.array(days, pa.int32()).cast(pa.date32())


def test_dates_out_of_order_are_counted_pair_by_pair():
    columns = {
        "birth_date": dates(*np.full(20, 0)),
        "admission_date": dates(*[100] * 8, *[200] * 12),
        "discharge_date": dates(*[150] * 20),
    }
    made = order_checks(context(table(columns)))
    assert Counter(one.state for one in made) == {PASS: 2, FAIL: 1}
    found, _ = look(RULES, "quality.order", context(table(columns)))
    assert [(one.where, one.count) for one in found if one.count] == [("t.admission_date > discharge_date", 12)]


def test_missing_dates_are_in_order_with_everything():
    columns = {"admission_date": pa.array([None, 5], pa.date32()), "discharge_date": dates(1, 9)}
    assert [one.state for one in order_checks(context(table(columns)))] == [PASS]
