"""Which jobs a transcript is about."""

from __future__ import annotations

from caduceus.canon import record
from caduceus.kinds import JobId


@record("transcript/pointer/1")
class Pointer:
    """One job of a transcript.

    label  what the buyer calls it
    job    its identifier on the chain
    """

    label: str
    job: JobId
