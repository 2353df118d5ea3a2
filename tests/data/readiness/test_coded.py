"""Columns as arrays that can be counted."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caduceus.data.readiness.coded import NO_DAY, Coded, code, days, dense, numbers, per_record, present, share
from caduceus.data.readiness.sheet import Leaf
from caduceus.errors import Misuse

VALUES = st.one_of(
    st.lists(st.one_of(st.none(), st.integers(-(2**60), 2**60)), min_size=1).map(lambda one: pa.array(one, pa.int64())),
    st.lists(st.one_of(st.none(), st.integers(0, 5)), min_size=1).map(lambda one: pa.array(one, pa.int64())),
    st.lists(st.one_of(st.none(), st.floats())).map(lambda one: pa.array(one, pa.float64())),
    st.lists(st.one_of(st.none(), st.sampled_from(("", " ", "a", "b")))).map(lambda one: pa.array(one, pa.string())),
)


def plain(value: object) -> object:
    """A value as codes tell it from others: blanks and NaN are missing."""
    blank = isinstance(value, str) and not value.strip()
    return None if blank or value != value else value


@given(VALUES)
def test_codes_are_equal_exactly_where_values_are(values: pa.Array):
    one = code(values)
    told = [plain(value) for value in values.to_pylist()]
    pairs = set(zip(told, one.codes.tolist(), strict=True))
    assert len(pairs) == len({value for value, _ in pairs}) == len({number for _, number in pairs}) == one.used
    assert present(values).tolist() == [value is not None for value in told]


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=30))
def test_dense_codes_split_alike_and_leave_no_gap(codes: list[int]):
    made, count = dense(np.array(codes), 10**6 + 1)
    assert set(made.tolist()) == set(range(count))
    assert len(set(zip(codes, made.tolist(), strict=True))) == count == len(set(codes))


def test_the_first_value_of_a_record_counts_and_none_is_missing():
    leaf = Leaf("x", pa.array(["a", "b", "c"]), np.array([0, 0, 2]))
    assert per_record(leaf, 4).to_pylist() == ["a", None, "c", None]


def test_texts_are_numbers_if_nearly_all_are():
    read = numbers(pa.array(["1", "2.5", "?", "", None, "NA"]))
    assert read is not None
    np.testing.assert_array_equal(read, [1, 2.5, np.nan, np.nan, np.nan, np.nan])
    assert numbers(pa.array(["a", "1", "b"])) is None
    assert numbers(pa.array([True, False])) is None


def test_days_are_read_from_dates_times_and_texts():
    wanted = [0, NO_DAY, 365]
    for values in (
        pa.array([0, None, 365], pa.int32()).cast(pa.date32()),
        pa.array([0, None, 365 * 86_400_000_000 + 5], pa.timestamp("us")),
        pa.array(["1970-01-01", "", "1971-01-01T10:00:00Z"]),
    ):
        found = days(values)
        assert found is not None
        assert found.tolist() == wanted
    assert days(pa.array(["12.3.", "x"])) is None
    assert days(pa.array([1, 2])) is None


def test_shares_tell_no_count_below_eleven():
    assert share(10, 1000) == share(1, 2) == "fewer than 11 records"
    assert share(0, 5) == "0 % of the records"
    assert share(500, 1000) == "50 % of the records"
    assert share(11, 1000) == "1.1 % of the records"


def test_codes_outside_their_levels_are_refused():
    with pytest.raises(Misuse, match=r"not in \[0, 2\)"):
        Coded("x", np.array([0, 2]), 2)
