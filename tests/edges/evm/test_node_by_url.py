"""A node by URL: what it answers, and who is told what when it does not."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from signing import ALICE, BOB, ETHER, Sender, raw, signed

from anvil_node import AnvilNode
from caduceus.edges.evm_rpc import HttpNode
from caduceus.edges.rpc import INTERNAL, RpcError
from caduceus.errors import Misuse, Refused, Unavailable, Uncertain

Script = Callable[[socket.socket, int], None]
"""What the server does with its n-th connection."""


@contextmanager
def server(script: Script) -> Iterator[str]:
    """A server that follows a script; gives its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            number = 0
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    script(connection, number)
                number += 1

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


def asked(connection: socket.socket) -> Any:
    """The JSON of one request; None if the client hung up."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65_536)
        if not piece:
            return None
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    size = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
    while len(body) < size:
        body += connection.recv(65_536)
    return json.loads(body) | {"head": head.decode()}


def answer(connection: socket.socket, body: bytes, status: str = "200 OK") -> None:
    """Send an HTTP response that leaves the connection open."""
    connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)


def always(body: bytes, status: str = "200 OK") -> Script:
    """A server with one answer to everything."""

    def script(connection: socket.socket, _: int) -> None:
        while asked(connection) is not None:
            answer(connection, body, status)

    return script


def test_one_connection_serves_many_requests_and_a_dropped_one_is_replaced() -> None:
    seen: list[tuple[int, str]] = []

    def script(connection: socket.socket, number: int) -> None:
        for _ in range(3):  # then it hangs up, as servers do with idle lines
            question = asked(connection)
            if question is None:
                return
            seen.append((number, question["method"]))
            answer(
                connection, json.dumps({"jsonrpc": "2.0", "id": question["id"], "result": question["params"]}).encode()
            )

    with server(script) as url, HttpNode(url, timeout=10) as node:
        for i in range(7):
            assert node.request("eth_sendRawTransaction" if i % 3 == 1 else "eth_call", [i]) == [i]
    assert [number for number, _ in seen] == [0, 0, 0, 1, 1, 1, 2]


def test_user_password_and_path_are_passed_on_but_never_shown() -> None:
    heads: list[str] = []

    def script(connection: socket.socket, _: int) -> None:
        while (question := asked(connection)) is not None:
            heads.append(question["head"])
            answer(connection, b"no")

    with server(script) as url:
        secret = url.replace("http://", "http://me:p%40ss@") + "/v1/key?x=1"
        with HttpNode(secret, timeout=10) as node, pytest.raises(Unavailable) as caught:
            node.request("eth_chainId")
    assert heads[0].startswith("POST /v1/key?x=1 HTTP/1.1")
    assert "Authorization: Basic bWU6cEBzcw==" in heads[0]
    assert "p@ss" not in str(caught.value)
    assert "key" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "code", "data"),
    [
        ({"code": 3, "message": "execution reverted", "data": "0xabcd"}, 3, "0xabcd"),
        ({"code": -32000, "message": "no", "data": {"data": "0x12"}}, -32000, "0x12"),
        ({"code": -32000, "message": "no", "data": "Reverted"}, -32000, None),
        ("just words", INTERNAL, None),
    ],
)
def test_a_nodes_error_comes_with_its_code_and_data(error: Any, code: int, data: str | None) -> None:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "error": error}).encode()
    for status in ("200 OK", "400 Bad Request"):
        with server(always(body, status)) as url, HttpNode(url) as node, pytest.raises(RpcError) as caught:
            node.request("eth_call", [])
        assert isinstance(caught.value, Refused)
        assert (caught.value.code, caught.value.data) == (code, data)


def silent(connection: socket.socket, _: int) -> None:
    """A server that listens and never answers."""
    while asked(connection) is not None:
        pass


def hanging_up(connection: socket.socket, _: int) -> None:
    """A server that hangs up in the middle of its answer."""
    if asked(connection) is not None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")


def gone(connection: socket.socket, _: int) -> None:
    """A server that hangs up instead of answering."""
    asked(connection)


@pytest.mark.parametrize("script", [silent, hanging_up, gone, always(b"<html>"), always(b"[]"), always(b"", "502 Bad")])
def test_silence_is_uncertain_for_a_transaction_and_unavailable_for_a_question(script: Script) -> None:
    with server(script) as url, HttpNode(url, timeout=0.2) as node:
        with pytest.raises(Unavailable, match="eth_blockNumber got no answer"):
            node.request("eth_blockNumber")
        with pytest.raises(Uncertain, match="look for its receipt"):
            node.request("eth_sendRawTransaction", ["0x"])


def test_no_connection_means_that_nothing_happened() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with HttpNode(url) as node:
        for method in ("eth_blockNumber", "eth_sendRawTransaction"):
            with pytest.raises(Unavailable, match="is the node running"):
                node.request(method, [])
    with pytest.raises(Misuse, match="http or https"):
        HttpNode("ftp://example.org")


@pytest.mark.anvil
def test_a_real_node_is_asked_and_told(anvil: AnvilNode) -> None:
    anvil.fund(raw(ALICE.address), ETHER)
    sender = Sender(anvil.node.request)
    anvil.node.request("evm_setAutomine", [False])
    assert sender.send(to=BOB.address, value=1) is None
    anvil.node.request("evm_mine")
    assert anvil.node.request("eth_getBalance", [BOB.address, "latest"]) == "0x1"
    with pytest.raises(RpcError, match="nonce too low"):
        sender.request("eth_sendRawTransaction", [signed(ALICE, 0, to=BOB.address, value=2)])
