"""Frames in pieces, lanes and hand-over, without FLARE."""

from __future__ import annotations

import threading
import time
from queue import SimpleQueue
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caduceus.edges.flare import pieces
from caduceus.edges.flare.lane import MAX_WAITING, Lane
from caduceus.edges.flare.pieces import MAX_EARLY, MAX_FRAME, PATIENCE, PIECE, Assembly, Piece, cut
from caduceus.edges.flare.transport import HubTransport, SpokeTransport, Transport
from caduceus.errors import Misuse, PeerFault, Unavailable

RUN = "0011223344556677:0"
NEXT_RUN = "0011223344556677:1"
OTHER_RUN = "8899aabbccddeeff:0"


def _pieces(frames: list[bytes], run: str) -> list[Piece]:
    made: list[Piece] = []
    for frame in frames:
        made += cut(frame, run=run, number=len(made))
    return made


def _feed(assembly: Assembly, order: list[Piece]) -> list[bytes]:
    return [frame for piece in order for frame in assembly.take(piece, 0.0)]


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE])
def test_a_frame_of_any_size_comes_out_as_it_went_in(size: int) -> None:
    frame = bytes(range(256)) * (size // 256 + 1)
    frame = frame[:size]
    made = list(cut(frame, run=RUN, number=0))
    assert len(made) == max(1, -(-size // PIECE))
    assert _feed(Assembly("peer"), made) == [frame]


@given(st.data())
def test_in_whatever_order_pieces_come_frames_come_in_the_order_sent_once(data: st.DataObject) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "PIECE", 4)
        frames = data.draw(st.lists(st.binary(max_size=15), max_size=8))
        made = _pieces(frames, RUN)
        doubled = made + data.draw(st.lists(st.sampled_from(made), max_size=4) if made else st.just([]))
        assert _feed(Assembly("peer"), data.draw(st.permutations(doubled))) == frames


@given(st.data())
def test_what_is_lost_takes_only_its_own_frame_with_it(data: st.DataObject) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "PIECE", 4)
        frames = [bytes([number]) * data.draw(st.integers(1, 12)) for number in range(6)]
        made = _pieces(frames, RUN)
        lost = set(data.draw(st.lists(st.integers(0, len(made) - 1), max_size=3)))
        whole = [frame for frame in frames if not any(made[at].body[:1] == frame[:1] for at in lost)]
        assembly, came, now = Assembly("peer"), [], 0.0
        for at, piece in enumerate(made):
            if at not in lost:
                came += assembly.take(piece, now)
        for _ in range(len(lost)):
            now += PATIENCE + 0.1
            came += assembly.hurry(now)
        last = max((at for at in range(len(made)) if at not in lost), default=-1)
        assert came == whole
        assert last < len(made)


def test_a_missing_piece_is_waited_for_as_long_as_it_says() -> None:
    first, second = _pieces([b"one", b"two"], RUN)
    assembly = Assembly("peer")
    assert assembly.take(second, 10.0) == []
    assert assembly.hurry(10.0 + PATIENCE) == []
    assert assembly.hurry(10.1 + PATIENCE) == [b"two"]
    assert assembly.take(first, 20.0) == []


def test_a_new_run_drops_what_was_half_there_and_nothing_of_an_old_run_comes_after_it() -> None:
    half, rest = cut(b"x" * (PIECE + 1), run=RUN, number=0)
    again = list(cut(b"x" * (PIECE + 1), run=NEXT_RUN, number=0))
    assembly = Assembly("peer")
    assert _feed(assembly, [half, *again, rest]) == [b"x" * (PIECE + 1)]
    assert _feed(assembly, list(cut(b"restarted", run=OTHER_RUN, number=0))) == [b"restarted"]
    assert _feed(assembly, _pieces([b"straggler"], NEXT_RUN)) == []


@pytest.mark.parametrize("run", ["", "no count", "x:", "x:-1", "x" * 70 + ":1"])
def test_an_unreadable_run_is_the_peers_fault(run: str) -> None:
    with pytest.raises(PeerFault, match=r"peer: sent a piece of an unreadable run"):
        Assembly("peer").take(Piece(run, 0, True, True, b""), 0.0)


def test_a_peer_cannot_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    assembly = Assembly("peer")
    for number in range(1, MAX_EARLY + 1):
        assembly.take(Piece(RUN, number, True, True, b""), 0.0)
    with pytest.raises(PeerFault, match=r"too many pieces out of order"):
        assembly.take(Piece(RUN, MAX_EARLY + 1, True, True, b""), 0.0)
    monkeypatch.setattr(pieces, "MAX_EARLY_BYTES", 10)
    assembly = Assembly("peer")
    assembly.take(Piece(RUN, 1, True, True, b"123456"), 0.0)
    with pytest.raises(PeerFault, match=r"too many pieces out of order"):
        assembly.take(Piece(RUN, 2, True, True, b"123456"), 0.0)
    monkeypatch.setattr(pieces, "MAX_FRAME", 10)
    with pytest.raises(PeerFault, match=r"a frame of more than 10 bytes"):
        _feed(Assembly("peer"), [Piece(RUN, 0, True, False, b"123456"), Piece(RUN, 1, False, True, b"123456")])


class _Wire:
    """Collects what is sent; fails and blocks when told to."""

    def __init__(self) -> None:
        self.sent: SimpleQueue[Piece] = SimpleQueue()
        self.there = frozenset({"peer"})
        self.trouble = ""
        self.gate = threading.Event()
        self.gate.set()

    def send(self, peer: str, piece: Piece) -> str:
        self.gate.wait(10)
        if self.trouble:
            return self.trouble
        self.sent.put(piece)
        return ""

    def peers(self) -> frozenset[str]:
        return self.there

    def lane(self) -> Lane:
        return Lane("peer", self.send, lambda name: name in self.there)


def test_a_lane_sends_in_order_and_starts_a_half_sent_frame_again_after_a_reconnection() -> None:
    wire = _Wire()
    lane = wire.lane()
    lane.post(b"first")
    assert wire.sent.get(timeout=5).number == 0
    wire.gate.clear()
    lane.post(b"y" * (3 * PIECE))
    lane.renew()
    wire.gate.set()
    came: list[bytes] = []
    assembly = Assembly("peer")
    while not came:
        came += assembly.take(wire.sent.get(timeout=5), 0.0)
    assert came == [b"y" * (3 * PIECE)]
    lane.close()


def test_a_lane_to_nobody_takes_nothing_and_says_so() -> None:
    wire = _Wire()
    wire.there = frozenset()
    with pytest.raises(Unavailable, match=r"peer is not connected"):
        wire.lane().post(b"frame")


def test_a_lane_refuses_what_is_too_large_and_what_comes_too_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    wire = _Wire()
    wire.gate.clear()
    lane = wire.lane()
    with pytest.raises(Misuse, match=r"at most"):
        lane.post(bytes(MAX_FRAME + 1))
    monkeypatch.setattr("caduceus.edges.flare.lane.MAX_WAITING", 100)
    assert MAX_WAITING > MAX_FRAME
    lane.post(b"x" * 100)
    with pytest.raises(Unavailable, match=r"too slowly"):
        lane.post(b"x")
    wire.gate.set()
    lane.close()


def test_what_cannot_be_sent_is_dropped_and_the_next_frame_begins_a_new_run(caplog: pytest.LogCaptureFixture) -> None:
    wire = _Wire()
    lane = wire.lane()
    wire.trouble = "target_unreachable"
    lane.post(b"lost")
    _until(lambda: "1 frame(s) to peer were dropped: target_unreachable" in caplog.text)
    wire.trouble = ""
    lane.post(b"found")
    piece = wire.sent.get(timeout=5)
    assert (bytes(piece.body), piece.number, piece.run[-2:]) == (b"found", 0, ":1")
    lane.close()


def _until(happened: Any) -> None:
    deadline = time.monotonic() + 10
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_frames_that_come_before_anybody_listens_are_handed_over_first_and_a_failing_listener_hears_the_next() -> None:
    transport = Transport(_Wire())
    heard: SimpleQueue[tuple[str, bytes]] = SimpleQueue()

    def arrived(peer: str, frame: bytes) -> None:
        heard.put((peer, frame))
        if frame == b"one":
            raise ValueError("a bug above")

    made = _pieces([b"one", b"two"], RUN)
    transport.take("peer", made[0])
    hub = HubTransport(transport)
    hub.listen(arrived)
    transport.take("peer", made[1])
    assert [heard.get(timeout=5), heard.get(timeout=5)] == [("peer", b"one"), ("peer", b"two")]
    with pytest.raises(Misuse, match=r"has a listener already"):
        hub.listen(arrived)
    transport.close()


def test_a_gap_is_given_up_without_another_piece() -> None:
    transport = Transport(_Wire())
    heard: SimpleQueue[bytes] = SimpleQueue()
    spoke = SpokeTransport(transport)
    spoke.listen(heard.put)
    transport.take("server", _pieces([b"lost", b"kept"], RUN)[1])
    assert heard.get(timeout=10) == b"kept"
    assert not spoke.connected()
    with pytest.raises(Unavailable, match=r"server is not connected"):
        spoke.post(b"frame")
    transport.close()
