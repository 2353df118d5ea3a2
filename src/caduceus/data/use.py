"""What data may be used for: a steward's side, with which `use_verdict` compares what a job says.

It is an expression: grants, each a permission with its modifiers, joined by "any of" and "all of".
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum

from caduceus import canon
from caduceus.data.duo import LABELS, VALUED, Modifier, Permission
from caduceus.data.use_day import show_day
from caduceus.data.use_disease import Diseases
from caduceus.errors import Refused

MOST_DEEP = 4
"""Levels of an expression, grants included."""

MOST_GRANTS = 32
"""Grants of an expression."""

_MOST_DAYS, _MOST_MONTHS = 1_000_000, 1_200


class How(IntEnum):
    """How the parts of an expression are joined."""

    ALONE = 0
    """One grant, no parts."""
    ANY = 1
    ALL = 2


@canon.record("data/use-grant/1")
class Grant:
    """One permission under its modifiers. What belongs to a modifier that is absent is empty or 0.

    diseases      with DS: any of them, and what is a kind of it
    modifiers     rising, all different
    types         with RS: types of research, in the steward's words
    regions       with GS: see `use_region`
    not_before    with MOR: first day on which results may be published
    months        with TS: for how long
    since         with TS: the day from which these count; 0 counts from the day on which a site agrees to a job
    users         with US: identifiers, or accounts as 0x and 40 hex digits
    institutions  with IS
    projects      with PS
    """

    permission: Permission
    modifiers: tuple[Modifier, ...] = ()
    diseases: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    not_before: int = 0
    months: int = 0
    since: int = 0
    users: tuple[str, ...] = ()
    institutions: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()


@canon.record("data/use/1")
class Use:
    """An expression: one grant, or parts of which any or all must allow a job."""

    how: How
    grant: Grant | None = None
    parts: tuple[Use, ...] = ()


@canon.record("data/issuer/1")
class Issuer:
    """Whose word about buyers a steward takes.

    name        for people
    thumbprint  of its P-256 key, RFC 7638, 32 bytes
    account     whose status list on the chain says which of its credentials are revoked; empty if it keeps none
    may_say     claims that are believed
    """

    name: str
    thumbprint: bytes
    account: bytes
    may_say: tuple[str, ...]


@canon.record("data/use-terms/1")
class UseTerms:
    """What a steward says of use.

    diseases  the hierarchy by which DS is judged; None matches the very same disease only
    proven    which of a job's statements count only if a credential says so too (see `use_request.CLAIMS`)
    """

    use: Use
    diseases: Diseases | None = None
    issuers: tuple[Issuer, ...] = ()
    proven: tuple[str, ...] = ()


def grants(use: Use) -> Iterator[Grant]:
    """All grants of an expression."""
    if use.grant is not None:
        yield use.grant
    for part in use.parts:
        yield from grants(part)


def check_use(use: Use) -> None:
    """Raise Refused if an expression is malformed, too deep or too large."""
    if sum(1 for _ in grants(use)) > MOST_GRANTS:
        raise Refused(f"use: more than {MOST_GRANTS} grants")
    _check(use, "use", 1)


def _check(use: Use, where: str, depth: int) -> None:
    if depth > MOST_DEEP:
        raise Refused(f"{where}: more than {MOST_DEEP} levels")
    alone = use.how is How.ALONE
    if alone != (use.grant is not None) or alone == bool(use.parts):
        raise Refused(f"{where}: either one grant, or parts")
    if use.grant is not None:
        _check_grant(use.grant, where)
    for place, part in places(use, where):
        _check(part, place, depth + 1)


def _check_grant(grant: Grant, where: str) -> None:
    if list(grant.modifiers) != sorted(set(grant.modifiers)):
        raise Refused(f"{where}: modifiers stand in rising order, each once")
    values: dict[Modifier, object] = {
        Modifier.RS: grant.types,
        Modifier.GS: grant.regions,
        Modifier.MOR: grant.not_before,
        Modifier.TS: grant.months,
        Modifier.US: grant.users,
        Modifier.IS: grant.institutions,
        Modifier.PS: grant.projects,
    }
    for modifier in sorted(VALUED):
        if (modifier in grant.modifiers) != bool(values[modifier]):
            raise Refused(f"{where}: {modifier.name} and its value go together")
    if (grant.permission is Permission.DS) != bool(grant.diseases):
        raise Refused(f"{where}: DS and its diseases go together")
    if grant.since and not grant.months:
        raise Refused(f"{where}: TS counts months")
    if min(grant.since, grant.months, grant.not_before) < 0 or max(grant.since, grant.not_before) > _MOST_DAYS:
        raise Refused(f"{where}: months and days are not that far away")
    if grant.months > _MOST_MONTHS:
        raise Refused(f"{where}: at most {_MOST_MONTHS} months")


def places(use: Use, where: str) -> list[tuple[str, Use]]:
    """The parts of an expression and where each stands, as "use.any[1]"."""
    return [(f"{where}.{use.how.name.lower()}[{n}]", part) for n, part in enumerate(use.parts, 1)]


def say_use(use: Use) -> str:
    """An expression in words."""
    if use.grant is not None:
        return say_grant(use.grant)
    word = " or " if use.how is How.ANY else " and also "
    return word.join(f"({say_use(part)})" if part.parts else say_use(part) for part in use.parts)


def say_grant(grant: Grant) -> str:
    """A grant in the ontology's words."""
    of = f" ({', '.join(grant.diseases)})" if grant.diseases else ""
    said = [f"{grant.permission.name} {LABELS[grant.permission]}{of}"]
    values = {
        Modifier.RS: ", ".join(grant.types),
        Modifier.GS: ", ".join(grant.regions),
        Modifier.MOR: f"until {show_day(grant.not_before)}",
        Modifier.TS: f"{grant.months} months" + (f" from {show_day(grant.since)}" if grant.since else ""),
        Modifier.US: f"{len(grant.users)} named",
        Modifier.IS: ", ".join(grant.institutions),
        Modifier.PS: ", ".join(grant.projects),
    }
    for one in grant.modifiers:
        value = f" ({values[one]})" if one in values else ""
        said.append(f"{one.name} {LABELS[one]}{value}")
    return ", ".join(said)
