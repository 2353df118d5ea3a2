"""The search for columns that single persons out, against a twin that counts one set after the other."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caduceus.data.readiness.coded import Coded, code
from caduceus.data.readiness.uniqueness import Exposure, classes, correct_match, exposure, search
from caduceus.errors import Misuse


def coded(*columns: list[int]) -> list[Coded]:
    return [Coded(f"c{i}", np.array(one, dtype=np.int64), max(one, default=0) + 1) for i, one in enumerate(columns)]


def twin(columns: list[Coded], k: int, who: np.ndarray | None) -> Exposure:
    """Count persons class by class, as the definition says."""
    rows = list(zip(*(one.codes.tolist() for one in columns), strict=True))
    people = range(len(rows)) if who is None else who.tolist()
    persons: dict[tuple[int, ...], set[int]] = {}
    for row, person in zip(rows, people, strict=True):
        persons.setdefault(row, set()).add(person)
    unique = sum(len(persons[row]) == 1 for row in rows)
    small = sum(len(persons[row]) < k for row in rows)
    return Exposure(tuple(one.name for one in columns), unique, small, sum(len(one) == 2 for one in persons.values()))


def tables() -> st.SearchStrategy[list[list[int]]]:
    shape = st.tuples(st.integers(1, 5), st.integers(1, 40))
    return shape.flatmap(
        lambda one: st.lists(
            st.lists(st.integers(0, 5), min_size=one[1], max_size=one[1]), min_size=one[0], max_size=one[0]
        )
    )


@settings(deadline=None, max_examples=40)
@given(tables(), st.integers(2, 6), st.integers(1, 60), st.booleans())
def test_an_exposure_counts_what_the_definition_counts(table: list[list[int]], k: int, people: int, several: bool):
    columns = coded(*table)
    who = np.arange(len(table[0])) % people if several else None
    assert exposure(columns, k=k, who=who) == twin(columns, k, who)


@settings(deadline=None, max_examples=50)
@given(tables(), st.integers(2, 5), st.sampled_from((0.0, 0.1, 0.5)), st.integers(1, 4), st.booleans())
def test_the_search_names_all_smallest_bad_sets_and_no_other(
    table: list[list[int]], k: int, limit: float, largest: int, several: bool
):
    columns = coded(*table)
    who = np.arange(len(table[0])) // 2 if several else None
    bar = limit * len(table[0])
    bad: dict[frozenset[str], Exposure] = {}
    for size in range(1, largest + 1):
        for some in combinations([one for one in columns if one.levels > 1], size):
            names = frozenset(one.name for one in some)
            one = twin(list(some), k, who)
            if one.small > bar and not any(smaller < names for smaller in bad):
                bad[names] = one
    found = search(columns, k=k, limit=limit, largest=largest, who=who)
    assert {frozenset(one.columns): (one.unique, one.small) for one in found.minimal} == {
        names: (one.unique, one.small) for names, one in bad.items()
    }
    assert found.left == 0
    assert found.whole == twin(columns, k, who)


@settings(deadline=None, max_examples=30)
@given(tables(), st.integers(2, 5))
def test_more_columns_never_hide_anybody(table: list[list[int]], k: int):
    columns = coded(*table)
    unique, small = 0, 0
    for size in range(1, len(columns) + 1):
        one = exposure(columns[:size], k=k)
        assert one.unique >= unique
        assert one.small >= small
        unique, small = one.unique, one.small


def test_classes_are_those_of_a_counter():
    columns = coded([0, 1, 0, 1, 5], [2, 2, 2, 0, 2])
    codes, count = classes(columns)
    assert count == 4
    assert sorted(Counter(codes.tolist()).values()) == [1, 1, 1, 2]


def test_a_search_out_of_work_says_how_many_sets_it_left():
    columns = coded(*(np.random.default_rng(i).integers(0, 3, 100).tolist() for i in range(6)))
    found = search(columns, k=2, limit=0.5, largest=3, budget=1_000)
    whole = search(columns, k=2, limit=0.5, largest=3)
    assert found.left > 0
    assert whole.left == 0
    assert found.examined + found.left == whole.examined == 6 + 15 + 20


def test_a_search_refuses_what_has_no_meaning():
    with pytest.raises(Misuse, match="same name"):
        search([*coded([1]), *coded([2])], k=2, limit=0)
    with pytest.raises(Misuse, match="lengths"):
        exposure([*coded([1]), Coded("d", np.array([0, 1]), 2)], k=2)
    with pytest.raises(Misuse, match="limit"):
        search(coded([1, 0]), k=1, limit=0)


def test_the_chance_of_a_right_match_follows_skinner_and_elliot():
    assert correct_match(0, 10, 0.1) == 0
    assert correct_match(10, 0, 0.1) == 1
    assert correct_match(100, 50, 1.0) == 1
    assert correct_match(100, 50, 0.02) == pytest.approx(0.02 * 100 / (0.02 * 100 + 2 * 0.98 * 50))


@pytest.mark.data
def test_a_quarter_of_the_stroke_patients_is_alone_by_age_and_hospital(clinical_data: Path):
    table = pyarrow.parquet.read_table(clinical_data / "ist_stroke" / "ist.parquet")
    columns = [code(table[name].combine_chunks(), name) for name in ("AGE", "SEX", "HOSPNUM", "RDATE", "COUNTRY")]
    found = search(columns, k=11, limit=0.05)
    frame = table.select(["AGE", "HOSPNUM"]).to_pandas()
    sizes = frame.groupby(["AGE", "HOSPNUM"])["AGE"].transform("size")
    named = {one.columns: one for one in found.minimal}["AGE", "HOSPNUM"]
    assert (named.unique, named.small) == (int((sizes == 1).sum()), int((sizes < 11).sum()))
    assert named.unique / len(frame) == pytest.approx(0.24, abs=0.01)
    assert found.whole.unique / len(frame) > 0.94
