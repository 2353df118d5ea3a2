"""Questions that make sense, and the ones that are refused by name."""

from dataclasses import replace

import pytest
from questions import EVERYTHING, GRID, SCHEMA, ask, axis

from caduceus import canon
from caduceus.errors import Refused
from caduceus.learn.inquiry.cells import Condition
from caduceus.learn.inquiry.queries import Analysis, Contingency, Histogram, Mean, Quantiles, Survival, check, columns

NAN = float("nan")


def test_an_analysis_survives_the_wire_and_names_the_columns_that_it_uses():
    check(EVERYTHING, SCHEMA)
    assert canon.unpack(Analysis, canon.pack(EVERYTHING)) == EVERYTHING
    assert set(columns(EVERYTHING)) == {
        *("age", "sex", "pressure", "smoker", "stage", "visits", "days", "death", "arm"),
    }
    assert [query.kind for query in EVERYTHING.queries[:3]] == ["count", "count", "mean"]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (ask("q", mean=Mean("agee", False)), "query 'q': .*no column 'agee'; did you mean 'age'"),
        (ask("q", mean=Mean("sex", False)), "query 'q': column sex: a category has no range"),
        (ask("q", mean=Mean("unbounded", False)), "query 'q': column unbounded: the schema gives no plausible range"),
        (ask("q", mean=Mean("smoker", True)), "query 'q': column smoker: the deviation of a boolean"),
        (ask("q", mean=Mean("age", False), histogram=Histogram(axis("sex"), True)), "query 'q': asks for one thing"),
        (ask("q", weight=0.0), "query 'q': weight"),
        (ask("q", weight=NAN), "query 'q': weight"),
        (ask("q", histogram=Histogram(axis("age"), True)), "query 'q': column age: say either bins or edges"),
        (ask("q", histogram=Histogram(axis("age", 3, (50.0,)), True)), "column age: say either bins or edges"),
        (ask("q", histogram=Histogram(axis("age", -1), True)), "column age: bins from 1"),
        (ask("q", histogram=Histogram(axis("age", edges=(50.0, 40.0)), True)), "column age: edges must ascend"),
        (ask("q", histogram=Histogram(axis("age", edges=(500.0,)), True)), "column age: at most .* from 0 to 120"),
        (ask("q", histogram=Histogram(axis("age", edges=(NAN,)), True)), "column age: at most"),
        (ask("q", histogram=Histogram(axis("sex", 2), True)), "column sex: a category has cells of its own"),
        (ask("q", histogram=Histogram(axis("unbounded", 2), True)), "column unbounded: the schema gives no"),
        (ask("q", quantiles=Quantiles(axis("sex"), (0.5,))), "query 'q': column sex is a category"),
        (ask("q", quantiles=Quantiles(axis("age", 10), ())), "query 'q': from 1 to 99 levels"),
        (ask("q", quantiles=Quantiles(axis("age", 10), (0.5, 1.0))), "query 'q': levels above 0 and below 1"),
        (ask("q", quantiles=Quantiles(axis("age", 10), (0.5, 0.5))), "query 'q': levels must ascend"),
        (ask("q", table=Contingency((), True)), "query 'q': from 1 to 3 columns"),
        (ask("q", table=Contingency((axis("sex"), axis("sex")), True)), "query 'q': column sex is named twice"),
        (ask("q", table=Contingency((axis("age", 100), axis("pressure", 40)), True)), "4100 cells, at most 4096"),
        (ask("q", survival=Survival(axis("sex"), "death", "")), "query 'q': column sex is a category"),
        (ask("q", survival=Survival(axis("days", 12), "stage", "")), "column stage is a category; the event must"),
        (ask("q", survival=Survival(axis("days", 12), "death", "age")), "column age is a number; groups must"),
        (ask("q", survival=Survival(axis("days", 300), "death", "")), "column days: 300 bins of time, at most 256"),
        (ask("q", where=(Condition("sex", ("mael",), None, None, None),)), "column sex has no level 'mael'; did you"),
        (ask("q", where=(Condition("sex", (), True, None, None),)), "column sex is a category; .*one of its levels"),
        (ask("q", where=(Condition("age", (), None, None, None),)), "column age is a number; .*a lowest or a highest"),
        (ask("q", where=(Condition("age", ("a",), None, 1.0, None),)), "column age is a number"),
        (ask("q", where=(Condition("smoker", (), None, 0.0, 1.0),)), "column smoker is a boolean; .*true or false"),
        (ask("q", where=(Condition("age", (), None, 2.0, 1.0),)), "column age: the lowest value must be at most"),
        (ask("q", where=(Condition("age", (), None, NAN, 1.0),)), "column age: the lowest value must be at most"),
        (ask("", weight=1.0), "query 1: a name"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused_by_name_and_column(query, message):
    with pytest.raises(Refused, match=message):
        check(Analysis((query,), 10), SCHEMA)


@pytest.mark.parametrize(
    ("analysis", "message"),
    [
        (Analysis((), 10), "from 1 to 64 queries"),
        (Analysis(tuple(ask(f"q{i}") for i in range(65)), 10), "from 1 to 64 queries"),
        (Analysis((ask("q"),), 4), "minimum_cell from 5"),
        (Analysis((ask("q"), ask("q")), 5), "query 'q': another query"),
    ],
)
def test_an_analysis_that_makes_no_sense_is_refused(analysis, message):
    with pytest.raises(Refused, match=message):
        check(analysis, SCHEMA)


def test_the_least_minimum_and_the_last_edge_of_a_range_will_do():
    check(replace(EVERYTHING, minimum_cell=5), SCHEMA)
    check(Analysis((ask("q", survival=Survival(axis("days", edges=(*GRID, 365.0)), "death", "arm")),), 10), SCHEMA)
