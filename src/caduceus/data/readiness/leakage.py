"""Columns that give the outcome away: known only afterwards, or the outcome under another name.

A model that is given such a column is excellent in the test and useless at the bedside. One column alone that
orders the records nearly as the outcome does is taken for one; so is a name that speaks of what comes afterwards.

Source: Kaufman, Rosset, Perlich and Stitelman, "Leakage in data mining", ACM TKDD 6(4), 2012.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from caduceus.data.readiness import naming
from caduceus.data.readiness.coded import Coded, Flags, Integers, code, dense, numbers, per_record, present
from caduceus.data.readiness.finding import FEW, Finding, Severity, masked
from caduceus.data.readiness.rule import Context, Rule, Skipped
from caduceus.data.readiness.sheet import TABLE, Sheet
from caduceus.kinds import Floats

PERFECT = 0.97
"""Area under the ROC curve from which one column alone is too good to be true."""
BINS = 64
"""Bins of a column of numbers, besides one for missing."""
LARGEST = 200_000
"""Records looked at; of more, every n-th is taken."""


def area(scores: Floats, positive: Flags) -> float:
    """The area under the ROC curve of scores, ties counted half (Mann-Whitney).

    scores    float64[rows]
    positive  bool[rows]
    returns   in [0, 1]; NaN without a positive or without a negative record
    """
    levels, places = np.unique(scores, return_inverse=True)
    good = np.bincount(places[positive], minlength=len(levels))
    bad = np.bincount(places[~positive], minlength=len(levels))
    if not good.sum() or not bad.sum():
        return float("nan")
    below = np.cumsum(bad) - bad
    return float((good * (below + bad / 2)).sum() / (good.sum() * bad.sum()))


def telling(column: Coded, positive: Flags) -> float:
    """How well one column alone tells the outcome: area under the ROC curve, in [0, 1], 0.5 by chance.

    column    codes of the records; few levels, missing being one
    positive  bool[rows]: the outcome

    Every level is scored by the outcomes that it has in the other half of the records (even and odd ones), so that a
    column of many levels does not learn its own records by heart.
    """
    half = np.arange(len(positive)) % 2 == 0
    scores = np.empty(len(positive))
    for mine in (half, ~half):
        here, there = column.codes[mine], column.codes[~mine]
        seen = np.bincount(there, minlength=column.levels)
        good = np.bincount(there[positive[~mine]], minlength=column.levels)
        overall = positive[~mine].mean() if (~mine).any() else 0.5
        scores[mine] = ((good + overall) / (seen + 1))[here]
    return area(scores, positive)


def binned(values: pa.Array, name: str) -> Coded:
    """A column as codes of few levels: numbers in bins of equal counts, others as they are; missing is a level."""
    measured = None if pa.types.is_string(values.type) or pa.types.is_large_string(values.type) else numbers(values)
    if measured is None:
        return code(values, name)
    there = np.isfinite(measured)
    if not there.any() or len(np.unique(measured[there])) <= BINS:
        return code(values, name)
    edges = np.unique(np.quantile(measured[there], np.linspace(0, 1, BINS + 1)[1:-1]))
    places = np.where(there, np.searchsorted(edges, measured, side="right"), len(edges) + 1)
    return Coded(name, places.astype(np.int64), len(edges) + 2)


def look_for_leaks(context: Context) -> Iterator[Finding | Skipped]:
    """Score every other column of a sheet against each target."""
    looked = False
    for sheet in context.sheets:
        targets = [leaf for leaf in sheet.leaves.values() if context.role(sheet.place(leaf.path)) == "target"]
        for target in targets:
            chosen = _sample(sheet)
            outcome, name = per_record(target, sheet.rows).take(pa.array(chosen)), target.path
            known = present(outcome)
            kinds = _outcomes(outcome, known)
            if not kinds:
                continue
            looked = True
            leaking = []
            for leaf in sheet.leaves.values():
                place = sheet.place(leaf.path)
                if leaf in targets or leaf.path == sheet.patient or not _is_used(context, place):
                    continue
                column = binned(per_record(leaf, sheet.rows).take(pa.array(chosen)), leaf.path)
                codes, levels = dense(column.codes[known], column.levels)
                if levels < 2:
                    continue
                score = max(telling(Coded(leaf.path, codes, levels), positive) for positive in kinds)
                if score >= PERFECT:
                    leaking.append(leaf.path)
                    yield _leak(sheet, place, name, score, len(codes))
            yield from _kin(context, sheet, leaking)
    if not looked:
        yield Skipped("no column is a target with two outcomes or more; give it the role 'target' in the schema")


def look_for_names(context: Context) -> Iterator[Finding | Skipped]:
    """Look for names of columns that speak of what is known only afterwards."""
    for sheet, leaf, place in context.leaves(TABLE):
        if not _is_used(context, place) or leaf.path == sheet.patient or context.role(place) == "target":
            continue
        if naming.speaks_of(leaf.path, naming.AFTERWARDS):
            yield Finding(
                rule="leakage.name",
                where=place,
                count=None,
                of=masked(sheet.rows),
                severity=Severity.WARN if context.role(place) == "feature" else Severity.NOTE,
                says="the name speaks of something that is known only after the outcome, or with it",
                remedy="give it the role 'ignore' unless it is known when a prediction is wanted",
            )


def _kin(context: Context, sheet: Sheet, leaking: list[str]) -> Iterator[Finding]:
    """Columns of the same form: trials and hospitals begin the names of one form's columns alike."""
    for stem in sorted({stem_of(path) for path in leaking}):
        kin = [path for path in sheet.leaves if stem_of(path) == stem and path not in leaking]
        kin = [
            path for path in kin if _is_used(context, sheet.place(path)) and context.role(sheet.place(path)) != "target"
        ]
        if len(kin) > 1:
            yield Finding(
                rule="leakage.score",
                where=f"{sheet.name}.{{{', '.join(kin)}}}",
                count=None,
                of=masked(sheet.rows),
                severity=Severity.NOTE,
                says=f"{len(kin)} further columns begin with '{stem}', as columns do that give the outcome away",
                remedy="find out whether they are from the same form; if it is filled in afterwards, none may train",
            )


def stem_of(name: str) -> str:
    """What the names of one form's columns have in common: the first word, or the first letter of a name in "
    "capitals."""
    last = name.rsplit(".", 1)[-1]
    if last.isupper() and "_" not in last:
        return last[:1]
    return re.split(r"[_\W]|(?<=[a-z0-9])(?=[A-Z])", last, maxsplit=1)[0]


def _leak(sheet: Sheet, place: str, target: str, score: float, rows: int) -> Finding:
    return Finding(
        rule="leakage.score",
        where=place,
        count=None,
        of=masked(rows),
        severity=Severity.WARN,
        says=f"this column alone tells '{target}' with an area under the ROC curve of {int(score * 100) / 100:.2f}",
        remedy="give it the role 'ignore' unless it is known when a prediction is wanted",
    )


def _is_used(context: Context, place: str) -> bool:
    """Whether a column trains a model; without a schema every column may."""
    role = context.role(place)
    return role in ("feature", "target") or (context.schema is None and role == "")


def _sample(sheet: Sheet) -> Integers:
    step = max(1, -(-sheet.rows // LARGEST)) | 1  # odd, so that even and odd records both come
    return np.arange(0, sheet.rows, step)


def _outcomes(values: pa.Array, known: Flags) -> list[Flags]:
    """The outcomes to tell: every level against the rest, or above the median for many numbers."""
    one = code(values)
    codes, levels = dense(one.codes[known], one.levels)
    if levels <= 10:
        kinds = [codes == level for level in range(levels)]
    else:
        measured = numbers(values)
        kinds = [] if measured is None else [measured[known] > np.median(measured[known])]
    return [kind for kind in kinds if FEW <= kind.sum() <= len(kind) - FEW][: 1 if levels == 2 else None]


RULES = (
    Rule(
        name="leakage.score",
        title="columns that give the outcome away",
        about="Scores every column that may train a model against the target, alone: numbers in bins, levels by the "
        "outcomes "
        "of the other half of the records, missing as a level. Too good an area under the ROC curve is leakage.",
        hipaa=(),
        sources=(TABLE,),
        look=look_for_leaks,
    ),
    Rule(
        name="leakage.name",
        title="names that speak of what is known only afterwards",
        about="Columns named after discharge, death, follow-up, length of stay, and the like, that would train a "
        "model.",
        hipaa=(),
        sources=(TABLE,),
        look=look_for_names,
    ),
)
