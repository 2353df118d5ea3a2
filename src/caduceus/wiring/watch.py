"""Who looks on while a job is played."""

from __future__ import annotations

from typing import Protocol

from caduceus.errors import Error
from caduceus.learn.state import State
from caduceus.protocol.gram_for import AnySession
from caduceus.protocol.round_record import RoundRecord


class Watch(Protocol):
    """Who looks on; every method is called from the thread that plays."""

    def begin(self, what: str, steps: int) -> None:
        """A part of the run begins; it has this many steps, 0 if nobody knows."""

    def step(self, text: str) -> None:
        """A step of the present part is done."""

    def round(self, record: RoundRecord, state: State, session: AnySession) -> None:
        """A round is done."""

    def fault(self, who: str, problem: Error) -> None:
        """A site refused a message or found a fault in it."""
