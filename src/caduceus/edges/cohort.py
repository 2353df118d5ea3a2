"""Clinical records into a canonical table: the rows of a cohort, and what is drawn from the records around each.

Everything is computed in columns. Rows come in the order of the patients' names and then of dates, so that the table,
and the commitment to it, do not depend on the order in which records were read.
"""

# ruff: noqa: S608  (every text that goes into a query is quoted by `text`; the rest is numbers and our own names)
from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from caduceus.data.canonical import stack
from caduceus.data.cohort import EVERY, FIRST, FIRST_ELIGIBLE, LAST, LAST_ELIGIBLE, Cohort, Criterion
from caduceus.data.cohort_flow import Loss, Step
from caduceus.data.cohort_words import chosen, conditions
from caduceus.data.records import Records
from caduceus.data.schema import Schema
from caduceus.data.table import Table, check_values
from caduceus.edges.cohort_draws import Drawing
from caduceus.edges.cohort_engine import engine, fill, short_of_memory, text
from caduceus.edges.cohort_values import Known, bound, converted, within
from caduceus.errors import Misuse

if TYPE_CHECKING:
    import duckdb

PATIENT, INDEX_DATE = "patient", "index_date"
"""Names of the table's labels: whose row it is, and the date of its day 0."""


@dataclass(frozen=True, slots=True, eq=False)
class Built:
    """What became of one site's records.

    table   one row per index event that counts, with the labels `PATIENT` (which says whose row it is) and `INDEX_DATE`
    flow    how many patients and rows each condition left; exact, for the steward's eyes
    losses  records that could not be used, per column that has any; exact, too
    """

    table: Table
    flow: tuple[Step, ...]
    losses: tuple[Loss, ...]


def build(records: Records, schema: Schema, *, where: str) -> Built:
    """Make the table of a cohort.

    records  of one site
    schema   has a cohort
    where    the site or source, for the message

    Raises Refused if DuckDB is absent, and Unavailable if the memory does not suffice: nothing is put on a disk.
    """
    cohort = schema.cohort
    if cohort is None:
        raise Misuse(f"build: the schema '{schema.title}' has no cohort")
    with engine() as connection, short_of_memory(where):
        known = _load(connection, records, schema, cohort)
        flow = _choose(connection, cohort, known)
        connection.execute("create table rows as select row_number() over (order by p, day) - 1 as i, * from picked")
        drawing = Drawing(connection, records.descendants if cohort.descendants else None, known, _count(connection)[1])
        read = [drawing.draw(schema.column(one.column), one) for one in cohort.draws]
        labels = connection.execute(
            "select patient, strftime(day, '%Y-%m-%d') from rows join who using (p) order by i"
        ).fetchall()
        losses = tuple(drawing.losses)
    whole = Table(
        schema,
        stack(schema, read),
        {name: np.array([one[at] for one in labels], dtype=np.str_) for at, name in enumerate((PATIENT, INDEX_DATE))},
        PATIENT,
    )
    table = _complete(whole, flow)
    check_values(table, where)
    return Built(table, tuple(flow), losses)


def _load(connection: duckdb.DuckDBPyConnection, records: Records, schema: Schema, cohort: Cohort) -> Known:
    """The patients as `who`, in order; the events that matter as `told`; what counts as which code as `known`."""
    connection.register("people", records.people)
    connection.register("events", records.events)
    known = Known.of(schema, cohort, records.descendants)
    connection.execute("create table known (slot integer, code varchar)")
    fill(connection, "known", known.rows())
    connection.execute("create table who as select row_number() over (order by patient) - 1 as p, * from people")
    connection.execute(
        'create table told as select p, code, cast("start" as date) as day, "start" as moment, '
        "coalesce(unit, '') as unit, answer, case when isfinite(value) then value end as value "
        "from events join who using (patient) "
        'where "start" is not null and code in (select code from known)'
    )
    connection.unregister("events")
    return known


def _choose(connection: duckdb.DuckDBPyConnection, cohort: Cohort, known: Known) -> list[Step]:
    """The rows of the cohort as `picked`, and how many patients are left on the way."""
    found = connection.execute("select count(*) from who").fetchone()
    patients = int(found[0]) if found else 0
    flow = [Step("patients in the records", patients, patients)]
    connection.execute(
        "create table picked as select p, day from "
        f"(select distinct p, day from told join known using (code) where slot = {known.index}) "
        "qualify coalesce(day - lag(day) over (partition by p order by day) > "
        f"{cohort.gap}, true)"
    )
    flow.append(Step("an index event is recorded", *_count(connection)))
    if cohort.which in (FIRST, LAST):
        _pick(connection, cohort)
        flow.append(Step(chosen(cohort), *_count(connection)))
    for says, condition in zip(conditions(cohort), _conditions(connection, cohort, known), strict=True):
        connection.execute(f"delete from picked where (p, day) not in ({condition})")
        flow.append(Step(says, *_count(connection)))
    if cohort.which in (FIRST_ELIGIBLE, LAST_ELIGIBLE):
        _pick(connection, cohort)
        flow.append(Step(chosen(cohort), *_count(connection)))
    return flow


def _pick(connection: duckdb.DuckDBPyConnection, cohort: Cohort) -> None:
    assert cohort.which != EVERY
    least = "min" if cohort.which in (FIRST, FIRST_ELIGIBLE) else "max"
    connection.execute(f"delete from picked where (p, day) not in (select p, {least}(day) from picked group by p)")


def _count(connection: duckdb.DuckDBPyConnection) -> tuple[int, int]:
    found = connection.execute("select count(distinct p), count(*) from picked").fetchone()
    assert found is not None
    return int(found[0]), int(found[1])


def _conditions(connection: duckdb.DuckDBPyConnection, cohort: Cohort, known: Known) -> list[str]:
    """A query for the rows of `picked` that meet each condition, in the order of `cohort_words.conditions`."""
    facts = ["coalesce(day >= born, true) and coalesce(day <= died, true)"]
    if cohort.date_from:
        facts.append(f"day between date {text(cohort.date_from)} and date {text(cohort.date_to)}")
    if cohort.sexes:
        facts.append(f"coalesce(sex, 'unknown') in ({', '.join(text(one) for one in cohort.sexes)})")
    if cohort.age_from is not None:
        facts.append(f"date_sub('year', born, day) between {cohort.age_from} and {cohort.age_to}")
    if cohort.prior_observation is not None:
        facts.append(f"day - observed_from >= {cohort.prior_observation} and coalesce(day <= observed_to, true)")
    if cohort.follow_up is not None:
        end = f"day + {cohort.follow_up}"
        facts.append(f"coalesce(observed_to >= {end}, false) or coalesce(died <= {end}, false)")
    criteria = [
        *((one, True, at) for one, at in zip(cohort.required, known.required, strict=True)),
        *((one, False, at) for one, at in zip(cohort.excluded, known.excluded, strict=True)),
        *((one, False, at) for one, at in zip(cohort.washout, known.washout, strict=True)),
    ]
    return [
        *(f"select p, day from picked join who using (p) where {one}" for one in facts),
        *(_criterion(connection, one, slot, wanted=wanted) for one, wanted, slot in criteria),
    ]


def _criterion(connection: duckdb.DuckDBPyConnection, one: Criterion, slot: int, *, wanted: bool) -> str:
    source, value = "told", ""
    if one.low is not None or one.high is not None:
        source = converted(connection, slot, one.unit, "")
        value = f" and x between {bound(one.low, '-')} and {bound(one.high, '')}"
    holds = (
        f"select r.p, r.day from picked r join {source} t on t.p = r.p join known k on k.code = t.code "
        f"where k.slot = {slot} and {within(one.window)}{value} "
        f"group by r.p, r.day having count(distinct t.day) >= {one.times}"
    )
    return holds if wanted else f"select p, day from picked where (p, day) not in ({holds})"


def _complete(table: Table, flow: list[Step]) -> Table:
    """The rows that have a value wherever the schema requires one."""
    for one in table.schema.columns:
        if one.required and one.derived is None:
            table = table.select(~np.isnan(table.column(one.name)))
            patients = 0 if table.patients is None else len(np.unique(table.patients))
            flow.append(Step(f"{one.name} is known", patients, table.rows))
    return table
