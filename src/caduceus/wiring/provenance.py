"""One question, answered from chain and transcript alone: what is behind this model?"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from caduceus import canon
from caduceus.edges.evm_embedded.seal import check_pieces, read_seal
from caduceus.edges.evm_embedded.verify import verify_file
from caduceus.edges.gateway import Deployment, GatewayChain
from caduceus.edges.store import FolderStore
from caduceus.errors import Refused, Unavailable
from caduceus.kinds import Digest, JobId
from caduceus.learn.inquiry.program import Inquiry
from caduceus.learn.model_file import FORMAT, model_json
from caduceus.learn.state import State
from caduceus.market.ledger import Anchor, DatasetEntry, Enrolment
from caduceus.market.specification import read_spec
from caduceus.market.work import work_of
from caduceus.ports import Chain
from caduceus.protocol.provenance import JobSeen, Lineage, Offered, round_of, trace
from caduceus.wiring.audit import check_files, open_chain, read_deployment_for, read_pointers
from caduceus.wiring.provenance_places import say_place

OnStep = Callable[[str], None]

_TRIES = 5
_MOST_VERSIONS = 10_000
_MOST_MODEL_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Provenance:
    """What was found out about a model.

    lineages    one per job that gave this very state, the oldest job first; usually one
    file        the model file's bytes, if a file was asked about
    deployment  of the contracts that were read
    now         of the chain's newest block, Unix seconds
    checked     what was compared with its digest, in words
    """

    lineages: tuple[Lineage, ...]
    file: bytes | None
    deployment: Deployment
    now: int
    checked: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What was asked about.

    shown   as people call it
    digest  of a state, or of a model file
    job     the job that a model file names
    model   what a model file holds; None if the question was a digest, or a state's own bytes
    """

    shown: str
    digest: Digest
    job: JobId | None = None
    model: object = None
    file: bytes | None = None


def provenance_of(
    model: str,
    transcript: Path,
    *,
    chain: Path | None,
    url: str | None,
    whole: bool = True,
    on_step: OnStep = lambda _: None,
) -> Provenance:
    """Everything behind a model.

    model       the path of a model file or of a state's bytes, or the digest of either, hexadecimal
    transcript  the folder with `blobs`, `jobs` and `deployment`
    chain, url  where the chain is: the embedded chain's file, or a node; exactly one of them
    whole       check every file of the transcript and of the chain first, not only what the answer rests on

    Raises Refused, naming the file, blob, round or data set, if something is missing or was altered, or if no job of
    the chain gave this model.
    """
    if (chain is None) == (url is None):
        raise Refused("provenance needs the chain: either its file or a node's URL")
    for place in (transcript, transcript / "blobs"):
        if not place.is_dir():
            raise Refused(f"{place}: no such folder; provenance is read from the transcript")
    wanted = _read_wanted(model)
    pointers = read_pointers(transcript / "jobs")
    deployment = read_deployment_for(transcript / "deployment", pointers)
    store = FolderStore(transcript / "blobs")
    on_step("The chain's file")
    checked = [check_seal(chain, url)]
    with open_chain(chain, url, deployment) as network:
        seen_by = network.chain
        for pointer in pointers:
            if seen_by.job(pointer.job) is None:
                raise Refused(f"{transcript / 'jobs' / pointer.label}: its job is not on the chain; one was altered")
        if whole:
            checked.append(_check_blobs(transcript, store, seen_by, on_step))
            checked += [] if chain is None else [_check_blocks(chain)]
        fetch = _Fetch(store, seen_by)
        found, now = _search(wanted, seen_by, fetch, on_step), seen_by.now()
    checked.append(f"{len(fetch.read)} blobs that this answer rests on, each against its digest")
    return Provenance(found, wanted.file, deployment, now, tuple(checked))


def see_job(chain: Chain, job: JobId, anchors: Sequence[Anchor] | None = None) -> JobSeen:
    """What a chain says of a job, all of it as of one moment.

    anchors  the job's, if they were just read: they are not read again while the job has as many rounds

    Raises Refused if it does not know the job or one of its data sets, Unavailable if the job changes while it is read.
    """
    for _ in range(_TRIES):
        entry = chain.job(job)
        if entry is None:
            raise Refused(f"job 0x{job.hex()}: the chain does not know it")
        if anchors is None or len(anchors) != entry.rounds:
            anchors = chain.anchors(job)
        enrolments = tuple(chain.enrolments(job))
        offered = tuple(_offered(chain, enrolment) for enrolment in enrolments)
        if chain.job(job) == entry:
            return JobSeen(entry, enrolments, tuple(anchors), offered)
    raise Unavailable(f"job 0x{job.hex()}: goes on while it is read; try again")


def _offered(chain: Chain, enrolment: Enrolment) -> Offered:
    versions: list[DatasetEntry] = []
    wanted: Digest | None = enrolment.dataset
    while wanted is not None and len(versions) < _MOST_VERSIONS:
        entry = chain.dataset(wanted)
        if entry is None:
            raise Refused(f"seat {enrolment.seat}: data set 0x{wanted.hex()} is not on the chain")
        versions.append(entry)
        wanted = entry.previous
    moves = tuple(chain.budget_moves(enrolment.dataset)) if versions[0].budget_micro else ()
    return Offered(tuple(versions), moves)


# ---------------------------------------------------------------- what was asked about


def _read_wanted(model: str) -> _Wanted:
    named = re.fullmatch(r"(?:0x)?([0-9a-fA-F]{64})", model)
    path = Path(model)
    if named and not path.is_file():
        return _Wanted(model, Digest(bytes.fromhex(named[1])))
    if not path.is_file():
        raise Refused(f"{model}: no such file, and no digest (64 hexadecimal digits)")
    if path.stat().st_size > _MOST_MODEL_BYTES:
        raise Refused(f"{path}: longer than any model file of this program")
    data = path.read_bytes()
    try:
        tree = json.loads(data)
    except ValueError:  # a state's own bytes, or no model at all: its digest will tell
        return _Wanted(str(path), canon.digest_bytes(data), file=data)
    if not isinstance(tree, dict) or tree.get("format") != FORMAT:
        raise Refused(f"{path}: JSON, but not a model file of this program (its format is not '{FORMAT}')")
    state, job = (_hex(path, tree, key) for key in ("state", "job"))
    return _Wanted(str(path), Digest(state), JobId(job), tree, data)


def _hex(path: Path, tree: dict[str, object], key: str) -> bytes:
    value = tree.get(key)
    if not isinstance(value, str) or not re.fullmatch("[0-9a-f]{64}", value):
        raise Refused(f"{path}: '{key}' is not 64 hexadecimal digits; the file was altered, or is another program's")
    return bytes.fromhex(value)


def _search(wanted: _Wanted, chain: Chain, fetch: _Fetch, on_step: OnStep) -> tuple[Lineage, ...]:
    on_step("Looking for the model on the chain")
    jobs = chain.jobs() if wanted.job is None else [wanted.job]
    found = []
    for job in jobs:
        anchors = chain.anchors(job)
        place = round_of(anchors, wanted.digest)
        if place is not None:
            on_step(f"Rounds of job 0x{job.hex()[:16]}")
            found.append(trace(see_job(chain, job, anchors), place, fetch))
    if not found and wanted.job is None and wanted.file is None:
        found = _search_files(wanted.digest, chain, fetch)
    if not found:
        raise Refused(f"{wanted.shown}: no job of this chain gave this model; is it another network's, or altered?")
    if wanted.model is not None:
        _check_model(wanted, found[0])
    return tuple(found)


def _search_files(digest: Digest, chain: Chain, fetch: _Fetch) -> list[Lineage]:
    """The jobs whose model file has this digest: each file is made again from the job's last state."""
    for job in chain.jobs():
        anchors, entry = chain.anchors(job), chain.job(job)
        if not anchors or entry is None or not fetch.has(anchors[-1].model):
            continue
        work, state = work_of(read_spec(fetch(entry.spec))), canon.unpack(State, fetch(anchors[-1].model))
        if isinstance(work, Inquiry) or state.moments is None:
            continue
        if canon.digest_bytes(model_json(work, state, job).encode()) == digest:
            place = round_of(anchors, anchors[-1].model)
            assert place is not None
            return [trace(see_job(chain, job, anchors), place, fetch)]
    return []


def _check_model(wanted: _Wanted, lineage: Lineage) -> None:
    """Refuse a model file that holds something else than the state that it names."""
    if isinstance(lineage.work, Inquiry) or lineage.model.moments is None:
        raise Refused(f"{wanted.shown}: names a state that holds no model")
    made = json.loads(model_json(lineage.work, lineage.model, lineage.entry.id))
    if made != wanted.model:
        assert isinstance(wanted.model, dict)
        keys = [key for key in (*made, *wanted.model) if made.get(key) != wanted.model.get(key)]
        raise Refused(f"{wanted.shown}: '{keys[0]}' is not what the anchored state gives; the file was altered")


# ---------------------------------------------------------------- checks


class _Fetch:
    """Public blobs, each against its digest; a damaged one is named with what it was for."""

    def __init__(self, store: FolderStore, chain: GatewayChain) -> None:
        self._store, self._chain = store, chain
        self.read: set[Digest] = set()

    def __call__(self, digest: Digest) -> bytes:
        try:
            blob = self._store.get(digest)
        except Refused as problem:
            raise Refused(f"{problem}; {say_place(digest, self._chain, self._store.get)}") from None
        self.read.add(digest)
        return blob

    def has(self, digest: Digest) -> bool:
        """Whether there is such a blob."""
        return self._store.has(digest)


def check_seal(chain: Path | None, url: str | None) -> str:
    """Hold a chain's file against its seal, byte by byte; a node is believed. Returns what was done, in words.

    Raises Refused, naming the file and the place in it, if it was changed, or has no seal.
    """
    if chain is None:
        return f"{url} was asked and believed; the job's head binds its rounds"
    if not chain.is_file():
        raise Refused(f"{chain}: no such chain file")
    seal = read_seal(chain)
    if seal is None:
        raise Refused(f"{chain}: has no seal; it is in use, or was not closed cleanly: let the run end, then ask again")
    for problem in check_pieces(chain, seal):
        raise Refused(str(problem))
    return "the chain's file, byte by byte against its seal"


def _check_blocks(chain: Path) -> str:
    verified = verify_file(chain)
    if verified.problems:
        raise Refused(str(verified.problems[0]))
    return f"{verified.blocks} blocks: headers, signatures and roots"


def _check_blobs(transcript: Path, store: FolderStore, chain: GatewayChain, on_step: OnStep) -> str:
    found = check_files(transcript, store, on_step)
    if found.holds is False:
        name = re.search(r"\b[0-9a-f]{64}\b", found.detail)
        for_what = f"; {say_place(Digest(bytes.fromhex(name[0])), chain, store.get)}" if name else ""
        raise Refused(found.detail + for_what)
    return f"every file of the transcript: {found.detail}"
