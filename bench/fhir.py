"""How fast a FHIR export becomes records, beside plain JSON parsing and beside a FHIRPath library on the same views.

    CADUCEUS_DATA=... python bench/fhir.py [--copies 4]

The export is a set of real shape (`synthea_fhir_ndjson`), repeated with other ids in a temporary folder: four copies of
the types that are read make 118,448 resources in 8 compressed files. Every arm is a process of its own; what it costs
is measured from outside, from its first instruction to its last, all its processes together.

The library evaluates the same views with the same runner, every path of them, on each n-th resource; what it would
take for all is estimated from that. Writes bench/results/fhir.json.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from caduceus.edges.fhir import mapping, read_export
from caduceus.edges.fhir.view import compile_view
from instruments.record import environment, keep, load, provenance, show
from instruments.usage import Usage, run

SET = "synthea_fhir_ndjson"
PART = 50
"""The library's arm looks at each resource of this number."""
FEW = frozenset(("LOINC:8302-2", "LOINC:29463-7", "SNOMED:410620009"))
_UUID = re.compile(rb"\b([0-9a-f]{8})(-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\b")


def make(source: Path, folder: Path, copies: int) -> int:
    """Write the export and say how many resources it has; in each copy the first half of every UUID is another."""
    resources = 0
    for type_ in sorted(mapping.TYPES):
        path = source / f"{type_}.ndjson.gz"
        if not path.is_file():
            continue
        data = gzip.decompress(path.read_bytes())
        with gzip.open(folder / path.name, "wb", compresslevel=1) as out:
            for copy in range(copies):
                mask = copy * 0x9E3779B1 & 0xFFFFFFFF
                out.write(_UUID.sub(lambda m, mask=mask: b"%08x" % (int(m[1], 16) ^ mask) + m[2], data))
                resources += data.count(b"\n")
    return resources


def lines(folder: Path) -> Iterator[tuple[str, bytes]]:
    """The type and the bytes of every resource."""
    for path in sorted(folder.glob("*.gz")):
        with gzip.open(path) as file:
            for line in file:
                yield path.name.partition(".")[0], line


def parse_only(loads: Callable[[bytes], object]) -> Callable[[Path], None]:
    """The floor: unpack, split, parse, throw away."""

    def arm(folder: Path) -> None:
        for _, line in lines(folder):
            loads(line)

    return arm


def views(part: int, *, compiled: bool) -> Callable[[Path], None]:
    """The built-in views over each resource of a number, and all others unpacked only; one process.

    part  0 for none: what the other arms do besides
    """

    def arm(folder: Path) -> None:
        made = {
            type_: compile_view(json.loads((mapping.VIEWS / f"{type_}.json").read_text()), compiled=compiled)
            for type_ in mapping.TYPES
        }
        for i, (type_, line) in enumerate(lines(folder)):
            if part and i % part == 0:
                made[type_].rows(orjson_loads(line))

    return arm


def read(codes: frozenset[str] | None, processes: int | None) -> Callable[[Path], None]:
    """An export as records."""

    def arm(folder: Path) -> None:
        reading = read_export(folder, codes=codes, processes=processes)
        print(reading.resources, reading.records.people.num_rows, reading.records.events.num_rows)

    return arm


def orjson_loads(data: bytes) -> object:
    """orjson, imported in the arm that uses it."""
    import orjson

    return orjson.loads(data)


ARMS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "records": ("read_records, a process a core", read(None, None)),
    "alone": ("read_records, one process", read(None, 1)),
    "few": ("read_records, three codes, one process", read(FEW, 1)),
    "orjson": ("floor: gunzip and orjson", parse_only(orjson_loads)),
    "json": ("floor: gunzip and the json module", parse_only(json.loads)),
    "nothing": ("views compiled, gunzip", views(0, compiled=True)),
    "compiled": ("views on all, compiled", views(1, compiled=True)),
    "library": (f"views on 1 of {PART}, fhirpathpy", views(PART, compiled=False)),
}


def measure(arm: str, folder: Path, scratch: Path) -> Usage:
    """One arm as a process of its own."""
    command = [sys.executable, __file__, "--arm", arm, "--folder", str(folder)]
    return run(command, environment=environment(), log=scratch / f"{arm}.log", timeout=900)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, show, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--copies", type=int, default=4, help="how often the set is repeated")
    parser.add_argument("--arm", choices=ARMS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.arm:
        ARMS[chosen.arm][1](chosen.folder)
        return 0
    source = Path(os.environ.get("CADUCEUS_DATA", "")) / SET
    if not source.is_dir():
        print(f"no data: CADUCEUS_DATA has to name the folder of {SET}", file=sys.stderr)
        return 2
    before = load()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "export"
        folder.mkdir()
        resources = make(source, folder, chosen.copies)
        size = sum(path.stat().st_size for path in folder.iterdir())
        used = {arm: measure(arm, folder, Path(name)) for arm in ARMS}
        said = {arm: (Path(name) / f"{arm}.log").read_text().split() for arm in ("records", "alone", "few")}
    if said["records"] != said["alone"]:
        raise RuntimeError("one process and several read something else")
    rows = [_row(ARMS[arm][0], one, resources) for arm, one in used.items()]
    whole = {
        arm: (used[arm].processor - used["nothing"].processor) * part / resources * 1e6
        for arm, part in (("compiled", 1), ("library", PART))
    }
    show(
        f"{resources:,} resources, {size / 1e6:.0f} MB compressed, {int(said['alone'][2]):,} events",
        ["", "wall s", "processor s", "us / resource", "peak MB", "processes"],
        rows,
    )
    print(
        f"\nviews with parsing, without start: about {whole['compiled']:.0f} us a resource compiled,"
        f" {whole['library']:.0f} us in fhirpathpy: {whole['library'] / whole['compiled']:.0f} times as long"
    )
    print(f"load before {before[0]}, after {load()[0]}; {len(os.sched_getaffinity(0))} cores")
    figures = {arm: {"wall": one.wall, "processor": one.processor, "peak": one.peak} for arm, one in used.items()}
    record = {"resources": resources, "compressed": size, "read": said, "arms": figures, "microseconds": whole}
    keep("fhir", {**provenance(seed="ids are masked by the number of their copy"), **record})
    return 0


def _row(name: str, one: Usage, resources: int) -> list[str]:
    per = "" if name.startswith("views") else f"{one.processor / resources * 1e6:.0f}"
    return [name, f"{one.wall:.1f}", f"{one.processor:.1f}", per, f"{one.peak / 1e6:.0f}", str(one.processes)]


if __name__ == "__main__":
    raise SystemExit(main())
