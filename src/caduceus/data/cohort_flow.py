"""How many patients each condition of a cohort leaves, as a reviewer wants to see it and nobody else may exactly."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from caduceus.data.readiness.finding import FEW, Finding, Severity, masked


@dataclass(frozen=True, slots=True)
class Step:
    """What is left after one condition; exact, and therefore never leaves the site.

    says      the condition, in words
    patients  how many have a row left
    rows      how many rows are left
    """

    says: str
    patients: int
    rows: int


@dataclass(frozen=True, slots=True)
class Loss:
    """Records of a column that could not be used; exact, and therefore never leaves the site.

    column   its name
    unit     values in a unit that is not known to be convertible, or without one
    outside  values that were outside the plausible range
    answer   coded answers that are no level of the category
    """

    column: str
    unit: int
    outside: int
    answer: int


def tell(flow: Iterable[Step]) -> list[tuple[str, str]]:
    """The flow as it may be shown: neither a number of patients from 1 to 10, nor one that differs by as little.

    Who sees that 500 patients become 497 knows of three, so a step that leaves out fewer than eleven is only told
    to be one; its number stays that of the last step that was told, until eleven have gone.

    returns  (condition, patients left) in words
    """
    lines: list[tuple[str, str]] = []
    shown: int | None = None
    for step in flow:
        gone = None if shown is None else shown - step.patients
        if 0 < step.patients < FEW:
            lines.append((step.says, f"fewer than {FEW}"))
            shown = step.patients if shown is None else shown
        elif gone is not None and 0 < gone < FEW:
            lines.append((step.says, f"{shown:,}, less fewer than {FEW}"))
        else:
            lines.append((step.says, f"{step.patients:,}"))
            shown = step.patients
    return lines


def findings(losses: Iterable[Loss]) -> tuple[Finding, ...]:
    """What could not be used of a cohort's records, as readiness reports write it."""
    return tuple(
        Finding(rule, loss.column, masked(count), None, Severity.WARN, says, remedy)
        for loss in losses
        for count, rule, says, remedy in (
            (
                loss.unit,
                "cohort.unit",
                "values in a unit that cannot be converted to the column's, or without a unit; they count as missing",
                "map the unit to UCUM in the source, or name the 'substance' in the schema",
            ),
            (
                loss.outside,
                "cohort.range",
                "values outside the plausible range of the column",
                "look whether the source mixes units or writes codes such as 999; correct it there",
            ),
            (
                loss.answer,
                "cohort.answer",
                "answers that are no level of the category; they count as missing",
                "list the answers that this source gives among the levels",
            ),
        )
        if count
    )
