"""Questions as a person writes them become records, or one clear error."""

import pytest

from caduceus import canon
from caduceus.data.schema import Column, Schema
from caduceus.errors import Refused
from caduceus.learn.inquiry.cells import Axis, Condition
from caduceus.learn.inquiry.queries import Analysis
from caduceus.market.queries_file import analysis_of, read_queries_file

SCHEMA = Schema(
    "Tiny",
    (
        Column("age", "number", "feature", "a", "", 0.0, 120.0, (), True, None),
        Column("sex", "category", "feature", "", "", None, None, ("female", "male"), True, None),
        Column("smoker", "boolean", "feature", "", "", 0.0, 1.0, (), False, None),
        Column("days", "integer", "target", "d", "", 0.0, 365.0, (), True, None),
        Column("ill", "boolean", "target", "", "", 0.0, 1.0, (), True, None),
    ),
)
FILE = """
[analysis]
minimum_cell = 12

[[query]]
name = "older women who smoke"
kind = "count"
where = [{ column = "sex", is = ["female"] }, { column = "age", from = 65 }, { column = "smoker", is = true }]
weight = 2

[[query]]
name = "age"
kind = "mean"
column = "age"
deviation = true

[[query]]
name = "ages"
kind = "histogram"
column = "age"
edges = [40, 65]
missing = false

[[query]]
name = "quartiles"
kind = "quantiles"
column = "age"

[[query]]
name = "cross"
kind = "table"
columns = ["sex", { column = "age", bins = 6 }]

[[query]]
name = "illness"
kind = "survival"
time = "days"
event = "ill"
by = "sex"
grid = [30, 90, 180]
"""


def analysis_from(text: str) -> Analysis:
    file = read_queries_file(text, where="job.toml")
    return analysis_of(file.analysis, file.query, SCHEMA, where="job.toml")


def test_a_file_of_questions_becomes_an_analysis_that_survives_the_wire():
    analysis = analysis_from(FILE)
    assert analysis.minimum_cell == 12
    assert [query.kind for query in analysis.queries] == [
        *("count", "mean", "histogram", "quantiles", "table", "survival"),
    ]
    count, mean, histogram, quantiles, table, survival = analysis.queries
    assert count.weight == 2.0
    assert count.where == (
        Condition("sex", ("female",), None, None, None),
        Condition("age", (), None, 65.0, None),
        Condition("smoker", (), True, None, None),
    )
    assert mean.mean.deviation
    assert (histogram.histogram.axis, histogram.histogram.missing) == (Axis("age", 0, (40.0, 65.0)), False)
    assert (quantiles.quantiles.axis.bins, quantiles.quantiles.levels) == (64, (0.25, 0.5, 0.75))
    assert table.table.axes == (Axis("sex", 0, ()), Axis("age", 6, ()))
    assert (survival.survival.time.edges, survival.survival.by) == ((30.0, 90.0, 180.0), "sex")
    assert canon.unpack(Analysis, canon.pack(analysis)) == analysis


def test_a_file_that_says_no_more_than_it_must_has_the_usual_minimum():
    analysis = analysis_from('[[query]]\nname = "all"\nkind = "count"\n')
    assert (analysis.minimum_cell, analysis.queries[0].weight) == (10, 1.0)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("deviation = true", "deviance = true", r"job\.toml: query 'age': unknown key 'deviance'; did you mean 'dev"),
        ('is = ["female"]', 'si = ["female"]', r"query 'older women who smoke' where 1: unknown key 'si'"),
        ('kind = "mean"', 'kind = "mode"', r"job\.toml: query 'age'"),
        ('event = "ill"\n', "", r"query 'illness': key 'event' is missing"),
        ("weight = 2", "weight = 0", r"query 'older women who smoke' weight"),
        ("weight = 2", 'weight = "2"', r"query 'older women who smoke' weight"),
        ("bins = 6", "bins = 0", r"query 'cross' columns 2"),
        ("minimum_cell = 12", "minimum_cell = 2", r"job\.toml: analysis: minimum_cell from 5"),
        ("edges = [40, 65]", "edges = [40, 165]", r"job\.toml: query 'ages': column age: at most .* from 0 to 120"),
        ('columns = ["sex"', 'columns = ["sox"', r"job\.toml: query 'cross': .* no column 'sox'; did you mean 'sex'"),
        ('is = ["female"]', 'is = ["femal"]', r"query 'older women who smoke': where: column sex has no level 'femal'"),
        ('name = "ages"', 'name = "age"', r"job\.toml: query 'age': another query has this name"),
        ('event = "ill"', 'event = "sex"', r"query 'illness': column sex is a category"),
    ],
)
def test_a_file_that_is_wrong_names_the_question_and_the_key_or_column(old, new, message):
    assert old in FILE
    with pytest.raises(Refused, match=message):
        analysis_from(FILE.replace(old, new, 1))


def test_a_file_without_questions_is_refused():
    with pytest.raises(Refused, match=r"job\.toml: key 'query' is missing"):
        analysis_from("[analysis]\n")
