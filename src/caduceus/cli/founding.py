"""The commands of whoever founds a network: kits, contracts, and money for those who join."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from caduceus.cli.joining import address, checked_url
from caduceus.cli.tables import plain_table, whole
from caduceus.edges import keyring
from caduceus.edges.network import open_url
from caduceus.errors import Refused
from caduceus.kinds import Tokens
from caduceus.wiring.cluster.places import slug
from caduceus.wiring.node.party import passphrase
from caduceus.wiring.parties import fund

try:
    from caduceus.edges.flare.provision import Party, Server, add_party, provision
except ModuleNotFoundError as _problem:
    raise Refused(f"{_problem.name} is not installed: pip install 'caduceus[flare]'") from None

DEPLOYMENT, TREASURY = "deployment", "treasury"
"""Names in a network's folder."""

_ETHER = 10**18


@dataclass(frozen=True, slots=True)
class Hub:
    """Where the coordinator listens."""

    host: str
    port: int
    organisation: str


def init(folder: Path, hub: Hub, parties: str) -> None:
    """Make a project with its root key, and the first kits."""
    asked = [_party(one) for one in parties.split(",") if one.strip()]
    if not asked:
        raise Refused("--parties: names nobody; say such as ash,birch,buyer")
    kits = provision(folder, "caduceus", Server(hub.host, hub.port, hub.organisation), asked)
    _show_kits(folder, kits)
    _say(
        f"Root key: {folder}/authority. Whoever has it can let anybody in: keep this folder off the network, and back "
        "it up.",
        "Each kit holds a private key. Hand it over where nobody can read along, to one person, and remove it here.",
        f"Next: caduceus network deploy {folder} --node URL",
    )


def add(folder: Path, party: str) -> None:
    """Make a kit for one more party; nobody has to be restarted."""
    named = _party(party)
    _show_kits(folder, {named.name: add_party(folder, named)})
    _say("Hand it over where nobody can read along, and remove it here.")


def deploy(folder: Path, node: str) -> None:
    """Put the contracts on a chain, or check that they are there."""
    url, file = checked_url("--node", node), folder / DEPLOYMENT
    _check_folder(folder)
    was_there = file.exists()
    with open_url(url, file, _treasury(folder), {}) as network:
        places = network.deployment.places
        name = network.name
    console = Console(highlight=False)
    table = plain_table(f"Contracts {'found' if was_there else 'deployed'} on {name}", "contract", "address")
    for contract, place in places:
        table.add_row(contract, f"0x{place.hex()}")
    console.print(table)
    _say(
        f"Where they are: {file}. Hand it to everybody with their kit; it is public.",
        "No key has any say over them, this one included. The demo token's whole supply is the treasury's; a network "
        "for real money names a token of its own in its jobs.",
        f"Next: the coordinator: caduceus coordinator init FOLDER --kit KIT --node {node} --deployment {DEPLOYMENT}",
    )


def give(folder: Path, account: str, node: str, tokens: int) -> None:
    """Let an account hold at least so much of the demo token; on a developer's node also ether."""
    who, url = address("ACCOUNT", account), checked_url("--node", node)
    _check_folder(folder)
    if not (folder / DEPLOYMENT).exists():
        raise Refused(f"{folder / DEPLOYMENT}: missing; first: caduceus network deploy {folder} --node {node}")
    treasury = _treasury(folder)
    with open_url(url, folder / DEPLOYMENT, treasury, {}) as network:
        balance = ["0x" + who.hex(), "latest"]
        if network.is_ours and not network.node.number("eth_getBalance", balance):
            network.node.request("anvil_setBalance", [balance[0], hex(1000 * _ETHER)])
        fund(network, network.wallet(treasury), who, Tokens(tokens))
        held = network.chain.balance(network.deployment.token, who)
        wei = network.node.number("eth_getBalance", balance)
    _say(f"{account} holds {whole(held)} of the token and {wei / _ETHER:g} ether.")
    if not wei:
        _say("It has nothing to pay gas with: send it some ether.")


def _party(text: str) -> Party:
    """NAME or NAME=ORGANISATION, as the kit's certificate will say."""
    name, _, organisation = (part.strip() for part in text.partition("="))
    plain = slug(name)
    return Party(plain, re.sub(r"[^A-Za-z0-9]+", "_", organisation) or plain.replace("-", "_"))


def _show_kits(folder: Path, kits: Mapping[str, Path]) -> None:
    table = plain_table("Kits", "kit", "for", "who starts with")
    for name, kit in kits.items():
        if name == "server":
            table.add_row(str(kit), "the coordinator", "caduceus coordinator init")
        else:
            table.add_row(str(kit), escape(name), "caduceus site init, or buyer init")
    Console(highlight=False).print(table)


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise Refused(f"{folder}: no such folder; `caduceus network init` makes one")


def _treasury(folder: Path) -> bytes:
    ring = keyring.load_or_make(folder / TREASURY, passphrase())
    return ring.account


def _say(*lines: str) -> None:
    console = Console(highlight=False)
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)
