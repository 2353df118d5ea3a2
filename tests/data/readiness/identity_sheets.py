"""Sheets written by hand, and one rule run over them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from caduceus.data.readiness.finding import Finding
from caduceus.data.readiness.rule import Context, Skipped
from caduceus.data.readiness.rules import IDENTITY
from caduceus.data.readiness.sheet import FHIR, TABLE, Leaf, Sheet

TODAY = 20_700
"""2026-09-04 in days since 1970."""


def table(columns: dict[str, Sequence[Any]], *, name: str = "t", source: str = TABLE, patient: str = "") -> Sheet:
    """A sheet of one value per record."""
    leaves = {path: Leaf(path, pa.array(list(values))) for path, values in columns.items()}
    return Sheet(name, source, len(next(iter(columns.values()))), leaves, patient)


def fhir(kind: str, columns: dict[str, Sequence[Any]]) -> Sheet:
    """Resources of one type, with one value per record at each path (without the type)."""
    rows = len(next(iter(columns.values())))
    leaves = {
        f"{kind}.{path}": Leaf(f"{kind}.{path}", pa.array(list(values)), np.arange(len(values), dtype=np.int64))
        for path, values in columns.items()
    }
    return Sheet(kind, FHIR, rows, leaves, "Patient.id" if kind == "Patient" else "")


def looked(rule: str, *sheets: Sheet, **told: Any) -> list[Finding | Skipped]:
    """Everything that one rule yields."""
    told.setdefault("today", TODAY)
    found = next(one for one in IDENTITY if one.name == rule)
    return list(found.look(Context(tuple(sheets), **told)))


def found(rule: str, *sheets: Sheet, **told: Any) -> list[Finding]:
    """What one rule finds."""
    return [one for one in looked(rule, *sheets, **told) if isinstance(one, Finding)]


def column(rule: str, values: Sequence[Any], *, path: str = "v", **told: Any) -> list[Finding]:
    """What one rule finds in a table of one column."""
    return found(rule, table({path: values}), **told)
