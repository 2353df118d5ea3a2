"""A signed transaction on its way, and what a node says of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from caduceus.edges.gateway.fees import Offer
from caduceus.edges.gateway.node import Node
from caduceus.edges.gateway.outbox import Kept
from caduceus.edges.gateway.transaction import Transaction, name_of, read
from caduceus.edges.rpc import RpcError
from caduceus.errors import Unavailable, Uncertain
from caduceus.kinds import Address

_TRIES = 3
_KNOWN = ("already known", "known transaction", "already imported", "alreadyknown", "already exists")
_OCCUPIED = ("nonce too low", "replacement transaction underpriced", "oldnonce", "replacementnotallowed")
"""Words of geth, anvil, Besu, Erigon and Nethermind; JSON-RPC has no codes for these."""


@dataclass(slots=True)
class Flight:
    """One nonce's transaction; more versions of it (higher fees) may follow.

    place  in the outbox; None without one
    since  when its newest version was sent, monotonic seconds
    """

    transaction: Transaction
    what: str
    versions: list[bytes]
    place: int | None = None
    since: float = field(default_factory=time.monotonic)

    @property
    def nonce(self) -> int:
        """Where it stands among the account's transactions."""
        return self.transaction.nonce

    @property
    def names(self) -> Sequence[str]:
        """Hashes of the versions, the newest first."""
        return [name_of(raw) for raw in reversed(self.versions)]

    @property
    def offer(self) -> Offer:
        """What its newest version offers."""
        return Offer(self.transaction.fee, self.transaction.tip)

    def does(self, to: bytes, data: bytes) -> bool:
        """Whether it makes this very call."""
        return self.transaction.to == to and self.transaction.data == data

    def renew(self, transaction: Transaction, raw: bytes) -> None:
        """Add a version."""
        self.transaction = transaction
        self.versions.append(raw)
        self.since = time.monotonic()


def of_kept(kept: Kept) -> Flight:
    """What an earlier process signed and did not see through."""
    transaction, _ = read(kept.versions[-1])
    return Flight(transaction, kept.what, list(kept.versions), kept.place)


def counted(node: Node, account: Address, when: str) -> int:
    """How many transactions of an account a node counts.

    when  "latest" for those in blocks, "pending" for those in its pool too
    """
    return node.number("eth_getTransactionCount", [f"0x{account.hex()}", when])


def is_known(node: Node, name: str) -> bool | None:
    """Whether the node has the transaction in its pool or in a block; None if it does not say."""
    try:
        return node.request("eth_getTransactionByHash", [name]) is not None
    except (RpcError, Unavailable, Uncertain):
        return None


def is_known_at_all(node: Node, flight: Flight) -> bool:
    """Whether the node has any version of a transaction, or does not say that it has none."""
    return any(is_known(node, name) is not False for name in flight.names)


def receipt_of(node: Node, flight: Flight) -> dict[str, Any] | None:
    """The receipt of whichever version is in a block, as the node sends it."""
    for name in flight.names:
        receipt = node.record_or_none("eth_getTransactionReceipt", [name])
        if receipt is not None and receipt.get("blockNumber") is not None:
            return receipt
    return None


def submit(node: Node, flight: Flight) -> None:
    """Send the newest version; sending it twice is the same as once.

    Raises RpcError if the node refuses it, Unavailable if it was not sent, Uncertain if nobody knows.
    """
    raw = flight.versions[-1]
    name = name_of(raw)
    for attempt in range(_TRIES):
        try:
            node.request("eth_sendRawTransaction", [f"0x{raw.hex()}"])
            return
        except RpcError as problem:
            if says(problem, _KNOWN) or (attempt and is_known(node, name)):
                return
            raise
        except Uncertain:
            known = is_known(node, name)
            if known:
                return
            if known is None:
                break
        except Unavailable:
            if attempt:
                break
            raise
    raise Uncertain(
        f"{flight.what}: sent as {name}, and the node has not said whether it took it; "
        "look on the chain before repeating it"
    )


def is_occupied(problem: RpcError) -> bool:
    """Whether a node refused a transaction because another one has its nonce."""
    return says(problem, _OCCUPIED)


def says(problem: RpcError, words: Sequence[str]) -> bool:
    """Whether a node's refusal has one of these words in it."""
    text = problem.text.lower()
    return any(word in text for word in words)
