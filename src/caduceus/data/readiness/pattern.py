"""What a pattern of identifiers is."""

from __future__ import annotations

from dataclasses import dataclass

from caduceus.data.readiness.identifier_checks import Check


@dataclass(frozen=True, slots=True)
class Pattern:
    """One way in which an identifier is written.

    name    after "identifier.": the rule that it makes, alone or with others of that name
    what    for people, in the plural
    hipaa   the class
    regex   RE2, for a whole trimmed value, case ignored
    check   what the value must pass besides, separators removed and in capitals; None if nothing
    share   least share of a column's values that must fit, without a hint; 0 if one is enough
    least   least number of different values that fit, without a hint
    hints   words of a column's name that point here: then `share` and `least` do not count
    plain   whether the shape is so common that without a hint it says nothing
    """

    name: str
    what: str
    hipaa: int
    regex: str
    check: Check | None = None
    share: float = 0.0
    least: int = 1
    hints: tuple[str, ...] = ()
    plain: bool = False


def whole(body: str) -> str:
    """A pattern that a whole value has to match."""
    return f"^(?:{body})$"
