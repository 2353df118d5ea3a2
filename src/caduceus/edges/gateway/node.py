"""Asking a node, in the few ways that the gateway needs.

A node that answers with something else than the protocol has (one that is still syncing, a proxy's own JSON) counts as
one that does not answer: everything here raises Unavailable then, and nothing has happened.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

from caduceus.edges.gateway.abi import Event, Function, Log, Reverted, reason_of, unhex
from caduceus.edges.rpc import METHOD_NOT_FOUND, Request, RpcError
from caduceus.errors import Unavailable

_BUSY = ("rate limit", "too many requests", "request limit", "requests per")
"""Words of nodes that serve many: nothing is wrong with the question."""


@final
class Node:
    """A node behind a `Request`.

    request   answers JSON-RPC, see `caduceus.edges.rpc`
    log_span  the most blocks that one log query may cover; None to find out from the node's refusals
    """

    def __init__(self, request: Request, *, log_span: int | None = None) -> None:
        self.request = request
        self._log_span = log_span

    def chain_id(self) -> int:
        """The chain's number (EIP-155)."""
        return self.number("eth_chainId", [])

    def height(self) -> int:
        """The number of the newest block."""
        return self.number("eth_blockNumber", [])

    def newest(self) -> dict[str, Any]:
        """The newest block's header, as the node sends it."""
        block = self._block("latest")
        if block is None:
            raise Unavailable("the node has no newest block; is it still syncing?")
        return block

    def block(self, at: int | bytes) -> dict[str, Any] | None:
        """A block's header by its number or its hash, as the node sends it; None if it has no such block."""
        return self._block(at)

    def _block(self, at: int | bytes | str) -> dict[str, Any] | None:
        method = "eth_getBlockByHash" if isinstance(at, bytes) else "eth_getBlockByNumber"
        wanted = _hex(at) if isinstance(at, bytes) else hex(at) if isinstance(at, int) else at
        block = self.record_or_none(method, [wanted, False])
        if block is not None:
            missing = [name for name in ("number", "hash", "parentHash", "timestamp") if not _is_hex(block.get(name))]
            if missing:
                raise malformed(method, f"a block without {', '.join(missing)}")
        return block

    def code(self, address: bytes) -> bytes:
        """The code at an address; empty where there is no contract."""
        return self._bytes("eth_getCode", [_hex(address), "latest"])

    def call(self, to: bytes, function: Function, *arguments: object) -> tuple[Any, ...]:
        """What a function returns as things stand.

        Raises Reverted with the contract's reason.
        """
        message = {"to": _hex(to), "data": _hex(function.call(*arguments))}
        try:
            return function.result(self._bytes("eth_call", [message, "latest"]))
        except RpcError as problem:
            raise explained(function.name, problem) from None

    def logs(
        self, at: bytes, events: Sequence[Event], *topics: bytes | Sequence[bytes] | None, since: int
    ) -> list[Log]:
        """All logs of the given events at one contract, oldest first.

        topics  the values of the first indexed arguments, 32 bytes each; any of several where there are several, None
                for any at all
        since   first block to look at
        """
        wanted: list[Any] = [[_hex(event.topic) for event in events], *map(_topic, topics)]
        query = {"address": _hex(at), "topics": wanted}
        if self._log_span is None:
            try:
                return self._logs(query, since, "latest")
            except RpcError as problem:
                height = self.height()
                if self._is_final(problem, height - since + 1):
                    raise
                self._log_span = max((height - since + 1) // 2, 1)
        return self.logs_between(query, since, self.height())

    def logs_between(self, query: dict[str, Any], first: int, last: int) -> list[Log]:
        """All logs that a query (address, topics) finds in blocks `first` to `last`, oldest first.

        A node that refuses a range gets halves of it, and no longer ones from then on.
        """
        found: list[Log] = []
        while first <= last:
            upto = last if self._log_span is None else min(first + self._log_span - 1, last)
            try:
                found += self._logs(query, first, hex(upto))
            except RpcError as problem:
                if self._is_final(problem, upto - first + 1):
                    raise
                self._log_span = (upto - first + 1) // 2
                continue
            first = upto + 1
        return found

    def _is_final(self, problem: RpcError, blocks: int) -> bool:
        """Whether asking for fewer blocks is no answer to a node's refusal."""
        if any(word in problem.text.lower() for word in _BUSY):
            raise Unavailable(f"eth_getLogs: the node takes no more questions for now ({problem.text})")
        return blocks <= 1 or problem.code == METHOD_NOT_FOUND

    def _logs(self, query: dict[str, Any], first: int, last: str) -> list[Log]:
        found = self.request("eth_getLogs", [{**query, "fromBlock": hex(first), "toBlock": last}])
        if not isinstance(found, list) or not all(_is_log(log) for log in found):
            raise malformed("eth_getLogs", "no list of logs")
        return found

    def number(self, method: str, params: Sequence[Any]) -> int:
        """Ask for a number."""
        answer = self.request(method, params)
        if not _is_hex(answer) or len(answer) < 3:
            raise malformed(method, "no number")
        return int(answer, 16)

    def record_or_none(self, method: str, params: Sequence[Any]) -> dict[str, Any] | None:
        """Ask for a record that need not be there."""
        answer = self.request(method, params)
        if answer is not None and not isinstance(answer, dict):
            raise malformed(method, "no record")
        return answer

    def _bytes(self, method: str, params: Sequence[Any]) -> bytes:
        answer = self.request(method, params)
        if not _is_hex(answer) or len(answer) % 2:
            raise malformed(method, "no bytes")
        return unhex(answer)


def malformed(method: str, what: str) -> Unavailable:
    """An answer that is none."""
    return Unavailable(f"{method}: the node's answer holds {what}; is it a node's URL, and is the node in order?")


def explained(what: str, problem: RpcError) -> RpcError | Reverted:
    """The same refusal with the contract's reason, if it was a contract that refused."""
    reason = reason_of(problem.revert_data)
    if reason is None and "revert" not in problem.text:
        return problem
    return Reverted(what, reason)


def _is_hex(value: object) -> bool:
    if not isinstance(value, str) or not value.startswith("0x"):
        return False
    return all(letter in "0123456789abcdefABCDEF" for letter in value[2:])


def _topic(wanted: bytes | Sequence[bytes] | None) -> str | list[str] | None:
    if wanted is None or isinstance(wanted, bytes):
        return None if wanted is None else _hex(wanted)
    return [_hex(one) for one in wanted]


def _is_log(log: object) -> bool:
    if not isinstance(log, dict):
        return False
    topics, numbers = log.get("topics"), (log.get("blockNumber"), log.get("logIndex"))
    return (
        isinstance(topics, list)
        and all(_is_hex(one) and len(one) == 66 for one in topics)
        and all(_is_hex(one) and one != "0x" for one in numbers)
        and all(_is_hex(log.get(name)) for name in ("data", "blockHash", "address", "transactionHash"))
    )


def _hex(data: bytes) -> str:
    return f"0x{data.hex()}"
