"""A line to a real node that can be told which questions and answers to lose."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from caduceus.edges.evm_rpc import HttpNode
from caduceus.edges.rpc import RpcError
from caduceus.errors import Unavailable, Uncertain

PASS, LOSE_QUESTION, LOSE_ANSWER = "pass", "lose the question", "lose the answer"

Fate = Callable[[str, int], str]
"""What becomes of the n-th question (from 0) of a method."""


class Line:
    """The proxy: `fate` may be changed at any time, `target` too, as if the node came back at another address."""

    def __init__(self, target: str) -> None:
        self.target: str | None = target
        self.fate: Fate = lambda method, number: PASS
        self.counts: dict[str, int] = {}
        self.forwarded: list[tuple[str, Any]] = []
        self.lock = threading.Lock()
        self.url = ""

    def answer(self, question: dict[str, Any]) -> bytes | None:
        """The answer's bytes; None to hang up."""
        method = question["method"]
        with self.lock:
            number = self.counts.get(method, 0)
            self.counts[method] = number + 1
            fate, target = self.fate(method, number), self.target
        if fate == LOSE_QUESTION or target is None:
            return None
        reply: dict[str, Any] = {"jsonrpc": "2.0", "id": question["id"]}
        try:
            with HttpNode(target, timeout=30) as node:
                reply["result"] = node.request(method, question["params"])
        except RpcError as problem:
            reply["error"] = {"code": problem.code, "message": problem.text, "data": problem.data}
        except (Unavailable, Uncertain):
            return None
        with self.lock:
            self.forwarded.append((method, question["params"]))
        return None if fate == LOSE_ANSWER else json.dumps(reply).encode()


@contextmanager
def flaky(target: str) -> Iterator[Line]:
    """A line to the node at a URL, open until the end."""
    line = Line(target)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answer = line.answer(json.loads(body))
            if answer is None:
                self.close_connection = True
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    line.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield line
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
