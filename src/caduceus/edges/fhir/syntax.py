"""Reading the nodes of a parsed expression: names, literals, types that are asked for."""

from __future__ import annotations

from caduceus.edges.fhir.library import Node


def constant_name(node: Node) -> str:
    """The name of an ExternalConstant, without % and quotes."""
    children = node.get("children", ())
    name = children[0]["text"] if children else node["terminalNodeText"][-1]
    return str(name).strip("`'")


def string_value(text: str) -> str:
    """A string literal without its quotes and escapes."""
    inner, out, i = text[1:-1], [], 0
    plain = {"n": "\n", "r": "\r", "t": "\t", "f": "\f"}
    while i < len(inner):
        if inner[i] != "\\":
            out.append(inner[i])
            i += 1
        elif inner[i + 1 : i + 2] == "u":
            out.append(chr(int(inner[i + 2 : i + 6], 16)))
            i += 6
        else:
            out.append(plain.get(inner[i + 1], inner[i + 1]))
            i += 2
    return "".join(out)


def member_name(node: Node) -> str:
    """The name of the element in a MemberInvocation."""
    return str(node["children"][0]["text"]).strip("`")


def only_member(node: Node) -> str | None:
    """The element's name if a node is nothing but one."""
    while node["type"] in ("TermExpression", "InvocationTerm"):
        node = node["children"][0]
    return member_name(node) if node["type"] == "MemberInvocation" else None


def call(node: Node) -> tuple[str, list[Node]]:
    """The name and the arguments of a FunctionInvocation."""
    children = node["children"][0]["children"]
    return str(children[0]["text"]), list(children[1]["children"]) if len(children) > 1 else []


def type_name(node: Node) -> str:
    """A type as an argument, with or without its namespace."""
    return str(node.get("text", "")).strip("`").removeprefix("FHIR.").removeprefix("System.")


def asked_type(node: Node) -> str | None:
    """The type that a call of ofType asks for; None if it is no such call."""
    if node["type"] != "FunctionInvocation":
        return None
    name, arguments = call(node)
    return type_name(arguments[0]) if name in ("ofType", "as") and len(arguments) == 1 else None


def alternatives_of(node: Node) -> list[Node]:
    """The sides of a union in brackets, from the left; none if a node is something else."""
    while node["type"] in ("TermExpression", "ParenthesizedTerm"):
        node = node["children"][0]
    if node["type"] != "UnionExpression":
        return []
    left, right = node["children"]
    return [*(alternatives_of(left) or [left]), right]


def text_value(node: Node) -> str | None:
    """A string literal as an argument."""
    while node["type"] in ("TermExpression", "LiteralTerm"):
        node = node["children"][0]
    return string_value(node["terminalNodeText"][0]) if node["type"] == "StringLiteral" else None
