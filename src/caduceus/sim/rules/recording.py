"""Recording rounds and settling: `anchor`, `settle` and `complete` of `Jobs.sol`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from caduceus.crypto import head, sign
from caduceus.kinds import Digest, JobId, Seat, Stage
from caduceus.market.ledger import NOBODY, Anchor
from caduceus.sim.rules import reasons as no
from caduceus.sim.rules.guards import job_in, on_time, only_coordinator, overdue, write
from caduceus.sim.rules.money import credit
from caduceus.sim.rules.tables import Call, Job, Place, Tables
from caduceus.sim.rules.words import is_evidence, number, word


def anchor(tables: Tables, call: Call, job: JobId, first: int, entries: Sequence[head.Entry]) -> None:
    """Record the next rounds."""
    entry = _anchoring(tables, call, job)
    known = head.count(entry.head)
    if first != known:
        raise no.ROUND_NOT_NEXT(first, known)
    if not entries or known + len(entries) > entry.terms.max_rounds:
        raise no.ROUNDS_OUT_OF_RANGE(known + len(entries), entry.terms.max_rounds)
    for offset, one in enumerate(entries):
        tables.anchored.add(job, Anchor(known + offset, *one))
    write(tables, replace(entry, head=head.fold(entry.head, entries)))


def _anchoring(tables: Tables, call: Call, job: JobId) -> Job:
    entry = job_in(tables, job, Stage.TRAINING)
    only_coordinator(entry, call)
    on_time(entry.deadline, call)
    return entry


def settle(
    tables: Tables,
    call: Call,
    what: sign.Settlement,
    signatures: Sequence[tuple[int, bytes]],
    *,
    paired: tuple[int, int] | None = None,
) -> None:
    """Propose how the price is shared.

    what        of the job in it; its head is not looked at, the job's own counts
    signatures  by seat
    paired      how many seats and signatures came, where they are not as many
    """
    word(what.claims)
    number(what.payout)
    entry = _anchoring(tables, call, what.job)
    if head.count(entry.head) == 0:
        raise no.NOTHING_ANCHORED()
    if what.payout > entry.terms.price:
        raise no.PAYOUT_ABOVE_PRICE(what.payout, entry.terms.price)
    if paired is not None:
        raise no.SIGNATURES_UNPAIRED(*paired)
    _check_quorum(tables, entry, replace(what, head=entry.head), signatures)
    write(
        tables,
        replace(
            entry,
            stage=Stage.SETTLING,
            deadline=call.time + entry.terms.challenge_for,
            claims=what.claims,
            payout=what.payout,
            forfeits=_mark(tables, entry, what.slashed),
            slashed=tuple(Seat(seat) for seat in what.slashed),
            signed=tuple((Seat(seat), signature) for seat, signature in signatures),
        ),
    )


def _check_quorum(tables: Tables, entry: Job, what: sign.Settlement, signatures: Sequence[tuple[int, bytes]]) -> None:
    needed = 2 * entry.sites // 3 + 1
    if len(signatures) < needed:
        raise no.QUORUM_MISSING(len(signatures), needed)
    before = -1
    for seat, signature in signatures:
        place = _next(tables, entry, seat, before)
        before = seat
        if not is_evidence(place.signer, tables.domain, what, signature):
            raise no.SIGNATURE_INVALID(seat)


def _mark(tables: Tables, entry: Job, slashed: Sequence[int]) -> int:
    """Mark the seats that are to lose their stake; how many of the stakes are here."""
    forfeits, before = 0, -1
    for seat in slashed:
        place = _next(tables, entry, seat, before)
        before = seat
        tables.places.put((entry.id, seat), replace(place, slashed=True))
        forfeits += place.stake_held
    return forfeits


def _next(tables: Tables, entry: Job, seat: int, before: int) -> Place:
    """A seat of a list in rising order."""
    place = tables.places.get((entry.id, seat))
    if place is None:
        raise no.SEAT_UNKNOWN(seat, entry.sites)
    if seat <= before:
        raise no.SEATS_UNORDERED(seat)
    return place


def complete(tables: Tables, call: Call, job: JobId) -> None:
    """Make a settlement final."""
    entry = job_in(tables, job, Stage.SETTLING)
    overdue(entry.deadline, call)
    if entry.challenges:
        raise no.CHALLENGES_OPEN(entry.challenges)
    write(tables, replace(entry, stage=Stage.COMPLETED))
    token = entry.terms.token
    credit(tables, token, entry.buyer, entry.terms.price - entry.payout)
    credit(tables, token, NOBODY, entry.forfeits * entry.terms.stake)


def settlement(job: JobId, claims: Digest, payout: int, slashed: Sequence[int]) -> sign.Settlement:
    """What `settle` is told, before the job's head is known."""
    return sign.Settlement(job, Digest(bytes(32)), claims, payout, tuple(slashed))
