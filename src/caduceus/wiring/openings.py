"""A steward's answers to patients: where the site's openings and records are, letters, and forgetting."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from caduceus.crypto.sign import Signer
from caduceus.data.forgetting import Previous, rows_under, without
from caduceus.data.membership import Present, name_patients, tag_of
from caduceus.data.table import Table
from caduceus.edges import keyring
from caduceus.edges.federation import open_federation, read_site
from caduceus.edges.forgetting_files import OPENINGS, Plan, Target, begin, finish, previous_of
from caduceus.edges.network import Network, join_url
from caduceus.edges.private import known_tokens, load, make, versions
from caduceus.edges.watching.status import is_running
from caduceus.edges.workspace import Workspace
from caduceus.errors import Refused
from caduceus.kinds import Address
from caduceus.wiring.node.file import NODE_FILE, NodeFile, read_node_file
from caduceus.wiring.node.party import DEPLOYMENT, KEYS
from caduceus.wiring.openings_letter import Letter, Statement
from caduceus.wiring.recall import look_at
from caduceus.wiring.remembered import Memory


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where a site's private files and records are.

    name     of the site
    folder   its own
    table    its records as they are now
    account  of its steward
    look     opens the chain on which its data set is, to be read
    """

    name: str
    folder: Path
    table: Table
    account: Address
    look: Callable[[], Network]

    @property
    def openings(self) -> Path:
        """The file of the present version."""
        return self.folder / OPENINGS


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What a forgetting came to.

    versions     openings in which the patient's secrets were erased
    old, new     roots of the version before and the one now
    is_in_table  the patient's rows are still in the site's source: until they are not, the site does not start
    """

    versions: int
    old: bytes
    new: bytes
    is_in_table: bool


def find_place(folder: Path, site: str | None, data_root: Path | None) -> Place:
    """A site's files, from its own folder or from the folder of a run on one machine.

    site  which site of a run; a folder of one party knows its own

    Raises Refused if it is neither, if the site is missing, or as `read_site` does.
    """
    if (folder / NODE_FILE).is_file():
        file = read_node_file(folder)
        if file.data is None:
            raise Refused(f"{folder}: a {file.party.role} has no records")
        root = data_root or (None if file.data.root is None else Path(file.data.root))
        name = file.data.site or file.party.name
        records = read_site(open_federation(folder / file.data.federation), name, data_root=root)
        look = partial(join_url, file.chain.url, folder / DEPLOYMENT)
        return Place(name, folder, records.table, _account(folder, file), look)
    if not (folder / "transcript").is_dir():
        raise Refused(f"{folder}: neither the folder of a site nor of a run")
    if site is None:
        raise Refused(f"{folder}: the folder of a run has many sites; say which with --site")
    workspace = Workspace(folder)
    order = Memory(workspace).orders()[0]
    root = data_root or (Path(order.data_root) if order.data_root else None)
    records = read_site(open_federation(Path(order.federation)), site, data_root=root)
    account = Signer(keyring.load(workspace.party(site) / KEYS).account).address
    return Place(site, workspace.party(site), records.table, account, partial(look_at, workspace, order.url or None))


def _account(folder: Path, file: NodeFile) -> Address:
    """The account of a site, whose key may be under a passphrase or kept elsewhere."""
    if file.signer is not None:
        return Address(bytes.fromhex(file.signer.account[2:]))
    if keyring.is_encrypted(folder / KEYS):
        return keyring.account_of(folder / KEYS)
    return Signer(keyring.load(folder / KEYS).account).address


def write_letter(place: Place, patient: str) -> Letter:
    """What a patient is shown: of every version of the data set, which rows are theirs, or that there are none.

    patient  the site's own identifier

    Raises Refused if the patient is in no version: there is no token, and a new one would show nothing.
    """
    finish(place.folder)
    token = known_tokens(place.openings, (patient,)).get(patient)
    if token is None:
        raise Refused(
            "there is no such patient in any version that is kept here: never was, or was forgotten. Nothing can be "
            "shown, as only a token that was given out before can show an absence"
        )
    return answer(place, token)


def answer(place: Place, token: bytes) -> Letter:
    """A letter to whoever holds a token, such as from an earlier letter.

    Raises Refused if the patient was forgotten.
    """
    finish(place.folder)
    statements = []
    for _, openings in versions(place.openings):
        if openings.holders is None:
            continue
        proof = openings.prove_for(token, place.table)
        present = proof if isinstance(proof, Present) else None
        statements.append(Statement(openings.root, present, None if isinstance(proof, Present) else proof))
    if not statements:
        raise Refused(f"{place.folder}: no version here is a commitment to patients; there is nothing to show yet")
    return Letter(place.name, token, place.table.schema, tuple(statements))


def forget_patient(place: Place, patient: str) -> Forgotten:
    """Make the next version of a data set, without a patient, and erase the patient's secrets in all versions.

    patient  the site's own identifier

    A forgetting that was begun and not finished is finished first.

    Raises Refused if the site's process runs, if there is no such patient, or if a file cannot be matched; Unavailable
    if the chain does not answer: the next version has to know which one it supersedes.
    """
    if is_running(place.folder):
        raise Refused(f"{place.folder}: its process runs; stop it, forget, then start it again")
    finish(place.folder)
    if not place.openings.exists():
        raise Refused(f"{place.openings}: missing; this site has committed to nothing that could be forgotten")
    token = known_tokens(place.openings, (patient,)).get(patient)
    is_in_table = patient in name_patients(place.table)[0]
    if token is None and not is_in_table:
        raise Refused("there is no such patient, in no version and not in the table: never was, or was forgotten")
    tag = bytes(32) if token is None else tag_of(token)
    targets = []
    for path, openings in versions(place.openings):
        try:
            rows = rows_under(openings, tag, patient, place.table)
        except Refused as problem:
            raise Refused(f"{path}: {problem}; delete this file, and nothing of it can be shown any more") from None
        targets.append(Target(path.name, openings.root, rows))
    old = load(place.openings).root
    previous = _registered(place, old)
    others = without(place.table, patient)
    fresh = make(others, known_tokens(place.openings, name_patients(others)[0]))
    begin(place.folder, Plan(tag, tuple(targets), fresh, previous))
    finish(place.folder)
    return Forgotten(sum(bool(one.rows) for one in targets), old, fresh.root, is_in_table)


def _registered(place: Place, root: bytes) -> Previous | None:
    """The data set of a commitment as the chain has it; the one that it would supersede if it was never registered."""
    with place.look() as network:
        entries = network.chain.datasets()
    superseded = {one.previous for one in entries}
    own = [
        one for one in entries if (one.steward, one.commitment) == (place.account, root) and one.id not in superseded
    ]
    if not own:
        return previous_of(place.folder, root)
    return Previous(own[-1].id, own[-1].budget_micro, own[-1].delta_pico)
