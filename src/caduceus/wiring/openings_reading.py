"""A patient's side: whether a letter holds, and what became of the data set versions that it is about."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from caduceus.edges.store import FolderStore
from caduceus.errors import Refused
from caduceus.kinds import Digest, JobId
from caduceus.market.ledger import DatasetEntry
from caduceus.market.specification import read_spec
from caduceus.ports import Chain
from caduceus.protocol.provenance import in_ranges, trace
from caduceus.wiring.audit import open_chain, read_deployment_for, read_pointers
from caduceus.wiring.openings_letter import Letter, Statement
from caduceus.wiring.provenance import check_seal, see_job


@dataclass(frozen=True, slots=True)
class Part:
    """A job in which a data set version took a seat.

    rounds  in whose opened sum it is, as people read them; "" if in none
    """

    job: JobId
    title: str
    purpose: str
    seat: int
    rounds: str
    count: int


@dataclass(frozen=True, slots=True)
class Told:
    """One statement of a letter, checked.

    rows     how many rows of the version are the patient's
    version  of the data set, counted from 1; 0 if it is not on the chain
    entry    the data set on the chain; None if it was never registered
    parts    the jobs that it took part in
    """

    root: bytes
    rows: int
    version: int
    entry: DatasetEntry | None
    parts: tuple[Part, ...]


def check_letter(letter: Letter) -> None:
    """Refuse a letter of which something does not hold.

    Raises Refused, naming the version.
    """
    for one in letter.statements:
        if not one.holds(letter.token):
            raise Refused(
                f"what the letter says of the version with commitment {one.root.hex()} does not hold: it was altered, "
                "or is not what the site has published"
            )


def tell_letter(letter: Letter, transcript: Path, *, chain: Path | None, url: str | None) -> tuple[Told, ...]:
    """What became of every version that a letter is about, from the chain and the transcript.

    chain, url  where the chain is; exactly one of them

    Raises Refused as `check_letter`, and if transcript or chain are missing or altered.
    """
    check_letter(letter)
    pointers = read_pointers(transcript / "jobs")
    deployment = read_deployment_for(transcript / "deployment", pointers)
    store = FolderStore(transcript / "blobs")
    check_seal(chain, url)
    with open_chain(chain, url, deployment) as network:
        entries = list(network.chain.datasets())
        told = [told for one in letter.statements for told in _tell(one, entries, network.chain, store)]
    return tuple(sorted(told, key=lambda one: (one.version == 0, one.version)))


def _tell(one: Statement, entries: list[DatasetEntry], chain: Chain, store: FolderStore) -> Iterator[Told]:
    rows = 0 if one.present is None else len(one.present.rows)
    found = [entry for entry in entries if entry.commitment == one.root]
    if not found:
        yield Told(one.root, rows, 0, None, ())
    for entry in found:
        yield Told(one.root, rows, _version(entry, entries), entry, tuple(_parts(entry.id, chain, store)))


def _version(entry: DatasetEntry, entries: list[DatasetEntry]) -> int:
    by_id, count = {one.id: one for one in entries}, 1
    while entry.previous is not None and entry.previous in by_id and count <= len(entries):
        entry, count = by_id[entry.previous], count + 1
    return count


def _parts(dataset: Digest, chain: Chain, store: FolderStore) -> Iterator[Part]:
    for job in chain.jobs():
        seat = next((one.seat for one in chain.enrolments(job) if one.dataset == dataset), None)
        if seat is None:
            continue
        seen = see_job(chain, job)
        if not seen.anchors:
            spec = read_spec(store.get(seen.entry.spec))
            yield Part(job, spec.title, spec.purpose, seat, "", 0)
            continue
        lineage = trace(seen, len(seen.anchors) - 1, store.get)
        rounds = lineage.uses[seat].rounds
        yield Part(job, lineage.spec.title, lineage.spec.purpose, seat, in_ranges(rounds), len(rounds))
