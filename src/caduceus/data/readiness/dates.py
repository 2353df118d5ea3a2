"""Dates: which places hold them finer than a year, and whether dates that are said to be shifted can have been.

Source: 45 CFR 164.514(b)(2)(i)(C). That dates moved by a secret number of days are no dates of the individual is widely
held and nowhere written, so under Safe Harbor they are weighed; under an expert's determination they are a note.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from caduceus.data.readiness import hipaa
from caduceus.data.readiness.distinct import Distinct, Mask, truth
from caduceus.data.readiness.finding import Finding, Severity
from caduceus.data.readiness.paths import has_words, is_structure, lighter, words
from caduceus.data.readiness.rule import SOURCES, Context, Rule, Skipped
from caduceus.data.readiness.sheet import Leaf, Sheet

FINER, SHIFT = "dates.finer_than_year", "dates.shift"

MONTHS = (
    "jan|feb|mar|mär|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez|janv|f[eé]v|avr|juin|juil|ao[uû]|d[eé]c|ene|abr|ago|"
    "set|dic|gen|mag|giu|lug|ott|sty|lut|kwi|maj|cze|lip|sie|wrz|pa[zź]|lis|gru"
)
"""How months begin, in English, German, French, Spanish, Italian and Polish."""

ISO = r"^[0-9]{4}-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12][0-9]|3[01])(?:[T ][0-9]{2}:?[0-9]{2}.*)?)?$"
_OTHER = (
    r"^(?:0?[1-9]|[12][0-9]|3[01])([-/.])(?:0?[1-9]|[12][0-9]|3[01])[-/.](?:[0-9]{2}|[0-9]{4})(?:\s[0-9:]+.*)?$"
    rf"|^(?:{MONTHS})[a-z]*\.? [0-9]{{1,2}},? [0-9]{{4}}$"
    rf"|^[0-9]{{1,2}}\.? ?-?(?:{MONTHS})[a-z]*\.?[ -]?,? ?[0-9]{{2,4}}$"
    rf"|^(?:{MONTHS})[\p{{L}}]*\.?[-/ ](?:19|20)?[0-9]{{2}}$"
    r"|^[0-9]{4}/(?:0?[1-9]|1[0-2])/(?:0?[1-9]|[12][0-9]|3[01])$"
)
_COMPACT = r"^(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])(?:[0-9]{4,6})?$"
_HINTS = (
    "date",
    "datum",
    "dob",
    "birthdate",
    "birthday",
    "geburtsdatum",
    "fecha",
    "data",
    "time",
    "timestamp",
    "day",
    "admitted",
    "discharged",
)
_PARTS = (
    ("month", "of", "birth"),
    ("day", "of", "birth"),
    ("birth", "month"),
    ("birth", "day"),
    ("dob",),
    ("birthday",),
)

_ENOUGH = 100
"""Patients from which a pattern of weekdays or of New Year's days says something."""

_WEEKLY = 40.0
"""Chi-square of weekdays, 6 degrees of freedom: exceeded by chance in fewer than one of a million sets."""


def dated(column: Distinct, leaf: Leaf) -> Mask:
    """Which of a place's texts are dates finer than a year."""
    if column.day:
        return np.ones(len(column.values), np.bool_)
    if column.number:
        hinted = any(one in _HINTS for one in words(leaf.path))
        found = column.matching(_COMPACT)
        return found if hinted and column.share(found) > 0.9 else np.zeros(len(found), np.bool_)
    found = column.matching(ISO) | column.matching(_OTHER, ignore_case=True)
    compact = column.matching(_COMPACT)
    return found | compact if column.share(compact) > 0.9 else found


def days(leaf: Leaf) -> npt.NDArray[np.float64]:
    """The dates of a leaf in days since 1970-01-01, NaN where there is none; only dates of ISO form are read."""
    array = leaf.values
    if pa.types.is_string(array.type):
        text = pc.utf8_slice_codeunits(array, 0, 10)
        right = pc.match_substring_regex(text, r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")
        text = pc.if_else(right, text, pa.scalar(None, pa.string()))
        array = pc.cast(pc.strptime(text, "%Y-%m-%d", "s", error_is_null=True), pa.date32())
        real = pc.equal(pc.cast(array, pa.string()), text)  # a 30th of February is read as a 2nd of March
        array = pc.if_else(real, array, pa.scalar(None, pa.date32()))
    if not (pa.types.is_date(array.type) or pa.types.is_timestamp(array.type)):
        return np.full(len(array), np.nan)
    whole = pc.cast(pc.cast(array, pa.date32(), safe=False), pa.int32())
    return np.asarray(pc.cast(whole, pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)


def _finer(context: Context) -> Iterator[Finding | Skipped]:
    any_found = False
    for sheet, leaf, where in context.leaves():
        column = None if is_structure(sheet, leaf) and not leaf.path.endswith("lastUpdated") else context.distinct(leaf)
        if column is None or not column.total:
            continue
        mask = dated(column, leaf)
        part = any(has_words(words(leaf.path), one) for one in _PARTS)
        if not part and (not mask.any() or (column.share(mask) < 0.05 and int(mask.sum()) < 3)):
            continue
        any_found = True
        count = column.records(mask) if mask.any() else column.all_records()
        yield _told(context, sheet, where, count)
    if not any_found:
        yield Skipped("no place holds dates")


def _told(context: Context, sheet: Sheet, where: str, count: int) -> Finding:
    rule = context.declared.dates.rule
    severity, says = hipaa.weight(context.declared, hipaa.DATE), "dates finer than a year"
    if rule == "shifted":
        safe = context.declared.legal_basis.hipaa == "safe_harbor" or not context.declared.legal_basis.stated
        severity, says = Severity.WARN if safe else Severity.NOTE, "dates finer than a year, shifted as is declared"
    elif rule in ("none", "years"):
        severity, says = Severity.BLOCK, "dates finer than a year, although it is declared that there are none"
    remedy = "keep years or time since a first event, or shift all dates of a patient alike and declare it"
    return hipaa.found(FINER, where, count, sheet.rows, lighter(severity, sheet), says, remedy)


def _shift(context: Context) -> Iterator[Finding | Skipped]:
    declared = context.declared.dates
    if declared.rule != "shifted":
        yield Skipped("it is not declared that dates were shifted")
        return
    looked = False
    for sheet, leaf, where in context.leaves():
        column = None if is_structure(sheet, leaf) else context.distinct(leaf)
        if column is None or column.number or not column.total or not dated(column, leaf).any():
            continue
        yield from _impossible(context, sheet, leaf, where)
        first = _one_per_patient(sheet, leaf)
        if len(first) >= _ENOUGH:
            looked = True
            yield from _patterns(context, sheet, where, first)
    if not looked:
        yield Skipped(
            f"no place holds dates of {_ENOUGH} patients, so that patterns of weekdays say nothing", applies=True
        )


def _impossible(context: Context, sheet: Sheet, leaf: Leaf, where: str) -> Iterator[Finding]:
    found, remedy = days(leaf), "look at how dates were shifted: all dates of a patient must move by the same days"
    if pa.types.is_string(leaf.values.type):
        shaped = truth(pc.match_substring_regex(leaf.values, r"^[0-9]{4}-[0-9]{2}-[0-9]{2}(?:$|[T ])"))
        bad = int((shaped & np.isnan(found)).sum())
        if bad:
            yield hipaa.found(SHIFT, where, bad, len(found), Severity.WARN, "dates that no calendar has", remedy)
    if context.today is not None:
        late = int((found > context.today + (context.declared.dates.days or 0)).sum())
        if late:
            says = "dates in the future, further than the declared shift reaches"
            yield hipaa.found(SHIFT, where, late, len(found), Severity.WARN, says, remedy)


def _one_per_patient(sheet: Sheet, leaf: Leaf) -> npt.NDArray[np.float64]:
    """The first date of every patient: dates of one patient share a shift, and so are one observation."""
    found = days(leaf)
    rows = np.arange(len(found)) if leaf.rows is None else leaf.rows
    keep = ~np.isnan(found)
    found, rows = found[keep], rows[keep]
    if sheet.patient and sheet.patient in sheet.leaves:
        who = sheet.leaves[sheet.patient]
        codes = np.full(sheet.rows, -1, np.int64)
        encoded = pc.fill_null(pc.dictionary_encode(who.values).indices, -1).to_numpy(zero_copy_only=False)
        codes[np.arange(len(encoded)) if who.rows is None else who.rows] = encoded
        rows = codes[rows]
    _, first = np.unique(rows, return_index=True)
    return found[first]


def _patterns(context: Context, sheet: Sheet, where: str, first: npt.NDArray[np.float64]) -> Iterator[Finding]:
    whole = first.astype(np.int64)
    counts = np.bincount((whole + 3) % 7, minlength=7)  # 1970-01-01 was a Thursday: 0 is Monday
    chance = len(whole) / 7
    weekly = float(((counts - chance) ** 2).sum() / chance)
    remedy = "see that the shift was applied to this place; if shifts are whole weeks on purpose, declare 'weeks'"
    if weekly > _WEEKLY and not context.declared.dates.weeks:
        says = "its dates follow the days of the week, as dates that were shifted by days do not"
        yield hipaa.found(SHIFT, where, len(whole), sheet.rows, Severity.WARN, says, remedy)
    dates = whole.astype("datetime64[D]")
    year_days = (dates - dates.astype("datetime64[Y]")).astype(np.int64)
    new_year = int((year_days == 0).sum())
    if new_year > 11 and new_year > 10 * len(whole) / 365.25:
        says = "many of its dates are a first of January, as placeholders for unknown dates are before they are shifted"
        yield hipaa.found(SHIFT, where, new_year, sheet.rows, Severity.WARN, says, remedy)


RULES: tuple[Rule, ...] = (
    Rule(
        FINER,
        "Dates finer than a year",
        "Finds dates by type, by form (2016-05, 2016-05-28T10:00, 28.5.2016, May 28, 2016, 20160528) and, for parts of "
        "dates of birth, by name. What is allowed depends on the declared ground: Safe Harbor keeps years only, a "
        "limited "
        "data set keeps dates.",
        (hipaa.DATE,),
        SOURCES,
        _finer,
    ),
    Rule(
        SHIFT,
        "Whether dates were shifted",
        "Where it is declared that dates were shifted, looks for what contradicts it: weekdays and New Year's days "
        "that "
        "show through, dates that no calendar has, and dates in the future. That none is found proves nothing.",
        (hipaa.DATE,),
        SOURCES,
        _shift,
    ),
)
