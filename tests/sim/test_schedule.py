"""Virtual time: events happen when they are due, waits nest, and the trace tells two runs apart."""

from __future__ import annotations

import pytest

from caduceus.errors import Misuse
from caduceus.sim.chance import stream
from caduceus.sim.clock import VirtualClock
from caduceus.sim.schedule import Schedule
from caduceus.sim.trace import Trace


def made(seed: int = 0) -> tuple[VirtualClock, Trace, Schedule]:
    clock = VirtualClock(1000)
    trace = Trace(clock)
    return clock, trace, Schedule(clock, trace, stream(seed, "schedule"))


def test_events_happen_in_the_order_of_their_times() -> None:
    clock, _, schedule = made()
    seen: list[tuple[str, float]] = []
    for seconds in (3.0, 1.0, 2.0):
        schedule.after(seconds, f"at {seconds}", lambda s=seconds: seen.append((f"{s}", clock.monotonic())))
    schedule.advance(2.0)
    assert seen == [("1.0", 1.0), ("2.0", 2.0)]
    schedule.advance(5.0)
    assert seen[2:] == [("3.0", 3.0)]
    assert (clock.monotonic(), clock.unix()) == (7.0, 1007)


def test_what_is_cancelled_does_not_happen() -> None:
    _, trace, schedule = made()
    schedule.after(1.0, "never", lambda: pytest.fail("it was cancelled")).cancelled = True
    schedule.advance(2.0)
    assert trace.count == 0


def test_the_order_within_one_moment_is_the_seeds() -> None:
    def order(seed: int) -> list[int]:
        _, _, schedule = made(seed)
        seen: list[int] = []
        for number in range(20):
            schedule.after(1.0, "one of many", lambda number=number: seen.append(number))
        schedule.advance(1.0)
        return seen

    assert order(1) == order(1)
    assert order(1) != order(2)
    assert sorted(order(1)) == list(range(20))


def test_a_wait_ends_when_what_is_waited_for_is_there() -> None:
    clock, _, schedule = made()
    seen: list[int] = []
    schedule.after(1.5, "there", lambda: seen.append(1))
    assert schedule.wait(10.0, lambda: bool(seen)) is True
    assert clock.monotonic() == 1.5
    assert schedule.wait(10.0, lambda: len(seen) > 1) is False
    assert clock.monotonic() == 11.5


def test_waits_nest_and_time_never_goes_back() -> None:
    clock, _, schedule = made()
    seen: list[tuple[str, float]] = []

    def slow() -> None:
        schedule.advance(10.0)
        seen.append(("slow", clock.monotonic()))

    schedule.after(1.0, "slow", slow)
    schedule.after(2.0, "meanwhile", lambda: seen.append(("meanwhile", clock.monotonic())))
    schedule.advance(3.0)
    assert seen == [("meanwhile", 2.0), ("slow", 11.0)]
    assert clock.monotonic() == 11.0
    with pytest.raises(Misuse, match=r"cannot go back"):
        clock.move_to(1)
    with pytest.raises(Misuse, match=r"in the past"):
        schedule.after(-1.0, "yesterday", lambda: None)


def test_what_repeats_for_ever_does_not_settle() -> None:
    _, _, schedule = made()
    seen: list[int] = []
    schedule.every(60.0, "tick", lambda: seen.append(1))
    schedule.advance(600.0)
    assert len(seen) == 10
    with pytest.raises(Misuse, match=r"is not done"):
        schedule.settle(50)


def test_a_trace_tells_what_happened_and_when() -> None:
    clock, trace, _ = made()
    _, other, _ = made()
    for one in (trace, other):
        one.note("began")
    assert trace.digest == other.digest
    clock.move_to(5)
    trace.note("went on")
    other.note("went on")
    assert trace.digest != other.digest
    assert trace.last() == ("0 began", "5 went on")


def test_streams_of_other_names_and_seeds_are_independent() -> None:
    first = [stream(1, "a").random() for _ in range(2)]
    assert first[0] == first[1]
    assert len({stream(seed, name).random() for seed in (1, 2) for name in ("a", "b")}) == 4
    assert stream(7, "network").getrandbits(32) == 2129604523  # the same on every machine
