"""Disputes about what was anchored, and stakes forfeited on evidence: the middle of `Jobs.sol`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from caduceus.crypto import head, merkle, sign
from caduceus.kinds import Digest, JobId, Seat, Stage
from caduceus.market.ledger import NOBODY, Equivocated
from caduceus.market.slashing import Equivocation
from caduceus.sim.rules import reasons as no
from caduceus.sim.rules.guards import job_in, on_time, only_site, overdue, place_at, reject, write
from caduceus.sim.rules.money import credit
from caduceus.sim.rules.tables import Call, Challenge, Job, Place, Tables
from caduceus.sim.rules.words import is_evidence, reached, word

_LEAF_BYTES = 160


@dataclass(frozen=True, slots=True)
class RoundProof:
    """The head before a round, and every entry from the round on."""

    before: Digest
    entries: Sequence[head.Entry]


def dispute_leaf(
    tables: Tables,
    call: Call,
    job: JobId,
    seat: int,
    proof: RoundProof,
    shown: tuple[bytes, bytes, Sequence[Digest]],
) -> None:
    """Show that a round holds in a seat's place something that the seat did not sign.

    shown  the leaf's data, the signature, the siblings
    """
    leaf_data, signature, siblings = shown
    entry = job_in(tables, job, Stage.SETTLING)
    on_time(entry.deadline, call)
    round = _round_of(entry, seat, merkle.leaf(leaf_data), proof, siblings)
    place = tables.places.get((job, seat))
    assert place is not None
    if _is_in_order(tables, (job, round, seat), place, leaf_data, signature):
        raise no.LEAF_WELL_SIGNED(round, seat)
    reject(tables, entry, place.site)


def _is_in_order(
    tables: Tables, where: tuple[JobId, int, int], place: Place, leaf_data: bytes, signature: bytes
) -> bool:
    """False if the leaf is anything but the seat's own signed upload of that round."""
    job, round, seat = where
    if len(leaf_data) != _LEAF_BYTES or leaf_data[:96] != job + round.to_bytes(32) + seat.to_bytes(32):
        return False
    body, committed = Digest(leaf_data[96:128]), leaf_data[128:]
    shown = sha256(signature).digest()
    if shown != committed:
        raise no.SIGNATURE_NOT_IN_LEAF(shown, committed)
    return is_evidence(place.signer, tables.domain, sign.Upload(job, round, seat, body), signature)


def challenge(tables: Tables, call: Call, job: JobId, receipt: sign.Receipt, signature: bytes) -> None:
    """Complain that a round leaves out the upload that a receipt promises."""
    seat, round = receipt.seat, receipt.round
    entry = job_in(tables, job, Stage.SETTLING)
    on_time(entry.deadline, call)
    _, place = place_at(tables, job, seat)
    only_site(place, call)
    rounds = head.count(entry.head)
    if round >= rounds:
        raise no.ROUND_UNKNOWN(round, rounds)
    if not is_evidence(entry.signer, tables.domain, receipt, signature):
        raise no.RECEIPT_INVALID(round, seat)
    if tables.challenges.get((job, seat)) is not None:
        raise no.CHALLENGE_OPEN(seat)
    tables.challenges.put((job, seat), Challenge(round, receipt.leaf, call.time + entry.terms.challenge_for))
    write(tables, replace(entry, challenges=entry.challenges + 1))


def answer(
    tables: Tables, call: Call, job: JobId, seat: int, leaf: Digest, proof: RoundProof, siblings: Sequence[Digest]
) -> None:
    """Show a challenged leaf in its place."""
    word(leaf)
    entry = job_in(tables, job, Stage.SETTLING)
    waiting = _waiting(tables, job, seat)
    on_time(waiting.deadline, call)
    round = _round_of(entry, seat, leaf, proof, siblings)
    if waiting.round != round or waiting.leaf != leaf:
        raise no.CHALLENGE_DIFFERS(waiting.round, waiting.leaf)
    tables.challenges.drop((job, seat))
    write(tables, replace(entry, challenges=entry.challenges - 1))


def uphold(tables: Tables, call: Call, job: JobId, seat: int) -> None:
    """Reject a job whose coordinator left a challenge unanswered."""
    entry = job_in(tables, job, Stage.SETTLING)
    overdue(_waiting(tables, job, seat).deadline, call)
    _, place = place_at(tables, job, seat)
    tables.challenges.drop((job, seat))
    reject(tables, replace(entry, challenges=entry.challenges - 1), place.site)


def _waiting(tables: Tables, job: JobId, seat: int) -> Challenge:
    waiting = tables.challenges.get((job, seat))
    if waiting is None:
        raise no.CHALLENGE_MISSING(seat)
    return waiting


def _round_of(entry: Job, seat: int, leaf: bytes, proof: RoundProof, siblings: Sequence[Digest]) -> int:
    """The round in which a leaf stands in a seat's place; raises unless the proofs say so."""
    if seat >= entry.sites:
        raise no.SEAT_UNKNOWN(seat, entry.sites)
    depth = merkle.depth(entry.sites)
    if len(siblings) != depth:
        raise no.PROOF_DEPTH_WRONG(len(siblings), depth)
    if not proof.entries:
        raise no.PROOF_EMPTY()
    end = head.fold(proof.before, proof.entries)
    if end != entry.head:
        raise no.PROOF_MISMATCH(end, entry.head)
    round, root = head.count(proof.before), proof.entries[0][0]
    found = reached(leaf, seat, siblings)
    if found != root:
        raise no.LEAF_NOT_IN_ROUND(round, seat, found, root)
    return round


# ---------------------------------------------------------------- forfeiting a stake


def holds_stake(entry: Job, place: Place) -> bool:
    """False once the stake was given back or forfeited."""
    return place.stake_held and not (place.slashed and entry.stage is Stage.COMPLETED)


def slash(tables: Tables, found: Equivocation) -> None:
    """Forfeit the stake of a seat that signed two uploads for one round."""
    job, seat = found.job, found.seat
    entry, place = place_at(tables, job, seat)
    if not holds_stake(entry, place):
        raise no.STAKE_GONE(seat)
    if found.bodies[0] == found.bodies[1]:
        raise no.BODIES_EQUAL(found.bodies[0])
    for body, signature in zip(found.bodies, found.signatures, strict=True):
        if not is_evidence(place.signer, tables.domain, sign.Upload(job, found.round, seat, body), signature):
            raise no.SIGNATURE_INVALID(seat)
    if place.slashed:
        write(tables, replace(entry, forfeits=entry.forfeits - 1))
    tables.places.put((job, seat), replace(place, stake_held=False, equivocated=True, recorded=False))
    tables.equivocated.add(job, Equivocated(Seat(seat), found.round))
    credit(tables, entry.terms.token, NOBODY, entry.terms.stake)
