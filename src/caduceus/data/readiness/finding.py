"""What a rule found: where, how often, how bad, and what to do; never a value."""

from __future__ import annotations

from enum import IntEnum

from caduceus import canon
from caduceus.errors import Misuse

FEW = 11
"""A count from 1 to one less than this is said only as "fewer than 11" (the small-cell rule of US Medicare)."""


class Severity(IntEnum):
    """How bad a finding is."""

    NOTE = 1
    """Worth knowing; changes no verdict."""
    WARN = 2
    """Somebody has to look and decide."""
    BLOCK = 3
    """The data set must not be lent like this."""


@canon.record("data/finding/1")
class Finding:
    """What one rule found in one place.

    rule      the rule's name, as "identifier.ssn"
    where     sheet and column, or FHIR path, as "Patient.identifier.value"; never a value
    count     how many records are concerned; None if there are fewer than `FEW`, or if the rule counts nothing
    of        how many records were looked at; None where that says nothing, or is below `FEW`
    severity  see `Severity`
    says      what was found, in words; no value from a record, and no count below `FEW`
    remedy    what to do about it
    """

    rule: str
    where: str
    count: int | None
    of: int | None
    severity: int
    says: str
    remedy: str

    def __post_init__(self) -> None:
        for number in (self.count, self.of):
            if number is not None and 0 < number < FEW:
                raise Misuse(f"Finding: {self.rule} at {self.where} would publish a count below {FEW}; mask it")


def masked(count: int) -> int | None:
    """A count as a finding may say it: itself if it is 0 or at least `FEW`, else None."""
    return None if 0 < count < FEW else count
