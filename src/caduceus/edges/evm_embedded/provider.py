"""The embedded chain as a web3.py provider: `Web3(EmbeddedProvider(node))` works as with any node."""

from __future__ import annotations

from typing import Any, cast

from web3.providers.base import JSONBaseProvider
from web3.types import RPCEndpoint, RPCResponse

from caduceus.edges.rpc import Request, RpcError


class EmbeddedProvider(JSONBaseProvider):
    """Hands web3.py's requests to a `Request`, and its errors back as a node would send them."""

    def __init__(self, request: Request) -> None:
        super().__init__()
        self._request = request

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """Answer one request with a JSON-RPC response."""
        response: dict[str, Any] = {"jsonrpc": "2.0", "id": next(self.request_counter)}
        try:
            response["result"] = self._request(method, params or [])
        except RpcError as error:
            response["error"] = {"code": error.code, "message": error.text}
            if error.data is not None:
                response["error"]["data"] = error.data
        return cast(RPCResponse, response)

    def make_batch_request(self, requests: list[tuple[RPCEndpoint, Any]]) -> list[RPCResponse] | RPCResponse:
        """Answer several requests, in their order."""
        return [self.make_request(method, params) for method, params in requests]
