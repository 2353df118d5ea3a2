"""What one block of an export gives: people, events, codes of medications, and what was left out."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import pyarrow as pa

from caduceus.data.records import SYSTEMS
from caduceus.edges.fhir import mapping
from caduceus.edges.fhir.columns import check_rows
from caduceus.edges.fhir.files import LINES, Block
from caduceus.edges.fhir.mapping import ENCOUNTER, EVENT_TYPES, MEDICATION, PATIENT, EventRows
from caduceus.edges.fhir.resources import Resource, json_loads, place_name, read_resources, refuse_many
from caduceus.edges.fhir.rows import Row
from caduceus.edges.fhir.view import View
from caduceus.errors import Refused

MOST_NEEDLES = 32
"""With more codes than this, looking for each of them takes longer than reading the line."""

_PLAIN = re.compile(r"^[A-Za-z0-9.\-_]+$")
_MEDICINES = frozenset(("MedicationAdministration", "MedicationRequest", "MedicationStatement"))


@dataclass(frozen=True, slots=True)
class Plan:
    """What is wanted of every block.

    codes  of which events are kept, as SYSTEM:code; None for all
    skim   whether lines without such a code may be passed over unread
    """

    codes: frozenset[str] | None
    skim: bool


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """What a block gave.

    people       as `mapping.PERSONS`
    events       as `mapping.FOUND`, numbers from 0
    medications  (id of a Medication, its SYSTEM:code)
    resources    how many were looked at
    visits, all  spans of time by patient: of encounters; of all events that were read
    left_out     how often, by the names of `mapping.Counts`
    """

    people: pa.RecordBatch
    events: pa.RecordBatch
    medications: tuple[tuple[str, str], ...]
    resources: int
    visits: Mapping[str, tuple[date, date]]
    all: Mapping[str, tuple[date, date]]
    left_out: Mapping[str, int]


def read_piece(block: Block, *, plan: Plan) -> Piece:
    """Read a block.

    Raises Refused, naming file and line but nothing of its content, at the first that is no FHIR resource, or in
    which something is not of FHIR's type for it.
    """
    rows: dict[str, list[Row]] = {type_: [] for type_ in mapping.TYPES}
    numbers: dict[str, list[int]] = {type_: [] for type_ in mapping.TYPES}
    views = {type_: mapping.built_in(type_) for type_ in mapping.TYPES}
    places: list[str | int] = []
    total = 0
    for place, resource in read_resources(block, json_loads(exact=False), _skimmer(block, plan)):
        if isinstance(resource, str):
            raise Refused(f"{place_name(block, place)}: {resource}; mend the export, or take the line out")
        view = views.get(resource["resourceType"])
        if view is None:
            continue
        made = _rows(view, resource, block, place)
        total += len(made)
        refuse_many(block, place, total)
        rows[view.resource] += made
        numbers[view.resource] += [len(places)] * len(made)
        places.append(place)
    for type_, view in views.items():
        _check(view, rows[type_], numbers[type_], places, block)
    events = EventRows(plan.codes)
    for type_ in EVENT_TYPES:
        events.take(type_, rows[type_], numbers[type_])
    people = mapping.persons(rows[PATIENT], events.counts)
    return Piece(
        people=people,
        events=events.batch(),
        medications=tuple(mapping.medications(rows[MEDICATION])),
        resources=len(places),
        visits=events.visits.of,
        all=events.all.of,
        left_out={name: getattr(events.counts, name) for name in events.counts.NAMES},
    )


def _rows(view: View, resource: Resource, block: Block, place: str | int) -> Sequence[Row]:
    try:
        return view.rows(resource)
    except Refused as error:
        raise Refused(f"{place_name(block, place)}: {error}") from None


def _check(view: View, rows: Sequence[Row], numbers: Sequence[int], places: Sequence[str | int], block: Block) -> None:
    """Raises Refused, naming the place, if a value is not of its column's type."""
    try:
        check_rows(view, rows)
    except Refused:
        for row, number in zip(rows, numbers, strict=True):
            try:
                check_rows(view, [row])
            except Refused as error:
                raise Refused(f"{place_name(block, places[number])}: {error}") from None
        raise


def needles(codes: frozenset[str] | None) -> tuple[bytes, ...]:
    """Bytes of which a line with one of the codes has at least one; none where that can't be told quickly."""
    if not codes or len(codes) > MOST_NEEDLES:
        return ()
    ends = set()
    for code in codes:
        system, _, end = code.partition(":")
        if system not in SYSTEMS:
            end = code.rpartition(":")[2]  # where an unknown system ends and its code begins can't be told
        if not _PLAIN.match(end):
            return ()
        ends.add(f'"{end}"' if system in SYSTEMS else f'{end}"')
    return tuple(end.encode() for end in sorted(ends))


def _skimmer(block: Block, plan: Plan) -> Callable[[bytes], bool] | None:
    """Whether a line of the block may hold something that is wanted; None if every line has to be read."""
    wanted = needles(plan.codes)
    if not (plan.skim and wanted and block.kind == LINES) or block.type not in EVENT_TYPES or block.type == ENCOUNTER:
        return None
    wanted += (b"\\u",)  # a code may be written with escapes
    if block.type in _MEDICINES:
        wanted += (b"medicationReference",)

    def worth(line: bytes) -> bool:
        for needle in wanted:  # noqa: SIM110  a loop is quicker than any()
            if needle in line:
                return True
        return False

    return worth
