"""How well readiness rules find identifiers, and how often they take something else for one.

    CADUCEUS_DATA=... python bench/readiness.py

Three measurements. Columns: the labelled spans of phi_planted_notes become one column per label, without a telling
name, beside columns of other things (laboratory values, codes, measurements, real trials); a class is found if a rule
of identity fires at its column. Values: how many of a label's texts a class's own patterns fit, and what else they
fit. Paths: places of two FHIR exports that hold identity by the specification, against what rules report.
"""

from __future__ import annotations

import collections
import csv
import json
import os
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from caduceus.data.readiness.distinct import Distinct, Mask
from caduceus.data.readiness.engine import examine
from caduceus.data.readiness.finding import Severity
from caduceus.data.readiness.identifier_patterns import judge
from caduceus.data.readiness.patterns import PATTERNS
from caduceus.data.readiness.rule import Context
from caduceus.data.readiness.rules import IDENTITY
from caduceus.data.readiness.sheet import TABLE, Leaf, Sheet
from caduceus.edges.sheets.columns import read_columns
from caduceus.edges.sheets.opening import open_path
from instruments.record import keep, provenance

TODAY = 20_700
"""2026-09-04, in days: the same in every run."""

WARNED = ("HOSPITAL",)
"""Labels that are no class of Safe Harbor for a patient and are weighed."""

OWN = {"SSN": "ssn", "PHONE": "phone", "FAX": "phone", "EMAIL": "email", "URL": "url", "IP": "ip"}
"""Labels that have a pattern of their own."""


def spans(root: Path) -> Mapping[str, list[str]]:
    """Every label's texts, as often as they occur."""
    found: dict[str, list[str]] = collections.defaultdict(list)
    for line in (root / "phi_planted_notes" / "notes.jsonl").read_text().splitlines():
        for span in json.loads(line)["spans"]:
            found[span["label"]].append(span["text"])
    return found


def harmless(root: Path) -> Iterator[tuple[str, Iterable[object]]]:
    """Columns that hold no identifier: codes, measurements and words of the notes and of two FHIR exports."""
    yield "blood pressure", [f"{a}/{b}" for a in range(100, 160, 3) for b in range(60, 95, 2)]
    yield "glucose", [str(60 + 7 * i % 240) for i in range(400)]
    yield "platelets", [str(150_000 + 977 * i % 250_000) for i in range(400)]
    yield "creatinine", [f"{0.5 + (i * 37 % 200) / 100:.2f}" for i in range(400)]
    yield "icd10", [f"{c}{n:02d}.{n % 10}" for c in "ABCDEIJKN" for n in range(10, 60)]
    yield "loinc", [f"{n}-{n % 10}" for n in range(1500, 1900)]
    yield "ndc", [f"{n:05d}-{n % 9000:04d}-{n % 90:02d}" for n in range(12, 60_000, 450)]
    yield "dose", [f"{n} mg" for n in range(5, 500, 5)] * 4
    yield (
        "eponym",
        ["Graves disease", "Bell palsy", "Parkinson disease", "Foley catheter", "Apgar 8/9", "Wilson disease"] * 60,
    )
    yield "age", [f"{n}" for n in range(18, 90)] * 5
    yield "years", [str(1950 + i % 70) for i in range(400)]
    fhir = root / "smart_bulk_fhir_10"
    for name, path in (
        ("Condition", "code.coding.display"),
        ("Procedure", "code.coding.code"),
        ("MedicationRequest", "medicationCodeableConcept.coding.display"),
        ("Encounter", "type.coding.display"),
        ("Immunization", "vaccineCode.coding.code"),
    ):
        sheet = open_path(fhir / f"{name}.000.ndjson.gz").sheets[0]
        yield f"{name}.{path}", sheet.leaves[f"{name}.{path}"].values.to_pylist()
    measured = read_columns(root / "omop_gibleed" / "measurement.parquet")
    for path in ("measurement_source_value", "value_as_number"):
        yield f"measurement.{path}", measured.leaves[path].values.to_pylist()


def _written(path: Path, texts: Iterable[object]) -> Sheet:
    """A column as it is once it was a CSV file: numbers where that loses nothing."""
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["v"], *([text] for text in texts)])
    return read_columns(path)


def columns(root: Path) -> tuple[list[dict[str, object]], Mapping[str, str], Mapping[str, Leaf]]:
    """One sheet per column, so that columns may have as many values as they have."""
    sheets, meaning, leaves = [], {}, {}
    told = [(label, texts, True) for label, texts in spans(root).items()]
    told += [(name, texts, False) for name, texts in harmless(root)]
    with tempfile.TemporaryDirectory() as folder:
        for i, (name, texts, planted) in enumerate(told):
            sheet = _written(Path(folder) / f"c{i:02d}.csv", texts)
            sheets.append(sheet)
            meaning[f"c{i:02d}.v"] = name if planted else f"({name})"
            leaves[f"c{i:02d}.v"] = sheet.leaves["v"]
    outcome = examine(Context(tuple(sheets), today=TODAY), IDENTITY)
    rows = []
    for where, name in meaning.items():
        hits = [one for one in outcome.findings if one.where == where]
        blocks = [one.rule for one in hits if one.severity == Severity.BLOCK]
        rows.append(
            {"column": name, "values": len(leaves[where].values), "blocks": blocks, "all": [one.rule for one in hits]}
        )
    return rows, meaning, leaves


def values(meaning: Mapping[str, str], leaves: Mapping[str, Leaf]) -> list[dict[str, object]]:
    """Recall and precision of patterns on single values, in columns without a telling name."""
    context = Context(tuple(Sheet(where[:-2], TABLE, len(leaf.values), {"v": leaf}) for where, leaf in leaves.items()))
    rows = []
    for label, name in OWN.items():
        right = total = wrong = 0
        for where, leaf in leaves.items():
            column = context.distinct(leaf)
            if column is None:
                continue
            masks = [judge(one, column, leaf.path) for one in PATTERNS if one.name == name]
            hit = int(column.counts[_any([mask for mask in masks if mask is not None], column)].sum())
            if meaning[where] == label:
                right, total = hit, column.total
            elif OWN.get(meaning[where]) != name:
                wrong += hit
        rows.append(
            {"label": label, "recall": right / total, "precision": right / max(right + wrong, 1), "wrong": wrong}
        )
    return rows


def _any(masks: list[Mask], column: Distinct) -> Mask:
    return np.logical_or.reduce([np.zeros(len(column.values), np.bool_), *masks])


IDENTITY_PATHS = {
    "names": (
        "name.family",
        "name.given",
        "name.suffix",
        "extension(patient-mothersMaidenName).valueString",
        "subject.display",
        "patient.display",
    ),
    "places": (
        "address.line",
        "address.city",
        "address.postalCode",
        "(latitude).valueDecimal",
        "(longitude).valueDecimal",
        "position.latitude",
        "position.longitude",
        "extension(patient-birthPlace).valueAddress.city",
    ),
    "dates": (
        "birthDate",
        "deceasedDateTime",
        "DateTime",
        "recordedDate",
        "period.start",
        "period.end",
        "Period.start",
        "Period.end",
        "authoredOn",
        "created",
        "issued",
        "manufactureDate",
        "expirationDate",
        ".date",
        "recorded",
    ),
    "telecom": ("telecom.value",),
    "identifiers": ("dentifier.value", "Patient.id"),
    "devices": ("deviceIdentifier", "carrierHRF", "serialNumber", "lotNumber", "distinctIdentifier"),
    "documents": ("attachment.data", "presentedForm.data", "text.div", "dosageInstruction.text", ".description"),
}
"""Where the specification puts identity, by how paths end."""


def paths(folder: Path) -> list[dict[str, object]]:
    """Recall and precision over paths: what holds identity by its path, against what a rule blocks or weighs."""
    opened = open_path(folder)
    outcome = examine(Context(opened.sheets, today=TODAY), IDENTITY)
    flagged = {one.where for one in outcome.findings if one.severity >= Severity.WARN}
    every = {sheet.place(path) for sheet in opened.sheets for path in sheet.leaves}
    rows, known = [], set()
    for kind, ends in IDENTITY_PATHS.items():
        meant = {one for one in every if one.endswith(ends)}
        known |= meant
        rows.append(
            {
                "kind": kind,
                "paths": len(meant),
                "recall": len(meant & flagged) / max(len(meant), 1),
                "missed": sorted(meant - flagged),
            }
        )
    weighed = {one for one in every if one.endswith((".display", ".reference", ".name")) or "extension(local)" in one}
    wrong = sorted(one for one in flagged - known - weighed if not one.endswith(".contained"))
    rows.append(
        {"kind": "anything else flagged", "paths": len(every - known - weighed), "recall": None, "missed": wrong}
    )
    return rows


def main() -> None:
    """Measure, print and write."""
    root = Path(os.environ["CADUCEUS_DATA"])
    began = time.perf_counter()
    rows, meaning, leaves = columns(root)
    planted = [row for row in rows if not str(row["column"]).startswith("(")]
    clean = [row for row in rows if str(row["column"]).startswith("(")]
    for row in rows:
        outcome_word = "FOUND" if row["blocks"] else "weighed" if row["all"] else "-"
        print(f"{row['column']!s:62} {row['values']:6} {outcome_word:8} {row['all']}")
    due = [row for row in planted if row["column"] not in WARNED]
    caught = [row for row in due if row["blocks"]]
    false = [row for row in clean if row["blocks"]]
    print(f"\ncolumns: recall {len(caught)}/{len(due)}, precision {len(caught)}/{len(caught) + len(false)}")
    single = values(meaning, leaves)
    for row in single:
        print(f"{row['label']:8} values: recall {row['recall']:.3f} precision {row['precision']:.3f}")
    exports = {}
    for name in ("smart_bulk_fhir_10", "synthea_fhir_ndjson"):
        exports[name] = paths(root / name)
        for row in exports[name]:
            share = "" if row["recall"] is None else f"{row['recall']:.3f}"
            print(f"{name} {row['kind']!s:24} {row['paths']:4} paths {share} {row['missed']}")
    notes = open_path(root / "phi_planted_notes" / "fhir_DocumentReference.ndjson.gz")
    verdict = examine(Context(notes.sheets, today=TODAY), IDENTITY).verdict
    print(f"notes: {verdict.readiness.name}; {time.perf_counter() - began:.1f} s")
    record = {"columns": rows, "values": single, "exports": exports, "notes": verdict.readiness.name}
    keep("readiness", {**provenance(seed="nothing is drawn"), **record})


if __name__ == "__main__":
    main()
