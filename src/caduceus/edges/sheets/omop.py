"""Folders of OMOP CDM tables, CSV or Parquet, as sheets: those about people, not the vocabularies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from caduceus.data.readiness.sheet import OMOP, Sheet
from caduceus.edges.sheets.columns import DELIMITED, PARQUET, read_columns, stem
from caduceus.errors import Refused

VOCABULARY = frozenset(
    {
        "concept", "concept_ancestor", "concept_class", "concept_relationship", "concept_synonym", "domain",
        "drug_strength", "relationship", "vocabulary", "source_to_concept_map", "cdm_source", "metadata",
        "cohort_definition", "attribute_definition",
    }
)  # fmt: skip
"""Tables that are the same for every patient: read for OHDSI's checks, and looked at by no other rule."""


def is_omop(folder: Path) -> bool:
    """Whether a folder holds the CDM's table of persons."""
    return any(stem(one).lower() == "person" and _is_table(one) for one in folder.iterdir())


def read_tables(folder: Path) -> tuple[Sheet, ...]:
    """The tables of a folder that hold a record, in the order of their names.

    Raises Refused, naming the file, if one cannot be read, or if none holds a record.
    """
    sheets = _read(folder, lambda name: name not in VOCABULARY)
    if not sheets:
        raise Refused(f"{folder}: no table holds a record")
    return sheets


def read_vocabulary(folder: Path) -> tuple[Sheet, ...]:
    """The tables of a folder's vocabulary that hold a record, in the order of their names.

    Raises Refused, naming the file, if one cannot be read.
    """
    return _read(folder, lambda name: name in VOCABULARY)


def _read(folder: Path, is_wanted: Callable[[str], bool]) -> tuple[Sheet, ...]:
    sheets = []
    for one in sorted(folder.iterdir(), key=lambda path: path.name):
        name = stem(one).lower()
        if _is_table(one) and is_wanted(name):
            sheet = read_columns(one, name=name, source=OMOP)
            leaves = {path.lower(): leaf for path, leaf in sheet.leaves.items()}
            patient = "person_id" if "person_id" in leaves else ""
            sheets += [Sheet(name, OMOP, sheet.rows, sheet.leaves, patient)] if sheet.rows else []
    return tuple(sheets)


def _is_table(path: Path) -> bool:
    return path.is_file() and path.name.lower().endswith((*DELIMITED, *PARQUET)) and path.suffix.lower() != ".txt"
