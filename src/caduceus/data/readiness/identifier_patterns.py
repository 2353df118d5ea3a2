"""Rules that look at values: whether a column holds what is written like an identifier."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby

from caduceus.data.readiness import hipaa
from caduceus.data.readiness.distinct import LONGEST, Distinct, Mask
from caduceus.data.readiness.finding import FEW, Finding, Severity
from caduceus.data.readiness.paths import is_structure, lighter, words
from caduceus.data.readiness.pattern import Pattern
from caduceus.data.readiness.patterns import PATTERNS
from caduceus.data.readiness.rule import SOURCES, Context, Look, Rule, Skipped
from caduceus.data.readiness.sheet import Sheet

_DOCUMENT = 20_000
"""Characters of a text within which an e-mail or web address is looked for."""

_SHORTEST = 5
"""Characters of the shortest identifier that a pattern fits."""

_SEPARATORS = re.compile(r"[\s\-./]")

_REMEDY = "drop the column, or replace its values by random pseudonyms whose table stays at the site"


def fits(pattern: Pattern, column: Distinct) -> Mask:
    """Which of a column's different texts are written as a pattern says, check digits included."""
    longest = LONGEST if pattern.regex.startswith("^") else _DOCUMENT
    mask = column.matching(pattern.regex, ignore_case=True, longest=longest)
    if pattern.check is None or not mask.any():
        return mask
    check = pattern.check
    return column.narrowed(mask, [check(_SEPARATORS.sub("", one).upper()) for one in column.texts(mask)])


def judge(pattern: Pattern, column: Distinct, name: str) -> Mask | None:
    """The texts for which a column is to be called after a pattern; None if it is not to be."""
    hinted = any(hint in words(name) for hint in pattern.hints)
    if pattern.plain and not hinted:
        return None
    mask = fits(pattern, column)
    hits = int(mask.sum())
    if hinted:
        return mask if hits and column.share(mask) >= 0.05 else None
    return mask if hits >= pattern.least and column.share(mask) >= pattern.share else None


def _look(patterns: tuple[Pattern, ...]) -> Look:
    name = patterns[0].name
    any_of_them = "|".join(f"(?:{one.regex})" for one in patterns)

    def look(context: Context) -> Iterator[Finding | Skipped]:
        for sheet, leaf, where in context.leaves():
            column = (
                None if is_structure(sheet, leaf) or where in context.declared.not_secret else context.distinct(leaf)
            )
            if (
                column is None
                or column.day
                or column.longest < _SHORTEST
                or (name == "url" and leaf.path.endswith(".div"))
            ):
                continue
            if len(patterns) > 1 and not column.matching(any_of_them, ignore_case=True).any():
                continue
            for pattern in patterns:
                mask = judge(pattern, column, leaf.path)
                if mask is not None and mask.any():
                    yield _found(name, pattern, sheet, where, column, mask)
                    break

    return look


def _found(name: str, pattern: Pattern, sheet: Sheet, where: str, column: Distinct, mask: Mask) -> Finding:
    share = column.share(mask)
    much = "nearly all" if share > 0.9 else "most" if share > 0.5 else "some"
    provider = pattern.name in ("npi", "dea")
    return hipaa.found(
        f"identifier.{name}",
        where,
        column.records(mask),
        column.all_records(),
        Severity.WARN if provider else lighter(Severity.BLOCK, sheet),
        f"{much} of its values are written like {pattern.what}"
        + (" and their check digits fit" if pattern.check is not None and pattern.name != "ssn" else "")
        + ("" if column.records(mask) >= FEW else f"; fewer than {FEW} records"),
        _REMEDY if not provider else "drop the column, unless the provider may be known",
    )


_TITLES = {
    "ssn": "Social security numbers",
    "npi": "US provider numbers",
    "mbi": "Medicare beneficiary numbers",
    "dea": "DEA numbers",
    "phone": "Telephone and fax numbers",
    "email": "E-mail addresses",
    "url": "Web addresses",
    "ip": "IP addresses",
    "device": "Device identifiers",
    "iban": "Bank accounts",
    "card": "Payment cards",
    "vin": "Vehicle identification numbers",
    "national": "National identity and insurance numbers",
}


def _rules() -> Iterator[Rule]:
    by_name = sorted(PATTERNS, key=lambda one: list(_TITLES).index(one.name))
    for name, group in groupby(by_name, key=lambda one: one.name):
        patterns = tuple(group)
        classes = {one.hipaa for one in patterns} | ({hipaa.FAX} if name == "phone" else set())
        kinds = ", ".join(dict.fromkeys(one.what for one in patterns))
        checked = any(one.check is not None for one in patterns)
        yield Rule(
            f"identifier.{name}",
            _TITLES[name],
            f"Tries every different value of every column against how these are written: {kinds}."
            + (" Check digits are recomputed." if checked else "")
            + " A shape that other numbers share counts only where most of a column has it, or where the column's name "
            "points the same way.",
            tuple(sorted(classes)),
            SOURCES,
            _look(patterns),
        )


RULES: tuple[Rule, ...] = tuple(_rules())
"""One rule per name of `PATTERNS`."""
