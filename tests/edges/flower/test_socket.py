"""The socket between a party's process and its bridge, with the bridge's end driven by hand."""

from __future__ import annotations

import contextlib
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from caduceus.edges.flower.bridge import wire
from caduceus.edges.flower.bridge.letters import Letter, join, split
from caduceus.edges.flower.bridge.visit import visit
from caduceus.edges.flower.hub import LONGEST_FRAME, FlowerHub
from caduceus.edges.flower.site import FlowerSite
from caduceus.errors import Refused, Unavailable
from edges.flower.office import Gathered

NONCE = bytes(range(32))


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("s")


@pytest.fixture
def arrived() -> Gathered:
    return Gathered()


@pytest.fixture
def hub(place: Path, arrived: Gathered) -> Iterator[FlowerHub]:
    hub = FlowerHub(place / "hub", arrived, backlog=1000)
    yield hub
    hub.close()


@pytest.fixture
def site(place: Path, arrived: Gathered) -> Iterator[FlowerSite]:
    site = FlowerSite(place / "site", arrived.from_hub, backlog=1000)
    yield site
    site.close()


def letter(*frames: bytes, wait: float = 5.0, limit: int = 1 << 20) -> Letter:
    return Letter(NONCE, wait, limit, frames)


def up(hub: FlowerHub, arrived: Gathered, place: Path, *peers: int) -> wire.Line:
    line = wire.connect(place / "hub", "hub", patience=10)
    for peer in peers:
        line.send(wire.FRAME, peer, b"here")
    arrived.expect(len(peers))
    return line


def test_only_the_owner_may_connect(hub: FlowerHub, site: FlowerSite, place: Path) -> None:
    for name in ("hub", "site"):
        assert stat.S_IMODE((place / name).stat().st_mode) == 0o600
        assert stat.S_ISSOCK((place / name).stat().st_mode)


def test_a_group_may_be_let_in(place: Path, arrived: Gathered) -> None:
    group = place.stat().st_gid
    site = FlowerSite(place / "shared", arrived.from_hub, group=group)
    try:
        assert stat.S_IMODE((place / "shared").stat().st_mode) == 0o660
        assert (place / "shared").stat().st_gid == group
    finally:
        site.close()


def test_a_socket_that_a_dead_process_left_is_replaced(place: Path, arrived: Gathered) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(place / "hub"))
    hub = FlowerHub(place / "hub", arrived)
    wire.connect(place / "hub", "hub", patience=10).close()
    hub.close()
    assert not (place / "hub").exists()


def test_a_second_process_on_the_same_path_is_refused(hub: FlowerHub, place: Path, arrived: Gathered) -> None:
    with pytest.raises(Refused, match="another process listens"):
        FlowerHub(place / "hub", arrived)


def test_a_path_too_long_for_a_socket_is_refused(place: Path, arrived: Gathered) -> None:
    with pytest.raises(Refused, match="choose a shorter path"):
        FlowerHub(place / ("x" * 120), arrived)


def test_a_folder_that_is_not_there_is_refused(place: Path, arrived: Gathered) -> None:
    with pytest.raises(Refused, match="its folder does not exist"):
        FlowerHub(place / "none" / "hub", arrived)


def test_a_bridge_of_the_other_role_is_turned_away(hub: FlowerHub, place: Path) -> None:
    with pytest.raises(ConnectionError):
        wire.connect(place / "hub", "site", patience=10)


def test_garbage_on_the_line_closes_it_and_the_hub_goes_on(hub: FlowerHub, arrived: Gathered, place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(str(place / "hub"))
        stranger.sendall(b"\xff" * 64)
        stranger.settimeout(10)
        with contextlib.suppress(ConnectionResetError):
            assert stranger.recv(1) == b""
    up(hub, arrived, place, 7).close()


def test_the_hub_posts_to_peers_that_are_up_and_to_no_other(hub: FlowerHub, arrived: Gathered, place: Path) -> None:
    with pytest.raises(Unavailable, match="ServerApp is not connected"):
        hub.post("7", b"frame")
    line = up(hub, arrived, place, 7)
    hub.post("7", b"frame")
    assert line.receive() == (wire.FRAME, 7, b"frame")
    for other in ("8", "coordinator", "-7", ""):
        with pytest.raises(Unavailable, match="not connected"):
            hub.post(other, b"frame")
    line.send(wire.DOWN, 7)
    line.send(wire.FRAME, 9, b"after")
    arrived.expect(2)
    assert hub.peers() == {"9"}
    line.close()


def test_a_peer_that_takes_nothing_fills_up_and_harms_no_other(hub: FlowerHub, arrived: Gathered, place: Path) -> None:
    line = up(hub, arrived, place, 7, 8)
    hub.post("7", bytes(900))
    with pytest.raises(Unavailable, match="900 bytes wait"):
        hub.post("7", bytes(200))
    hub.post("8", bytes(900))
    line.send(wire.SENT, 7, wire.counted(900))
    line.send(wire.FRAME, 8, b"later")
    arrived.expect(3)
    hub.post("7", bytes(200))
    line.close()


def test_one_frame_may_exceed_the_backlog_but_not_the_longest(hub: FlowerHub, arrived: Gathered, place: Path) -> None:
    line = up(hub, arrived, place, 7)
    hub.post("7", bytes(5000))
    assert line.receive() == (wire.FRAME, 7, bytes(5000))
    with pytest.raises(Refused, match="at most"):
        hub.post("7", bytes(LONGEST_FRAME + 1))
    line.close()


def test_a_newer_run_takes_over_from_an_older_one(hub: FlowerHub, arrived: Gathered, place: Path) -> None:
    older = up(hub, arrived, place, 7)
    newer = wire.connect(place / "hub", "hub", patience=10)
    assert older.receive()[0] == wire.END
    with pytest.raises(Unavailable):
        hub.post("7", b"who is there is the newer run's to say")
    newer.send(wire.FRAME, 9, b"new")
    arrived.expect(2)
    hub.post("9", b"frame")
    assert newer.receive() == (wire.FRAME, 9, b"frame")
    newer.close()


def test_a_visit_brings_frames_and_takes_those_that_wait(site: FlowerSite, arrived: Gathered, place: Path) -> None:
    for index in range(3):
        site.post(b"up %d" % index)
    answer = visit(place / "site", letter(b"down 0", b"down 1"))
    assert answer.attached
    assert answer.nonce == NONCE
    assert answer.frames == (b"up 0", b"up 1", b"up 2")
    assert arrived.expect(2) == [("hub", b"down 0"), ("hub", b"down 1")]
    assert visit(place / "site", letter(wait=0.0)).frames == ()


def test_a_visit_waits_for_the_reply_to_what_it_brought(place: Path) -> None:
    site = FlowerSite(place / "echo", lambda frame: site.post(b"re: " + frame))
    assert visit(place / "echo", letter(b"question", wait=30.0)).frames == (b"re: question",)
    site.close()


def test_a_visit_takes_no_more_than_its_limit_but_always_one(site: FlowerSite, place: Path) -> None:
    for size in (600, 100, 200):
        site.post(bytes(size))
    sizes = [[len(frame) for frame in visit(place / "site", letter(limit=300)).frames] for _ in range(2)]
    assert sizes == [[600], [100, 200]]


def test_a_visit_to_a_party_that_is_away_says_so(place: Path) -> None:
    answer = visit(place / "nobody", letter(b"lost", wait=0.0))
    assert not answer.attached
    assert answer.frames == ()


def test_frames_stay_with_the_site_if_the_bridge_dies_while_it_waits(site: FlowerSite, place: Path) -> None:
    dying = wire.connect(place / "site", "site", patience=10)
    dying.send(wire.COLLECT, payload=wire.asking(600.0, 1 << 20))
    dying.close()
    site.post(b"kept")
    assert visit(place / "site", letter()).frames == (b"kept",)


def test_a_site_that_nobody_visits_fills_up(site: FlowerSite) -> None:
    site.post(bytes(900))
    with pytest.raises(Unavailable, match="see that the SuperNode runs"):
        site.post(bytes(200))
    with pytest.raises(Refused, match="at most"):
        site.post(bytes(LONGEST_FRAME + 1))


def test_a_callback_that_raises_closes_the_site(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()
    monkeypatch.setattr(threading, "excepthook", lambda _: ended.set())

    def fails(frame: bytes) -> None:
        raise RuntimeError("a bug of the caller's")

    site = FlowerSite(place / "site", fails)
    visit(place / "site", letter(b"poison", wait=0.0))  # whether it is still answered, the scheduler says
    assert ended.wait(10)
    assert not visit(place / "site", letter(wait=0.0)).attached
    site.close()


@pytest.mark.parametrize("frames", [(), (b"",), (b"a", b"", b"c" * 1000)])
def test_frames_survive_being_joined(frames: tuple[bytes, ...]) -> None:
    assert split(join(frames)) == frames


@pytest.mark.parametrize("blob", [b"\0", b"\0\0\0\2a", join([b"whole"]) + b"\0\0"])
def test_a_torn_batch_is_named(blob: bytes) -> None:
    with pytest.raises(ValueError, match="ends within"):
        split(blob)
