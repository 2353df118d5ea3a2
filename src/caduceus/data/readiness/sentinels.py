"""Numbers and dates that stand for "unknown": -1, 999, 1900-01-01, and zeros that no living patient has.

A model takes such a value at its word. What is found is said by its form ("all nines"), never as the value.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile

import numpy as np
import pyarrow as pa

from caduceus.data.readiness import naming
from caduceus.data.readiness.coded import NO_DAY, Integers, days, numbers, share
from caduceus.data.readiness.finding import Finding, Severity, masked
from caduceus.data.readiness.rule import Context, Rule, Skipped
from caduceus.data.readiness.schema_columns import file_column
from caduceus.data.readiness.sheet import FHIR, OMOP, TABLE, Sheet
from caduceus.data.schema_file import FileColumn
from caduceus.kinds import Floats

NINES = tuple(float(sign * (10**n - 1)) for n in range(1, 9) for sign in (1, -1))
EIGHTS = (8.0, 88.0, 888.0, 8888.0, 88888.0, -8.0, -88.0, -888.0)
FORMS = (
    dict.fromkeys(NINES, "all nines")
    | dict.fromkeys(EIGHTS, "all eights")
    | dict.fromkeys((9998.0, 9997.0, 998.0, 997.0, 98.0, 97.0), "a code for 'unknown' beside all nines")
    | dict.fromkeys((-1.0, -2.0, -3.0), "a small negative number")
    | dict.fromkeys((32767.0, -32768.0, 65535.0, 2147483647.0, -2147483648.0), "the end of an integer type")
)
"""Numbers that questionnaires, SPSS files and databases use for "unknown", and how a finding names them."""

PLACEHOLDERS = (
    "1900-01-01",
    "1899-12-30",
    "1899-12-31",
    "1901-01-01",
    "1904-01-01",
    "1753-01-01",
    "1800-01-01",
    "0001-01-01",
    "9999-12-31",
    "2999-12-31",
    "2099-12-31",
    "9999-01-01",
    "1960-01-01",
    "1970-01-01",
)
"""Days that databases, spreadsheets and clocks give when they know none."""

HEAP = 3
"""How often a value has to stand there to be a heap."""
FAR = 1.5
"""How far off, in ranges of the middle 90 % of the other values."""

NEVER_ZERO = (
    "chol\\w*|ldl|hdl|trestbps|sbp|dbp|rsbp|rdbp|blood pressure|systolic|diastolic|bp|[a-z]*sbp|[a-z]*dbp|heart rate|hr"
    "|pulse|thalach|resp\\w* rate|bmi|body mass index|weight|height|glucose|h?a1c|creatinine|sodium|potassium|calcium"
    "|ha?emoglobin|ha?ematocrit|albumin|temp|temperature|spo|o sat|oxygen saturation|ph|triglycerides|platelets"
)
"""What no living patient has none of. Left out: what may be 0 by its nature (counts, scores, ages in years)."""


@dataclass(frozen=True, slots=True)
class Sentinel:
    """A value that stands for "unknown".

    form   how it is named
    value  itself; never said
    count  records that have it
    """

    form: str
    value: float
    count: int


def sentinels(values: Floats) -> list[Sentinel]:
    """The values of a column that look like codes for "unknown".

    values   float64[rows], NaN where missing

    A known code counts if it stands at an end of the values, at least `HEAP` times, and far from all others: beyond
    the middle 90 % of them by `FAR` of its width, with nothing within a quarter of that distance.
    """
    known = values[np.isfinite(values)]
    if len(known) < 2 * HEAP:
        return []
    levels, counts = np.unique(known, return_counts=True)
    found: list[Sentinel] = []
    for ends in (np.arange(len(levels))[::-1], np.arange(len(levels))):
        coded = list(takewhile(lambda i: float(levels[i]) in FORMS and counts[i] >= HEAP, ends))
        for size in range(min(len(coded), len(levels) - 2), 0, -1):  # several codes stand beside each other
            group, rest = ends[:size], np.sort(ends[size:])
            if _is_far(float(levels[group[-1]]), levels[rest], counts[rest]):
                found += [Sentinel(FORMS[float(levels[i])], float(levels[i]), int(counts[i])) for i in group]
                break
    return found


def impossible_zeros(values: Floats, *, never: bool) -> int:
    """How many zeros of a column stand apart from the rest, as "unknown" does.

    values  float64[rows], NaN where missing
    never   whether what is measured can't be 0; then one is enough, even where nothing else stands

    Otherwise zeros count where they are `HEAP` or more, nothing is negative, and the least other value is farther
    from 0 than from the middle of the others.
    """
    known = values[np.isfinite(values)]
    zeros, others = int((known == 0).sum()), known[known != 0]
    if never or not zeros:
        return zeros
    if zeros < HEAP or len(others) < 20 or others.min() < 0 or len(np.unique(others)) < 10:
        return 0
    least, middle = float(others.min()), float(np.median(others))
    return zeros if least > middle - least and least > np.quantile(others, 0.75) - np.quantile(others, 0.25) else 0


def placeholder_days(values: Integers) -> int:
    """How many dates are a day that stands for "unknown": a heap on one of `PLACEHOLDERS`, far from other dates.

    values  int64[rows] days since 1970, `NO_DAY` where missing
    """
    known = values[values != NO_DAY]
    total = 0
    for day in np.array(PLACEHOLDERS, "datetime64[D]").astype(np.int64):
        here = int((known == day).sum())
        near = int((np.abs(known - day) <= 60).sum()) - here
        if here >= HEAP and near * 10 < here:
            total += here
    return total


def look_for_sentinels(context: Context) -> Iterator[Finding | Skipped]:
    """Look at every column of numbers or dates."""
    looked = False
    for sheet, leaf, place in context.leaves():
        if (
            not len(leaf.values)
            or _is_code(sheet, leaf.path)
            or context.role(place) in ("identifier", "patient", "ignore")
        ):
            continue
        values = leaf.values.combine_chunks() if isinstance(leaf.values, pa.ChunkedArray) else leaf.values
        if (measured := numbers(values)) is not None:
            looked = True
            column = file_column(context, leaf.path)
            for one in sentinels(measured):
                handled = column is not None and is_handled(column, context, one.value)
                yield _finding(
                    "sentinels.code", place, sheet, one.count, f"hold {one.form}, far from all others", handled
                )
        elif (when := days(values)) is not None:
            looked = True
            if count := placeholder_days(when):
                yield _finding(
                    "sentinels.code", place, sheet, count, "hold a day that stands for 'unknown'", handled=False
                )
    if not looked:
        yield Skipped("no column holds numbers or dates")


def look_for_zeros(context: Context) -> Iterator[Finding | Skipped]:
    """Look at every column of numbers for zeros that can't be."""
    looked = False
    for sheet, leaf, place in context.leaves():
        if (
            not len(leaf.values)
            or _is_code(sheet, leaf.path)
            or context.role(place) in ("identifier", "patient", "ignore")
        ):
            continue
        column = file_column(context, leaf.path)
        values = leaf.values.combine_chunks() if isinstance(leaf.values, pa.ChunkedArray) else leaf.values
        if pa.types.is_temporal(values.type) or (sheet.source == FHIR and not _is_measured(values)):
            continue
        if (measured := numbers(values)) is None:
            continue
        looked = True
        name = column.name if column is not None else leaf.path
        never = naming.speaks_of(name, NEVER_ZERO) or naming.speaks_of(leaf.path, NEVER_ZERO)
        never = never and len(np.unique(measured[np.isfinite(measured)][:10_000])) != 2  # a flag such as "on BP drugs"
        if count := impossible_zeros(measured, never=never):
            handled = column is not None and is_handled(column, context, 0.0)
            says = "are 0, which no living patient has" if never else "are 0, far from all others"
            yield _finding("sentinels.zero", place, sheet, count, says, handled)
    if not looked:
        yield Skipped("no column holds numbers")


def is_handled(column: FileColumn, context: Context, value: float) -> bool:
    """Whether the schema takes this number as missing: as a code, as impossible, or as outside the range."""
    schema = context.schema
    codes = (*column.missing, *(schema.file.missing if schema is not None else ()))
    if any(not isinstance(one, str) and float(one) == value for one in codes) or str(value).removesuffix(".0") in codes:
        return True
    if any((one[0] <= value <= one[1]) if isinstance(one, tuple) else one == value for one in column.impossible):
        return True
    outside = column.range is not None and not column.range[0] <= value <= column.range[1]
    return outside and column.outside == "missing"


def _is_far(value: float, others: Floats, counts: Integers) -> bool:
    order = np.cumsum(counts) / counts.sum()
    last = len(others) - 1
    low, high = (float(others[min(int(np.searchsorted(order, at)), last)]) for at in (0.05, 0.95))
    width = max(high - low, 1e-12)
    away = value - high if value > high else low - value
    return bool(away > FAR * width and np.abs(others - value).min() > away / 4)


def _is_code(sheet: Sheet, path: str) -> bool:
    """Numbers that only name something: keys and concepts of OMOP."""
    return sheet.source == OMOP and path.endswith("_id")


def _is_measured(values: pa.Array) -> bool:
    """Whether a FHIR element is a number: texts such as postal codes are not, though they look like it."""
    return bool(pa.types.is_floating(values.type) or pa.types.is_integer(values.type))


def _finding(rule: str, place: str, sheet: Sheet, count: int, says: str, handled: bool) -> Finding:
    rows = max(sheet.rows, count)
    return Finding(
        rule=rule,
        where=place,
        count=masked(count),
        of=masked(rows),
        severity=Severity.NOTE if handled else Severity.WARN,
        says=f"{share(count, rows)} {says}" + ("; the schema takes them as missing" if handled else ""),
        remedy="nothing to do" if handled else "list it as 'missing' or 'impossible' for this column in the schema",
    )


RULES = (
    Rule(
        name="sentinels.code",
        title="numbers and dates that stand for 'unknown'",
        about="Known codes for 'unknown' (all nines, all eights, -1 to -3, ends of integer types, placeholder days) "
        "that are "
        "heaped at an end of a column and far from everything else. Found anywhere but in columns of keys.",
        hipaa=(),
        sources=(TABLE, FHIR, OMOP),
        look=look_for_sentinels,
    ),
    Rule(
        name="sentinels.zero",
        title="zeros that no living patient has",
        about="Blood pressure, cholesterol, weight and other measures that can't be 0, by the column's name; and in "
        "other "
        "columns zeros that stand far from all other values.",
        hipaa=(),
        sources=(TABLE, FHIR, OMOP),
        look=look_for_zeros,
    ),
)
