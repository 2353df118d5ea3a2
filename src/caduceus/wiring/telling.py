"""The report on a run: facts of every job it has, in the order in which they were posted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from caduceus.edges.store import FolderStore
from caduceus.edges.workspace import Workspace, write_whole
from caduceus.errors import Refused
from caduceus.learn.rows import Ready
from caduceus.protocol.audit import Audit
from caduceus.report.facts import JobFacts
from caduceus.report.page import page
from caduceus.wiring.facts import facts_of
from caduceus.wiring.recall import entry_of, look_at, recall
from caduceus.wiring.remembered import Memory
from caduceus.wiring.transactions import read_transactions


def tell(
    workspace: Workspace,
    audits: Sequence[Audit],
    *,
    url: str | None = None,
    data_root: Path | None = None,
    rows: Mapping[str, Mapping[str, Ready]] | None = None,
    on_step: Callable[[str], None] = lambda _: None,
) -> tuple[JobFacts, ...]:
    """Gather the facts of every job of a run; nothing is changed or sent.

    audits     what an auditor found, for the jobs that were audited
    url        the node that the run used; None takes what the run remembers
    data_root  where the sites' data lie now; None takes what the run remembers
    rows       the sites' rows by job label, where they are at hand
    on_step    told what is being looked at

    Raises Refused, naming file or job, if something is missing, altered or has changed since.
    """
    memory = Memory(workspace)
    orders = memory.orders()
    store = FolderStore(workspace.blobs)
    found = {audit.label: audit for audit in audits}
    with look_at(workspace, url or orders[0].url or None) as network:
        on_step("transactions")
        transactions = read_transactions(network.node, network.deployment)
        posted = list(network.chain.jobs())
        ordered = sorted(orders, key=lambda order: posted.index(entry_of(workspace, network, order.label).id))
        facts = []
        for order in ordered:
            on_step(f"{order.label}: control arms")
            job = recall(workspace, network, order, data_root=data_root, sites=(rows or {}).get(order.label))
            audit, times = found.get(order.label), memory.times(order.label)
            facts.append(facts_of(job, network, store, transactions, audit, times))
    return tuple(facts)


def write_report(path: Path, facts: Sequence[JobFacts]) -> None:
    """Write the page, whole or not at all.

    Raises Refused if the place cannot be written to.
    """
    text = page(facts)
    try:
        write_whole(path, text.encode())
    except OSError as problem:
        raise Refused(f"{path}: cannot be written ({problem.strerror})") from None
