"""An OMOP database into clinical records."""

# ruff: noqa: S608  (codes are quoted by `text`; the rest is numbers and names of the model)
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from caduceus.data.records import EVENTS, PEOPLE, Records
from caduceus.edges.omop.concepts import code_of, concept_table, descendants, find
from caduceus.edges.omop.model import DEATH, HAPPENINGS, NEEDED, PERIOD, PERSON, Happening
from caduceus.edges.omop.source import Source, open_source
from caduceus.errors import Refused

_SEXES = (
    "case gender_concept_id when 8507 then 'male' when 8532 then 'female' when 8521 then 'other' else 'unknown' end"
)


def read_records(place: Path | str, *, codes: frozenset[str] | None = None, namespace: str = "public") -> Records:
    """Read the clinical records of an OMOP database, version 5.3 or 5.4.

    place      a folder with a Parquet or CSV file, or a folder of them, for each table (capitals or not; tables that
               are not there are empty); or the URL of a PostgreSQL database, which is only read
    codes      only events of these and their kinds are read; None reads all
    namespace  of a database: the schema that holds the tables

    Each event is there under the code of its standard concept and, where it is another one, of its source concept. A
    patient's observation is the longest of the observation periods. Units are UCUM where the concept of the unit is.

    Raises Refused, naming table and column, if it is no such database, and Unavailable if a database does not answer.
    """
    with open_source(place, namespace=namespace) as source:
        for table, columns in NEEDED.items():
            there = source.columns(table)
            if not there:
                raise Refused(f"{source.where}: there is no table '{table}', so this is no OMOP database")
            if missing := [one for one in columns if one not in there]:
                raise Refused(f"{source.where}: table {table}: column {missing[0]} is missing")
        concepts = None if codes is None else find(source, codes)
        parts = [
            source.fetch(query)
            for one in HAPPENINGS
            if source.columns(one.table)
            for query in _events(source, one, concepts)
        ]
        people = source.fetch(_people(source))
        events = pa.concat_tables(one.select(_FIELDS).cast(_WIRE) for one in parts) if parts else _WIRE.empty_table()
        kinds = descendants(source, pc.unique(events["concept"]).to_pylist())
    if pc.any(pc.is_null(people["patient"])).as_py() or len(pc.unique(people["patient"])) < people.num_rows:
        raise Refused(f"{source.where}: table person: a person_id is missing or stands twice")
    return Records(_as(people, PEOPLE), _as(events.drop_columns(["concept"]), EVENTS), kinds)


_WIRE = pa.schema([*EVENTS, pa.field("concept", pa.int64())])
_FIELDS = _WIRE.names


def _as(table: pa.Table, schema: pa.Schema) -> pa.Table:
    return table.select(schema.names).cast(schema).combine_chunks()


def _patient(alias: str) -> str:
    return f"cast({alias}.person_id as varchar)"


def _people(source: Source) -> str:
    """Persons with birth, death and the longest observation period; mid-month, or mid-year, where no more is known."""
    person = source.table("person", PERSON)
    day = "case when month_of_birth is null then 1 else coalesce(day_of_birth, 15) end"
    born = (
        "coalesce(cast(birth_datetime as date), "
        f"cast(year_of_birth || '-' || coalesce(month_of_birth, 7) || '-' || {day} as date))"
    )
    died = (
        f"select person_id, min(coalesce(death_date, cast(death_datetime as date))) as died "
        f"from {source.table('death', DEATH)} d group by person_id"
        if source.columns("death")
        else "select cast(null as bigint) as person_id, cast(null as date) as died"
    )
    start, end = PERIOD[1:]
    periods = (
        f"select person_id, {start} as observed_from, {end} as observed_to, row_number() over (partition by person_id "
        f"order by {end} - {start} desc, {end} desc) as place from {source.table('observation_period', PERIOD)} o "
        f"where {start} <= {end}"
        if source.columns("observation_period")
        else "select cast(null as bigint) as person_id, cast(null as date) as observed_from, "
        "cast(null as date) as observed_to, 1 as place"
    )
    return (
        f"select {_patient('p')} as patient, {born} as born, died, {_SEXES} as sex, observed_from, observed_to "
        f"from {person} p left join ({died}) d on d.person_id = p.person_id "
        f"left join ({periods}) o on o.person_id = p.person_id and o.place = 1 order by 1"
    )


def _events(source: Source, one: Happening, concepts: frozenset[int] | None) -> Iterator[str]:
    """Queries for the events of a table: under standard concepts, and under other concepts of the source."""
    there = source.columns(one.table)
    if missing := [name for name in one.needed if name not in there]:
        if one.domain == "death":
            return  # of a death the cause may be unknown
        raise Refused(f"{source.where}: table {one.table}: column {missing[0]} is missing")
    if concepts is not None and not concepts:
        return
    table, concept = source.table(one.table, one.columns), concept_table(source)
    for column, besides in ((one.concept, ""), (one.source, f" and e.{one.source} <> coalesce(e.{one.concept}, 0)")):
        some = "" if concepts is None else f" and e.{column} in ({', '.join(map(str, sorted(concepts)))})"
        joins, value, unit, answer = "", "cast(null as double precision)", "null", "null"
        if one.measured:
            joins = (
                f"left join {concept} u on u.concept_id = e.unit_concept_id and u.vocabulary_id = 'UCUM' "
                f"left join {concept} a on a.concept_id = e.value_as_concept_id "
            )
            value, unit = "e.value_as_number", "coalesce(u.concept_code, e.unit_source_value)"
            number = "e.value_as_concept_id"
            answer = f"case when {number} <> 0 then {code_of('a', number)} end"
        end = _moment(one.end) if one.end else "cast(null as timestamp)"
        yield (
            f"select {_patient('e')} as patient, '{one.domain}' as domain, {code_of('c', f'e.{column}')} as code, "
            f'{_moment(one.start)} as "start", {end} as "end", {value} as value, cast({unit} as varchar) as unit, '
            f"cast({answer} as varchar) as answer, e.{column} as concept "
            f"from {table} e left join {concept} c on c.concept_id = e.{column} {joins}"
            f"where e.person_id is not null and e.{column} <> 0{besides}{some}"
        )


def _moment(stem: str) -> str:
    return f"coalesce(e.{stem}_datetime, cast(e.{stem}_date as timestamp))"
