"""Making a network's folder: contracts, kits, and a folder for each party."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from caduceus.edges import keyring
from caduceus.edges.federation import DATA_ROOT, Federation, open_federation, read_sites
from caduceus.edges.network import open_url
from caduceus.edges.workspace import write_whole
from caduceus.errors import Refused
from caduceus.kinds import Address, Tokens
from caduceus.wiring.cluster.chain import free_port, mining_at_once
from caduceus.wiring.cluster.over_flower import flower_kits
from caduceus.wiring.cluster.places import BUYER, COORDINATOR, Places, slug
from caduceus.wiring.cluster.supervisor import Job
from caduceus.wiring.node.setting import ChainSetting, DataSetting, Setting, command_of, make_folder
from caduceus.wiring.parties import Party, fund

_WORTH = Tokens(1_000_000_000)
"""What each party gets of the demo token: enough for many jobs."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What a network is made for.

    federation  a federation TOML; each of its sites becomes a process
    data_root   folder under which its data lie
    sites       names of the sites to take; all of them if none is given
    most        how many of them, the first in the federation's order; None for all
    hub_port    on loopback; 0 takes a free one
    engine      what carries the parties' frames: "flare" or "flower"
    poll        seconds between two looks of a party at the chain
    """

    federation: Path
    data_root: Path | None = None
    sites: tuple[str, ...] = ()
    most: int | None = None
    hub_port: int = 0
    poll: float = 1.0
    engine: str = "flare"


class Record(BaseModel):
    """What a network was made for, so that it can be gone on with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    federation: str
    sites: tuple[str, ...]
    chain_port: int
    engine: str = "flare"


def read_record(places: Places) -> Record | None:
    """What a folder's network was made for; None if it has none that is complete.

    Raises Refused if the file is damaged.
    """
    try:
        return Record.model_validate_json(places.record.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError:
        raise Refused(f"{places.record}: damaged; choose another folder") from None


def lay_out(places: Places, ask: Ask, url: str, names: Sequence[str] = ()) -> list[str]:
    """Make everything that the parties' processes need; the chain node must answer.

    names    what `names_of` said, so that the records are not read again
    returns  the names of the sites

    Raises Refused, naming what is wrong, if the folder holds a network already.
    """
    if places.kits.exists():
        raise Refused(f"{places.root}: holds a network already; choose another folder, or go on with that one")
    names = list(names) or names_of(open_federation(ask.federation), ask)
    with mining_at_once(url):
        treasury = keyring.load_or_make(places.treasury).account
        open_url(url, places.deployment, treasury, {}).close()  # it makes the deployment
        parties = _make_parties(places, ask, url, names)
        with open_url(url, places.deployment, treasury, {one.name: one.account for one in parties}) as network:
            wallet = network.wallet(treasury)
            for party in parties:
                fund(network, wallet, party.account, _WORTH)
    shutil.rmtree(places.kits / "kits", ignore_errors=True)  # each party has its own now
    return names


def names_of(federation: Federation, ask: Ask) -> list[str]:
    """The sites that are to be processes.

    Raises Refused, naming the first that the federation has not, or whose name would be another party's.
    """
    known = [one.name for one in read_sites(federation, data_root=ask.data_root)]
    if missing := [one for one in ask.sites if one not in known]:
        raise Refused(f"{federation.path.name}: there is no site '{missing[0]}'")
    names = [one for one in known if not ask.sites or one in ask.sites]
    if ask.most is not None and ask.most > len(names):
        raise Refused(f"{federation.path.name}: has {len(names)} sites, and {ask.most} are asked for")
    names = names[: ask.most]
    taken = {COORDINATOR, BUYER, "server"}
    for name in names:
        if slug(name) in taken:
            raise Refused(f"{federation.path.name}: a site called '{name}' would have another party's folder")
        taken.add(slug(name))
    return names


def party_job(places: Places, name: str) -> Job:
    """The process of a party."""
    folder = places.party(name)

    def command() -> tuple[tuple[str, ...], dict[str, str], Path]:
        found = command_of(folder)
        # One thread per process: they share this machine's cores.
        return found.argv, found.env | {"OMP_NUM_THREADS": "1"}, found.cwd

    return Job(slug(name), command, places.logs / f"{slug(name)}.log")


def keep_record(places: Places, record: Record) -> None:
    """Say that the network is complete, and what it is for."""
    write_whole(places.record, record.model_dump_json(indent=1).encode() + b"\n")


def _make_parties(places: Places, ask: Ask, url: str, names: Sequence[str]) -> list[Party]:
    kits = _kits(places, ask, names)
    chain = ChainSetting(url, places.deployment, confirmations=0, poll=ask.poll)
    hub = make_folder(
        places.party(COORDINATOR), Setting(COORDINATOR, "coordinator", kits["server"], chain, engine=ask.engine)
    )
    buyer = Setting(BUYER, "buyer", kits[BUYER], chain, hub.account, engine=ask.engine)
    sites = [_site(name, ask, kits[slug(name)], chain, hub.account) for name in names]
    return [hub, *(make_folder(places.party(one.name), one) for one in (buyer, *sites))]


def _site(name: str, ask: Ask, kit: Path, chain: ChainSetting, hub: Address) -> Setting:
    given = os.environ.get(DATA_ROOT) if ask.data_root is None else ask.data_root
    root = Path(given) if given else None
    return Setting(name, "site", kit, chain, hub, DataSetting(ask.federation, name, root), engine=ask.engine)


def _kits(places: Places, ask: Ask, names: Sequence[str]) -> dict[str, Path]:
    if ask.engine == "flower":
        return flower_kits(places, names)
    try:
        from caduceus.edges.flare.provision import Party as Named
        from caduceus.edges.flare.provision import Server, provision
    except ModuleNotFoundError as problem:
        raise Refused(f"{problem.name} is not installed: pip install 'caduceus[flare]'") from None
    server = Server("localhost", ask.hub_port or free_port(), "network")
    return provision(
        places.kits,
        "caduceus",
        server,
        [Named(slug(one), slug(one).replace("-", "_")) for one in (BUYER, *names)],
    )
