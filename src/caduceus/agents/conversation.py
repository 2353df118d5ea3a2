"""How the coordinator talks with the parties of a job: it sends, listens until a deadline, and advances.

A party that starts again in the middle is told again what was said to it since the conversation began, in order: it
repeats itself, and goes on where it was. One that cannot be reached counts as silent until it is back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol, final

from caduceus.errors import Unavailable
from caduceus.kinds import Address
from caduceus.ports import Channel, Clock


class Half(Protocol):
    """The coordinator's half of a protocol, without input or output; parties are numbered."""

    @property
    def ready(self) -> bool: ...

    @property
    def is_over(self) -> bool: ...

    def receive(self, seat: int, data: bytes) -> list[bytes]: ...

    def advance(self) -> Mapping[int, bytes]: ...


@final
class Conversation:
    """Lines to numbered parties.

    parties   accounts by number
    patience  seconds that a party may take to answer one message
    """

    def __init__(self, channel: Channel, clock: Clock, parties: Mapping[int, Address], patience: float) -> None:
        self._channel, self._clock, self._patience = channel, clock, patience
        self._parties = dict(parties)
        self._numbers = {account: number for number, account in parties.items()}
        self._said: dict[int, list[bytes]] = {}
        self._preface: Callable[[int], bytes | None] = _nothing

    def begin_with(self, preface: Callable[[int], bytes | None]) -> None:
        """What a party must have heard before it can follow; told again to whoever comes back, before all else.

        preface  by party; None where there is nothing to tell it
        """
        self._preface = preface

    def remind(self, party: int) -> None:
        """Tell a party what it must have heard, in case it has not."""
        if (first := self._preface(party)) is not None:
            self._post(party, first)

    def send(self, party: int, body: bytes) -> None:
        """Hand a message over for delivery; it waits for a party that is not there."""
        self._said.setdefault(party, []).append(body)
        self._post(party, body)

    def _post(self, party: int, body: bytes) -> None:
        try:
            self._channel.send(self._parties[party], body)
        except Unavailable:
            return  # told again once it is back, if that is in time

    def _say_again(self, party: int) -> None:
        self.remind(party)
        for body in self._said.get(party, ()):
            self._post(party, body)

    def hold(
        self,
        server: Half,
        outgoing: Mapping[int, bytes],
        known: Iterable[int] = (),
        on_advance: Callable[[], None] = lambda: None,
    ) -> None:
        """Send, listen, advance, until the server is done; raises Refused if too few sites are left.

        known       whose first answer the server has already: it comes again all the same, and is waited for, so that
                    it does not disturb what follows
        on_advance  called when a phase has closed, before anybody hears of it
        """
        waiting = set(known)
        self._said.clear()
        while not server.is_over:
            for seat, body in outgoing.items():
                self.send(seat, body)
            self._listen(server, waiting)
            outgoing, waiting = server.advance(), set()
            on_advance()
        for seat, body in outgoing.items():
            self.send(seat, body)

    def _listen(self, server: Half, waiting: set[int]) -> None:
        """Take in answers until everyone has answered or the deadline of this exchange has passed."""
        deadline = self._clock.monotonic() + self._patience
        while (waiting or not server.ready) and (left := deadline - self._clock.monotonic()) > 0:
            envelope = self._channel.receive(timeout=left)
            if envelope is None:
                return
            seat = self._numbers.get(envelope.sender)
            if seat is None:
                continue
            if not envelope.body:
                self._say_again(seat)
                continue
            waiting.discard(seat)
            for reply in server.receive(seat, envelope.body):
                self._post(seat, reply)


def _nothing(_party: int) -> bytes | None:
    return None
