"""How identifiers were replaced: whether anybody could undo it.

A hash without a key is no pseudonym where there are few possible inputs: all of them can be tried. So the rule tries:
whole numbers up to a million, and every other value of the same sheet.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import numpy as np

from caduceus.data.readiness import hipaa
from caduceus.data.readiness.distinct import Distinct
from caduceus.data.readiness.finding import Finding, Severity
from caduceus.data.readiness.paths import last
from caduceus.data.readiness.rule import SOURCES, Context, Rule, Skipped
from caduceus.data.readiness.sheet import FHIR, OMOP, Leaf, Sheet

HASHED, SEQUENTIAL, REUSED = "identifier.hashed", "identifier.sequential", "identifier.reused"

NUMBERS = 1_000_000
"""How many whole numbers are tried, from 0."""

MOST = 50_000
"""How many values of every other column are tried."""

_SHAPE = r"^[0-9a-fA-F]{32}$|^[0-9a-fA-F]{40}$|^[0-9a-fA-F]{64}$"
_TIMED = r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-1[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}$"
_BY_LENGTH: dict[int, tuple[str, Callable[[bytes], bytes]]] = {
    32: ("MD5", lambda data: hashlib.md5(data, usedforsecurity=False).digest()),
    40: ("SHA-1", lambda data: hashlib.sha1(data, usedforsecurity=False).digest()),
    64: ("SHA-256", lambda data: hashlib.sha256(data).digest()),
}


def _hashed(context: Context) -> Iterator[Finding | Skipped]:
    looked = False
    for sheet, leaf, where in context.leaves():
        column = None if last(leaf.path) == "reference" or leaf.path.endswith(".hash") else context.distinct(leaf)
        if column is None or column.number or column.day or not len(column.values):
            continue
        timed = column.matching(_TIMED)
        if column.share(timed) > 0.9:
            looked = True
            says = "UUIDs of version 1: they tell the machine that made them, and when"
            yield hipaa.found(HASHED, where, column.records(timed), sheet.rows, Severity.WARN, says, _REMEDY)
        mask = column.matching(_SHAPE)
        if column.share(mask) < 0.5 or int(mask.sum()) < 2:
            continue
        looked = True
        length = len(column.texts(mask)[0])
        name, how = _BY_LENGTH[length]
        targets = {bytes.fromhex(one) for one in column.texts(mask) if len(one) == length}
        source = _source(context, sheet, leaf, targets, how)
        declared = context.declared.pseudonyms.rule in ("keyed", "random")
        severity = Severity.BLOCK if source else Severity.NOTE if declared else Severity.WARN
        says = (
            f"plain {name} hashes of {source}: anybody can undo them"
            if source
            else f"values as long as {name} hashes; none is a plain hash of a small number or of another column, and "
            "whether a secret key was used cannot be seen"
        )
        yield hipaa.found(HASHED, where, column.records(mask), sheet.rows, severity, says, _REMEDY)
    if not looked:
        yield Skipped("no place holds values that are written like hashes")


_REMEDY = "replace them by random values whose table stays at the site, or by HMAC-SHA-256 under a key that stays there"


def _source(context: Context, sheet: Sheet, leaf: Leaf, targets: set[bytes], how: Callable[[bytes], bytes]) -> str:
    """What the hashes are of, in words; "" if it was not found."""
    for other in sheet.leaves.values():
        column = context.distinct(other)
        if other is leaf or column is None or not len(column.values) or column.day:
            continue
        if any(how(one) in targets for one in _spellings(islice(column.values, MOST))):
            return f"'{other.path}'"
    numbers = (b"%d" % one for one in range(NUMBERS))
    padded = (b"%0*d" % (width, one) for width in (6, 8, 10) for one in range(10_000))
    if any(how(one) in targets for one in numbers) or any(how(one) in targets for one in padded):
        return "whole numbers below a million"
    return ""


def _spellings(values: Iterable[object]) -> Iterator[bytes]:
    for value in values:
        text = str(value)
        bare = "".join(one for one in text if one.isalnum())
        yield from {one.encode() for one in (text, bare, text.lower(), text.upper(), bare.upper())}


def _keys(context: Context) -> Iterator[tuple[Sheet, Leaf, str, Distinct]]:
    """Places that say whose record it is."""
    declared = context.declared.pseudonyms.column
    for sheet, leaf, where in context.leaves():
        own = context.role(where) in ("patient", "identifier") or leaf.path == sheet.patient
        if sheet.source == FHIR:
            own = leaf.path == "Patient.id"
        if own or (declared and declared in (where, leaf.path)):
            column = context.distinct(leaf)
            if column is not None and len(column.values) >= 2:
                yield sheet, leaf, where, column


def _sequential(context: Context) -> Iterator[Finding | Skipped]:
    looked = False
    for sheet, _, where, column in _keys(context):
        looked = True
        digits = column.matching(r"^[A-Za-z\-_]*[0-9]{1,15}$")
        if column.share(digits) < 0.95:
            continue
        numbers = np.array([int("".join(c for c in one if c.isdigit())) for one in column.texts(digits)], np.int64)
        spread = int(numbers.max() - numbers.min()) + 1
        if spread <= 1.2 * len(np.unique(numbers)) and len(numbers) >= 10:
            severity = Severity.NOTE if sheet.source == OMOP else Severity.WARN
            says = "pseudonyms are numbered one after the other: they may tell in which order patients came"
            remedy = "draw pseudonyms at random, or shuffle patients before numbering them"
            yield hipaa.found(SEQUENTIAL, where, column.total, sheet.rows, severity, says, remedy)
    if not looked:
        yield Skipped("no place says whose record it is")


def _reused(context: Context) -> Iterator[Finding | Skipped]:
    """Pseudonyms that stand elsewhere in the same sheet as a business identifier were never replaced."""
    looked = False
    for sheet, leaf, where, column in _keys(context):
        looked = True
        known = set(column.texts(np.ones(len(column.values), np.bool_)))
        for other in sheet.leaves.values():
            if not other.path.endswith(("dentifier.value", "_source_value", "mrn", "MRN")) or other is leaf:
                continue
            found = context.distinct(other)
            if found is None or not len(found.values):
                continue
            texts = [one.removeprefix("urn:uuid:") for one in found.values.to_pylist()]
            hits = len(known.intersection(texts))
            if hits > 0.1 * len(known):
                says = f"the pseudonyms are the numbers that stand in '{other.path}': they were not replaced"
                remedy = "give every patient a new, random pseudonym when exporting"
                yield hipaa.found(REUSED, where, hits, len(known), Severity.BLOCK, says, remedy)
    if context.declared.pseudonyms.rule == "original":
        says, remedy = "it is declared that identifiers were not replaced", "replace them by random pseudonyms"
        yield Finding(REUSED, "declaration", None, None, int(Severity.BLOCK), says, remedy)
    elif not looked:
        yield Skipped("no place says whose record it is")


RULES: tuple[Rule, ...] = (
    Rule(
        HASHED,
        "Hashes that can be undone",
        "Finds values written like MD5, SHA-1 or SHA-256 hashes, and tries whether they are plain hashes of whole "
        "numbers "
        "below a million or of any other column of the same sheet. Finds UUIDs that tell time and machine.",
        (hipaa.OTHER, hipaa.SSN, hipaa.RECORD),
        SOURCES,
        _hashed,
    ),
    Rule(
        SEQUENTIAL,
        "Pseudonyms in order",
        "Looks whether pseudonyms of patients are numbered one after the other.",
        (hipaa.OTHER,),
        SOURCES,
        _sequential,
    ),
    Rule(
        REUSED,
        "Identifiers that were not replaced",
        "Compares the pseudonyms of patients with business identifiers in the same records.",
        (hipaa.RECORD, hipaa.OTHER),
        SOURCES,
        _reused,
    ),
)
