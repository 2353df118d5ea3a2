"""Ages over 89, which so few reach that they must be told as one group, and years of birth from which they follow.

Source: 45 CFR 164.514(b)(2)(i)(C): "all ages over 89 and all elements of dates (including year) indicative of such age,
except that such ages and elements may be aggregated into a single category of age 90 or older".
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from caduceus.data.readiness import hipaa
from caduceus.data.readiness.dates import days
from caduceus.data.readiness.finding import Finding, Severity
from caduceus.data.readiness.paths import has_words, is_structure, words
from caduceus.data.readiness.rule import SOURCES, Context, Rule, Skipped
from caduceus.data.readiness.sheet import FHIR, Leaf

OVER, BORN = "ages.over_89", "ages.birth_year"

_LIMIT, _OLDEST = 89, 125
_AGE = ("age", "ages", "alter", "edad", "eta", "leeftijd", "wiek", "idade")
_NOT_AGE = (
    ("age", "group"),
    ("gestational", "age"),
    ("bone", "age"),
    ("age", "days"),
    ("age", "months"),
    ("age", "weeks"),
)
_FHIR_AGES = ("Age.value", "Age.low.value", "Age.high.value")
_SPOKEN = r"(?i)\b(?:9[0-9]|1[0-2][0-9])\s?-?(?:years?|yrs?|y\.?/?o\.?|jahre?|ans|años|anni)\b"
_BORN = (
    ("birth", "year"),
    ("year", "of", "birth"),
    ("yob",),
    ("born",),
    ("geburtsjahr",),
    ("birthyear",),
    ("dob",),
    ("birth", "date"),
    ("birthdate",),
    ("date", "of", "birth"),
    ("birth", "datetime"),
    ("geburtsdatum",),
)


def _numbers(leaf: Leaf) -> npt.NDArray[np.float64]:
    array = leaf.values
    if pa.types.is_string(array.type):
        whole = pc.match_substring_regex(array, r"^\s*[0-9]{1,4}(?:\.[0-9]{1,6})?\s*$")
        array = pc.cast(pc.utf8_trim_whitespace(pc.if_else(whole, array, pa.scalar(None, pa.string()))), pa.float64())
    elif not (pa.types.is_integer(array.type) or pa.types.is_floating(array.type)):
        return np.full(len(array), np.nan)
    return np.asarray(
        pc.fill_null(pc.cast(array, pa.float64()), np.nan).to_numpy(zero_copy_only=False), dtype=np.float64
    )


def _over(context: Context) -> Iterator[Finding | Skipped]:
    looked = False
    for sheet, leaf, where in context.leaves():
        said = words(leaf.path)
        called = any(one in said for one in _AGE) and not any(has_words(said, one) for one in _NOT_AGE)
        if leaf.path.endswith(_FHIR_AGES) or (sheet.source != FHIR and called):
            looked = True
            values = _numbers(leaf)
            old = values[(values > _LIMIT) & (values <= _OLDEST)]
            if old.size and np.nanmax(values) <= _OLDEST:
                top = bool((old == _LIMIT + 1).all())
                severity = Severity.NOTE if top else hipaa.weight(context.declared, hipaa.DATE)
                says = (
                    "ages over 89 that are all 90, as a group of those who are 90 or older" if top else "ages over 89"
                )
                yield hipaa.found(OVER, where, int(old.size), int((~np.isnan(values)).sum()), severity, says, _REMEDY)
                continue
        column = None if is_structure(sheet, leaf) else context.distinct(leaf)
        if column is None or column.number or column.day:
            continue
        mask = column.matching(_SPOKEN, longest=20_000)
        if mask.any():
            looked = True
            severity = hipaa.weight(context.declared, hipaa.DATE)
            count = column.records(mask)
            yield hipaa.found(OVER, where, count, column.all_records(), severity, "ages over 89, in words", _REMEDY)
    if not looked:
        yield Skipped("no place holds ages")


_REMEDY = "put everyone of 90 or more into one group, such as 90"


def _born(context: Context) -> Iterator[Finding | Skipped]:
    looked, now = False, _latest(context)
    for _, leaf, where in context.leaves():
        if not any(has_words(words(leaf.path), one) for one in _BORN):
            continue
        found = days(leaf)
        years = _numbers(leaf) if np.isnan(found).all() else _year(found)
        years = years[(years > 1850) & (years < 2200)]
        looked = looked or bool(years.size)
        if now is None:
            yield Skipped(
                "the present day is not known, so that ages do not follow from years of birth", where, applies=True
            )
        elif (years < now - _LIMIT).any():
            severity = hipaa.weight(context.declared, hipaa.DATE)
            if context.declared.dates.rule == "shifted" and severity is Severity.BLOCK:
                severity = Severity.WARN
            count = int((years < now - _LIMIT).sum())
            says = "years of birth from which an age over 89 follows"
            remedy = "give all who are 90 or more one year of birth, or keep age groups"
            yield hipaa.found(BORN, where, count, int(years.size), severity, says, remedy)
    if not looked:
        yield Skipped("no place holds years of birth")


def _latest(context: Context) -> float | None:
    return None if context.today is None else float(_year(np.array([float(context.today)]))[0])


def _year(found: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    kept = found[~np.isnan(found)].astype(np.int64).astype("datetime64[D]")
    return kept.astype("datetime64[Y]").astype(np.float64) + 1970


RULES: tuple[Rule, ...] = (
    Rule(
        OVER,
        "Ages over 89",
        "Looks at every column that is called age in one of several languages, at FHIR's Age values, and at texts "
        "such as "
        "'92-year-old'. A group of all who are 90 or older is in order.",
        (hipaa.DATE,),
        SOURCES,
        _over,
    ),
    Rule(
        BORN,
        "Years of birth of people over 89",
        "Subtracts years of birth from the present year: a year alone tells an age over 89.",
        (hipaa.DATE,),
        SOURCES,
        _born,
    ),
)
