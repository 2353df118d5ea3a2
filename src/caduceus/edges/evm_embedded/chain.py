"""A chain in this process: it takes signed transactions, mines blocks, keeps all history and state.

There is one writer and nobody to disagree with, so a block is final when it is durable.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from eth_typing import Address

from caduceus import canon
from caduceus.edges.evm_embedded import admission, blocks, history, machine
from caduceus.edges.evm_embedded.admission import Account
from caduceus.edges.evm_embedded.blocks import Header, Receipt, Sealed
from caduceus.edges.evm_embedded.history import History, Included
from caduceus.edges.evm_embedded.machine import Network, State
from caduceus.edges.evm_embedded.nodes import Nodes
from caduceus.edges.evm_embedded.ownership import Ownership
from caduceus.edges.evm_embedded.pool import Pool
from caduceus.edges.evm_embedded.seal import remove_seal, write_seal
from caduceus.edges.evm_embedded.store import Genesis, Store, refuse_remains, remove_all
from caduceus.edges.evm_embedded.transactions import Transaction, read
from caduceus.errors import Refused, Unavailable

GAS_LIMIT = 30_000_000

AnyAddress = TypeVar("AnyAddress", bound=bytes)

UnixClock = Callable[[], int]
"""Seconds since 1970, whole."""


class Chain:
    """An open chain. Make one with `create` or `open_chain`; close it, or use it as a context manager.

    Methods may be called from any thread; each holds the chain's one lock for the milliseconds it takes.
    """

    def __init__(self, store: Store, clock: UnixClock) -> None:
        self.lock = threading.RLock()
        self.store = store
        self.genesis = store.genesis()
        self.history = History(store)
        self.pool = Pool()
        self.automine = True
        self._clock = clock
        self._ahead = 0
        self._closed = False
        self._next_time: int | None = None
        self._network = Network(self.genesis.chain_id, Nodes(store))
        self._head = self.history.head()

    @property
    def chain_id(self) -> int:
        """The network's number, which transactions are signed for."""
        return self.genesis.chain_id

    @property
    def head(self) -> Sealed:
        """The newest block's header."""
        head = self._head if self.store.writable else self.history.head()
        if head is None:
            raise Refused(f"{self.store.name}: holds no blocks; its making was interrupted, delete it and start anew")
        return head

    def close(self) -> None:
        """Leave a single file behind, and its seal; the chain cannot be used afterwards."""
        with self.lock:
            if self._closed:
                return
            self._closed = True
            if not self.store.writable:
                self.store.close()
                return
            head, first = self.head, self.history.known(0)
            self.store.close(
                lambda path: write_seal(
                    path, chain_id=self.chain_id, genesis=first.hash, number=head.header.number, head=head.hash
                )
            )

    def __enter__(self) -> Chain:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ------------------------------------------------------------ looking

    def state(self, at: Header) -> State:
        """The state after the block of `at`, seen from inside that block; changes to it are never kept."""
        return machine.state_at(self._network, at, at.state_root, self.history.ancestors(at.number))

    def account(self, address: Address, at: Header | None = None) -> Account:
        """An account after a block, by default the newest."""
        return machine.account(self.state(at or self.head.header), address)

    def upcoming(self) -> Header:
        """The block that would come next: what a transaction sent now will see."""
        return successor(self.head, self._timestamp(self.head.header))

    # ------------------------------------------------------------ sending and mining

    def send(self, raw: bytes) -> bytes:
        """Take a signed transaction and, when mining is automatic, mine it in a block of its own.

        raw      bytes of the transaction, as a node takes them
        returns  its hash; it is durable, unless its nonce is ahead and it waits in the pool

        Raises Refused, with a node's words, if the rules say no; Unavailable if the disk does.
        """
        with self.lock:
            transaction = read(raw)
            self._admit(transaction)
            self.pool.add(transaction)
            if self.automine:
                try:
                    self._mine_ready(transaction.call.sender)
                except BaseException as problem:
                    if transaction.hash in self.pool:
                        self.pool.remove(transaction)  # nothing happened, so it may be sent again
                        raise
                    if not isinstance(problem, Unavailable):  # a later one of the sender's could not be mined
                        raise
            return transaction.hash

    def send_many(self, raws: Sequence[bytes]) -> list[bytes]:
        """Take signed transactions and mine those that can run in one block.

        returns  their hashes in the given order

        Raises Refused if one of them is refused; those before it wait in the pool.
        """
        with self.lock:
            hashes = []
            for raw in raws:
                transaction = read(raw)
                self._admit(transaction)
                self.pool.add(transaction)
                hashes.append(transaction.hash)
            self._mine(self.pool.waiting())
            return hashes

    def mine(self) -> Sealed:
        """Mine a block of whatever waits in the pool and can run; possibly an empty one."""
        with self.lock:
            return self._mine(self.pool.waiting())

    def advance(self, seconds: int) -> int:
        """Set the chain's clock ahead for all coming blocks; returns by how much it is ahead now."""
        with self.lock:
            self._ahead += seconds
            return self._ahead

    def set_next_timestamp(self, timestamp: int) -> None:
        """Give the next block this timestamp, and go on from there.

        Raises Refused if it is not after the head's.
        """
        with self.lock:
            if timestamp <= self.head.header.timestamp:
                raise Refused(f"timestamp {timestamp} is not after the head's, {self.head.header.timestamp}")
            self._next_time = timestamp

    def _mine_ready(self, sender: Address) -> None:
        while (ready := self.pool.next_of(sender, self.account(sender).nonce)) is not None:
            self._mine([ready])
            if ready.hash in self.pool:
                break  # it cannot be paid for any more; it waits until it can

    def _timestamp(self, parent: Header) -> int:
        wanted = self._next_time if self._next_time is not None else self._clock() + self._ahead
        return max(parent.timestamp + 1, wanted)

    def _admit(self, transaction: Transaction) -> None:
        if transaction.hash in self.pool or self.history.find(transaction.hash) is not None:
            raise Refused("already known")
        admission.check_form(transaction, self.chain_id, self.head.header.gas_limit)
        admission.check_price(transaction.call, blocks.next_base_fee(self.head.header))
        admission.check_sender(transaction.call, self.account(transaction.call.sender))

    def _mine(self, candidates: Iterable[Transaction]) -> Sealed:
        draft = self.upcoming()
        state = self.state(draft)
        chosen: list[Transaction] = []
        receipts: list[Receipt] = []
        try:
            for transaction in candidates:
                used = receipts[-1].cumulative_gas if receipts else 0
                try:
                    sender = machine.account(state, transaction.call.sender)
                    admission.check_inclusion(transaction.call, sender, draft, used)
                except Refused:
                    continue  # it keeps waiting; `prune` drops it once it can never run
                receipts.append(machine.apply(state, transaction, used))
                chosen.append(transaction)
            sealed = blocks.seal(machine.close(state, draft, chosen, receipts))
            included = [
                Included(draft.number, position, transaction.hash, transaction.call.sender, transaction.raw, receipt)
                for position, (transaction, receipt) in enumerate(zip(chosen, receipts, strict=True))
            ]
            nodes = self._network.nodes
            with self.store.transaction() as connection:
                history.write(connection, sealed, included, nodes.pending.items())
            nodes.settle()
        finally:
            self._network.nodes.drop()
        self._head = sealed
        if self._next_time is not None:
            self._ahead, self._next_time = self._next_time - self._clock(), None
        self.pool.prune(chosen, lambda sender: self.account(sender).nonce)
        return sealed


def create(
    path: Path | None,
    *,
    chain_id: int,
    balances: Mapping[AnyAddress, int],
    clock: UnixClock,
    gas_limit: int = GAS_LIMIT,
) -> Chain:
    """Begin a new chain.

    path      the file, which must not exist; None keeps the chain in memory
    chain_id  the network's number, >= 1
    balances  wei by address of 20 bytes, in the genesis block
    clock     Unix seconds; blocks take their times from it, each at least a second after its parent

    The file appears under its name whole: a making that was interrupted leaves a draft beside it, which the next
    making replaces.

    Raises Refused if the file exists or cannot be owned; Unavailable if it cannot be written.
    """
    genesis = Genesis(chain_id, clock(), gas_limit, tuple(sorted(balances.items())))
    if path is None:
        store = Store.create(None)
        _begin(store, genesis)
        return Chain(store, clock)
    owner = Ownership.take(path)
    try:
        refuse_remains(path)
        draft = path.with_name(path.name + ".new")
        remove_all(draft)
        try:
            store = Store.create(draft)
            try:
                _begin(store, genesis)
            finally:
                store.close()
            remove_seal(path)
            draft.replace(path)
        finally:
            remove_all(draft)
    finally:
        owner.release()
    return open_chain(path, clock=clock)


def _begin(store: Store, genesis: Genesis) -> None:
    """Write block 0 into an empty store."""
    nodes = Nodes(store)
    sealed = genesis_block(genesis, nodes)
    with store.transaction() as connection:
        connection.execute("INSERT INTO identity VALUES (?, ?)", (canon.pack(genesis), sealed.hash))
        history.write(connection, sealed, [], nodes.pending.items())


def open_chain(path: Path, *, clock: UnixClock, chain_id: int | None = None, genesis: bytes | None = None) -> Chain:
    """Go on with a chain from its file, as its one writer.

    chain_id, genesis  if given, what the file must hold

    Raises Refused, naming the file, if it is missing, no chain file, another network's, or being written by
    another process.
    """
    chain = _opened(Store.open(path, writable=True), clock, chain_id, genesis)
    remove_seal(path)
    chain.store.prepare()
    return chain


def read_chain(path: Path, *, chain_id: int | None = None, genesis: bytes | None = None) -> Chain:
    """Look at a chain file without owning it, even while its owner writes.

    Raises Refused, naming the file, if it is missing, no chain file, or another network's.
    """
    store = Store.open(path, writable=False)
    return _opened(store, lambda: 0, chain_id, genesis)


def successor(parent: Sealed, timestamp: int) -> Header:
    """The header of the block after `parent`, before any transaction has run."""
    return Header(
        parent=parent.hash,
        coinbase=blocks.NO_ADDRESS,
        state_root=parent.header.state_root,
        transaction_root=blocks.EMPTY_TRIE,
        receipt_root=blocks.EMPTY_TRIE,
        bloom=bytes(256),
        number=parent.header.number + 1,
        gas_limit=parent.header.gas_limit,
        gas_used=0,
        timestamp=timestamp,
        extra=b"",
        base_fee=blocks.next_base_fee(parent.header),
    )


def genesis_block(genesis: Genesis, nodes: Nodes) -> Sealed:
    """Block 0, and its state put into `nodes` as pending."""
    draft = Header(
        parent=bytes(32),
        coinbase=blocks.NO_ADDRESS,
        state_root=blocks.EMPTY_TRIE,
        transaction_root=blocks.EMPTY_TRIE,
        receipt_root=blocks.EMPTY_TRIE,
        bloom=bytes(256),
        number=0,
        gas_limit=genesis.gas_limit,
        gas_used=0,
        timestamp=genesis.timestamp,
        extra=f"caduceus chain {genesis.chain_id}".encode()[:32],  # two networks never share a genesis hash
        base_fee=blocks.INITIAL_BASE_FEE,
    )
    state = machine.state_at(Network(genesis.chain_id, nodes), draft, blocks.EMPTY_TRIE, ())
    for address, wei in genesis.balances:
        state.set_balance(Address(address), wei)
    state.persist()
    return blocks.seal(replace(draft, state_root=state.state_root))


def _opened(store: Store, clock: UnixClock, chain_id: int | None, genesis: bytes | None) -> Chain:
    try:
        chain = Chain(store, clock)
        first = chain.history.header(0)
        if chain_id is not None and chain.chain_id != chain_id:
            raise Refused(f"{store.name}: belongs to chain {chain.chain_id}, not to chain {chain_id}")
        if genesis is not None and (first is None or first.hash != genesis):
            shown = "no genesis block" if first is None else f"genesis 0x{first.hash.hex()}"
            raise Refused(f"{store.name}: has {shown}, not 0x{genesis.hex()}: another network's file")
        return chain
    except BaseException:
        store.close()
        raise
