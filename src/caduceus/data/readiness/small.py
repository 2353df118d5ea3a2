"""Small sites, small cells, rare levels and columns that hardly vary: few records are few persons.

A count below 11 is not published (US Medicare's rule for cells); a site below 20 records gives sums that its own
patients dominate.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from caduceus.data.readiness import naming
from caduceus.data.readiness.coded import Coded, code, per_record, present, share
from caduceus.data.readiness.finding import FEW, Finding, Severity, masked
from caduceus.data.readiness.rule import Context, Rule, Skipped
from caduceus.data.readiness.schema_columns import file_column, meant
from caduceus.data.readiness.sheet import FHIR, OMOP, TABLE, Leaf, Sheet

FLOOR = 20
"""Records that a site needs."""
LEVELS = 200
"""A column with more levels than this is no category, so that rare levels mean nothing."""
NUMBERED = 20
"""The same for a column of numbers."""
FIRST = 5_000
"""Records that are enough to see that a column has too many levels."""
CONSTANT = 0.995
"""Share of the records with one value from which a column hardly varies."""


def look_for_small_sites(context: Context) -> Iterator[Finding | Skipped]:
    """Count the records of every site, and of every outcome at every site."""
    looked = False
    for sheet, leaf in _columns(context, "site"):
        looked = True
        sites = code(per_record(leaf, sheet.rows), leaf.path)
        sizes = np.bincount(sites.codes)
        below = sizes[(sizes > 0) & (sizes < FLOOR)]
        if len(below):
            yield Finding(
                rule="small.sites",
                where=sheet.place(leaf.path),
                count=masked(int(below.sum())),
                of=masked(sheet.rows),
                severity=Severity.WARN,
                says=f"{len(below)} of {int((sizes > 0).sum())} sites have fewer than {FLOOR} records",
                remedy="leave small sites out, or join them before training",
            )
        for _, target in _columns(context, "target", of=sheet):
            yield from _small_cells(sheet, sites, _outcome(context, sheet, target))
    if not looked:
        yield Skipped("no column names sites")


def look_for_small_outcomes(context: Context) -> Iterator[Finding | Skipped]:
    """Count the records of every outcome."""
    looked = False
    for sheet, leaf in _columns(context, "target"):
        looked = True
        one = _outcome(context, sheet, leaf)
        sizes = np.bincount(one.codes)
        if (sizes > 0).sum() > LEVELS:
            continue
        few = sizes[(sizes > 0) & (sizes < FEW)]
        if len(few):
            yield Finding(
                rule="small.outcomes",
                where=sheet.place(leaf.path),
                count=masked(int(few.sum())),
                of=masked(sheet.rows),
                severity=Severity.WARN,
                says=f"{len(few)} of {int((sizes > 0).sum())} outcomes have fewer than {FEW} records",
                remedy="join rare outcomes, or do not publish counts by outcome",
            )
    if not looked:
        yield Skipped("no column is the target; give it the role 'target' in the schema")


def look_for_rare_levels(context: Context) -> Iterator[Finding]:
    """Count the records of every level of categorical columns."""
    for sheet in context.sheets:
        if sheet.source != TABLE:
            continue
        for leaf in sheet.leaves.values():
            place = sheet.place(leaf.path)
            if (
                context.role(place) in ("identifier", "patient", "ignore", "site", "target")
                or leaf.path == sheet.patient
            ):
                continue
            values = meant(per_record(leaf, sheet.rows), file_column(context, leaf.path))
            most = LEVELS if _is_text(values) else NUMBERED
            if len(values[:FIRST].unique()) > most + 1:
                continue
            one = code(values, leaf.path)
            sizes = np.bincount(one.codes[present(values)])
            used = sizes[sizes > 0]
            few = used[used < FEW]
            if not len(few) or not 1 < len(used) <= min(most, sheet.rows // (2 * FEW)):
                continue
            yield Finding(
                rule="small.levels",
                where=place,
                count=masked(int(few.sum())),
                of=masked(sheet.rows),
                severity=Severity.NOTE,
                says=f"{len(few)} of {len(used)} levels have fewer than {FEW} records",
                remedy="join rare levels in the schema; a coefficient of a rare level is about few persons",
            )


def look_for_constant(context: Context) -> Iterator[Finding | Skipped]:
    """Look for columns with one value in all or nearly all records, missing values being a value."""
    for sheet in context.sheets:
        if sheet.source != TABLE:
            continue
        if sheet.rows < FEW:
            yield Skipped(f"fewer than {FEW} records", sheet.name)
            continue
        for leaf in sheet.leaves.values():
            place = sheet.place(leaf.path)
            if context.role(place) == "ignore" or (context.schema is not None and not context.role(place)):
                continue
            values = per_record(leaf, sheet.rows)
            top = int(np.bincount(code(values).codes).max(initial=0))
            if top < CONSTANT * sheet.rows:
                continue
            empty = not present(values).any()
            others = sheet.rows - top
            yield Finding(
                rule="small.constant",
                where=place,
                count=masked(others),
                of=masked(sheet.rows),
                severity=Severity.WARN if context.role(place) else Severity.NOTE,
                says="no record has a value" if empty else _says_constant(others, sheet.rows),
                remedy="give the column the role 'ignore'; it teaches nothing, and its few other values are few "
                "persons",
            )


def _is_text(values: pa.Array) -> bool:
    return bool(pa.types.is_string(values.type) or pa.types.is_large_string(values.type))


def _says_constant(others: int, rows: int) -> str:
    if not others:
        return "every record has the same value"
    return f"all but {share(others, rows)} have the same value"


def _outcome(context: Context, sheet: Sheet, leaf: Leaf) -> Coded:
    """A target as the schema reads it: five codes may be two outcomes."""
    return code(meant(per_record(leaf, sheet.rows), file_column(context, leaf.path)), leaf.path)


def _small_cells(sheet: Sheet, sites: Coded, outcome: Coded) -> Iterator[Finding]:
    if outcome.levels > LEVELS:
        return
    cells = np.bincount(sites.codes * outcome.levels + outcome.codes)
    few = cells[(cells > 0) & (cells < FEW)]
    if len(few):
        yield Finding(
            rule="small.sites",
            where=f"{sheet.name}.{{{sites.name}, {outcome.name}}}",
            count=masked(int(few.sum())),
            of=masked(sheet.rows),
            severity=Severity.WARN,
            says=f"{len(few)} of {int((cells > 0).sum())} cells of site and outcome have fewer than {FEW} records",
            remedy="publish no counts by site and outcome; sums over all sites are not concerned",
        )


def _columns(context: Context, role: str, of: Sheet | None = None) -> Iterator[tuple[Sheet, Leaf]]:
    """Columns of a role by the schema; where there is no schema, sites by their names."""
    for sheet, leaf, place in context.leaves():
        if (of is not None and sheet is not of) or not sheet.rows:
            continue
        guessed = role == "site" and context.schema is None and naming.speaks_of(leaf.path, naming.SITE)
        if context.role(place) == role or (guessed and not context.role(place) and sheet.source == TABLE):
            yield sheet, leaf


RULES = (
    Rule(
        name="small.sites",
        title="sites with few records, and few records by site and outcome",
        about=f"Sites below {FLOOR} records, and cells of site and outcome below {FEW}: who publishes results by site "
        "would publish single persons.",
        hipaa=(),
        sources=(TABLE, FHIR, OMOP),
        look=look_for_small_sites,
    ),
    Rule(
        name="small.outcomes",
        title="outcomes with few records",
        about=f"Outcomes below {FEW} records; a model's error on them is about few persons.",
        hipaa=(),
        sources=(TABLE, FHIR, OMOP),
        look=look_for_small_outcomes,
    ),
    Rule(
        name="small.levels",
        title="rare levels of categories",
        about=f"Levels of categorical columns with fewer than {FEW} records.",
        hipaa=(),
        sources=(TABLE,),
        look=look_for_rare_levels,
    ),
    Rule(
        name="small.constant",
        title="columns that hardly vary",
        about="Columns with one value in 99.5 % of the records or more, missing values counted as one.",
        hipaa=(),
        sources=(TABLE,),
        look=look_for_constant,
    ),
)
