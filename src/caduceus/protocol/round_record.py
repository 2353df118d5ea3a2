"""What is kept of a round, so that a stranger can do it again; its digest is anchored on the chain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from caduceus import canon
from caduceus.crypto import merkle
from caduceus.data.card import ROWS_STEP, Card
from caduceus.errors import PeerFault, Refused
from caduceus.kinds import Digest, JobId
from caduceus.market.ledger import Anchor, Enrolment
from caduceus.market.settlement import Participation
from caduceus.protocol.secagg_messages import upload_leaf_data
from caduceus.protocol.secagg_upload import envelope

Fetch = Callable[[Digest], bytes]
"""Gives a public blob by its digest; raises Refused if it is missing or altered."""


@canon.record("round/record/2")
class RoundRecord:
    """One round of a job.

    before     digest of the state that it started from
    after      digest of the state that it led to; equal to `before` if it failed
    failure    why no sum came of it, for people; "" if one did
    setup      digest of the blob with the set-up that the round stands on
    survivors  seats whose vectors are in a sum that was opened, ascending; empty if it failed
    exchange   digest of the blob with the signed messages of the round, for replay
    uploads    per seat, digest of the blob with its signed upload; None for a seat that sent none

    Reveals: who took part in the round and who was silent.
    """

    job: JobId
    round: int
    before: Digest
    after: Digest
    failure: str
    setup: Digest
    survivors: tuple[int, ...]
    exchange: Digest
    uploads: tuple[Digest | None, ...]


def read_record(anchor: Anchor, job: JobId, fetch: Fetch) -> RoundRecord:
    """The record behind an anchor.

    Raises Refused if it is not to be had, or is about another round, job or state than the anchor.
    """
    record = canon.unpack(RoundRecord, fetch(anchor.record))
    if (record.job, record.round, record.after) != (job, anchor.round, anchor.model):
        raise Refused(f"round {anchor.round}: its record is about another job, round or model than its anchor")
    return record


@dataclass(frozen=True, slots=True)
class Shown:
    """What the public transcript shows of an anchored round.

    record  None if it is missing or another round's
    leaves  of its tree by seat; None if the public uploads do not give the anchored root
    """

    record: RoundRecord | None
    leaves: tuple[Digest, ...] | None


ShownOf = Callable[[Anchor], Shown]


def show(anchor: Anchor, job: JobId, fetch: Fetch) -> Shown:
    """Read a round's record and compute its tree again from the uploads."""
    try:
        record = read_record(anchor, job, fetch)
    except Refused:
        return Shown(None, None)
    try:
        leaves = tuple(
            merkle.EMPTY if digest is None else _leaf(record, seat, fetch(digest))
            for seat, digest in enumerate(record.uploads)
        )
    except (Refused, PeerFault):
        return Shown(record, None)
    return Shown(record, leaves if merkle.root(leaves) == anchor.root else None)


def _leaf(record: RoundRecord, seat: int, data: bytes) -> Digest:
    upload = envelope(data, who=f"seat {seat}")
    body = canon.digest_bytes(upload.body)
    return merkle.leaf(upload_leaf_data(record.job, record.round, seat, body, upload.signature))


def participation(
    enrolments: Sequence[Enrolment], records: Sequence[RoundRecord], cards: Sequence[Card]
) -> tuple[Participation, ...]:
    """What every seat verifiably did: the rows on its card, and the rounds whose sum it is in.

    enrolments  in the order of seats
    cards       of the enrolled data sets, in the same order; a card that says only "fewer" counts as
                the least number that cards tell apart
    """
    return tuple(
        Participation(
            site=enrolment.site,
            rows=max(card.rows_at_least, ROWS_STEP),
            rounds=sum(enrolment.seat in record.survivors for record in records),
        )
        for enrolment, card in zip(enrolments, cards, strict=True)
    )
