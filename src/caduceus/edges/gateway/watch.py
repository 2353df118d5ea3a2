"""Seeing a transaction through: until it is in a block that is deep enough, whatever the pool and the chain do."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, final

from caduceus.edges.gateway import fees
from caduceus.edges.gateway.flight import Flight, counted, is_known_at_all, receipt_of, submit
from caduceus.edges.gateway.node import Node
from caduceus.edges.gateway.outbox import Outbox
from caduceus.edges.gateway.signing import TransactionSigner
from caduceus.edges.rpc import RpcError
from caduceus.errors import PeerFault, Refused, Unavailable, Uncertain

_POLL_SECONDS = 0.002, 1.0
"""First and longest pause between two looks for a receipt; each is twice the one before."""


@dataclass(frozen=True, slots=True)
class Sending:
    """How an account sends.

    confirmations  blocks on top of the one that includes a transaction before it counts as included
    max_fee        the most that is paid per gas, wei; None for no limit. While the base fee is above it nothing is
                   sent
    replace_after  seconds in which a transaction must get into a block before it is sent again, under the same nonce,
                   for an eighth more; None to leave it as it is
    look_again     seconds between two looks whether the pool still has it
    """

    confirmations: int = 1
    max_fee: int | None = None
    replace_after: float | None = 60.0
    look_again: float = 5.0


AT_ONCE = Sending(confirmations=0, replace_after=None)
"""For an embedded chain and for developers' nodes: no block comes on top unless somebody sends something."""


class Overtaken(Unavailable):
    """Another transaction of the account has the nonce: this one has not happened."""


@final
class Watch:
    """Sees one account's transactions through.

    mend    called now and then while one waits: another transaction, that nobody follows, may be what holds it up
    outbox  keeps each replacement before it is sent
    """

    def __init__(
        self, node: Node, signer: TransactionSigner, sending: Sending, outbox: Outbox | None, mend: Callable[[], None]
    ) -> None:
        self._node = node
        self._signer = signer
        self._sending = sending
        self._outbox = outbox
        self._mend = mend

    def until_sure(self, flight: Flight, patience: float, *, is_new: bool) -> dict[str, Any]:
        """Wait for the receipt of a transaction that was sent.

        patience  seconds
        is_new    whether it has just been sent; if not, it is first made sure that the node has it

        Raises Uncertain if it is not deep enough in the chain by then; Overtaken if it can no longer happen.
        """
        look = _Look(flight)
        if not is_new:
            look.looked = -self._sending.look_again
        end = time.monotonic() + patience
        pause, longest = _POLL_SECONDS
        while True:
            try:
                receipt = self._step(look)
            except (Unavailable, RpcError) as problem:
                if isinstance(problem, Overtaken):
                    raise
                receipt = None  # a node that does not answer, or cannot just now, is asked again
            if receipt is not None:
                return receipt
            if time.monotonic() >= end:
                raise Uncertain(_unsure(look, patience, self._sending.confirmations))
            time.sleep(pause)
            pause = min(2 * pause, longest)

    def _step(self, look: _Look) -> dict[str, Any] | None:
        receipt = receipt_of(self._node, look.flight)
        if receipt is not None:
            look.block, look.is_past = int(receipt["blockNumber"], 16), False
            return receipt if self._is_deep(receipt) else None
        now = time.monotonic()
        if look.block is not None or now - look.looked >= self._sending.look_again:
            look.block, look.looked = None, now  # it was in a block that the chain has dropped, or it is time
            self._keep_alive(look)
        after = self._sending.replace_after
        if after is not None and now - look.flight.since >= after:
            self._replace(look.flight)
        return None

    def _is_deep(self, receipt: dict[str, Any]) -> bool:
        depth = self._sending.confirmations
        if depth <= 0:
            return True
        if self._node.height() - int(receipt["blockNumber"], 16) < depth:
            return False
        block = self._node.block(int(receipt["blockNumber"], 16))
        return block is not None and bool(block["hash"] == receipt["blockHash"])

    def _keep_alive(self, look: _Look) -> None:
        flight = look.flight
        is_past = counted(self._node, self._signer.address, "latest") > flight.nonce
        self._mend()
        if receipt_of(self._node, flight) is not None or is_known_at_all(self._node, flight):
            look.is_past = False
            return
        if is_past and look.is_past:
            raise Overtaken(
                f"{flight.what}: another transaction of 0x{self._signer.address.hex()} has its nonce "
                f"{flight.nonce}, so it has not happened; repeat it, and let one process send for an account"
            )
        look.is_past = is_past  # told twice, for a node whose receipts come late
        if not is_past:
            with suppress(Uncertain):
                submit(self._node, flight)

    def _replace(self, flight: Flight) -> None:
        """Offer more, if the transaction is the one that the chain waits for, and the cap allows it."""
        flight.since = time.monotonic()
        if counted(self._node, self._signer.address, "latest") != flight.nonce:
            return
        try:
            offer = fees.higher(flight.offer, fees.ask(self._node), self._sending.max_fee)
            if offer is None:
                return
            better = replace(flight.transaction, fee=offer.fee, tip=offer.tip)
            raw = self._signer.sign(better)
        except (Refused, PeerFault):
            return  # the transaction as it stands may still come
        if self._outbox is not None and flight.place is not None:
            self._outbox.replace(flight.place, raw, flight.what)
        flight.renew(better, raw)
        with suppress(Uncertain):
            submit(self._node, flight)


@dataclass(slots=True)
class _Look:
    """What is known of a transaction that is waited for."""

    flight: Flight
    looked: float = field(default_factory=time.monotonic)
    block: int | None = None
    is_past: bool = False


def _unsure(look: _Look, patience: float, confirmations: int) -> str:
    flight = look.flight
    seen = "not seen in a block"
    if look.block is not None:
        seen = f"in block {look.block}, but not under {confirmations} more,"
    return (
        f"{flight.what}: sent as {flight.names[0]}, and {seen} after {patience:g} s; "
        "look on the chain before repeating it"
    )
