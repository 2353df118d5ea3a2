"""Whose rows they are: a patient counts once, and is sorted by nobody else's records."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caduceus.data.patients import patients, words
from caduceus.data.schema import Column, Schema
from caduceus.data.schema_file import read_schema_file
from caduceus.data.table import Table
from caduceus.edges.tabular import read_table
from caduceus.errors import Misuse, Refused

SCHEMA = Schema("Visits", (Column("age", "number", "feature", "a", "", 0.0, 120.0, (), True, None),))


def visits(of: list[str]) -> Table:
    values = np.arange(len(of), dtype=float)[None, :] % 100
    return Table(SCHEMA, values, {"who": np.array(of, dtype=np.str_)}, "who")


@given(st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=300))
def test_the_rows_of_a_patient_count_at_most_once_together(of: list[str]):
    found = patients(visits(of))
    assert found.count == len(set(of))
    for place in range(found.count):
        mine = found.shares[found.index == place]
        assert 0 < mine.sum() <= 1
        assert mine.sum() == pytest.approx(1, abs=1e-8)
        assert len(set(mine.tolist())) == 1


def test_without_a_name_every_row_is_a_patient():
    found = patients(Table(SCHEMA, np.arange(5.0)[None, :]))
    assert found.count == 5
    assert found.shares.tolist() == [1.0] * 5
    assert found.index.tolist() == list(range(5))


@given(st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=40), st.integers(0, 39))
def test_a_patients_word_depends_on_nobody_else(of: list[str], seed: int):
    table = visits(of)
    found = words(table, "held back", seed)
    alone = [words(visits([one]), "held back", seed)[0] for one in of]
    assert found.tolist() == [int(one) for one in alone]


def test_words_differ_by_purpose_seed_and_patient_and_are_even():
    table = Table(SCHEMA, np.linspace(0, 100, 4000)[None, :])
    one = words(table, "held back", 1)
    assert (one != words(table, "held back", 2)).all()
    assert (one != words(table, "something else", 1)).all()
    assert len(set(one.tolist())) == 4000
    assert 0.47 < float((one < np.uint64(1 << 63)).mean()) < 0.53


FILE = """
title = "Visits"
[[column]]
name = "who"
role = "patient"
[[column]]
name = "age"
kind = "number"
range = [0, 120]
"""


def test_a_schema_names_the_column_that_says_whose_row_it_is(tmp_path):
    path = tmp_path / "visits.csv"
    path.write_text("who,age\nann,30\nbob,40\nann,31\n")
    table = read_table(path, read_schema_file(FILE, where="schema.toml"))
    assert table.patients is not None
    assert table.patients.tolist() == ["ann", "bob", "ann"]
    assert patients(table).shares[1] == 1.0
    assert table.select(np.array([0, 2])).patients.tolist() == ["ann", "ann"]


def test_whose_row_it_is_is_never_missing(tmp_path):
    path = tmp_path / "visits.csv"
    path.write_text("who,age\nann,30\n,40\n")
    with pytest.raises(Refused, match=r"row 2, column 'who'.*the patient is missing"):
        read_table(path, read_schema_file(FILE, where="schema.toml"))


def test_one_column_says_whose_row_it_is():
    second = FILE + '[[column]]\nname = "also"\nrole = "patient"\n'
    with pytest.raises(Refused, match="two columns have the role 'patient'"):
        read_schema_file(second, where="schema.toml")


def test_a_table_cannot_name_a_label_that_it_does_not_have():
    with pytest.raises(Misuse, match="no label 'who'"):
        Table(SCHEMA, np.zeros((1, 2)), {}, "who")
