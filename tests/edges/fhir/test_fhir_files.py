"""Files of an export: which are read, in what order, and what happens to those that are malformed or hostile."""

import gzip
import json
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from caduceus.edges.fhir import files as files_module
from caduceus.edges.fhir import parallel, read_export, read_records, read_view
from caduceus.edges.fhir import resources as resources_module
from caduceus.edges.fhir.files import Block, find_files, read_blocks
from caduceus.edges.fhir.library import library
from caduceus.edges.fhir.piece import Plan, read_piece
from caduceus.edges.fhir.resources import json_loads, read_resources
from caduceus.edges.fhir.view import compile_view
from caduceus.errors import Refused

IDS = {"name": "v", "resource": "Patient", "select": [{"column": [{"name": "id", "path": "id"}]}]}


def patient(id_: str, **more: object) -> dict:
    return {"resourceType": "Patient", "id": id_, **more}


def lines(*resources: object) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in resources)


def ids(place: Path) -> list:
    return read_view(place, IDS)["id"].to_pylist()


def test_a_type_is_spread_over_plain_and_compressed_files_and_bundles(tmp_path: Path):
    (tmp_path / "Patient.000.ndjson").write_bytes(lines(patient("a"), patient("b")).rstrip(b"\n"))
    (tmp_path / "Patient_1000.ndjson.gz").write_bytes(gzip.compress(b"\xef\xbb\xbf" + lines(patient("c")) + b"\r\n\n"))
    (tmp_path / "everything.jsonl").write_bytes(lines(patient("d"), {"resourceType": "Group", "id": "g"}))
    bundle = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": patient("e")}, {"fullUrl": "x"}]}
    (tmp_path / "page.json").write_text(json.dumps(bundle))
    (tmp_path / "page.json.gz").write_bytes(gzip.compress(json.dumps(patient("f")).encode()))
    (tmp_path / "several.ndjson").write_bytes(lines(bundle, patient("g")))
    (tmp_path / "log.ndjson").write_bytes(lines({"eventId": "kickoff"}))
    (tmp_path / "other.ndjson").write_bytes(lines({"eventId": "kickoff"}))
    (tmp_path / "notes.txt").write_text("not FHIR")
    assert ids(tmp_path) == ["a", "b", "c", "d", "e", "f", "e", "g"]
    assert ids(tmp_path / "page.json") == ["e"]
    assert [note.rule for note in read_export(tmp_path).notes] == ["fhir.same_patient", "fhir.no_fhir"]


def test_what_a_files_name_says_is_not_wanted_is_not_read(tmp_path: Path):
    (tmp_path / "Patient.ndjson").write_bytes(lines(patient("a")))
    (tmp_path / "Claim.ndjson").write_bytes(lines({"resourceType": "Claim"}) + b"broken\n")
    (tmp_path / "Device.ndjson").write_bytes(lines(patient("b")))  # not what its name says
    assert ids(tmp_path) == ["b", "a"]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"{", "not JSON"),
        (b"[1]", "not an object"),
        (b"7", "not an object"),
        (b'{"id": "secret"}', "no resourceType"),
        (b'{"resourceType": 7}', "no resourceType"),
        (b'{"resourceType": "Patient", "id": NaN}', "not JSON"),
        (b'{"resourceType": "Patient", "n": 1e999}', "not JSON"),
        (b'{"resourceType": "Patient", "id": "\xff\xfe"}', "not JSON"),
        (b'{"resourceType": "Patient", "id": "\\ud800"}', "not JSON"),
        (b'{"resourceType": "Patient", "x": ' + b"[" * 5000 + b"]" * 5000 + b"}", "not JSON"),
        (b'{"resourceType": "Patient", "id": "secret"', "not JSON"),
        (b'{"resourceType": "Group", "id": "secret"}', "no Patient, as the file's name says"),
        (b'{"resourceType": "Patient", "birthDate": 1970}', "view 'people': column 'born', path 'birthDate': there is"),
        (
            b'{"resourceType": "Patient", "gender": ["male", "secret"]}',
            "view 'people': column 'sex', path 'gender': there are several",
        ),
    ],
)
def test_a_bad_line_is_refused_by_file_and_number_and_not_shown(tmp_path: Path, line: bytes, why: str):
    (tmp_path / "Patient.ndjson").write_bytes(lines(patient("a"), patient("b")) + line + b"\n" + lines(patient("c")))
    with pytest.raises(Refused) as refusal:
        read_records(tmp_path)
    assert str(refusal.value).startswith(f"Patient.ndjson: line 3: {why}")
    assert "secret" not in str(refusal.value)


def test_decimals_as_they_were_written_are_no_way_around_the_checks():
    loads = json_loads(exact=True)
    assert loads(b'{"a": 1.50}')["a"].text == "1.50"
    for bad in (b"NaN", b"Infinity", b"1e999", b'"\xff"', b"[" * 100_000, b"{"):
        with pytest.raises(ValueError):  # noqa: PT011  any will do: the reader names the line
            loads(bad)


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        (7, "a Bundle whose 'entry' is no list"),
        ([7], "an entry without a resource"),
        ([{"resource": {"id": "x"}}], "an entry without a resource"),
        ([{"resource": {"resourceType": "Bundle"}}], "a Bundle within a Bundle"),
    ],
)
def test_a_malformed_bundle_is_refused_by_entry(tmp_path: Path, entry: object, why: str):
    (tmp_path / "b.json").write_text(json.dumps({"resourceType": "Bundle", "entry": entry}))
    with pytest.raises(Refused, match=rf"^b.json: entry 1: {why}"):
        read_records(tmp_path)


def test_a_compressed_file_that_is_cut_off_or_damaged_is_refused(tmp_path: Path):
    whole = gzip.compress(lines(*(patient(str(i), x=str(hash(i)) * 50) for i in range(2000))))
    path = tmp_path / "Patient.ndjson.gz"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(Refused, match=r"^Patient.ndjson.gz: the compressed file is damaged or cut off"):
        ids(tmp_path)
    path.write_bytes(whole[:5000] + b"x" * 50 + whole[5050:])
    with pytest.raises(Refused, match=r"^Patient.ndjson.gz: the compressed file is damaged or cut off"):
        ids(tmp_path)
    path.write_bytes(b"not gzip at all")
    with pytest.raises(Refused, match=r"^Patient.ndjson.gz: the compressed file is damaged or cut off"):
        ids(tmp_path)


def test_lines_and_bundles_have_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(files_module, "MOST_LINE", 1000)
    monkeypatch.setattr(files_module, "MOST_BUNDLE", 1000)
    monkeypatch.setattr(files_module, "BLOCK", 600)
    (tmp_path / "Patient.ndjson.gz").write_bytes(gzip.compress(lines(patient("a"), patient("b", x="y" * 100_000))))
    with pytest.raises(Refused, match=r"^Patient.ndjson.gz: line 2 is longer than 1000 bytes"):
        ids(tmp_path)
    (tmp_path / "Patient.ndjson.gz").unlink()
    (tmp_path / "b.json").write_text(" " * 1001)
    with pytest.raises(Refused, match=r"^b.json: a bundle of more than 1000 bytes"):
        ids(tmp_path)


@pytest.mark.parametrize("size", [1, 7, 50, 10_000])
def test_blocks_are_whole_lines_and_know_their_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int):
    monkeypatch.setattr(files_module, "BLOCK", size)
    resources = [patient(str(i), x="é" * (i % 7)) for i in range(40)]
    data = lines(*resources[:20]) + b"\n\r\n" + lines(*resources[20:]).rstrip(b"\n")
    (tmp_path / "Patient.ndjson").write_bytes(data)
    (file,) = find_files(tmp_path)
    blocks = list(read_blocks(file))
    assert b"".join(block.data for block in blocks) == data
    found = [one for block in blocks for one in read_resources(block, json_loads(exact=False))]
    assert [resource for _, resource in found] == resources
    assert [place for place, _ in found] == [*range(1, 21), *range(23, 43)]


def test_a_block_makes_no_more_rows_than_memory_bears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(resources_module, "MOST_ROWS", 100)
    many = {"coding": [{"system": "s", "code": "c"}] * 20}
    observation = {"resourceType": "Observation", "code": many, "valueCodeableConcept": many}
    (tmp_path / "all.ndjson").write_bytes(lines(patient("a"), observation))
    with pytest.raises(Refused, match=r"^all.ndjson: line 2: the view has made 401 rows of \d+ bytes"):
        read_records(tmp_path)
    walk = {"forEach": "code.coding", "column": [{"name": "a", "path": "code"}]}
    twice = {
        "name": "v",
        "resource": "Observation",
        "select": [walk, {**walk, "column": [{"name": "b", "path": "code"}]}],
    }
    with pytest.raises(Refused, match=r"^all.ndjson: line 2: the view has made 400 rows of \d+ bytes"):
        read_view(tmp_path, twice)


def test_without_the_extra_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "Patient.ndjson").write_bytes(lines(patient("a")))
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "orjson", None)
        with pytest.raises(Refused, match=r"pip install 'caduceus\[health\]'"):
            read_records(tmp_path)
    monkeypatch.setitem(sys.modules, "fhirpathpy.models", None)
    library.cache_clear()
    try:
        with pytest.raises(Refused, match=r"pip install 'caduceus\[health\]'"):
            compile_view(IDS)
    finally:
        monkeypatch.undo()
        library.cache_clear()


def test_nothing_to_read_is_refused(tmp_path: Path):
    with pytest.raises(Refused, match=r"no FHIR files; they are called .ndjson.gz"):
        read_records(tmp_path)
    with pytest.raises(Refused, match=r"there is no such file or folder"):
        read_records(tmp_path / "absent")
    (tmp_path / "Observation.ndjson").write_bytes(lines({"resourceType": "Observation"}))
    with pytest.raises(Refused, match=r"no Patient resources"):
        read_records(tmp_path)


def test_any_number_of_processes_gives_the_same_a_block_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(files_module, "BLOCK", 1000)
    monkeypatch.setattr(parallel, "WORTH", 1)
    for n in range(3):
        (tmp_path / f"Patient.{n}.ndjson").write_bytes(lines(*(patient(f"{n}-{i}") for i in range(300))))
    (tmp_path / "Patient.3.ndjson").write_bytes(lines(patient("last")) + b"broken\n")
    taken = []

    def blocks() -> Iterator[Block]:
        for file in find_files(tmp_path):
            for block in read_blocks(file):
                taken.append(block)
                yield block

    work = partial(read_piece, plan=Plan(None, skim=False))
    people = []
    together = parallel.over_blocks(work, blocks(), processes=2)
    people.append(next(together).people)
    assert len(taken) < 8
    with pytest.raises(Refused, match=r"^Patient.3.ndjson: line 2: not JSON"):
        people.extend(piece.people for piece in together)
    assert len(people) == len(taken) - 1 > 30
    alone = [piece.people for piece in parallel.over_blocks(work, taken[:-1], processes=1)]
    assert alone == people
    names = [name for batch in people for name in batch["patient"].to_pylist()]
    assert names == [f"{n}-{i}" for n in range(3) for i in range(300)]
