"""A rule that reads what columns are called, in English and a few other languages, word by word."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow.compute as pc

from caduceus.data.readiness import hipaa
from caduceus.data.readiness.column_words import HARMLESS, PHRASES, SHORT
from caduceus.data.readiness.finding import Finding, Severity
from caduceus.data.readiness.paths import has_words, words
from caduceus.data.readiness.rule import Context, Rule, Skipped
from caduceus.data.readiness.sheet import OMOP, TABLE, Leaf

NAME = "identifier.column_name"

_LISTS = {number: tuple(tuple(one.split()) for one in text.split("; ")) for number, text in PHRASES.items()}
_FREE = tuple(tuple(one.split()) for one in HARMLESS)


def classes_of(name: str) -> tuple[int, ...]:
    """The classes of identifiers that a column's name speaks of."""
    said = words(name)
    joined = ("".join(said),)
    if any(has_words(said, phrase) for phrase in _FREE):
        return ()
    found = []
    for number, phrases in _LISTS.items():
        for phrase in phrases:
            alone = len(phrase) == 1 and phrase[0] in SHORT
            if (said == phrase) if alone else has_words(said, phrase) or joined == ("".join(phrase),):
                found.append(number)
                break
    return tuple(found)


def _look(context: Context) -> Iterator[Finding | Skipped]:
    for sheet, leaf, where in context.leaves(TABLE, OMOP):
        kept = len(leaf.values) - leaf.values.null_count
        numbers = classes_of(leaf.path)
        if not numbers or not kept or _says_yes_or_no(leaf) or (sheet.source == OMOP and _is_key(leaf.path)):
            continue
        if context.role(where) in ("site",) or where in context.declared.not_secret:
            continue
        number = numbers[0]
        severity = hipaa.weight(context.declared, number) if number == hipaa.PLACE else Severity.BLOCK
        yield hipaa.found(
            NAME,
            where,
            kept,
            sheet.rows,
            severity,
            f"its name says that it holds {hipaa.CLASSES[number]}, class {hipaa.letter(number)} of Safe Harbor",
            "drop the column, or rename it if it holds something else",
        )


def _is_key(name: str) -> bool:
    return name.lower().endswith(("_id", "_concept_id"))


def _says_yes_or_no(leaf: Leaf) -> bool:
    """Whether a column holds two different values at most: "has phone" is no telephone number."""
    return len(leaf.values) > 10 and pc.count_distinct(leaf.values).as_py() <= 2


RULES: tuple[Rule, ...] = (
    Rule(
        NAME,
        "Columns that are called like identifiers",
        "Reads the names of columns word by word (patient_ssn, PatientSSN, Nachname) against lists of what the "
        "eighteen "
        "classes of Safe Harbor are called in English, German, French, Spanish, Italian, Dutch, Polish and the Nordic "
        "languages. What a column is called is often the only sign of a number without check digits.",
        tuple(sorted(PHRASES)),
        (TABLE, OMOP),
        _look,
    ),
)
