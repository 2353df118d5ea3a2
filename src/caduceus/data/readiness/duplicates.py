"""The same record twice: equal in every column, or the same patient, time and code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from caduceus.data.readiness import naming
from caduceus.data.readiness.coded import Coded, Flags, code, per_record, present, share
from caduceus.data.readiness.finding import Finding, Severity, masked
from caduceus.data.readiness.rule import Context, Rule, Skipped
from caduceus.data.readiness.sheet import FHIR, OMOP, TABLE, Leaf, Sheet

_MIX = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
"""The finalizer of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014)."""


def repeated(columns: Sequence[Coded]) -> Flags:
    """Which records equal an earlier one in all columns.

    columns  of the same length, at least one
    returns  bool[rows]; the first of equal records is not marked
    """
    rows = len(columns[0].codes)
    mixed = np.zeros(rows, np.uint64)
    for column in columns:
        mixed = _mix(mixed + column.codes.astype(np.uint64))
    order = np.argsort(mixed, kind="stable")
    same = mixed[order[1:]] == mixed[order[:-1]]
    near, before = order[1:][same], order[:-1][same]
    for column in columns:  # equal mixtures are equal records but for a chance of rows**2 / 2**65: look
        equal = column.codes[near] == column.codes[before]
        near, before = near[equal], before[equal]
    found = np.zeros(rows, bool)
    found[near] = True
    return found


def look_for_equal(context: Context) -> Iterator[Finding]:
    """Look for records that are equal in every column, and in every column but identifiers."""
    for sheet in context.sheets:
        if sheet.source == FHIR:
            continue
        columns = [
            (leaf, code(per_record(leaf, sheet.rows), leaf.path)) for leaf in sheet.leaves.values() if leaf.rows is None
        ]
        free = [one for leaf, one in columns if not _identifies(context, sheet, leaf, one)]
        if not free or sheet.rows < 2 or len(free) < min(3, len(columns)):
            continue
        found = int(repeated(free).sum())
        if found:
            without = "" if len(free) == len(columns) else ", identifiers left aside"
            yield Finding(
                rule="duplicates.equal",
                where=sheet.name,
                count=masked(found),
                of=masked(sheet.rows),
                severity=Severity.WARN,
                says=f"{share(found, sheet.rows)} repeat an earlier one in all {len(free)} columns{without}",
                remedy="find out whether they are one record entered twice, or different patients alike; drop the "
                "former",
            )


def look_for_same_event(context: Context) -> Iterator[Finding | Skipped]:
    """Look for records of one patient with the same code at the same time, and the same value."""
    looked = False
    for sheet in context.sheets:
        key = event_key(sheet)
        if not key or sheet.rows < 2:
            continue
        looked = True
        found = int((repeated(key) & _of_someone(sheet)).sum())
        if found:
            yield Finding(
                rule="duplicates.event",
                where=f"{sheet.name}.{{{', '.join(one.name for one in key)}}}",
                count=masked(found),
                of=masked(sheet.rows),
                severity=Severity.WARN,
                says=f"{share(found, sheet.rows)} repeat the patient, time, code and value of an earlier one",
                remedy="drop what was sent twice; counts of events are too high with it",
            )
    if not looked:
        yield Skipped("no sheet has patients, times and codes")


def event_key(sheet: Sheet) -> list[Coded]:
    """The columns of a sheet that say to whom what happened when, and with what value; none if one is lacking."""
    patient = sheet.leaves.get(sheet.patient)
    times = [leaf for leaf in sheet.leaves.values() if pa.types.is_temporal(leaf.values.type) or _is_time(leaf.path)]
    kinds = [leaf for leaf in sheet.leaves.values() if _is_kind(sheet, leaf.path)]
    if patient is None or not times or not kinds:
        return []
    values = [leaf for leaf in sheet.leaves.values() if _is_value(leaf.path)]
    return [_folded(leaf, sheet.rows) for leaf in dict.fromkeys((patient, *kinds, *times, *values))]


def _folded(leaf: Leaf, rows: int) -> Coded:
    """All values of every record as one code: a blood pressure is two."""
    if leaf.rows is None:
        return code(per_record(leaf, rows), leaf.path)
    sums = np.zeros(rows, np.uint64)
    np.add.at(sums, leaf.rows, _mix(code(leaf.values).codes.astype(np.uint64)))
    return code(pa.array(sums).dictionary_encode().indices, leaf.path)


def _of_someone(sheet: Sheet) -> Flags:
    """Records that name a patient: those that do not are not of one."""
    return present(per_record(sheet.leaves[sheet.patient], sheet.rows))


def _identifies(context: Context, sheet: Sheet, leaf: Leaf, one: Coded) -> bool:
    if leaf.path == sheet.patient or context.role(sheet.place(leaf.path)) == "patient":
        return one.used == sheet.rows  # of events, whose they are tells them apart
    if context.role(sheet.place(leaf.path)) == "identifier":
        return True
    if pa.types.is_floating(leaf.values.type) or pa.types.is_temporal(leaf.values.type):
        return sheet.source == OMOP and leaf.path == f"{sheet.name}_id"
    return one.used == sheet.rows


def _is_time(path: str) -> bool:
    return naming.speaks_of(path, "date|time|datetime|instant|start|period")


def _is_kind(sheet: Sheet, path: str) -> bool:
    if sheet.source == OMOP:
        return path == f"{sheet.name.split('_')[0]}_concept_id"
    if sheet.source == FHIR:
        return path.endswith(
            (f"{sheet.name}.code.coding.code", f"{sheet.name}.code.coding.system", ".vaccineCode.coding.code")
        )
    return naming.speaks_of(path, "code|loinc|snomed|icd\\w*|atc|test|analyte|item")


def _is_value(path: str) -> bool:
    if any(part.startswith(("value", "component")) for part in path.split(".")[1:]):
        return True
    return naming.speaks_of(path, "value|result|quantity|dose")


def _mix(mixed: np.ndarray[tuple[int], np.dtype[np.uint64]]) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    mixed = mixed + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(_MIX[0])
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(_MIX[1])
    return mixed ^ (mixed >> np.uint64(31))


RULES = (
    Rule(
        name="duplicates.equal",
        title="records that repeat an earlier one",
        about="Records equal in every column, identifiers left aside. A patient counted twice moves a "
        "model, "
        "and is in the training and in the test part.",
        hipaa=(),
        sources=(TABLE, OMOP),
        look=look_for_equal,
    ),
    Rule(
        name="duplicates.event",
        title="one event recorded twice",
        about="Records of the same patient with the same code, time and value.",
        hipaa=(),
        sources=(TABLE, FHIR, OMOP),
        look=look_for_same_event,
    ),
)
