"""Sheets and contexts for tests, written by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from caduceus.data.readiness.declaration import Declared, read_declaration
from caduceus.data.readiness.finding import Finding
from caduceus.data.readiness.rule import Context, Rule, Skipped
from caduceus.data.readiness.sheet import FHIR, OMOP, TABLE, Leaf, Sheet
from caduceus.data.schema_file import SchemaFile, read_schema_file


def sheet(name: str, columns: Mapping[str, Any], *, source: str = TABLE, patient: str = "") -> Sheet:
    """A sheet of one value per record."""
    arrays = {path: values if isinstance(values, pa.Array) else pa.array(values) for path, values in columns.items()}
    rows = len(next(iter(arrays.values()))) if arrays else 0
    return Sheet(name, source, rows, {path: Leaf(path, values) for path, values in arrays.items()}, patient)


def table(columns: Mapping[str, Any], *, patient: str = "", name: str = "t") -> Sheet:
    return sheet(name, columns, patient=patient)


def omop(**tables: Mapping[str, Any]) -> tuple[Sheet, ...]:
    return tuple(
        sheet(name, columns, source=OMOP, patient="person_id" if "person_id" in columns else "")
        for name, columns in tables.items()
    )


def fhir(name: str, columns: Mapping[str, Any]) -> Sheet:
    return sheet(name, columns, source=FHIR)


def context(
    *sheets: Sheet,
    roles: Mapping[str, str] | None = None,
    declared: str = "",
    schema: str = "",
    today: int | None = None,
) -> Context:
    """A context; the declaration and the schema are TOML."""
    said: Declared = read_declaration(declared, where="declaration")
    file: SchemaFile | None = read_schema_file(schema, where="schema") if schema else None
    return Context(tuple(sheets), dict(roles or {}), file, said, today=today)


def look(rules: Iterable[Rule], name: str, given: Context) -> tuple[list[Finding], list[Skipped]]:
    """What the rule of this name finds, and what it did not look at."""
    rule = next(one for one in rules if one.name == name)
    made = list(rule.look(given))
    found = [one for one in made if isinstance(one, Finding)]
    assert {one.rule for one in found} <= {name}
    return found, [one for one in made if isinstance(one, Skipped)]
