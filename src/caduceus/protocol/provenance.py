"""Where a model comes from: every data set version, round, term and epsilon behind a state that a chain has anchored.

Read from what the chain says of a job and from public blobs, each of which is checked against the digest by which the
chain names it. Nothing is done again: that the sums are what the records say, `audit` finds out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from caduceus import canon
from caduceus.crypto import head
from caduceus.data.card import Card
from caduceus.data.card_reading import read_card
from caduceus.data.policy import Terms, read_terms
from caduceus.errors import Refused
from caduceus.kinds import Digest, Readiness, Seat
from caduceus.learn.state import State
from caduceus.market.ledger import Anchor, BudgetMove, DatasetEntry, Enrolment, JobEntry
from caduceus.market.specification import JobSpec, read_spec
from caduceus.market.work import Work, work_of
from caduceus.protocol.round_record import Fetch, RoundRecord, read_record


@dataclass(frozen=True, slots=True)
class Offered:
    """A seat's data set as the chain knows it.

    versions  the one that took the seat, then those that it replaced, the newest first
    moves     what any job did to its privacy budget, in order
    """

    versions: tuple[DatasetEntry, ...]
    moves: tuple[BudgetMove, ...]


@dataclass(frozen=True, slots=True)
class JobSeen:
    """What a chain says of one job.

    enrolments  in the order of seats
    anchors     all of them, in the order of rounds
    offered     per seat
    """

    entry: JobEntry
    enrolments: tuple[Enrolment, ...]
    anchors: tuple[Anchor, ...]
    offered: tuple[Offered, ...]


@dataclass(frozen=True, slots=True)
class Use:
    """A data set in a job.

    versions       as in `Offered`
    readiness      the verdict that was stated of it when it took the seat
    rounds         in whose opened sum it is, up to the model's, ascending; none if it only took a seat
    epsilon_micro, delta_pico  what the job has charged it, as things stand: reserved less given back
    """

    seat: Seat
    versions: tuple[DatasetEntry, ...]
    readiness: Readiness
    card: Card
    terms: Terms
    rounds: tuple[int, ...]
    epsilon_micro: int
    delta_pico: int

    @property
    def dataset(self) -> DatasetEntry:
        """The version that took part."""
        return self.versions[0]

    @property
    def version(self) -> int:
        """Which version of its data set it is, counted from 1."""
        return len(self.versions)


@dataclass(frozen=True, slots=True)
class Step:
    """A round that led to the model.

    digest  of its record, as anchored
    """

    digest: Digest
    record: RoundRecord


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where a state comes from.

    state   the model's digest
    model   the state itself
    steps   the rounds up to the one that gave it, in order
    uses    every seat of the job, in order
    """

    entry: JobEntry
    spec: JobSpec
    work: Work
    state: Digest
    model: State
    steps: tuple[Step, ...]
    uses: tuple[Use, ...]

    @property
    def sources(self) -> tuple[Use, ...]:
        """The data sets that are in the model."""
        return tuple(use for use in self.uses if use.rounds)

    @property
    def idle(self) -> tuple[Use, ...]:
        """The data sets that took a seat and are in no sum."""
        return tuple(use for use in self.uses if not use.rounds)

    @property
    def sums(self) -> int:
        """How many sums were opened up to the model."""
        return sum(not step.record.failure for step in self.steps)


def round_of(anchors: Sequence[Anchor], state: Digest) -> int | None:
    """The place of the anchor that first has a state; None if none has it. A failed round leaves the state as it is."""
    return next((place for place, anchor in enumerate(anchors) if anchor.model == state), None)


def trace(seen: JobSeen, place: int, fetch: Fetch) -> Lineage:
    """The lineage of the state that a job's anchor has.

    place  of the anchor, from 0
    fetch  gives public blobs, each checked against its digest

    Raises Refused, naming the round, data set or blob, for the first thing that is missing, altered, or does not
    follow from what the chain says.
    """
    entry, anchors = seen.entry, seen.anchors
    links = [(anchor.root, anchor.model, anchor.record) for anchor in anchors]
    if head.fold(head.start(entry.id, len(seen.enrolments)), links) != entry.head:
        raise Refused(f"job 0x{entry.id.hex()}: its anchored rounds do not lead to the head that the chain keeps")
    spec = read_spec(fetch(entry.spec))
    work = work_of(spec)
    steps = _steps(seen, place, canon.digest(work.opening()), fetch)
    rounds: list[list[int]] = [[] for _ in seen.enrolments]
    for step in steps:
        for seat in step.record.survivors:
            rounds[seat].append(step.record.round)
    state = anchors[place].model
    return Lineage(
        entry=entry,
        spec=spec,
        work=work,
        state=state,
        model=canon.unpack(State, fetch(state)),
        steps=steps,
        uses=tuple(
            _use(entry, enrolment, offered, found, fetch)
            for enrolment, offered, found in zip(seen.enrolments, seen.offered, rounds, strict=True)
        ),
    )


def _steps(seen: JobSeen, place: int, opening: Digest, fetch: Fetch) -> tuple[Step, ...]:
    seats, before = len(seen.enrolments), opening
    steps = []
    for number, anchor in enumerate(seen.anchors[: place + 1]):
        record = read_record(anchor, seen.entry.id, fetch)
        if record.round != number or record.before != before:
            raise Refused(f"round {number}: its record {anchor.record.hex()} does not follow the round before it")
        if record.failure and (record.survivors or record.after != record.before):
            raise Refused(f"round {number}: its record {anchor.record.hex()} says that it failed, and that a sum came")
        if not record.failure and not record.survivors:
            raise Refused(f"round {number}: its record {anchor.record.hex()} names a sum of nobody")
        if list(record.survivors) != sorted({seat for seat in record.survivors if 0 <= seat < seats}):
            raise Refused(f"round {number}: its record {anchor.record.hex()} names seats that there are not, or twice")
        before = record.after
        steps.append(Step(anchor.record, record))
    return tuple(steps)


def _use(entry: JobEntry, enrolment: Enrolment, offered: Offered, rounds: Sequence[int], fetch: Fetch) -> Use:
    where = f"seat {enrolment.seat}"
    dataset = offered.versions[0]
    if dataset.id != enrolment.dataset or dataset.steward != enrolment.site:
        raise Refused(f"{where}: data set 0x{dataset.id.hex()} is not the one, or not its own, with which it enrolled")
    for newer, older in zip(offered.versions, offered.versions[1:], strict=False):
        if newer.previous != older.id or older.steward != dataset.steward:
            raise Refused(f"{where}: data set 0x{newer.id.hex()} does not replace 0x{older.id.hex()}")
    card = read_card(fetch(dataset.card))
    if card.commitment != dataset.commitment:
        raise Refused(f"{where}: the card of data set 0x{dataset.id.hex()} and the chain name different commitments")
    own = [move for move in offered.moves if move.job == entry.id]
    signs = [-1 if move.released else 1 for move in own]
    return Use(
        seat=enrolment.seat,
        versions=offered.versions,
        readiness=enrolment.readiness,
        card=card,
        terms=read_terms(fetch(dataset.terms)),
        rounds=tuple(rounds),
        epsilon_micro=sum(sign * move.epsilon_micro for sign, move in zip(signs, own, strict=True)),
        delta_pico=sum(sign * move.delta_pico for sign, move in zip(signs, own, strict=True)),
    )


def in_ranges(numbers: Sequence[int]) -> str:
    """Ascending whole numbers as people read them: "0-3, 5"; "" for none."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)
