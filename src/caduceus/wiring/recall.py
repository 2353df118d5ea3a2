"""A job of an earlier run, brought to mind without acting: from the chain, the transcript and the sites' own rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from caduceus import canon
from caduceus.data.federation import About
from caduceus.edges import evm_embedded
from caduceus.edges.evm_rpc import HttpNode
from caduceus.edges.federation import open_federation, read_sites
from caduceus.edges.network import EMBEDDED_CHAIN_ID, Network, embedded_name, read_deployment, read_network
from caduceus.edges.private import load_or_commit
from caduceus.edges.store import FolderStore
from caduceus.edges.workspace import Workspace
from caduceus.errors import Refused
from caduceus.kinds import Address
from caduceus.learn.judged.dishonest import Deed
from caduceus.learn.rows import Ready
from caduceus.learn.state import State
from caduceus.market.ledger import Anchor, Enrolment, JobEntry
from caduceus.market.specification import JobSpec
from caduceus.market.work import Work, target_of, work_of
from caduceus.protocol.pointer import Pointer
from caduceus.wiring.remembered import Remembered


@dataclass(frozen=True, slots=True)
class Recalled:
    """A job as it stands.

    state  the public state after the last anchored round
    about  what the federation file says of its data
    sites  every site's rows as the job used them, by name; this machine plays all of them
    names  parties by account
    deeds  by site that was made dishonest on purpose, its deed
    """

    label: str
    entry: JobEntry
    spec: JobSpec
    task: Work
    state: State
    enrolments: tuple[Enrolment, ...]
    anchors: tuple[Anchor, ...]
    about: About
    sites: Mapping[str, Ready]
    names: Mapping[Address, str]
    deeds: Mapping[str, Deed]

    def name(self, account: Address) -> str:
        """The party behind an account; its hexadecimal form if nobody here has it."""
        return self.names.get(account, f"0x{account.hex()}")


def look_at(workspace: Workspace, url: str | None) -> Network:
    """The run's chain, to look at and not to change.

    url  the node that the run used; None for the embedded chain

    Raises Refused if the chain is missing, another network's, or in another place than the run says.
    """
    deployment = read_deployment(workspace.deployment)
    if url is not None:
        node = HttpNode(url)
        return read_network(node.request, f"{node.name} (chain {deployment.chain_id})", deployment, node.close)
    chain = evm_embedded.read_chain(workspace.chain, chain_id=EMBEDDED_CHAIN_ID)
    try:
        network = read_network(evm_embedded.Node(chain).request, str(workspace.chain), deployment, chain.close)
        return replace(network, name=embedded_name(chain.chain_id))
    except BaseException:
        chain.close()
        raise


def entry_of(workspace: Workspace, network: Network, label: str) -> JobEntry:
    """The job that a label of this run stands for.

    Raises Refused if the run has not posted it, or the chain does not know it.
    """
    path = workspace.pointers / label
    try:
        pointer = canon.unpack(Pointer, path.read_bytes())
    except FileNotFoundError:
        raise Refused(f"{path}: missing; job '{label}' was never posted, run it first") from None
    except Refused as problem:
        raise Refused(f"{path}: {problem}") from None
    entry = network.chain.job(pointer.job)
    if entry is None:
        raise Refused(
            f"{network.name}: has no job 0x{pointer.job.hex()}, which '{label}' is; is it the run's own chain?"
        )
    return entry


def recall(
    workspace: Workspace,
    network: Network,
    order: Remembered,
    *,
    data_root: Path | None = None,
    sites: Mapping[str, Ready] | None = None,
) -> Recalled:
    """Bring a job to mind.

    data_root  where the data lie now; None takes what the run remembers, else the environment
    sites      the rows, if they are at hand; None reads them again

    Raises Refused if something of it is missing or has changed since.
    """
    store = FolderStore(workspace.blobs)
    entry = entry_of(workspace, network, order.label)
    spec = canon.unpack(JobSpec, store.get(entry.spec))
    task = work_of(spec)
    anchors = tuple(network.chain.anchors(entry.id))
    state = canon.unpack(State, store.get(anchors[-1].model)) if anchors else task.opening()
    if sites is None:
        if data_root is None and order.data_root:
            data_root = Path(order.data_root)
        sites = _read_rows(workspace, order, task, data_root)
    return Recalled(
        label=order.label,
        entry=entry,
        spec=spec,
        task=task,
        state=state,
        enrolments=tuple(network.chain.enrolments(entry.id)),
        anchors=anchors,
        about=open_federation(Path(order.federation)).file.federation,
        sites=sites,
        names=order.names,
        deeds={one.site: Deed.named(one.deed) for one in order.dishonest},
    )


def _read_rows(workspace: Workspace, order: Remembered, task: Work, data_root: Path | None) -> dict[str, Ready]:
    """The rows of every site, which must be those that it committed to."""
    found = read_sites(open_federation(Path(order.federation)), data_root=data_root, target=target_of(task))
    for one in found:
        openings = workspace.party(one.name) / "openings"
        if openings.exists():
            load_or_commit(openings, one.table)
    return {one.name: task.ready(one.table, one.name) for one in found}
