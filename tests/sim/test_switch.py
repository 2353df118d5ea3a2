"""The simulated switchboard keeps what the real one promises, and only on purpose less."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from caduceus.errors import Unavailable
from caduceus.kinds import Address, JobId
from caduceus.sim.chance import stream
from caduceus.sim.clock import VirtualClock
from caduceus.sim.host import Host
from caduceus.sim.network import LineFaults, Network
from caduceus.sim.schedule import Schedule
from caduceus.sim.switch import SimHub, SimSpoke, Switch
from caduceus.sim.trace import Trace

SITE, KEY, JOB = Address(b"\x05" * 20), Address(b"\x06" * 20), JobId(b"\x07" * 32)


class Echo:
    """Answers what it hears with the same, and remembers it."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []

    def react(self, body: bytes) -> Sequence[bytes]:
        self.heard.append(body)
        return [body]


@dataclass
class Line:
    """A hub and one party."""

    faults: LineFaults = field(default_factory=lambda: LineFaults(delay=(0.0, 1.0)))
    orderly: bool = True

    def __post_init__(self) -> None:
        clock = VirtualClock(1000)
        self.trace = Trace(clock)
        self.schedule = Schedule(clock, self.trace, stream(3, "schedule"))
        self.network = Network(self.schedule, self.trace, stream(3, "network"))
        self.switch = Switch(self.schedule, self.trace, self.network)
        self.switch.orderly = self.orderly
        self.hub = SimHub(self.switch, Host("hub", self.schedule, self.trace))
        self.channel = self.hub.open(JOB, {SITE: KEY})
        self.host, self.echo = Host("site", self.schedule, self.trace), Echo()
        self.spoke = self.arrive()
        self.network.faults = self.faults

    def arrive(self) -> SimSpoke:
        """A new process of the party, once the hub knows it; what told the hub so is taken from the line."""
        spoke = SimSpoke(self.switch, self.host, SITE)
        spoke.serve(JOB, KEY, self.echo)
        self.schedule.advance(2.0)
        self.channel.inbox.clear()
        return spoke

    def bodies(self) -> list[bytes]:
        return [envelope.body for envelope in self.channel.inbox]


NUMBERS = [bytes([number]) for number in range(1, 40)]


def test_messages_keep_their_order_in_both_directions() -> None:
    line = Line()
    for body in NUMBERS:
        line.channel.send(SITE, body)
    line.schedule.advance(5.0)
    assert line.echo.heard == line.bodies() == NUMBERS


def test_what_arrives_twice_is_heard_once_on_an_orderly_line_and_twice_on_another() -> None:
    for orderly, times in ((True, 1), (False, 2)):
        line = Line(LineFaults(delay=(0.0, 1.0), doubled=1.0), orderly)
        for body in NUMBERS:
            line.channel.send(SITE, body)
        line.schedule.advance(5.0)
        assert sorted(line.echo.heard) == sorted(NUMBERS * times)
        assert (line.echo.heard == NUMBERS) is orderly


def test_after_a_loss_the_next_hello_tells_the_coordinator_so_once() -> None:
    line = Line()
    line.network.cut_off.add(SITE)
    line.channel.send(SITE, b"\x01")
    line.schedule.advance(2.0)
    line.switch.greet(SITE)
    line.network.cut_off.clear()
    for _ in range(3):
        line.switch.greet(SITE)
        line.schedule.advance(2.0)
    assert (line.echo.heard, line.bodies()) == ([], [b""])


def test_a_new_process_does_not_hear_what_was_meant_for_the_one_before() -> None:
    for orderly in (True, False):
        line = Line(LineFaults(delay=(1.0, 1.0)), orderly)
        line.channel.send(SITE, b"\x01")
        line.host.kill()
        line.host.restart()
        line.arrive()
        assert line.echo.heard == ([] if orderly else [b"\x01"])
        line.channel.send(SITE, b"\x02")
        line.schedule.advance(3.0)
        assert line.echo.heard[-1] == b"\x02"


def test_a_party_that_never_connected_cannot_be_reached() -> None:
    line = Line()
    with pytest.raises(Unavailable, match="has not connected"):
        line.channel.send(KEY, b"\x01")


def test_nobody_hears_a_job_that_is_shut_or_left() -> None:
    line = Line()
    line.hub.shut(JOB)
    line.switch.inward(SITE, JOB, b"\x01")
    line.spoke.leave(JOB)
    line.channel.send(SITE, b"\x02")
    line.schedule.advance(3.0)
    assert (line.echo.heard, line.bodies()) == ([], [])
