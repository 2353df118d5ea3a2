"""What everybody in a round of secure aggregation agrees on before it begins."""

from __future__ import annotations

from caduceus import canon
from caduceus.crypto import agree, keystream
from caduceus.errors import Misuse
from caduceus.kinds import Address, Digest, JobId

SUITE = f"bonawitz17-full/{agree.SUITE}/{keystream.CIPHER}/shamir-gf31"
"""The constructions of this version; the name is in every session, so another version never mixes with it."""


@canon.record("secagg/party/1")
class Party:
    """A site as it enrolled: its seat, the key that signs, the key that receives shares."""

    seat: int
    signer: Address
    agreement_key: bytes


@canon.record("secagg/session/1")
class Session:
    """One round.

    domain       EIP-712 domain separator: the chain and the contract
    coordinator  address of the coordinator's signer
    parties      the invited sites, ascending by seat
    threshold    how many sites must stay to the end; also the threshold of every sharing
    state        digest of the public state that the round starts from
    length       entries of the vectors
    bits         32 or 64: the ring

    Reveals: nothing that the chain does not say.
    """

    suite: str
    domain: bytes
    job: JobId
    round: int
    coordinator: Address
    parties: tuple[Party, ...]
    threshold: int
    state: Digest
    length: int
    bits: int

    @property
    def seats(self) -> tuple[int, ...]:
        """Seats of the invited sites, ascending."""
        return tuple(party.seat for party in self.parties)

    def party(self, seat: int) -> Party:
        """The site in a seat.

        Raises Misuse if nobody there is invited.
        """
        for party in self.parties:
            if party.seat == seat:
                return party
        raise Misuse(f"session: seat {seat} is not invited")

    @property
    def digest(self) -> Digest:
        """SHA-256 of the canonical bytes; in every message, so that none can be replayed elsewhere."""
        return canon.digest(self)


def threshold_for(sites: int) -> int:
    """Two thirds of the sites and one more.

    With a coordinator that lies and up to a third of the sites on its side, two different survivor lists
    never both find this many signatures (Bonawitz et al. 2017, section 6.2 and theorem 6.5).
    """
    return 2 * sites // 3 + 1


def neighbours(session: Session, seat: int) -> tuple[int, ...]:
    """The seats with whom a seat shares masks: in the full graph, everybody else."""
    return tuple(other for other in session.seats if other != seat)
