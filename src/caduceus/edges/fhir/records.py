"""A site's FHIR export as `data.records.Records`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from caduceus.data.readiness.finding import Finding
from caduceus.data.records import EVENTS, PEOPLE, Records
from caduceus.edges.fhir import mapping
from caduceus.edges.fhir.files import LINES, Block, FhirFile, find_files, first_line, read_blocks
from caduceus.edges.fhir.left_out import notes_on
from caduceus.edges.fhir.mapping import DEAD, FOUND, PERSONS, Spans
from caduceus.edges.fhir.parallel import over_blocks
from caduceus.edges.fhir.piece import Piece, Plan, needles, read_piece
from caduceus.edges.fhir.resources import json_loads
from caduceus.errors import Refused

_MOST_OF_A_BLOCK = 1 << 40
"""More resources than a block has: numbers of different blocks never meet."""


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What was read, and what was left out of it.

    records    people and events
    resources  how many resources of the types that are read were looked at
    notes      what was left out and why, counted; no value of a record
    """

    records: Records
    resources: int
    notes: tuple[Finding, ...]


def read_records(place: Path, *, codes: frozenset[str] | None = None) -> Records:
    """The people and events of a FHIR export; `read_export` says besides what was left out.

    place  a folder with NDJSON files (plain or gzip, any number a type) and bundles, or one such file
    codes  of which events are kept, as "LOINC:4548-4"; None for all. People are the same for any codes

    Raises Refused if there is no Patient, or something is no FHIR, naming file and line.
    """
    return read_export(place, codes=codes).records


def read_export(place: Path, *, codes: frozenset[str] | None = None, processes: int | None = None) -> Reading:
    """As `read_records`, with notes.

    processes  how many work at once; None for one a core. The result is the same for any number
    """
    files, no_fhir = wanted_files(find_files(place), mapping.TYPES)
    skim = bool(needles(codes))
    gathered = _gather(files, Plan(codes, skim), processes)
    if skim and not gathered.visits.of:
        # No encounters say from when to when patients were seen, so all events have to: read them all.
        gathered = _gather(files, Plan(codes, skim=False), processes)
    if not sum(batch.num_rows for batch in gathered.people):
        raise Refused(f"{place}: no Patient resources; events without people are of no use. Export Patient too")
    people, twins = _people(gathered)
    events, twice, unresolved, strange = _events(gathered, people, codes)
    notes = notes_on(
        gathered.left_out, twins=twins, twice=twice, unresolved=unresolved, strange=strange, no_fhir=no_fhir
    )
    return Reading(Records(people.select(PEOPLE.names), events), gathered.resources, notes)


def wanted_files(files: tuple[FhirFile, ...], types: frozenset[str]) -> tuple[tuple[FhirFile, ...], int]:
    """The files that may hold resources of some types, and how many others hold no FHIR at all.

    A file's name is believed if its first line is of the type that it says.
    """
    kept, strangers = [], 0
    loads = json_loads(exact=False)
    for file in files:
        if file.kind != LINES:
            kept.append(file)
            continue
        line = first_line(file)
        try:
            first = loads(line) if line else {"resourceType": file.type}
        except ValueError:
            first = None  # refused with its line when it is read
        found = first.get("resourceType") if isinstance(first, dict) else None
        if isinstance(first, dict) and "resourceType" not in first:
            strangers += 1
        elif file.type is None or file.type != found:
            kept.append(FhirFile(file.path, file.kind, None))
        elif file.type in types:
            kept.append(file)
    return tuple(kept), strangers


@dataclass(slots=True, eq=False)
class _Gathered:
    people: list[pa.RecordBatch] = field(default_factory=list)
    events: list[pa.RecordBatch] = field(default_factory=list)
    medications: dict[str, list[str]] = field(default_factory=dict)
    resources: int = 0
    visits: Spans = field(default_factory=Spans)
    all: Spans = field(default_factory=Spans)
    left_out: dict[str, int] = field(default_factory=lambda: dict.fromkeys(mapping.Counts.NAMES, 0))

    def take(self, piece: Piece, number: int) -> None:
        """Add what the block of this number gave."""
        self.people.append(piece.people)
        numbers = pc.add(piece.events["number"], pa.scalar(number * _MOST_OF_A_BLOCK, pa.int64()))
        self.events.append(piece.events.set_column(FOUND.get_field_index("number"), FOUND.field("number"), numbers))
        for id_, code in piece.medications:
            known = self.medications.setdefault(id_, [])
            if code not in known:
                known.append(code)
        self.resources += piece.resources
        for spans, more in ((self.visits, piece.visits), (self.all, piece.all)):
            for patient, (first, last) in more.items():
                spans.widen(patient, first, last)
        for name, count in piece.left_out.items():
            self.left_out[name] += count


def _gather(files: tuple[FhirFile, ...], plan: Plan, processes: int | None) -> _Gathered:
    gathered = _Gathered()
    pieces = over_blocks(partial(read_piece, plan=plan), _blocks(files), processes=processes)
    for number, piece in enumerate(pieces):
        gathered.take(piece, number)
    return gathered


def _blocks(files: tuple[FhirFile, ...]) -> Iterator[Block]:
    for file in files:
        yield from read_blocks(file)


def _people(gathered: _Gathered) -> tuple[pa.Table, int]:
    """One row per patient, with spans, and how many rows were left out for another of the same id.

    Of several the one that was updated last counts, and of these the one that stands last.
    """
    table = pa.Table.from_batches(gathered.people, schema=PERSONS)
    ids = table["patient"].to_pylist()
    if len(set(ids)) < len(ids):
        updated = table["updated"].to_pylist()
        best: dict[str, tuple[str, int]] = {}
        for i, (id_, when) in enumerate(zip(ids, updated, strict=True)):
            best[id_] = max(best.get(id_, ("", -1)), (when or "", i))
        table = table.take(pa.array(sorted(i for _, i in best.values()), pa.int64()))
    spans = (gathered.visits if gathered.visits.of else gathered.all).of
    known = [spans.get(id_) for id_ in table["patient"].to_pylist()]
    for name, end in (("observed_from", 0), ("observed_to", 1)):
        days: list[date | None] = [None if span is None else span[end] for span in known]
        table = table.set_column(table.schema.get_field_index(name), PEOPLE.field(name), pa.array(days, pa.date32()))
    return table, len(ids) - table.num_rows


def _events(gathered: _Gathered, people: pa.Table, codes: frozenset[str] | None) -> tuple[pa.Table, int, int, int]:
    """The events, and how many rows were left out: of resources that are there twice; whose Medication is not there;
    whose patient is not there."""
    found = pa.Table.from_batches(gathered.events, schema=FOUND)
    found, twice = _once(found)
    found, unresolved = _resolved(found, gathered.medications, codes)
    known = found.filter(pc.is_in(found["patient"], people["patient"].combine_chunks()))
    strange = found.num_rows - known.num_rows
    events = pa.concat_tables([known.select(EVENTS.names).cast(EVENTS), _deaths(people, codes)])
    return events, twice, unresolved, strange


def _once(found: pa.Table) -> tuple[pa.Table, int]:
    """Without the rows of resources of which there is another with the same type and id: the last one counts."""
    resources = (
        found.select(["kind", "id", "number"])
        .group_by(["kind", "id"])
        .aggregate([("number", "min"), ("number", "max")])
    )
    twice = resources.filter(
        pc.and_(pc.is_valid(resources["id"]), pc.not_equal(resources["number_min"], resources["number_max"]))
    )
    if not twice.num_rows:
        return found, 0
    last = {
        (kind, id_): number
        for kind, id_, number in zip(
            twice["kind"].to_pylist(), twice["id"].to_pylist(), twice["number_max"].to_pylist(), strict=True
        )
    }
    keys = zip(found["kind"].to_pylist(), found["id"].to_pylist(), found["number"].to_pylist(), strict=True)
    kept = found.filter(pa.array([last.get((kind, id_), number) == number for kind, id_, number in keys], pa.bool_()))
    return kept, found.num_rows - kept.num_rows


def _resolved(
    found: pa.Table, medications: Mapping[str, list[str]], codes: frozenset[str] | None
) -> tuple[pa.Table, int]:
    """With the codes of Medications in the place of references to them."""
    referring = pc.is_valid(found["reference"])
    rows = found.filter(referring)
    if not rows.num_rows:
        return found, 0
    places, names, unresolved = list[int](), list[str](), 0
    for i, id_ in enumerate(rows["reference"].to_pylist()):
        known = medications.get(id_, [])
        unresolved += not known
        for name in known:
            if codes is None or name in codes:
                places.append(i)
                names.append(name)
    at = FOUND.get_field_index("code")
    named = rows.take(pa.array(places, pa.int64())).set_column(at, FOUND.field("code"), pa.array(names, pa.string()))
    return pa.concat_tables([found.filter(pc.invert(referring)), named]), unresolved


def _deaths(people: pa.Table, codes: frozenset[str] | None) -> pa.Table:
    """An event for everybody who died, whether or not it is known when."""
    dead = people.filter(people["dead"]) if codes is None or DEAD in codes else people.slice(0, 0)
    count = dead.num_rows
    columns = {
        "patient": dead["patient"],
        "domain": pa.array(["death"] * count, pa.string()),
        "code": pa.array([DEAD] * count, pa.string()),
        "start": dead["died"].cast(pa.timestamp("us")),
    }
    arrays = [columns.get(field.name, pa.nulls(count, field.type)) for field in EVENTS]
    return pa.table(arrays, schema=EVENTS)
