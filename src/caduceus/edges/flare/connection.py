"""One connection under TLS, as FLARE's drivers hand it to FLARE, and what to say when one ends."""

from __future__ import annotations

import select
import socket
import ssl
import threading
import time
from contextlib import suppress
from typing import Any

from nvflare.fuel.f3.comm_error import CommError
from nvflare.fuel.f3.drivers.connector_info import ConnectorInfo
from nvflare.fuel.f3.drivers.socket_conn import SocketConnection

SEND_SECONDS = 60.0
"""A connection that takes no byte for so long is closed."""
_WRITE = 256 * 1024


class TlsConnection(SocketConnection):  # type: ignore[misc]
    """One connection. Reads and writes take turns on the TLS object, which OpenSSL does not share between threads."""

    def __init__(self, sock: ssl.SSLSocket, connector: ConnectorInfo) -> None:
        super().__init__(sock, connector, True)
        sock.setblocking(False)
        self._turn = threading.Lock()
        self._readable, self._writable = select.poll(), select.poll()
        self._readable.register(sock, select.POLLIN)
        self._writable.register(sock, select.POLLOUT)
        self.end: str = "closed by the peer"

    def close(self) -> None:
        """End both ways. The TLS object stays as long as the descriptor: Python would read on without it, in clear."""
        self.closing = True
        with self._turn, suppress(OSError):
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)
        with self._turn:
            self.sock.close()

    def read_into(self, buffer: Any, offset: int, length: int) -> None:
        """Fill `length` bytes of `buffer` from `offset`; raises CommError where the connection ends."""
        view = memoryview(buffer)[offset : offset + length]
        while view:
            try:
                with self._turn:
                    count = self.sock.recv_into(view)
            except ssl.SSLWantReadError:
                self._readable.poll(1000)
                continue
            except ssl.SSLWantWriteError:
                self._writable.poll(1000)
                continue
            except (OSError, ValueError) as problem:
                if not self.closing:
                    self.end = reason(problem)
                raise CommError(CommError.CLOSED, f"connection {self.name}: {reason(problem)}") from None
            if count == 0:
                raise CommError(CommError.CLOSED, f"connection {self.name} is closed by the peer")
            view = view[count:]

    def _send_with_timeout(self, frame: Any, timeout_sec: float) -> None:
        """FLARE's hook for one frame: all of it goes out, or CommError."""
        view = memoryview(frame)
        deadline = time.monotonic() + SEND_SECONDS
        while view:
            try:
                with self._turn:
                    sent = self.sock.send(view[:_WRITE])
            except ssl.SSLWantWriteError:
                if time.monotonic() > deadline:
                    raise CommError(CommError.TIMEOUT, f"{self.name} took nothing for {SEND_SECONDS:.0f} s") from None
                self._writable.poll(1000)
                continue
            except ssl.SSLWantReadError:
                self._readable.poll(100)
                continue
            except ValueError:
                raise CommError(CommError.CLOSED, f"connection {self.name} is closed") from None
            view = view[sent:]
            deadline = time.monotonic() + SEND_SECONDS


def reason(problem: BaseException) -> str:
    """What went wrong with a connection, in words that name the certificate where it was the certificate."""
    if isinstance(problem, ssl.SSLCertVerificationError):
        return f"the other side's certificate is not from this project ({problem.verify_message})"
    if isinstance(problem, ssl.SSLError) and problem.reason:
        if "UNKNOWN_CA" in problem.reason:
            return "the other side says that our certificate is not from its project (unknown CA)"
        return problem.reason.lower().replace("_", " ")
    if isinstance(problem, TimeoutError):
        return "no answer in time"
    if isinstance(problem, OSError) and problem.strerror:
        return problem.strerror
    return str(problem) or type(problem).__name__
