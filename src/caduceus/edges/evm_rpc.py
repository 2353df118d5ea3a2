"""Any Ethereum node by URL: JSON-RPC over HTTP on a connection that stays open."""

from __future__ import annotations

import base64
import http.client
import json
import select
import threading
from collections.abc import Sequence
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from caduceus.edges.rpc import INTERNAL, RpcError
from caduceus.errors import Misuse, Unavailable, Uncertain

_SENDS = frozenset({"eth_sendRawTransaction", "eth_sendTransaction"})
_TOO_MANY_REQUESTS = 429
_MOST_IDLE = 8
_HEADERS = {"Content-Type": "application/json", "Accept": "application/json", "Connection": "keep-alive"}


class HttpNode:
    """A node by URL; `request` is the `Request` that it gives. May be used from any thread; each that asks at the
    same time has a connection of its own, and connections are kept for the next question.

    url      http or https, with user and password if the node wants them
    timeout  seconds to wait for a connection, and then for an answer; > 0
    """

    def __init__(self, url: str, *, timeout: float = 30.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Misuse(f"a node's address is an http or https URL, not {url!r}")
        self.name = f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._headers = _HEADERS | _authorization(parts)
        self._kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._host, self._port, self._timeout = parts.hostname, parts.port, timeout
        self._lock = threading.Lock()
        self._idle: list[http.client.HTTPConnection] = []
        self._is_closed = False
        self._number = 0

    def request(self, method: str, params: Sequence[Any] = ()) -> Any:
        """Ask the node.

        method   such as "eth_blockNumber"
        params   JSON values
        returns  the JSON value of the result

        Raises RpcError if the node answers with an error; Unavailable if it does not answer and nothing can
        have happened; Uncertain if a transaction left and no answer to it came back.
        """
        number, connection = self._take()
        question = {"jsonrpc": "2.0", "id": number, "method": method, "params": list(params)}
        body = json.dumps(question).encode()
        try:
            self._connect(connection)
            status, answer = self._exchange(connection, body, repeat=method not in _SENDS)
        except (OSError, http.client.HTTPException) as problem:
            connection.close()
            raise self._silence(method, f"{type(problem).__name__}: {problem}") from None
        except BaseException:
            connection.close()
            raise
        self._give_back(connection)
        if status == _TOO_MANY_REQUESTS:
            raise Unavailable(f"{self.name}: {method} was not taken, there were too many requests; try again later")
        return self._result(method, status, answer)

    def close(self) -> None:
        """Hang up."""
        with self._lock:
            self._is_closed = True
            for connection in self._idle:
                connection.close()
            self._idle.clear()

    def __enter__(self) -> HttpNode:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _take(self) -> tuple[int, http.client.HTTPConnection]:
        with self._lock:
            self._number += 1
            if self._idle:
                return self._number, self._idle.pop()
            return self._number, self._kind(self._host, self._port, timeout=self._timeout)

    def _give_back(self, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            if self._is_closed or len(self._idle) >= _MOST_IDLE:
                connection.close()
            else:
                self._idle.append(connection)

    def _connect(self, connection: http.client.HTTPConnection) -> None:
        socket = connection.sock
        if socket is not None and select.select([socket], [], [], 0)[0]:
            connection.close()  # the node hung up while the line was idle
            socket = None
        if socket is None:
            try:
                connection.connect()
            except OSError as problem:
                raise Unavailable(f"{self.name}: no connection ({problem}); is the node running?") from None

    def _exchange(self, connection: http.client.HTTPConnection, body: bytes, *, repeat: bool) -> tuple[int, bytes]:
        try:
            return self._once(connection, body)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            if not repeat:
                raise
            connection.close()  # it hung up just as we asked; a question may be asked twice
            return self._once(connection, body)

    def _once(self, connection: http.client.HTTPConnection, body: bytes) -> tuple[int, bytes]:
        connection.request("POST", self._target, body, self._headers)
        response = connection.getresponse()
        return response.status, response.read()

    def _result(self, method: str, status: int, answer: bytes) -> Any:
        try:
            tree = json.loads(answer)
        except ValueError:
            raise self._silence(method, f"HTTP status {status} and no JSON") from None
        if isinstance(tree, dict) and tree.get("error") is not None:
            raise _read_error(tree["error"])
        if not isinstance(tree, dict) or "result" not in tree:
            raise self._silence(method, f"HTTP status {status} and neither result nor error")
        return tree["result"]

    def _silence(self, method: str, what: str) -> Unavailable | Uncertain:
        if method in _SENDS:
            return Uncertain(f"{self.name}: {method} left, but no answer came ({what}); look for its receipt")
        return Unavailable(f"{self.name}: {method} got no answer ({what}); try again")


def _authorization(parts: SplitResult) -> dict[str, str]:
    if parts.username is None:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


def _read_error(error: Any) -> RpcError:
    if not isinstance(error, dict):
        return RpcError(INTERNAL, str(error))
    code, text, data = error.get("code"), error.get("message"), error.get("data")
    if isinstance(data, dict):
        data = data.get("data")
    shown = data if isinstance(data, str) and data.startswith("0x") else None
    return RpcError(code if isinstance(code, int) else INTERNAL, str(text), shown)
