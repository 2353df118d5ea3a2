"""What a coordinator and a site say to one another around the rounds of a job."""

from __future__ import annotations

from caduceus.canon import record
from caduceus.kinds import Digest, JobId


@record("job/prepare/1")
class Prepare:
    """The coordinator calls a site to a set-up of secure aggregation.

    first   the first round that it is for
    rounds  how many rounds from there on
    draw    how many rounds of the job came to a sum before

    Reveals: nothing that the anchored transcript does not.
    """

    job: JobId
    first: int
    rounds: int
    draw: int


@record("job/call/2")
class Call:
    """The coordinator calls a site to a round.

    ready  digest of the outcome of the set-up whose keys the round uses
    state  canonical bytes of the public state that the round starts from

    Reveals: nothing that the anchored transcript does not.
    """

    job: JobId
    round: int
    ready: Digest
    state: bytes


@record("job/offer/1")
class Offer:
    """The coordinator asks a site to sign the settlement.

    It carries no figures: a site computes them from the chain and the public records, and signs only
    what it computed.

    Reveals: that the coordinator considers the job done.
    """

    job: JobId


@record("job/accord/2")
class Accord:
    """A site's part in the quorum that settles.

    head       the chain's rolling head over all rounds
    claims     Merkle root over the amounts that the site computed
    payout     their sum
    slashed    seats whose stake is forfeited, in rising order
    signature  EIP-712 `Settlement` over these, by the signer that the site enrolled with

    Reveals: that the site agrees; the figures follow from public facts.
    """

    job: JobId
    head: Digest
    claims: Digest
    payout: int
    slashed: tuple[int, ...]
    signature: bytes
