"""What a ViewDefinition (SQL on FHIR v2) says, checked: its shape, before any path is looked at."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from caduceus.edges.fhir.elements import TEMPORAL
from caduceus.edges.fhir.expression import Constant
from caduceus.errors import Refused

_NAME = re.compile(r"^[A-Za-z][A-Za-z0-9_]{0,254}$")
_TYPE = re.compile(r"^(https?://\S+/)?[A-Za-z][A-Za-z0-9.]*$")
_SELECT = frozenset(
    "column select forEach forEachOrNull repeat unionAll id extension modifierExtension".split()  # noqa: SIM905
)
_MOST_DEPTH = 32

_WHOLE = ("Integer", "PositiveInt", "UnsignedInt", "Integer64")
_TEXT = tuple("String Code Id Uri Url Canonical Uuid Oid Base64Binary Date DateTime Instant Time".split())  # noqa: SIM905


@dataclass(frozen=True, slots=True)
class ColumnDefinition:
    """One column: its name, its path, its FHIR type (None if not said), and whether it holds several values."""

    name: str
    path: str
    type: str | None
    collection: bool


@dataclass(frozen=True, slots=True)
class SelectDefinition:
    """One select.

    walk      "forEach", "forEachOrNull", "repeat", or "" if it stays where it is
    paths     along which it walks: one, or several of a repeat
    columns   its own
    selects   nested ones, whose rows are combined with its columns
    union     selects whose rows stand below one another; None if there is no unionAll
    """

    walk: str
    paths: tuple[str, ...]
    columns: tuple[ColumnDefinition, ...]
    selects: tuple[SelectDefinition, ...]
    union: tuple[SelectDefinition, ...] | None


@dataclass(frozen=True, slots=True)
class ViewDefinition:
    """A view: from a resource type to rows.

    name       for messages
    resource   type whose resources are looked at
    selects    combined with one another
    where      paths that have to be true
    constants  by name
    """

    name: str
    resource: str
    selects: tuple[SelectDefinition, ...]
    where: tuple[str, ...]
    constants: Mapping[str, Constant]


def read_definition(view: object) -> ViewDefinition:
    """Check a ViewDefinition as JSON gives it; metadata are not looked at.

    Raises Refused, naming the view and the place, if it is malformed.
    """
    if not isinstance(view, dict):
        raise Refused("view: a ViewDefinition is an object")
    named = view.get("name")
    name = f"view '{named}'" if isinstance(named, str) and _NAME.match(named) else "view"
    resource = view.get("resource")
    if not isinstance(resource, str) or not re.match(r"^[A-Z][A-Za-z]+$", resource):
        raise Refused(f"{name}: 'resource' has to name a resource type, such as Patient")
    selects = _selects(view.get("select"), f"{name}: select", 1)
    where = tuple(
        _text(one.get("path") if isinstance(one, dict) else None, f"{name}: where[{i}].path")
        for i, one in enumerate(_list(view.get("where", []), f"{name}: where"))
    )
    constants = dict(
        _constant(one, f"{name}: constant[{i}]")
        for i, one in enumerate(_list(view.get("constant", []), f"{name}: constant"))
    )
    return ViewDefinition(name, resource, selects, where, constants)


def _refuse(where: str, why: str) -> NoReturn:
    raise Refused(f"{where}: {why}")


def _list(value: object, where: str) -> list[Any]:
    return value if isinstance(value, list) else _refuse(where, "has to be a list")


def _text(value: object, where: str) -> str:
    return value if isinstance(value, str) and value else _refuse(where, "has to be a FHIRPath expression in a text")


def _selects(value: object, where: str, depth: int) -> tuple[SelectDefinition, ...]:
    found = tuple(_select(one, f"{where}[{i}]", depth) for i, one in enumerate(_list(value, where)))
    return found or _refuse(where, "is empty; a view has at least one select")


def _select(value: object, where: str, depth: int) -> SelectDefinition:
    if not isinstance(value, dict):
        _refuse(where, "has to be an object")
    if depth > _MOST_DEPTH:
        _refuse(where, f"selects are nested more than {_MOST_DEPTH} deep")
    if unknown := sorted(set(value) - _SELECT):
        _refuse(where, f"'{unknown[0]}' is nothing that a select has")
    walks = [walk for walk in ("forEach", "forEachOrNull", "repeat") if walk in value]
    if len(walks) > 1:
        _refuse(where, f"has both '{walks[0]}' and '{walks[1]}'")
    walk = walks[0] if walks else ""
    paths = value[walk] if walk else []
    paths = _list(paths, f"{where}.repeat") if walk == "repeat" else [paths] * bool(walk)
    columns = tuple(
        _column(one, f"{where}.column[{i}]") for i, one in enumerate(_list(value.get("column", []), f"{where}.column"))
    )
    nested = _selects(value["select"], f"{where}.select", depth + 1) if "select" in value else ()
    union = _selects(value["unionAll"], f"{where}.unionAll", depth + 1) if "unionAll" in value else None
    made = SelectDefinition(walk, tuple(_text(one, f"{where}.{walk}") for one in paths), columns, nested, union)
    if walk == "repeat" and not paths:
        _refuse(where, "'repeat' names no path")
    if not (columns or nested or union):
        _refuse(where, "has no column, select or unionAll")
    return made


def _column(value: object, where: str) -> ColumnDefinition:
    if not isinstance(value, dict):
        _refuse(where, "has to be an object")
    name, type_ = value.get("name"), value.get("type")
    if not isinstance(name, str) or not _NAME.match(name):
        _refuse(where, "'name' has to be a name of letters, digits and _, and start with a letter")
    where = f"{where} '{name}'"
    if type_ is not None and (not isinstance(type_, str) or not _TYPE.match(type_)):
        _refuse(where, "'type' has to name a FHIR type, such as string or decimal")
    collection = value.get("collection", False)
    if not isinstance(collection, bool):
        _refuse(where, "'collection' has to be true or false")
    return ColumnDefinition(name, _text(value.get("path"), f"{where}.path"), type_, collection)


def _constant(value: object, where: str) -> tuple[str, Constant]:
    if not isinstance(value, dict):
        _refuse(where, "has to be an object")
    name = value.get("name")
    if not isinstance(name, str) or not _NAME.match(name):
        _refuse(where, "'name' has to be a name of letters, digits and _, and start with a letter")
    given = [key for key in value if key.startswith("value")]
    if len(given) != 1:
        _refuse(f"{where} '{name}'", "needs exactly one value, such as valueString")
    kind, held = given[0].removeprefix("value"), value[given[0]]
    if not _fits(kind, held):
        _refuse(f"{where} '{name}'", f"'{given[0]}' is no type of constant, or its value is not of that type")
    return name, Constant((held,), kind[:1].lower() + kind[1:] in TEMPORAL)


def _fits(kind: str, held: object) -> bool:
    if kind == "Boolean":
        return isinstance(held, bool)
    if isinstance(held, bool):
        return False
    if kind in _WHOLE:
        return isinstance(held, int)
    return isinstance(held, int | float) if kind == "Decimal" else kind in _TEXT and isinstance(held, str)
