"""The `Hub` and `Spoke` ports over the simulated network: one line for each job, on which messages get lost.

As on the real switchboard: parties say hello now and then, so that what was lost is noticed, and then the coordinator
is told that the party may have lost something, by an envelope with an empty body; and what one party sends another
arrives in the order in which it was sent, once or not at all, and at the process for which it was meant. On a line
that is not `orderly` messages overtake each other, what arrives twice is heard twice, and a new process hears what was
meant for the one before: a harder world than the product promises itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import final

from caduceus import canon
from caduceus.errors import Error, Misuse, Unavailable
from caduceus.kinds import Address, JobId
from caduceus.ports import Envelope, Reactor
from caduceus.protocol.envelope import kind_of
from caduceus.protocol.secagg_upload import is_framed
from caduceus.sim.host import Host
from caduceus.sim.network import Network
from caduceus.sim.schedule import Schedule
from caduceus.sim.trace import Trace

GREETING = 4.0
"""Virtual seconds between two hellos of a party."""

Seen = Callable[[Address, JobId, bytes, bool], None]
"""Told of every message that is sent: a party, the job, the bytes, and whether the party sent it."""

OnFault = Callable[[Address, JobId, Error], None]
"""Told when a party refuses a message or finds a fault in it."""


def _unseen(_party: Address, _job: JobId, _body: bytes, _is_from: bool) -> None:
    return


def _ignore(_party: Address, _job: JobId, _problem: Error) -> None:
    return


@final
class Switch:
    """What is between the hub and the spokes.

    orderly  whether messages keep their order, and are heard once, by the process for which they were meant
    """

    def __init__(self, schedule: Schedule, trace: Trace, network: Network) -> None:
        self.schedule, self.trace, self.network = schedule, trace, network
        self.orderly = True
        self.seen: Seen = _unseen
        self.on_fault: OnFault = _ignore
        self.hub: SimHub | None = None
        self._spokes: dict[Address, SimSpoke] = {}
        self._lost: set[Address] = set()
        self._told: dict[Address, SimHub] = {}
        self._rows: dict[tuple[Address, bool], deque[_OnTheWay]] = {}

    def attach(self, spoke: SimSpoke) -> None:
        """Let a party's new process be reached; nothing reaches an earlier one."""
        self._spokes[spoke.account] = spoke
        self._lost.add(spoke.account)

    def is_open(self, party: Address) -> bool:
        """Whether a party and the coordinator reach each other now."""
        return party not in self.network.cut_off and self.hub is not None and self.hub.host.up

    def outward(self, party: Address, job: JobId, body: bytes) -> None:
        """From the coordinator to a party; raises Unavailable if it has never connected."""
        meant = None if self.hub is None else self.hub.known.get(party)
        if meant is None:
            raise Unavailable(f"0x{party.hex()} has not connected yet")
        self.seen(party, job, body, False)
        self._carry(party, False, _told("to", party, body), lambda: self._reach(meant, job, body))

    def inward(self, party: Address, job: JobId, body: bytes) -> None:
        """From a party to the coordinator, whichever process of it is there when it arrives."""
        self.seen(party, job, body, True)
        meant = self._told.get(party)
        self._carry(party, True, _told("from", party, body), lambda: self._hear(meant, party, job, body))

    def _carry(self, party: Address, is_from: bool, what: str, arrive: Callable[[], bool]) -> None:
        """Bring a message, or remember that one was lost."""

        def hear() -> None:
            if not arrive():
                self._lost.add(party)

        if not self.orderly:
            self.network.carry(party, what, hear, lambda: self._lost.add(party))
            return
        row, one = self._rows.setdefault((party, is_from), deque()), _OnTheWay(hear)
        row.append(one)

        def known(do: Callable[[], None]) -> None:
            if not one.is_known:
                one.is_known, one.do = True, do
            while row and row[0].is_known:
                row.popleft().do()

        self.network.carry(party, what, lambda: known(hear), lambda: known(lambda: self._lost.add(party)))

    def _reach(self, meant: SimSpoke, job: JobId, body: bytes) -> bool:
        spoke = self._spokes[meant.account]
        if not spoke.host.up or (self.orderly and spoke is not meant):
            self.trace.note(f"nobody there: {_told('to', meant.account, body)}")
            return False
        return bool(spoke.host.beside(lambda: spoke.hear(job, body)))

    def _hear(self, meant: SimHub | None, party: Address, job: JobId, body: bytes) -> bool:
        hub = self.hub
        if hub is None or not hub.host.up or (self.orderly and hub is not meant):
            self.trace.note(f"nobody there: {_told('from', party, body)}")
            return False
        hub.deliver(party, job, body)
        return True

    def greet(self, party: Address) -> None:
        """A party's hello: what was lost is found out, by either side."""
        hub = self.hub
        if hub is None or not self.is_open(party):
            return
        if party in self._lost or self._told.get(party) is not hub:
            self._lost.discard(party)
            self._told[party] = hub
            self._carry(party, True, f"hello of {party.hex()[:8]}", partial(self._is_back, self._spokes[party]))

    def mislaid(self, party: Address) -> None:
        """Something was lost to a party, which knows it."""
        self._lost.add(party)

    def _is_back(self, spoke: SimSpoke) -> bool:
        if self.hub is None or not self.hub.host.up:
            return False
        if self._spokes[spoke.account] is spoke:
            self.hub.known[spoke.account] = spoke
            self.hub.back(spoke.account)
        return True


@dataclass(slots=True)
class _OnTheWay:
    """A message that keeps its place; known is what became of it."""

    do: Callable[[], None]
    is_known: bool = False


@final
class SimHub:
    """The coordinator's end in one process of it; see `ports.Hub`."""

    def __init__(self, switch: Switch, host: Host) -> None:
        self.host, self._switch = host, switch
        self._lines: dict[JobId, SimLine] = {}
        self.known: dict[Address, SimSpoke] = {}
        """The process of each party that has said hello last."""
        switch.hub = self

    def open(self, job: JobId, signers: Mapping[Address, Address]) -> SimLine:
        """The line to a job's parties."""
        self._lines[job] = SimLine(self._switch, self.host, job, frozenset(signers))
        return self._lines[job]

    def shut(self, job: JobId) -> None:
        """End a job's line."""
        self._lines.pop(job, None)

    def deliver(self, party: Address, job: JobId, body: bytes) -> None:
        """Bring a message that has arrived to its line, if there is one for its sender."""
        line = self._lines.get(job)
        if line is not None and party in line.parties:
            line.inbox.append(Envelope(party, body))

    def back(self, party: Address) -> None:
        """Tell every line that a party may have lost something."""
        for job in self._lines:
            self.deliver(party, job, b"")


@final
class SimLine:
    """The coordinator's line to the parties of one job; see `ports.Channel`."""

    def __init__(self, switch: Switch, host: Host, job: JobId, parties: frozenset[Address]) -> None:
        self.parties, self.inbox = parties, deque[Envelope]()
        self._switch, self._host, self._job = switch, host, job

    def send(self, site: Address, body: bytes) -> None:
        """Hand a message over for delivery; see `ports.Channel`. Raises Crash if the coordinator's host is dead."""
        self._host.check()
        self._switch.outward(site, self._job, bytes(body))

    def receive(self, *, timeout: float) -> Envelope | None:
        """The next message, or None after `timeout` virtual seconds. Raises Crash if the host was killed meanwhile."""
        arrived = self._host.wait(max(timeout, 0.0), lambda: bool(self.inbox))
        return self.inbox.popleft() if arrived else None


@final
class SimSpoke:
    """A party's end in one process of it; see `ports.Spoke`."""

    def __init__(self, switch: Switch, host: Host, account: Address) -> None:
        self.account, self.host, self._switch = account, host, switch
        self._serving: dict[JobId, Reactor] = {}
        switch.attach(self)

    def serve(self, job: JobId, coordinator: Address, reactor: Reactor) -> None:
        """Answer what the coordinator sends about a job; what was sent before is asked for again."""
        if len(coordinator) != len(self.account):
            raise Misuse("a coordinator is named by the address of its key")
        self._serving[job] = reactor
        self._switch.mislaid(self.account)
        self._switch.greet(self.account)

    def leave(self, job: JobId) -> None:
        """Answer no more."""
        self._serving.pop(job, None)

    def decline(self, job: JobId, reasons: Sequence[str]) -> None:
        """Say why this party takes no part; goes into the trace."""
        self._switch.trace.note(f"{self.host.name} declines {job.hex()[:8]}: {'; '.join(reasons)}")

    def hear(self, job: JobId, body: bytes) -> bool:
        """Answer one message; whether somebody was there for it."""
        reactor = self._serving.get(job)
        if reactor is None:
            self._switch.trace.note(f"{self.host.name} takes no part yet: {_told('to', self.account, body)}")
            return False
        try:
            replies: Sequence[bytes] = reactor.react(body)
        except Error as problem:
            self._switch.trace.note(f"{self.host.name} refuses: {type(problem).__name__}: {problem}")
            self._switch.on_fault(self.account, job, problem)
            return True
        self.host.check()
        for reply in replies:
            self._switch.inward(self.account, job, reply)
        return True


def kind(body: bytes) -> str:
    """What a message is, by the tag of the record in it, unchecked."""
    if is_framed(body):
        return "secagg/upload"
    tag = canon.peek_tag(body)
    if tag is None:
        return "?"
    return kind_of(body) or tag if tag.startswith("signed/") else tag


def _told(direction: str, party: Address, body: bytes) -> str:
    return f"{direction} {party.hex()[-8:]}: {kind(body)}, {len(body)} bytes"
