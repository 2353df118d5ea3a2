"""The built-in ViewDefinitions, and what their rows are as events and people of `data.records`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from functools import cache
from itertools import repeat
from pathlib import Path
from typing import Any, final

import pyarrow as pa

from caduceus.data.records import EVENTS, PEOPLE
from caduceus.edges.fhir.moments import middle
from caduceus.edges.fhir.rows import Row
from caduceus.edges.fhir.systems import system_name
from caduceus.edges.fhir.view import View, compile_view

PATIENT, ENCOUNTER, MEDICATION = "Patient", "Encounter", "Medication"

EVENT_TYPES = (
    "AllergyIntolerance",
    "Condition",
    "DiagnosticReport",
    ENCOUNTER,
    "Immunization",
    "MedicationAdministration",
    "MedicationRequest",
    "MedicationStatement",
    "Observation",
    "Procedure",
)
"""Resource types that make events; the place of each is its number in `FOUND`."""

TYPES = frozenset((PATIENT, MEDICATION, *EVENT_TYPES))
"""Resource types that are read."""

DEAD = "SNOMED:419099009"
"""The code of the event that every patient who died has, with or without a date."""

MEASUREMENT = "measurement"

FOUND = pa.schema(
    [*EVENTS, ("reference", pa.string()), ("kind", pa.int8()), ("id", pa.string()), ("number", pa.int64())]
)
"""Events before the whole export is known: `code` is "" where `reference` is the id of the Medication that has it;
`kind`, `id` and `number` say which resource of which type it comes from, and the how manieth that was."""

PERSONS = pa.schema([*PEOPLE, ("dead", pa.bool_()), ("updated", pa.string())])
"""People before the whole export is known: one row for every Patient resource."""

_FIELDS = (
    "patient",
    "domain",
    "system",
    "code",
    "start",
    "end",
    "quantity",
    "unit",
    "unit_text",
    "whole",
    "truth",
    "answer_system",
    "answer",
    "reference",
    "id",
)
VIEWS = Path(__file__).parent / "views"
"""The folder of the built-in views, Patient.json and so on."""


@cache
def built_in(type_: str) -> View:
    """The view of a resource type."""
    return compile_view(json.loads((VIEWS / f"{type_}.json").read_text(encoding="utf-8")))


@cache
def _places(type_: str) -> tuple[int | None, ...]:
    """Where each of `_FIELDS` stands in a row of the type's view."""
    names = [column.name for column in built_in(type_).columns]
    return tuple(names.index(field) if field in names else None for field in _FIELDS)


@final
class Counts:
    """What was left out, counted: no value of any record."""

    NAMES = ("nobody", "no_system", "unknown_dates")
    __slots__ = NAMES

    def __init__(self) -> None:
        self.nobody = 0
        """Rows without a reference to a Patient."""
        self.no_system = 0
        """Codings without a code system."""
        self.unknown_dates = 0
        """Dates that can't be read."""


def moment(text: str | None, counts: Counts) -> datetime | None:
    """A date of a row; see `moments.middle`."""
    if text is None:
        return None
    found = middle(text)
    if found is None:
        counts.unknown_dates += 1
    return found


@final
class Spans:
    """From when to when something is known of each patient."""

    __slots__ = ("of",)

    def __init__(self) -> None:
        self.of: dict[str, tuple[date, date]] = {}

    def take(self, patient: str, start: datetime | None, end: datetime | None) -> None:
        """Widen a patient's span by what begins and ends at these moments."""
        first, last = start or end, end or start
        if first is not None and last is not None:
            self.widen(patient, first.date(), max(first, last).date())

    def widen(self, patient: str, first: date, last: date) -> None:
        """Widen a patient's span."""
        known = self.of.get(patient)
        if known is not None:
            first, last = min(first, known[0]), max(last, known[1])
        self.of[patient] = (first, last)


@final
class EventRows:
    """Gathers the rows of event views as a batch of `FOUND`."""

    def __init__(self, codes: frozenset[str] | None) -> None:
        self._codes, self._names = codes, dict[tuple[str | None, str], str | None]()
        self._columns: list[list[Any]] = [[] for _ in FOUND]
        self.counts, self.visits, self.all = Counts(), Spans(), Spans()

    def take(self, type_: str, rows: Iterable[Row], numbers: Sequence[int]) -> None:
        """Take a view's rows.

        numbers  how manieth resource each comes from
        """
        rows = list(rows)
        if not rows:
            return
        columns = list(zip(*rows, strict=True))
        fields: list[Iterable[Any]] = [repeat(None) if at is None else columns[at] for at in _places(type_)]
        add = [column.append for column in self._columns]
        kind, visit = EVENT_TYPES.index(type_), type_ == ENCOUNTER
        for number, row in zip(numbers, zip(*fields, strict=False), strict=False):
            patient, domain, system, code, start, end, *values, reference, id_ = row
            if patient is None:
                self.counts.nobody += 1
                continue
            begins, ends = moment(start, self.counts), moment(end, self.counts)
            self.all.take(patient, begins, ends)
            if visit:
                self.visits.take(patient, begins, ends)
            name = "" if code is None else self._name(system, code)
            if name is None or (not name and reference is None):
                continue
            value, unit, answer = self._value(*values)
            measured = MEASUREMENT if value is not None and values[4] is None else domain
            found = (patient, measured, name, begins, ends, value, unit, answer, reference, kind, id_, number)
            for append, one in zip(add, found, strict=True):
                append(one)

    def _name(self, system: str | None, code: str) -> str | None:
        """SYSTEM:code; None if it is not wanted or has no system."""
        try:
            return self._names[system, code]
        except KeyError:
            pass
        if system is None:
            self.counts.no_system += 1
            return None
        name = f"{system_name(system)}:{code}"
        kept = name if self._codes is None or name in self._codes else None
        self._names[system, code] = kept
        return kept

    def _value(self, *values: Any) -> tuple[float | None, str | None, str | None]:
        """Value, unit and answer of a row."""
        quantity, unit, unit_text, whole, truth, system, code = values
        answer = f"{system_name(system)}:{code}" if system is not None and code is not None else None
        if quantity is not None:
            return float(quantity), unit or unit_text, answer
        if whole is not None:
            return float(whole), None, answer
        return (None if truth is None else float(truth)), None, answer

    def batch(self) -> pa.RecordBatch:
        """What was gathered."""
        arrays = [pa.array(column, field.type) for column, field in zip(self._columns, FOUND, strict=True)]
        return pa.record_batch(arrays, schema=FOUND)


_SEXES = frozenset(("male", "female", "other", "unknown"))


def persons(rows: Iterable[Row], counts: Counts) -> pa.RecordBatch:
    """The rows of the Patient view as a batch of `PERSONS`; who has no id is counted, and can't have events."""
    columns: list[list[Any]] = [[] for _ in PERSONS]
    for id_, born, sex, died, dead, updated in rows:
        if id_ is None:
            counts.nobody += 1
            continue
        birth, death = moment(born, counts), moment(died, counts)
        found = (
            id_,
            birth and birth.date(),
            death and death.date(),
            sex if sex in _SEXES else None,
            None,
            None,
            died is not None or dead is True,
            updated,
        )
        for column, one in zip(columns, found, strict=True):
            column.append(one)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, PERSONS, strict=True)]
    return pa.record_batch(arrays, schema=PERSONS)


def medications(rows: Iterable[Row]) -> Iterator[tuple[str, str]]:
    """The rows of the Medication view as id and SYSTEM:code."""
    for id_, system, code in rows:
        if id_ is not None and system is not None and code is not None:
            yield id_, f"{system_name(system)}:{code}"
