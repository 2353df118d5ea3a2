"""What every way to a chain has in common: one callable that answers JSON-RPC requests.

The embedded chain and a node by URL both give a `Request`; the gateway is written against it and cannot
tell which one it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from caduceus.errors import Refused

Request = Callable[[str, Sequence[Any]], Any]
"""`request(method, params)` gives the JSON value of the result, as a node would send it.

Raises RpcError if the node answered with an error, Unavailable if it did not answer and nothing can have
happened, Uncertain if a transaction was sent and its fate is unknown.
"""

REVERTED = 3
"""Execution reverted; `data` holds what the contract returned."""
REJECTED = -32000
"""The node's rules refuse the transaction or the query (nonce, funds, unknown block)."""
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL = -32603


class RpcError(Refused):
    """The node answered, and its answer was an error.

    code  JSON-RPC error code; REVERTED if a contract reverted
    text  the node's words
    data  0x-prefixed hex of the revert data, or None
    """

    def __init__(self, code: int, text: str, data: str | None = None) -> None:
        super().__init__(f"{text} (code {code})")
        self.code = code
        self.text = text
        self.data = data

    @property
    def revert_data(self) -> bytes | None:
        """What the contract returned with its revert; None if this is no revert."""
        if self.data is None:
            return None
        return bytes.fromhex(self.data.removeprefix("0x"))
