"""Free text: blocked, because nobody has shown how many names a search of it would miss."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from caduceus.data.readiness import hipaa
from caduceus.data.readiness.distinct import Distinct, truth
from caduceus.data.readiness.finding import Finding, Severity
from caduceus.data.readiness.paths import is_structure, known_by_path, last, lighter, words
from caduceus.data.readiness.rule import SOURCES, Context, Rule, Skipped
from caduceus.data.readiness.sheet import FHIR, OMOP, Leaf, Sheet

NAME, PACKED = "text.free", "text.packed"

LONG = 80
"""Characters from which a value is prose, if it has words."""

_FHIR_PROSE = (
    "note.text",
    "text.div",
    "comment",
    "conclusion",
    "patientInstruction",
    "valueMarkdown",
    "valueString",
    "description",
    "presentedForm.data",
    "ttachment.data",
    "Binary.data",
    "contentString",
    "valueBase64Binary",
    "content.data",
    "summary",
    "instructions",
)
_ENCODED = ("data",)
_OMOP_PROSE = ("note_text", "sig", "note_title", "lexical_variant", "snippet", "value_as_string")
_NAMES = (
    "note",
    "notes",
    "comment",
    "comments",
    "remark",
    "remarks",
    "narrative",
    "freetext",
    "anamnesis",
    "history",
    "bemerkung",
    "bemerkungen",
    "kommentar",
    "befund",
    "arztbrief",
    "commentaire",
    "observaciones",
    "report",
    "impression",
    "summary",
    "description",
    "reason",
    "text",
    "letter",
    "specify",
    "other",
    "cmt",
)


def is_prose(column: Distinct) -> bool:
    """Whether a column's texts are sentences: long, of many words, and most of them written once."""
    if column.number or column.day or not len(column.values):
        return False
    lengths = np.asarray(pc.utf8_length(column.values).to_numpy(zero_copy_only=False))
    many = np.asarray(pc.count_substring_regex(column.values, r"\S+").to_numpy(zero_copy_only=False))
    lines = truth(pc.match_substring(column.values, "\n"))
    if bool((lines | ((lengths >= LONG) & (many >= 8))).mean() > 0.25):
        return True
    different = len(column.values) / max(column.total, 1)
    words_first = truth(pc.match_substring_regex(column.values, r"^[\p{L}(\"']")).mean() > 0.7
    if len(column.values) >= 30 and different > 0.3 and np.mean(many) >= 1.5 and words_first:
        return True
    return bool(np.mean(many) >= 4 and different > 0.3 and len(column.values) >= 10)


def _called(sheet: Sheet, leaf: Leaf, column: Distinct) -> bool:
    """Whether a place is one that people write in, by its name, and not merely with codes."""
    if sheet.source == FHIR:
        return leaf.path.endswith(_FHIR_PROSE)
    several = float(np.mean(np.asarray(pc.count_substring_regex(column.values, r"\S+")))) > 1.5
    if sheet.source == OMOP and leaf.path.lower() in _OMOP_PROSE:
        return several
    return several and len(column.values) >= 10 and any(one in _NAMES for one in words(leaf.path))


def _look(context: Context) -> Iterator[Finding | Skipped]:
    severity = Severity.BLOCK if context.free_text == "block" else Severity.WARN
    for sheet, leaf, where in context.leaves():
        column = None if is_structure(sheet, leaf) else context.distinct(leaf)
        if column is None or column.number or column.day or not column.total or _is_list(sheet, leaf):
            continue
        if not (_called(sheet, leaf, column) or (not known_by_path(sheet, leaf) and is_prose(column))):
            continue
        packed = last(leaf.path) in _ENCODED and sheet.source == FHIR
        yield hipaa.found(
            NAME,
            where,
            column.all_records(),
            sheet.rows,
            lighter(severity, sheet),
            "documents, packed into the record" if packed else "text that people write freely",
            "drop it, or turn what is needed of it into coded columns; free text is not searched for names here, "
            "because how "
            "many would be missed is not known",
        )
        yield Skipped("free text is not searched for names or numbers", where, applies=True)


def _is_list(sheet: Sheet, leaf: Leaf) -> bool:
    """Whether the words are those of a published code: what stands beside it, and a concept's own wording."""
    if sheet.source != FHIR:
        return False
    steps = leaf.path.split(".")
    beside = leaf.path.rsplit(".", 1)[0]
    coded = steps[-1] == "text" and any(path.startswith(f"{beside}.coding.") for path in sheet.leaves)
    extension = ".extension(us-core-" in leaf.path or ".extension(patient-" in leaf.path
    return steps[-1] == "display" or coded or extension


def _packed(context: Context) -> Iterator[Finding | Skipped]:
    severity = Severity.BLOCK if context.free_text == "block" else Severity.WARN
    for sheet, leaf, where in context.leaves():
        kind = leaf.values.type
        if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
            count = len(leaf.values) - leaf.values.null_count
            says = "bytes of a form that rules do not know: pictures, recordings, documents or keys"
            yield hipaa.found(PACKED, where, count, sheet.rows, severity, says, "drop the column")
            yield Skipped("bytes are not opened", where, applies=True)


RULES: tuple[Rule, ...] = (
    Rule(
        PACKED,
        "Bytes",
        "Finds columns of bytes: pictures, recordings, packed documents. They are not opened, and block as free text "
        "does.",
        (hipaa.PHOTO, hipaa.BIOMETRIC),
        SOURCES,
        _packed,
    ),
    Rule(
        NAME,
        "Free text",
        "Finds columns and paths in which people write sentences, by what they are called and by how their values "
        "read, "
        "and documents packed into records. They hold names, places and dates in forms that no pattern knows, so they "
        "block, and the report says that they were not searched.",
        (hipaa.NAME, hipaa.OTHER),
        SOURCES,
        _look,
    ),
)
