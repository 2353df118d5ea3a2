"""Accounts and storage as the machine reads and changes them, with undo, over the state trie.

Takes the place of py-evm's account database: the same contract, fewer layers. Changes live in plain
dictionaries; every change notes what it replaced, so that a reverted call is undone by replaying the notes
backwards; only `persist` touches the trie.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import count
from typing import Any, NamedTuple

from eth.abc import AccountDatabaseAPI, MetaWitnessAPI
from eth.db.witness import MetaWitness
from eth.typing import JournalDBCheckpoint
from eth_hash.auto import keccak
from eth_typing import Address, Hash32

from caduceus.edges.evm_embedded import trie, wire
from caduceus.edges.evm_embedded.blocks import EMPTY_TRIE
from caduceus.edges.evm_embedded.nodes import Nodes
from caduceus.errors import Misuse

NO_CODE = keccak(b"")
_ABSENT: Any = object()


class Entry(NamedTuple):
    """An account as the state trie holds it."""

    nonce: int = 0
    balance: int = 0
    storage: bytes = EMPTY_TRIE
    code: bytes = NO_CODE


_NEW = Entry()
_Slot = tuple[Address, int]


class Accounts(AccountDatabaseAPI):
    """The state with a given root, and what a block changes of it."""

    def __init__(self, nodes: Nodes, state_root: Hash32) -> None:
        self._nodes = nodes
        self._root = state_root
        self._entries: dict[Address, Entry | None] = {}
        self._values: dict[_Slot, int] = {}
        self._wiped: dict[Address, bool] = {}
        self._transient: dict[_Slot, bytes] = {}
        self._warm: dict[Address | _Slot, bool] = {}
        self._originals: dict[_Slot, int] = {}
        self._codes: dict[bytes, bytes] = {}
        self._changed: set[Address] = set()
        self._written: defaultdict[Address, set[int]] = defaultdict(set)
        self._undo: list[tuple[dict[Any, Any], Any, Any]] = []
        self._marks: dict[JournalDBCheckpoint, int] = {}
        self._numbers = count()

    # ------------------------------------------------------------ roots

    @property
    def state_root(self) -> Hash32:
        """Root of the state as last persisted."""
        return self._root

    @state_root.setter
    def state_root(self, value: Hash32) -> None:
        if value != self._root:
            raise Misuse("accounts: a state is built for one root; build another for another")

    def has_root(self, state_root: bytes) -> bool:
        """Whether the state of that root is at hand."""
        try:
            return state_root == EMPTY_TRIE or bool(self._nodes[state_root])
        except KeyError:
            return False

    def make_state_root(self) -> Hash32:
        """Work all changes into the tries; new nodes become pending."""
        for address, slots in self._written.items():
            entry = self._entry(address)
            base = EMPTY_TRIE if entry is None or self._wiped.get(address) else entry.storage
            changes = {keccak(slot.to_bytes(32, "big")): _encoded(self._values[address, slot]) for slot in slots}
            root = trie.update(self._nodes, base, changes)
            if entry is not None or root != EMPTY_TRIE:  # what is gone and wrote nothing since stays gone
                self._entries[address] = (entry or _NEW)._replace(storage=root)
                self._changed.add(address)
        leaves = {keccak(address): _packed(self._entries[address]) for address in self._changed}
        for code in self._codes.values():
            self._nodes.add(code)
        self._root = Hash32(trie.update(self._nodes, self._root, leaves))
        for clean in (self._written, self._changed, self._wiped, self._codes):
            clean.clear()
        return self._root

    def persist(self) -> MetaWitnessAPI:
        """The same; what was touched is not reported."""
        self.make_state_root()
        return MetaWitness(set(), {})

    # ------------------------------------------------------------ undo

    def record(self) -> JournalDBCheckpoint:
        """Mark a point to which changes can be undone."""
        checkpoint = JournalDBCheckpoint(next(self._numbers))
        self._marks[checkpoint] = len(self._undo)
        return checkpoint

    def discard(self, checkpoint: JournalDBCheckpoint) -> None:
        """Undo every change since the mark."""
        start = self._marks[checkpoint]
        for table, key, old in reversed(self._undo[start:]):
            if old is _ABSENT:
                del table[key]
            else:
                table[key] = old
        del self._undo[start:]
        self._forget(checkpoint)

    def commit(self, checkpoint: JournalDBCheckpoint) -> None:
        """Let the changes since the mark belong to the mark before it."""
        self._forget(checkpoint)

    def lock_changes(self) -> None:
        """A transaction begins: what came before cannot be undone, and nothing is warm."""
        self._undo.clear()
        self._marks.clear()
        self._originals.clear()
        self._warm.clear()

    def _forget(self, checkpoint: JournalDBCheckpoint) -> None:
        for later in [mark for mark in self._marks if mark >= checkpoint]:
            del self._marks[later]

    def _note(self, table: dict[Any, Any], key: Any, value: Any) -> None:
        self._undo.append((table, key, table.get(key, _ABSENT)))
        table[key] = value

    # ------------------------------------------------------------ storage

    def get_storage(self, address: Address, slot: int, from_journal: bool = True) -> int:
        """A slot's value; as it was when the transaction began unless `from_journal`."""
        place = (address, slot)
        if not from_journal and place in self._originals:
            return self._originals[place]
        value = self._values.get(place)
        if value is None:
            value = self._values[place] = self._stored(address, slot)
        return value

    def set_storage(self, address: Address, slot: int, value: int) -> None:
        """Set a slot's value."""
        place = (address, slot)
        self._originals.setdefault(place, self.get_storage(address, slot))
        self._note(self._values, place, value)
        self._written[address].add(slot)

    def delete_storage(self, address: Address) -> None:
        """Empty an account's storage."""
        for place in [place for place in self._values if place[0] == address]:
            self._note(self._values, place, 0)
        self._note(self._wiped, address, True)
        entry = self._entry(address)
        if entry is not None:
            self._change(address, entry._replace(storage=EMPTY_TRIE))

    def _stored(self, address: Address, slot: int) -> int:
        entry = self._entry(address)
        if entry is None or self._wiped.get(address):
            return 0
        data = trie.get(self._nodes, entry.storage, keccak(slot.to_bytes(32, "big")))
        return 0 if data is None else wire.as_number(wire.decode(data), "storage value")

    def get_transient(self, address: Address, slot: int) -> bytes:
        """A value that lives as long as the transaction (EIP-1153)."""
        return self._transient.get((address, slot), b"")

    def set_transient(self, address: Address, slot: int, value: bytes) -> None:
        """Set a value that lives as long as the transaction."""
        self._note(self._transient, (address, slot), value)

    def clear_transient(self) -> None:
        """The transaction is over."""
        self._transient.clear()

    # ------------------------------------------------------------ warmth (EIP-2929)

    def is_storage_warm(self, address: Address, slot: int) -> bool:
        """Whether the transaction has touched the slot."""
        return (address, slot) in self._warm

    def mark_storage_warm(self, address: Address, slot: int) -> None:
        """The transaction has touched the slot."""
        if (address, slot) not in self._warm:
            self._note(self._warm, (address, slot), True)

    def is_address_warm(self, address: Address) -> bool:
        """Whether the transaction has touched the account."""
        return address in self._warm

    def mark_address_warm(self, address: Address) -> None:
        """The transaction has touched the account."""
        if address not in self._warm:
            self._note(self._warm, address, True)

    # ------------------------------------------------------------ accounts

    def get_balance(self, address: Address) -> int:
        """Wei that the account holds."""
        return (self._entry(address) or _NEW).balance

    def set_balance(self, address: Address, balance: int) -> None:
        """Set what the account holds; makes the account."""
        self._change(address, (self._entry(address) or _NEW)._replace(balance=balance))

    def get_nonce(self, address: Address) -> int:
        """How many transactions or creations the account has made."""
        return (self._entry(address) or _NEW).nonce

    def set_nonce(self, address: Address, nonce: int) -> None:
        """Set the nonce; makes the account."""
        self._change(address, (self._entry(address) or _NEW)._replace(nonce=nonce))

    def increment_nonce(self, address: Address) -> None:
        """Count one more."""
        self.set_nonce(address, self.get_nonce(address) + 1)

    def get_code_hash(self, address: Address) -> Hash32:
        """Keccak of the account's code."""
        return Hash32((self._entry(address) or _NEW).code)

    def get_code(self, address: Address) -> bytes:
        """The account's code."""
        key = (self._entry(address) or _NEW).code
        if key == NO_CODE:
            return b""
        return self._codes.get(key) or self._nodes[key]

    def set_code(self, address: Address, code: bytes) -> None:
        """Give the account code."""
        key = keccak(code)
        if code:
            self._codes[key] = code
        self._change(address, (self._entry(address) or _NEW)._replace(code=key))

    def delete_code(self, address: Address) -> None:
        """Take the account's code away."""
        self.set_code(address, b"")

    def account_has_code_or_nonce(self, address: Address) -> bool:
        """Whether a creation at this address would collide."""
        entry = self._entry(address) or _NEW
        return entry.nonce != 0 or entry.code != NO_CODE

    def delete_account(self, address: Address) -> None:
        """Remove the account and its storage."""
        self.delete_storage(address)
        self._change(address, None)

    def account_exists(self, address: Address) -> bool:
        """Whether the account is in the state, if only because it was touched."""
        return self._entry(address) is not None

    def touch_account(self, address: Address) -> None:
        """Make the account, empty, if it is not there (EIP-161)."""
        self._change(address, self._entry(address) or _NEW)

    def account_is_empty(self, address: Address) -> bool:
        """Whether the account has neither nonce, code nor balance."""
        entry = self._entry(address) or _NEW
        return entry.nonce == 0 and entry.balance == 0 and entry.code == NO_CODE

    def _entry(self, address: Address) -> Entry | None:
        entry = self._entries.get(address, _ABSENT)
        if entry is _ABSENT:
            data = trie.get(self._nodes, self._root, keccak(address))
            entry = self._entries[address] = None if data is None else _unpacked(data)
        found: Entry | None = entry
        return found

    def _change(self, address: Address, entry: Entry | None) -> None:
        self._note(self._entries, address, entry)
        self._changed.add(address)


def _packed(entry: Entry | None) -> bytes:
    if entry is None:
        return b""
    return wire.encode([wire.number(entry.nonce), wire.number(entry.balance), entry.storage, entry.code])


def _unpacked(data: bytes) -> Entry:
    nonce, balance, storage, code = wire.as_list(wire.decode(data), "account", 4)
    return Entry(
        wire.as_number(nonce, "nonce", 64),
        wire.as_number(balance, "balance"),
        wire.as_bytes(storage, "storage root", 32),
        wire.as_bytes(code, "code hash", 32),
    )


def _encoded(value: int) -> bytes:
    return wire.encode(wire.number(value)) if value else b""
