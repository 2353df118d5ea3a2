"""Signing transactions and seeing them through.

A transaction is refused (by the node or by a contract), or included, or its fate is unknown; the caller
learns which. Several threads may send at once.
"""

from __future__ import annotations

import threading
from typing import Any, final

import rlp

from caduceus.crypto.sign import Signer, keccak
from caduceus.edges.gateway import fees
from caduceus.edges.gateway.abi import Function, Reverted, reason_of, unhex
from caduceus.edges.gateway.flight import Flight, is_occupied, submit
from caduceus.edges.gateway.node import Node, explained
from caduceus.edges.gateway.nonces import Nonces
from caduceus.edges.gateway.outbox import Outbox
from caduceus.edges.gateway.signing import KeySigner, TransactionSigner
from caduceus.edges.gateway.transaction import Transaction
from caduceus.edges.gateway.watch import AT_ONCE, Overtaken, Sending, Watch
from caduceus.edges.rpc import RpcError
from caduceus.errors import Refused, Unavailable, Uncertain
from caduceus.kinds import Address
from caduceus.ports import Sent

GAS_LIMIT = 10_000_000
"""What an account that does not estimate allows a transaction; what is not used is not paid."""

_MARGIN = 5, 4
_NONCES_TRIED = 4


@final
class Account:
    """One account's transactions.

    node      where they are sent
    signer    the account's key, or whatever signs for it
    estimate  ask the node for the gas of each transaction first, as on a public network one should: what would
              revert is then refused without being sent. Without it every transaction is sent with `GAS_LIMIT`,
              which saves executing it twice, and one that reverts is included and paid.
    patience  seconds to wait for a transaction to be included before its fate is called unknown
    sending   confirmations, fees, replacements
    outbox    remembers what was signed until its fate is known, across crashes; without it, while this object lives

    A call of unknown fate that is repeated, to the same contract with the same data, sends no second transaction: the
    first one is looked for, and its very bytes are sent again if the node lost them. That holds after a crash too, if
    there is an outbox. One object per account and process: two of them would not know of each other's nonces.
    """

    def __init__(
        self,
        node: Node,
        signer: Signer | TransactionSigner,
        *,
        estimate: bool = True,
        patience: float = 120.0,
        sending: Sending = AT_ONCE,
        outbox: Outbox | None = None,
    ) -> None:
        self.node = node
        self.address: Address = signer.address
        self._signer = KeySigner(signer) if isinstance(signer, Signer) else signer
        self._estimate = estimate
        self._patience = patience
        self._sending = sending
        self._outbox = outbox
        self._lock = threading.Lock()
        self._nonces = Nonces(node, self.address, outbox)
        self._watch = Watch(node, self._signer, sending, outbox, self.mend)
        self._chain_id: int | None = None
        self._doubts = {_call(one.transaction.to, one.transaction.data): one.names[0] for one in self._nonces.orphans}

    def __repr__(self) -> str:
        return f"Account(0x{self.address.hex()})"

    @property
    def has_outbox(self) -> bool:
        """Whether what it signs outlives this process."""
        return self._outbox is not None

    def creates(self, ahead: int) -> Address:
        """Where a contract will be that this account creates, `ahead` transactions after its next one.

        Raises RpcError or Unavailable if the node does not count the account's transactions.
        """
        with self._lock:
            nonce = self._nonces.next() + ahead
        return Address(keccak(rlp.encode([self.address, nonce]))[12:])

    def mend(self) -> None:
        """Look for the transactions of unknown fate, and send those again that the node has lost.

        Every sending begins with it; after a crash it is worth calling before anything is decided.

        Raises Unavailable if the node does not answer.
        """
        with self._lock:
            self._nonces.mend()

    def invoke(self, to: bytes, function: Function, *arguments: object) -> Sent:
        """Call a contract's function in a transaction; returns once it is included.

        Raises Reverted with the contract's reason, RpcError (Refused) with the node's, Unavailable if nothing
        was sent, Uncertain if it was sent and its fate is unknown, PeerFault if an outside signer signed something
        else (nothing was sent then).
        """
        receipt = self.send(to, function.call(*arguments), function.name)
        return Sent(
            transaction=unhex(receipt["transactionHash"]),
            block=int(receipt["blockNumber"], 16),
            gas=int(receipt["gasUsed"], 16),
            what=function.name,
        )

    def send(self, to: bytes, data: bytes, what: str) -> dict[str, Any]:
        """Send a transaction and wait for its receipt.

        to       20 bytes, or empty to create a contract
        what     what to call it in errors
        returns  the receipt, as the node sends it

        Raises as `invoke` does.
        """
        message = {"from": _hex(self.address), "data": _hex(data)} | ({"to": _hex(to)} if to else {})
        try:
            flight = self._adopted(to, data)
            is_new = flight is None
            if flight is None:
                self.mend()
                flight = self._launch(to, data, self._gas(message, what), what)
            receipt = self._see_through(flight, is_new=is_new)
            if int(receipt["status"], 16) != 1:
                if not is_new:
                    self._doubts.pop(_call(to, data), None)  # it is the one in doubt itself
                raise self._explain(message, flight.transaction.gas, receipt, what)
        except Reverted as refusal:
            raise self._doubted(refusal, _call(to, data)) from None
        self._doubts.pop(_call(to, data), None)
        return receipt

    def _adopted(self, to: bytes, data: bytes) -> Flight | None:
        with self._lock:
            flight = self._nonces.adopt(to, data)
            if flight is not None:
                self._nonces.follow(flight)
            return flight

    def _gas(self, message: dict[str, str], what: str) -> int:
        if not self._estimate:
            return GAS_LIMIT
        try:
            estimate = self.node.number("eth_estimateGas", [message, "pending"])
        except RpcError as problem:
            raise explained(what, problem) from None
        return estimate * _MARGIN[0] // _MARGIN[1]

    def _launch(self, to: bytes, data: bytes, gas: int, what: str) -> Flight:
        """Sign and send; one thread at a time, so that no later nonce is out before an earlier one."""
        avoid: set[int] = set()
        with self._lock:
            while True:
                flight = self._sign(self._nonces.next(avoid), to, data, gas, what)
                try:
                    submit(self.node, flight)
                except RpcError as refusal:
                    self._nonces.void(flight)
                    avoid.add(flight.nonce)
                    if not is_occupied(refusal) or len(avoid) == _NONCES_TRIED:
                        raise
                except Unavailable:
                    self._nonces.void(flight)
                    raise
                except BaseException:
                    self._give_up(flight)
                    raise
                else:
                    return flight

    def _sign(self, nonce: int, to: bytes, data: bytes, gas: int, what: str) -> Flight:
        """A transaction that is in the outbox, and not yet sent."""
        if self._chain_id is None:
            self._chain_id = self.node.chain_id()
        offer = fees.first(fees.ask(self.node), self._sending.max_fee)
        transaction = Transaction(self._chain_id, nonce, offer.tip, offer.fee, gas, to, data)
        raw = self._signer.sign(transaction)
        place = self._outbox.write(raw, what) if self._outbox is not None else None
        flight = Flight(transaction, what, [raw], place)
        self._nonces.follow(flight)
        return flight

    def _see_through(self, flight: Flight, *, is_new: bool) -> dict[str, Any]:
        try:
            receipt = self._watch.until_sure(flight, self._patience, is_new=is_new)
        except Overtaken:
            with self._lock:
                self._nonces.void(flight)
            raise
        except BaseException:
            with self._lock:
                self._give_up(flight)
            raise
        with self._lock:
            self._nonces.include(flight, receipt["transactionHash"])
        return receipt

    def _give_up(self, flight: Flight) -> None:
        self._nonces.orphan(flight)
        self._doubts[_call(flight.transaction.to, flight.transaction.data)] = flight.names[0]

    def _doubted(self, refusal: Reverted, call: bytes) -> Refused | Uncertain:
        """A refusal that an earlier transaction of unknown fate may explain is no refusal yet, once."""
        earlier = self._doubts.pop(call, None)
        if earlier is None:
            return refusal
        return Uncertain(f"{refusal}; {earlier}, sent earlier, may be why: look on the chain before repeating it")

    def _explain(self, message: dict[str, str], gas: int, receipt: dict[str, Any], what: str) -> Reverted:
        """Run the call again on the state of its block, for the reason that receipts do not keep."""
        try:
            self.node.request("eth_call", [{**message, "gas": hex(gas)}, receipt["blockNumber"]])
        except RpcError as problem:
            return Reverted(what, reason_of(problem.revert_data))
        except Unavailable:
            pass
        return Reverted(what, None)


def _call(to: bytes, data: bytes) -> bytes:
    """Which function of which contract."""
    return to + data[:4]


def _hex(data: bytes) -> str:
    return f"0x{data.hex()}"
