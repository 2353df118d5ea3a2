"""A rule that tells a column of people's names from a column of other words."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from caduceus.data.readiness import hipaa
from caduceus.data.readiness.distinct import Distinct, Mask, truth
from caduceus.data.readiness.finding import Finding, Severity
from caduceus.data.readiness.names_known import FAMILY, GIVEN, TITLES
from caduceus.data.readiness.paths import is_structure, known_by_path, lighter
from caduceus.data.readiness.rule import SOURCES, Context, Rule, Skipped

NAME = "identifier.person_names"

SHARE = 0.12
"""Share of a column's different values that hold a common name, from which it is one of names."""

LEAST = 4
"""Different values with a common name, at least."""

_SHAPE = r"^(?:[\p{L}][\p{L}'’.\-]*[0-9]{0,4},?\s){0,4}[\p{L}][\p{L}'’.\-]*[0-9]{0,4}\.?$"
_NUMBERED = r"^(?:[\p{L}.]+\s)*\p{Lu}\p{Ll}[\p{L}'’\-]+[0-9]{1,4}(?:\s\p{Lu}[\p{L}'’\-]+[0-9]{1,4})*$"
_KNOWN = pa.array(sorted(GIVEN | FAMILY))


def named(column: Distinct) -> Mask:
    """Which of a column's different texts hold a common name, a title before words, or a name as Synthea numbers
    them.
    """
    shaped = column.matching(_SHAPE)
    if not shaped.any():
        return shaped
    lower = pc.utf8_lower(pc.if_else(pa.array(shaped), column.values, ""))
    tokens = pc.split_pattern_regex(lower, r"[\s,.0-9]+")
    flat, owner = pc.list_flatten(tokens), pc.list_parent_indices(tokens)
    known = owner.filter(pc.is_in(flat, _KNOWN)).to_numpy(zero_copy_only=False)
    mask = column.matching(TITLES, ignore_case=True) | column.matching(_NUMBERED)
    mask[known] = True
    return mask & shaped


def holds_names(column: Distinct) -> bool:
    """Whether enough of a column's different texts are names, and most of the others could be."""
    if column.number or column.day or not len(column.values):
        return False
    hits = int(named(column).sum())
    if hits < LEAST or hits < SHARE * len(column.values):
        return False
    capital = truth(pc.match_substring_regex(column.values, r"^\p{Lu}"))
    return bool((column.matching(_SHAPE) & capital).mean() > 0.7)


def _look(context: Context) -> Iterator[Finding | Skipped]:
    for sheet, leaf, where in context.leaves():
        column = None if is_structure(sheet, leaf) or where in context.declared.not_secret else context.distinct(leaf)
        if column is None or known_by_path(sheet, leaf) or not holds_names(column):
            continue
        yield hipaa.found(
            NAME,
            where,
            column.all_records(),
            sheet.rows,
            lighter(Severity.BLOCK, sheet),
            "many of its values hold a common given or family name, and the rest are of the same form",
            "drop the column",
        )


RULES: tuple[Rule, ...] = (
    Rule(
        NAME,
        "People's names",
        "Looks for columns of which many values hold one of some seven hundred common given and family names, a title "
        "such as Dr. or Frau before words, or a name with digits as Synthea writes them. It finds columns of names and "
        "not single names: a name in a sentence is free text, which is not searched.",
        (hipaa.NAME,),
        SOURCES,
        _look,
    ),
)
