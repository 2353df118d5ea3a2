"""A network on one machine, begun or gone on with: its folder, its chain, and all its processes."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from caduceus.data.policy import Terms
from caduceus.edges.code import code_digest
from caduceus.edges.federation import open_federation
from caduceus.edges.tabular import load_schema, read_text
from caduceus.errors import Refused
from caduceus.market.job_file import read_job_file, specify
from caduceus.market.specification import NONCE_BYTES
from caduceus.wiring.cluster.chain import chain_job, free_port, is_free, state_file, url_at, wait_for_chain
from caduceus.wiring.cluster.over_flower import deployment_of, start_flower
from caduceus.wiring.cluster.places import BUYER, COORDINATOR, Places
from caduceus.wiring.cluster.plan import Ask, Record, keep_record, lay_out, names_of, party_job, read_record
from caduceus.wiring.cluster.supervisor import Supervisor
from caduceus.wiring.node.posting import give_job
from caduceus.wiring.order import check_fits, terms_for

_MAX = re.compile(r"^(\[sites\][^\[]*?^max\s*=\s*)[\d_]+", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Cluster:
    """A network whose chain node answers and whose contracts, kits and folders are complete."""

    places: Places
    url: str
    sites: tuple[str, ...]
    engine: str = "flare"

    @property
    def parties(self) -> tuple[str, ...]:
        """Everybody who is a process, but for the chain node."""
        return (COORDINATOR, BUYER, *self.sites)

    def start(self, supervisor: Supervisor) -> None:
        """Start everybody's process."""
        for name in self.parties:
            supervisor.keep(party_job(self.places, name))
        if self.engine == "flower":
            start_flower(self.places, deployment_of(self.places, self.sites), supervisor)

    def give(self, job: Path) -> str:
        """Have the buyer post a job, if it has not; returns its label. Raises Refused as `give_job` does."""
        text = for_sites(read_text(job), len(self.sites), where=job.name)
        return give_job(self.places.party(BUYER), job, text=text)


@contextmanager
def locked(places: Places) -> Iterator[None]:
    """Meanwhile no other process works in this network's folder.

    Raises Refused if one does, or the folder is something else.
    """
    root = places.root
    if root.exists() and not root.is_dir():
        raise Refused(f"{root}: a file, not a folder; choose another")
    if root.is_dir() and any(root.iterdir()) and not (places.record.exists() or places.unfinished.exists()):
        raise Refused(f"{root}: not empty and not the folder of a network; choose another")
    root.mkdir(parents=True, exist_ok=True)
    lock = os.open(root, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise Refused(f"{root}: another `cluster up` runs this network; end that one first") from None
    try:
        yield
    finally:
        if not any(root.iterdir()):
            root.rmdir()
        os.close(lock)


def make(places: Places, ask: Ask, job: Path | None, supervisor: Supervisor) -> Cluster:
    """Make a network in an empty folder; what an interrupted attempt has left there is thrown away.

    job  that it is to play, if that is known; it is read before anything is made

    Raises Refused, naming file and field, if something does not fit.
    """
    federation = open_federation(ask.federation)
    names = names_of(federation, ask)
    if job is not None:
        _check_job(job, len(names), terms_for(federation))
    places.unfinished.touch()
    for part in (places.kits, places.parties, places.chain, places.logs):
        shutil.rmtree(part, ignore_errors=True)
    for file in (places.deployment, places.treasury):
        file.unlink(missing_ok=True)
    port = free_port()
    url = _run_chain(places, port, supervisor)
    sites = tuple(lay_out(places, ask, url, names))
    keep_record(
        places, Record(federation=str(federation.path.resolve()), sites=sites, chain_port=port, engine=ask.engine)
    )
    places.unfinished.unlink()
    return Cluster(places, url, sites, ask.engine)


def go_on(places: Places, record: Record, supervisor: Supervisor) -> Cluster:
    """Go on with a network as it was left.

    Raises Refused if its chain is gone, or its port is somebody else's now.
    """
    if not state_file(places).exists():
        raise Refused(f"{state_file(places)}: missing, and with it the chain; choose another folder")
    if not is_free(record.chain_port):
        raise Refused(f"port {record.chain_port} of this machine is in use; it is this network's, see {places.record}")
    return Cluster(places, _run_chain(places, record.chain_port, supervisor), record.sites, record.engine)


def begin(places: Places, ask: Ask | None, job: Path | None, supervisor: Supervisor) -> Cluster:
    """Go on with the network in a folder, or make one there.

    ask  what it is for; None takes what is there

    Raises Refused if what is there is for something else, or there is nothing and nobody says what it is for.
    """
    record = read_record(places)
    if record is None:
        if ask is None:
            raise Refused(f"{places.root}: no network is there; say which federation it is for")
        return make(places, ask, job, supervisor)
    if ask is not None:
        _check_same(places, record, ask)
    return go_on(places, record, supervisor)


def for_sites(text: str, sites: int, *, where: str) -> str:
    """A job file for fewer sites than it allows: training then begins as soon as they have all enrolled.

    Raises Refused, naming the file, if it is no job.
    """
    asked = read_job_file(text, where=where).sites
    if asked.max <= sites or asked.min > sites:
        return text
    fewer = _MAX.sub(lambda match: f"{match[1]}{sites}", text, count=1)
    read_job_file(fewer, where=where)
    return fewer


def _check_job(job: Path, sites: int, terms: Terms) -> None:
    text = for_sites(read_text(job), sites, where=job.name)
    file = read_job_file(text, where=job.name)
    schema = load_schema(job.parent / file.job.schema_file).public()
    spec = specify(file, schema, nonce=bytes(NONCE_BYTES), where=job.name, code=code_digest())
    check_fits(job.name, spec, sites, terms)


def _check_same(places: Places, record: Record, ask: Ask) -> None:
    path = open_federation(ask.federation).path.resolve()
    other = (ask.sites and ask.sites != record.sites) or (ask.most and ask.most != len(record.sites))
    if str(path) != record.federation or other:
        raise Refused(
            f"{places.root}: was made for {record.federation} with {len(record.sites)} sites; choose another folder"
        )


def _run_chain(places: Places, port: int, supervisor: Supervisor) -> str:
    supervisor.keep(chain_job(places, port))
    wait_for_chain(url_at(port))
    return url_at(port)
