"""Signing transactions and seeing them through.

A transaction is refused (by the node or by a contract), or included, or its fate is unknown; the caller
learns which.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, final

import rlp

from caduceus.crypto.sign import Signer, keccak
from caduceus.edges.gateway.abi import Function, Reverted, reason_of, unhex
from caduceus.edges.gateway.node import Node, explained
from caduceus.edges.rpc import RpcError
from caduceus.errors import Unavailable, Uncertain
from caduceus.kinds import Address
from caduceus.ports import Sent

GAS_LIMIT = 10_000_000
"""What an account that does not estimate allows a transaction; what is not used is not paid."""

_MARGIN = 5, 4
_POLL_SECONDS = 0.002, 1.0
"""First and longest pause between two looks for a receipt; each is twice the one before."""


@final
class Account:
    """One account's transactions.

    node      where they are sent
    signer    the account's key
    estimate  ask the node for the gas of each transaction first, as on a public network one should: what would
              revert is then refused without being sent. Without it every transaction is sent with `GAS_LIMIT`,
              which saves executing it twice, and one that reverts is included and paid.
    patience  seconds to wait for a transaction to be included before its fate is called unknown
    """

    def __init__(self, node: Node, signer: Signer, *, estimate: bool = True, patience: float = 120.0) -> None:
        self.node = node
        self.address: Address = signer.address
        self._signer = signer
        self._estimate = estimate
        self._patience = patience
        self._lock = threading.Lock()
        self._next = 0
        self._chain_id: int | None = None
        self._tip: int | None = None

    def __repr__(self) -> str:
        return f"Account(0x{self.address.hex()})"

    def creates(self, ahead: int) -> Address:
        """Where a contract will be that this account creates, `ahead` transactions after its next one.

        Raises RpcError or Unavailable if the node does not count the account's transactions.
        """
        with self._lock:
            nonce = self._nonce() + ahead
        return Address(keccak(rlp.encode([self.address, nonce]))[12:])

    def invoke(self, to: bytes, function: Function, *arguments: object) -> Sent:
        """Call a contract's function in a transaction; returns once it is included.

        Raises Reverted with the contract's reason, RpcError (Refused) with the node's, Unavailable if nothing
        was sent, Uncertain if it was sent and its fate is unknown.
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
        with self._lock:
            message = {"from": _hex(self.address), "data": _hex(data)} | ({"to": _hex(to)} if to else {})
            gas = self._gas(message, what)
            try:
                name = self._submit(to, data, gas, what)
            except (RpcError, Unavailable, Uncertain):
                self._next = 0  # it may not have gone out: only what the node counts is certain
                raise
        receipt = self._await(name, what)
        if int(receipt["status"], 16) != 1:
            raise self._explain(message, gas, receipt, what)
        return receipt

    def _gas(self, message: dict[str, str], what: str) -> int:
        if not self._estimate:
            return GAS_LIMIT
        try:
            estimate = int(self.node.request("eth_estimateGas", [message, "pending"]), 16)
        except RpcError as problem:
            raise explained(what, problem) from None
        return estimate * _MARGIN[0] // _MARGIN[1]

    def _submit(self, to: bytes, data: bytes, gas: int, what: str) -> str:
        nonce = self._nonce()
        raw = self._sign(nonce, to, data, gas)
        name = _hex(keccak(raw))
        try:
            self.node.request("eth_sendRawTransaction", [_hex(raw)])
        except Uncertain:
            if not self._is_known(name):
                raise Uncertain(
                    f"{what}: sent as {name}, and the node has not said whether it took it; "
                    "look on the chain before repeating it"
                ) from None
        self._next = nonce + 1
        return name

    def _nonce(self) -> int:
        """What the node counts, unless one behind a balancer has not heard of our last transaction yet."""
        counted = int(self.node.request("eth_getTransactionCount", [_hex(self.address), "pending"]), 16)
        return max(counted, self._next)

    def _sign(self, nonce: int, to: bytes, data: bytes, gas: int) -> bytes:
        """A transaction of type 2 (EIP-1559)."""
        request = self.node.request
        if self._chain_id is None:
            self._chain_id = self.node.chain_id()
        if self._tip is None:
            self._tip = int(request("eth_maxPriorityFeePerGas", []), 16)
        # Twice the base fee outlasts six full blocks in a row, each of which raises it by an eighth.
        fee = 2 * int(self.node.newest()["baseFeePerGas"], 16) + self._tip
        body: list[Any] = [self._chain_id, nonce, self._tip, fee, gas, to, 0, data, []]
        signature = self._signer.sign(keccak(b"\x02" + rlp.encode(body)))
        r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:64])
        return bytes(b"\x02" + rlp.encode([*body, signature[64] - 27, r, s]))

    def _is_known(self, name: str) -> bool:
        try:
            return self.node.request("eth_getTransactionByHash", [name]) is not None
        except (RpcError, Unavailable, Uncertain):
            return False

    def _await(self, name: str, what: str) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            receipt: dict[str, Any] | None = self.node.request("eth_getTransactionReceipt", [name])
            return receipt

        receipt = _until(look, self._patience)
        if receipt is None:
            raise Uncertain(
                f"{what}: sent as {name}, and not seen in a block after {self._patience:g} s; "
                "look on the chain before repeating it"
            )
        return receipt

    def _explain(self, message: dict[str, str], gas: int, receipt: dict[str, Any], what: str) -> Reverted:
        """Run the call again on the state of its block, for the reason that receipts do not keep."""
        try:
            self.node.request("eth_call", [{**message, "gas": hex(gas)}, receipt["blockNumber"]])
        except RpcError as problem:
            return Reverted(what, reason_of(problem.revert_data))
        return Reverted(what, None)


def _until(look: Callable[[], dict[str, Any] | None], patience: float) -> dict[str, Any] | None:
    """The first answer that is not None within `patience` seconds; a node that does not answer is asked again."""
    end = time.monotonic() + patience
    pause, longest = _POLL_SECONDS
    while True:
        try:
            found = look()
        except Unavailable:
            found = None
        if found is not None or time.monotonic() >= end:
            return found
        time.sleep(pause)
        pause = min(2 * pause, longest)


def _hex(data: bytes) -> str:
    return f"0x{data.hex()}"
