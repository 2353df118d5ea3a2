"""Conditions that several of the Jobs contract's functions begin with."""

from __future__ import annotations

from dataclasses import replace

from caduceus.kinds import Address, JobId, Stage
from caduceus.sim.rules import reasons as no
from caduceus.sim.rules.money import credit
from caduceus.sim.rules.tables import Call, Job, Place, Tables


def job_in(tables: Tables, job: JobId, stage: Stage) -> Job:
    """The job, which must be in the stage."""
    entry = tables.jobs.get(job)
    now = Stage.NONE if entry is None else entry.stage
    if entry is None or now is not stage:
        raise no.WRONG_STAGE(job, now)
    return entry


def place_at(tables: Tables, job: JobId, seat: int) -> tuple[Job, Place]:
    """A seat, and its job in whatever stage."""
    entry = tables.jobs.get(job)
    place = tables.places.get((job, seat))
    if entry is None or place is None:
        raise no.SEAT_UNKNOWN(seat, 0 if entry is None else entry.sites)
    return entry, place


def only_buyer(entry: Job, call: Call) -> None:
    """The caller is the job's buyer."""
    if call.sender != entry.buyer:
        raise no.NOT_BUYER(call.sender, entry.buyer)


def only_coordinator(entry: Job, call: Call) -> None:
    """The caller is the job's coordinator."""
    if call.sender != entry.terms.coordinator:
        raise no.NOT_COORDINATOR(call.sender, entry.terms.coordinator)


def only_site(place: Place, call: Call) -> None:
    """The caller is the seat's site."""
    if call.sender != place.site:
        raise no.NOT_SITE(call.sender, place.site)


def on_time(deadline: int, call: Call) -> None:
    """The deadline is not over."""
    if call.time > deadline:
        raise no.DEADLINE_PASSED(deadline, call.time)


def overdue(deadline: int, call: Call) -> None:
    """The deadline is over."""
    if call.time <= deadline:
        raise no.DEADLINE_AHEAD(deadline, call.time)


def write(tables: Tables, entry: Job) -> None:
    """Let a job stand as it is in `entry`."""
    tables.jobs.put(entry.id, entry)


def reject(tables: Tables, entry: Job, harmed: Address) -> None:
    """End a job whose coordinator was shown to have cheated."""
    write(tables, replace(entry, stage=Stage.REJECTED, bond_held=False))
    credit(tables, entry.terms.token, entry.buyer, entry.terms.price)
    credit(tables, entry.terms.token, harmed, entry.terms.bond)
