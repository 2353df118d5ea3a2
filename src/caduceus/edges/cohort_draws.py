"""One column of a cohort's table at a time, from the events around day 0 of its rows."""

# ruff: noqa: S608  (every text that goes into a query is quoted by `text`; the rest is numbers and our own names)
from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from caduceus.data.cohort import (
    AGE,
    ANY,
    COUNT,
    DIED,
    MAX,
    MEAN,
    MIN,
    OBSERVED_BEFORE,
    SEX,
    TAKE_FIRST,
    TAKE_LAST,
    TIME,
    YEAR,
    Draw,
    Window,
)
from caduceus.data.cohort_flow import Loss
from caduceus.data.records import Descendants
from caduceus.data.schema import TARGET, Column
from caduceus.edges.cohort_engine import fill, scatter, text
from caduceus.edges.cohort_values import Known, bound, converted, within
from caduceus.kinds import Floats

if TYPE_CHECKING:
    import duckdb

_TAKEN = {
    TAKE_FIRST: "first(x order by moment, x)",
    TAKE_LAST: "last(x order by moment, x)",
    MIN: "min(x)",
    MAX: "max(x)",
    MEAN: "favg(x order by moment, x)",  # in one order and with compensation: the same on every machine
}

_FACTS = {
    AGE: "date_sub('year', born, day)",
    YEAR: "year(day)",
    OBSERVED_BEFORE: "case when day >= observed_from then day - observed_from end",
}


@dataclass(slots=True, eq=False)
class Drawing:
    """Draws columns over `rows`, `told`, `who` and `known` (see `edges.cohort`).

    descendants  of the codes of answers; None takes them as they stand
    rows         how many
    losses       is filled on the way
    """

    connection: duckdb.DuckDBPyConnection
    descendants: Descendants | None
    known: Known
    rows: int
    losses: list[Loss] = field(default_factory=list)

    def draw(self, column: Column, draw: Draw) -> Floats:
        """The values of a column: float64[rows], NaN where missing, inside its range."""
        if draw.source == SEX:
            return self._sex(column)
        if draw.window is None:
            return self._inside(
                column, draw, self._rows(f"select i, {_FACTS[draw.source]} from rows join who using (p)")
            )
        slot = self.known.draws[draw.column]
        source = "(select p, died as day from who where died is not null)" if draw.source == DIED else self._told(slot)
        if draw.take == TIME:
            return self._inside(column, draw, self._time(source, draw.window))
        if draw.answers:
            return self._answer(column, draw, slot, draw.window)
        if draw.take in _TAKEN:
            return self._value(column, draw, slot, draw.window)
        return self._count(column, draw, source, draw.window)

    def _rows(self, query: str, otherwise: float = np.nan) -> Floats:
        return scatter(self.connection, query, self.rows, otherwise=otherwise)

    def _told(self, slot: int) -> str:
        return f"(select distinct p, day from told join known using (code) where slot = {slot})"

    def _sex(self, of: Column) -> Floats:
        cases = " ".join(f"when {text(level)} then {i}" for i, level in enumerate(of.levels))
        return self._rows(f"select i, case coalesce(sex, 'unknown') {cases} end from rows join who using (p)")

    def _count(self, of: Column, draw: Draw, source: str, window: Window) -> Floats:
        """On how many days, or whether on any; of a target that nobody looked for to the end, missing."""
        days = self._rows(
            f"select i, count(*) from rows r join {source} t on t.p = r.p where {within(window)} group by i",
            otherwise=0.0,
        )
        values = np.minimum(days, 1.0) if draw.take == ANY else days
        if of.role == TARGET and window.last is not None:
            unseen = self._rows(
                "select i, 1 from rows join who using (p) "
                f"where observed_to < day + {window.last} and coalesce(died > day + {window.last}, true)",
                otherwise=0.0,
            )
            values = np.where((unseen > 0) & ((values == 0) | (draw.take == COUNT)), np.nan, values)
        return values if draw.take == ANY else self._inside(of, draw, values)

    def _time(self, source: str, window: Window) -> Floats:
        """Days to the first event, or until observation, life or the window ends."""
        last = "null" if window.last is None else f"r.day + {window.last}"
        return self._rows(
            f"with event as (select i, min(t.day) as reached from rows r join {source} t on t.p = r.p "
            f"where {within(window)} group by i) "
            f"select i, greatest(coalesce(reached, least({last}, observed_to, died)) - r.day, 0) "
            "from rows r join who using (p) left join event using (i)"
        )

    def _value(self, of: Column, draw: Draw, slot: int, window: Window) -> Floats:
        source = converted(self.connection, slot, of.unit, draw.substance)
        low, high = bound(of.low, "-"), bound(of.high, "")
        x = f"least(greatest(x, {low}), {high})" if draw.outside == "clip" else "x"
        here = f"from rows r join {source} t on t.p = r.p where {within(window)}"
        self._lose(
            draw,
            f"select count(*) filter (x is null), count(*) filter (x < {low} or x > {high}), 0 "
            f"from (select distinct t.p, moment, code, unit, value, x {here})",
        )
        kept = "x is not null" if draw.outside == "clip" else f"x between {low} and {high}"
        return self._rows(
            f"select i, {_TAKEN[draw.take]} from (select distinct i, moment, {x} as x {here} and {kept}) group by i"
        )

    def _answer(self, of: Column, draw: Draw, slot: int, window: Window) -> Floats:
        """The level of the first or last answer, or of the event itself where it is no question."""
        self.connection.execute(f"create table level{slot} (code varchar, level integer)")
        fill(self.connection, f"level{slot}", self._levels(draw).items())
        here = (
            "from rows r join (select distinct p, day, moment, coalesce(answer, code) as code from told "
            f"join known using (code) where slot = {slot}) t on t.p = r.p "
            f"left join level{slot} l on l.code = t.code where {within(window)}"
        )
        otherwise = next((float(i) for i, codes in enumerate(draw.answers) if not codes), None)
        if otherwise is None:
            self._lose(
                draw, f"select 0, 0, count(*) from (select distinct t.p, moment, t.code {here} and level is null)"
            )
        taken = "first" if draw.take == TAKE_FIRST else "last"
        return self._rows(
            f"select i, {taken}(level order by moment, level) {here} and level is not null group by i",
            otherwise=np.nan if otherwise is None else otherwise,
        )

    def _levels(self, draw: Draw) -> dict[str, int]:
        """The level of every code: those that a schema names come before their kinds."""
        levels: dict[str, int] = {}
        for i, codes in enumerate(draw.answers):
            levels |= dict.fromkeys(codes, i)
        for i, codes in enumerate(draw.answers):
            for code in self.descendants(codes) if self.descendants is not None and codes else ():
                levels.setdefault(code, i)
        return levels

    def _inside(self, of: Column, draw: Draw, values: Floats) -> Floats:
        """The values inside the plausible range."""
        if of.range is None:
            return values
        low, high = of.range
        outside = (values < low) | (values > high)
        self._keep(Loss(draw.column, 0, int(outside.sum()), 0))
        return np.clip(values, low, high) if draw.outside == "clip" else np.where(outside, np.nan, values)

    def _lose(self, draw: Draw, query: str) -> None:
        found = self.connection.execute(query).fetchone()
        assert found is not None
        self._keep(Loss(draw.column, *(int(one) for one in found)))

    def _keep(self, loss: Loss) -> None:
        if loss.unit or loss.outside or loss.answer:
            self.losses.append(loss)
