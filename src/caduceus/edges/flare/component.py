"""The component that a site's own `local/resources.json` puts into FLARE's process: it runs the party's role there.

FLARE's parent process stays as NVIDIA ships it: it proves the kit's certificate, keeps the connection and the login.
This component takes the process's cell, sends and receives messages of one channel on it, refuses everything else
that FLARE could be asked to do, and starts the role that its arguments name.
"""

from __future__ import annotations

import fcntl
import importlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import IO, NoReturn, Protocol, cast

from nvflare.apis.event_type import EventType
from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_context import FLContext
from nvflare.fuel.f3.cellnet.core_cell import CoreCell
from nvflare.fuel.f3.cellnet.defs import (
    CellChannel,
    CellChannelTopic,
    MessageHeaderKey,
    MessagePropKey,
    ReturnCode,
)
from nvflare.fuel.f3.cellnet.utils import make_reply
from nvflare.fuel.f3.message import Message
from nvflare.fuel.utils.admin_name_utils import is_valid_admin_client_name

from caduceus.edges.flare import driver
from caduceus.edges.flare.pieces import PIECE, Piece
from caduceus.edges.flare.transport import SERVER, HubTransport, SpokeTransport, Transport
from caduceus.errors import Misuse

CHANNEL = "caduceus"
TOPIC = "frame"
_RUN, _NUMBER, _MARKS = "caduceus_run", "caduceus_number", "caduceus_marks"

LOCK = "role.lock"
"""A file in the kit's folder, which is where FLARE's processes are at home."""

BOOT_SECONDS = 60.0
"""FLARE has made its cell by then, connected or not; else the thread that makes it has died, and it would never say."""

STOP_SECONDS = 8.0
"""A role that has not stopped by then is left to the system."""

BUG = 70
"""Exit status of a process whose role ended by itself, EX_SOFTWARE of sysexits.h: start it again."""

DRAIN_SECONDS = 1.0
"""What a role posted last is given so long to leave."""

SITE_ACCEPTS = frozenset({(CHANNEL, TOPIC), (CellChannel.CELLNET, CellChannelTopic.Bye)})
SERVER_ACCEPTS = SITE_ACCEPTS | {
    (CellChannel.SERVER_MAIN, topic)
    for topic in (
        CellChannelTopic.Challenge,
        CellChannelTopic.Register,
        CellChannelTopic.HEART_BEAT,
        CellChannelTopic.Quit,
    )
}
"""What may be asked of the process, by FLARE's channel and topic: frames, goodbyes; at the server, the login too.

Left out are the administrator's commands (jobs, shell, restart), the channels of jobs, streams, the network agent, and
FLARE's bulk messages, which could carry any of those.
"""

log = logging.getLogger(__name__)


class Running(Protocol):
    """A role at work."""

    def stop(self) -> None:
        """End it; returns when it has ended."""

    def wait(self) -> bool:
        """Wait until somebody stops it, or it has found that it cannot go on."""


Entry = Callable[[Path, HubTransport | SpokeTransport], Running]


class RoleComponent(FLComponent):  # type: ignore[misc]
    """Runs one party's role inside FLARE's parent process, server's or client's."""

    def __init__(self, entry: str, folder: str, console: bool = False) -> None:
        """entry    dotted module, colon, function: called with the folder and the transport, gives a `Running`
        folder   absolute path of the party's own folder
        console  whether this server also takes FLARE's administrator; a site never does
        """
        super().__init__()
        if not Path(folder).is_absolute():
            _give_up(f"role: folder {folder!r} in local/resources.json is not an absolute path; equip the kit again")
        self._held = _hold(Path.cwd() / LOCK)
        driver.register()
        self._entry = entry
        self._folder = Path(folder)
        self._console = console
        self._cell: CoreCell | None = None
        self._transport: Transport | None = None
        self._running: Running | None = None
        self._ending = threading.Lock()
        stuck = (
            f"FLARE made no cell within {BOOT_SECONDS:.0f} s: look at the kit's certificates and its server's address"
        )
        self._boot = threading.Timer(BOOT_SECONDS, _give_up, args=(stuck,))
        self._boot.daemon = True
        self._boot.start()
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """FLARE's hook: take the cell before anybody logs in, start the role after that, stop it at the end."""
        if event_type == EventType.SYSTEM_BOOTSTRAP:
            self._take_cell(fl_ctx.get_engine().get_cell().core_cell)
        elif event_type == EventType.SYSTEM_START:
            threading.Thread(target=self._start_role, name="role", daemon=True).start()
        elif event_type == EventType.SYSTEM_END:
            self._stop_role()

    # what FLARE is asked for

    def send(self, peer: str, piece: Piece) -> str:
        """Hand one piece to FLARE; what went wrong, or nothing. Waits while the connection is full."""
        marks = (1 if piece.begins else 0) | (2 if piece.ends else 0)
        message = Message({_RUN: piece.run, _NUMBER: piece.number, _MARKS: marks}, piece.body)
        try:
            trouble = self._core.fire_and_forget(CHANNEL, TOPIC, [peer], message, optional=True)
        except RuntimeError as problem:  # FLARE's way of saying that the cell has stopped
            return str(problem)
        return str(trouble.get(peer) or "")

    def peers(self) -> frozenset[str]:
        """Who is connected now: at a site the server, at the server its parties and no console."""
        names = tuple(self._core.agents)
        if not self._is_server:
            return frozenset(name for name in names if name == SERVER)
        return frozenset(name for name in names if "." not in name and not is_valid_admin_client_name(name))

    @property
    def _core(self) -> CoreCell:
        if self._cell is None:
            raise Misuse("role: FLARE has no cell yet")
        return self._cell

    @property
    def _is_server(self) -> bool:
        return bool(self._core.get_fqcn() == SERVER)

    def _take_cell(self, cell: CoreCell) -> None:
        self._boot.cancel()
        self._cell = cell
        self._transport = Transport(self)
        cell.register_request_cb(CHANNEL, TOPIC, self._receive)
        transport = self._transport
        cell.set_cell_connected_cb(lambda agent: transport.joined(agent.endpoint.name))
        if not (self._console and self._is_server):
            cell.set_message_interceptor(self._intercept)

    def _intercept(self, message: Message) -> Message | None:
        """Refuse whatever is not in the list, and whatever one site would send to another through the server."""
        channel = message.get_header(MessageHeaderKey.CHANNEL, "")
        topic = message.get_header(MessageHeaderKey.TOPIC, "")
        accepted = SERVER_ACCEPTS if self._is_server else SITE_ACCEPTS
        if (channel, topic) in accepted and message.get_header(MessageHeaderKey.DESTINATION) == self._core.get_fqcn():
            return None
        origin = message.get_header(MessageHeaderKey.ORIGIN, "")
        log.warning("refused %s:%s from %s: this process only carries frames", channel, topic, origin)
        return cast(Message, make_reply(ReturnCode.INVALID_REQUEST, error="this process only carries frames"))

    def _receive(self, message: Message) -> None:
        """A message of our channel, in one of FLARE's threads. Its sender is who the TLS certificate says.

        Its connection may have ended since: what a peer says last counts too.
        """
        origin = str(message.get_header(MessageHeaderKey.ORIGIN, ""))
        endpoint = message.get_prop(MessagePropKey.ENDPOINT)
        transport = self._transport
        straight = endpoint is not None and endpoint.name == origin
        if self._is_server:
            straight = straight and message.get_prop(MessagePropKey.COMMON_NAME) == origin
        else:
            straight = straight and origin == SERVER
        if transport is None or not straight:
            log.warning("dropped a message that says it is from %s: it did not come straight from there", origin)
            return
        run, number = message.get_header(_RUN), message.get_header(_NUMBER)
        marks, body = message.get_header(_MARKS), message.payload
        body = b"" if body is None else body
        shaped = isinstance(run, str) and isinstance(number, int) and number >= 0 and isinstance(marks, int)
        if not shaped or not isinstance(body, (bytes, bytearray, memoryview)) or len(body) > PIECE:
            log.warning("dropped a message from %s: it is not a piece of a frame", origin)
            return
        transport.take(origin, Piece(run, number, bool(marks & 1), bool(marks & 2), memoryview(body)))

    # the role

    def _start_role(self) -> None:
        try:
            module, _, name = self._entry.partition(":")
            entry = cast(Entry, getattr(importlib.import_module(module), name))
            transport = cast(Transport, self._transport)
            view = HubTransport(transport) if self._is_server else SpokeTransport(transport)
            running = self._running = entry(self._folder, view)
        except Exception:  # the outermost edge: a process without its role must not look alive
            log.exception("the role %s did not start in %s", self._entry, self._folder)
            _exit(1)
        running.wait()
        if self._running is running:  # nobody has asked it to end
            log.error("the role %s ended by itself; its own log in %s says why", self._entry, self._folder)
            self._end(BUG)

    def _stop_role(self) -> int:
        """Stop the role once; 0, or 1 where it failed to."""
        running, self._running = self._running, None
        status = 0
        if running is not None:
            try:
                running.stop()
            except Exception:  # the outermost edge: the process ends all the same, and says so
                log.exception("the role %s did not stop well", self._entry)
                status = 1
        if self._transport is not None:
            self._transport.close(DRAIN_SECONDS)
        return status

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        """In the main thread, which FLARE keeps asleep: another one does the work."""
        threading.Thread(target=self._end, name="end", daemon=True).start()

    def _end(self, least: int = 0) -> None:
        """least  the exit status if all goes well"""
        if not self._ending.acquire(blocking=False):
            return
        slow = f"the role {self._entry} did not stop within {STOP_SECONDS:.0f} s: ended without it"
        guard = threading.Timer(STOP_SECONDS, _give_up, args=(slow,))
        guard.daemon = True
        guard.start()
        log.info("ending")
        status = self._stop_role() or least
        if self._cell is not None:
            goodbye = threading.Thread(target=self._cell.stop, name="goodbye", daemon=True)
            goodbye.start()
            goodbye.join(timeout=1.5)
        _exit(status)


def _hold(path: Path) -> IO[bytes]:
    """Hold a kit, which the system lets go however the process ends: FLARE would let two processes oust each other."""
    held = path.open("ab")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        _give_up(f"{path}: another process runs this kit; end it first")
    return held


def _give_up(why: str) -> NoReturn:
    """Say why and end with 1: raised, it would be printed by FLARE, which then ends with 0."""
    log.error("%s", why)
    _exit(1)


def _exit(status: int) -> NoReturn:
    """End the process now: FLARE keeps threads that never end."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
