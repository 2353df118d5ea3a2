"""Steps along the elements of a resource, `value[x]` included, compiled to closures.

Only what is an object has elements; anything else in its place (a text where FHIR has an object) gives nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, final

from caduceus.edges.fhir.library import library
from caduceus.edges.fhir.operators import NONE, Items


@dataclass(slots=True)
class Env:
    """What an expression sees besides its focus.

    resource  the whole resource
    row       what %rowIndex is now
    """

    resource: dict[str, Any]
    row: int = 0


Evaluate = Callable[[Items, Env], Items]
"""A compiled expression: from its focus to its values."""


@final
class Always:
    """An expression that has the same values everywhere, so that what is done with it can be done beforehand."""

    __slots__ = ("items",)

    def __init__(self, items: Items) -> None:
        self.items = items

    def __call__(self, _: Items, __: Env) -> Items:
        """The values."""
        return self.items


_PYTHON: dict[str, tuple[type, ...]] = {"boolean": (bool,), "integer": (int,), "decimal": (int, float)}
_TEXTS = frozenset(
    "string code id uri url canonical uuid oid markdown base64Binary date dateTime instant time".split()  # noqa: SIM905
)
TEMPORAL = frozenset(("date", "dateTime", "instant", "time"))
"""Types whose texts are compared as dates and times."""


@cache
def alternatives(name: str) -> frozenset[str]:
    """The names under which an element that may be of several types stands in JSON; empty if none of this name is."""
    return library().choices.get(name, frozenset())


def walk(names: tuple[str, ...]) -> Evaluate:
    """The elements of these names, one within the other."""
    steps = tuple((name, alternatives(name)) for name in names)
    if len(steps) == 1:
        return _step_from(*steps[0])

    def walked(items: Items, _: Env) -> Items:
        for name, others in steps:
            if len(items) == 1:
                items = _step(items[0], name, others)
            else:
                items = [one for item in items for one in _step(item, name, others)]
            if not items:
                return NONE
        return items

    return walked


def _step_from(name: str, others: frozenset[str]) -> Evaluate:
    """One step, from the one item that there mostly is."""

    def stepped(items: Items, _: Env) -> Items:
        if len(items) == 1:
            return _step(items[0], name, others)
        return [one for item in items for one in _step(item, name, others)]

    return stepped


def _step(item: Any, name: str, others: frozenset[str]) -> Items:
    if type(item) is not dict:
        return NONE
    found = item.get(name)
    if found is None:
        if not others:
            return NONE
        for key in item:
            if key in others:
                found = item[key]
                break
        if found is None:
            return NONE
    if type(found) is list:
        return [one for one in found if one is not None] if None in found else found
    return (found,)


def straight(names: tuple[str, ...], otherwise: Callable[[Items, Env], Any]) -> Callable[[Items, Env], Any]:
    """The one value of plain elements within each other, where each is there once: the quick way for most columns.

    otherwise  asked where it is not so simple
    """
    steps = tuple((name, bool(alternatives(name))) for name in names)

    def value(items: Items, env: Env) -> Any:
        if len(items) != 1:
            return otherwise(items, env)
        item = items[0]
        for name, several in steps:
            if type(item) is not dict:
                return None
            item = item.get(name)
            if item is None:
                return otherwise(items, env) if several else None
            if type(item) is list:
                return otherwise(items, env)
        return item

    return value


def typed(name: str, type_: str) -> Evaluate:
    """`name.ofType(type_)`: the element as it stands in JSON under its type's name, as valueQuantity."""
    key = name + type_[:1].upper() + type_[1:]

    def taken(items: Items, _: Env) -> Items:
        if len(items) == 1 and type(items[0]) is dict:
            found = items[0].get(key)
            if found is not None and type(found) is not list:
                return (found,)
            if found is None and name not in items[0]:
                return NONE
        out: list[Any] = []
        for item in items:
            if type(item) is dict:
                found = item.get(key)
                if found is None:
                    found = [one for one in _step(item, name, frozenset()) if _is(one, type_)]
                if type(found) is list:
                    out.extend(one for one in found if one is not None)
                else:
                    out.append(found)
        return out

    return taken


def _is(value: Any, type_: str) -> bool:
    """Whether a value that stands under no type's name is of a type, as far as JSON shows."""
    if type(value) is dict:
        return bool(value.get("resourceType") == type_)
    if type_ in _TEXTS:
        return type(value) is str
    return type(value) in _PYTHON.get(type_, ())


def resources(type_: str) -> Callable[[Items], Items]:
    """Of a collection, the resources of a type."""
    return lambda items: [one for one in items if type(one) is dict and one.get("resourceType") == type_]


def extensions(of: str | None, url: str) -> Evaluate:
    """`extension(url)`, of an element of this name or of the focus; a primitive's stand beside it, under `_name`."""

    def found(items: Items, _: Env) -> Items:
        out: list[Any] = []
        for item in items:
            for owner in (item,) if of is None else (*_step(item, of, NOBODY), *_step(item, f"_{of}", NOBODY)):
                out.extend(
                    one for one in _step(owner, "extension", NOBODY) if type(one) is dict and one.get("url") == url
                )
        return out

    return found


NOBODY: frozenset[str] = frozenset()
