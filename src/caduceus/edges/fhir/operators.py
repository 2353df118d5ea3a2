"""What FHIRPath's operators do to collections of JSON values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal, DivisionByZero, InvalidOperation
from typing import Any

from caduceus.edges.fhir import moments
from caduceus.errors import Refused

Items = Sequence[Any]
"""A collection: values as JSON gives them, none of them None. Never changed in place."""

NONE: Items = ()
TRUE: Items = (True,)
FALSE: Items = (False,)


def truth(items: Items) -> bool | None:
    """A collection as a condition: None if empty, the boolean itself, and true for one value of another kind.

    Raises Refused if there are several values.
    """
    if not items:
        return None
    if len(items) > 1:
        raise Refused("a condition has several values; select one, as by first() or exists()")
    return items[0] if type(items[0]) is bool else True


def said(value: bool | None) -> Items:
    """A condition as a collection."""
    return NONE if value is None else TRUE if value else FALSE


def single(items: Items, what: str) -> Any:
    """The only value of a collection that is not empty.

    Raises Refused if there are several.
    """
    if len(items) > 1:
        raise Refused(f"{what} has several values; select one, as by first()")
    return items[0]


def same(left: Any, right: Any) -> bool:
    """Whether two values are equal: 1 and 1.0 are, true and 1 are not, objects are compared by all they hold."""
    if type(left) is bool or type(right) is bool:
        return left is right
    return bool(left == right)


def equal(left: Items, right: Items, *, temporal: bool) -> bool | None:
    """The operator =.

    temporal  whether the values are known to be dates or times, which are compared as such
    """
    if not left or not right:
        return None
    if len(left) != len(right):
        return False
    for one, other in zip(left, right, strict=True):
        if temporal and isinstance(one, str) and isinstance(other, str) and one != other:
            order = moments.compare(one, other)
            if order is None:
                return None if _dates(one, other) else False
            if order:
                return False
        elif not same(one, other):
            return False
    return True


def _dates(left: str, right: str) -> bool:
    return bool(moments.DATE.match(left) and moments.DATE.match(right))


def _comparison(left: Items, right: Items, verdict: Callable[[int], bool]) -> bool | None:
    if not left or not right:
        return None
    one, other = single(left, "the left side of a comparison"), single(right, "the right side of a comparison")
    if isinstance(one, str) and isinstance(other, str):
        order = moments.compare(one, other)
        if order is None:
            if _dates(one, other):
                return None
            order = (one > other) - (one < other)
        return verdict(order)
    if _number(one) and _number(other):
        return verdict((one > other) - (one < other))
    raise Refused("a comparison needs two numbers, two texts or two dates")


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


COMPARISONS: dict[str, Callable[[Items, Items], bool | None]] = {
    "<": lambda left, right: _comparison(left, right, lambda order: order < 0),
    "<=": lambda left, right: _comparison(left, right, lambda order: order <= 0),
    ">": lambda left, right: _comparison(left, right, lambda order: order > 0),
    ">=": lambda left, right: _comparison(left, right, lambda order: order >= 0),
}


def both(left: bool | None, right: bool | None) -> bool | None:
    """`and` of three values."""
    if left is False or right is False:
        return False
    return True if left and right else None


def either(left: bool | None, right: bool | None) -> bool | None:
    """`or` of three values."""
    if left or right:
        return True
    return False if left is False and right is False else None


def apart(left: bool | None, right: bool | None) -> bool | None:
    """`xor` of three values."""
    return None if left is None or right is None else left is not right


def implied(left: bool | None, right: bool | None) -> bool | None:
    """`implies` of three values."""
    if left is False:
        return True
    return right if left else (True if right else None)


CONNECTIVES: dict[str, Callable[[bool | None, bool | None], bool | None]] = {
    "and": both,
    "or": either,
    "xor": apart,
    "implies": implied,
}


SETTLED = {"and": False, "or": True, "implies": False}
"""The left sides that settle the matter, whatever the right side is."""


def arithmetic(sign: str, left: Items, right: Items) -> Items:
    """+, -, *, /, div, mod of numbers, + and & of texts; decimal, so that 0.1 + 0.2 is 0.3.

    Raises Refused for anything else, such as dates with durations.
    """
    if sign == "&":
        return ("".join(str(single(side, "a side of &")) for side in (left, right) if side),)
    if not left or not right:
        return NONE
    one, other = single(left, f"the left side of {sign}"), single(right, f"the right side of {sign}")
    if sign == "+" and isinstance(one, str) and isinstance(other, str):
        return (one + other,)
    if not _number(one) or not _number(other):
        raise Refused(f"'{sign}' needs two numbers")
    first, second = (
        Decimal(repr(float(one)) if isinstance(one, float) else one),
        Decimal(repr(float(other)) if isinstance(other, float) else other),
    )
    try:
        result = _ARITHMETIC[sign](first, second)
    except (DivisionByZero, InvalidOperation):
        return NONE
    whole = isinstance(one, int) and isinstance(other, int) and sign != "/"
    return (int(result) if whole or sign == "div" else float(result),)


_ARITHMETIC: dict[str, Callable[[Decimal, Decimal], Decimal]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": lambda left, right: left / right,
    "div": lambda left, right: left // right,
    "mod": lambda left, right: left % right,
}


def distinct(items: Items) -> Items:
    """The values without repetitions, in their first order."""
    if len(items) < 2:
        return items
    kept: list[Any] = []
    for item in items:
        if not any(same(item, one) for one in kept):
            kept.append(item)
    return kept
