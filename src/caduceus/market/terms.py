"""What a specification means to the chain and to a data set's terms; everyone computes it alike."""

from __future__ import annotations

from caduceus import canon
from caduceus.data.policy import Ask
from caduceus.kinds import Address
from caduceus.market.ledger import JobEntry, JobTerms
from caduceus.market.specification import JobSpec


def terms_of(spec: JobSpec, task_rounds: int, *, token: Address, coordinator: Address) -> JobTerms:
    """What goes on the chain for a specification.

    task_rounds  the most rounds that its task can have
    token        the ERC-20 that pays
    coordinator  account of the party that will sum
    """
    money, times = spec.money, spec.deadlines
    return JobTerms(
        token=token,
        price=money.price,
        coordinator=coordinator,
        stake=money.stake,
        bond=money.bond,
        min_sites=spec.min_sites,
        max_sites=spec.max_sites,
        max_rounds=task_rounds + spec.spare_rounds,
        enrol_for=times.enrol,
        train_for=times.train,
        challenge_for=times.challenge,
        spec=canon.digest(spec),
    )


def difference(terms: JobTerms, entry: JobEntry) -> str | None:
    """The first thing in which a job on the chain is not what the terms say; None if there is none."""
    for name in ("token", "coordinator", "price", "stake", "bond", "min_sites", "max_sites", "max_rounds", "spec"):
        if getattr(terms, name) != getattr(entry, name):
            return name
    return None


def ask_of(spec: JobSpec, buyer: Address) -> Ask:
    """What a data set's terms need to know of a job."""
    money, learning = spec.money, spec.learning
    return Ask(
        buyer=buyer,
        purpose=spec.purpose,
        visibility=spec.visibility,
        columns=(*learning.features, learning.target),
        min_sites=spec.cohort or spec.min_sites,
        max_sites=spec.max_sites,
        price=money.price,
        fee=money.fee,
        epsilon_micro=None,
    )
