"""Which jobs a transcript is about."""

from __future__ import annotations

from caduceus.canon import record
from caduceus.kinds import Digest, JobId


@record("transcript/pointer/1")
class Pointer:
    """One job of a transcript.

    label       what the buyer calls it
    job         its identifier on the chain
    deployment  digest of the file that says where the contracts are: no other file may take its place unnoticed
    """

    label: str
    job: JobId
    deployment: Digest
