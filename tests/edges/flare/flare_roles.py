"""Roles for tests: they run inside FLARE's processes and do what a test tells them through a socket in their folder."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from nvflare.fuel.f3.cellnet.core_cell import CoreCell
from nvflare.fuel.f3.cellnet.defs import MessageHeaderKey
from nvflare.fuel.f3.message import Message

from caduceus.errors import Unavailable

KEY = b"tests"
LAST = b"last words of a party" * 100_000
"""What a party posts when it is told to stop: two pieces and more."""


class Remote:
    """Serves one caller after another: (verb, arguments) in, (worked, result) out."""

    def __init__(self, folder: Path, verbs: dict[str, Callable[..., Any]], last: Callable[[], None]) -> None:
        self._folder = folder
        self._last = last
        self._verbs = verbs
        self._stopped = threading.Event()
        socket = folder / "socket"
        socket.unlink(missing_ok=True)
        self._listener = Listener(str(socket), "AF_UNIX", authkey=KEY)
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        with suppress(Unavailable):
            self._last()
        (self._folder / "stopped").touch()
        self._stopped.set()

    def wait(self) -> bool:
        return self._stopped.wait()

    def _accept(self) -> None:
        while True:
            connection = self._listener.accept()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: Connection) -> None:
        while True:
            try:
                verb, arguments = connection.recv()
            except EOFError:
                return
            try:
                answer = (True, self._verbs[verb](*arguments))
            except Exception as problem:  # noqa: BLE001
                answer = (False, f"{type(problem).__name__}: {problem}")
            connection.send(answer)


def _next(inbox: SimpleQueue[Any], timeout: float) -> Any:
    try:
        return inbox.get(timeout=timeout)
    except Empty:
        return None


def hub(folder: Path, transport: Any) -> Remote:
    """A server's role: post, take, say who is there, time round trips, and ask a site for what it refuses."""
    inbox: SimpleQueue[tuple[str, bytes]] = SimpleQueue()
    transport.listen(lambda peer, frame: inbox.put((peer, frame)))

    def measure(peer: str, size: int, times: int) -> list[float]:
        frame, taken = b"\0" * size, []
        for _ in range(times):
            began = time.perf_counter()
            transport.post(peer, frame)
            inbox.get(timeout=60)
            taken.append(time.perf_counter() - began)
        return taken

    def demand(peer: str, channel: str, topic: str) -> tuple[str, str]:
        reply = CoreCell.ALL_CELLS["server"].send_request(channel, topic, peer, Message(None, b""), timeout=5.0)
        return reply.get_header(MessageHeaderKey.RETURN_CODE), reply.get_header(MessageHeaderKey.ERROR, "")

    return Remote(
        folder,
        {
            "post": transport.post,
            "take": lambda timeout: _next(inbox, timeout),
            "peers": transport.peers,
            "measure": measure,
            "demand": demand,
        },
        last=lambda: None,
    )


def spoke(folder: Path, transport: Any) -> Remote:
    """A party's role: post, take, say whether there is a connection, and from `echo` on send everything back."""
    inbox: SimpleQueue[bytes] = SimpleQueue()
    echoes = threading.Event()

    def arrived(frame: bytes) -> None:
        if echoes.is_set():
            transport.post(frame)
        else:
            inbox.put(frame)

    def demand(peer: str, channel: str, topic: str) -> tuple[str, str]:
        cell = next(iter(CoreCell.ALL_CELLS.values()))
        reply = cell.send_request(channel, topic, peer, Message(None, b""), timeout=3.0)
        return reply.get_header(MessageHeaderKey.RETURN_CODE), reply.get_header(MessageHeaderKey.ERROR, "")

    transport.listen(arrived)
    return Remote(
        folder,
        {
            "post": transport.post,
            "take": lambda timeout: _next(inbox, timeout),
            "connected": transport.connected,
            "echo": lambda on: echoes.set() if on else echoes.clear(),
            "demand": demand,
        },
        last=lambda: transport.post(LAST),
    )


def broken(folder: Path, transport: Any) -> Remote:
    """A role that cannot start."""
    raise RuntimeError("nothing to run here")
