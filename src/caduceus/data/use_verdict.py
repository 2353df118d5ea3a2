"""Whether a job's use is one that a steward's expression allows, why not, and what the buyer takes on if it is."""

from __future__ import annotations

from dataclasses import dataclass

from caduceus.data.use import Grant, How, Use, UseTerms, check_use, places
from caduceus.data.use_day import start_of
from caduceus.data.use_request import UseRequest, check_request
from caduceus.data.use_rules import RULES, ends, obligations, purpose
from caduceus.data.use_seen import NOTHING_SEEN, Case, Seen, is_past
from caduceus.errors import Refused
from caduceus.kinds import Address


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one expression.

    reasons      why it does not allow the job; none if it does
    obligations  what the buyer takes on
    until        when the outcome may be another although nobody does anything, Unix seconds; None: never
    """

    reasons: tuple[str, ...]
    obligations: tuple[str, ...] = ()
    until: int | None = None


def judge_use(terms: UseTerms, request: UseRequest | None, buyer: Address, seen: Seen = NOTHING_SEEN) -> Outcome:
    """Whether a steward's expression allows what a job says of its use.

    request  None: the job says nothing
    buyer    its account, which the chain vouches for; all zero if it is not known yet
    """
    request = UseRequest() if request is None else request
    try:
        check_use(terms.use)
        check_request(request)
    except Refused as problem:
        return Outcome((str(problem),))
    case = Case(terms, request, buyer, seen)
    found = _expression(terms.use, "use", case)
    expiries = [one.until for one in seen.proofs or () if one.until is not None and not is_past(one.until, seen)]
    until = min([*expiries, *([] if found.until is None else [found.until])], default=None)
    rejected = seen.rejected if found.reasons else ()
    return Outcome((*found.reasons, *rejected), found.obligations, until)


def _expression(use: Use, where: str, case: Case) -> Outcome:
    if use.grant is not None:
        return _grant(use.grant, where, case)
    found = [_expression(part, place, case) for place, part in places(use, where)]
    until = min((one.until for one in found if one.until is not None), default=None)
    reasons = tuple(reason for one in found for reason in one.reasons)
    allowing = [one for one in found if not one.reasons]
    if use.how is How.ANY:
        if allowing:  # the first, so that everybody finds the same obligations
            return Outcome((), allowing[0].obligations, until)
        return Outcome(reasons, (), until)
    taken_on = tuple(dict.fromkeys(what for one in found for what in one.obligations))
    return Outcome(reasons, () if reasons else taken_on, until)


def _grant(grant: Grant, where: str, case: Case) -> Outcome:
    said = [f"{grant.permission.name}: {why}" for why in purpose(grant, case)]
    for modifier in grant.modifiers:
        if modifier in RULES:
            said += [f"{modifier.name}: {why}" for why in RULES[modifier](grant, case)]
    reasons = tuple(f"{where} {one}" for one in said)
    last = ends(grant, case)
    until = None if last is None or is_past(start_of(last), case.seen) else start_of(last)
    return Outcome(reasons, () if reasons else obligations(grant, last), until)
