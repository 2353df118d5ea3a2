"""Which nonce comes next, when several threads send for one account and any of them may fail."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import final

from caduceus.edges.gateway.flight import Flight, counted, is_known, is_known_at_all, of_kept, receipt_of, submit
from caduceus.edges.gateway.node import Node
from caduceus.edges.gateway.outbox import Outbox
from caduceus.edges.rpc import RpcError
from caduceus.errors import Unavailable, Uncertain
from caduceus.kinds import Address


@final
class Nonces:
    """One account's transactions on their way, by nonce. Its caller holds a lock around every call.

    A transaction is followed by the thread that sent it, or orphaned: that thread has given up, or was in a process
    that ended. Orphans are sent again before anything new, so that none of them leaves a gap on which all later
    transactions would wait.

    outbox  what earlier processes left behind is orphaned from the start
    """

    def __init__(self, node: Node, account: Address, outbox: Outbox | None) -> None:
        self._node = node
        self._account = account
        self._outbox = outbox
        self._followed: list[Flight] = []
        self._orphans = [of_kept(kept) for kept in outbox.kept] if outbox is not None else []
        self._last: tuple[int, str] | None = None

    @property
    def orphans(self) -> Sequence[Flight]:
        """Transactions of unknown fate that nobody follows, oldest first."""
        return sorted(self._orphans, key=lambda flight: flight.nonce)

    def next(self, avoid: Collection[int] = ()) -> int:
        """The lowest nonce that is free, as far as the node and this process know."""
        nonce = counted(self._node, self._account, "pending")
        if self._last is not None and self._last[0] >= nonce and is_known(self._node, self._last[1]):
            nonce = self._last[0] + 1  # a node behind a balancer counts late; it has our last transaction, though
        taken = {flight.nonce for flight in [*self._followed, *self._orphans]} | set(avoid)
        while nonce in taken:
            nonce += 1
        return nonce

    def follow(self, flight: Flight) -> None:
        """A thread has a transaction to see through: a new one, or one that was orphaned."""
        self._forget(flight)
        self._followed.append(flight)

    def orphan(self, flight: Flight) -> None:
        """The thread gives up; the transaction may still come."""
        self._forget(flight)
        self._orphans.append(flight)

    def adopt(self, to: bytes, data: bytes) -> Flight | None:
        """An orphan that makes this very call: whoever repeats a call of unknown fate means that one."""
        return next((flight for flight in self.orphans if flight.does(to, data)), None)

    def include(self, flight: Flight, name: str) -> None:
        """It is in the chain under this hash."""
        self._drop(flight, bytes.fromhex(name.removeprefix("0x")))
        if self._last is None or flight.nonce > self._last[0]:
            self._last = flight.nonce, name

    def void(self, flight: Flight) -> None:
        """It has not happened; its nonce is free, or somebody else's."""
        self._drop(flight, b"")

    def mend(self) -> None:
        """Find out about the orphans, and send those again that the node has lost.

        Raises Unavailable if the node does not answer.
        """
        for flight in self.orphans:
            is_past = counted(self._node, self._account, "latest") > flight.nonce
            receipt = receipt_of(self._node, flight)
            if receipt is not None:
                self.include(flight, receipt["transactionHash"])
            elif not is_known_at_all(self._node, flight):
                if is_past:
                    self.void(flight)
                else:
                    self._again(flight)

    def _again(self, flight: Flight) -> None:
        try:
            with suppress(Uncertain):
                submit(self._node, flight)
        except RpcError:
            # Whoever has its nonce next rules it out for good, should a copy of it turn up somewhere.
            self.void(flight)

    def _drop(self, flight: Flight, transaction: bytes) -> None:
        self._forget(flight)
        if self._outbox is not None and flight.place is not None:
            with suppress(Unavailable):  # a full disk changes nothing about what happened on the chain
                self._outbox.settle(flight.place, transaction)

    def _forget(self, flight: Flight) -> None:
        self._followed = [one for one in self._followed if one is not flight]
        self._orphans = [one for one in self._orphans if one is not flight]
