"""Expressions that are evaluated by the library: slower, and all of FHIRPath."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from caduceus.edges.fhir.elements import Env, Evaluate
from caduceus.edges.fhir.keys import reference_key, resource_key
from caduceus.edges.fhir.library import Node, library
from caduceus.edges.fhir.moments import boundary
from caduceus.edges.fhir.operators import NONE, Items
from caduceus.errors import Refused


def by_library(root: Node, constants: Mapping[str, Items], focus: str | None) -> Evaluate:
    """An expression as the library evaluates it, with the functions of SQL on FHIR added.

    focus  path of the type that it is evaluated on; without it the library can't tell what is a value[x]
    """
    known = library()
    fixed = {name: list(items) if len(items) != 1 else items[0] for name, items in constants.items()}

    def evaluated(items: Items, env: Env) -> Items:
        out: list[Any] = []
        for item in items:
            whole = isinstance(item, dict) and "resourceType" in item
            told = item if focus is None or whole else known.focused(item, focus)
            variables = {"resource": env.resource, "rootResource": env.resource, "rowIndex": env.row, **fixed}
            try:
                out.extend(known.apply(told, root, variables, known.model, _FUNCTIONS))
            except Exception as error:  # noqa: BLE001  the library raises plain Exceptions, with values in their text
                raise Refused(f"the FHIRPath library can't evaluate it here ({type(error).__name__})") from None
        return [_plain(one) for one in out if one is not None] if out else NONE

    return evaluated


def _plain(value: Any) -> Any:
    """A value of the library as JSON has it."""
    if value is None or isinstance(value, bool | str | int | float | dict):
        return value
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() and value.as_tuple().exponent == 0 else float(value)
    return str(value)


def _keys(inputs: list[Any], wanted: Any = None) -> list[Any]:
    keys = [reference_key(getattr(one, "data", one), getattr(wanted, "name", wanted)) for one in inputs]
    return [key for key in keys if key is not None]


def _resource_keys(inputs: list[Any]) -> list[Any]:
    keys = [resource_key(getattr(one, "data", one)) for one in inputs]
    return [key for key in keys if key is not None]


def _boundaries(inputs: list[Any], *, high: bool) -> list[Any]:
    ends = [boundary(_plain(getattr(one, "data", one)), high=high, clock=False) for one in inputs]
    return [end for end in ends if end is not None]


_FUNCTIONS: dict[str, Any] = {
    "getResourceKey": {"fn": _resource_keys, "arity": {0: []}},
    "getReferenceKey": {"fn": _keys, "arity": {0: [], 1: ["TypeSpecifier"]}},
    "lowBoundary": {"fn": lambda inputs: _boundaries(inputs, high=False), "arity": {0: []}},
    "highBoundary": {"fn": lambda inputs: _boundaries(inputs, high=True), "arity": {0: []}},
}
