"""From asking to training: `open` to `start` of `Jobs.sol`, and the ways out."""

from __future__ import annotations

from dataclasses import replace

from caduceus.crypto import head
from caduceus.kinds import Digest, JobId, Readiness, Role, Seat, Stage
from caduceus.market.ledger import NOBODY, Enrolment, JobTerms
from caduceus.sim.rules import members, offers
from caduceus.sim.rules import reasons as no
from caduceus.sim.rules.guards import job_in, on_time, only_buyer, only_coordinator, overdue, write
from caduceus.sim.rules.money import credit, take
from caduceus.sim.rules.tables import Call, Job, Place, Tables
from caduceus.sim.rules.words import NO_WORD, job_id, word


def open_job(tables: Tables, call: Call, terms: JobTerms) -> None:
    """Ask without paying yet."""
    _open(tables, call, terms, Stage.OPEN)


def open_and_fund(tables: Tables, call: Call, terms: JobTerms) -> None:
    """Ask and pay at once."""
    _open(tables, call, terms, Stage.FUNDED)
    take(tables, call, terms.token, terms.price)


def _open(tables: Tables, call: Call, terms: JobTerms, stage: Stage) -> None:
    name = job_id(call.sender, terms)
    members.member_with(tables, call.sender, Role.BUYER)
    _check(tables, terms)
    if tables.jobs.get(name) is not None:
        raise no.JOB_KNOWN(name)
    if terms.attester != NOBODY:
        members.member_with(tables, terms.attester, Role.ATTESTER)
    tables.jobs.put(name, Job(name, call.sender, terms, stage, call.time + terms.enrol_for))
    tables.opened.add(None, name)


def _check(tables: Tables, terms: JobTerms) -> None:
    if tables.supplies.get(terms.token) is None:
        raise no.TOKEN_MISSING(terms.token)
    if terms.coordinator == NOBODY:
        raise no.COORDINATOR_MISSING()
    if terms.min_sites == 0 or terms.max_sites < terms.min_sites:
        raise no.SITES_OUT_OF_RANGE(terms.min_sites, terms.max_sites)
    if terms.max_rounds == 0:
        raise no.ROUNDS_MISSING()
    if not (terms.enrol_for and terms.train_for and terms.challenge_for):
        raise no.DURATION_MISSING()
    named = terms.epsilon_micro != 0, terms.delta_pico != 0, terms.sums != 0, terms.costs != NO_WORD
    if len(set(named)) != 1:
        raise no.PRIVACY_INCOMPLETE()
    if terms.readiness > Readiness.READY:
        raise no.READINESS_UNKNOWN(terms.readiness)


def fund(tables: Tables, call: Call, job: JobId) -> None:
    """Put the price of an open job in escrow."""
    entry = job_in(tables, job, Stage.OPEN)
    only_buyer(entry, call)
    on_time(entry.deadline, call)
    write(tables, replace(entry, stage=Stage.FUNDED, deadline=call.time + entry.terms.enrol_for))
    take(tables, call, entry.terms.token, entry.terms.price)


def cancel(tables: Tables, call: Call, job: JobId) -> None:
    """Take back a job that nobody has accepted."""
    entry = _from(tables, job, Stage.OPEN, Stage.FUNDED)
    only_buyer(entry, call)
    _end(tables, entry)


def expire(tables: Tables, call: Call, job: JobId) -> None:
    """End a job whose stage ran out."""
    entry = _from(tables, job, Stage.OPEN, Stage.FUNDED, Stage.ENROLLING, Stage.TRAINING)
    overdue(entry.deadline, call)
    _end(tables, entry)


def _from(tables: Tables, job: JobId, *stages: Stage) -> Job:
    entry = tables.jobs.get(job)
    if entry is None or entry.stage not in stages:
        raise no.WRONG_STAGE(job, Stage.NONE if entry is None else entry.stage)
    return entry


def _end(tables: Tables, entry: Job) -> None:
    write(tables, replace(entry, stage=Stage.EXPIRED))
    if entry.stage is not Stage.OPEN:
        credit(tables, entry.terms.token, entry.buyer, entry.terms.price)


def accept(tables: Tables, call: Call, job: JobId) -> None:
    """Take a funded job and put down the bond."""
    entry = job_in(tables, job, Stage.FUNDED)
    only_coordinator(entry, call)
    on_time(entry.deadline, call)
    signer = members.member_with(tables, call.sender, Role.COORDINATOR).signer
    deadline = call.time + entry.terms.enrol_for
    write(tables, replace(entry, stage=Stage.ENROLLING, deadline=deadline, bond_held=True, signer=signer))
    take(tables, call, entry.terms.token, entry.terms.bond)


def enrol(tables: Tables, call: Call, job: JobId, dataset: Digest) -> None:
    """Take a seat, reserve the data set's budget, put down the stake."""
    word(dataset)
    entry = job_in(tables, job, Stage.ENROLLING)
    on_time(entry.deadline, call)
    site = members.member_with(tables, call.sender, Role.STEWARD)
    seat, terms = entry.sites, entry.terms
    if seat == terms.max_sites:
        raise no.SEATS_TAKEN(seat)
    taken = tables.seat_of.get((job, call.sender))
    if taken is not None:
        raise no.ALREADY_SEATED(call.sender, taken)
    entity = _entity(tables, call, entry)
    asked = (terms.epsilon_micro, terms.delta_pico)
    stated = offers.reserve(tables, dataset, call.sender, job, asked, least=terms.readiness)
    write(tables, replace(entry, sites=seat + 1))
    tables.seat_of.put((job, call.sender), seat)
    tables.places.put((job, seat), Place(call.sender, site.signer, dataset if terms.sums else NO_WORD))
    keys = site.signer, site.agreement_key
    tables.enrolled.add(job, Enrolment(Seat(seat), call.sender, dataset, *keys, entity, stated))
    take(tables, call, terms.token, terms.stake)


def _entity(tables: Tables, call: Call, entry: Job) -> Digest:
    """The legal entity for which the caller takes the next seat."""
    attester = entry.terms.attester
    if attester == NOBODY:
        return NO_WORD
    entity = tables.entities.get((attester, call.sender))
    if entity is None:
        raise no.NOT_VOUCHED(call.sender, attester)
    taken = tables.seat_of_entity.get((entry.id, entity))
    if taken is not None:
        raise no.ENTITY_SEATED(entity, taken)
    tables.seat_of_entity.put((entry.id, entity), entry.sites)
    return entity


def start(tables: Tables, call: Call, job: JobId) -> None:
    """Close the roster and begin."""
    entry = job_in(tables, job, Stage.ENROLLING)
    only_coordinator(entry, call)
    on_time(entry.deadline, call)
    if entry.sites < entry.terms.min_sites:
        raise no.SITES_MISSING(entry.sites, entry.terms.min_sites)
    first = head.start(job, entry.sites)
    deadline = call.time + entry.terms.train_for
    write(tables, replace(entry, stage=Stage.TRAINING, deadline=deadline, head=first, started_in=call.block))
