"""Do the records of a file keep to their schema, and do its dates come in an order that can be?

Conformance: kinds and codes. Completeness: missing values. Plausibility: ranges, and the order of dates.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from caduceus.data.readiness import naming
from caduceus.data.readiness.checks import (
    COMPLETENESS,
    CONFORMANCE,
    NOT_APPLICABLE,
    PLAUSIBILITY,
    Check,
    findings,
    judged,
)
from caduceus.data.readiness.coded import NO_DAY, days, numbers, per_record, present
from caduceus.data.readiness.finding import Finding
from caduceus.data.readiness.rule import Context, Rule, Skipped
from caduceus.data.readiness.schema_columns import is_one_of
from caduceus.data.readiness.sheet import TABLE, Sheet
from caduceus.data.schema import INTEGER, NUMBER
from caduceus.data.schema_file import FileColumn, FileLayout
from caduceus.kinds import Floats

MISSING = 50.0
"""Per cent of missing values above which a column fails."""

ORDER = (
    "birth\\w*|born|dob|yob",
    "onset|diagnos\\w* date|symptom\\w*",
    "admi\\w+|start\\w*|begin\\w*|from|randomi\\w+|arrival|enrol\\w*",
    "discharge\\w*|end\\w*|to|stop\\w*|until",
    "death\\w*|died|deceased|dod",
)
"""Names of dates in the order in which they come."""


def schema_checks(context: Context) -> list[Check]:
    """Every check that the schema asks for, in the sheets that come from files."""
    schema = context.schema
    if schema is None:
        return []
    made: list[Check] = []
    for sheet in context.sheets:
        if sheet.source == TABLE:
            for column in schema.values:
                made += _column_checks(sheet, column, schema.file)
    return made


def order_checks(context: Context) -> list[Check]:
    """Whether dates of one record come in the order that their names tell."""
    made = []
    for sheet in context.sheets:
        if sheet.source != TABLE:
            continue
        dated = []
        for leaf in sheet.leaves.values():
            rank = next((i for i, names in enumerate(ORDER) if naming.speaks_of(leaf.path, names)), None)
            if rank is not None and (when := days(per_record(leaf, sheet.rows))) is not None:
                dated.append((rank, leaf.path, when))
        for (rank, path, when), (later_rank, later_path, later) in combinations(
            sorted(dated, key=lambda one: one[0]), 2
        ):
            if rank == later_rank:
                continue
            both = (when != NO_DAY) & (later != NO_DAY)
            failed = int((both & (when > later)).sum())
            place = (sheet.name, f"{path} > {later_path}")
            made.append(judged("temporalOrder", PLAUSIBILITY, place, failed, int(both.sum()), 0, grave=True))
    return made


def look_at_schema(context: Context) -> Iterator[Finding | Skipped]:
    """Turn the checks of the schema into findings."""
    made = schema_checks(context)
    if not made:
        yield Skipped("there is no schema to hold files against")
    yield from findings("quality.schema", made)


def look_at_order(context: Context) -> Iterator[Finding | Skipped]:
    """Turn the checks of order into findings."""
    made = order_checks(context)
    if not made:
        yield Skipped("no file has two dates whose order is known by their names")
    yield from findings("quality.order", made)


def _column_checks(sheet: Sheet, column: FileColumn, layout: FileLayout) -> list[Check]:
    path = next((name for name in (column.source or column.name, column.name) if name in sheet.leaves), None)
    place = (sheet.name, str(column.source or column.name))
    if path is None:
        return [Check("present", CONFORMANCE, *place, NOT_APPLICABLE, reason="the sheet has no such column")]
    values = per_record(sheet.leaves[str(path)], sheet.rows)
    coded_missing = is_one_of(values, (*column.missing, *layout.missing))
    there = present(values) & ~coded_missing
    if coded_missing.any():
        values = pc.if_else(pa.array(coded_missing), None, values)
    made = []
    if column.kind in (NUMBER, INTEGER):
        made = _number_checks(place, values, there, column)
    else:
        unknown = there & ~is_one_of(values, tuple(column.meanings))
        made.append(judged("levels", CONFORMANCE, place, int(unknown.sum()), int(there.sum()), 0, grave=True))
    an_empty_field_is_a_level = column.kind not in (NUMBER, INTEGER) and "" in column.meanings
    missing = 0 if an_empty_field_is_a_level else int((~there).sum())
    limit = 0.0 if column.required else MISSING
    name = "required" if column.required else "missing"
    return [*made, judged(name, COMPLETENESS, place, missing, sheet.rows, limit, grave=column.required)]


def _number_checks(
    place: tuple[str, str], values: pa.Array, there: np.typing.NDArray[np.bool_], column: FileColumn
) -> list[Check]:
    measured = numbers(values)
    if measured is None:
        return [judged("number", CONFORMANCE, place, int(there.sum()), int(there.sum()), 0, grave=True)]
    unread = there & np.isnan(measured)
    known = there & ~np.isnan(measured) & ~_is_impossible(measured, column)
    made = [judged("number", CONFORMANCE, place, int(unread.sum()), int(there.sum()), 0, grave=True)]
    if column.kind == INTEGER:
        broken = known & (measured != np.round(measured))
        made.append(judged("whole", CONFORMANCE, place, int(broken.sum()), int(known.sum()), 0, grave=True))
    if column.range is not None:
        outside = known & ((measured < column.range[0]) | (measured > column.range[1]))
        grave = column.outside == "error"
        made.append(judged("range", PLAUSIBILITY, place, int(outside.sum()), int(known.sum()), 0, grave=grave))
    return made


def _is_impossible(measured: Floats, column: FileColumn) -> np.typing.NDArray[np.bool_]:
    marked = np.zeros(len(measured), bool)
    for one in column.impossible:
        low, high = one if isinstance(one, tuple) else (one, one)
        marked |= (measured >= low) & (measured <= high)
    return marked


RULES = (
    Rule(
        name="quality.schema",
        title="files against their schema",
        about="Kinds, codes, missing values and plausible ranges of every column that the schema reads.",
        hipaa=(),
        sources=(TABLE,),
        look=look_at_schema,
    ),
    Rule(
        name="quality.order",
        title="dates in an order that can be",
        about="Birth before admission, admission before discharge, nothing after death: by the names of the dates.",
        hipaa=(),
        sources=(TABLE,),
        look=look_at_order,
    ),
)
