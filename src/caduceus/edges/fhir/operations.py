"""FHIRPath's operators, made of the closures of their sides."""

from __future__ import annotations

from collections.abc import Sequence

from caduceus.edges.fhir import operators
from caduceus.edges.fhir.elements import Always, Env, Evaluate
from caduceus.edges.fhir.operators import NONE, Items


def equality(sides: Sequence[Evaluate], *, wanted: bool, temporal: bool) -> Evaluate:
    """`=`, or `!=` if false is wanted; see `operators.equal`."""
    left, right = sides
    if isinstance(right, Always) and len(right.items) == 1 and isinstance(right.items[0], str) and not temporal:
        text, yes, no = right.items[0], operators.said(wanted), operators.said(not wanted)

        def is_text(items: Items, env: Env) -> Items:
            found = left(items, env)
            if not found:
                return NONE
            return yes if len(found) == 1 and found[0] == text else no

        return is_text

    def judged(items: Items, env: Env) -> Items:
        verdict = operators.equal(left(items, env), right(items, env), temporal=temporal)
        return NONE if verdict is None else operators.said(verdict is wanted)

    return judged


def compared(sides: Sequence[Evaluate], sign: str) -> Evaluate:
    """<, <=, > or >=."""
    left, right = sides
    verdict = operators.COMPARISONS[sign]
    return lambda items, env: operators.said(verdict(left(items, env), right(items, env)))


def connected(sides: Sequence[Evaluate], sign: str) -> Evaluate:
    """and, or, xor or implies."""
    left, right = sides
    join, settled = operators.CONNECTIVES[sign], operators.SETTLED.get(sign)

    def joined(items: Items, env: Env) -> Items:
        one = operators.truth(left(items, env))
        if one is not None and one is settled:
            return operators.said(join(one, None))
        return operators.said(join(one, operators.truth(right(items, env))))

    return joined


def calculated(sides: Sequence[Evaluate], sign: str) -> Evaluate:
    """+, -, *, /, div, mod or &."""
    left, right = sides
    return lambda items, env: operators.arithmetic(sign, left(items, env), right(items, env))
