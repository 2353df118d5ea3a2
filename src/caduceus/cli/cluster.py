"""The commands about a whole network on one machine: running it to the end of a job, and showing how it stands."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from rich.console import Console

from caduceus.cli.board import Board, JobSight, PartySight
from caduceus.cli.names import federation_path, job_path
from caduceus.cli.running import end_with
from caduceus.cli.tables import plain_table, show_verdict
from caduceus.edges.federation import DATA_ROOT, EXAMPLES
from caduceus.edges.network import Network, join_url
from caduceus.edges.watching.status import is_running, read_status
from caduceus.errors import Refused, Unavailable
from caduceus.kinds import Stage
from caduceus.market.job import FINAL
from caduceus.protocol.audit import Audit
from caduceus.wiring.audit import audit_run
from caduceus.wiring.cluster.begin import Cluster, begin, locked
from caduceus.wiring.cluster.chain import CHAIN
from caduceus.wiring.cluster.places import BUYER, Places, slug
from caduceus.wiring.cluster.plan import Ask, read_record
from caduceus.wiring.cluster.supervisor import Supervisor
from caduceus.wiring.node.ordering import JOBS
from caduceus.wiring.node.posting import result_of

_LOOK = 0.5
_STARTING = "starting"
_NETWORK_JOB = "job-network.toml"


@dataclass(frozen=True, slots=True)
class Wish:
    """What `cluster up` is told; None where it is to choose."""

    federation: str | None = None
    job: str | None = None
    data: Path | None = None
    sites: int | None = None
    until_done: bool = False
    engine: str = "flare"


def up(folder: Path, wish: Wish) -> None:
    """Run a network until it is stopped, or until its jobs are done and audited."""
    places = Places(folder)
    signal.signal(signal.SIGTERM, _stop)
    audits: Sequence[Audit] = ()
    with locked(places), Board() as board, Supervisor(board.tell) as supervisor:
        ask, job = _asked(wish, is_new=read_record(places) is None)
        cluster = begin(places, ask, job, supervisor)
        cluster.start(supervisor)
        labels = (cluster.give(job),) if job is not None else _labels(places)
        if wish.until_done and not labels:
            raise Refused("--until-done: there is no job to wait for; name one with --job")
        with join_url(cluster.url, places.deployment) as network:
            _watch(cluster, network, supervisor, board, labels if wish.until_done else ())
        board.tell("audit", "reading the chain and the transcript")
        audits = audit_run(places.transcript, chain=None, url=cluster.url)
    console = Console(highlight=False)
    show_verdict(console, audits)
    _say_where(console, places, labels)
    end_with(audits)


def show_network(folder: Path) -> None:
    """Show in a table how all parties of a network on this machine stand."""
    places = Places(folder)
    record = read_record(places)
    if record is None:
        raise Refused(f"{folder}: no network is there; `caduceus cluster up` makes one")
    table = plain_table(f"Network in {folder}", "party", "state", "last")
    for path in sorted(places.parties.iterdir()):
        sight = _sight(path, path.name, 0)
        table.add_row(sight.name, "not running" if sight.state == _STARTING else sight.state, sight.doing)
    Console(highlight=False).print(table)


def is_network(folder: Path) -> bool:
    """Whether a folder is a network's, and not one party's."""
    return Places(folder).record.is_file()


def _asked(wish: Wish, *, is_new: bool) -> tuple[Ask | None, Path | None]:
    """Which federation and which job; for a network that is there already, only what was said."""
    named = wish.federation
    if named is None and is_new:
        has_data = wish.data is not None or bool(os.environ.get(DATA_ROOT))
        named = str(EXAMPLES / ("stroke/federation-network.toml" if has_data else "breast/federation.toml"))
    job = None if wish.job is None else job_path(wish.job)
    if named is None:
        return None, job
    path = federation_path(named)
    if job is None and is_new and (path.parent / _NETWORK_JOB).is_file():
        job = path.parent / _NETWORK_JOB
    return Ask(path, wish.data, most=wish.sites, engine=wish.engine), job


def _watch(cluster: Cluster, network: Network, supervisor: Supervisor, board: Board, awaited: Sequence[str]) -> None:
    """Show how it goes; returns once all awaited jobs have come to something, and else never.

    Raises Refused, saying how it ended, if a job has come to nothing.
    """
    buyer = cluster.places.party(BUYER)
    jobs: tuple[JobSight, ...] = ()
    while True:
        answers = True
        try:
            jobs = _jobs(network)
        except Unavailable:
            answers = False
        chain = PartySight(CHAIN, "answers" if answers else "does not answer", supervisor.starts(CHAIN))
        parties = [_sight(cluster.places.party(one), one, supervisor.starts(slug(one))) for one in cluster.parties]
        board.show([chain, *parties], jobs)
        missing = [one for one in awaited if result_of(buyer, one) is None]
        if awaited and not missing:
            return
        ended = [one for one in jobs if one.stage in (Stage.REJECTED.name.lower(), Stage.EXPIRED.name.lower())]
        if awaited and ended and len(jobs) >= len(_labels(cluster.places)) and _all_final(jobs):
            raise Refused(f"{missing[0]}: {ended[0].text}, and no model; {cluster.places.logs} says why")
        time.sleep(_LOOK)


def _all_final(jobs: Sequence[JobSight]) -> bool:
    final = {stage.name.lower() for stage in FINAL}
    return all(one.stage in final for one in jobs)


def _jobs(network: Network) -> tuple[JobSight, ...]:
    chain, found = network.chain, []
    for job in chain.jobs():
        if (entry := chain.job(job)) is not None:
            seats, rounds = len(chain.enrolments(job)), len(chain.anchors(job))
            found.append(JobSight(job.hex()[:12], entry.stage.name.lower(), seats, rounds))
    return tuple(found)


def _sight(folder: Path, name: str, starts: int) -> PartySight:
    """A party, by its status file."""
    try:
        status = read_status(folder)
    except Refused:
        return PartySight(name, _STARTING, starts)
    said = [(one.at, f"{one.stage}: {one.event}" + _round(one.round)) for one in status.jobs[-1:]]
    said += [(one.at, f"{one.kind}: {one.reason}") for one in status.refusals[-1:]]
    state = status.connection if is_running(folder) else _STARTING  # what an earlier process has left does not count
    return PartySight(name, state, starts, max(said)[1] if said else "")


def _round(number: int | None) -> str:
    return "" if number is None else f", round {number}"


def _labels(places: Places) -> tuple[str, ...]:
    """Jobs that the buyer has been given."""
    return tuple(f"{one.parent.name}-{one.stem}" for one in sorted((places.party(BUYER) / JOBS).glob("*/job*.toml")))


def _say_where(console: Console, places: Places, labels: Sequence[str]) -> None:
    for label in labels:
        console.print(f"Model: {result_of(places.party(BUYER), label)}", markup=False, soft_wrap=True)
    for lead, path in (("Transcript", places.transcript), ("Logs", places.logs)):
        console.print(f"{lead}: {path}", markup=False, soft_wrap=True)
    console.print(f"The same folder goes on: caduceus cluster up {places.root}", markup=False, soft_wrap=True)


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
