"""The `Channel` port between hosts: messages are lost, late, doubled, out of order or cut off, by chance alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from random import Random
from typing import final

from caduceus.errors import Error, Unavailable
from caduceus.kinds import Address
from caduceus.ports import Envelope, Reactor
from caduceus.sim.chance import between, happens
from caduceus.sim.host import Host
from caduceus.sim.schedule import Schedule
from caduceus.sim.trace import Trace

OnFault = Callable[[Address, Error], None]
"""Told when a site refuses a message or finds a fault in it."""


@dataclass(frozen=True, slots=True)
class LineFaults:
    """What may become of one message.

    delay    least and most seconds on the way; messages overtake each other within it
    lost     probability that it never arrives
    doubled  probability that it arrives twice, each time after a delay of its own
    """

    delay: tuple[float, float] = (0.001, 0.02)
    lost: float = 0.0
    doubled: float = 0.0


CALM = LineFaults()
"""A network that only takes its time."""


def _ignore(_site: Address, _problem: Error) -> None:
    return


@final
class Network:
    """One coordinator and the sites of its job, each on a host.

    faults   as of now; may be replaced at any time
    cut_off  sites that are on the other side of a partition; may be changed at any time. A message that meets it when
             it is sent or when it would arrive is lost
    """

    def __init__(
        self, schedule: Schedule, trace: Trace, chance: Random, faults: LineFaults = CALM, on_fault: OnFault = _ignore
    ) -> None:
        self.faults = faults
        self.cut_off: set[Address] = set()
        self._schedule = schedule
        self._trace = trace
        self._chance = chance
        self.on_fault = on_fault
        self._sites: dict[Address, tuple[Host, Reactor]] = {}
        self._channel: SimChannel | None = None

    def attach(self, site: Address, host: Host, reactor: Reactor) -> None:
        """Let a site listen; once more after its host was started again, with what was built anew."""
        self._sites[site] = host, reactor

    def connect(self, host: Host) -> SimChannel:
        """The coordinator's line; a new one after its host was started again, and nothing reaches the old one."""
        self._channel = SimChannel(self, host)
        return self._channel

    def has(self, site: Address) -> bool:
        """Whether there is a way to a site: it was attached once, and may be down."""
        return site in self._sites

    def carry(
        self, site: Address, what: str, arrive: Callable[[], None], vanished: Callable[[], None] = lambda: None
    ) -> None:
        """Bring one message to or from a site, or do not: then tell `vanished`, once for each time."""
        faults = self.faults
        lost, twice = happens(self._chance, faults.lost), happens(self._chance, faults.doubled)
        delays = [between(self._chance, faults.delay), between(self._chance, faults.delay)]
        if lost or site in self.cut_off:
            self._trace.note(f"lost: {what}")
            vanished()
            return
        for delay in delays[: 2 if twice else 1]:
            self._schedule.after(delay, what, lambda: self._arrive(site, what, arrive, vanished))

    def _arrive(self, site: Address, what: str, arrive: Callable[[], None], vanished: Callable[[], None]) -> None:
        if site in self.cut_off:
            self._trace.note(f"cut off: {what}")
            vanished()
            return
        arrive()

    def to_site(self, site: Address, body: bytes) -> None:
        """Send a message on its way to a site."""
        self.carry(site, _told("to", site, body), lambda: self._reach(site, body))

    def _reach(self, site: Address, body: bytes) -> None:
        host, reactor = self._sites[site]
        if not host.up:
            self._trace.note(f"nobody there: {_told('to', site, body)}")
            return
        host.when_free(lambda: self._serve(site, reactor, body))

    def _serve(self, site: Address, reactor: Reactor, body: bytes) -> None:
        try:
            replies: Sequence[bytes] = reactor.react(body)
        except Error as problem:
            self._trace.note(f"fault at {site.hex()[:8]}: {type(problem).__name__}")
            self.on_fault(site, problem)
            return
        self._sites[site][0].check()
        for reply in replies:
            self.to_coordinator(site, reply)

    def to_coordinator(self, site: Address, body: bytes) -> None:
        """Send a message on its way to the coordinator, whichever line it listens on when it arrives."""

        def arrive() -> None:
            if self._channel is None or not self._channel.host.up:
                self._trace.note(f"nobody there: {_told('from', site, body)}")
                return
            self._channel.inbox.append(Envelope(site, body))

        self.carry(site, _told("from", site, body), arrive)


@final
class SimChannel:
    """The coordinator's end; see `ports.Channel`."""

    def __init__(self, network: Network, host: Host) -> None:
        self.host = host
        self.inbox: deque[Envelope] = deque()
        self._network = network

    def send(self, site: Address, body: bytes) -> None:
        """Hand a message over for delivery; never waits for the site.

        Raises Unavailable if there is no such site, and Crash if the coordinator's host is dead.
        """
        self.host.check()
        if not self._network.has(site):
            raise Unavailable(f"no site 0x{site.hex()} on this network")
        self._network.to_site(site, bytes(body))

    def receive(self, *, timeout: float) -> Envelope | None:
        """The next message from any site, or None after `timeout` virtual seconds.

        Raises Crash if the coordinator's host was killed meanwhile.
        """
        arrived = self.host.wait(max(timeout, 0.0), lambda: bool(self.inbox))
        return self.inbox.popleft() if arrived else None


def _told(direction: str, site: Address, body: bytes) -> str:
    return f"{direction} {site.hex()[:8]}: {len(body)} bytes {sha256(body).hexdigest()[:8]}"
