"""What a role sees of FLARE: `post` a frame, and be called for every frame that arrives."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Protocol

from caduceus.edges.flare.lane import Lane
from caduceus.edges.flare.pieces import Assembly, Piece
from caduceus.errors import Misuse, PeerFault

SERVER = "server"
"""FLARE's name for the server's end."""

log = logging.getLogger(__name__)


class Wire(Protocol):
    """What the transport asks of FLARE."""

    def send(self, peer: str, piece: Piece) -> str:
        """Hand over one piece; what went wrong, or nothing."""

    def peers(self) -> frozenset[str]:
        """Who is connected now."""


class Transport:
    """Frames between this process and its peers, by FLARE's names for them. Thread-safe."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._lock = threading.Lock()
        self._lanes: dict[str, Lane] = {}
        self._assemblies: dict[str, Assembly] = {}
        self._inbox: SimpleQueue[tuple[str, bytes]] = SimpleQueue()
        self._arrived: Callable[[str, bytes], None] | None = None
        self._closed = False

    def peers(self) -> frozenset[str]:
        """Who is connected now."""
        return self._wire.peers()

    def post(self, peer: str, frame: bytes) -> None:
        """Send a frame without waiting. Raises Unavailable where the peer is not connected."""
        with self._lock:
            lane = self._lanes.get(peer)
            if lane is None:
                lane = self._lanes[peer] = Lane(peer, self._wire.send, lambda name: name in self._wire.peers())
        lane.post(frame)

    def listen(self, arrived: Callable[[str, bytes], None]) -> None:
        """Have `arrived(peer, frame)` called for every frame, one at a time, in the order sent by each peer.

        Frames that came earlier are handed over first. `arrived` must be quick; what it raises is logged.
        Raises Misuse if somebody listens already.
        """
        with self._lock:
            if self._arrived is not None:
                raise Misuse("this transport has a listener already")
            self._arrived = arrived
        threading.Thread(target=self._hand_over, name="arrivals", daemon=True).start()

    def take(self, peer: str, piece: Piece) -> None:
        """A piece from FLARE; called in its threads and quick."""
        self._sort(peer, lambda assembly: assembly.take(piece, time.monotonic()))

    def joined(self, peer: str) -> None:
        """FLARE has a new connection to a peer."""
        with self._lock:
            lane = self._lanes.get(peer)
        if lane is not None:
            lane.renew()

    def close(self, seconds: float = 0.0) -> None:
        """Call nobody any more, and send nothing once what was posted has gone or so many seconds are over."""
        with self._lock:
            self._closed = True
            lanes = list(self._lanes.values())
        deadline = time.monotonic() + seconds
        for lane in lanes:
            lane.close(max(deadline - time.monotonic(), 0.0))

    def _sort(self, peer: str, step: Callable[[Assembly], list[bytes]]) -> None:
        with self._lock:  # also held while frames are queued, so that they stay in order
            assembly = self._assemblies.setdefault(peer, Assembly(peer))
            try:
                frames = step(assembly)
            except PeerFault as fault:
                log.warning("%s", fault)
                return
            for frame in frames:
                self._inbox.put((peer, frame))

    def _hand_over(self) -> None:
        swept = time.monotonic()
        while not self._closed:
            now = time.monotonic()
            if now - swept > 1.0:
                swept = now
                for peer in list(self._assemblies):
                    self._sort(peer, lambda assembly, now=now: assembly.hurry(now))  # type: ignore[misc]
            try:
                peer, frame = self._inbox.get(timeout=1.0)
            except Empty:
                continue
            if self._arrived is None or self._closed:
                return
            try:
                self._arrived(peer, frame)
            except Exception:  # the outermost edge: one frame's trouble must not end the others
                log.exception("what listens failed on a frame of %d bytes from %s", len(frame), peer)


class HubTransport:
    """The coordinator's side: many peers, each named as FLARE authenticated it."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def peers(self) -> frozenset[str]:
        """Which parties are connected now."""
        return self._transport.peers()

    def post(self, peer: str, frame: bytes) -> None:
        """Send a frame to a party without waiting. Raises Unavailable where it is not connected."""
        self._transport.post(peer, frame)

    def listen(self, arrived: Callable[[str, bytes], None]) -> None:
        """Have `arrived(peer, frame)` called for every frame; see `Transport.listen`."""
        self._transport.listen(arrived)


class SpokeTransport:
    """A party's side: one peer, the server."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def connected(self) -> bool:
        """Whether there is a connection to the server now."""
        return SERVER in self._transport.peers()

    def post(self, frame: bytes) -> None:
        """Send a frame to the server without waiting. Raises Unavailable where there is no connection."""
        self._transport.post(SERVER, frame)

    def listen(self, arrived: Callable[[bytes], None]) -> None:
        """Have `arrived(frame)` called for every frame; see `Transport.listen`."""
        self._transport.listen(lambda _peer, frame: arrived(frame))
