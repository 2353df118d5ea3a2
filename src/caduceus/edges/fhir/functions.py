"""FHIRPath's functions, each made of the closures of its source and its arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from caduceus.edges.fhir.elements import Always, Env, Evaluate
from caduceus.edges.fhir.keys import reference_key, resource_key
from caduceus.edges.fhir.moments import boundary
from caduceus.edges.fhir.operators import FALSE, NONE, TRUE, Items, distinct, said, same, single, truth
from caduceus.errors import Refused


@dataclass(frozen=True, slots=True)
class Function:
    """A function.

    make       from the source, and the arguments, to the closure
    arguments  how many it takes
    """

    make: Callable[..., Evaluate]
    arguments: tuple[int, ...]


def then(first: Evaluate, second: Evaluate) -> Evaluate:
    """One after the other."""
    return lambda items, env: second(first(items, env), env)


def indexed(source: Evaluate, index: Evaluate) -> Evaluate:
    """`source[index]`."""

    def picked(items: Items, env: Env) -> Items:
        found, at = source(items, env), index(items, env)
        if not at:
            return NONE
        place = single(at, "an index")
        if type(place) is not int:
            raise Refused("an index has to be a whole number")
        return (found[place],) if 0 <= place < len(found) else NONE

    return picked


def member_of(one: Evaluate, many: Evaluate) -> Evaluate:
    """`one in many`."""
    if isinstance(many, Always) and all(isinstance(item, str) for item in many.items):
        texts = frozenset(many.items)

        def among(items: Items, env: Env) -> Items:
            wanted = one(items, env)
            if not wanted:
                return NONE
            value = single(wanted, "the left side of 'in'")
            return TRUE if type(value) is str and value in texts else FALSE

        return among

    def judged(items: Items, env: Env) -> Items:
        wanted = one(items, env)
        if not wanted:
            return NONE
        value = single(wanted, "the left side of 'in'")
        return said(any(same(value, other) for other in many(items, env)))

    return judged


def union(left: Evaluate, right: Evaluate) -> Evaluate:
    """`left | right`."""
    if isinstance(left, Always) and isinstance(right, Always):
        return Always(distinct([*left.items, *right.items]))
    return lambda items, env: distinct([*left(items, env), *right(items, env)])


def first_of(alternatives: Sequence[Evaluate]) -> Evaluate:
    """`(a | b | ...).first()`: what is not needed is not looked at."""

    def found(items: Items, env: Env) -> Items:
        for one in alternatives:
            if values := one(items, env):
                return values[:1]
        return NONE

    return found


def _where(source: Evaluate, criterion: Evaluate) -> Evaluate:
    def kept(items: Items, env: Env) -> Items:
        out = []
        for item in source(items, env):
            verdict = criterion((item,), env)
            if verdict and truth(verdict):
                out.append(item)
        return out

    return kept


def _select(source: Evaluate, projection: Evaluate) -> Evaluate:
    return lambda items, env: [one for item in source(items, env) for one in projection((item,), env)]


def _all(source: Evaluate, criterion: Evaluate) -> Evaluate:
    return lambda items, env: said(all(truth(criterion((item,), env)) for item in source(items, env)))


def _exists(source: Evaluate, criterion: Evaluate | None = None) -> Evaluate:
    if criterion is not None:
        source = _where(source, criterion)
    return lambda items, env: TRUE if source(items, env) else FALSE


def _not(source: Evaluate) -> Evaluate:
    def denied(items: Items, env: Env) -> Items:
        value = truth(source(items, env))
        return said(None if value is None else not value)

    return denied


def _single(source: Evaluate) -> Evaluate:
    def only(items: Items, env: Env) -> Items:
        found = source(items, env)
        if len(found) > 1:
            raise Refused("single() found several values")
        return found

    return only


def _join(source: Evaluate, separator: Evaluate | None = None) -> Evaluate:
    def joined(items: Items, env: Env) -> Items:
        found = source(items, env)
        between = "".join(separator(items, env)) if separator is not None else ""
        if not all(isinstance(one, str) for one in found):
            raise Refused("join() joins texts only")
        return (between.join(found),)

    return joined


def _iif(source: Evaluate, condition: Evaluate, yes: Evaluate, no: Evaluate | None = None) -> Evaluate:
    def chosen(items: Items, env: Env) -> Items:
        focus = source(items, env)
        if truth(condition(focus, env)):
            return yes(focus, env)
        return NONE if no is None else no(focus, env)

    return chosen


def _slice(source: Evaluate, count: Evaluate, *, skip: bool) -> Evaluate:
    def cut(items: Items, env: Env) -> Items:
        number = single(count(items, env) or (0,), "a count")
        if type(number) is not int:
            raise Refused("a count has to be a whole number")
        found, number = source(items, env), max(number, 0)
        return found[number:] if skip else found[:number]

    return cut


def boundaries(source: Evaluate, *, high: bool, clock: bool) -> Evaluate:
    """`lowBoundary()` and `highBoundary()`; see `moments.boundary`."""

    def bound(items: Items, env: Env) -> Items:
        ends = (boundary(item, high=high, clock=clock) for item in source(items, env))
        return [end for end in ends if end is not None]

    return bound


def reference_keys(source: Evaluate, wanted: str | None) -> Evaluate:
    """`getReferenceKey(Type)`."""

    return _keys(source, lambda item: reference_key(item, wanted))


def _resource_keys(source: Evaluate) -> Evaluate:
    return _keys(source, resource_key)


def _keys(source: Evaluate, of: Callable[[Any], str | None]) -> Evaluate:
    def keys(items: Items, env: Env) -> Items:
        found = source(items, env)
        if len(found) == 1:
            key = of(found[0])
            return NONE if key is None else (key,)
        return [key for key in map(of, found) if key is not None]

    return keys


def _of(whole: Callable[[Items], Any]) -> Callable[[Evaluate], Evaluate]:
    """A function of the whole collection, as one value."""
    return lambda source: lambda items, env: (whole(source(items, env)),)


def _part(part: Callable[[Items], Items]) -> Callable[[Evaluate], Evaluate]:
    """A function that takes some of a collection."""
    return lambda source: lambda items, env: part(source(items, env))


FUNCTIONS: Mapping[str, Function] = {
    "all": Function(_all, (1,)),
    "count": Function(_of(len), (0,)),
    "distinct": Function(_part(distinct), (0,)),
    "empty": Function(_of(lambda found: not found), (0,)),
    "exists": Function(_exists, (0, 1)),
    "first": Function(_part(lambda found: found[:1]), (0,)),
    "getResourceKey": Function(_resource_keys, (0,)),
    "iif": Function(_iif, (2, 3)),
    "join": Function(_join, (0, 1)),
    "last": Function(_part(lambda found: found[-1:]), (0,)),
    "not": Function(_not, (0,)),
    "select": Function(_select, (1,)),
    "single": Function(_single, (0,)),
    "skip": Function(lambda source, count: _slice(source, count, skip=True), (1,)),
    "tail": Function(_part(lambda found: found[1:]), (0,)),
    "take": Function(lambda source, count: _slice(source, count, skip=False), (1,)),
    "where": Function(_where, (1,)),
}
"""The functions that are compiled, by name; the others are the library's."""
