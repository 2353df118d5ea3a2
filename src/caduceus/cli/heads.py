"""The commands of a hybrid network: a private chain's head on a public one, and whether it was rewritten since."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from caduceus.crypto.sign import Signer
from caduceus.edges import keyring
from caduceus.edges.evm_rpc import HttpNode
from caduceus.edges.gateway import Account, Node, Outbox, Sending
from caduceus.edges.heads import (
    anchor_head,
    check_heads,
    deploy_heads,
    genesis_of,
    network_id,
    read_place,
    register,
    write_place,
)
from caduceus.edges.journal import SqliteJournal
from caduceus.edges.keyring import Keyring
from caduceus.edges.keystore import read_passphrase
from caduceus.edges.network import open_node
from caduceus.errors import Refused, Unavailable
from caduceus.kinds import Address
from caduceus.wiring.node.party import KEYS

JOURNAL = "heads.sqlite"
"""In the folder of whoever records: transactions whose fate is not known yet."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A private chain and the public one that witnesses it.

    private  a node's URL, or an embedded chain's file
    public   a node's URL
    place    the file that says where the contract Heads is
    """

    private: str
    public: str
    place: Path


def begin(pair: Pair, folder: Path, confirmations: int) -> None:
    """Put the contract on the public chain, unless it is there, and register the private one."""
    console = Console(highlight=False)
    ring = keyring.load_or_make(folder / KEYS, read_passphrase(environment=os.environ))
    with open_node(pair.private) as private, _account(pair, folder, confirmations, ring) as account:
        if not pair.place.exists():
            write_place(pair.place, deploy_heads(account))
            console.print(f"{pair.place}: where the contract is; give it to auditors", soft_wrap=True)
        sent = register(private, account, read_place(pair.place))
        name = network_id(account.address, genesis_of(private))
        console.print(
            f"Network 0x{name.hex()}, recorded by 0x{account.address.hex()}: block {sent.block}", soft_wrap=True
        )


def record(pair: Pair, folder: Path, confirmations: int, depth: int, every: int, interval: float) -> None:
    """Record the private chain's head; with an interval again and again, until somebody stops it."""
    console = Console(highlight=False)
    try:
        ring = keyring.load(folder / KEYS, read_passphrase(environment=os.environ))
    except FileNotFoundError:
        raise Refused(f"{folder / KEYS}: missing; with other keys this would be another network's record") from None
    with open_node(pair.private) as private, _account(pair, folder, confirmations, ring) as account:
        name = network_id(account.address, genesis_of(private))
        while True:
            try:
                done = anchor_head(private, account, read_place(pair.place), name, depth=depth, every=every)
                if done is None:
                    console.print(f"Nothing to record: fewer than {every} new blocks that are {depth} deep")
                else:
                    head, sent = done
                    console.print(f"Block {head.number} 0x{head.hash.hex()} recorded: {sent.gas} gas", soft_wrap=True)
            except Unavailable as problem:
                if not interval:
                    raise
                console.print(f"{problem}; trying again in {interval:g} s", soft_wrap=True)
            if not interval:
                return
            time.sleep(interval)


def check(pair: Pair, account: str, thorough: bool) -> None:
    """Compare the chain presented with everything that was recorded of it.

    Raises Refused if it was rewritten, or nothing was recorded.
    """
    if re.fullmatch(r"0x[0-9a-fA-F]{40}", account) is None:
        raise Refused(f"--account {account}: an account is 20 bytes, 0x and 40 hexadecimal digits")
    by = Address(bytes.fromhex(account[2:]))
    with open_node(pair.private) as private, _public(pair) as public:
        name = network_id(by, genesis_of(private))
        found = check_heads(private, public, read_place(pair.place), name, by, thorough=thorough)
    if not found.is_whole:
        raise Refused(str(found))
    Console(highlight=False).print(str(found), soft_wrap=True)


@contextmanager
def _public(pair: Pair) -> Iterator[Node]:
    with HttpNode(pair.public) as node:
        yield Node(node.request)


@contextmanager
def _account(pair: Pair, folder: Path, confirmations: int, ring: Keyring) -> Iterator[Account]:
    """Who records, with an outbox: what an earlier process sent is looked up before anything is sent."""
    with _public(pair) as public, SqliteJournal(folder / JOURNAL) as journal:
        signer = Signer(ring.account)
        outbox = Outbox(journal, public.chain_id(), signer.address)
        account = Account(public, signer, sending=Sending(confirmations), outbox=outbox)
        account.mend()
        yield account
