"""An audit of a run by somebody who has the chain and the transcript folder, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from caduceus import canon
from caduceus.edges import evm_embedded
from caduceus.edges.evm_embedded.replay import replay
from caduceus.edges.evm_embedded.verify import verify_file
from caduceus.edges.evm_rpc import HttpNode
from caduceus.edges.gateway import Deployment, GatewayChain
from caduceus.edges.network import Network, read_deployment, read_network
from caduceus.edges.store import FolderStore
from caduceus.errors import Error, Refused, Unavailable
from caduceus.kinds import Digest, Evidence, Stage
from caduceus.market.ledger import BudgetMove, DatasetEntry, Enrolment
from caduceus.protocol.audit import Audit, ChainView, Check, audit_job
from caduceus.protocol.pointer import Pointer

OnStep = Callable[[str], None]

_PARTS = ("blobs", "deployment", "jobs")
"""What a transcript is made of."""

_TRIES = 5

NOTHING = Digest(bytes(32))
"""Stands for the beacon of a job without rounds, which needs none."""

_FILES_CLAIM = "Every file of the transcript is what its name or its digest says"
_CHAIN_CLAIM = "The chain is what its blocks say: every byte, every signature, every state"
_FOLDER_CLAIM = "The transcript holds what the job needs, and nothing else"


def audit_run(
    transcript: Path, *, chain: Path | None, url: str | None, on_step: OnStep = lambda _: None
) -> tuple[Audit, ...]:
    """Audit every job that a transcript is about.

    transcript  the folder with `blobs`, `jobs` and `deployment`
    chain, url  where the chain is: the embedded chain's file, or a node; exactly one of them

    Raises Refused, naming the file, if the audit cannot begin: no transcript, no chain, another network.
    """
    if (chain is None) == (url is None):
        raise Refused("an audit needs the chain: either its file or a node's URL")
    for place in (transcript, transcript / "blobs"):
        if not place.is_dir():
            raise Refused(f"{place}: no such folder; an audit needs the transcript")
    if chain is not None and not chain.is_file():
        raise Refused(f"{chain}: no such chain file")
    pointers = read_pointers(transcript / "jobs")
    deployment = read_deployment_for(transcript / "deployment", pointers)
    store = _Reading(FolderStore(transcript / "blobs"))
    # What costs least comes first: most damage is found before anything is executed.
    files = check_files(transcript, store.store, on_step)
    whole = _unchecked_chain(url) if files.holds is False or chain is None else _check_chain_file(chain, on_step)
    if files.holds is False or whole.holds is False:
        return tuple(Audit(one.label, one.job, (files, whole)) for one in pointers)
    with open_chain(chain, url, deployment) as network:
        views = [_view(network.chain, one) for one in pointers]
        audits = [audit_job(one.label, view, store.get, on_step) for one, view in zip(pointers, views, strict=True)]
        # Cards and terms that the chain names are public also where their steward took no seat.
        store.seen |= {digest for one in network.chain.datasets() for digest in (one.card, one.terms)}
    # A settled job's rounds are all on the chain; one that ran out may have ended in the middle of one.
    whole_jobs = (Stage.SETTLING, Stage.COMPLETED, Stage.REJECTED)
    unsettled = [view.entry.stage for view in views if view.entry.stage not in whole_jobs]
    folder = _check_folder(store, audits, unsettled)
    return tuple(Audit(one.label, one.job, (files, whole, *one.checks, folder)) for one in audits)


# ---------------------------------------------------------------- the chain


def _check_chain_file(path: Path, on_step: OnStep) -> Check:
    """Every byte of the file, and every block executed again."""
    claim, word = _CHAIN_CLAIM, Evidence.RE_EXECUTED
    on_step(claim)
    try:
        verified = verify_file(path)
        if verified.problems:
            return Check(claim, word, False, str(verified.problems[0]), "nobody")
        again = replay(path)
        if again.problem is not None:
            return Check(claim, word, False, f"{path}: {again.problem}", "nobody")
    except Error as problem:
        return Check(claim, word, False, str(problem), "nobody")
    return Check(claim, word, True, f"{again.blocks} blocks, {again.transactions} transactions", "nobody")


def _unchecked_chain(url: str | None) -> Check:
    """A node is asked, not checked: its answers about headers and logs are taken as they come."""
    if url is None:
        return Check(_CHAIN_CLAIM, Evidence.NOT_CHECKED, None, "an earlier claim does not hold", "nobody")
    why = f"{url} was asked and believed; ask several nodes, or run one"
    return Check(_CHAIN_CLAIM, Evidence.NOT_CHECKED, None, why, "the node's operator")


def open_chain(chain: Path | None, url: str | None, deployment: Deployment) -> Network:
    """The chain to look at.

    Raises Refused, naming it, if the transcript's contracts are not on it.
    """
    if chain is None:
        assert url is not None
        return read_network(HttpNode(url).request, url, deployment, lambda: None)
    opened = evm_embedded.read_chain(chain, chain_id=deployment.chain_id)
    try:
        return read_network(evm_embedded.Node(opened).request, str(chain), deployment, opened.close)
    except BaseException:
        opened.close()
        raise


def _view(chain: GatewayChain, pointer: Pointer) -> ChainView:
    job = pointer.job
    entry = chain.job(job)
    if entry is None:
        raise Refused(f"jobs/{pointer.label}: is about job 0x{job.hex()}, and the chain does not know it")
    enrolments, anchors = tuple(chain.enrolments(job)), tuple(chain.anchors(job))
    pairs = [_budgeted(chain, enrolment) for enrolment in enrolments]
    return ChainView(
        domain=chain.domain,
        beacon=chain.beacon(job) if anchors else NOTHING,
        entry=entry,
        enrolments=enrolments,
        datasets=tuple(dataset for dataset, _ in pairs),
        anchors=anchors,
        claims=tuple(chain.claims(job)),
        settlement_signatures=tuple(chain.settlement_signatures(job)),
        budgets=tuple(moves for _, moves in pairs),
        slashed=tuple(chain.slashed(job)),
        equivocated=frozenset(one.seat for one in chain.equivocations(job)),
    )


def _budgeted(chain: GatewayChain, enrolment: Enrolment) -> tuple[DatasetEntry, tuple[BudgetMove, ...]]:
    """A seat's data set and what was done to its budget, as of one moment: other jobs may enrol it meanwhile."""
    for _ in range(_TRIES):
        before, moves = chain.dataset(enrolment.dataset), tuple(chain.budget_moves(enrolment.dataset))
        if before is None:
            raise Refused(f"seat {enrolment.seat}: its data set is not on the chain")
        if before == chain.dataset(enrolment.dataset):
            return before, moves
    raise Unavailable(f"seat {enrolment.seat}: its data set's budget changes while it is read; try again")


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


def check_files(transcript: Path, store: FolderStore, on_step: OnStep) -> Check:
    """Nothing but a transcript's files, and each blob with the digest that its name promises."""
    claim, word = _FILES_CLAIM, Evidence.RE_EXECUTED
    on_step(claim)
    try:
        for path in sorted(transcript.iterdir()):
            if path.name not in _PARTS and path.suffix != ".part":
                raise Refused(f"{path}: does not belong in a transcript")
        blobs = 0
        for name in store.names():
            store.get(name)
            blobs += 1
    except Refused as problem:
        return Check(claim, word, False, str(problem), "nobody")
    return Check(claim, word, True, f"{blobs} blobs", "nobody")


def _check_folder(store: _Reading, audits: list[Audit], unsettled: list[Stage]) -> Check:
    """What lies in the folder without any job needing it is found here: nothing is hidden beside the truth."""
    claim, word = _FOLDER_CLAIM, Evidence.RE_EXECUTED
    if not all(audit.passes for audit in audits):
        return Check(claim, Evidence.NOT_CHECKED, None, "an earlier claim does not hold", "nobody")
    if unsettled:
        why = f"a job is {unsettled[0].name.lower()}: rounds may be written down that the chain does not have"
        return Check(claim, Evidence.NOT_CHECKED, None, why, "nobody")
    extra = [name for name in store.store.names() if name not in store.seen]
    if extra:
        return Check(claim, word, False, f"blob {extra[0].hex()} belongs to no round of any job", "nobody")
    return Check(claim, word, True, "no blob is left over", "nobody")


def read_pointers(folder: Path) -> list[Pointer]:
    """Which jobs a transcript says that it is about, by label.

    Raises Refused, naming the file, if there is none, or one is damaged.
    """
    paths = sorted(path for path in folder.glob("*") if path.suffix != ".part") if folder.is_dir() else []
    if not paths:
        raise Refused(f"{folder}: the transcript does not say which job it is about")
    pointers = []
    for path in paths:
        try:
            pointer = canon.unpack(Pointer, path.read_bytes())
        except (Refused, IsADirectoryError) as problem:
            raise Refused(f"{path}: {problem}") from None
        if pointer.label != path.name:
            raise Refused(f"{path}: says that it is about '{pointer.label}'")
        pointers.append(pointer)
    return pointers


def read_deployment_for(path: Path, pointers: list[Pointer]) -> Deployment:
    """The deployment that all pointers name.

    Raises Refused, naming the file, if it is missing, damaged, or another.
    """
    deployment = read_deployment(path)
    for pointer in pointers:
        if canon.digest(deployment) != pointer.deployment:
            raise Refused(f"{path}: is not the deployment that jobs/{pointer.label} names; one of them was altered")
    return deployment
