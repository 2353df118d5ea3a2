"""Asking a node, in the few ways that the gateway needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

from caduceus.edges.gateway.abi import Event, Function, Log, Reverted, reason_of, unhex
from caduceus.edges.rpc import Request, RpcError


@final
class Node:
    """A node behind a `Request`.

    request   answers JSON-RPC, see `caduceus.edges.rpc`
    log_span  the most blocks that one log query may cover; None where the node sets no limit
    """

    def __init__(self, request: Request, *, log_span: int | None = None) -> None:
        self.request = request
        self._log_span = log_span

    def chain_id(self) -> int:
        """The chain's number (EIP-155)."""
        return int(self.request("eth_chainId", []), 16)

    def height(self) -> int:
        """The number of the newest block."""
        return int(self.request("eth_blockNumber", []), 16)

    def newest(self) -> dict[str, Any]:
        """The newest block's header, as the node sends it."""
        block: dict[str, Any] = self.request("eth_getBlockByNumber", ["latest", False])
        return block

    def code(self, address: bytes) -> bytes:
        """The code at an address; empty where there is no contract."""
        return unhex(self.request("eth_getCode", [_hex(address), "latest"]))

    def call(self, to: bytes, function: Function, *arguments: object) -> tuple[Any, ...]:
        """What a function returns as things stand.

        Raises Reverted with the contract's reason.
        """
        message = {"to": _hex(to), "data": _hex(function.call(*arguments))}
        try:
            return function.result(unhex(self.request("eth_call", [message, "latest"])))
        except RpcError as problem:
            raise explained(function.name, problem) from None

    def logs(self, at: bytes, events: Sequence[Event], *topics: bytes | None, since: int) -> list[Log]:
        """All logs of the given events at one contract, oldest first.

        topics  the values of the first indexed arguments, 32 bytes each; None for any
        since   first block to look at
        """
        wanted: list[Any] = [[_hex(event.topic) for event in events], *(topic and _hex(topic) for topic in topics)]
        query = {"address": _hex(at), "topics": wanted}
        if self._log_span is None:
            return self._logs(query, since, "latest")
        found: list[Log] = []
        height = self.height()
        for first in range(since, height + 1, self._log_span):
            found += self._logs(query, first, hex(min(first + self._log_span - 1, height)))
        return found

    def _logs(self, query: dict[str, Any], first: int, last: str) -> list[Log]:
        found: list[Log] = self.request("eth_getLogs", [{**query, "fromBlock": hex(first), "toBlock": last}])
        return found


def explained(what: str, problem: RpcError) -> RpcError | Reverted:
    """The same refusal with the contract's reason, if it was a contract that refused."""
    reason = reason_of(problem.revert_data)
    if reason is None and "revert" not in problem.text:
        return problem
    return Reverted(what, reason)


def _hex(data: bytes) -> str:
    return f"0x{data.hex()}"
