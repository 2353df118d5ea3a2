"""How a run ended, in values that two runs of the same job can be compared by."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from caduceus.edges.journal import SqliteJournal
from caduceus.edges.network import TOKEN_SUPPLY, open_embedded, open_url
from caduceus.edges.store import FolderStore
from caduceus.edges.workspace import Workspace
from caduceus.kinds import Digest, JobId, Stage
from caduceus.wiring.audit import audit_run
from caduceus.wiring.parties import COORDINATOR, TREASURY, Cast


@dataclass(frozen=True, slots=True)
class Ending:
    """What must not depend on keys, on the order of threads, or on how often the process was killed.

    pulled    what each party claimed, by name: reward and deposit; nobody may stand here twice
    balances  of the token, by name; what the contract still holds is under "contract"
    """

    stage: Stage
    model: Digest | None
    rounds: int
    pulled: dict[str, tuple[int, int]]
    balances: dict[str, int]


def ending(workspace: Workspace, cast: Cast, job: JobId, url: str | None = None) -> Ending:
    """Read from the chain how a run ended: from its file, or from a node."""
    parties = (workspace.deployment, cast[TREASURY].ring.account, cast.accounts)
    with open_embedded(workspace.chain, *parties) if url is None else open_url(url, *parties) as network:
        chain, token = network.chain, network.deployment.token
        entry = chain.job(job)
        assert entry is not None
        claims = [(cast.name_of(claim.account), (claim.amount, claim.returned)) for claim in chain.claims(job)]
        assert len(dict(claims)) == len(claims), "somebody pulled twice"
        holders = {**cast.accounts, "contract": network.deployment.jobs}
        balances = {name: int(chain.balance(token, account)) for name, account in holders.items()}
        anchors = chain.anchors(job)
    assert sum(balances.values()) == TOKEN_SUPPLY
    _check_memory(workspace, cast, job, len(anchors))
    return Ending(entry.stage, anchors[-1].model if anchors else None, entry.rounds, dict(claims), balances)


def _check_memory(workspace: Workspace, cast: Cast, job: JobId, rounds: int) -> None:
    """Every journal opens, the coordinator's has the rounds that the chain has, and every blob is whole."""
    for name in cast.parties:
        path = workspace.party(name) / "journal.sqlite"
        if path.exists():
            with SqliteJournal(path) as journal:
                assert len(journal.keys(f"{job.hex()}/done/")) == (rounds if name == COORDINATOR else 0)
    store = FolderStore(workspace.blobs)
    for digest in store.names():
        store.get(digest)


def assert_audit_passes(root: Path) -> None:
    """A stranger finds nothing wrong with the run."""
    workspace = Workspace(root)
    (audit,) = audit_run(root / "transcript", chain=workspace.chain, url=None)
    assert audit.passes, audit.first_failure
