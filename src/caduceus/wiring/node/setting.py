"""Making a party's folder, and the command that runs it."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from caduceus.edges.code import code_digest
from caduceus.edges.network import read_deployment
from caduceus.edges.workspace import write_whole
from caduceus.errors import Refused
from caduceus.kinds import Address
from caduceus.wiring.node.engine import AT_HUB, AT_SPOKE, Command, engine_named
from caduceus.wiring.node.file import NODE_FILE, read_node_file
from caduceus.wiring.node.party import DEPLOYMENT, party_in
from caduceus.wiring.parties import Party

KIT = "kit"
"""The folder of an engine's kit, in a party's."""

_COORDINATOR = "coordinator"


@dataclass(frozen=True, slots=True)
class ChainSetting:
    """The chain as a party sees it.

    url            of a node that this party trusts to tell it the truth
    deployment     the network's file that says where the contracts are; copied
    confirmations  blocks on top before a transaction counts
    poll           seconds between two looks
    """

    url: str
    deployment: Path
    confirmations: int = 1
    poll: float = 2.0


@dataclass(frozen=True, slots=True)
class DataSetting:
    """A site's records.

    federation  the TOML file that says where they are, whose schema and terms lie beside it
    site        the site's name in it
    root        folder under which data lie; None takes it from the environment
    """

    federation: Path
    site: str
    root: Path | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    """What an administrator says once.

    role  site, coordinator or buyer
    kit   what the network's operator issued for this party; copied
    hub   account of the coordinator; None for the coordinator itself
    data  a site's records; None for everybody else
    """

    name: str
    role: str
    kit: Path
    chain: ChainSetting
    hub: Address | None = None
    data: DataSetting | None = None
    watch_port: int = 0
    engine: str = "flare"


def make_folder(folder: Path, setting: Setting) -> Party:
    """Write a party's folder: keys, the deployment, the kit with its role in it, and at last `node.toml`.

    May be called again after a crash; a folder that is complete is not touched.

    Raises Refused, naming the file, if something that is named is not there or wrong, or the folder is complete.
    """
    check_setting(folder, setting)
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    write_whole(folder / DEPLOYMENT, setting.chain.deployment.read_bytes())
    if setting.kit.resolve() != (folder / KIT).resolve():
        shutil.rmtree(folder / KIT, ignore_errors=True)
        shutil.copytree(setting.kit, folder / KIT)
    entry = AT_HUB if setting.role == _COORDINATOR else AT_SPOKE
    engine_named(setting.engine).equip(folder / KIT, entry, folder.resolve())
    part = folder / f"{NODE_FILE}.new"
    write_whole(part, _text(setting).encode())
    party = party_in(folder, read_node_file(folder, part.name))
    part.replace(folder / NODE_FILE)
    return party


def check_setting(folder: Path, setting: Setting) -> None:
    """Refuse what `make_folder` would refuse, with nothing written.

    Raises Refused, naming the file.
    """
    if (folder / NODE_FILE).exists():
        raise Refused(f"{folder / NODE_FILE}: is there already; change it by hand, or choose another folder")
    read_deployment(setting.chain.deployment)
    if engine_named(setting.engine).is_hub(setting.kit) != (setting.role == _COORDINATOR):
        raise Refused(f"{setting.kit}: is not the kit of a {setting.role}")


def command_of(folder: Path) -> Command:
    """The process of the party whose folder this is; SIGTERM ends it.

    Raises Refused, naming the file, if the folder is not complete.
    """
    return engine_named(read_node_file(folder).engine).command(folder / KIT)


def become(folder: Path) -> None:
    """Turn this process into the party's; returns only by raising. Raises Refused as `command_of` does."""
    command = command_of(folder)
    os.chdir(command.cwd)
    os.execve(command.argv[0], command.argv, command.env)  # noqa: S606  (our own interpreter, no shell)


def _text(setting: Setting) -> str:
    """The whole `node.toml`."""
    lines = [
        "# What this party's process is told. Change it and start the process again.",
        f"engine = {_quoted(setting.engine)}",
        f"store = {_quoted('transcript/blobs' if setting.role == _COORDINATOR else 'blobs')}",
        "",
        "[party]",
        f"name = {_quoted(setting.name)}",
        f"role = {_quoted(setting.role)}",
        "",
        "[chain]",
        f"url = {_quoted(setting.chain.url)}",
        f"confirmations = {setting.chain.confirmations}",
        f"poll = {setting.chain.poll}",
    ]
    if setting.hub is not None:
        lines += ["", "[coordinator]", f'account = "0x{setting.hub.hex()}"']
    if setting.data is not None:
        lines += ["", *_data_lines(setting.data)]
    if setting.watch_port:
        lines += ["", "[watch]", f"port = {setting.watch_port}"]
    return "\n".join(lines) + "\n"


def _data_lines(data: DataSetting) -> list[str]:
    root = [] if data.root is None else [f"root = {_quoted(str(data.root.resolve()))}"]
    return [
        "[data]",
        f"federation = {_quoted(str(data.federation.resolve()))}",
        f"site = {_quoted(data.site)}",
        *root,
        "",
        "[policy]",
        "# The programs that the steward allows on the records; `caduceus code` says which one is installed.",
        f'code = ["{code_digest().hex()}"]',
    ]


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
