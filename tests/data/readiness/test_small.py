"""Small sites and cells, rare levels, constant columns."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet
import pytest

from caduceus.data.readiness.small import RULES
from readiness_sheets import context, look, table

ROLES = {"t.site": "site", "t.sick": "target", "t.x": "feature"}


def test_a_site_below_the_floor_and_a_small_cell_are_found():
    sites = ["a"] * 100 + ["b"] * 5
    given = context(table({"site": sites, "sick": [0, 1] * 50 + [0] * 5}), roles=ROLES)
    found, _ = look(RULES, "small.sites", given)
    assert [(one.where, one.count) for one in found] == [("t.site", None), ("t.{site, sick}", None)]
    assert "1 of 2 sites" in found[0].says


def test_large_sites_with_large_cells_have_no_finding():
    given = context(table({"site": ["a", "b"] * 50, "sick": [0, 0, 1, 1] * 25}), roles=ROLES)
    assert look(RULES, "small.sites", given) == ([], [])


def test_sites_are_known_by_name_where_there_is_no_schema():
    found, _ = look(RULES, "small.sites", context(table({"hospital_id": ["a"] * 40 + ["b"] * 12})))
    assert [(one.where, one.count) for one in found] == [("t.hospital_id", 12)]
    assert look(RULES, "small.sites", context(table({"x": [1, 2]})))[1][0].reason == "no column names sites"


def test_a_rare_outcome_is_found_and_a_common_one_is_not():
    rare = context(table({"sick": [0] * 90 + [1] * 10}), roles=ROLES)
    assert [one.count for one in look(RULES, "small.outcomes", rare)[0]] == [None]
    assert look(RULES, "small.outcomes", context(table({"sick": [0, 1] * 50}), roles=ROLES))[0] == []


def test_rare_levels_of_a_category_are_found():
    columns = {"x": ["a"] * 100 + ["b"] * 4 + ["c"] * 9, "free": [str(i) for i in range(113)]}
    found, _ = look(RULES, "small.levels", context(table(columns)))
    assert [(one.where, one.count) for one in found] == [("t.x", 13)]
    assert "2 of 3 levels" in found[0].says


def test_constant_and_nearly_constant_columns_are_found_and_others_are_not():
    columns = {"x": [7] * 1000, "y": [1] * 999 + [2], "z": [None] * 1000, "ok": [0, 1] * 500}
    found, _ = look(RULES, "small.constant", context(table(columns)))
    assert {one.where: one.says for one in found} == {
        "t.x": "every record has the same value",
        "t.y": "all but fewer than 11 records have the same value",
        "t.z": "no record has a value",
    }


SCHEMA = """
title = "t"
[[column]]
name = "x"
kind = "boolean"
[[column]]
name = "sick"
source = "num"
role = "target"
kind = "boolean"
positive = [1, 2, 3, 4]
negative = [0]
"""


def test_codes_that_mean_one_outcome_are_counted_as_one():
    columns = {"num": [0.0] * 40 + [1.0, 2.0, 3.0, 4.0] * 4}
    roles = {"t.num": "target"}
    assert len(look(RULES, "small.outcomes", context(table(columns), roles=roles))[0]) == 1
    assert look(RULES, "small.outcomes", context(table(columns), roles=roles, schema=SCHEMA))[0] == []
    columns["num"][-8:] = [0.0] * 8
    found, _ = look(RULES, "small.outcomes", context(table(columns), roles=roles, schema=SCHEMA))
    assert found[0].says == "1 of 2 outcomes have fewer than 11 records"


@pytest.mark.data
def test_206_of_466_stroke_hospitals_are_small(clinical_data: Path):
    ist = pyarrow.parquet.read_table(clinical_data / "ist_stroke" / "ist.parquet")
    given = context(table({"HOSPNUM": ist["HOSPNUM"].combine_chunks()}, name="ist"))
    sizes = ist["HOSPNUM"].to_pandas().value_counts()
    found, _ = look(RULES, "small.sites", given)
    assert found[0].says == "206 of 466 sites have fewer than 20 records"
    assert (found[0].count, (sizes < 20).sum()) == (sizes[sizes < 20].sum(), 206)
