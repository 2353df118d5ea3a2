"""A site's own ViewDefinition over its export, as an Arrow table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from caduceus.edges.fhir.columns import arrow_batch, arrow_schema
from caduceus.edges.fhir.files import Block, find_files, read_blocks
from caduceus.edges.fhir.parallel import over_blocks
from caduceus.edges.fhir.records import wanted_files
from caduceus.edges.fhir.resources import json_loads, place_name, read_resources, refuse_many
from caduceus.edges.fhir.rows import Row
from caduceus.edges.fhir.view import View, compile_view
from caduceus.errors import Refused


def load_view(path: Path) -> Mapping[str, Any]:
    """A ViewDefinition from its JSON file, checked.

    Raises Refused, naming the file, and view, column and path if it is malformed.
    """
    try:
        view = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise Refused(f"{path}: no JSON can be read from it ({type(error).__name__})") from None
    try:
        compile_view(view)
    except Refused as error:
        raise Refused(f"{path}: {error}") from None
    return view  # type: ignore[no-any-return]


def read_view(place: Path, view: Mapping[str, Any], *, processes: int | None = None) -> pa.Table:
    """The rows of a view over an export.

    place      as for `read_records`
    view       a ViewDefinition (SQL on FHIR v2) as JSON gives it
    processes  how many work at once; None for one a core. The result is the same for any number
    returns    columns as the view says: boolean, integer and decimal as such, all else as text

    Raises Refused if the view is malformed, or does not fit a resource, naming file, line, view and column.
    """
    compiled = compile_view(view)
    return pa.Table.from_batches(view_batches(place, view, processes=processes), schema=arrow_schema(compiled))


def view_batches(place: Path, view: Mapping[str, Any], *, processes: int | None = None) -> Iterator[pa.RecordBatch]:
    """As `read_view`, a batch at a time, for what is too large to be held at once."""
    text = json.dumps(view)
    files, _ = wanted_files(find_files(place), frozenset((compile_view(view).resource,)))
    blocks = (block for file in files for block in read_blocks(file))
    yield from over_blocks(partial(_block_rows, view=text), blocks, processes=processes)


@cache
def _compiled(text: str) -> tuple[View, pa.Schema]:
    made = compile_view(json.loads(text))
    return made, arrow_schema(made)


def _block_rows(block: Block, *, view: str) -> pa.RecordBatch:
    compiled, schema = _compiled(view)
    rows: list[Row] = []
    for place, resource in read_resources(block, json_loads(exact=compiled.exact)):
        where = place_name(block, place)
        if isinstance(resource, str):
            raise Refused(f"{where}: {resource}; mend the export, or take the line out")
        try:
            rows.extend(compiled.rows(resource))
        except Refused as error:
            raise Refused(f"{where}: {error}") from None
        refuse_many(block, place, len(rows))
    try:
        return arrow_batch(compiled, schema, rows)
    except Refused as error:
        raise Refused(f"{block.name}, from line {block.first}: {error}") from None
