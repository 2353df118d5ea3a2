"""What the queries of a cohort have in common: which codes count, windows of days, and values in one unit."""

# ruff: noqa: S608  (nothing but numbers and our own names goes into a query)
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from caduceus.data.cohort import Cohort, Criterion, Window
from caduceus.data.cohort_units import conversion, substance_of
from caduceus.data.records import Descendants
from caduceus.data.schema import Schema
from caduceus.edges.cohort_engine import fill

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True, slots=True)
class Known:
    """Sets of codes, each in a numbered slot: kinds of codes stand beside the codes that a cohort names.

    slots     the codes of each
    index     the slot of the index event
    required, excluded, washout  those of the criteria
    draws     by name of column
    """

    slots: tuple[frozenset[str], ...]
    index: int
    required: tuple[int, ...]
    excluded: tuple[int, ...]
    washout: tuple[int, ...]
    draws: dict[str, int]

    @classmethod
    def of(cls, schema: Schema, cohort: Cohort, descendants: Descendants) -> Known:
        """The sets of a cohort."""
        slots: list[frozenset[str]] = []

        def slot(codes: tuple[str, ...]) -> int:
            slots.append(descendants(codes) | frozenset(codes) if cohort.descendants else frozenset(codes))
            return len(slots) - 1

        def all_of(criteria: tuple[Criterion, ...]) -> tuple[int, ...]:
            return tuple(slot(one.codes) for one in criteria)

        index, required, excluded = slot(cohort.index), all_of(cohort.required), all_of(cohort.excluded)
        washout = all_of(cohort.washout)
        draws = {one.column: slot(schema.column(one.column).codes) for one in cohort.draws}
        return cls(tuple(slots), index, required, excluded, washout, draws)

    def rows(self) -> Iterator[tuple[int, str]]:
        """Slot and code, in order."""
        for i, codes in enumerate(self.slots):
            for code in sorted(codes):
                yield i, code


def within(window: Window) -> str:
    """That the day of an event `t` is in a window around day 0 of a row `r`."""
    first = None if window.first is None else f"t.day >= r.day + ({window.first})"
    last = None if window.last is None else f"t.day <= r.day + ({window.last})"
    return " and ".join(one for one in (first, last) if one) or "true"


def bound(end: float | None, sign: str) -> str:
    """An end of a range as SQL writes it; None is infinite, with the sign."""
    return repr(float(end)) if end is not None else f"cast('{sign}infinity' as double)"


def converted(connection: duckdb.DuckDBPyConnection, slot: int, unit: str, substance: str) -> str:
    """The events of a slot that have a value, as a table with the value in one unit as `x`; null where it has none.

    substance  what is measured; "" goes by the code
    returns    the table's name
    """
    pairs = connection.execute(
        "select distinct t.code, unit from told t join known using (code) "
        f"where slot = {slot} and value is not null order by all"
    ).fetchall()
    factors = [(code, found, conversion(found, unit, substance or substance_of(code))) for code, found in pairs]
    connection.execute(f"create table factor{slot} (code varchar, unit varchar, factor double, shift double)")
    fill(connection, f"factor{slot}", ((code, found, *how) for code, found, how in factors if how is not None))
    connection.execute(
        f"create table value{slot} as select t.*, t.value * factor + shift as x from told t "
        f"join known using (code) left join factor{slot} using (code, unit) where slot = {slot} and value is not null"
    )
    return f"value{slot}"
