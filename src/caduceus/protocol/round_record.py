"""What is kept of a round, so that a stranger can do it again; its digest is anchored on the chain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from caduceus import canon
from caduceus.crypto import merkle
from caduceus.data.card import ROWS_STEP, Card
from caduceus.errors import PeerFault, Refused
from caduceus.kinds import MICRO, Digest, JobId
from caduceus.learn.state import State
from caduceus.market.ledger import Anchor, Enrolment, JobEntry
from caduceus.market.settlement import Participation, Settlement, by_contribution, by_participation, settle
from caduceus.market.slashing import Fault, Ground, slashed
from caduceus.market.specification import JobSpec
from caduceus.protocol.secagg_messages import upload_leaf_data
from caduceus.protocol.secagg_upload import envelope

Fetch = Callable[[Digest], bytes]
"""Gives a public blob by its digest; raises Refused if it is missing or altered."""


@canon.record("round/record/3")
class RoundRecord:
    """One round of a job.

    before     digest of the state that it started from
    after      digest of the state that it led to; equal to `before` if it failed
    failure    why no sum came of it, for people; "" if one did
    setup      digest of the blob with what the round stands on: a set-up, or the ground of judged rounds
    survivors  seats whose vectors are in a sum that was opened, ascending; empty if it failed
    exchange   digest of the blob with the signed messages of the round, for replay
    uploads    per seat, digest of the blob with its signed upload; None for a seat that sent none
    faults     for which a stake is forfeited; the exchange shows each

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
    faults: tuple[Fault, ...] = ()


def broken(round: int, outside: Sequence[int], exchange: Digest) -> tuple[Fault, ...]:
    """What a stake is forfeited for in a judged round: a row beyond its bound, as the opened projections show.

    outside   seats, ascending
    exchange  digest of the blob from which anyone recomputes it
    """
    return tuple(Fault(seat, round, Ground.OVER_BOUND, exchange) for seat in outside)


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
    enrolments: Sequence[Enrolment], records: Sequence[RoundRecord], cards: Sequence[Card], state: State
) -> tuple[Participation, ...]:
    """What every seat verifiably did: the rows on its card, the rounds whose sum it is in, and what it contributed.

    enrolments  in the order of seats
    cards       of the enrolled data sets, in the same order; a card that says only "fewer" counts as
                the least number that cards tell apart
    state       the public state after the last round; where updates are judged, it says what each contributed

    Raises Refused if the state says so of other sites, or more than there is to earn.
    """
    scores, poisoned = _judged(state, len(enrolments))
    return tuple(
        Participation(
            site=enrolment.site,
            rows=max(card.rows_at_least, ROWS_STEP),
            rounds=max(sum(enrolment.seat in record.survivors for record in records) - poisoned[enrolment.seat], 0),
            score=scores[enrolment.seat],
            poisoned=poisoned[enrolment.seat],
        )
        for enrolment, card in zip(enrolments, cards, strict=True)
    )


def _judged(state: State, seats: int) -> tuple[list[int], list[int]]:
    """What every seat earned, in millionths of the pot, and in how many rounds it did harm."""
    judged = state.judged
    if judged is None:
        return [0] * seats, [0] * seats
    earned, vetoed = judged.memory.earned, judged.vetoed
    fits = (earned.dtype.str, earned.shape, vetoed.dtype.str, vetoed.shape) == ("<f8", (seats,), "<i8", (seats,))
    # Not a number is neither at least 0 nor at most the pot.
    if not fits or not ((earned >= 0).all() and earned.sum() <= max(judged.rounds, 1) + 1e-6 and (vetoed >= 0).all()):
        raise Refused("the last state says of other sites what they earned, or more than there is to earn")
    return np.floor(earned / max(judged.rounds, 1) * MICRO).astype(int).tolist(), vetoed.tolist()


def settled_by(
    entry: JobEntry, spec: JobSpec, parts: Sequence[Participation], records: Sequence[RoundRecord]
) -> Settlement:
    """Who is paid what, by what was contributed where updates are judged, else by participation; and who loses a stake.

    parts  from `participation`
    """
    return settle(
        entry.id,
        parts,
        price=entry.price,
        fee=spec.money.fee,
        coordinator=entry.coordinator,
        value=by_participation if spec.judging is None else by_contribution,
        slashed=slashed(fault for record in records for fault in record.faults),
    )
