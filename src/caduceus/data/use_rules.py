"""What each term of the Data Use Ontology asks of a job, as a rule that says why not.

What the ontology says in a sentence is a rule here; where its sentence leaves room, docs/terms.md says how it is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from caduceus.data.duo import Modifier, Permission
from caduceus.data.use import Grant
from caduceus.data.use_day import after_months, day_of, show_day
from caduceus.data.use_disease import is_kind_of
from caduceus.data.use_region import lies_in
from caduceus.data.use_request import Organisation, Research, statement
from caduceus.data.use_seen import Case, is_past

# ---------------------------------------------------------------- what it is for

_KINDS: Mapping[Research, str] = {
    Research.GENERAL: "general research",
    Research.HEALTH: "health research",
    Research.ANCESTRY: "ancestry research",
    Research.METHODS: "methods development",
    Research.CARE: "clinical care",
}

_ALLOWED: Mapping[Permission, frozenset[Research]] = {
    Permission.GRU: frozenset(Research) - {Research.CARE},
    Permission.HMB: frozenset({Research.HEALTH, Research.DISEASE}),
    Permission.DS: frozenset({Research.DISEASE}),
    Permission.POA: frozenset({Research.ANCESTRY}),
}
"""NRES allows all. DS looks at the disease besides."""

_IN_WORDS: Mapping[Permission, str] = {
    Permission.GRU: "any research",
    Permission.HMB: "health, medical or biomedical research",
    Permission.POA: "research into population origins or ancestry",
}


def purpose(grant: Grant, case: Case) -> list[str]:
    """Why a permission does not allow what a job is for; nothing if it does."""
    if grant.permission is Permission.NRES:
        return []
    kinds = case.request.research
    if not kinds:
        return ["it does not say what it is for"]
    allowed = _ALLOWED[grant.permission]
    if Modifier.CC in grant.modifiers:
        allowed |= {Research.CARE}
    if set(kinds) - {Research.METHODS, Research.CARE}:
        allowed |= {Research.METHODS}  # methods for something else stay within what that is allowed; alone they do not
    return [
        f"it is for {_named(kind, case)}; allowed is {_welcome(grant)}{_unknown(kind, grant, case)}"
        for kind in kinds
        if kind not in allowed or not _is_wanted(kind, grant, case)
    ]


def _is_wanted(kind: Research, grant: Grant, case: Case) -> bool:
    if kind is not Research.DISEASE or grant.permission is not Permission.DS:
        return True
    return is_kind_of(case.terms.diseases, case.request.disease, grant.diseases)


def _named(kind: Research, case: Case) -> str:
    if kind is Research.DISEASE:
        return f"research on {case.request.disease or 'a disease that it does not name'}"
    return _KINDS[kind]


def _welcome(grant: Grant) -> str:
    said = _IN_WORDS.get(grant.permission) or f"research on {' or '.join(grant.diseases)}"
    return f"{said}, and clinical care" if Modifier.CC in grant.modifiers else said


def _unknown(kind: Research, grant: Grant, case: Case) -> str:
    """By what diseases were compared, where that decided."""
    if kind is not Research.DISEASE or grant.permission is not Permission.DS or not case.request.disease:
        return ""
    if case.terms.diseases is None:
        return " (the terms have no hierarchy of diseases: only the same one matches)"
    return f" (by the hierarchy in {case.terms.diseases.source})"


# ---------------------------------------------------------------- under what conditions

_ACCOUNT = re.compile("0x[0-9a-f]{40}")

Rule = Callable[[Grant, Case], list[str]]
"""Why a modifier does not allow a job; nothing if it does."""


def _listed(claim: str, wanted: Sequence[str], case: Case) -> list[str]:
    """Whether what a job says is among those approved, and proved where the terms ask for that."""
    value = statement(case.request, claim)
    if not value:
        return [f"it names no {claim}"]
    if value not in wanted:
        return [f"its {claim} is not among those approved"]
    return _proved(claim, case)


def _proved(claim: str, case: Case) -> list[str]:
    """Whether a credential says what the job says, where the terms ask for that."""
    if claim not in case.terms.proven or case.seen.proofs is None:
        return []
    value = statement(case.request, claim)
    for proof in case.seen.proofs:
        if (claim, value) in proof.says and (proof.until is None or not is_past(proof.until, case.seen)):
            return []
    return [f"no trusted credential proves its {claim}"]


def _user(grant: Grant, case: Case) -> list[str]:
    if f"0x{case.buyer.hex()}" in [one.lower() for one in grant.users]:
        return []  # the account has signed: nothing else has to be proved
    if not any(case.buyer) and any(_ACCOUNT.fullmatch(one) for one in grant.users):
        return []  # who buys is not known yet, and may be one of them
    return _listed("user", grant.users, case)


def _ethics(_grant: Grant, case: Case) -> list[str]:
    return _proved("ethics", case) if case.request.ethics else ["it names no ethics approval"]


def _moratorium(grant: Grant, case: Case) -> list[str]:
    first = case.request.publish_from
    if not first:
        return [f"it does not promise to publish nothing before {show_day(grant.not_before)}"]
    if first < grant.not_before:
        return [f"it may publish from {show_day(first)}; nothing may be before {show_day(grant.not_before)}"]
    return []


def _region(grant: Grant, case: Case) -> list[str]:
    place = case.request.country
    if not place:
        return ["it does not say where it is done"]
    if not lies_in(place, grant.regions):
        return [f"it is done in {place}; allowed is {' or '.join(grant.regions)}"]
    return _proved("country", case)


def _duration(grant: Grant, case: Case) -> list[str]:
    wanted, now = case.request.months, case.seen.now
    if not wanted:
        return ["it does not say how many months it takes"]
    if wanted > grant.months:
        return [f"it takes {wanted} months; use is approved for {grant.months}"]
    limit = ends(grant, case)
    if limit is None or now is None:
        return []
    if day_of(now) >= limit:
        return [f"use was approved until {show_day(limit)}"]
    last = after_months(day_of(now if case.seen.begun is None else case.seen.begun), wanted)
    if last > limit:
        return [f"it would last until {show_day(last)}; use is approved until {show_day(limit)}"]
    return []


def ends(grant: Grant, case: Case) -> int | None:
    """The day from which on use is not approved any more; None: no limit, or it is not known when it begins."""
    if Modifier.TS not in grant.modifiers:
        return None
    if grant.since:
        return after_months(grant.since, grant.months)
    begun = case.seen.now if case.seen.begun is None else case.seen.begun
    return None if begun is None else after_months(day_of(begun), grant.months)


def _not_for_profit(_grant: Grant, case: Case) -> list[str]:
    if case.request.organisation is Organisation.UNSTATED:
        return ["it does not say what kind of organisation asks"]
    if case.request.organisation is Organisation.FOR_PROFIT:
        return ["the organisation that asks is for profit"]
    return _proved("organisation", case)


def _not_commercial(_grant: Grant, case: Case) -> list[str]:
    if case.request.commercial is None:
        return ["it does not say whether its use is commercial"]
    return ["its use is commercial"] if case.request.commercial else []


def _types(grant: Grant, case: Case) -> list[str]:
    if not case.request.types:
        return ["it does not say of which type it is"]
    others = [one for one in case.request.types if one not in grant.types]
    return [f"it is of type {', '.join(others)}; allowed is {' or '.join(grant.types)}"] if others else []


def _kind_barred(kind: Research) -> Rule:
    return lambda _grant, case: [f"it is for {_KINDS[kind]}"] if kind in case.request.research else []


def _promised(name: str, otherwise: str) -> Rule:
    return lambda _grant, case: [] if getattr(case.request, name) else [otherwise]


RULES: Mapping[Modifier, Rule] = {
    Modifier.RS: _types,
    Modifier.NMDS: _kind_barred(Research.METHODS),
    Modifier.GSO: _promised("genetic", "it is no genetic study"),
    Modifier.NPUNCU: lambda grant, case: [*_not_for_profit(grant, case), *_not_commercial(grant, case)],
    Modifier.PUB: _promised("publish", "it does not promise to publish its results"),
    Modifier.COL: _promised("collaborate", "it does not offer to collaborate"),
    Modifier.IRB: _ethics,
    Modifier.GS: _region,
    Modifier.MOR: _moratorium,
    Modifier.TS: _duration,
    Modifier.US: _user,
    Modifier.PS: lambda grant, case: _listed("project", grant.projects, case),
    Modifier.IS: lambda grant, case: _listed("institution", grant.institutions, case),
    Modifier.RTN: _promised("give_back", "it does not promise to return derived or enriched data"),
    Modifier.NPOA: _kind_barred(Research.ANCESTRY),
    Modifier.NPU: _not_for_profit,
    Modifier.NCU: _not_commercial,
}
"""CC has no rule: it widens what is allowed."""


def obligations(grant: Grant, last: int | None) -> tuple[str, ...]:
    """What a buyer takes on under a grant.

    last  the day on which its use ends, if that is known
    """
    has = grant.modifiers.__contains__
    limit = f"end the use after {grant.months} months" if last is None else f"end the use before {show_day(last)}"
    taken_on = {
        Modifier.PUB: "publish the results",
        Modifier.MOR: f"publish nothing before {show_day(grant.not_before)}",
        Modifier.COL: "collaborate with the data's investigators",
        Modifier.RTN: "return derived or enriched data",
        Modifier.TS: limit,
    }
    return tuple(what for modifier, what in taken_on.items() if has(modifier))
