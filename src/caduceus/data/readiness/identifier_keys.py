"""Columns that tell nearly every record from every other, by values that are written like keys."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from caduceus.data.readiness import hipaa
from caduceus.data.readiness.distinct import Distinct, truth
from caduceus.data.readiness.finding import Finding, Severity
from caduceus.data.readiness.paths import is_structure
from caduceus.data.readiness.rule import Context, Rule, Skipped
from caduceus.data.readiness.sheet import OMOP, TABLE

NAME = "identifier.key_like"

LEAST = 20
"""Fewer values than this show nothing: any measurement tells twenty patients apart."""

UNIQUE = 0.9
"""Share of different values from which a column tells records apart."""

SHORTEST, LONGEST = 5, 64
"""Characters of a key."""

_LONG_NUMBER = 8
"""Digits from which a whole number blocks; shorter ones may be counts, and are weighed."""

_ALIKE = 0.75
"""Share of values that have one of a column's few shapes."""


_CODES = (
    r"^[0-9]{1,5}-[0-9]$|^[A-TV-Z][0-9][0-9AB](?:\.[0-9A-TV-Z]{1,4})?$|^[0-9]{4,5}-[0-9]{3,4}-[0-9]{1,2}$"
    r"|^[A-V][0-9]{2}[A-Z]{2}[0-9]{2}$|^[0-9]{1,3}/[0-9]{1,3}$"
)
"""LOINC, ICD-10, NDC and ATC codes, and pairs such as blood pressures: no keys, however many there are."""


def is_key_like(column: Distinct) -> bool:
    """Whether a column's values are nearly all different and written to one plan: letters and digits, no words."""
    if column.day or column.total < LEAST or len(column.values) < UNIQUE * column.total:
        return False
    lengths = np.asarray(pc.utf8_length(column.values).to_numpy(zero_copy_only=False))
    if not ((lengths >= SHORTEST) & (lengths <= LONGEST)).mean() >= _ALIKE:
        return False
    if column.number:  # as numbers go, only long ones of one length are keys
        return bool((lengths >= 6).all() and _most(lengths) >= UNIQUE)
    digits = truth(pc.match_substring_regex(column.values, r"[0-9].*[0-9]"))
    spaces = truth(pc.match_substring_regex(column.values, r"\s"))
    fraction = truth(pc.match_substring_regex(column.values, r"^[+-]?[0-9]+[.,][0-9]+$|^[<>]"))
    coded = truth(pc.match_substring_regex(column.values, _CODES))
    day = truth(pc.match_substring_regex(column.values, r"^[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4}|^[0-9]{8}T"))
    plan = digits & ~spaces & ~fraction & ~day & ~coded
    return bool(plan.mean() >= _ALIKE and _most(lengths[plan]) >= 0.4)


def _most(lengths: npt.NDArray[np.int64]) -> float:
    """The share of the commonest length."""
    return float(np.bincount(lengths.astype(np.int64)).max() / len(lengths)) if len(lengths) else 0.0


def _look(context: Context) -> Iterator[Finding | Skipped]:
    for sheet, leaf, where in context.leaves(TABLE, OMOP):
        role = context.role(where)
        kept = ("identifier", "patient", "site")
        if (
            role in kept
            or leaf.path == sheet.patient
            or is_structure(sheet, leaf)
            or where in context.declared.not_secret
        ):
            continue
        column = context.distinct(leaf)
        if column is None or where in context.declared.code_columns or not is_key_like(column):
            continue
        measured = column.number and (role in ("feature", "target") or column.longest < _LONG_NUMBER)
        yield hipaa.found(
            NAME,
            where,
            column.total,
            sheet.rows,
            Severity.WARN if measured else Severity.BLOCK,
            "nearly every record has a value of its own, all written to one plan, as record, account, licence and "
            "serial "
            "numbers are",
            "drop the column; where it says whose record it is, give it the role 'patient' or 'identifier' in the "
            "schema and "
            "put random pseudonyms in it",
        )


RULES: tuple[Rule, ...] = (
    Rule(
        NAME,
        "Columns that are written like keys",
        "Finds numbers for which there are no check digits: a column of which nine in ten values are different, "
        "without "
        "words in them, and of few lengths. It looks at every column that the schema does not keep apart.",
        (
            hipaa.RECORD,
            hipaa.PLAN,
            hipaa.ACCOUNT,
            hipaa.LICENCE,
            hipaa.VEHICLE,
            hipaa.DEVICE,
            hipaa.OTHER,
        ),
        (TABLE, OMOP),
        _look,
    ),
)
