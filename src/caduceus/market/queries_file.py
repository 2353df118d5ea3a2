"""The `[analysis]` and `[[query]]` tables of a job TOML: questions as a person writes them down.

[analysis]
minimum_cell = 10

[[query]]
name = "older women"
kind = "count"
where = [{ column = "sex", is = ["female"] }, { column = "age", from = 65 }]
weight = 2.0

[[query]]
name = "by sex and age"
kind = "table"
columns = ["sex", { column = "age", edges = [50, 65, 80] }]
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from caduceus.data.document import Document, read_document
from caduceus.data.schema import Schema
from caduceus.errors import Refused
from caduceus.learn.inquiry.cells import Axis, Condition
from caduceus.learn.inquiry.queries import Analysis, Contingency, Histogram, Mean, Quantiles, Query, Survival, check

QUANTILE_BINS = 64
"""Of quantiles, if the file does not say."""


class ConditionFile(Document):
    """One entry of `where`.

    is        levels of a category, or true or false
    from, to  lowest and highest number, both included
    """

    column: str
    is_: tuple[str, ...] | bool | None = Field(default=None, alias="is")
    from_: float | None = Field(default=None, alias="from")
    to: float | None = None

    def condition(self) -> Condition:
        """As a record."""
        levels = self.is_ if isinstance(self.is_, tuple) else ()
        return Condition(self.column, levels, self.is_ if isinstance(self.is_, bool) else None, self.from_, self.to)


class AxisFile(Document):
    """A column and how it is cut: a number needs bins (so many equal ones) or edges, other kinds have neither."""

    column: str
    bins: Annotated[int, Field(ge=1)] | None = None
    edges: Annotated[tuple[float, ...], Field(min_length=1)] | None = None

    def axis(self) -> Axis:
        """As a record."""
        return Axis(self.column, self.bins or 0, self.edges or ())


class _Question(Document):
    """What every question has: a unique name, conditions on its rows, and its share of the precision."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    where: tuple[ConditionFile, ...] = ()
    weight: Annotated[float, Field(gt=0)] = 1.0


class CountFile(_Question):
    """`kind = "count"`: how many patients."""

    kind: Literal["count"]


class MeanFile(_Question):
    """`kind = "mean"`, and the standard deviation if asked for."""

    kind: Literal["mean"]
    column: str
    deviation: bool = False


class HistogramFile(_Question):
    """`kind = "histogram"`: patients per cell of a column; `missing` is whether absent values have a cell."""

    kind: Literal["histogram"]
    column: str
    bins: Annotated[int, Field(ge=1)] | None = None
    edges: Annotated[tuple[float, ...], Field(min_length=1)] | None = None
    missing: bool = True


class QuantilesFile(_Question):
    """`kind = "quantiles"`: the median and quartiles if no levels are said, to 1/64 of the range if no bins are."""

    kind: Literal["quantiles"]
    column: str
    levels: tuple[float, ...] = (0.25, 0.5, 0.75)
    bins: Annotated[int, Field(ge=1)] | None = None
    edges: Annotated[tuple[float, ...], Field(min_length=1)] | None = None


class TableFile(_Question):
    """`kind = "table"`: patients per combination; a column by its name alone, or with bins or edges."""

    kind: Literal["table"]
    columns: tuple[str | AxisFile, ...]
    missing: bool = True


class SurvivalFile(_Question):
    """`kind = "survival"`: the grid of times by `bins` (so many equal ones) or `grid` (the times)."""

    kind: Literal["survival"]
    time: str
    event: str
    by: str = ""
    bins: Annotated[int, Field(ge=1)] | None = None
    grid: Annotated[tuple[float, ...], Field(min_length=1)] | None = None


QueryFile = Annotated[
    CountFile | MeanFile | HistogramFile | QuantilesFile | TableFile | SurvivalFile, Field(discriminator="kind")
]
"""One `[[query]]` table."""


class AnalysisFile(Document):
    """The `[analysis]` table: no answer about fewer patients than `minimum_cell` is published."""

    minimum_cell: int = 10


class QueriesFile(Document):
    """A TOML with nothing but questions."""

    analysis: AnalysisFile = AnalysisFile()
    query: Annotated[tuple[QueryFile, ...], Field(min_length=1)]


def read_queries_file(text: str, *, where: str) -> QueriesFile:
    """Read a TOML of questions.

    text   the whole file
    where  its name, for the message

    Raises Refused, naming `where` and the first key that is unknown, absent or wrong.
    """
    return read_document(text, QueriesFile, where=where)


def analysis_of(head: AnalysisFile, queries: tuple[QueryFile, ...], schema: Schema, *, where: str) -> Analysis:
    """The analysis that a file asks for.

    Raises Refused, naming `where`, the question and the column, if it does not fit the schema.
    """
    analysis = Analysis(tuple(query_of(one) for one in queries), head.minimum_cell)
    try:
        check(analysis, schema)
    except Refused as problem:
        raise Refused(f"{where}: {problem}") from None
    return analysis


def query_of(file: QueryFile) -> Query:
    """One question as a record, not yet checked against a schema."""
    mean = histogram = quantiles = table = survival = None
    match file:
        case MeanFile():
            mean = Mean(file.column, file.deviation)
        case HistogramFile():
            histogram = Histogram(Axis(file.column, file.bins or 0, file.edges or ()), file.missing)
        case QuantilesFile():
            bins = file.bins or (0 if file.edges else QUANTILE_BINS)
            quantiles = Quantiles(Axis(file.column, bins, file.edges or ()), file.levels)
        case TableFile():
            axes = (AxisFile(column=one) if isinstance(one, str) else one for one in file.columns)
            table = Contingency(tuple(one.axis() for one in axes), file.missing)
        case SurvivalFile():
            survival = Survival(Axis(file.time, file.bins or 0, file.grid or ()), file.event, file.by)
    where = tuple(one.condition() for one in file.where)
    return Query(file.name, where, file.weight, mean, histogram, quantiles, table, survival)
