"""Whole small jobs through the duties of every role, over the switchboard and the embedded chain."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from town import Died, Town

from caduceus.agents.duties import Event, Happened
from caduceus.kinds import Stage
from caduceus.ports import Reactor
from caduceus.wiring.parties import BUYER, COORDINATOR


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with ExitStack() as stack:
        yield Town(tmp_path, stack)


def until(
    is_so: Callable[[], object], act: Callable[[], object] = lambda: None, seconds: float = 120.0, about=lambda: ""
) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        act()
        time.sleep(0.02)
        if time.monotonic() > end:
            raise AssertionError(f"it never came to that: {about()}")


def trained(town: Town):
    """A job that the coordinator sees from its posting to its settlement, with everybody at work."""
    town.give()
    town.join()
    town.greet()
    until(lambda: town.spokes[BUYER].is_connected)
    job = town.post()
    until(lambda: town.stage(job) >= Stage.SETTLING, lambda: town.look(COORDINATOR), about=town.story)
    return job


def ended(town: Town, job) -> None:
    """Everybody pulls what is theirs, and nothing is left."""
    entry = town.chain.job(job)
    town.network.pass_time(entry.deadline)
    until(lambda: town.stage(job) is Stage.COMPLETED, lambda: town.look(COORDINATOR))
    until(
        lambda: (
            {who for who, event in town.heard if event.what is Happened.COLLECTED} == {BUYER, COORDINATOR, *town.names}
        ),
        lambda: town.look(COORDINATOR),
        about=town.story,
    )
    assert len(town.told(Happened.COLLECTED)) == 2 + len(town.names)
    assert len(town.chain.claims(job)) == 1 + len(town.names)
    assert town.held() == 0
    assert not town.bugs
    for duties in (town.coordinator, *town.duties.values()):
        assert duties.jobs() == []


def test_a_job_runs_from_its_posting_until_everybody_has_been_paid(town):
    with town.open():
        job = trained(town)
        assert [event.round for event in town.told(Happened.ROUND)] == list(range(len(town.chain.anchors(job))))
        assert all(not event.why for event in town.told(Happened.ROUND))
        ended(town, job)
    assert len(town.told(Happened.ENROLLED)) == len(town.names)


class Forgets:
    """Implements `ports.Reactor`: at one message its process dies, before or after it has written its answer down."""

    def __init__(self, inner: Reactor, at: int, die: Callable[[], None], after: bool) -> None:
        self.inner, self.left, self.die, self.after = inner, at, die, after

    def react(self, body: bytes) -> Sequence[bytes]:
        self.left -= 1
        if self.left:
            return self.inner.react(body)
        if self.after:
            self.inner.react(body)
        self.die()
        return []


@pytest.mark.parametrize(("at", "after"), [(2, True), (6, False), (7, True)])
def test_a_site_that_starts_again_in_the_middle_is_told_again_and_counts_in_every_round(town, at, after):
    deaths: list[int] = []

    def wrap(inner: Reactor) -> Reactor:
        def die() -> None:
            deaths.append(at)
            town.start_site("Birch")

        return inner if deaths else Forgets(inner, at, die, after)

    town.wraps["Birch"] = wrap
    with town.open():
        job = trained(town)
        assert len(deaths) == 1
        assert all(not event.why for event in town.told(Happened.ROUND))
        assert not town.told(Happened.FAULT)
        ended(town, job)


def test_a_coordinator_that_starts_again_between_two_rounds_goes_on(town):
    def whisper(who: str, event: Event) -> None:
        if event.what is Happened.ROUND and event.round == 1 and len(town.told(Happened.ROUND)) == 2:
            raise Died

    town.whispers = whisper
    with town.open():
        with pytest.raises(Died):
            trained(town)
        town.start_coordinator()
        job = town.chain.jobs()[0]
        until(lambda: town.stage(job) >= Stage.SETTLING, lambda: town.look(COORDINATOR), about=town.story)
        rounds = [event.round for event in town.told(Happened.ROUND)]
        assert rounds == [0, 1, *range(len(town.chain.anchors(job)))]
        ended(town, job)
    assert len(town.told(Happened.ACCEPTED)) == 1


def test_a_settled_job_is_completed_by_others_when_its_coordinator_is_gone_for_good(town):
    with town.open():
        job = trained(town)
        town.network.pass_time(town.chain.job(job).deadline)
        for name in (*town.names, BUYER):
            town.look(name)
        assert town.stage(job) is Stage.SETTLING  # left to the coordinator for a while
        town.wire.hub = None
        town.network.pass_time(town.chain.job(job).deadline + 40)
        everybody = {BUYER, *town.names}
        until(lambda: {who for who, one in town.heard if one.what is Happened.COLLECTED} == everybody, about=town.story)
    assert town.stage(job) is Stage.COMPLETED
    assert len(town.told(Happened.COMPLETED)) == 1
    assert town.told(Happened.COMPLETED, COORDINATOR) == []
    fee_and_bond = town.brief.spec.money.fee + town.brief.spec.money.bond
    assert town.held() == fee_and_bond
