"""What a stake is forfeited for: evidence that everybody can check again, and nothing else.

A site that is different, that drops out or that scores low has broken no rule. Four things break one, and each
leaves evidence: two signed uploads for one round can be shown to the contract by anyone, at any time while it
holds the stake; the other three stand in the anchored record, the quorum that settles names the seats, and the audit
recomputes the list.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from caduceus.canon import record
from caduceus.crypto import sign
from caduceus.errors import Refused
from caduceus.kinds import Address, Digest, JobId, Seat


class Ground(IntEnum):
    """Why a stake is forfeited."""

    EQUIVOCATED = 1
    """Two different uploads are signed for one round."""
    OVER_BOUND = 2
    """The opened check says that the update exceeds the bound that the site claimed for it."""
    UNLIKE_COMMITMENT = 3
    """What was opened is not what the site committed to."""
    FALSELY_ATTESTED = 4
    """The site signed that something holds which the record shows not to hold."""

    @property
    def words(self) -> str:
        """As people read it."""
        return _WORDS[self]


_WORDS = {
    Ground.EQUIVOCATED: "signed two different uploads for one round",
    Ground.OVER_BOUND: "sent an update beyond the bound that it claimed",
    Ground.UNLIKE_COMMITMENT: "opened something else than it had committed to",
    Ground.FALSELY_ATTESTED: "signed a statement that the record shows to be false",
}


@record("slashing/fault/1")
class Fault:
    """A broken rule, with where its evidence is.

    evidence  digest of the public blob from which the finding is recomputed

    Reveals: that the seat broke the protocol.
    """

    seat: int
    round: int
    ground: Ground
    evidence: Digest


def slashed(faults: Iterable[Fault]) -> tuple[Seat, ...]:
    """The seats that a settlement names: each once, in rising order."""
    return tuple(Seat(seat) for seat in sorted({fault.seat for fault in faults}))


@record("slashing/equivocation/1")
class Equivocation:
    """Two uploads that one seat signed for one round.

    bodies      digests of the two uploads
    signatures  the seat's `sign.Upload` over each

    Reveals: nothing but the digests of two masked uploads.
    """

    job: JobId
    round: int
    seat: int
    bodies: tuple[Digest, Digest]
    signatures: tuple[bytes, bytes]


def check_equivocation(found: Equivocation, *, signer: Address, domain: bytes) -> None:
    """Make sure that the evidence convinces: the contract judges it by the same rule.

    signer  of the seat, as it enrolled
    domain  EIP-712 domain separator of the contract

    Raises Refused, saying what is missing.
    """
    if found.bodies[0] == found.bodies[1]:
        raise Refused(f"seat {found.seat}, round {found.round}: the two uploads are one")
    for body, signature in zip(found.bodies, found.signatures, strict=True):
        struct = sign.Upload(found.job, found.round, found.seat, body)
        if not sign.verify(signer, sign.digest(domain, struct), signature):
            raise Refused(f"seat {found.seat}, round {found.round}: it did not sign {body.hex()[:16]}")
