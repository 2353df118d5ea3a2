"""The canonical table, its checks and its bytes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from caduceus.data.canonical import derive, settle_codes, settle_numbers
from caduceus.data.schema import Column, Schema, Square
from caduceus.data.schema_file import FileColumn
from caduceus.data.table import Table, check_usable, check_values
from caduceus.errors import Misuse, Refused

AGE = Column("age", "number", "feature", "a", "", 0.0, 120.0, (), True, None)
PAIN = Column("pain", "category", "feature", "", "", None, None, ("none", "some"), False, None)
DEAD = Column("dead", "boolean", "target", "", "", 0.0, 1.0, (), False, None)
SCHEMA = Schema(title="small", columns=(AGE, PAIN, DEAD))
NAN = np.nan


def table(**columns: list[float]) -> Table:
    full = {"age": [40.0, 50.0, 60.0], "pain": [0.0, 1.0, NAN], "dead": [0.0, 1.0, NAN]} | columns
    return Table(SCHEMA, np.array([full[name] for name in SCHEMA.names]), {"id": np.array(["a", "b", "c"])})


def test_a_column_is_found_by_name_and_cannot_be_written():
    column = table().column("age")
    assert column.tolist() == [40.0, 50.0, 60.0]
    with pytest.raises(ValueError, match="read-only"):
        column[0] = 1.0
    with pytest.raises(Refused, match="no column 'agee'"):
        table().column("agee")


def test_the_table_keeps_its_values_when_the_callers_array_changes():
    values = np.zeros((3, 2))
    kept = Table(SCHEMA, values)
    values[:] = 7.0
    assert kept.values.max() == 0.0


def test_selected_rows_keep_their_labels():
    chosen = table().select(np.array([True, False, True]))
    assert chosen.rows == 2
    assert chosen.column("age").tolist() == [40.0, 60.0]
    assert chosen.labels["id"].tolist() == ["a", "c"]
    assert table().select(np.array([2, 0])).labels["id"].tolist() == ["c", "a"]


def test_values_and_labels_of_another_shape_are_a_callers_bug():
    with pytest.raises(Misuse, match="3 columns"):
        Table(SCHEMA, np.zeros((2, 5)))
    with pytest.raises(Misuse, match="label"):
        Table(SCHEMA, np.zeros((3, 5)), {"id": np.array(["a"])})


def test_a_records_bytes_are_its_little_endian_doubles():
    rows = table().record_bytes()
    assert rows.shape == (3, 24)
    assert rows[1].tobytes() == np.array([50.0, 1.0, 1.0], "<f8").tobytes()


def test_missing_and_zero_have_one_byte_form_each():
    odd_nan = np.array([0x7FF8000000000123], np.uint64).view(np.float64)[0]
    plain = table(pain=[0.0, 0.0, NAN]).record_bytes()
    assert (table(pain=[-0.0, 0.0, odd_nan]).record_bytes() == plain).all()
    assert (table(pain=[1.0, 0.0, NAN]).record_bytes() != plain).any()


@given(arrays(np.float64, st.tuples(st.just(3), st.integers(0, 20)), elements=st.floats(allow_nan=True, width=64)))
def test_different_records_have_different_bytes_and_equal_ones_the_same(values: np.ndarray):
    built = Table(SCHEMA, values)
    back = built.record_bytes().reshape(-1).view("<f8").reshape(built.rows, 3)
    np.testing.assert_array_equal(back, values.T)


def test_a_usable_table_passes():
    check_usable(table(), "dead", "site x")
    check_values(table(), "site x")


@pytest.mark.parametrize(
    ("dead", "why"),
    [
        ([1.0, 1.0, NAN], "same value in every row"),
        ([0.0, 0.0, 0.0], "same value"),
        ([NAN] * 3, "missing in every row"),
    ],
)
def test_a_target_that_teaches_nothing_is_refused(dead: list[float], why: str):
    with pytest.raises(Refused, match=f"site x: column 'dead' .*{why}"):
        check_usable(table(dead=dead), "dead", "site x")


def test_an_empty_site_is_refused():
    with pytest.raises(Refused, match="site x: no rows"):
        check_usable(table().select(np.zeros(3, bool)), "dead", "site x")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("age", [40.0, 121.0, 50.0]),
        ("age", [40.0, NAN, 50.0]),
        ("age", [40.0, np.inf, 50.0]),
        ("pain", [0.0, 2.0, 0.0]),
        ("pain", [0.0, 0.5, 0.0]),
        ("dead", [0.0, 0.5, 0.0]),
    ],
)
def test_a_value_that_the_schema_forbids_is_named_by_row_and_column(name: str, values: list[float]):
    with pytest.raises(Refused, match=f"site x: row 2, column '{name}'"):
        check_values(table(**{name: values}), "site x")


# ---------------------------------------------------------------- raw values to canonical ones


def number(**said: object) -> FileColumn:
    return FileColumn.model_validate({"name": "x", "kind": "number", "range": (0, 100)} | said)


def settle(values: list[float], **said: object) -> list[float]:
    return settle_numbers(np.array(values), number(**said), [-9.0], "f.csv").tolist()


def test_missing_codes_and_impossible_values_become_missing():
    settled = settle([-9.0, 0.0, 40.0, 5.0, NAN], impossible=(0, (30, 50)))
    np.testing.assert_array_equal(settled, [NAN, NAN, NAN, 5.0, NAN])


def test_outside_the_range_is_an_error_or_missing_or_clipped_as_the_schema_says():
    with pytest.raises(Refused, match=r"f.csv: row 2, column 'x': outside the plausible range 0 to 100") as caught:
        settle([5.0, 101.25])
    assert "101" not in str(caught.value)
    np.testing.assert_array_equal(settle([5.0, 101.0, -1.0], outside="missing"), [5.0, NAN, NAN])
    np.testing.assert_array_equal(settle([5.0, 101.0, -1.0, NAN], outside="clip"), [5.0, 100.0, 0.0, NAN])


def test_an_integer_column_takes_whole_numbers_only():
    assert settle([3.0, 4.0], kind="integer") == [3.0, 4.0]
    with pytest.raises(Refused, match="row 2, column 'x': not a whole number"):
        settle([3.0, 4.5], kind="integer")


def test_infinity_is_never_a_value():
    with pytest.raises(Refused, match="row 1, column 'x': not a finite number"):
        settle([np.inf], outside="clip")


def test_a_required_value_may_not_be_missing():
    with pytest.raises(Refused, match="row 2, column 'x': missing, but the schema requires"):
        settle([3.0, -9.0], required=True)


def test_codes_become_levels_and_unknown_codes_are_refused():
    column = FileColumn.model_validate({"name": "x", "kind": "category", "levels": ("a", "b")})
    places = np.array([1, 0, -1])
    np.testing.assert_array_equal(settle_codes(["a", "b"], places, column, "f.csv"), [1.0, 0.0, NAN])
    with pytest.raises(Refused, match=r"f.csv: row 2, column 'x': not one of the levels of the schema"):
        settle_codes(["a", "c"], np.array([0, 1]), column, "f.csv")


@given(st.lists(st.floats(-1e6, 1e6) | st.just(NAN), max_size=20), st.floats(-100, 100), st.floats(0.1, 1000))
def test_a_derived_column_stays_in_the_range_of_its_formula(values: list[float], center: float, scale: float):
    derived = derive(np.array(values), Square("x", center, scale))
    np.testing.assert_array_equal(np.isnan(derived), np.isnan(values))
    assert (derived[~np.isnan(derived)] >= 0).all()
