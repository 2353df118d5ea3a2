"""Hub and spokes over an engine with faults: handshakes, messages, restarts, losses, refusals told on both sides."""

from __future__ import annotations

import threading
import time

import pytest
from switchboard_engine import DOMAIN, JOB, OTHER_JOB, Echo, Office, account_of, key_of

from caduceus.edges.switchboard.frames import Kind, read, seal
from caduceus.edges.switchboard.limits import Allowance
from caduceus.edges.switchboard.line import MESSAGES_WAITING
from caduceus.errors import Refused, Unavailable
from caduceus.ports import Envelope

ASH, BIRCH = account_of("Ash"), account_of("Birch")
ONE = {ASH: key_of("Ash").address}


@pytest.fixture
def office() -> Office:
    return Office()


def frames(office: Office, kind: Kind) -> list[tuple[str, str, bytes]]:
    return [one for one in office.wire.seen if read(one[2]).kind is kind]


def exchange(office: Office, line, body: bytes) -> bytes:
    """What Ash answers."""
    line.send(ASH, body)
    got: list[Envelope] = []

    def has_come() -> bool:
        while (envelope := line.receive(timeout=0)) is not None:
            if envelope.body:
                got.append(envelope)
        return bool(got)

    office.wire.flow_until(has_come)
    return got[-1].body


def test_both_sides_are_connected_after_a_handshake_and_not_before(office):
    spoke = office.start("Ash")
    assert not spoke.is_connected
    assert office.hub.connected == ()
    with pytest.raises(Unavailable):
        spoke.get(b"x" * 32)
    office.meet(spoke)
    assert spoke.is_connected
    assert office.hub.connected == (ASH,)
    assert office.told == []


def test_messages_go_both_ways_in_order(office):
    spoke, line = office.connect("Ash"), office.hub.open(JOB, ONE)
    echo = Echo()
    spoke.serve(JOB, key_of("hub").address, echo)
    said = [b"%d" % number for number in range(50)]
    for body in said:
        line.send(ASH, body)
    got: list[bytes] = []

    def all_here() -> bool:
        while (envelope := line.receive(timeout=0)) is not None:
            assert envelope.sender == ASH
            got.append(envelope.body)
        return len(got) >= 50

    office.wire.flow_until(all_here)
    assert echo.heard == said
    assert got == [b"re: " + body for body in said]
    assert office.told == []


def test_several_threads_of_the_hub_send_to_one_party_and_nothing_is_refused(office):
    spoke = office.connect("Ash")
    lines = [office.hub.open(job, ONE) for job in (JOB, OTHER_JOB)]
    echoes = [Echo(), Echo()]
    for job, echo in zip((JOB, OTHER_JOB), echoes, strict=True):
        spoke.serve(job, key_of("hub").address, echo)

    def send(line) -> None:
        for number in range(30):
            line.send(ASH, b"%d" % number)

    threads = [threading.Thread(target=send, args=(line,)) for line in lines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    office.wire.flow_until(lambda: all(len(echo.heard) == 30 for echo in echoes))
    assert all(echo.heard == [b"%d" % number for number in range(30)] for echo in echoes)
    numbers = [read(frame).header.number for to, _, frame in office.wire.seen if to == "spoke"][1:]
    assert numbers == sorted(numbers)
    assert office.told == []


def test_a_hub_that_starts_again_is_found_by_the_next_hello_and_its_messages_are_new(office):
    spoke, line = office.connect("Ash"), office.hub.open(JOB, ONE)
    spoke.serve(JOB, key_of("hub").address, Echo())
    for number in range(5):
        exchange(office, line, b"%d" % number)
    line = office.start_hub().open(JOB, ONE)
    with pytest.raises(Unavailable):
        line.send(ASH, b"too early")
    office.meet(spoke)
    assert exchange(office, line, b"again") == b"re: again"
    assert office.told == []


def test_a_party_that_starts_again_is_announced_to_its_jobs_once(office):
    office.connect("Ash")
    line, other = office.hub.open(JOB, ONE), office.hub.open(OTHER_JOB, {BIRCH: key_of("Birch").address})
    again = office.connect("Ash")
    office.meet(again)
    office.meet(again)
    assert line.receive(timeout=0) == Envelope(ASH, b"")
    assert line.receive(timeout=0) is None
    assert other.receive(timeout=0) is None
    again.serve(JOB, key_of("hub").address, Echo())
    assert exchange(office, line, b"hello") == b"re: hello"


def test_of_two_processes_with_the_same_keys_the_newer_is_heard_and_the_older_is_told(office):
    old = office.connect("Ash", peer="first")
    new = office.connect("Ash", peer="second")
    line = office.hub.open(JOB, ONE)
    for _ in range(3):
        office.meet(old, new)
    assert not old.is_connected
    assert new.is_connected
    assert any("another process with the keys of this account" in why for why in office.whys("Ash", theirs=True))
    assert any("another process with the keys of this account" in why for why in office.whys("hub"))
    assert line.receive(timeout=0) is None  # they do not take turns
    new.serve(JOB, key_of("hub").address, Echo())
    assert exchange(office, line, b"you") == b"re: you"


def test_of_two_processes_that_greet_a_new_hub_at_once_one_is_heard_in_the_end(office):
    one, two = office.start("Ash", peer="first"), office.start("Ash", peer="second")
    for _ in range(4):
        office.meet(one, two)
    assert one.is_connected + two.is_connected == 1


def test_a_party_is_reached_where_it_was_heard_of_last(office):
    spoke, line = office.connect("Ash"), office.hub.open(JOB, ONE)
    office.wire.spokes["new name"] = spoke.arrived
    spoke._outward = office.wire.outward("new name")
    office.meet(spoke)
    spoke.serve(JOB, key_of("hub").address, Echo())
    assert exchange(office, line, b"there") == b"re: there"
    assert office.wire.seen[-2][1] == "new name"


@pytest.mark.parametrize("lost", ["hub", "spoke"])
def test_a_message_that_is_lost_on_the_way_is_noticed_at_the_next_hello(office, lost):
    spoke, line = office.connect("Ash"), office.hub.open(JOB, ONE)
    echo = Echo()
    spoke.serve(JOB, key_of("hub").address, echo)
    office.wire.drop = lambda to, _peer, frame: to == lost and read(frame).kind is Kind.MESSAGE
    line.send(ASH, b"hear me")
    office.wire.flow_until(lambda: lost == "spoke" or len(frames(office, Kind.MESSAGE)) == 2)
    office.wire.flow()
    office.wire.drop = lambda *_: False
    assert line.receive(timeout=0) is None
    office.meet(spoke)
    assert line.receive(timeout=0) == Envelope(ASH, b"")  # so what was said to it is said again
    office.meet(spoke)
    assert line.receive(timeout=0) is None


def test_a_message_to_a_party_that_is_away_for_a_moment_is_noticed_when_it_is_back(office):
    spoke, line = office.connect("Ash"), office.hub.open(JOB, ONE)
    office.wire.cut.add("peer of Ash")
    with pytest.raises(Unavailable):
        line.send(ASH, b"one")
    assert office.hub.connected == ()
    office.wire.cut.clear()
    office.meet(spoke)
    assert line.receive(timeout=0) == Envelope(ASH, b"")


def test_what_came_before_a_party_was_ready_is_asked_for_again_when_it_is(office):
    spoke, line = office.connect("Ash"), office.hub.open(JOB, ONE)
    line.send(ASH, b"too early")
    office.wire.flow()
    assert line.receive(timeout=0) is None
    spoke.serve(JOB, key_of("hub").address, Echo())
    office.wire.flow()
    assert line.receive(timeout=0) == Envelope(ASH, b"")


# ------------------------------------------------------------ refused, with a reason on both sides


def test_a_wrong_key_is_refused_on_both_sides(office):
    spoke = office.connect("Ash", key="Mallory")
    assert not spoke.is_connected
    for side in ("hub", "Ash"):
        assert any("not signed by the key" in why for why in office.whys(side))
    assert office.told[0][1] is None  # nobody is blamed for what somebody else signed
    assert "peer of Ash" in office.whys("hub")[0]


def test_a_stranger_is_refused_on_both_sides_and_heard_once_it_is_a_member(office, monkeypatch):
    spoke = office.connect("Ash", joins=False)
    for side in ("hub", "Ash"):
        assert any("no member of this network" in why for why in office.whys(side))
    office.join("Ash")
    later = time.monotonic() + 3.0
    monkeypatch.setattr(office.hub._members, "_now", lambda: later)
    office.meet(spoke)
    assert spoke.is_connected


def test_a_hub_with_a_wrong_key_is_not_believed(office):
    office.members[account_of("hub")] = key_of("Mallory").address
    spoke = office.connect("Ash")
    assert not spoke.is_connected
    assert any("not signed by the key" in why for why in office.whys("Ash", theirs=False))


def test_a_frame_for_another_coordinator_is_refused_on_both_sides(office):
    office.join("another hub")
    office.connect("Ash", hub="another hub")
    assert any("this is the coordinator" in why for why in office.whys("hub"))
    # The party does not believe this hub, which is not its own, but says what it heard from where.
    assert any("which are not this line's ends" in why for why in office.whys("Ash"))


def test_a_job_that_has_not_begun_or_is_over_or_without_a_seat_is_refused_on_both_sides(office):
    ash, birch = office.connect("Ash"), office.connect("Birch")
    ash._reply(JOB, b"too early")
    office.wire.flow()
    office.hub.open(JOB, ONE)
    birch._reply(JOB, b"no seat")
    office.wire.flow()
    office.hub.shut(JOB)
    ash._reply(JOB, b"too late")
    office.wire.flow()
    for side in ("Ash", "Birch"):
        assert any("no round is open to" in why for why in office.whys(side, theirs=True))
    assert sum("no round is open to" in why for why in office.whys("hub")) == 2  # Ash's second is the same in words


def test_a_message_about_a_job_that_a_party_has_left_or_has_no_part_in_is_refused_on_both_sides(office):
    spoke, line = office.connect("Ash"), office.hub.open(JOB, ONE)
    line.send(ASH, b"come")
    office.wire.flow()
    assert any("has no part in it" in why for why in office.whys("hub", theirs=True))
    spoke.serve(JOB, key_of("hub").address, Echo())
    spoke.leave(JOB)
    line.send(ASH, b"come back")
    office.wire.flow()
    assert any("it is over" in why for why in office.whys("hub", theirs=True))
    assert any("it is over" in why for why in office.whys("Ash", theirs=False))


def test_a_job_whose_chain_names_another_key_is_refused_on_both_sides(office):
    spoke, line = office.connect("Ash"), office.hub.open(JOB, ONE)
    spoke.serve(JOB, key_of("an older key").address, Echo())
    line.send(ASH, b"come")
    office.wire.flow()
    for side in ("hub", "Ash"):
        assert any("not signed by the key" in why for why in office.whys(side))
    line = office.hub.open(JOB, {ASH: key_of("an older key").address})
    spoke._reply(JOB, b"with my new key")
    office.wire.flow()
    assert line.receive(timeout=0) is None
    assert any("not signed by the key" in why for why in office.whys("Ash", theirs=True))


def test_what_a_reactor_refuses_is_told_to_the_coordinator_and_a_bug_is_not(office):
    class Sour:
        def react(self, body: bytes) -> list[bytes]:
            if body == b"bug":
                raise ValueError("a bug")
            raise Refused("I would rather not")

    spoke, line = office.connect("Ash"), office.hub.open(JOB, ONE)
    spoke.serve(JOB, key_of("hub").address, Sour())
    line.send(ASH, b"dance")
    office.wire.flow_until(lambda: any("I would rather not" in why for why in office.whys("hub", theirs=True)))
    assert any("I would rather not" in why for why in office.whys("Ash", theirs=False))
    line.send(ASH, b"bug")
    office.wire.flow_until(lambda: office.bugs)
    assert not any("a bug" in why for why in office.whys("hub"))


def test_a_declined_job_is_told_now_and_to_the_next_process_of_the_coordinator(office):
    spoke = office.start("Ash")
    spoke.decline(JOB, ["no consent", "no money"])
    office.meet(spoke)
    assert office.whys("hub", theirs=True) == ["declines: no consent; no money"]
    office.told.clear()
    office.start_hub()
    office.meet(spoke)
    assert office.whys("hub", theirs=True) == ["declines: no consent; no money"]


def test_no_refusal_is_answered_by_a_refusal(office):
    spoke, _ = office.connect("Ash"), office.hub.open(JOB, ONE)
    spoke.decline(JOB, ["no"])
    office.start_hub()  # whose session the decline is not for
    before = len(office.wire.seen)
    office.wire.flow()
    assert len(office.wire.seen) == before
    assert any("earlier process of this coordinator" in why for why in office.whys("hub"))


# ------------------------------------------------------------ blobs


def test_a_blob_is_fetched_and_handed_in(office):
    spoke = office.connect("Ash")
    with office.background():
        digest = spoke.put(b"mine")
        assert office.store.get(digest) == b"mine"
        assert spoke.get(office.store.put(b"theirs")) == b"theirs"
        assert spoke.put(b"mine") == digest
        with pytest.raises(Refused, match=r"does not have it"):
            spoke.get(b"x" * 32)
        with pytest.raises(Refused, match=r"digest of 32 bytes"):
            spoke.get(b"short")
    assert office.told[-1][0] == "hub"


def test_two_threads_that_ask_for_the_same_blob_both_get_it_and_a_put_is_no_get(office):
    spoke, digest = office.connect("Ash"), office.store.put(b"wanted")
    got: list[bytes] = []
    jobs = [threading.Thread(target=lambda: got.append(spoke.get(digest))) for _ in range(2)]
    jobs.append(threading.Thread(target=lambda: got.append(spoke.put(b"wanted"))))
    for job in jobs:
        job.start()
    office.wire.flow_until(lambda: len(got) == 3)
    assert sorted(got, key=len) == [b"wanted", b"wanted", digest]


def test_another_blob_than_the_one_asked_for_is_not_taken(office):
    spoke, digest = office.connect("Ash"), office.store.put(b"right")
    office.store.blobs[digest] = b"wrong"
    spoke._patience = 0.2
    with office.background(), pytest.raises(Unavailable, match=r"has not answered"):
        spoke.get(digest)
    assert any("nobody here waits for" in why for why in office.whys("Ash"))


def test_a_blob_that_is_too_large_is_refused_here_and_there(office, monkeypatch):
    spoke = office.connect("Ash")
    monkeypatch.setattr("caduceus.edges.switchboard.spoke.BLOB_MOST", 10)
    with pytest.raises(Refused, match=r"11 bytes; at most 10"):
        spoke.put(b"x" * 11)
    monkeypatch.setattr(office.hub._blobs, "_quota", 8)
    with office.background():
        with pytest.raises(Refused, match=r"has handed in 0 bytes; at most 8"):
            spoke.put(b"x" * 9)
        spoke.put(b"x" * 8)
    assert any("at most 8" in why for why in office.whys("hub"))


def test_what_was_asked_of_a_hub_that_started_again_is_unavailable_at_once(office):
    spoke, failed = office.connect("Ash"), []

    def ask() -> None:
        try:
            spoke.get(b"x" * 32)
        except Unavailable as problem:
            failed.append(str(problem))

    office.wire.drop = lambda _to, _peer, frame: read(frame).kind is Kind.ASK
    asking = threading.Thread(target=ask)
    asking.start()
    office.wire.flow_until(lambda: frames(office, Kind.ASK) and not office.wire.queue)
    office.start_hub()
    office.meet(spoke)
    asking.join(timeout=30.0)
    assert failed
    assert "started again" in failed[0]


# ------------------------------------------------------------ floods


def test_a_party_that_talks_too_much_is_refused_until_it_has_been_read(office):
    spoke, line = office.connect("Ash"), office.hub.open(JOB, ONE)
    for number in range(MESSAGES_WAITING + 3):
        spoke._reply(JOB, b"%d" % number)
    office.wire.flow()
    assert any("wait to be read" in why for why in office.whys("Ash", theirs=True))
    read_ = 0
    while line.receive(timeout=0) is not None:
        read_ += 1
    assert read_ == MESSAGES_WAITING


def test_a_peer_that_sends_rubbish_is_soon_not_even_read_and_is_told_of_once(office):
    spoke = office.connect("Ash")
    office.hub._errors = Allowance(64, 0.0)
    before, asked = len(office.told), len(office.asked)
    for number in range(500):
        office.hub.arrived("rubbish", b"%d" % number * 10)
    assert len(office.told) - before <= 65
    assert len(office.asked) == asked
    office.meet(spoke)
    assert spoke.is_connected


def test_a_stranger_who_claims_many_accounts_costs_few_questions_to_the_chain(office):
    office.connect("Ash")
    header = read(frames(office, Kind.HELLO)[0][2]).header
    office.hub._errors = Allowance(64, 0.0)
    asked, mallory = len(office.asked), key_of("Mallory")
    for number in range(500):
        claim = type(header)(
            header.job, number.to_bytes(20), header.origin, header.to, header.session, 1, header.kind, 0, header.body
        )
        office.hub.arrived("Mallory's certificate", seal(claim, b"", mallory, DOMAIN))
    assert len(office.asked) - asked <= 64
    assert BIRCH not in office.hub._parties
    assert len(office.hub._parties) == 1


def test_hellos_do_not_ask_the_chain_each_time(office, monkeypatch):
    spoke = office.connect("Ash")
    now = time.monotonic()
    for members in (office.hub._members, spoke._members):
        monkeypatch.setattr(members, "_now", lambda: now)
    asked = len(office.asked)
    for _ in range(100):
        office.meet(spoke)
    assert len(office.asked) == asked


def test_a_replaced_key_is_heard_as_soon_as_a_frame_needs_it(office, monkeypatch):
    office.connect("Ash")
    office.join("Ash", key="new key")
    later = time.monotonic() + 3.0
    monkeypatch.setattr(office.hub._members, "_now", lambda: later)
    assert office.connect("Ash", key="new key").is_connected


def test_a_party_cannot_make_the_coordinator_repeat_itself_without_end(office):
    spoke = office.connect("Ash")
    office.hub._returns = Allowance(3, 0.0)
    line, times = office.hub.open(JOB, ONE), 0
    for _ in range(10):
        spoke._has_lost = True
        office.meet(spoke)
        times += line.receive(timeout=0) is not None
    assert times == 3
    assert any("too often" in why for why in office.whys("Ash", theirs=True))


def test_two_hundred_parties_shake_hands_quickly(office):
    spokes = [office.start(f"site {number}") for number in range(200)]
    began = time.process_time()
    office.meet(*spokes)
    assert all(spoke.is_connected for spoke in spokes)
    assert time.process_time() - began < 20.0  # a thousandth of it is usual; a handshake is six signatures
    assert office.told == []
