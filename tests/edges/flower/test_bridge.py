"""Hub, sites and the bridge's own logic, with a post office in memory where Flower would be."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caduceus.edges.flower.bridge.exchange import Arrival
from caduceus.edges.flower.bridge.lanes import Lane, Pace
from caduceus.edges.flower.bridge.letters import Answer, Letter
from caduceus.edges.flower.hub import FlowerHub
from caduceus.edges.flower.site import FlowerSite
from caduceus.errors import Unavailable
from edges.flower.office import PACE, Gathered, Office, forged, running

NODES = (11, 12, 13)


class Consortium:
    """A hub, three sites and what each has received."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.at_hub = Gathered()
        self.at_site = {node: Gathered() for node in NODES}
        self.hub = FlowerHub(place / "hub", self.at_hub)
        self.sites = {node: self.site(node) for node in NODES}
        self.office = Office({node: place / str(node) for node in NODES})
        self.notes: list[str] = []

    def site(self, node: int) -> FlowerSite:
        return FlowerSite(self.place / str(node), self.at_site[node].from_hub)

    def bridge(self) -> object:
        return running(self.office, self.place / "hub", self.notes)

    def meet(self) -> None:
        """Every site says hello, so that all are up."""
        for site in self.sites.values():
            site.post(b"hello")
        self.at_hub.expect(len(NODES))

    def close(self) -> None:
        self.hub.close()
        for site in self.sites.values():
            site.close()


def eventually(said: Callable[[], bool], what: str) -> None:
    """Wait for something that another thread does."""
    pause = threading.Event()
    for _ in range(600):
        if said():
            return
        pause.wait(0.05)
    raise AssertionError(f"never: {what}")


@pytest.fixture
def consortium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consortium]:
    consortium = Consortium(tmp_path_factory.mktemp("c"))
    yield consortium
    consortium.close()


def test_frames_go_both_ways_in_order_and_one_of_them_is_large(consortium: Consortium) -> None:
    large = bytes(range(256)) * (8 << 12)
    with consortium.bridge():
        consortium.meet()
        assert consortium.hub.peers() == {str(node) for node in NODES}
        for node in NODES:
            for index in range(20):
                consortium.hub.post(str(node), b"%d down %d" % (node, index))
                consortium.sites[node].post(b"%d up %d" % (node, index))
            consortium.hub.post(str(node), large)
            consortium.sites[node].post(large)
        consortium.at_hub.expect(len(NODES) * 22)
        for node in NODES:
            down = [frame for _, frame in consortium.at_site[node].expect(21)]
            assert down == [b"%d down %d" % (node, index) for index in range(20)] + [large]
            up = consortium.at_hub.frames(str(node))
            assert up == [b"hello"] + [b"%d up %d" % (node, index) for index in range(20)] + [large]


def test_a_site_that_restarts_is_found_again(consortium: Consortium) -> None:
    with consortium.bridge():
        consortium.meet()
        consortium.sites[12].close()
        eventually(lambda: "12" not in consortium.hub.peers(), "the hub notices")
        with pytest.raises(Unavailable, match="peer 12: not connected"):
            consortium.hub.post("12", b"nobody")
        consortium.hub.post("11", b"the others go on")
        consortium.at_site[11].expect(1)
        consortium.sites[12] = consortium.site(12)
        eventually(lambda: "12" in consortium.hub.peers(), "the hub finds it again")
        consortium.hub.post("12", b"back")
        assert consortium.at_site[12].expect(1) == [("hub", b"back")]


def test_a_hub_that_restarts_is_found_again_and_answers_wait_for_it(consortium: Consortium) -> None:
    with consortium.bridge():
        consortium.meet()
        consortium.hub.close()
        eventually(lambda: any("has gone" in note for note in consortium.notes), "the bridge notices")
        consortium.sites[13].post(b"posted while the hub was away")
        before = len(consortium.at_hub.items)
        consortium.hub = FlowerHub(consortium.place / "hub", consortium.at_hub)
        consortium.at_hub.expect(before + 1)
        assert consortium.at_hub.items[before] == ("13", b"posted while the hub was away")
        eventually(lambda: len(consortium.hub.peers()) == 3, "all peers are up again")
        consortium.hub.post("11", b"back")
        consortium.at_site[11].expect(1)


def test_a_bridge_that_restarts_goes_on(consortium: Consortium) -> None:
    with consortium.bridge():
        consortium.meet()
    eventually(lambda: not consortium.hub.peers(), "nobody is up without the bridge")
    with consortium.bridge():
        eventually(lambda: len(consortium.hub.peers()) == 3, "all peers are up again")
        consortium.hub.post("11", b"again")
        assert consortium.at_site[11].expect(1) == [("hub", b"again")]


def test_a_newer_run_ends_the_older_one(consortium: Consortium) -> None:
    with consortium.bridge() as older:
        consortium.meet()
        with consortium.bridge():
            older.join(10)
            assert not older.is_alive()
            eventually(lambda: len(consortium.hub.peers()) == 3, "the newer run serves all")


def test_a_reply_by_somebody_who_has_not_read_the_letter_is_dropped(consortium: Consortium) -> None:
    consortium.office.spoil = lambda arrival: forged(arrival) if arrival.node == 12 else arrival
    with consortium.bridge():
        for site in consortium.sites.values():
            site.post(b"hello")
        consortium.at_hub.expect(2)
        eventually(lambda: any("does not know the letter" in note for note in consortium.notes), "it is noted")
    assert {peer for peer, _ in consortium.at_hub.items} == {"11", "13"}


def test_a_reply_that_names_another_node_counts_for_nobody(consortium: Consortium) -> None:
    def other(arrival: Arrival) -> Arrival:
        return Arrival(arrival.message, 11, arrival.answer) if arrival.node == 12 else arrival

    consortium.office.spoil = other
    with consortium.bridge():
        for node, site in consortium.sites.items():
            site.post(b"from %d" % node)
        consortium.at_hub.expect(2)
    assert sorted(consortium.at_hub.items) == [("11", b"from 11"), ("13", b"from 13")]


def test_a_letter_that_is_lost_holds_nobody_up(consortium: Consortium) -> None:
    lost: list[Arrival] = []

    def lose_the_first(arrival: Arrival) -> Arrival | None:
        if arrival.node == 11 and not lost:
            lost.append(arrival)
            return None
        return arrival

    consortium.office.spoil = lose_the_first
    with consortium.bridge():
        consortium.sites[12].post(b"first")
        assert consortium.at_hub.expect(1) == [("12", b"first")]
        eventually(lambda: bool(lost), "a letter is lost")
        consortium.sites[11].post(b"later")
        assert consortium.at_hub.expect(2)[1] == ("11", b"later")


def test_a_node_that_leaves_the_federation_is_down(consortium: Consortium) -> None:
    with consortium.bridge():
        consortium.meet()
        del consortium.office.online[13]
        eventually(lambda: "13" not in consortium.hub.peers(), "the hub notices")
        consortium.office.online[13] = consortium.place / "13"
        eventually(lambda: "13" in consortium.hub.peers(), "it comes back")


def test_what_flower_raises_ends_the_run(consortium: Consortium) -> None:
    class Broken(Office):
        def pull(self, messages: set[str]) -> list[Arrival]:
            raise RuntimeError("the run has ended")

    consortium.office = Broken(consortium.office.online)
    stopped = threading.Event()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading, "excepthook", lambda _: stopped.set())
        with consortium.bridge() as thread:
            thread.join(10)
            assert not thread.is_alive()


def test_a_busy_lane_keeps_two_letters_out_and_a_quiet_one_keeps_one() -> None:
    lane = Lane(11)
    first = lane.due(0.0, PACE, b"n")
    assert first is not None
    assert first.wait == PACE.quiet_wait
    lane.sent("a", first, 0.0, PACE)
    assert lane.due(0.0, PACE, b"n") is None
    assert lane.answered("a", Answer(b"n", attached=True, frames=(b"x",)), 0.1) == (b"x",)
    for name in "bc":
        letter = lane.due(0.1, PACE, b"n")
        assert letter is not None
        assert letter.wait == PACE.wait
        lane.sent(name, letter, 0.1, PACE)
    assert lane.due(0.1, PACE, b"n") is None


def test_a_peer_that_is_away_gets_no_frames_until_it_is_back() -> None:
    lane = Lane(11)
    lane.post(b"kept", 0.0)
    letter = lane.due(0.0, PACE, b"n")
    assert letter is not None
    assert letter.frames == ()
    lane.sent("a", letter, 0.0, PACE)
    lane.answered("a", Answer(b"n", attached=True, frames=()), 0.1)
    after = lane.due(0.1, PACE, b"n")
    assert after is not None
    assert after.frames == (b"kept",)


def test_many_sites_are_asked_less_often() -> None:
    assert Pace().among(3).wait == Pace().wait
    assert Pace().among(50).wait == 50 * Pace().per_site


@given(st.lists(st.binary(max_size=40), max_size=30), st.integers(1, 60))
def test_letters_carry_every_frame_once_and_in_order(frames: list[bytes], limit: int) -> None:
    pace = Pace(limit=limit)
    lane = Lane(11, attached=True)
    for frame in frames:
        lane.post(frame, 0.0)
    carried: list[bytes] = []
    for number in range(len(frames) + 1):
        letter = lane.due(0.0, pace, b"n")
        assert letter is not None
        assert len(letter.frames) <= 1 or sum(map(len, letter.frames)) <= limit
        lane.sent(str(number), letter, 0.0, pace)
        lane.answered(str(number), Answer(b"n", attached=True, frames=()), 0.0)
        carried.extend(letter.frames)
    assert carried == frames


def test_an_answer_to_a_later_letter_gives_the_earlier_ones_up() -> None:
    lane = Lane(11, attached=True)
    lane.post(b"x", 0.0)
    for name in "ab":
        lane.sent(name, Letter(name.encode(), 1.0, 10, ()), 0.0, PACE)
    assert lane.answered("b", Answer(b"b", attached=True, frames=(b"late",)), 1.0) == (b"late",)
    assert lane.out() == []
    assert lane.answered("a", Answer(b"a", attached=True, frames=(b"too late",)), 1.0) is None
