"""What a mechanism has revealed, as data: the same records in a job's specification, at a site and in an audit.

Everything here is about one neighbouring relation: two data sets of one site are neighbours if one of them has all
rows of one patient more than the other. A mechanism bounds what one patient can change, and says so in the noise
multiplier; whoever adds events up need not know what was computed.
"""

from __future__ import annotations

from caduceus import canon
from caduceus.errors import Refused

DISCRETE_GAUSSIAN = "discrete-gaussian"
"""Whole ring steps from a discrete Gaussian (Canonne, Kamath and Steinke 2020), or a sum of several of them."""

MECHANISMS = frozenset((DISCRETE_GAUSSIAN,))
"""What the accountant knows; anything else is refused, not guessed."""

MOST_RELEASES = 10_000
MOST_EVENTS = 1_100
"""Each may stand for many releases."""

MOST_MULTIPLIER = 2.0**40
LEAST_RATE = 1e-9

MOST_SAMPLED = 16
"""Events with sampling take the accountant a second each: no stranger's specification asks for hours."""


@canon.record("privacy/event/1")
class Event:
    """Some releases of a vector, each with noise, one after the other.

    mechanism   in `MECHANISMS`
    multiplier  standard deviation of the noise in each entry, divided by the Euclidean norm of what one patient can
                change in the vector, > 0
    rate        each patient is in a release with this chance, independently (Poisson sampling), in (0, 1]; 1: always
    count       how many releases, >= 1
    """

    mechanism: str
    multiplier: float
    rate: float
    count: int


@canon.record("privacy/part/1")
class Part:
    """Events over the same patients, in the order of the releases."""

    events: tuple[Event, ...]

    @property
    def releases(self) -> int:
        """How many vectors are opened."""
        return sum(event.count for event in self.events)


@canon.record("privacy/spending/1")
class Spending:
    """Everything that a job opens.

    parts  in the order of the rounds. No patient is in two parts: which part a patient is in depends on nobody else
           (parallel composition), so the whole is worth its dearest part
    """

    parts: tuple[Part, ...]

    @property
    def releases(self) -> int:
        """How many vectors are opened."""
        return sum(part.releases for part in self.parts)

    def event(self, release: int) -> Event:
        """The event that a release belongs to.

        release  from 0

        Raises Refused if there are not so many.
        """
        left = release
        for event in (one for part in self.parts for one in part.events):
            if 0 <= left < event.count:
                return event
            left -= event.count
        raise Refused(f"release {release}: the specification has noise for {self.releases} releases")

    def first(self, releases: int) -> Spending:
        """What has been opened after so many releases."""
        left, parts = releases, []
        for part in self.parts:
            events = []
            for one in part.events:
                count = min(one.count, left)
                left -= count
                if count:
                    events.append(Event(one.mechanism, one.multiplier, one.rate, count))
            if events:
                parts.append(Part(tuple(events)))
        return Spending(tuple(parts))


def check(spending: Spending) -> None:
    """Refuse what is not a list of known events with numbers that make sense; it may come from a peer.

    Raises Refused, naming the event.
    """
    events = [event for part in spending.parts for event in part.events]
    if not events or len(events) > MOST_EVENTS or not all(part.events for part in spending.parts):
        raise Refused(f"privacy: {len(events)} events; from 1 to {MOST_EVENTS}, and no part without one")
    if sum(event.rate != 1 for event in events) > MOST_SAMPLED:
        raise Refused(f"privacy: more than {MOST_SAMPLED} events with sampling")
    for number, event in enumerate(events):
        if event.mechanism not in MECHANISMS:
            known = ", ".join(sorted(MECHANISMS))
            raise Refused(f"privacy: event {number} is a '{event.mechanism}'; the accountant knows {known}")
        if not 0 < event.multiplier <= MOST_MULTIPLIER:
            raise Refused(f"privacy: event {number} has a noise multiplier of {event.multiplier}; above 0, up to 2^40")
        if not LEAST_RATE <= event.rate <= 1:
            raise Refused(f"privacy: event {number} has a sampling rate of {event.rate}; from {LEAST_RATE:g} to 1")
        if not 1 <= event.count <= MOST_RELEASES:
            raise Refused(f"privacy: event {number} counts {event.count} releases; from 1 to {MOST_RELEASES}")
