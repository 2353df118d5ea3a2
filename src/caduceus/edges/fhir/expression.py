"""FHIRPath, compiled: a parsed expression becomes closures that read JSON as it is.

What views use is compiled here; an expression with anything else is left whole to the library's evaluator, which is
slower and knows all of FHIRPath. `compiled` says which of the two it was.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from caduceus.edges.fhir import functions
from caduceus.edges.fhir.elements import TEMPORAL, Always, Env, Evaluate, extensions, resources, typed, walk
from caduceus.edges.fhir.fallback import by_library
from caduceus.edges.fhir.library import Node, library, parsed
from caduceus.edges.fhir.operations import calculated, compared, connected, equality
from caduceus.edges.fhir.operators import NONE, Items
from caduceus.edges.fhir.syntax import (
    alternatives_of,
    asked_type,
    call,
    constant_name,
    member_name,
    only_member,
    string_value,
    text_value,
    type_name,
)
from caduceus.errors import Refused

WELL_KNOWN: Mapping[str, Items] = {
    "ucum": ("http://unitsofmeasure.org",),
    "sct": ("http://snomed.info/sct",),
    "loinc": ("http://loinc.org",),
}


@dataclass(frozen=True, slots=True)
class Constant:
    """A constant of a view: its values, and whether it is a date or a time."""

    items: Items
    temporal: bool


@dataclass(frozen=True, slots=True)
class Path:
    """An expression that is ready to be evaluated.

    text      as it was written
    evaluate  from a focus to values; raises Refused, without a value in the message, where the data don't fit it
    compiled  whether it runs here, rather than in the library
    exact     whether it needs decimals as they were written
    names     the elements if it is nothing but a way along them, as ("code", "text"); else none
    """

    text: str
    evaluate: Evaluate
    compiled: bool
    exact: bool
    names: tuple[str, ...]


def compile_path(text: str, constants: Mapping[str, Constant], *, focus: str | None, compiled: bool = True) -> Path:
    """Compile an expression.

    constants  of the view, by name
    focus      path of the type that it is evaluated on, as "Observation.component"; None if not known
    compiled   False leaves it to the library all the same, to compare with

    Raises Refused if it is none, or uses a constant that there is not.
    """
    root = parsed(text)
    exact = "Boundary" in text
    _check_names(root, constants)
    try:
        if not compiled:
            raise _NotHere
        names = tuple(text.split(".")) if _STRAIGHT.match(text) and text not in ("true", "false") else ()
        return Path(text, _Compiler(constants).node(root["children"][0]), True, exact, names)
    except _NotHere:
        items = {name: constant.items for name, constant in constants.items()}
        return Path(text, by_library(root, items, focus), False, exact, ())
    except (LookupError, ValueError, TypeError):
        raise Refused("it is no FHIRPath expression") from None


class _NotHere(Exception):
    """Something that only the library evaluates: a signal within this file, never seen outside."""


_STRAIGHT = re.compile(r"^[a-z][A-Za-z0-9]*(\.[a-z][A-Za-z0-9]*)*$")
_BUILT_IN = frozenset(("context", "resource", "rootResource", "rowIndex", *WELL_KNOWN))
_ADDED = frozenset(("getResourceKey", "getReferenceKey", "lowBoundary", "highBoundary"))
_KEPT_OUT = frozenset(("now", "today", "timeOfDay", "trace"))
"""Functions that give something else every day, or write values to the screen."""


def _check_names(node: Node, constants: Mapping[str, Constant]) -> None:
    """Raises Refused if a constant or a function is not there."""
    if node.get("type") == "ExternalConstant":
        name = constant_name(node)
        if name not in constants and name not in _BUILT_IN:
            raise Refused(f"there is no constant '{name}'")
    if node.get("type") == "Functn":
        name = str(node["children"][0]["text"])
        if name in _KEPT_OUT or not (name in functions.FUNCTIONS or name in _ADDED or name in library().functions):
            raise Refused(f"there is no function '{name}' for views")
    for child in node.get("children", ()):
        _check_names(child, constants)


def _itself(items: Items, _: Env) -> Items:
    return items


class _Compiler:
    """Compiles nodes; the constants are those of one view."""

    def __init__(self, constants: Mapping[str, Constant]) -> None:
        self._constants = constants

    def node(self, node: Node) -> Evaluate:
        """One node. Raises _NotHere."""
        type_, children = node["type"], node.get("children", [])
        match type_:
            case "TermExpression" | "InvocationTerm" | "ParenthesizedTerm" | "LiteralTerm" | "ExternalConstantTerm":
                return self.node(children[0])
            case "ThisInvocation":
                return _itself
            case "MemberInvocation":
                name = member_name(node)
                return _root(name) if name[:1].isupper() else walk((name,))
            case "FunctionInvocation":
                return self._call(_itself, None, node)
            case "InvocationExpression":
                return self._step(*children)
            case "IndexerExpression":
                return functions.indexed(self.node(children[0]), self.node(children[1]))
            case "ExternalConstant":
                return self._constant(constant_name(node))
            case _:
                return self._literal(node) if type_ in _LITERALS else self._operator(node)

    def _literal(self, node: Node) -> Evaluate:
        text = node["terminalNodeText"]
        match node["type"]:
            case "StringLiteral":
                return Always((string_value(text[0]),))
            case "NumberLiteral":
                return Always((float(Decimal(text[0])) if "." in text[0] else int(text[0]),))
            case "BooleanLiteral":
                return Always((text[0] == "true",))
            case "NullLiteral":
                return Always(NONE)
            case _:
                return Always((text[0].removeprefix("@"),))

    def _constant(self, name: str) -> Evaluate:
        if name == "rowIndex":
            return lambda _, env: (env.row,)
        if name in ("resource", "rootResource"):
            return lambda _, env: (env.resource,)
        if name in self._constants:
            return Always(self._constants[name].items)
        if name in WELL_KNOWN:
            return Always(WELL_KNOWN[name])
        raise _NotHere

    def _operator(self, node: Node) -> Evaluate:
        if node["type"] == "TypeExpression":
            raise _NotHere
        sides = [self.node(child) for child in node["children"]]
        sign = node["terminalNodeText"][0] if node["terminalNodeText"] else ""
        match node["type"]:
            case "EqualityExpression" if sign in ("=", "!="):
                return equality(sides, wanted=sign == "=", temporal=any(map(self._temporal, node["children"])))
            case "InequalityExpression":
                return compared(sides, sign)
            case "AndExpression" | "OrExpression" | "ImpliesExpression":
                return connected(sides, sign)
            case "AdditiveExpression" | "MultiplicativeExpression":
                return calculated(sides, sign)
            case "UnionExpression":
                return functions.union(*sides)
            case "MembershipExpression":
                one, many = sides if sign == "in" else sides[::-1]
                return functions.member_of(one, many)
            case "PolarityExpression":
                return sides[0] if sign == "+" else calculated([Always((0,)), sides[0]], "-")
        raise _NotHere

    def _temporal(self, node: Node) -> bool:
        """Whether an expression is plainly a date or a time."""
        children = node.get("children", [])
        match node["type"]:
            case "DateTimeLiteral" | "TimeLiteral":
                return True
            case "ExternalConstant":
                constant = self._constants.get(constant_name(node))
                return constant is not None and constant.temporal
            case "TermExpression" | "LiteralTerm" | "ExternalConstantTerm" | "ParenthesizedTerm":
                return self._temporal(children[0])
            case "InvocationExpression":
                return asked_type(children[1]) in TEMPORAL
            case _:
                return False

    def _step(self, left: Node, right: Node) -> Evaluate:
        """`left.right`; runs of plain elements become one closure."""
        if right["type"] == "FunctionInvocation":
            return self._call(None, left, right)
        if right["type"] != "MemberInvocation":
            raise _NotHere
        names = [member_name(right)]
        while left["type"] == "InvocationExpression" and left["children"][1]["type"] == "MemberInvocation":
            names.insert(0, member_name(left["children"][1]))
            left = left["children"][0]
        name = only_member(left)
        if name is not None and not name[:1].isupper():
            return walk((name, *names))
        return functions.then(self.node(left), walk(tuple(names)))

    def _call(self, source: Evaluate | None, left: Node | None, node: Node) -> Evaluate:
        """A function of what is left of it, or of the focus."""
        name, arguments = call(node)
        if name in ("ofType", "as") and len(arguments) == 1:
            return self._of_type(source, left, asked_type(node))
        if name == "extension" and len(arguments) == 1:
            return self._extension(source, left, text_value(arguments[0]))
        if name == "first" and left is not None and (either := alternatives_of(left)):
            return functions.first_of([self.node(one) for one in either])
        before = source or self.node(left or {})
        if name in ("lowBoundary", "highBoundary") and not arguments:
            clock = (
                left is not None
                and left["type"] == "InvocationExpression"
                and (asked_type(left["children"][1]) in ("dateTime", "instant"))
            )
            return functions.boundaries(before, high=name == "highBoundary", clock=clock)
        if name == "getReferenceKey" and len(arguments) < 2:
            wanted = type_name(arguments[0]) if arguments else None
            return functions.reference_keys(before, wanted)
        known = functions.FUNCTIONS.get(name)
        if known is None or len(arguments) not in known.arguments:
            raise _NotHere
        return known.make(before, *(self.node(argument) for argument in arguments))

    def _of_type(self, source: Evaluate | None, left: Node | None, type_: str | None) -> Evaluate:
        """`element.ofType(T)`, where JSON has the type in the element's name, or T is a type of resources."""
        if type_ is None:
            raise _NotHere
        if source is not None or left is None:
            if not type_[:1].isupper() or source is None:
                raise _NotHere
            return functions.then(source, lambda items, _: resources(type_)(items))
        name = only_member(left)
        if name is not None:
            return typed(name, type_)
        if left["type"] == "InvocationExpression" and left["children"][1]["type"] == "MemberInvocation":
            return functions.then(self.node(left["children"][0]), typed(member_name(left["children"][1]), type_))
        raise _NotHere

    def _extension(self, source: Evaluate | None, left: Node | None, url: str | None) -> Evaluate:
        if url is None:
            raise _NotHere
        if left is None:
            return extensions(None, url)
        name = only_member(left)
        if name is not None and not name[:1].isupper():
            return extensions(name, url)
        if left["type"] == "InvocationExpression" and left["children"][1]["type"] == "MemberInvocation":
            return functions.then(self.node(left["children"][0]), extensions(member_name(left["children"][1]), url))
        return functions.then(source or self.node(left), extensions(None, url))


_LITERALS = frozenset(
    ("StringLiteral", "NumberLiteral", "BooleanLiteral", "NullLiteral", "DateTimeLiteral", "TimeLiteral")
)


def _root(name: str) -> Evaluate:
    """A type's name at the start of a path: what has this type."""
    only = resources(name)
    return lambda items, _: only(items)
