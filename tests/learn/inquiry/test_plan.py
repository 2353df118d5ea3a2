"""One vector per site: what it holds, and that no patient moves it by more than 1."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from questions import EVERYTHING, OLD, SCHEMA, SMOKERS, WOMEN, ask, axis, registry

from caduceus.data.table import Table
from caduceus.errors import Misuse, Refused
from caduceus.learn.inquiry.cells import Condition
from caduceus.learn.inquiry.plan import check_cells, plan, tally
from caduceus.learn.inquiry.queries import Analysis, Contingency, Histogram, Mean, Quantiles, Survival
from caduceus.learn.rows import ROWS_LIMIT

PLAN = plan(EVERYTHING, SCHEMA)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 5]), st.floats(0, 0.5))
def test_no_patient_with_all_rows_moves_the_vector_by_more_than_one(rows, seed, per_patient, gaps):
    table = registry(rows, seed, gaps=gaps, per_patient=per_patient)
    names = table.patients if table.patients is not None else np.arange(rows)
    whole = tally(PLAN, table)
    assert np.abs(whole).max() <= PLAN.bound
    for name in np.unique(names)[:5]:
        rest = tally(PLAN, table.select(names != name))
        assert np.linalg.norm(whole - rest) <= PLAN.sensitivity * (1 + 1e-12)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=10, max_size=10), st.integers(0, 99))
def test_a_record_that_breaks_its_schema_moves_the_vector_by_no_more(values, seed):
    before = registry(5, seed)
    after = Table(SCHEMA, np.concatenate([before.values, np.array(values)[:, None]], axis=1))
    assert np.linalg.norm(tally(PLAN, after) - tally(PLAN, before)) <= 1 + 1e-12


def test_a_patient_whom_every_question_is_about_moves_the_vector_by_exactly_one():
    values = np.array([70.0, 300.0, 40.0, 1.0, 0.0, 1.0, 2.0, 0.0, 90.0, 1.0])[:, None]
    assert np.linalg.norm(tally(PLAN, Table(SCHEMA, values))) == pytest.approx(1.0, abs=1e-12)
    twice = Table(SCHEMA, np.repeat(values, 2, axis=1), {"who": np.array(["a", "a"])}, "who")
    assert np.linalg.norm(tally(PLAN, twice)) == pytest.approx(1.0, abs=1e-8)


def test_weights_share_the_precision_and_their_scale_does_not_matter():
    shares = [block.share**2 for block in PLAN.blocks]
    assert sum(shares) == pytest.approx(1.0, abs=1e-12)
    assert shares[2] / shares[0] == pytest.approx(3.0)
    doubled = replace(EVERYTHING, queries=tuple(replace(one, weight=2 * one.weight) for one in EVERYTHING.queries))
    np.testing.assert_allclose([b.share for b in plan(doubled, SCHEMA).blocks], [b.share for b in PLAN.blocks])


def block_of(name, query, table):
    """A lone question's vector in its own units."""
    layout = plan(Analysis((ask(name, **query),), 10), SCHEMA)
    return tally(layout, table) / layout.blocks[0].factor


TABLE = registry(300, 3)
COLUMN = {name: TABLE.column(name) for name in SCHEMA.names}


def test_a_count_is_of_the_rows_that_meet_all_conditions_and_missing_meets_none():
    low = Condition("pressure", (), None, None, 120.0)
    counted = block_of("q", {"where": (OLD, WOMEN, SMOKERS, low)}, TABLE)
    kept = (COLUMN["age"] >= 65) & (COLUMN["sex"] == 0) & (COLUMN["smoker"] == 1) & (COLUMN["pressure"] <= 120)
    assert counted == pytest.approx([kept.sum()])
    assert kept.sum() > 0
    never = Condition("smoker", (), False, None, None)
    both = block_of("q", {"where": (SMOKERS,)}, TABLE) + block_of("q", {"where": (never,)}, TABLE)
    assert both == pytest.approx([(~np.isnan(COLUMN["smoker"])).sum()])


def test_a_mean_leaves_rows_without_a_value_out():
    sums = block_of("q", {"mean": Mean("pressure", True)}, TABLE)
    x = (COLUMN["pressure"][~np.isnan(COLUMN["pressure"])] - 170) / 130
    np.testing.assert_allclose(sums, [len(x), x.sum(), (x * x).sum()], rtol=1e-12)


def test_bins_are_closed_on_the_left_and_the_last_on_both_sides():
    ages = np.array([0.0, 39.9, 40.0, 64.0, 65.0, 120.0])
    table = Table(SCHEMA, np.concatenate([ages[None], np.zeros((9, 6))]))
    counts = block_of("q", {"histogram": Histogram(axis("age", edges=(40.0, 65.0, 120.0)), True)}, table)
    assert counts.tolist() == [2.0, 2.0, 2.0]


def test_missing_values_have_a_cell_or_are_left_out_as_asked():
    with_cell = block_of("q", {"histogram": Histogram(axis("stage"), True)}, TABLE)
    without = block_of("q", {"histogram": Histogram(axis("stage"), False)}, TABLE)
    np.testing.assert_allclose(with_cell[:-1], without)
    assert with_cell[-1] == pytest.approx(np.isnan(COLUMN["stage"]).sum())
    table = block_of("q", {"table": Contingency((axis("sex"), axis("stage")), False)}, TABLE).reshape(2, 3)
    expected = [[((COLUMN["sex"] == s) & (COLUMN["stage"] == t)).sum() for t in range(3)] for s in range(2)]
    np.testing.assert_allclose(table, expected)


def test_a_patient_with_several_rows_counts_once():
    table = registry(200, 4, per_patient=3)
    assert block_of("q", {}, table) == pytest.approx([len(np.unique(table.patients))])
    stages = block_of("q", {"histogram": Histogram(axis("stage"), True)}, table)
    assert stages.sum() == pytest.approx(len(np.unique(table.patients)))


def test_an_event_at_a_time_of_the_grid_is_not_survived():
    days = np.array([0.0, 30.0, 31.0, 365.0, np.nan])
    values = np.zeros((10, 5))
    values[8], values[9] = days, [1, 1, 0, 1, 1]
    query = {"survival": Survival(axis("days", edges=(30.0, 60.0)), "death", "")}
    assert block_of("q", query, Table(SCHEMA, values)).tolist() == [0, 2, 1, 0, 0, 1, 1]


def test_a_table_of_another_schema_is_misuse_and_one_too_long_is_refused():
    other = replace(SCHEMA, title="another")
    with pytest.raises(Misuse, match="another schema"):
        tally(PLAN, Table(other, TABLE.values))
    with pytest.raises(Refused, match="rows"):
        tally(PLAN, Table(SCHEMA, np.zeros((10, ROWS_LIMIT + 1))))


def test_more_cells_than_the_rows_can_fill_are_refused_by_name():
    stages = ask("stages", table=Contingency((axis("sex"), axis("stage")), True))
    layout = plan(Analysis((ask("all"), stages), 10), SCHEMA)
    check_cells(layout, 40)
    with pytest.raises(Refused, match="query 'stages': 8 cells of sex, stage need 40 rows, and the sites state 39"):
        check_cells(layout, 39)
    fine = ask("fine", quantiles=Quantiles(axis("age", 1000), (0.5,)))
    check_cells(plan(Analysis((fine,), 10), SCHEMA), 40)


def test_too_long_a_vector_is_refused():
    big = tuple(ask(f"q{i}", histogram=Histogram(axis("age", 4096), True)) for i in range(17))
    with pytest.raises(Refused, match="69632 numbers in all, at most 65536"):
        plan(Analysis(big, 10), SCHEMA)


def test_norms_of_blocks_are_those_of_their_kind():
    sensitivities = {block.query.name: block.sensitivity for block in PLAN.blocks}
    assert sensitivities["pressure"] == math.sqrt(3)
    assert sensitivities["smokers"] == math.sqrt(2)
    assert sensitivities["cross"] == sensitivities["survival"] == sensitivities["patients"] == 1.0
