"""From a block's bytes to its resources, each with its place; what is none is named by its place alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from caduceus.edges.fhir.files import LINES, Block
from caduceus.edges.fhir.keys import resource_key
from caduceus.edges.fhir.moments import Written
from caduceus.errors import Refused

Resource = dict[str, Any]
Found = tuple[str | int, Resource | str]
"""A place, a line's number or "entry 3", and the resource there, or in words why there is none."""

MOST_ROWS = 2_000_000
"""Most rows that a block makes, unless it is a large one:"""
LEAST_BYTES = 50
"""there may be a row for every so many bytes."""

Loads = Callable[[bytes], Any]


def json_loads(*, exact: bool) -> Loads:
    """A parser of JSON that knows no NaN, no infinity and no invalid UTF-8.

    exact  whether decimals remember how they were written; slower

    Raises Refused if orjson is not installed.
    """
    try:
        import orjson
    except ImportError as error:
        raise Refused("FHIR needs more packages: pip install 'caduceus[health]'") from error
    if not exact:
        return orjson.loads

    def loads(data: bytes) -> Any:
        orjson.loads(data)  # refuses what is nested too deep, whatever limit this process has for recursion
        return json.loads(data.decode(), parse_float=_written, parse_constant=_no_number)

    return loads


def _written(text: str) -> Written:
    made = Written(text)
    return made if abs(made) != float("inf") else _no_number(text)


def _no_number(_: str) -> NoReturn:
    raise ValueError("no number")


def read_resources(block: Block, loads: Loads, wanted: Callable[[bytes], bool] | None = None) -> Iterator[Found]:
    """The resources of a block, in order; those within bundles in their place.

    wanted  whether a line is worth looking at, judged by its bytes; None for all
    """
    if block.kind != LINES:
        yield from ((f"entry {i}", found) for i, found in _unpacked(_loaded(block.data, loads)))
        return
    for number, line in enumerate(block.data.split(b"\n"), block.first):
        if not line or line.isspace() or (wanted is not None and not wanted(line)):
            continue
        found = _loaded(line, loads)
        if block.type is not None and isinstance(found, dict) and found["resourceType"] != block.type:
            found = f"no {block.type}, as the file's name says; give files of several types other names"
        if isinstance(found, dict) and found["resourceType"] == "Bundle":
            for _, one in _unpacked(found):
                yield number, one
        else:
            yield number, found


def place_name(block: Block, place: str | int) -> str:
    """A place within a block, for messages."""
    return f"{block.name}: line {place}" if isinstance(place, int) else f"{block.name}: {place}"


def refuse_many(block: Block, place: str | int, rows: int) -> None:
    """Raises Refused if a block has made more rows, up to this place, than any export does: they would fill memory."""
    if rows > max(MOST_ROWS, len(block.data) // LEAST_BYTES):
        raise Refused(
            f"{place_name(block, place)}: the view has made {rows} rows of {len(block.data)} bytes up to here"
        )


def _loaded(data: bytes, loads: Loads) -> Resource | str:
    try:
        found = loads(data)
    except ValueError:
        return "not JSON"
    if not isinstance(found, dict):
        return "not an object"
    return found if isinstance(found.get("resourceType"), str) else "no resourceType"


def _unpacked(found: Resource | str) -> list[tuple[int, Resource | str]]:
    """The resources of a bundle, counted from 1; anything else is itself.

    Within a bundle a reference may be an entry's `fullUrl`. Where this is not the entry's own id, references to it are
    rewritten to the id; and an entry without an id gets the end of its `fullUrl`.
    """
    if isinstance(found, str) or found.get("resourceType") != "Bundle":
        return [(1, found)]
    entries = found.get("entry", [])
    if not isinstance(entries, list):
        return [(1, "a Bundle whose 'entry' is no list")]
    out: list[tuple[int, Resource | str]] = []
    names: dict[str, str] = {}
    for i, entry in enumerate(entries, 1):
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if resource is None and isinstance(entry, dict):
            continue  # a deletion, or an answer without a body
        if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
            out.append((i, "an entry without a resource"))
            continue
        url = entry.get("fullUrl")
        if isinstance(url, str) and url:
            end = url.rpartition("/")[2] if "/" in url else url.rpartition(":")[2]
            if resource_key(resource) is None:
                resource["id"] = end
            elif resource["id"] != end:
                names[url] = f"{resource['resourceType']}/{resource['id']}"
        if resource["resourceType"] == "Bundle":
            out.append((i, "a Bundle within a Bundle"))
        else:
            out.append((i, resource))
    if names:
        _rename(found, names)
    return out


def _rename(root: Any, names: dict[str, str]) -> None:
    """Replace references that are keys of `names`, everywhere in a JSON value."""
    waiting = [root]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting.extend(one)
        elif isinstance(one, dict):
            reference = one.get("reference")
            if isinstance(reference, str) and reference in names:
                one["reference"] = names[reference]
            waiting.extend(one.values())
