"""How the coordinator talks with parties that come and go."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from caduceus.agents.conversation import Conversation
from caduceus.errors import Unavailable
from caduceus.kinds import Address
from caduceus.ports import Envelope

ASH, BIRCH, STRANGER = Address(b"a" * 20), Address(b"b" * 20), Address(b"s" * 20)


class Line:
    """Implements `ports.Channel` and `ports.Clock`: what will come is known; waiting for nothing takes all the time."""

    def __init__(self, *coming: tuple[Address, bytes]) -> None:
        self.coming, self.sent = deque(coming), list[tuple[Address, bytes]]()
        self.away: set[Address] = set()
        self.time = 0.0

    def send(self, site: Address, body: bytes) -> None:
        if site in self.away:
            raise Unavailable("not there")
        self.sent.append((site, body))

    def receive(self, *, timeout: float) -> Envelope | None:
        if not self.coming:
            self.time += timeout
            return None
        sender, body = self.coming.popleft()
        if not body:
            self.away.discard(sender)
        return Envelope(sender, body)

    def monotonic(self) -> float:
        return self.time


class Two:
    """Implements `Half`: asks twice, and waits for as many answers as there are seats, thanking each."""

    def __init__(self, seats: int = 2) -> None:
        self.seats, self.phase, self.got = seats, 0, list[set[int]]()
        self.got.append(set())

    @property
    def ready(self) -> bool:
        return len(self.got[self.phase]) == self.seats

    @property
    def is_over(self) -> bool:
        return self.phase == 2

    def receive(self, seat: int, data: bytes) -> list[bytes]:
        if data != b"answer %d" % self.phase:
            return []
        self.got[self.phase].add(seat)
        return [b"thanks"]

    def advance(self) -> Mapping[int, bytes]:
        self.phase += 1
        self.got.append(set())
        return dict.fromkeys(range(self.seats), b"question %d" % self.phase)


FIRST = {0: b"question 0", 1: b"question 0"}


def hold(line: Line, patience: float = 10.0) -> Two:
    half = Two()
    Conversation(line, line, {0: ASH, 1: BIRCH}, patience).hold(half, FIRST)
    return half


def said_to(line: Line, account: Address) -> list[bytes]:
    return [body for site, body in line.sent if site == account]


def test_everybody_is_asked_heard_and_asked_again_without_waiting():
    line = Line((ASH, b"answer 0"), (BIRCH, b"answer 0"), (ASH, b"answer 1"), (BIRCH, b"answer 1"))
    half = hold(line)
    assert half.got[:2] == [{0, 1}, {0, 1}]
    assert said_to(line, ASH) == [b"question 0", b"thanks", b"question 1", b"thanks", b"question 2"]
    assert line.time == 0.0


def test_a_party_that_returns_is_told_in_order_what_was_said_to_it_and_nobody_else_is():
    line = Line(
        (ASH, b"answer 0"),
        (BIRCH, b"answer 0"),
        (ASH, b""),
        (ASH, b"answer 0"),
        (ASH, b"answer 1"),
        (BIRCH, b"answer 1"),
    )
    half = hold(line)
    assert half.got[:2] == [{0, 1}, {0, 1}]
    asked = [body for body in said_to(line, ASH) if body != b"thanks"]
    assert asked == [b"question 0", b"question 1", b"question 0", b"question 1", b"question 2"]
    assert said_to(line, BIRCH).count(b"question 0") == 1


def test_a_party_that_is_away_is_told_when_it_is_back():
    line = Line((BIRCH, b"answer 0"), (ASH, b""), (ASH, b"answer 0"), (ASH, b"answer 1"), (BIRCH, b"answer 1"))
    line.away.add(ASH)
    half = hold(line)
    assert half.got[:2] == [{0, 1}, {0, 1}]
    assert said_to(line, ASH)[0] == b"question 0"


def test_who_stays_silent_is_waited_for_as_long_as_patience_lasts_each_time():
    line = Line((BIRCH, b"answer 0"))
    half = hold(line, patience=7.0)
    assert half.got[:2] == [{1}, set()]
    assert line.time == 14.0


def test_a_stranger_is_not_listened_to():
    line = Line((STRANGER, b"answer 0"), (STRANGER, b""), (ASH, b"answer 0"), (BIRCH, b"answer 0"))
    assert hold(line).got[0] == {0, 1}
    assert said_to(line, STRANGER) == []


def test_what_an_earlier_conversation_said_is_not_said_again():
    line = Line((ASH, b"answer 0"), (BIRCH, b"answer 0"), (ASH, b"answer 1"), (BIRCH, b"answer 1"))
    talk = Conversation(line, line, {0: ASH, 1: BIRCH}, 1.0)
    talk.hold(Two(), FIRST)
    line.sent.clear()
    line.coming.extend([(ASH, b""), (ASH, b"answer 0"), (BIRCH, b"answer 0")])
    talk.hold(Two(), {0: b"another question", 1: b"another question"})
    assert said_to(line, ASH)[:2] == [b"another question", b"another question"]
    assert b"question 2" not in said_to(line, ASH)[:3]


def test_a_repeated_answer_that_the_server_knows_is_waited_for_before_the_phase_closes():
    line = Line((ASH, b"answer 0"), (ASH, b"answer 1"))
    half, left = Two(seats=1), list[int]()
    half.got[0].add(0)  # the server has this answer from before its process died
    Conversation(line, line, {0: ASH}, 10.0).hold(
        half, {0: b"question 0"}, known=[0], on_advance=lambda: left.append(len(line.coming))
    )
    assert left == [1, 0]  # not before Ash had answered again
    assert line.time == 0.0


def test_a_party_that_returns_first_hears_what_it_must_know_to_follow():
    """Such as how a set-up ended, which it may have missed by dying at its last message."""
    line = Line((ASH, b""), (ASH, b"answer 0"), (BIRCH, b"answer 0"), (ASH, b"answer 1"), (BIRCH, b"answer 1"))
    lines = Conversation(line, line, {0: ASH, 1: BIRCH}, 10.0)
    lines.begin_with({0: b"outcome for ash"}.get)
    half = Two()
    lines.hold(half, FIRST)
    assert half.got[:2] == [{0, 1}, {0, 1}]
    assert said_to(line, ASH)[:3] == [b"question 0", b"outcome for ash", b"question 0"]
    assert b"outcome for ash" not in said_to(line, BIRCH)
    lines.remind(0)
    lines.remind(1)
    assert said_to(line, ASH)[-1] == b"outcome for ash"
    assert said_to(line, BIRCH)[-1] != b"outcome for ash"
