"""An audit of a run by somebody who has the chain and the transcript folder, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from caduceus import canon
from caduceus.edges import evm_embedded
from caduceus.edges.evm_embedded.replay import replay
from caduceus.edges.evm_embedded.verify import verify_file
from caduceus.edges.evm_rpc import HttpNode
from caduceus.edges.gateway import GatewayChain
from caduceus.edges.network import read_deployment, read_network
from caduceus.edges.store import FolderStore
from caduceus.errors import Error, Refused
from caduceus.kinds import Digest, Evidence, JobId, Stage
from caduceus.market.job import FINAL
from caduceus.protocol.audit import Audit, ChainView, Check, audit_job
from caduceus.protocol.pointer import Pointer

OnStep = Callable[[str], None]

_CHAIN_CLAIM = "The chain is what its blocks say: every byte, every signature, every state"
_FOLDER_CLAIM = "The transcript holds what the job needs, unaltered, and nothing else"


def audit_run(
    transcript: Path, *, chain: Path | None, url: str | None, on_step: OnStep = lambda _: None
) -> tuple[Audit, ...]:
    """Audit every job that a transcript is about.

    transcript  the folder with `blobs`, `jobs` and `deployment`
    chain, url  where the chain is: the embedded chain's file, or a node; exactly one of them

    Raises Refused if the audit cannot begin: no transcript, no chain, another network.
    """
    if not transcript.is_dir():
        raise Refused(f"{transcript}: no such folder; an audit needs the transcript")
    pointers = _read_pointers(transcript / "jobs")
    deployment = read_deployment(transcript / "deployment")
    with ExitStack() as stack:
        whole = _check_chain_file(chain, on_step) if chain is not None else _unchecked(url)
        if whole.holds is False:
            return tuple(Audit(one.label, one.job, (whole,)) for one in pointers)
        if chain is not None:
            opened = evm_embedded.read_chain(chain, chain_id=deployment.chain_id)
            network = read_network(evm_embedded.Node(opened).request, str(chain), deployment, opened.close)
        elif url is not None:
            network = read_network(HttpNode(url).request, url, deployment, lambda: None)
        else:
            raise Refused("an audit needs the chain: a file or a node's URL")
        stack.enter_context(network)
        store = _Reading(FolderStore(transcript / "blobs"))
        views = [_view(network.chain, one.job) for one in pointers]
        audits = [audit_job(one.label, view, store.get, on_step) for one, view in zip(pointers, views, strict=True)]
        under_way = [view.entry.stage for view in views if view.entry.stage not in (*FINAL, Stage.SETTLING)]
        folder = _check_folder(store, audits, under_way)
    return tuple(Audit(one.label, one.job, (whole, *one.checks, folder)) for one in audits)


# ---------------------------------------------------------------- the chain


def _check_chain_file(path: Path, on_step: OnStep) -> Check:
    """Every byte of the file, and every block executed again."""
    claim, word = _CHAIN_CLAIM, Evidence.RE_EXECUTED
    if not path.exists():
        raise Refused(f"{path}: no such chain file")
    on_step(claim)
    try:
        verified = verify_file(path)
        if verified.problems:
            return Check(claim, word, False, str(verified.problems[0]), "nobody")
        again = replay(path)
        if again.problem is not None:
            return Check(claim, word, False, again.problem, "nobody")
    except Error as problem:
        return Check(claim, word, False, str(problem), "nobody")
    return Check(claim, word, True, f"{again.blocks} blocks, {again.transactions} transactions", "nobody")


def _unchecked(url: str | None) -> Check:
    """A node is asked, not checked: its answers about headers and logs are taken as they come."""
    why = f"{url} was asked and believed; ask several nodes, or run one"
    return Check(_CHAIN_CLAIM, Evidence.NOT_CHECKED, None, why, "the node's operator")


def _view(chain: GatewayChain, job: JobId) -> ChainView:
    entry = chain.job(job)
    if entry is None:
        raise Refused(f"job {job.hex()}: the transcript is about it and the chain does not know it")
    enrolments = tuple(chain.enrolments(job))
    datasets = []
    for enrolment in enrolments:
        dataset = chain.dataset(enrolment.dataset)
        if dataset is None:
            raise Refused(f"seat {enrolment.seat}: its data set is not on the chain")
        datasets.append(dataset)
    return ChainView(
        domain=chain.domain,
        entry=entry,
        enrolments=enrolments,
        datasets=tuple(datasets),
        anchors=tuple(chain.anchors(job)),
        claims=tuple(chain.claims(job)),
        settlement_signatures=tuple(chain.settlement_signatures(job)),
    )


# ---------------------------------------------------------------- the folder


class _Reading:
    """A store that remembers what was read from it."""

    def __init__(self, store: FolderStore) -> None:
        self.store = store
        self.seen: set[Digest] = set()

    def get(self, digest: Digest) -> bytes:
        """The blob, noted as needed."""
        self.seen.add(digest)
        return self.store.get(digest)


def _check_folder(store: _Reading, audits: list[Audit], under_way: list[Stage]) -> Check:
    """What lies in the folder without any job needing it is found here: nothing is hidden beside the truth."""
    claim, word = _FOLDER_CLAIM, Evidence.RE_EXECUTED
    if not all(audit.passes for audit in audits):
        return Check(claim, Evidence.NOT_CHECKED, None, "an earlier claim does not hold", "nobody")
    if under_way:
        why = f"a job is {under_way[0].name.lower()}: rounds may be written down that the chain does not have yet"
        return Check(claim, Evidence.NOT_CHECKED, None, why, "nobody")
    try:
        extra = [name for name in store.store.names() if name not in store.seen]
    except Refused as problem:
        return Check(claim, word, False, str(problem), "nobody")
    if extra:
        return Check(claim, word, False, f"blob {extra[0].hex()} belongs to no round of any job", "nobody")
    return Check(claim, word, True, f"{len(store.seen)} blobs", "nobody")


def _read_pointers(folder: Path) -> list[Pointer]:
    paths = sorted(folder.glob("*")) if folder.is_dir() else []
    if not paths:
        raise Refused(f"{folder}: the transcript does not say which job it is about")
    pointers = []
    for path in paths:
        try:
            pointer = canon.unpack(Pointer, path.read_bytes())
        except Refused as problem:
            raise Refused(f"{path}: {problem}") from None
        if pointer.label != path.name:
            raise Refused(f"{path}: says that it is about '{pointer.label}'")
        pointers.append(pointer)
    return pointers
