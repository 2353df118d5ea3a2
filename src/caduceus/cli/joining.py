"""The commands of one party: making its folder, starting its process, and what its people decide."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from caduceus.cli.names import federation_path, job_path
from caduceus.cli.tables import whole
from caduceus.data.schema import did_you_mean
from caduceus.edges import keyring
from caduceus.edges.code import FILES, FOLDERS, code_digest
from caduceus.edges.federation import Federation, open_federation, read_site, read_sites
from caduceus.edges.keystore import PASSPHRASE_FILE_VARIABLE, PASSPHRASE_VARIABLE, Passphrase, read_passphrase
from caduceus.edges.network import Network, join_url
from caduceus.errors import Refused, Unavailable
from caduceus.kinds import Address, Digest
from caduceus.wiring.cluster.places import slug
from caduceus.wiring.node.allowing import allow
from caduceus.wiring.node.engine import engine_named, engine_of
from caduceus.wiring.node.file import read_node_file
from caduceus.wiring.node.party import KEYS
from caduceus.wiring.node.posting import give_job
from caduceus.wiring.node.setting import ChainSetting, DataSetting, Setting, become, check_setting, make_folder
from caduceus.wiring.parties import Party

_ETHER = 10**18


@dataclass(frozen=True, slots=True)
class Joining:
    """What every party's `init` is told."""

    folder: Path
    kit: Path
    node: str
    deployment: Path
    passphrase_file: Path | None = None
    confirmations: int = 1
    watch_port: int = 0

    @property
    def chain(self) -> ChainSetting:
        """The chain's part of it."""
        return ChainSetting(checked_url("--node", self.node), self.deployment, self.confirmations)


@dataclass(frozen=True, slots=True)
class Records:
    """What a site's `init` is told of its records."""

    federation: str
    site: str | None = None
    root: Path | None = None


def init_site(joining: Joining, coordinator: str, records: Records) -> None:
    """Make a site's folder; its records are read and checked first."""
    hub = address("--coordinator", coordinator)
    known = engine_named(engine_of(joining.kit)).name_in(joining.kit)
    federation = open_federation(federation_path(records.federation))
    site = records.site or _site_of(federation, known, records.root)
    found = read_site(federation, site, data_root=records.root)
    data = DataSetting(federation.path, site, records.root or _data_root())
    setting = Setting(site, "site", joining.kit, joining.chain, hub, data, joining.watch_port, engine_of(joining.kit))
    said = f"{whole(found.table.rows)} rows of '{site}' are as their schema says; they stay where they are"
    program = f"{code_digest().hex()} is allowed on them"
    party = _make(joining, setting, ("Records", said), ("Program", program))
    _say_next(
        f"give {_hex(party.account)} ether for gas, and tokens for the stake of each job, or let the operator: "
        f"caduceus network fund FOLDER {_hex(party.account)} --node {joining.node}",
        f"caduceus site start {joining.folder}",
    )


def init_coordinator(joining: Joining, name: str) -> None:
    """Make the coordinator's folder."""
    setting = Setting(
        name, "coordinator", joining.kit, joining.chain, watch_port=joining.watch_port, engine=engine_of(joining.kit)
    )
    party = _make(joining, setting)
    _say_next(
        f"give {_hex(party.account)} ether for gas, and tokens for the bond of each job",
        f"tell every site and buyer your account: --coordinator {_hex(party.account)}",
        f"caduceus coordinator start {joining.folder}",
    )


def init_buyer(joining: Joining, coordinator: str, name: str | None) -> None:
    """Make a buyer's folder."""
    hub = address("--coordinator", coordinator)
    known = name or engine_named(engine_of(joining.kit)).name_in(joining.kit)
    setting = Setting(
        known, "buyer", joining.kit, joining.chain, hub, watch_port=joining.watch_port, engine=engine_of(joining.kit)
    )
    party = _make(joining, setting)
    _say_next(
        f"give {_hex(party.account)} ether for gas, and tokens for the price of each job",
        f"caduceus buyer start {joining.folder}",
        f"caduceus buyer post {joining.folder} JOB.toml",
    )


def start(folder: Path, role: str, passphrase_file: Path | None) -> None:
    """Become the process of a party; ends with it, on SIGTERM or Ctrl-C."""
    found = read_node_file(folder)
    if found.party.role != role:
        raise Refused(f"{folder}: is the folder of a {found.party.role}; caduceus {found.party.role} start {folder}")
    keyring.load(folder / KEYS, read_passphrase(passphrase_file))  # a wrong passphrase is said here, not in a log
    if passphrase_file is not None:
        os.environ[PASSPHRASE_FILE_VARIABLE] = str(passphrase_file.resolve())
    become(folder)


def allow_program(folder: Path, digest: str) -> None:
    """Put a program on a site's list."""
    program = _digest("DIGEST", digest)
    here = "which is the one installed here" if program == code_digest() else "which is not the one installed here"
    is_new = allow(folder, program)
    said = "is allowed from the site's next start on" if is_new else "was allowed already"
    Console(highlight=False).print(f"Program {program.hex()}, {here}, {said}.", soft_wrap=True)


def post(folder: Path, job: str) -> None:
    """Give the buyer's process a job."""
    found = read_node_file(folder)
    if found.party.role != "buyer":
        raise Refused(f"{folder}: is the folder of a {found.party.role}; a buyer posts jobs")
    label = give_job(folder, job_path(job))
    console = Console(highlight=False)
    console.print(f"'{label}' is posted by the buyer's process as soon as it runs, and once.", soft_wrap=True)
    console.print(f"Its model will be {folder}/models/{label}.json; answers, in {folder}/answers.", soft_wrap=True)
    _say_next(f"caduceus status {folder}")


def show_code() -> None:
    """Which program this is."""
    console = Console(highlight=False)
    console.print(code_digest().hex(), soft_wrap=True)
    console.print(
        f"It covers {', '.join(f'{one}/' for one in FOLDERS)} and {', '.join(FILES)} of this package: all that works "
        "on records and decides what leaves a site. It does not cover what only shows, stores or carries, nor Python "
        "and the packages beneath: pin those yourself."
    )


def encrypt_keys(folder: Path, passphrase_file: Path | None) -> None:
    """Put a party's keys under a passphrase."""
    path = _keys_in(folder)
    keyring.encrypt(path, _passphrase(passphrase_file))
    console = Console(highlight=False)
    console.print(f"{path}: encrypted; beside it, {keyring.ACCOUNT_FILE} is a keystore that wallets read.")
    console.print("What the disk held in the clear may survive on it: where that matters, begin with new keys.")
    _say_next(f"start it with --passphrase-file FILE, or with {PASSPHRASE_FILE_VARIABLE} set")


def decrypt_keys(folder: Path, passphrase_file: Path | None) -> None:
    """Put a party's keys in the clear again, as to give them another passphrase."""
    path = _keys_in(folder)
    keyring.decrypt(path, _passphrase(passphrase_file))
    Console(highlight=False).print(f"{path}: in the clear; only its owner may read it.")


def address(option: str, text: str) -> Address:
    """An account that was given as an option. Raises Refused, naming the option."""
    if not re.fullmatch(r"0x[0-9a-fA-F]{40}", text):
        raise Refused(f"{option}: '{text}' is no account: 0x and 40 hex digits")
    return Address(bytes.fromhex(text[2:]))


def checked_url(option: str, url: str) -> str:
    """A node's URL that was given as an option. Raises Refused, naming the option."""
    if not re.match(r"https?://[^/]", url):
        raise Refused(f"{option}: '{url}' is no http or https URL")
    return url


def _make(joining: Joining, setting: Setting, *more: tuple[str, str]) -> Party:
    """Check with the node that it is the right chain, make the folder, and say what is in it."""
    check_setting(joining.folder, setting)
    with join_url(joining.node, joining.deployment) as network:
        if joining.passphrase_file is not None:
            read_passphrase(joining.passphrase_file)
            os.environ[PASSPHRASE_FILE_VARIABLE] = str(joining.passphrase_file.resolve())
        party = make_folder(joining.folder, setting)
        _say_made(joining.folder, setting, party, ("Account", _holdings(network, party)), *more)
    return party


def _holdings(network: Network, party: Party) -> str:
    account = _hex(party.account)
    try:
        wei = network.node.number("eth_getBalance", [account, "latest"])
        tokens = network.chain.balance(network.deployment.token, party.account)
    except Unavailable:
        return f"{account}; the node does not say what it holds"
    return f"{account}, holds {wei / _ETHER:g} ether and {whole(tokens)} of the token"


def _say_made(folder: Path, setting: Setting, party: Party, *more: tuple[str, str]) -> None:
    console = Console(highlight=False)
    title = f"{setting.role.capitalize()} '{party.name}': {folder}"
    console.print(title, style="bold", markup=False, soft_wrap=True)
    clear = not keyring.is_encrypted(folder / KEYS)
    keys = f"in the clear; caduceus keys encrypt {folder}" if clear else "under your passphrase"
    for lead, text in (*more, ("Keys", keys)):
        console.print(f"  {lead:<9}{text}", markup=False, soft_wrap=True)


def _say_next(*steps: str) -> None:
    console = Console(highlight=False)
    console.print("Next:")
    for number, step in enumerate(steps, 1):
        console.print(f"  {number}. {escape(step)}", soft_wrap=True)


def _site_of(federation: Federation, known: str, root: Path | None) -> str:
    """The site that a kit's name stands for."""
    names: Sequence[str] = [one.name for one in federation.file.site]
    if federation.file.federation.split is not None:
        names = [one.name for one in read_sites(federation, data_root=root)]
    found = [one for one in names if slug(one) == known] or (names if len(names) == 1 else [])
    if len(found) != 1:
        nearest = did_you_mean(known, tuple(names))
        raise Refused(f"{federation.path.name}: no site is called as the kit, '{known}'{nearest}; say --site NAME")
    return found[0]


def _data_root() -> Path | None:
    given = os.environ.get("CADUCEUS_DATA")
    return Path(given) if given else None


def _keys_in(folder: Path) -> Path:
    path = folder / KEYS if folder.is_dir() else folder
    if not path.is_file():
        raise Refused(f"{path}: missing; name a party's folder, or its key file")
    return path


def _passphrase(file: Path | None) -> Passphrase:
    found = read_passphrase(file)
    if found is None:
        raise Refused(
            f"no passphrase: name a file with --passphrase-file, or set {PASSPHRASE_FILE_VARIABLE} or "
            f"{PASSPHRASE_VARIABLE}"
        )
    return found


def _digest(option: str, text: str) -> Digest:
    if not re.fullmatch(r"(0x)?[0-9a-fA-F]{64}", text):
        raise Refused(f"{option}: '{text}' is no digest: 64 hex digits, as `caduceus code` prints")
    return Digest(bytes.fromhex(text.removeprefix("0x")))


def _hex(account: bytes) -> str:
    return f"0x{account.hex()}"
