"""Strands wait beside each other, in an order that is the schedule's alone."""

from __future__ import annotations

import threading

import pytest

from caduceus.sim.chance import stream
from caduceus.sim.clock import VirtualClock
from caduceus.sim.host import Crash, Host
from caduceus.sim.schedule import Schedule
from caduceus.sim.trace import Trace


@pytest.fixture
def schedule() -> Schedule:
    clock = VirtualClock(1000)
    return Schedule(clock, Trace(clock), stream(0, "schedule"))


def test_two_strands_wait_beside_each_other(schedule: Schedule) -> None:
    seen: list[tuple[str, float]] = []

    def work(name: str, seconds: float) -> None:
        for _ in range(2):
            schedule.advance(seconds)
            seen.append((name, schedule.clock.monotonic()))

    schedule.spawn(lambda: work("slow", 3.0))
    schedule.spawn(lambda: work("quick", 2.0))
    schedule.advance(10.0)
    assert seen == [("quick", 2.0), ("slow", 3.0), ("quick", 4.0), ("slow", 6.0)]


def test_a_strand_goes_on_as_soon_as_what_it_waits_for_is_so(schedule: Schedule) -> None:
    there: list[float] = []
    schedule.spawn(lambda: there.append(schedule.clock.monotonic() if schedule.wait(9.0, lambda: bool(box)) else -1.0))
    box: list[int] = []
    schedule.after(4.0, "it comes", lambda: box.append(1))
    schedule.advance(20.0)
    assert there == [4.0]


def test_what_a_strand_raises_reaches_whoever_lets_time_go_by(schedule: Schedule) -> None:
    def fail() -> None:
        schedule.advance(1.0)
        raise ValueError("on the way")

    schedule.spawn(fail)
    with pytest.raises(ValueError, match="on the way"):
        schedule.advance(2.0)


def test_the_end_of_a_world_ends_its_strands(schedule: Schedule) -> None:
    before, tidied = threading.active_count(), list[str]()

    def work() -> None:
        try:
            schedule.advance(100.0)
        finally:
            tidied.append("yes")

    schedule.spawn(work)
    schedule.spawn(work)
    schedule.advance(1.0)
    assert threading.active_count() == before + 2
    schedule.close()
    assert (threading.active_count(), tidied) == (before, ["yes", "yes"])


def test_a_machine_that_dies_takes_what_waits_on_it_along_and_tells_once(schedule: Schedule) -> None:
    host, died, ended = Host("m", schedule, Trace(schedule.clock)), list[Crash](), list[str]()
    host.on_crash = lambda _host, crash: died.append(crash)

    def wait(name: str) -> None:
        try:
            host.pause(50.0)
        finally:
            ended.append(name)

    schedule.spawn(lambda: host.beside(lambda: wait("one")))
    schedule.spawn(lambda: host.beside(lambda: wait("two")))
    schedule.after(5.0, "lightning", host.kill)
    schedule.advance(6.0)
    assert (sorted(ended), len(died)) == (["one", "two"], 1)
    host.restart()
    assert host.beside(lambda: 7) == 7
