"""Being paid, being remembered, getting a budget back: the end of `Jobs.sol`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from caduceus.crypto import merkle
from caduceus.kinds import Digest, JobId, Seat, Stage, Tokens
from caduceus.market.costs import Cost
from caduceus.market.ledger import NOBODY, Claimed, JobTerms
from caduceus.market.standing import FORFEITED, Showing
from caduceus.sim.rules import offers, standing
from caduceus.sim.rules import reasons as no
from caduceus.sim.rules.disputes import holds_stake
from caduceus.sim.rules.guards import only_site, place_at, write
from caduceus.sim.rules.money import give
from caduceus.sim.rules.tables import Call, Job, Tables
from caduceus.sim.rules.words import NO_WORD, account, job_id, number, reached, word


def claim(tables: Tables, call: Call, job: JobId, amount: int, index: int, siblings: Sequence[Digest]) -> None:
    """Pull a reward together with the caller's stake and bond."""
    number(amount)
    entry = tables.jobs.get(job)
    stage = Stage.NONE if entry is None else entry.stage
    if entry is None or stage < Stage.COMPLETED or (amount and stage is not Stage.COMPLETED):
        raise no.WRONG_STAGE(job, stage)
    stake, bond = _release(tables, call, entry)
    if amount + stake + bond == 0:
        raise no.NOTHING_TO_CLAIM(job, call.sender)
    if amount:
        _spend(tables, call, entry, amount, index, siblings)
    write(tables, replace(entry, paid=entry.paid + amount, bond_held=entry.bond_held and not _pulls_bond(entry, call)))
    tables.claimed.add(job, Claimed(call.sender, Tokens(amount), Tokens(stake + bond)))
    give(tables, call, entry.terms.token, amount + stake + bond)


def _pulls_bond(entry: Job, call: Call) -> bool:
    """Whether this call gives the bond back."""
    return entry.bond_held and call.sender == entry.terms.coordinator


def _release(tables: Tables, call: Call, entry: Job) -> tuple[int, int]:
    """The caller's stake and bond that the job holds no longer."""
    stake = 0
    seat = tables.seat_of.get((entry.id, call.sender))
    place = None if seat is None else tables.places.get((entry.id, seat))
    if seat is not None and place is not None and holds_stake(entry, place):
        tables.places.put((entry.id, seat), replace(place, stake_held=False))
        stake = entry.terms.stake
    return stake, entry.terms.bond if _pulls_bond(entry, call) else 0


def _spend(tables: Tables, call: Call, entry: Job, amount: int, index: int, siblings: Sequence[Digest]) -> None:
    leaf = merkle.leaf(entry.id + account(call.sender) + number(amount))
    found = reached(leaf, index, siblings)
    if found != entry.claims:
        raise no.CLAIM_UNKNOWN(index, found, entry.claims)
    if tables.paid.get((entry.id, index)):
        raise no.CLAIM_PAID(index)
    left = entry.payout - entry.paid
    if amount > left:
        raise no.PAYOUT_EXHAUSTED(amount, left)
    tables.paid.put((entry.id, index), True)


def record_standing(tables: Tables, call: Call, job: JobId, seat: int, entity: Digest, shown: Showing) -> None:
    """Enter in a site's standing what a job showed of it; once a seat."""
    seen = shown.observation
    words = number(seen.good) + number(seen.bad)
    entry, place = place_at(tables, job, seat)
    if place.recorded:
        raise no.ALREADY_RECORDED(seat)
    if entry.terms.attester == NOBODY:
        is_seats = word(entity) == NO_WORD
    else:
        is_seats = tables.seat_of_entity.get((job, entity)) == seat
    if not is_seats:
        raise no.ENTITY_DIFFERS(seat, entity)
    if place.equivocated:
        seen = FORFEITED
    elif entry.stage is not Stage.COMPLETED:
        raise no.WRONG_STAGE(job, entry.stage)
    elif place.slashed:
        seen = FORFEITED
    else:
        found = reached(merkle.leaf(job + account(place.site) + words), shown.index, shown.siblings)
        if found != entry.claims:
            raise no.CLAIM_UNKNOWN(shown.index, found, entry.claims)
    tables.places.put((job, seat), replace(place, recorded=True))
    tables.recorded.add(job, Seat(seat))
    standing.observe(tables, call, place.site, entry.terms.attester, entity, seen)


def release_budget(
    tables: Tables, call: Call, job: JobId, seat: int, terms: JobTerms, cost: Cost, siblings: Sequence[Digest]
) -> None:
    """Give a data set back what a job that was not completed did not spend."""
    entry = tables.jobs.get(job)
    if entry is None or entry.stage <= Stage.COMPLETED:
        raise no.WRONG_STAGE(job, Stage.NONE if entry is None else entry.stage)
    _, place = place_at(tables, job, seat)
    only_site(place, call)
    if place.reserved == NO_WORD:
        raise no.NOTHING_RESERVED(seat)
    named = job_id(entry.buyer, terms)
    if named != job:
        raise no.TERMS_DIFFER(job, named)
    _check_cost(terms, cost, siblings)
    tables.places.put((job, seat), replace(place, reserved=NO_WORD))
    back = terms.epsilon_micro - cost.epsilon_micro, terms.delta_pico - cost.delta_pico
    offers.release(tables, place.reserved, job, back)


def _check_cost(terms: JobTerms, cost: Cost, siblings: Sequence[Digest]) -> None:
    words = number(cost.sums) + number(cost.epsilon_micro) + number(cost.delta_pico)
    if cost.sums >= terms.sums:
        raise no.SUMS_OUT_OF_RANGE(cost.sums, terms.sums - 1)
    found = reached(merkle.leaf(words), cost.sums, siblings)
    if found != terms.costs:
        raise no.COST_UNKNOWN(cost.sums, found, terms.costs)
    if cost.epsilon_micro > terms.epsilon_micro or cost.delta_pico > terms.delta_pico:
        raise no.COST_ABOVE_RESERVATION(cost.epsilon_micro, cost.delta_pico)
