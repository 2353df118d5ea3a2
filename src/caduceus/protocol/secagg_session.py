"""What everybody in a round of secure aggregation agrees on before it begins."""

from __future__ import annotations

from caduceus import canon
from caduceus.crypto import agree, keystream
from caduceus.errors import Misuse, Refused
from caduceus.kinds import Address, Digest, JobId
from caduceus.protocol.encoding import DTYPES

SUITE = f"bonawitz17-full/{agree.SUITE}/{keystream.CIPHER}/shamir-gf31"
"""The constructions of this version; the name is in every session, so another version never mixes with it."""


FEWEST_SITES = 3
"""With two sites each learns the other's vector from the sum; with one, everybody does."""

_WORD = 1 << 32


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


def check(session: Session) -> None:
    """Make sure that a session is one that this version runs and that keeps what it promises.

    Raises Refused, saying what is wrong: another suite, fewer than three sites, a threshold under which a lying
    coordinator finds enough consents for two lists, or a field that is out of range.
    """
    if session.suite != SUITE:
        raise Refused(f"session: it asks for the suite {session.suite[:80]!r}; this version has {SUITE!r}")
    seats, sites = session.seats, len(session.parties)
    if sites < FEWEST_SITES:
        raise Refused(f"session: {sites} sites; a sum over fewer than {FEWEST_SITES} gives single updates away")
    if not threshold_for(sites) <= session.threshold <= sites:
        raise Refused(f"session: threshold {session.threshold} for {sites} sites; at least {threshold_for(sites)}")
    if list(seats) != sorted(set(seats)) or not 0 <= seats[0] <= seats[-1] < _WORD:
        raise Refused("session: seats are not ascending numbers of 32 bits")
    words = [session.domain, session.job, session.state]
    addresses = [session.coordinator, *(party.signer for party in session.parties)]
    if any(len(word) != 32 for word in words) or any(len(address) != 20 for address in addresses):
        raise Refused("session: a domain, job or state is not 32 bytes, or an address not 20")
    if not 0 <= session.round < _WORD or session.bits not in DTYPES or not 0 < session.length < _WORD:
        raise Refused(f"session: round {session.round}, {session.length} entries of {session.bits} bits")


def threshold_for(sites: int) -> int:
    """Two thirds of the sites and one more.

    With a coordinator that lies and c <= sites / 3 sites on its side, two different survivor lists never both
    find this many signatures: honest sites sign one list each, so there are at most sites + c signatures, and
    2 * threshold >= 4 * sites / 3 + 2 / 3 is more (Bonawitz et al. 2017, section 6.2 and theorem 6.5).
    """
    return 2 * sites // 3 + 1


def most_dishonest(sites: int) -> int:
    """How many sites may side with a lying coordinator without harm (see `threshold_for`)."""
    return sites // 3


def neighbours(session: Session, seat: int) -> tuple[int, ...]:
    """The seats with whom a seat shares masks: in the full graph, everybody else."""
    return tuple(other for other in session.seats if other != seat)
