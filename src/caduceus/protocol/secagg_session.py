"""What everybody in a round of secure aggregation agrees on before it begins."""

from __future__ import annotations

from caduceus import canon
from caduceus.errors import Refused
from caduceus.kinds import Digest
from caduceus.protocol.encoding import DTYPES
from caduceus.protocol.secagg_setup import Setup

_WORD = 1 << 32


@canon.record("secagg/session/2")
class Session:
    """One round.

    ready   digest of the `Ready` of the set-up whose keys it uses, which binds everything before it
    round   its number in the job
    state   digest of the public state that the round starts from
    length  entries of the vectors
    bits    32 or 64: the ring

    Reveals: nothing that the chain and the transcript do not say.
    """

    ready: Digest
    round: int
    state: Digest
    length: int
    bits: int

    @property
    def digest(self) -> Digest:
        """SHA-256 of the canonical bytes; in every message, so that none can be replayed elsewhere."""
        return canon.digest(self)


def check(session: Session, setup: Setup) -> None:
    """Make sure that a session is a sound one under a set-up.

    Raises Refused, saying what is wrong.
    """
    if not 0 <= session.round - setup.first < setup.rounds:
        raise Refused(f"session: round {session.round} is not one of the {setup.rounds} from {setup.first}")
    if len(session.ready) != 32 or len(session.state) != 32:
        raise Refused("session: a digest is not 32 bytes")
    if session.bits not in DTYPES or not 0 < session.length < _WORD:
        raise Refused(f"session: {session.length} entries of {session.bits} bits")
