"""Transactions that wait: for a block, or for an earlier one of the same sender."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from eth_typing import Address

from caduceus.edges.evm_embedded.transactions import Transaction
from caduceus.errors import Refused

_BUMP = 10
"""Percent by which a replacement must raise both fees."""


class Pool:
    """Waiting transactions by sender and nonce, in the order in which they came. Kept in memory only."""

    def __init__(self) -> None:
        self._by_place: dict[tuple[Address, int], Transaction] = {}
        self._by_hash: dict[bytes, Transaction] = {}

    def __contains__(self, transaction: bytes) -> bool:
        return transaction in self._by_hash

    def __len__(self) -> int:
        return len(self._by_hash)

    def find(self, transaction: bytes) -> Transaction | None:
        """A waiting transaction by its hash."""
        return self._by_hash.get(transaction)

    def add(self, transaction: Transaction) -> None:
        """Let a transaction wait; it replaces one of the same sender and nonce if it pays more.

        Raises Refused, with a node's words, if it pays too little to replace the other.
        """
        call = transaction.call
        place = (call.sender, call.nonce)
        other = self._by_place.get(place)
        if other is not None:
            for fee, old in (
                (call.max_fee_per_gas, other.call.max_fee_per_gas),
                (call.max_priority_fee_per_gas, other.call.max_priority_fee_per_gas),
            ):
                if fee * 100 < old * (100 + _BUMP):
                    raise Refused("replacement transaction underpriced")
            self.remove(other)
        self._by_place[place] = transaction
        self._by_hash[transaction.hash] = transaction

    def next_of(self, sender: Address, nonce: int) -> Transaction | None:
        """The sender's waiting transaction with that nonce."""
        return self._by_place.get((sender, nonce))

    def waiting(self) -> list[Transaction]:
        """All of them, so that each sender's come by nonce, senders in the order of their first."""
        senders = {sender: i for i, (sender, _) in enumerate(reversed(self._by_place))}
        return sorted(self._by_hash.values(), key=lambda t: (-senders[t.call.sender], t.call.nonce))

    def count_from(self, sender: Address, nonce: int) -> int:
        """The nonce after the sender's unbroken run of waiting transactions that starts at `nonce`."""
        while (sender, nonce) in self._by_place:
            nonce += 1
        return nonce

    def prune(self, included: Iterable[Transaction], nonce_of: Callable[[Address], int]) -> None:
        """Forget what was included, and what can never run because its nonce is used up."""
        for transaction in included:
            self.remove(transaction)
        for transaction in list(self._by_hash.values()):
            if transaction.call.nonce < nonce_of(transaction.call.sender):
                self.remove(transaction)

    def remove(self, transaction: Transaction) -> None:
        """Forget a transaction, if it waits."""
        if self._by_hash.pop(transaction.hash, None) is not None:
            del self._by_place[(transaction.call.sender, transaction.call.nonce)]
