"""Cards: what a data set says, and what it must not."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caduceus import canon
from caduceus.data.card import Card, card_json, describe, matches
from caduceus.data.schema import Column, Schema, Square
from caduceus.data.table import Table
from caduceus.kinds import Digest

SCHEMA = Schema(
    title="small",
    columns=(
        Column("age", "number", "feature", "a", "age in years", 0.0, 120.0, (), False, None),
        Column("pain", "category", "feature", "", "", None, None, ("none", "some"), False, None),
        Column("dead", "boolean", "target", "", "", 0.0, 1.0, (), False, None),
        Column("age2", "number", "feature", "", "", 0.0, 49.0, (), False, Square("age", 70.0, 100.0)),
    ),
)
ROOT = Digest(bytes(range(32)))


def table(rows: int, missing: int = 0) -> Table:
    values = np.random.default_rng(0).uniform(0, 1, (4, rows))
    values[0, :missing] = np.nan
    return Table(SCHEMA, values, {"id": np.array([f"patient-{i}" for i in range(rows)], dtype=np.str_)})


def card(of: Table) -> Card:
    return describe(of, title="T", description="D", licence="L", citation="C", commitment=ROOT)


@pytest.mark.parametrize(
    ("rows", "shown"),
    [(0, "fewer than 20"), (19, "fewer than 20"), (20, "at least 20"), (29, "at least 20"), (123, "at least 120")],
)
def test_the_number_of_rows_is_rounded_down_and_hidden_when_small(rows: int, shown: str):
    assert card(table(rows)).rows_text == shown


def test_small_tables_say_nothing_of_missing_values():
    assert card(table(99, missing=50)).columns[0].missing_percent is None
    assert card(table(100, missing=50)).columns[0].missing_percent == 50


@given(st.integers(100, 400), st.data())
def test_missing_values_are_told_in_steps_of_five_per_cent(rows: int, data: st.DataObject):
    missing = data.draw(st.integers(0, rows))
    told = card(table(rows, missing)).columns[0].missing_percent
    assert told is not None
    assert told % 5 == 0
    assert abs(told - 100 * missing / rows) <= 2.5 + 1e-9


def test_tables_of_other_patients_in_the_same_coarse_numbers_have_the_same_card():
    one = card(table(123, missing=12))
    other = Table(SCHEMA, np.where(np.isnan(table(128, 12).values), np.nan, 0.5))
    assert canon.pack(card(other)) == canon.pack(one)


def test_no_identifier_is_on_the_card():
    assert "patient-" not in card_json(card(table(30)))
    assert b"patient-" not in canon.pack(card(table(30)))


def test_a_card_survives_its_canonical_bytes_and_matches_its_schema_only():
    one = canon.unpack(Card, canon.pack(card(table(123))))
    assert one.digest() == card(table(123)).digest()
    assert matches(one, SCHEMA)
    assert not matches(one, Schema(title="other", columns=SCHEMA.columns))
    assert not matches(one, Schema(title="small", columns=SCHEMA.columns[:-1]))


def test_the_json_says_what_people_want_to_know():
    said = json.loads(card_json(card(table(123, missing=62))))
    assert said["rows"] == "at least 120"
    assert said["commitment"] == ROOT.hex()
    assert said["schema"] == SCHEMA.digest().hex()
    age, pain, dead, age2 = said["columns"]
    assert age == {
        "name": "age", "role": "feature", "kind": "number", "unit": "a", "description": "age in years",
        "range": [0.0, 120.0], "missing_percent": 50,
    }  # fmt: skip
    assert pain["levels"] == ["none", "some"]
    assert dead["role"] == "target"
    assert age2["derived"] == "(age - 70)^2 / 100"
