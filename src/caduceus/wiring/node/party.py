"""A party's folder, opened: keys, memory, chain, blobs and lookout."""

from __future__ import annotations

import os
import stat
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from caduceus.crypto.sign import Signer
from caduceus.data.commitment import Openings
from caduceus.data.table import Table
from caduceus.edges import keyring
from caduceus.edges.evm_rpc import HttpNode
from caduceus.edges.forgetting_files import finish
from caduceus.edges.gateway.remembering import RememberingChain
from caduceus.edges.gateway.signing import RemoteSigner, TransactionSigner
from caduceus.edges.gateway.watch import Sending
from caduceus.edges.journal import SqliteJournal
from caduceus.edges.keyring import Keyring
from caduceus.edges.keystore import Passphrase, read_passphrase
from caduceus.edges.network import Network, join_url
from caduceus.edges.private import load_or_commit, versions
from caduceus.edges.store import open_store
from caduceus.edges.watching.detail import Who
from caduceus.edges.watching.event_log import listening
from caduceus.edges.watching.health import Pulse
from caduceus.edges.watching.lookout import AUDIT_FOLDER, Lookout
from caduceus.edges.watching.watched import WatchedJournal
from caduceus.edges.watching.web import WatchServer
from caduceus.errors import Refused
from caduceus.kinds import Address
from caduceus.ports import Journal, Store, Wallet
from caduceus.wiring.node.file import NodeFile, read_node_file
from caduceus.wiring.parties import Party

KEYS, JOURNAL, OPENINGS, DEPLOYMENT, LOG = "keys", "journal.sqlite", "openings", "deployment", "log.jsonl"
"""Names in a party's folder."""

_GWEI = 10**9
_TRANSACTION, _CONFIRMATION = 120.0, 30.0
"""Seconds that a transaction, and each block on top of it, may take while the loop that waits for it is well."""
_APPROVAL = 60.0
"""Seconds that a signer elsewhere may take for one transaction; a person may have to approve it."""
_COMMITTED = "committed/"


@dataclass(frozen=True, slots=True)
class Opened:
    """What every role's process has.

    chain  answers from memory while its node is away
    local  blobs of this process
    """

    folder: Path
    file: NodeFile
    party: Party
    network: Network
    chain: RememberingChain
    wallet: Wallet
    journal: WatchedJournal
    local: Store
    lookout: Lookout
    pulse: Pulse


def party_in(folder: Path, file: NodeFile) -> Party:
    """The party whose keys lie in a folder; made there first if there are none.

    Raises Refused as `keyring.load_or_make` does.
    """
    return _party(file, keyring.load_or_make(folder / KEYS, passphrase()))


def _known_party(folder: Path, file: NodeFile) -> Party:
    """The party of a folder that is complete: with other keys it would be somebody else, whom nobody knows."""
    try:
        ring = keyring.load(folder / KEYS, passphrase())
    except FileNotFoundError:
        raise Refused(f"{folder / KEYS}: missing; put this party's keys back, or make another party's folder") from None
    return _party(file, ring)


def _party(file: NodeFile, ring: Keyring) -> Party:
    """Whoever holds the keys; its account is the keyring's, unless a signer elsewhere keeps another one's key."""
    elsewhere = file.signer
    account = Signer(ring.account).address if elsewhere is None else Address(bytes.fromhex(elsewhere.account[2:]))
    return Party(file.party.name, account, ring)


def _account_key(file: NodeFile, party: Party, stack: ExitStack) -> bytes | TransactionSigner:
    """What signs the account's transactions."""
    if file.signer is None:
        return party.ring.account
    node = stack.enter_context(closing(HttpNode(file.signer.url, timeout=_APPROVAL)))
    return RemoteSigner(node.request, party.account, name=f"the signer at {node.name}", method=file.signer.method)


def passphrase() -> Passphrase | None:
    """The passphrase of this process's keys, from the environment; None where keys lie in the clear."""
    return read_passphrase(environment=os.environ)


def open_party(folder: Path, stack: ExitStack) -> Opened:
    """Open everything that a role works with; closes with `stack`.

    Raises Refused, naming the file, if something in the folder is missing, wrong or in use; Unavailable if the chain's
    node does not answer: it must for once, to show that it is the right chain.
    """
    file = read_node_file(folder)
    check_private(folder)
    party = _known_party(folder, file)
    # The journal comes first: where there is an audit log, there has been a journal.
    memory = stack.enter_context(_open_journal(folder))
    _make_private(folder / LOG)
    stack.enter_context(listening(folder / LOG))
    lookout = stack.enter_context(Lookout(folder, Who(file.party.role, file.party.name)))
    journal = WatchedJournal(memory, lookout.metrics)
    gwei = file.chain.max_fee_gwei
    sending = Sending(file.chain.confirmations, None if gwei is None else gwei * _GWEI)
    network = stack.enter_context(join_url(file.chain.url, folder / DEPLOYMENT, sending=sending))
    wallet = network.wallet(_account_key(file, party, stack), journal)
    wallet.mend()
    sends = 2 * (_TRANSACTION + file.chain.confirmations * _CONFIRMATION)
    pulse = Pulse(patience=max(60.0, 10 * file.chain.poll) + sends)
    if file.watch.port:
        health = lambda: pulse.health(lookout.status.now())  # noqa: E731
        stack.enter_context(WatchServer(lookout.metrics, health, host=file.watch.host, port=file.watch.port))
    location = file.store if "://" in file.store else str(folder / file.store)
    return Opened(
        folder=folder,
        file=file,
        party=party,
        network=network,
        chain=RememberingChain(network.chain),
        wallet=wallet,
        journal=journal,
        local=open_store(location),
        lookout=lookout,
        pulse=pulse,
    )


def check_private(folder: Path) -> None:
    """Refuse a party's folder that others than its owner may look into.

    Raises Refused, saying what to do.
    """
    if stat.S_IMODE(folder.stat().st_mode) & 0o077:
        raise Refused(f"{folder}: others may look into this party's folder; run: chmod 700 {folder}")


def _make_private(path: Path) -> None:
    """Have a file, with what it holds already, that is its owner's alone before anybody writes to it."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:  # not opened: closing it would let go of a lock that this process has on it
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            path.chmod(0o600)


def _open_journal(folder: Path) -> SqliteJournal:
    """The journal; a new one only for a party that has never run.

    Raises Refused if it is missing, in use or damaged: a party that has forgotten what it promised could sign, send or
    open the same thing twice.
    """
    path = folder / JOURNAL
    if not path.exists() and any((folder / AUDIT_FOLDER).glob("*.log")):
        raise Refused(
            f"{path}: missing, and this party has run before; what it promised is in there: put the file back. If it "
            "is lost, never start this party again: make another one's folder, with keys of its own"
        )
    _make_private(path)
    return SqliteJournal(path)


def open_records(folder: Path, table: Table, journal: Journal) -> Openings:
    """The openings of the commitment to a site's records; made with the first start.

    New salts for records that are committed to already would be a second privacy budget for the same patients, so that
    takes more than a lost file: somebody has to keep the old one as `openings.NAME`, beside a table that has changed.

    Raises Refused, saying so, and as `load_or_commit` does.
    """
    path = folder / OPENINGS
    finish(folder)
    if not path.exists() and (known := journal.keys(_COMMITTED)):
        kept = [one for _, one in versions(path)]
        missing = {key.removeprefix(_COMMITTED) for key in known} - {one.root.hex() for one in kept}
        if missing:
            raise Refused(
                f"{path}: missing, and this party has committed to records before; put the file back. If the table has "
                f"changed and is to be a new data set, keep the old file as {OPENINGS}.NAME beside it"
            )
        for one in kept:
            if one.holds(table):
                raise Refused(f"{path}: missing, and the table is one that this party has committed to; put it back")
    openings = load_or_commit(path, table)
    journal.put_all({f"{_COMMITTED}{openings.root.hex()}": b""})
    return openings


def signer_of(opened: Opened, account: Address) -> Address | None:
    """The key that a member signs with; None if there is no such member."""
    member = opened.chain.member(account)
    return None if member is None else member.signer
