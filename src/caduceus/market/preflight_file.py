"""A preflight as a job file: the questions, and whatever the job itself says of use, sites, money and time."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping

from caduceus.errors import Refused
from caduceus.learn.inquiry.queries import Analysis

_KEPT = ("use", "sites", "money", "deadlines")
"""Tables that a preflight takes over: who may ask is judged for it as for the job."""


def preflight_text(job: str, analysis: Analysis, *, epsilon: float, where: str) -> str:
    """The TOML of a preflight.

    job      the whole job file
    epsilon  that it spends of every data set's budget
    where    the job file's name, for messages

    Raises Refused if the job file cannot be read.
    """
    try:
        said = tomllib.loads(job)
    except tomllib.TOMLDecodeError as problem:
        raise Refused(f"{where}: {problem}") from None
    about, privacy = said.get("job", {}), said.get("privacy", {})
    head = {
        "kind": "analysis",
        "title": f"Preflight: {about.get('title', where)}",
        "purpose": about.get("purpose", ""),
        "schema": about.get("schema", ""),
        "visibility": "sum",
    }
    noise = {"epsilon": epsilon, "delta": privacy.get("delta", 1e-5), "missing": privacy.get("missing", 20)}
    tables = [("job", head), ("privacy", noise), ("analysis", {"minimum_cell": analysis.minimum_cell})]
    tables += [(name, said[name]) for name in _KEPT if name in said]
    lines = [f"# Whether sites mean the same by their columns, before {where} starts: see docs/preflight.md."]
    for name, table in tables:
        lines += ["", f"[{name}]", *_pairs(table)]
    for query in analysis.queries:
        asked: dict[str, object] = {"name": query.name, "kind": query.kind}
        if query.histogram is not None:
            axis = query.histogram.axis
            asked["column"] = axis.column
            asked |= {"bins": axis.bins} if axis.bins else {}
            asked |= {"edges": list(axis.edges)} if axis.edges else {}
            asked["missing"] = query.histogram.missing
        lines += ["", "[[query]]", *_pairs(asked)]
    return "\n".join(lines) + "\n"


def _pairs(table: Mapping[str, object]) -> list[str]:
    return [f"{_key(name)} = {_value(value)}" for name, value in table.items()]


def _key(name: str) -> str:
    return name if name.replace("_", "").replace("-", "").isalnum() and name.isascii() else json.dumps(name)


def _value(value: object) -> str:
    """A value in TOML, which writes texts as JSON does, but for DEL."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Mapping):
        return "{ " + ", ".join(_pairs(value)) + " }" if value else "{}"
    if isinstance(value, list):
        return "[" + ", ".join(_value(one) for one in value) + "]"
    return repr(value) if isinstance(value, int | float) else str(value)
