"""The wire between FLARE's processes: TCP under mutual TLS, in the place of FLARE's own driver for the scheme `tcp`.

The bytes are those of FLARE's driver, so that either may stand at either end. FLARE's shakes hands in the thread that
accepts, so that one stranger who connects and says nothing keeps everybody else out; says nothing when it refuses a
certificate; and waits up to ten seconds before it tries again. This one shakes hands in a thread per connection and
within a time limit, logs every refusal with its reason on the side that refuses and on the side that is refused, comes
back within a second or two after a restart of the other side, and notices a machine that vanished. Certificates, key,
root and names are FLARE's, as provisioned.
"""

from __future__ import annotations

import logging
import socket
import ssl
import threading
import time
from contextlib import suppress
from typing import Any

from nvflare.fuel.f3 import communicator
from nvflare.fuel.f3.comm_error import CommError
from nvflare.fuel.f3.drivers.base_driver import BaseDriver
from nvflare.fuel.f3.drivers.connector_info import ConnectorInfo
from nvflare.fuel.f3.drivers.driver_params import DriverCap, DriverParams
from nvflare.fuel.f3.drivers.net_utils import get_ssl_context, get_tcp_urls

from caduceus.edges.flare.connection import TlsConnection, reason

SCHEME = "tcp"
"""What kits name as the scheme of their server's address; FLARE's word for it under TLS is `stcp`."""

CLOSED = "closed"
"""The scheme of a listener that opens no port."""

HANDSHAKE_SECONDS = 10.0
HANDSHAKES = 64
"""Strangers that may be shaking hands at once; more are turned away."""
RETRY_SECONDS = (0.25, 0.5, 1.0, 2.0)
"""Pauses between attempts to connect; the last one repeats."""
REMINDER_SECONDS = 60.0
"""The same reason for not being connected is logged again after so long."""

log = logging.getLogger(__name__)


def register() -> None:
    """Put these drivers into FLARE's communicator before it loads its own.

    FLARE would import all of its drivers with their web and RPC libraries, for a second and more of processor time.
    """
    for kind in (MutualTlsDriver, NoListener):
        for scheme in kind.supported_transports():
            communicator.driver_mgr.drivers[scheme] = kind
    communicator.driver_loaded = True


class MutualTlsDriver(BaseDriver):  # type: ignore[misc]
    """FLARE's interface to the wire: `listen` on the server, `connect` at a site, until `shutdown`."""

    def __init__(self) -> None:
        super().__init__()
        self._stopped = threading.Event()
        self._listener: socket.socket | None = None
        self._said: tuple[str, float] = ("", 0.0)
        self._handshakes = threading.BoundedSemaphore(HANDSHAKES)

    @staticmethod
    def supported_transports() -> list[str]:
        return [SCHEME, f"s{SCHEME}"]

    @staticmethod
    def capabilities() -> dict[str, Any]:
        return {DriverCap.SEND_HEARTBEAT.value: True, DriverCap.SUPPORT_SSL.value: True}

    @staticmethod
    def get_urls(scheme: str, resources: dict[str, Any]) -> tuple[str, str]:
        connect, listen = get_tcp_urls(scheme, resources)
        return connect, listen

    def listen(self, connector: ConnectorInfo) -> None:
        """Accept until `shutdown`; every connection shakes hands and is read in a thread of its own."""
        self.connector = connector
        context = _context(connector, server=True)
        address = _address(connector)
        try:
            listener = socket.create_server(address, backlog=128)
        except OSError as problem:
            self._say(f"cannot listen on {address[0] or '*'}:{address[1]}: {reason(problem)}")
            raise
        self._listener = listener
        listener.settimeout(1.0)
        with listener:
            while not self._stopped.is_set():
                try:
                    sock, peer = listener.accept()
                except TimeoutError:
                    continue
                except OSError:
                    if self._stopped.is_set():
                        return
                    raise
                if not self._handshakes.acquire(blocking=False):
                    sock.close()
                    continue
                name = f"mtls-{peer[0]}:{peer[1]}"
                threading.Thread(target=self._admit, args=(sock, context), name=name, daemon=True).start()

    def connect(self, connector: ConnectorInfo) -> None:
        """Stay connected until `shutdown`: try again soon, whatever ended the last attempt."""
        self.connector = connector
        context = _context(connector, server=False)
        address = _address(connector)
        failures = 0
        while not self._stopped.is_set():
            began = time.monotonic()
            try:
                with socket.create_connection(address, timeout=HANDSHAKE_SECONDS) as sock:
                    problem = self._carry(self._wrap(sock, context, server=False), connector)
            except OSError as trouble:
                problem = reason(trouble)
            if self._stopped.is_set():
                return
            failures = 0 if time.monotonic() - began > RETRY_SECONDS[-1] else failures + 1
            self._say(f"no connection to {address[0]}:{address[1]}: {problem}")
            self._stopped.wait(RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)])

    def shutdown(self) -> None:
        """End `listen` or `connect` and close every connection."""
        self._stopped.set()
        if self._listener is not None:
            with suppress(OSError):
                self._listener.close()
        self.close_all()

    def _admit(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        peer = "?"
        with sock:
            try:
                peer = "{}:{}".format(*sock.getpeername()[:2])
                link = self._wrap(sock, context, server=True)
            except OSError as problem:
                log.warning("refused a connection from %s: %s", peer, reason(problem))
                return
            finally:
                self._handshakes.release()
            self._carry(link, self.connector)

    @staticmethod
    def _wrap(sock: socket.socket, context: ssl.SSLContext, *, server: bool) -> ssl.SSLSocket:
        """Shake hands within the time limit; the socket belongs to the result from then on."""
        sock.settimeout(HANDSHAKE_SECONDS)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in (
            ("TCP_KEEPIDLE", 10),
            ("TCP_KEEPINTVL", 5),
            ("TCP_KEEPCNT", 3),
            ("TCP_USER_TIMEOUT", 25_000),
        ):
            if hasattr(socket, name):  # where the system lacks one, FLARE's own heartbeat takes longer to notice
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        return context.wrap_socket(sock, server_side=server)

    def _carry(self, link: ssl.SSLSocket, connector: ConnectorInfo) -> str:
        """Hand the connection to FLARE and read it to its end; why it ended."""
        connection = TlsConnection(link, connector)
        self.add_connection(connection)
        try:
            connection.read_loop()
        finally:
            connection.close()
            self.close_connection(connection)
        return connection.end

    def _say(self, text: str) -> None:
        """Log a reason when it is new, and again after a while."""
        last, when = self._said
        now = time.monotonic()
        if text != last or now - when > REMINDER_SECONDS:
            self._said = (text, now)
            log.warning("%s; trying again", text)


class NoListener(BaseDriver):  # type: ignore[misc]
    """Stands where FLARE would open a local port, in clear, for the processes of jobs: there are none, so no port."""

    def __init__(self) -> None:
        super().__init__()
        self._stopped = threading.Event()

    @staticmethod
    def supported_transports() -> list[str]:
        return [CLOSED]

    @staticmethod
    def capabilities() -> dict[str, Any]:
        return {DriverCap.SEND_HEARTBEAT.value: False, DriverCap.SUPPORT_SSL.value: False}

    @staticmethod
    def get_urls(scheme: str, resources: dict[str, Any]) -> tuple[str, str]:
        return f"{scheme}://none", f"{scheme}://none"

    def listen(self, connector: ConnectorInfo) -> None:
        """Listen to nothing until `shutdown`."""
        self._stopped.wait()

    def connect(self, connector: ConnectorInfo) -> None:
        raise CommError(CommError.NOT_SUPPORTED, f"scheme {CLOSED} leads nowhere")

    def shutdown(self) -> None:
        self._stopped.set()


def _context(connector: ConnectorInfo, *, server: bool) -> ssl.SSLContext:
    """FLARE's own context from the kit's files, held to TLS 1.3 and to certificates on both sides."""
    context: ssl.SSLContext | None = get_ssl_context(connector.params, ssl_server=server)
    if context is None or context.verify_mode is not ssl.CERT_REQUIRED:
        raise CommError(CommError.BAD_CONFIG, f"scheme {SCHEME} is for mutual TLS only: provision the kits again")
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


def _address(connector: ConnectorInfo) -> tuple[str, int]:
    host = connector.params.get(DriverParams.HOST.value) or ""
    return str(host), int(connector.params[DriverParams.PORT.value])
