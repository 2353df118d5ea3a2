"""What somebody who sees every frame can do: nothing by playing them again, nothing by any bytes at all."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from switchboard_engine import DOMAIN, JOB, Echo, Office, account_of, key_of

from caduceus import canon
from caduceus.edges.switchboard.frames import Header, Kind, Refusal, read, read_refusal, seal
from caduceus.edges.switchboard.limits import Allowance
from caduceus.edges.switchboard.window import Window
from caduceus.errors import Refused

ASH = account_of("Ash")
ONE = {ASH: key_of("Ash").address}


def recorded() -> tuple[Office, Echo]:
    """An office in which a little of everything has been said."""
    office = Office()
    spoke, line, echo = office.connect("Ash"), office.hub.open(JOB, ONE), Echo()
    spoke.serve(JOB, key_of("hub").address, echo)
    with office.background():
        digest = spoke.put(b"blob")
        spoke.get(digest)
        with pytest.raises(Refused):
            spoke.get(b"x" * 32)
        line.send(ASH, b"hello")
        assert line.receive(timeout=10) is not None
        spoke.decline(JOB, ["no"])
    office.wire.flow()
    office.meet(spoke)
    office.told.clear()
    office.hub._errors = Allowance(10_000, 0)
    office.spoke, office.line = spoke, line
    return office, echo


def test_every_recorded_frame_is_refused_when_played_again_and_both_sides_learn_why():
    office, echo = recorded()
    seen = list(office.wire.seen)
    assert {read(frame).kind for _, _, frame in seen} == set(Kind)
    blobs, heard = dict(office.store.blobs), list(echo.heard)
    for to, peer, frame in seen:
        before = len(office.told)
        office.hub._quiet._said.clear()
        office.spoke._quiet._said.clear()
        (office.hub.arrived if to == "hub" else lambda _peer, data: office.spoke.arrived(data))(peer, frame)
        office.wire.flow()
        kind = read(frame).kind
        if kind is Kind.HELLO:
            continue  # is answered where it came from, and what is answered is of no use: see the next test
        assert len(office.told) > before, kind
        if to == "hub" and kind is not Kind.DECLINE and kind is not Kind.REFUSAL:
            assert any(who == "Ash" and theirs for who, _, _, theirs in office.told[before:]), kind
    assert (office.store.blobs, echo.heard) == (blobs, heard)
    assert office.line.receive(timeout=0) is None
    office.meet(office.spoke)
    assert office.spoke.is_connected
    assert not office.bugs


def test_a_hello_played_again_by_somebody_else_moves_nobody():
    office, _ = recorded()
    hello = next(frame for _, _, frame in office.wire.seen if read(frame).kind is Kind.HELLO)
    caught: list[bytes] = []
    office.wire.spokes["Mallory"] = caught.append
    office.hub.arrived("Mallory", hello)
    office.wire.flow()
    assert [read(frame).kind for frame in caught] == [Kind.WELCOME]
    assert office.hub._parties[ASH].peer == "peer of Ash"
    office.spoke.arrived(caught[0])  # a hello that was answered is not answered twice
    assert any("answers no hello" in why for why in office.whys("Ash"))


@pytest.mark.parametrize("restarted", ["hub", "spoke", "both"])
def test_no_recorded_frame_means_anything_to_a_process_that_started_later(restarted):
    office, echo = recorded()
    seen = list(office.wire.seen)
    spoke = office.spoke
    if restarted != "hub":
        spoke = office.start("Ash")
        later = Echo()
        spoke.serve(JOB, key_of("hub").address, later)
    else:
        later = echo
    if restarted != "spoke":
        office.start_hub()
        office.hub._errors = Allowance(10_000, 0)
    line = office.hub.open(JOB, ONE)
    office.meet(spoke)
    while line.receive(timeout=0) is not None:
        pass
    heard, session, peer = list(later.heard), office.hub._parties[ASH].session, office.hub._parties[ASH].peer
    hub_session = spoke._hub_session
    for to, _, frame in seen:
        if to == "hub":
            office.hub.arrived("Mallory", frame)
        else:
            spoke.arrived(frame)
    office.wire.flow()
    assert (later.heard, line.receive(timeout=0)) == (heard, None)
    assert (office.hub._parties[ASH].session, office.hub._parties[ASH].peer) == (session, peer)
    assert spoke._hub_session == hub_session
    assert len(office.store.blobs) == 1


def test_a_member_cannot_speak_for_another_member():
    office, _ = recorded()
    office.connect("Birch")
    frame = next(frame for _, _, frame in office.wire.seen if read(frame).kind is Kind.MESSAGE)
    old = read(frame).header
    forged = Header(JOB, ASH, old.origin, old.to, old.session, old.number + 500, old.kind, old.size, old.body)
    office.hub.arrived("peer of Birch", seal(forged, read(frame).body, key_of("Birch"), DOMAIN))
    assert "not signed by the key" in office.whys("hub")[-1]
    assert office.told[-1][1] is None
    assert office.line.receive(timeout=0) is None


def test_a_changed_body_or_number_or_receiver_is_refused():
    office, echo = recorded()
    _, _, frame = next(one for one in office.wire.seen if one[0] == "spoke" and read(one[2]).kind is Kind.MESSAGE)
    heard = list(echo.heard)
    office.spoke.arrived(frame[:-1] + b"x")
    assert "another body" in office.whys("Ash")[-1]
    office.spoke.arrived(frame + b"x")
    assert "behind its head" in office.whys("Ash")[-1]
    at = frame.index(account_of("Ash"))
    office.spoke.arrived(frame[:at] + account_of("Elm") + frame[at + 20 :])
    assert "not this line's ends" in office.whys("Ash")[-1]
    assert echo.heard == heard


def state(office: Office) -> object:
    """Everything that a frame may change."""
    parties = {
        account: (one.peer, one.session, one.turn, one.number, one.window.highest)
        for account, one in office.hub._parties.items()
    }
    spoke = office.spoke
    return (
        parties,
        dict(office.store.blobs),
        office.line.receive(timeout=0),
        (spoke._hub_session, spoke._is_seated, spoke._window.highest, spoke._serving._served.keys()),
    )


@pytest.fixture(scope="module")
def standing() -> Office:
    office, _ = recorded()
    office.spoke._errors = Allowance(1 << 40, 0)
    office.hub._errors = Allowance(1 << 40, 0)
    office.recorded = tuple(office.wire.seen)
    return office


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=700))
def test_any_bytes_change_nothing_and_raise_nothing(standing, data):
    before = state(standing)
    standing.hub.arrived("peer of Ash", data)
    standing.spoke.arrived(data)
    assert state(standing) == before


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_changed_frame_changes_nothing_and_raises_nothing(standing, data):
    before = state(standing)
    _, _, frame = data.draw(st.sampled_from(standing.recorded))
    at = data.draw(st.integers(0, len(frame) - 1))
    changed = frame[:at] + bytes([frame[at] ^ data.draw(st.integers(1, 255))]) + frame[at + 1 :]
    standing.hub.arrived("peer of Ash", changed)
    standing.spoke.arrived(changed)
    assert state(standing) == before


_HEADER = st.builds(
    Header,
    job=st.sampled_from([JOB, bytes(32), b"", b"x" * 33]),
    sender=st.sampled_from([ASH, account_of("hub"), b"", b"y" * 20]),
    origin=st.sampled_from([bytes(16), (1).to_bytes(16), (2).to_bytes(16), b"z"]),
    to=st.sampled_from([ASH, account_of("hub"), b""]),
    session=st.sampled_from([bytes(16), (1).to_bytes(16), (2).to_bytes(16), b""]),
    number=st.sampled_from([-1, 0, 1, 3, 1 << 63, 1 << 200]),
    kind=st.integers(-1, 12),
    size=st.sampled_from([0, 1, 32, -1, 1 << 40]),
    body=st.binary(max_size=32),
)


@settings(max_examples=150, deadline=None)
@given(_HEADER, st.binary(max_size=40), st.sampled_from(["Ash", "hub", "Mallory"]))
def test_whatever_even_a_member_signs_raises_nothing(standing, header, body, who):
    frame = seal(header, body, key_of(who), DOMAIN)
    standing.hub.arrived("peer of Ash", frame)
    standing.spoke.arrived(frame)


@given(st.lists(st.integers(1, 60)))
def test_a_window_takes_each_number_once_in_any_order(numbers):
    window, taken = Window(), []
    for number in numbers:
        if window.take(number):
            taken.append(number)
    assert sorted(taken) == sorted(set(numbers))
    assert not window.take(0)
    assert not window.take(-5)


def test_a_window_forgets_what_is_far_behind_and_refuses_it():
    window = Window()
    assert window.take(5000)
    assert not window.take(5000 - Window.WIDTH)
    assert window.take(5001 - Window.WIDTH)


@given(st.sets(st.integers(1, 40)), st.integers(0, 45))
def test_a_window_says_once_whether_numbers_are_missing(numbers, upto):
    window = Window()
    for number in numbers:
        window.take(number)
    assert window.misses(upto) == (not set(range(1, upto + 1)) <= numbers)
    assert not window.misses(upto)


def test_a_refusal_that_would_move_a_terminal_is_one_plain_line():

    said = read_refusal(canon.pack(Refusal("X" * 99, 3, b"w" * 99, "red\x1b[31m\nnext line")))
    assert said.why.isprintable()
    assert (len(said.kind), len(said.what)) == (40, 32)
