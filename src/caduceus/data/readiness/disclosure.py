"""Re-identification: may somebody who knows a little of a person find that person's record, or learn from it?

Thresholds follow Health Canada and the European Medicines Agency (policy 0070): a class needs 11 persons, so that
nobody in it can be pointed out with a chance above 0.09. The declaration may ask for another number.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import pyarrow as pa

from caduceus.data.readiness import naming
from caduceus.data.readiness.coded import Coded, Integers, code, per_record, share
from caduceus.data.readiness.diversity import Diversity, diversity
from caduceus.data.readiness.finding import FEW, Finding, Severity, masked
from caduceus.data.readiness.rule import Context, Rule, Skipped
from caduceus.data.readiness.sheet import FHIR, OMOP, TABLE, Leaf, Sheet
from caduceus.data.readiness.uniqueness import Search, classes, correct_match, search

LIMIT = 0.05
"""Share of records in small classes from which a set of columns is named."""
LARGEST = 3
"""Columns in a set: what an acquaintance, a neighbour or a newspaper knows of one stay."""
NAMED = 5
"""Sets named at most."""
COARSE = 8
"""Quasi-identifiers that are paired in the look for groups alike."""
SECRETS = 8
"""Sensitive columns looked at in one sheet, at most."""
NEWS = 0.1
"""How far a group's value is from what is known of everybody (t-closeness) before it is news."""
WIDEST = 40
"""Quasi-identifiers searched at most; beyond, those with the most levels."""
PEOPLE = ("Patient", "person")
"""The sheets of FHIR and OMOP that hold one record per person."""
NOT_KNOWN = ("identifier", "patient", "target", "ignore")
"""Roles of columns that are no quasi-identifiers: looked at by other rules, to be predicted, or not read."""


def look_for_unique(context: Context) -> Iterator[Finding | Skipped]:
    """Search every sheet of persons for the column sets that single them out."""
    looked = False
    for sheet in _sheets(context):
        known = quasi_identifiers(context, sheet)
        if not known:
            yield Skipped(
                "no column is known as a quasi-identifier; name them as 'quasi' in the declaration", sheet.name
            )
            continue
        looked = True
        found = search(known, k=context.declared.k, limit=LIMIT, largest=LARGEST, who=persons(sheet))
        yield from _exposed(context, sheet, found)
    if not looked and not list(_sheets(context)):
        yield Skipped("no sheet holds one record per person")


def look_for_alike(context: Context) -> Iterator[Finding | Skipped]:
    """Look for groups that are large enough to hide in, and whose members all have the same sensitive value."""
    looked = False
    for sheet in _sheets(context):
        known = quasi_identifiers(context, sheet)
        hidden = sensitive(context, sheet, tuple(one.name for one in known))
        if not known or not hidden or not sheet.rows:
            continue
        looked = True
        k = context.declared.k
        worst: dict[str, tuple[int, tuple[str, ...], Diversity]] = {}
        for chosen in _small_sets(known):
            codes, count = classes(chosen)
            for one in hidden:
                measured = diversity(codes, count, one)
                alike = measured.alike(k, NEWS)
                if alike > (worst[one.name][0] if one.name in worst else 0):
                    worst[one.name] = alike, tuple(column.name for column in chosen), measured
        for name, (alike, columns, measured) in worst.items():
            yield Finding(
                rule="disclosure.alike",
                where=sheet.place(name),
                count=masked(alike),
                of=masked(sheet.rows),
                severity=Severity.WARN,
                says=f"who knows {_names(columns)} of a person knows this column too for {share(alike, sheet.rows)}:"
                f" groups of {k} or more have one and the same value (distinct l-diversity 1, entropy"
                f" l-diversity {measured.least_entropy(k):.2f}, t-closeness {measured.farthest(k):.2f})",
                remedy="coarsen the named columns, or keep this column among the withheld",
            )
    if not looked:
        yield Skipped("no sheet of persons has both quasi-identifiers and a sensitive column")


def _small_sets(known: tuple[Coded, ...]) -> list[tuple[Coded, ...]]:
    """Single columns and pairs, of those with the fewest levels: the others leave no group to hide in."""
    few = sorted(known, key=lambda one: one.levels)[:COARSE]
    return [(one,) for one in few] + list(combinations(few, 2))


def quasi_identifiers(context: Context, sheet: Sheet) -> tuple[Coded, ...]:
    """The columns of a sheet that outsiders may know, as codes: declared, or guessed by name.

    Columns that split the records exactly as an earlier one does are left out, and so are constant ones.
    """
    found: list[tuple[int, Coded]] = []
    for leaf in sheet.leaves.values():
        place = sheet.place(leaf.path)
        declared = naming.is_named(leaf.path, context.declared.quasi, place)
        if leaf.path == sheet.patient or not (declared or _is_guessed(context, leaf, place)):
            continue
        one = code(per_record(leaf, sheet.rows), leaf.path)
        used = one.used
        if used > 1 and not any(used == number and _same_partition(one, other, used) for number, other in found):
            found.append((used, one))
    return tuple(one for _, one in sorted(found, key=lambda pair: -pair[0])[:WIDEST])


def sensitive(context: Context, sheet: Sheet, known: tuple[str, ...]) -> tuple[Coded, ...]:
    """The columns of a sheet that an outsider would like to learn: declared, targets, or guessed by name."""
    found = []
    for leaf in sheet.leaves.values():
        place = sheet.place(leaf.path)
        wanted = naming.is_named(leaf.path, context.declared.sensitive, place) or context.role(place) == "target"
        guessed = not context.role(place) and not context.declared.sensitive
        guessed = (
            guessed and naming.speaks_of(leaf.path, naming.SENSITIVE) and not pa.types.is_temporal(leaf.values.type)
        )
        if leaf.path not in known and leaf.path != sheet.patient and (wanted or guessed):
            one = code(per_record(leaf, sheet.rows), leaf.path)
            if 1 < one.used <= max(sheet.rows // 2, 2):
                found.append(one)
    return tuple(found[:SECRETS])


def persons(sheet: Sheet) -> Integers | None:
    """The number of the person that every record is of; None if every record is another person."""
    if not sheet.patient or sheet.patient not in sheet.leaves or sheet.name in PEOPLE:
        return None
    one = code(per_record(sheet.leaves[sheet.patient], sheet.rows))
    return None if one.used == sheet.rows else one.codes


def _exposed(context: Context, sheet: Sheet, found: Search) -> Iterator[Finding | Skipped]:
    guard = "; every record counts as another person" if persons(sheet) is None else "; counted by persons"
    for one in found.minimal[:NAMED]:
        yield Finding(
            rule="disclosure.unique",
            where=f"{sheet.name}.{{{', '.join(one.columns)}}}",
            count=masked(one.small),
            of=masked(found.rows),
            severity=Severity.WARN,
            says=f"{_names(one.columns)}: {share(one.unique, found.rows)} are alone in their values, "
            f"and {share(one.small, found.rows)} share them with fewer than {found.k} persons in all{guard}",
            remedy="coarsen or withhold one of them (age in bands, months instead of days, region instead of place)",
        )
    if len(found.minimal) > NAMED:
        yield _note(
            sheet, found, f"{len(found.minimal) - NAMED} further sets of up to {found.largest} columns do so too"
        )
    if not found.minimal and found.whole.small:
        worst = max(found.worst, key=lambda one: one.small)
        yield _note(
            sheet,
            found,
            f"no set of up to {found.largest} columns leaves more than {LIMIT:.0%} of the records in classes below "
            f"{found.k}; the worst is {_names(worst.columns)} with {share(worst.small, found.rows)}",
        )
    if found.whole.small and (len(found.whole.columns) > 1 or context.declared.population.sampling):
        yield _note(sheet, found, _together(context, found))
    if found.left:
        yield _note(sheet, found, f"{found.left:,} sets of columns were not looked at; the search had used up its work")


def _together(context: Context, found: Search) -> str:
    text = (
        f"all {len(found.whole.columns)} quasi-identifiers together: {share(found.whole.unique, found.rows)} are alone"
    )
    sampling = context.declared.population.sampling
    if sampling is None or found.whole.unique < FEW:
        return text
    chance = correct_match(found.whole.unique, found.whole.pairs, sampling)
    return (
        f"{text}; with {sampling:.2%} of the population in the data, a match with one is right with chance {chance:.2f}"
    )


def _note(sheet: Sheet, found: Search, says: str) -> Finding:
    return Finding(
        rule="disclosure.unique",
        where=sheet.name,
        count=masked(found.whole.small),
        of=masked(found.rows),
        severity=Severity.NOTE,
        says=says,
        remedy="weigh it against who will see results; nothing of single records leaves the site",
    )


def _sheets(context: Context) -> list[Sheet]:
    return [one for one in context.sheets if one.rows and (one.source == TABLE or one.name in PEOPLE)]


def _is_guessed(context: Context, leaf: Leaf, place: str) -> bool:
    role = context.role(place)
    if role in NOT_KNOWN or (role == "" and context.schema is not None):  # what the schema leaves out is not read
        return False
    return role == "site" or naming.speaks_of(leaf.path, naming.QUASI)


def _same_partition(one: Coded, other: Coded, used: int) -> bool:
    """Whether two columns, both with `used` levels, split the records alike."""
    return classes((one, other))[1] == used


def _names(columns: tuple[str, ...]) -> str:
    return columns[0] if len(columns) == 1 else f"{', '.join(columns[:-1])} and {columns[-1]}"


UNIQUE = Rule(
    name="disclosure.unique",
    title="persons who can be singled out by a few columns",
    about="Groups the records of persons by what outsiders may know (age, sex, places, dates, ethnicity, where "
    "they were treated, and what the declaration names as 'quasi'), and searches all sets of up to three of these "
    "columns "
    "for the smallest ones that leave many records alone or in small groups. Joins between sheets are not searched.",
    hipaa=(3, 18),
    sources=(TABLE, FHIR, OMOP),
    look=look_for_unique,
)
ALIKE = Rule(
    name="disclosure.alike",
    title="groups whose members all have the same sensitive value",
    about="A crowd does not protect where all of it has the same diagnosis. Looks in the groups made by one or two "
    "quasi-identifiers for sensitive columns with a single value: distinct and entropy l-diversity, and t-closeness.",
    hipaa=(),
    sources=(TABLE, FHIR, OMOP),
    look=look_for_alike,
)
RULES = (UNIQUE, ALIKE)
