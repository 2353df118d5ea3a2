"""FHIR exports as sheets: one per resource type, one leaf per path.

Reads NDJSON as Bulk Data exports write it, single resources and bundles, compressed with gzip or not. A path has no
indices. An extension is named after the last part of its URL where HL7 or a national core has published it, as
"Patient.extension(us-core-race).extension(text).valueString"; of others only "extension(local)" is said.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from caduceus.data.readiness.sheet import FHIR, Leaf, Sheet
from caduceus.errors import Refused, Unavailable

ENDINGS = (".ndjson", ".ndjson.gz", ".json", ".json.gz")

_DEEPEST = 60
"""Levels of nesting of a resource; the specification needs about a dozen."""

_TYPE = re.compile(r"^[A-Z][A-Za-z]{2,49}$")
_KEY = re.compile(r"^[_A-Za-z][A-Za-z0-9_-]{0,63}$")
_PUBLISHED = ("http://hl7.org/fhir/", "https://hl7.org/fhir/", "http://terminology.hl7.org/", "http://fhir.de/")
_NESTED = re.compile(r"^[A-Za-z][A-Za-z-]{0,39}$")
_LINKS = ("subject", "patient", "beneficiary", "individual")


@dataclass(slots=True)
class _Column:
    values: list[Any] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)


@dataclass(slots=True)
class _Kind:
    rows: int = 0
    columns: dict[str, _Column] = field(default_factory=dict)


def is_fhir(path: Path) -> bool:
    """Whether a file's name is one that resources are kept under."""
    return path.name.lower().endswith(ENDINGS) and path.name != "log.ndjson"


def read_resources(path: Path) -> tuple[Sheet, ...]:
    """A file of resources, or a folder of them, as sheets, by resource type in the order of their names.

    Raises Refused, naming file and line, if there are no resources or one is not JSON.
    """
    files = sorted(one for one in path.rglob("*") if one.is_file() and is_fhir(one)) if path.is_dir() else [path]
    kinds: dict[str, _Kind] = {}
    for one in files:
        for resource, where in _resources(one):
            _add(kinds, resource, where)
    if not kinds:
        raise Refused(f"{path}: no FHIR resources; files end in {', '.join(ENDINGS)}")
    return tuple(_sheet(name, kinds[name]) for name in sorted(kinds))


def _resources(path: Path) -> Iterator[tuple[Any, str]]:
    try:
        data = path.read_bytes()
        data = gzip.decompress(data) if path.name.lower().endswith(".gz") else data
    except FileNotFoundError:
        raise Refused(f"{path}: no such file; check the path") from None
    except (gzip.BadGzipFile, EOFError):
        raise Refused(f"{path.name}: not a whole gzip file; it may have been cut off, copy it again") from None
    except OSError as problem:
        raise Unavailable(f"{path}: {problem.strerror}") from None
    if ".ndjson" in path.name.lower():
        for number, line in enumerate(data.splitlines(), 1):
            if line.strip():
                yield from _opened(_loaded(line, f"{path.name}: line {number}"), f"{path.name}: line {number}")
    else:
        yield from _opened(_loaded(data, path.name), path.name)


def _loaded(data: bytes, where: str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):  # its message could quote the text
        raise Refused(f"{where}: not JSON") from None


def _opened(tree: Any, where: str) -> Iterator[tuple[Any, str]]:
    """The resources of a bundle, or the one resource."""
    if isinstance(tree, dict) and tree.get("resourceType") == "Bundle":
        entries = tree.get("entry") or []
        for entry in entries if isinstance(entries, list) else []:
            if isinstance(entry, dict) and "resource" in entry:
                yield entry["resource"], where
    else:
        yield tree, where


def _add(kinds: dict[str, _Kind], resource: Any, where: str) -> None:
    name = resource.get("resourceType") if isinstance(resource, dict) else None
    if not isinstance(name, str) or not _TYPE.match(name):
        raise Refused(f"{where}: not a FHIR resource: no resourceType")
    kind = kinds.setdefault(name, _Kind())
    _walk(resource, name, kind, where, 0)
    kind.rows += 1


def _walk(node: Any, path: str, kind: _Kind, where: str, depth: int) -> None:
    if depth > _DEEPEST:
        raise Refused(f"{where}: nested more than {_DEEPEST} levels deep")
    if isinstance(node, dict):
        for key, value in node.items():
            step = key if _KEY.match(key) else "(unnamed)"
            if key in ("extension", "modifierExtension") and isinstance(value, list):
                for one in value:
                    _walk(one, f"{path}.{step}({_extension(one, nested='extension(' in path)})", kind, where, depth + 1)
            elif not (depth == 0 and key == "resourceType"):
                _walk(value, f"{path}.{step}", kind, where, depth + 1)
    elif isinstance(node, list):
        for one in node:
            _walk(one, path, kind, where, depth + 1)
    elif node is not None:
        column = kind.columns.setdefault(path, _Column())
        column.values.append(node)
        column.rows.append(kind.rows)


def _extension(node: Any, *, nested: bool) -> str:
    url = node.get("url") if isinstance(node, dict) else None
    if not isinstance(url, str):
        return "local"
    if nested and _NESTED.match(url):
        return url if url in _PARTS else "part"
    last = url.rsplit("/", 1)[-1]
    return last if url.startswith(_PUBLISHED) and re.match(r"^[A-Za-z][A-Za-z0-9-]{0,63}$", last) else "local"


_PARTS = ("latitude", "longitude", "ombCategory", "detailed", "text", "code", "period", "start", "end", "value", "type")
"""Parts of complex extensions that are named; what a stranger calls his is not shown."""


def _sheet(name: str, kind: _Kind) -> Sheet:
    leaves = {
        path: Leaf(path, _array(column.values), np.array(column.rows, np.int64))
        for path, column in sorted(kind.columns.items())
    }
    links = [f"{name}.id"] if name == "Patient" else [f"{name}.{one}.reference" for one in _LINKS]
    return Sheet(name, FHIR, kind.rows, leaves, next((one for one in links if one in leaves), ""))


def _array(values: list[Any]) -> pa.Array:
    found = {type(one) for one in values}
    if found == {bool}:
        return pa.array(values, pa.bool_())
    if found <= {int, float} and all(abs(one) < 2**53 for one in values):
        return pa.array(values, pa.int64() if found == {int} else pa.float64())
    return pa.array([one if isinstance(one, str) else json.dumps(one) for one in values], pa.string())
