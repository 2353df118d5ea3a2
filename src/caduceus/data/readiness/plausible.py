"""The plausibility checks of the OHDSI Data Quality Dashboard: can these values be of living patients?

Each follows the definition in OHDSI's Check_Descriptions and the SQL that belongs to it; times are compared by days.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import numpy as np

from caduceus.data.readiness.cdm import NO_KEY, Cdm, Official, Row
from caduceus.data.readiness.checks import NOT_APPLICABLE, NOT_DONE, PLAUSIBILITY, Check, judged
from caduceus.data.readiness.coded import NO_DAY, Flags, Integers

MALE, FEMALE = 8507, 8532
"""Concepts of genders."""

AFTER_DEATH = 60
"""Days after death in which records still come in."""

AROUND_VISIT = 7
"""Days by which a record may lie outside its visit."""

Made = tuple[int, int] | str
"""How many fail, of how many; or why it could not be made."""


def field_checks(cdm: Cdm, row: Row) -> Iterator[Check]:
    """The plausibility checks that a row of Field_Level asks for; its table and field are there."""
    table, field = row["cdmTableName"].lower(), row["cdmFieldName"].lower()
    asked: list[tuple[str, bool, Callable[[], Made]]] = [
        ("plausibleValueLow", row["plausibleValueLow"] != "", lambda: _value(cdm, table, field, row, low=True)),
        ("plausibleValueHigh", row["plausibleValueHigh"] != "", lambda: _value(cdm, table, field, row, low=False)),
        ("plausibleTemporalAfter", row["plausibleTemporalAfter"] == "Yes", lambda: _after(cdm, table, field, row)),
        ("plausibleDuringLife", row["plausibleDuringLife"] == "Yes", lambda: _alive(cdm, table, field)),
        ("withinVisitDates", row["withinVisitDates"] == "Yes", lambda: _in_visit(cdm, table, field)),
        ("plausibleAfterBirth", row["plausibleAfterBirth"] == "Yes", lambda: _born(cdm, table, field)),
        ("plausibleBeforeDeath", row["plausibleBeforeDeath"] == "Yes", lambda: _alive(cdm, table, field)),
        ("plausibleStartBeforeEnd", row["plausibleStartBeforeEnd"] == "Yes", lambda: _ordered(cdm, table, field, row)),
    ]
    for name, wanted, make in asked:
        if wanted:
            yield settled(name, (table, field), make(), row[f"{name}Threshold"])


def concept_checks(cdm: Cdm, official: Official) -> Iterator[Check]:
    """The checks of Concept_Level: genders of sex-specific codes, and units of measurements."""
    for row in official.concepts:
        table, field = row["cdmTableName"].lower(), row["cdmFieldName"].lower()
        for name in ("plausibleGender", "plausibleGenderUseDescendants", "plausibleUnitConceptIds"):
            if not row[name]:
                continue
            if not cdm.has(table, field) or not cdm.rows(table):
                yield Check(name, PLAUSIBILITY, table, field, NOT_APPLICABLE, reason="no such records")
                continue
            wanted = np.array([int(one) for one in re.findall(r"\d+", row["conceptId"])], dtype=np.int64)
            if name == "plausibleUnitConceptIds":
                made = _units(cdm, table, field, wanted, row[name])
            elif name == "plausibleGender":
                made = _gender(cdm, table, field, wanted, row[name])
            else:
                kinds = _descendants(cdm, wanted)
                made = kinds if isinstance(kinds, str) else _gender(cdm, table, field, kinds, row[name])
            yield settled(name, (table, field), made, row[f"{name}Threshold"])


def table_checks(cdm: Cdm, row: Row) -> Iterator[Check]:
    """The plausibility check of Table_Level: periods of observation that overlap, or are back to back."""
    if row["measureObservationPeriodOverlap"] != "Yes":
        return
    table, name = row["cdmTableName"].lower(), "measureObservationPeriodOverlap"
    fields = ("person_id", "observation_period_start_date", "observation_period_end_date")
    if not all(cdm.has(table, field) for field in fields):
        yield Check(name, PLAUSIBILITY, table, "", NOT_APPLICABLE, reason="no such table")
        return
    person, (start, end) = cdm.keys(table, fields[0]), (cdm.days(table, field) for field in fields[1:])
    made: Made = "the periods are no dates"
    if start is not None and end is not None:
        order = np.lexsort((start, person))
        who, since, until = person[order], start[order], end[order]
        latest = _running_end(who, until)
        bad = (who[1:] == who[:-1]) & (since[1:] <= latest[:-1] + 1)
        made = len(np.unique(who[1:][bad])), len(np.unique(who))
    yield settled(name, (table, ""), made, row[f"{name}Threshold"])


def settled(name: str, place: tuple[str, str], made: Made, threshold: str) -> Check:
    """A check with its state; a threshold that is not given is 0 per cent."""
    if isinstance(made, str):
        return Check(name, PLAUSIBILITY, *place, NOT_DONE, reason=made)
    return judged(name, PLAUSIBILITY, place, *made, float(threshold or 0), grave=True)


def _running_end(who: Integers, until: Integers) -> Integers:
    """The latest end so far of every person's periods, which are sorted by person and start."""
    first = np.r_[True, who[1:] != who[:-1]]
    shift = np.cumsum(first) * 4_000_000  # more days than any two dates are apart: persons don't mix
    latest: Integers = np.maximum.accumulate(until + shift) - shift
    return latest


def _value(cdm: Cdm, table: str, field: str, row: Row, *, low: bool) -> Made:
    bound, dated = _bound(row["plausibleValueLow" if low else "plausibleValueHigh"], cdm.today)
    if bound is None:
        return "the bound depends on today's date, which is not given"
    values = cdm.days(table, field) if dated else cdm.numbers(table, field)
    if values is None:
        return (0, 0) if not cdm.present(table, field).any() else "the field holds no such values"
    known = values[values != NO_DAY] if dated else values[np.isfinite(values)]
    return int((known < bound if low else known > bound).sum()), len(known)


def _bound(text: str, today: int | None) -> tuple[float | None, bool]:
    """A bound as OHDSI's tables write it, and whether it is a day: 31, '19500101', a day or year from now on."""
    if day := re.fullmatch(r"'(\d{4})(\d\d)(\d\d)'", text):
        return float(np.datetime64("-".join(day.groups()), "D").astype(np.int64)), True
    if "GETDATE" in text:
        if today is None:
            return None, False
        if text.startswith("YEAR"):
            return float(np.datetime64(today, "D").astype("datetime64[Y]").astype(np.int64) + 1971), False
        return float(today + 1), True
    return float(text), False


def _after(cdm: Cdm, table: str, field: str, row: Row) -> Made:
    other, than = row["plausibleTemporalAfterTableName"].lower(), row["plausibleTemporalAfterFieldName"].lower()
    if other == "person":
        return _born(cdm, table, field)
    if other != table or not cdm.has(table, than):
        return "the field to compare with is not there"
    return _compared(cdm.days(table, than), cdm.days(table, field))


def _ordered(cdm: Cdm, table: str, field: str, row: Row) -> Made:
    end = row["plausibleStartBeforeEndFieldName"].lower()
    if not cdm.has(table, end):
        return "the field to compare with is not there"
    return _compared(cdm.days(table, field), cdm.days(table, end))


def _born(cdm: Cdm, table: str, field: str) -> Made:
    born = cdm.births()
    if born is None or not cdm.has(table, "person_id"):
        return "birth is not known"
    return _compared(cdm.lookup(cdm.keys(table, "person_id"), "person", "person_id", born), cdm.days(table, field))


def _alive(cdm: Cdm, table: str, field: str) -> Made:
    if not cdm.has("death", "death_date") or not cdm.rows("death"):
        return 0, 0
    died = cdm.days("death", "death_date")
    if died is None or not cdm.has(table, "person_id"):
        return "death is not known"
    theirs = cdm.lookup(cdm.keys(table, "person_id"), "death", "person_id", died)
    return _compared(cdm.days(table, field), np.where(theirs != NO_DAY, theirs + AFTER_DEATH, NO_DAY))


def _in_visit(cdm: Cdm, table: str, field: str) -> Made:
    ends = ("visit_start_date", "visit_end_date")
    if not cdm.has(table, "visit_occurrence_id") or not all(cdm.has("visit_occurrence", end) for end in ends):
        return "visits are not there"
    start, end = (cdm.days("visit_occurrence", one) for one in ends)
    when = cdm.days(table, field)
    if start is None or end is None or when is None:
        return "visits have no dates"
    visit = cdm.keys(table, "visit_occurrence_id")
    since, until = (cdm.lookup(visit, "visit_occurrence", "visit_occurrence_id", one) for one in (start, end))
    known = (since != NO_DAY) & (until != NO_DAY) & (when != NO_DAY)
    outside = known & ((when < since - AROUND_VISIT) | (when > until + AROUND_VISIT))
    return int(outside.sum()), int(known.sum())


def _compared(first: Integers | None, later: Integers | None) -> Made:
    """How many of `first` come after `later`, of those that have both."""
    if first is None or later is None:
        return 0, 0
    both = (first != NO_DAY) & (later != NO_DAY)
    return int((both & (first > later)).sum()), int(both.sum())


def _descendants(cdm: Cdm, wanted: Integers) -> Integers | str:
    if not cdm.rows("concept_ancestor"):
        return "the vocabulary's hierarchy (concept_ancestor) is not there"
    kinds = np.isin(cdm.keys("concept_ancestor", "ancestor_concept_id"), wanted)
    return np.union1d(cdm.keys("concept_ancestor", "descendant_concept_id")[kinds], wanted)


def _gender(cdm: Cdm, table: str, field: str, concepts: Integers, right: str) -> Made:
    if not cdm.has("person", "gender_concept_id"):
        return "genders are not there"
    here: Flags = np.isin(cdm.keys(table, field), concepts)
    genders = cdm.keys("person", "gender_concept_id")
    theirs = cdm.lookup(cdm.keys(table, "person_id")[here], "person", "person_id", genders)
    wanted = MALE if right.lower() == "male" else FEMALE
    return int(((theirs != wanted) & (theirs != NO_KEY)).sum()), int(here.sum())


def _units(cdm: Cdm, table: str, field: str, concepts: Integers, units: str) -> Made:
    if not cdm.has(table, "unit_concept_id") or not cdm.has(table, "value_as_number"):
        return "units are not there"
    here = np.isin(cdm.keys(table, field), concepts) & cdm.present(table, "value_as_number")
    allowed = {int(one) for one in re.findall(r"-?\d+", units)}
    found = cdm.keys(table, "unit_concept_id")[here]
    right = np.isin(found, [one for one in allowed if one >= 0])
    if -1 in allowed:  # how the tables write that there may be no unit
        right |= (found == NO_KEY) | (found == 0)
    return int((~right).sum()), len(found)
