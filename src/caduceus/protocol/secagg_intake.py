"""Taking in what sites send, phase by phase: the coordinator's bookkeeping, the same in a set-up and in a round.

A site that breaks the protocol is named, its message is kept as evidence, and it counts as silent; the rest goes on
while enough are left. Nothing is raised for what a site sends: a hostile message changes nothing else.

What comes late, or says that it is of another set-up or round (see `secagg_stray`), is passed over: nothing is said,
kept or counted, and its sender is waited for as before. So a site that is named was named for something that an honest
one never sends here, and whoever reads the record again holds the coordinator to that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from typing import final

from caduceus import canon
from caduceus.errors import PeerFault, Refused
from caduceus.protocol import secagg_upload as uploads
from caduceus.protocol.envelope import kind_of

BARE = frozenset({"secagg/deal/1"})
"""Messages of sites that travel without an envelope, since a part of them is signed."""


@canon.record("secagg/fault/2")
class Fault:
    """A site that broke the protocol.

    seat      as the channel says; the evidence shows it if it carries the site's signature
    due       the kind of message that was due
    why       for people
    evidence  the message as received
    """

    seat: int
    due: str
    why: str
    evidence: bytes


Take = Callable[[int, bytes], list[bytes]]
"""Checks a message from a seat and gives what to say at once; raises PeerFault if the seat broke the protocol."""

Shelf = MutableMapping[int, bytes]
"""Where messages of a phase are kept, by seat: in memory, or wherever a caller has room for them."""

Again = Callable[[int, int], list[bytes]]
"""What followed a message of a phase from a seat that was taken before."""


@final
class Intake:
    """Messages by phase and seat.

    kinds    the tag of the message that is due in each phase
    seats    who is expected in the first
    largest  bytes that no message of an honest site exceeds, by phase
    stray    whether a message says that it is of another set-up or round
    shelves  where messages of a phase are kept, if not in memory
    same     whether what is kept of a seat's message in a phase is of this message; equality if None
    """

    def __init__(
        self,
        kinds: Sequence[str],
        seats: Iterable[int],
        largest: Sequence[int],
        stray: Callable[[bytes], bool],
        shelves: Mapping[int, Shelf] | None = None,
        same: Callable[[int, bytes, bytes], bool] | None = None,
    ) -> None:
        self._stray = stray
        self._same = same or (lambda _phase, kept, data: kept == data)
        self.phase = 0
        self.faults: list[Fault] = []
        self.taken: list[Shelf] = [(shelves or {}).get(phase, {}) for phase in range(len(kinds))]
        self._kinds, self._largest = tuple(kinds), tuple(largest)
        self._expected = set(seats)

    @property
    def is_over(self) -> bool:
        """Whether no phase is left."""
        return self.phase == len(self._kinds)

    @property
    def is_ready(self) -> bool:
        """Whether everyone who is still expected has answered in this phase."""
        return not self.is_over and self.taken[self.phase].keys() >= self._expected

    def receive(self, seat: int, data: bytes, take: Take, again: Again) -> list[bytes]:
        """Take in a message that the channel says came from a seat; returns what to send back to it at once.

        Of two different messages the first stands, since it may have been answered already; the second is written
        down. A message that came late, or is of another set-up or round, is passed over.
        """
        if self.is_over:
            return []
        said = self._phase_of(data)
        fits = said is not None and len(data) <= self._largest[said]
        if fits and said is not None and seat in self.taken[said] and self._same(said, self.taken[said][seat], data):
            return again(said, seat)
        if seat in self.taken[self.phase]:
            self._note_second(seat, data)
            return []
        if seat not in self._expected or self._is_passed_over(data):
            return []
        if len(data) > self._largest[self.phase]:
            self._drop(seat, f"sent {len(data)} bytes, at most {self._largest[self.phase]} are due", b"")
            return []
        try:
            replies = take(seat, data)
        except PeerFault as problem:
            self._drop(seat, problem.why, problem.evidence or data)
            return []
        self.taken[self.phase][seat] = data
        return replies

    def close(self, expected: Callable[[Sequence[int]], Iterable[int]], needed: int) -> list[int]:
        """Close the phase with whoever has answered.

        expected  who of them is expected to answer in the next
        returns   who has answered, ascending

        Raises Refused if fewer than `needed` have.
        """
        heard = sorted(self.taken[self.phase])
        if len(heard) < needed:
            what = self._kinds[self.phase].split("/")[1]
            raise Refused(f"only {len(heard)} sites answered with {what}, {needed} are needed")
        self._expected = set(expected(heard))
        self.phase += 1
        return heard

    def name(self, seat: int, why: str, evidence: bytes) -> None:
        """Write down that a site broke the protocol, once."""
        fault = Fault(seat, self._kinds[min(self.phase, len(self._kinds) - 1)], why, evidence)
        if all((one.seat, one.due, one.why) != (seat, fault.due, why) for one in self.faults):
            self.faults.append(fault)

    def _drop(self, seat: int, why: str, evidence: bytes) -> None:
        if not self._is_passed_over(evidence):
            self.name(seat, why, evidence)
            self._expected.discard(seat)

    def _note_second(self, seat: int, data: bytes) -> None:
        """A site says something else than before: the first stands, and the second is kept once, as evidence."""
        is_upload = uploads.kind_of(data) is not None  # its head names the rest
        evidence = data[: uploads.HEAD_BYTES if is_upload else self._largest[self.phase]]
        if not (self._is_passed_over(data) or self._is_passed_over(evidence)):
            self.name(seat, SECOND, evidence)

    def _is_passed_over(self, data: bytes) -> bool:
        """Whether a message, or what would be kept of it as evidence, is late or a stray.

        Evidence may be a part that its sender chose, such as the header of a deal. Whoever reads it again sees that
        part alone, and must not take it for something that should have been passed over.
        """
        return is_late(data, self._kinds[self.phase], self._kinds) or self._stray(data)

    def _phase_of(self, data: bytes) -> int | None:
        """The phase that a message says it belongs to."""
        said = kind_said(data)
        return self._kinds.index(said) if said in self._kinds else None


SECOND = "sent two different messages where one was due"


def is_late(data: bytes, due: str, kinds: Sequence[str]) -> bool:
    """Whether a message is of a kind that was due earlier: slow, not hostile.

    due    the kind that is due now
    kinds  all that are ever due, in their order
    """
    said = kind_said(data)
    return said in kinds and due in kinds and kinds.index(said) < kinds.index(due)


def kind_said(data: bytes) -> str | None:
    """What a message says it is."""
    if uploads.is_framed(data):  # told by its head: an upload is long, and looked at once
        return uploads.kind_of(data)
    bare = canon.peek_tag(data)
    return bare if bare in BARE else kind_of(data)


@final
class Outgoing(Mapping[int, bytes]):
    """What to send to whom, each message made when it is asked for: all together may be more than memory holds."""

    def __init__(self, seats: Iterable[int], make: Callable[[int], bytes]) -> None:
        self._seats, self._make = dict.fromkeys(seats), make

    def __getitem__(self, seat: int) -> bytes:
        if seat not in self._seats:
            raise KeyError(seat)
        return self._make(seat)

    def __iter__(self) -> Iterator[int]:
        return iter(self._seats)

    def __len__(self) -> int:
        return len(self._seats)
