"""Two units in one column: values that fall into two groups a known factor apart, or a unit column that says so.

Factors are those between the usual units of laboratories (mg/dL and mmol/L of a substance by its molar mass) and of
the bedside, as UCUM and the molar masses give them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from caduceus.data.readiness import naming
from caduceus.data.readiness.coded import code, numbers, per_record, present, share
from caduceus.data.readiness.finding import FEW, Finding, Severity, masked
from caduceus.data.readiness.rule import Context, Rule, Skipped
from caduceus.data.readiness.schema_columns import file_column
from caduceus.data.readiness.sheet import FHIR, OMOP, TABLE, Sheet
from caduceus.kinds import Floats


@dataclass(frozen=True, slots=True)
class Factor:
    """What is measured in two units that differ by a factor.

    what     for people
    names    alternatives of a regular expression for column names
    loinc    codes of it
    by       the larger numbers over the smaller ones
    units    UCUM, of the larger numbers and of the smaller ones
    """

    what: str
    names: str
    loinc: tuple[str, ...]
    by: float
    units: tuple[str, str]


FACTORS = (
    Factor(
        "glucose", "glucose|gluc?|blood sugar", ("2339-0", "2345-7", "1558-6", "14749-6"), 18.016, ("mg/dL", "mmol/L")
    ),
    Factor(
        "cholesterol",
        "chol\\w*|ldl|hdl|tchol",
        ("2093-3", "2085-9", "2089-1", "13457-7", "18262-6", "14647-2"),
        38.67,
        ("mg/dL", "mmol/L"),
    ),
    Factor("triglycerides", "triglycerides?|trig", ("2571-8", "14927-8"), 88.57, ("mg/dL", "mmol/L")),
    Factor("creatinine", "creatinine|crea|scr", ("2160-0", "38483-4", "14682-9"), 88.42, ("umol/L", "mg/dL")),
    Factor("bilirubin", "bilirubin|bili", ("1975-2", "14631-6"), 17.1, ("umol/L", "mg/dL")),
    Factor("calcium", "calcium", ("17861-6", "2000-8"), 4.008, ("mg/dL", "mmol/L")),
    Factor("urea nitrogen", "bun|urea nitrogen|urea", ("3094-0", "6299-2"), 2.801, ("mg/dL", "mmol/L")),
    Factor("urate", "urate|uric acid", ("3084-1",), 59.48, ("umol/L", "mg/dL")),
    Factor(
        "hemoglobin, albumin or protein",
        "ha?emoglobin|hgb|hb|albumin|total protein",
        ("718-7", "1751-7", "2885-2"),
        10.0,
        ("g/L", "g/dL"),
    ),
    Factor("height", "height|body length|stature", ("8302-2",), 2.54, ("cm", "[in_i]")),
    Factor("height", "height|body length|stature", ("8302-2",), 100.0, ("cm", "m")),
    Factor("weight", "weight|body mass", ("29463-7", "3141-9"), 2.2046, ("[lb_av]", "kg")),
    Factor("HbA1c", "h?b?a1c|hemoglobin a1c|glycated", ("4548-4",), 0.0, ("mmol/mol", "%")),
    Factor("temperature", "temp|temperature|body temp\\w*", ("8310-5",), 0.0, ("[degF]", "Cel")),
)
"""`by` 0 is a straight line instead of a factor; see `_LINES`."""

_LINES = {"temperature": (1.8, 32.0), "HbA1c": (10.93, -23.5)}
"""Larger = a * smaller + b. HbA1c: IFCC and NGSP, Weykamp et al., Clin Chem 54(2), 2008."""

LEAST = 0.005
"""Share of the values that the smaller group has at least; and at least `FEW`."""


def groups_apart(values: Floats, factor: Factor) -> int:
    """How many values are in the smaller of two groups that are this factor apart; 0 if there are no two groups.

    values  float64[rows], NaN where missing; what is not positive is left aside

    The groups lie around m and around what m is in the other unit. Where either is centred within a quarter of the
    distance (on a logarithmic scale), each has `LEAST` of the values, and between them there is a valley, they are two.
    """
    known = values[np.isfinite(values) & (values > 0)]
    if len(known) < 2 * FEW:
        return 0
    logs = np.sort(np.log(known))
    best = 0
    for start in _centres(logs):
        for up in (True, False):
            best = max(best, _second_group(logs, start, _other(start, factor, up=up)))
    return best


def look_for_mixtures(context: Context) -> Iterator[Finding | Skipped]:
    """Look at columns that are named after what is measured, and at measurements by their codes."""
    looked = False
    for what, where, values in _measured(context):
        for factor in FACTORS:
            if not (what in factor.loinc or naming.speaks_of(what, factor.names)):
                continue
            looked = True
            if count := groups_apart(values, factor):
                yield Finding(
                    rule="units.mixture",
                    where=where,
                    count=masked(count),
                    of=masked(len(values)),
                    severity=Severity.WARN,
                    says=f"{factor.what}: two groups of values as far apart as {' and '.join(factor.units)}; the "
                    "smaller"
                    f" is {share(count, len(values))}",
                    remedy="convert one group to the unit of the schema where the source says which it is, or drop it",
                )
                break
    if not looked:
        yield Skipped("no column is named after something that is measured in two common units")


def look_for_several_units(context: Context) -> Iterator[Finding | Skipped]:
    """Look for codes whose measurements say several units themselves."""
    looked = False
    for sheet in context.sheets:
        kinds, units = _by_kind(sheet)
        if kinds is None or units is None:
            continue
        looked = True
        kind, unit = code(kinds), code(units)
        there = present(kinds) & present(units)
        pairs = np.unique(kind.codes[there] * unit.levels + unit.codes[there])
        several = np.bincount(pairs // unit.levels, minlength=kind.levels) > 1
        count = int((several[kind.codes] & there).sum())
        if count:
            yield Finding(
                rule="units.several",
                where=sheet.name,
                count=masked(count),
                of=masked(sheet.rows),
                severity=Severity.WARN,
                says=f"{int(several.sum())} codes are measured in several units, {share(count, sheet.rows)}",
                remedy="say in the schema which unit a column has, and convert the others",
            )
    if not looked:
        yield Skipped("no sheet has measurements with a code and a unit")


def _measured(context: Context) -> Iterator[tuple[str, str, Floats]]:
    """What is measured, under which place, with the values: columns by name, and measurements by code."""
    for sheet in context.sheets:
        if sheet.source == TABLE:
            for leaf in sheet.leaves.values():
                place = sheet.place(leaf.path)
                if context.role(place) in ("identifier", "patient", "ignore") or pa.types.is_temporal(leaf.values.type):
                    continue
                column = file_column(context, leaf.path)
                if (values := numbers(per_record(leaf, sheet.rows))) is not None:
                    yield column.name if column is not None else leaf.path, place, values
        elif (kinds := _leaf(sheet, _KINDS)) is not None and (value := _leaf(sheet, _VALUES)) is not None:
            values = numbers(value)
            if values is None:
                continue
            encoded = kinds.dictionary_encode()
            places = encoded.indices.to_numpy(zero_copy_only=False)
            known = {one for factor in FACTORS for one in factor.loinc}
            for i, text in enumerate(encoded.dictionary.to_pylist()):
                if str(text) in known:
                    yield str(text), f"{sheet.name}.{text}", values[places == i]


_KINDS = ("Observation.code.coding.code", "measurement_source_value")
_VALUES = ("Observation.valueQuantity.value", "Observation.value.value", "value_as_number")
_UNITS = (
    "Observation.valueQuantity.code",
    "Observation.valueQuantity.unit",
    "Observation.value.code",
    "Observation.value.unit",
    "unit_concept_id",
    "unit_source_value",
)


def _leaf(sheet: Sheet, paths: tuple[str, ...]) -> pa.Array | None:
    leaf = next((sheet.leaves[path] for path in paths if path in sheet.leaves), None)
    return None if leaf is None else per_record(leaf, sheet.rows)


def _by_kind(sheet: Sheet) -> tuple[pa.Array | None, pa.Array | None]:
    if sheet.source == OMOP and sheet.name not in ("measurement", "observation"):
        return None, None
    if sheet.source == TABLE:
        codes = [leaf for leaf in sheet.leaves.values() if naming.speaks_of(leaf.path, "code|loinc|test|analyte|item")]
        units = [leaf for leaf in sheet.leaves.values() if naming.speaks_of(leaf.path, "units?|uom")]
        if len(codes) != 1 or len(units) != 1:
            return None, None
        return per_record(codes[0], sheet.rows), per_record(units[0], sheet.rows)
    return _leaf(sheet, ("Observation.code.coding.code", f"{sheet.name}_concept_id")), _leaf(sheet, _UNITS)


def _centres(logs: Floats) -> list[float]:
    """Where a group may be centred: the median of all, and of either part of the best cut in two (Otsu 1979)."""
    n = len(logs)
    before = np.cumsum(logs)[:-1]
    sizes = np.arange(1, n)
    apart = before / sizes - (logs.sum() - before) / (n - sizes)
    cut = int(np.argmax(apart**2 * sizes * (n - sizes))) + 1
    return [float(logs[n // 2]), float(logs[cut // 2]), float(logs[(cut + n) // 2])]


def _other(centre: float, factor: Factor, *, up: bool) -> float:
    """The logarithm of what a value is in the other unit."""
    slope, offset = _LINES.get(factor.what, (factor.by, 0.0))
    value = float(np.exp(centre))
    moved = slope * value + offset if up else (value - offset) / slope
    return float(np.log(moved)) if moved > 0 else float("nan")


def _second_group(logs: Floats, centre: float, other: float) -> int:
    distance = abs(other - centre)
    if not distance > 0:
        return 0
    low, high = min(centre, other), max(centre, other)

    def between(start: float, end: float) -> tuple[int, int]:
        return int(np.searchsorted(logs, start)), int(np.searchsorted(logs, end))

    first, second = between(low - distance / 2, (low + high) / 2), between((low + high) / 2, high + distance / 2)
    sizes = first[1] - first[0], second[1] - second[0]
    if min(sizes) < max(FEW, LEAST * len(logs)):
        return 0
    off = [abs(float(np.median(logs[a:b])) - at) for (a, b), at in ((first, low), (second, high))]
    a, b = between(low + 0.4 * distance, high - 0.4 * distance)
    if max(off) > distance / 4 or (b - a) * 4 > min(sizes):
        return 0
    return min(sizes)


RULES = (
    Rule(
        name="units.mixture",
        title="values in two units in one column",
        about="Columns named after glucose, cholesterol, creatinine, hemoglobin, height, weight, temperature and "
        "others, and "
        "measurements by LOINC code: do the values fall into two groups as far apart as two common units?",
        hipaa=(),
        sources=(TABLE, FHIR, OMOP),
        look=look_for_mixtures,
    ),
    Rule(
        name="units.several",
        title="one code measured in several units",
        about="Measurements that name their unit: codes with more than one.",
        hipaa=(),
        sources=(TABLE, FHIR, OMOP),
        look=look_for_several_units,
    ),
)
