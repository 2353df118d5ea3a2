"""The FHIRPath library: its parser, its evaluator for what is not compiled, and what it knows of FHIR R4."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

from caduceus.errors import Refused

Node = dict[str, Any]
"""A node of a parsed expression, as the library gives it."""

_MOST_DEEP = 64


@dataclass(frozen=True, slots=True)
class Library:
    """What is used of it.

    parse      from text to the root node
    apply      evaluate a root node: (item, root, variables, FHIR R4, added functions)
    focused    an element with the path of its type, as (data, "Observation.component")
    model      FHIR R4
    functions  the names of the functions that it knows
    choices    by element name, the names that it has in JSON where it may be of several types
    """

    parse: Callable[[str], Node]
    apply: Callable[..., list[Any]]
    focused: Callable[[Any, str], Any]
    model: Mapping[str, Any]
    functions: frozenset[str]
    choices: Mapping[str, frozenset[str]]


@cache
def library() -> Library:
    """The library, loaded when it is first needed.

    Raises Refused if it is not installed.
    """
    try:
        from fhirpathpy.engine.invocations import invocation_registry
        from fhirpathpy.engine.nodes import ResourceNode
        from fhirpathpy.models import models
    except ImportError as error:
        raise Refused("FHIR needs more packages: pip install 'caduceus[health]'") from error
    model = models["r4"]
    choices: dict[str, set[str]] = {}
    for path, types in model["choiceTypePaths"].items():
        name = path.rpartition(".")[2]
        choices.setdefault(name, set()).update(name + type_ for type_ in types)
    return Library(
        parse=_strict_parser(),
        apply=_applier(),
        focused=ResourceNode.create_node,
        model=model,
        functions=frozenset(invocation_registry),
        choices={name: frozenset(found) for name, found in choices.items()},
    )


def _applier() -> Callable[..., list[Any]]:
    """The library's evaluator; its own entry to it leaves $this unset, without which "$this.upper()" is an error."""
    engine, util = import_module("fhirpathpy.engine"), import_module("fhirpathpy.engine.util")

    def apply(
        item: Any, root: Node, variables: Mapping[str, Any], model: Mapping[str, Any], functions: Mapping[str, Any]
    ) -> list[Any]:
        focus = [item]
        context = {
            "dataRoot": focus,
            "$this": focus,
            "vars": {"context": item, "ucum": "http://unitsofmeasure.org", **variables},
            "model": model,
            "userInvocationTable": util.process_user_invocation_table(functions),
        }
        found = [util.get_data(one) for one in util.arraify(engine.do_eval(context, focus, root["children"][0]))]
        return [one for one in found if not (isinstance(one, dict) and list(one) == ["extension"])]

    return apply


def _strict_parser() -> Callable[[str], Node]:
    """The library's grammar and nodes, without its patience: its own `parse` mends what is malformed as it sees fit,
    and reads "name family" as "name"."""
    antlr, generated = import_module("antlr4"), "fhirpathpy.parser.generated.FHIRPath"
    lexer_of = import_module(generated + "Lexer").FHIRPathLexer
    parser_of = import_module(generated + "Parser").FHIRPathParser
    nodes_of = import_module("fhirpathpy.parser.ASTPathListener").ASTPathListener

    def refuse(*_: object) -> None:
        raise ValueError("malformed")

    strict = type("Strict", (import_module("antlr4.error.ErrorListener").ErrorListener,), {"syntaxError": refuse})

    def parse(text: str) -> Node:
        lexer = lexer_of(antlr.InputStream(text))
        stream = antlr.CommonTokenStream(lexer)
        parser = parser_of(stream)
        for one in (lexer, parser):
            one.removeErrorListeners()
            one.addErrorListener(strict())
        tree = parser.expression()
        if stream.LA(1) != antlr.Token.EOF:
            raise ValueError("more than one expression")
        nodes = nodes_of()
        antlr.ParseTreeWalker().walk(nodes, tree)
        root: Node = nodes.parentStack[0]
        return root

    return parse


def _deepest(text: str) -> int:
    """How deep brackets are nested, those within texts included."""
    depth = deepest = 0
    for sign in text:
        depth += (sign in "([{") - (sign in ")]}")
        deepest = max(deepest, depth)
    return deepest


def parsed(text: str) -> Node:
    """The root node of an expression.

    Raises Refused if it is none.
    """
    if len(text) > 4096:
        raise Refused("it is longer than 4096 characters")
    if _deepest(text) > _MOST_DEEP:  # a parser that recurses must not depend on who set this process's limits
        raise Refused(f"it is no FHIRPath expression that is read: nested more than {_MOST_DEEP} deep")
    try:
        return library().parse(text)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise Refused("it is no FHIRPath expression") from None
