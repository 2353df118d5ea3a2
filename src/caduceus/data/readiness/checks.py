"""What a check of data quality says: passed, failed, or nothing to check; and how many of them become findings.

The three contexts and categories are those of Kahn et al., "A harmonized data quality assessment terminology", eGEMs
4(1), 2016, which the OHDSI Data Quality Dashboard follows: conformance, completeness, plausibility.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from caduceus.data.readiness.coded import share
from caduceus.data.readiness.finding import Finding, Severity, masked

CONFORMANCE, COMPLETENESS, PLAUSIBILITY = "conformance", "completeness", "plausibility"
PASS, FAIL, NOT_APPLICABLE, NOT_DONE = "pass", "fail", "not applicable", "not done"

STRUCTURE = ("cdmTable", "cdmField")
"""Checks that count no records."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check in one place.

    name      of the check, as "plausibleAfterBirth"
    category  conformance, completeness or plausibility
    sheet     where
    column    where; "" for a whole sheet
    state     pass; fail; not applicable: there is nothing to look at; not done: something to look with is missing
    failed    records, values or persons that fail
    of        of how many
    grave     whether a failure makes results wrong, rather than fewer
    reason    why it is not applicable or not done
    """

    name: str
    category: str
    sheet: str
    column: str
    state: str
    failed: int = 0
    of: int = 0
    grave: bool = True
    reason: str = ""

    @property
    def place(self) -> str:
        """Sheet and column."""
        return f"{self.sheet}.{self.column}" if self.column else self.sheet


def judged(
    name: str, category: str, place: tuple[str, str], failed: int, of: int, percent: float, grave: bool
) -> Check:
    """A check that was made: it fails where more than `percent` of what was looked at does."""
    if not of:
        return Check(name, category, *place, NOT_APPLICABLE, grave=grave, reason="no values")
    return Check(name, category, *place, FAIL if 100 * failed > percent * of else PASS, failed, of, grave)


def findings(rule: str, checks: Iterable[Check]) -> Iterator[Finding]:
    """One finding for each check and sheet that failed somewhere, and a note of how many passed."""
    made = tuple(checks)
    groups: dict[tuple[str, str], list[Check]] = {}
    for one in made:
        if one.state == FAIL:
            groups.setdefault((one.name, one.sheet), []).append(one)
    for (name, sheet), failed in groups.items():
        worst = max(failed, key=lambda one: one.failed / max(one.of, 1))
        columns = list(dict.fromkeys(one.column for one in failed if one.column))
        where = failed[0].place if len(columns) < 2 else f"{sheet}.{{{', '.join(columns)}}}"
        if name in STRUCTURE:
            says = f"{name} ({worst.category}): not there" + (f", {len(failed)} in all" if len(failed) > 1 else "")
        else:
            said = share(worst.failed, worst.of).replace(" of the records", "")
            says = f"{name} ({worst.category}) fails in {len(failed)} place{'s' * (len(failed) > 1)}; at worst {said}"
            says += f", in {worst.column}" if len(columns) > 1 else ""
        yield Finding(
            rule=rule,
            where=where,
            count=None if name in STRUCTURE else masked(worst.failed),
            of=None if name in STRUCTURE else masked(worst.of),
            severity=Severity.WARN if worst.grave else Severity.NOTE,
            says=says,
            remedy="correct it in the source or the conversion, or leave these columns out of jobs",
        )
    if made:
        number = {state: sum(one.state == state for one in made) for state in (PASS, FAIL, NOT_APPLICABLE, NOT_DONE)}
        yield Finding(
            rule=rule,
            where="all sheets",
            count=None,
            of=None,
            severity=Severity.NOTE,
            says=f"of {len(made)} checks {number[PASS]} passed, {number[FAIL]} failed, {number[NOT_APPLICABLE]} had "
            "nothing to"
            f" look at, {number[NOT_DONE]} could not be made",
            remedy="none",
        )
