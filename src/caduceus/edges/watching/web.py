"""A page for machines: /metrics for Prometheus, /health for whoever restarts processes. Looks, and changes nothing."""

from __future__ import annotations

import ipaddress
import json
import socket
import socketserver
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self, final

from caduceus.edges.watching.health import Health
from caduceus.edges.watching.metrics import TEXT, Metrics
from caduceus.errors import Refused

LOOPBACK = "127.0.0.1"
"""Where it listens unless told otherwise: this machine alone."""

_PATIENCE = 10.0  # seconds for a client to say what it wants
_MOST_AT_ONCE = 16


@final
class WatchServer:
    """Serves in threads of its own that end with the process, or at `close`.

    What it shows is what `Metrics` and `Health` have: no record, no name of a patient, no secret. It has no password
    and no TLS; if it listens beyond this machine, keep it within a network that only operators reach.
    """

    def __init__(self, metrics: Metrics, health: Callable[[], Health], *, host: str = LOOPBACK, port: int = 0) -> None:
        """health  asked at every request
        port    0 takes a free one

        Raises Refused if the address cannot be listened on.
        """
        self._room = threading.BoundedSemaphore(_MOST_AT_ONCE)
        try:
            self._server = _Server((host, port), _answering(metrics, health, self._room, _is_loopback(host)))
        except (OSError, OverflowError) as problem:
            raise Refused(f"metrics: cannot listen on {host}:{port} ({problem}); choose another port") from None
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="watching", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it listens."""
        host = self._server.server_name
        return f"http://{f'[{host}]' if ':' in host else host}:{self._server.server_port}"

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], answering: type[BaseHTTPRequestHandler]) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, answering)

    def server_bind(self) -> None:
        """Bind without asking a name server for this machine's name, as the library would."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def handle_error(self, _request: object, _address: object) -> None:
        """A client that goes away is no event."""


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _answering(
    metrics: Metrics, health: Callable[[], Health], room: threading.BoundedSemaphore, is_loopback: bool
) -> type[BaseHTTPRequestHandler]:
    """What answers one connection."""

    class Answering(BaseHTTPRequestHandler):
        timeout = _PATIENCE
        server_version = "caduceus"
        sys_version = ""

        def do_GET(self) -> None:
            if not room.acquire(blocking=False):
                self._answer(HTTPStatus.SERVICE_UNAVAILABLE, "too many at once\n")
                return
            try:
                self._look()
            finally:
                room.release()

        do_HEAD = do_GET  # noqa: N815

        def _look(self) -> None:
            if is_loopback and not _is_loopback(self._host()):
                # A page in a browser on this machine can give its own name this machine's address, and read what
                # answers here; it cannot leave its own name out of what it asks.
                self._answer(HTTPStatus.FORBIDDEN, "ask by this machine's own address\n")
            elif self.path == "/metrics":
                code = HTTPStatus.OK if metrics.is_on else HTTPStatus.SERVICE_UNAVAILABLE
                self._answer(code, metrics.text(), TEXT)
            elif self.path == "/health":
                found = health()
                code = HTTPStatus.OK if found.is_well else HTTPStatus.SERVICE_UNAVAILABLE
                said = {"well": found.is_well, "troubles": found.troubles, "silence_seconds": round(found.silence, 1)}
                self._answer(code, json.dumps(said) + "\n", "application/json")
            else:
                self._answer(HTTPStatus.NOT_FOUND, "there is /metrics, and /health\n")

        def _host(self) -> str:
            host = self.headers.get("Host", LOOPBACK)
            if host.startswith("["):
                return host[1:].partition("]")[0]
            return host.partition(":")[0]

        def _answer(self, code: HTTPStatus, text: str, kind: str = "text/plain; charset=utf-8") -> None:
            body = text.encode()
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, format: str, *_args: object) -> None:  # noqa: A002
            """Who looks is no event, and what clients write belongs in no log."""

    return Answering
