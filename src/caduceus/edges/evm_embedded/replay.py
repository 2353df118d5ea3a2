"""Running the whole chain again from its genesis: the strongest word that an audit has for it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from caduceus.edges.evm_embedded import admission, blocks, history, machine
from caduceus.edges.evm_embedded.admission import Account
from caduceus.edges.evm_embedded.blocks import Header, Receipt, Sealed
from caduceus.edges.evm_embedded.chain import genesis_block, successor
from caduceus.edges.evm_embedded.history import History
from caduceus.edges.evm_embedded.machine import Network
from caduceus.edges.evm_embedded.nodes import Nodes
from caduceus.edges.evm_embedded.store import Store
from caduceus.edges.evm_embedded.transactions import Transaction, read
from caduceus.errors import Refused


@dataclass(frozen=True, slots=True)
class Replayed:
    """How far the chain re-executed to what it says of itself."""

    blocks: int
    """That came out the same, hash for hash; all of them if `problem` is None."""
    transactions: int
    head: bytes
    """Hash of the last block that came out the same."""
    problem: str | None
    """The first thing that did not."""


def replay(path: Path) -> Replayed:
    """Re-execute every block of a chain file on a state built from its genesis balances alone.

    Only transactions and block times are taken from the file. Gas, receipts, logs, fees and every state root
    come out of the execution and must give each block's hash.

    returns  how far it went; a damaged or altered file gives a problem, never an exception

    Raises Refused if there is no such file, or it is no chain file.
    """
    with_file = Store.open(path, writable=False, immutable=True)
    try:
        return _replay(with_file)
    finally:
        with_file.close()


def _replay(store: Store) -> Replayed:
    past = History(store)
    memory = Store.create(None)
    nodes = Nodes(memory)
    done = transactions = 0
    parent: Sealed | None = None
    hashes: list[bytes] = []
    try:
        genesis = store.genesis()
        head = past.head()
        for number in range(head.header.number + 1 if head is not None else 0):
            recorded = _recorded(store, number)
            chosen = [read(item.raw) for item in past.included(number)]
            if parent is None:
                header = genesis_block(genesis, nodes).header
            else:
                draft = successor(parent, recorded.header.timestamp)
                header = _execute(Network(genesis.chain_id, nodes), draft, parent, chosen, hashes)
            with memory.transaction() as connection:
                history.write_nodes(connection, nodes.pending.items())
            nodes.settle()
            parent = blocks.seal(header)
            if parent.hash != recorded.hash:
                raise Refused(f"block {number}: re-executed, its {_difference(header, recorded.header)} differs")
            hashes.append(parent.hash)
            done += 1
            transactions += len(chosen)
    except Refused as refusal:
        return Replayed(done, transactions, hashes[-1] if hashes else b"", str(refusal))
    finally:
        memory.close()
    return Replayed(done, transactions, hashes[-1] if hashes else b"", None)


def _recorded(store: Store, number: int) -> Sealed:
    row = store.read_one("SELECT header FROM blocks WHERE number = ?", (number,))
    if row is None:
        raise Refused(f"block {number}: is missing")
    return blocks.read_header(row[0])


def _execute(
    network: Network, draft: Header, parent: Sealed, transactions: list[Transaction], hashes: list[bytes]
) -> Header:
    state = machine.state_at(network, draft, parent.header.state_root, reversed(hashes[-256:]))
    receipts: list[Receipt] = []
    for position, transaction in enumerate(transactions):
        used = receipts[-1].cumulative_gas if receipts else 0
        sender: Account = machine.account(state, transaction.call.sender)
        try:
            admission.check_form(transaction, network.chain_id, draft.gas_limit)
            admission.check_inclusion(transaction.call, sender, draft, used)
        except Refused as refusal:
            raise Refused(f"block {draft.number}: transaction {position} should not be there: {refusal}") from None
        receipts.append(machine.apply(state, transaction, used))
    return machine.close(state, draft, transactions, receipts)


def _difference(ours: Header, recorded: Header) -> str:
    names = [field.name for field in fields(Header) if getattr(ours, field.name) != getattr(recorded, field.name)]
    return " and ".join(name.replace("_", " ") for name in names) or "hash"
