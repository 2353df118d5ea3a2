"""What a specification means to the chain and to a data set's terms; everyone computes it alike."""

from __future__ import annotations

from functools import lru_cache

from caduceus import canon
from caduceus.crypto.merkle import EMPTY
from caduceus.data.policy import Ask, show_micro
from caduceus.errors import Refused
from caduceus.kinds import Address
from caduceus.learn.inquiry.queries import columns as asked_columns
from caduceus.market.costs import Costs
from caduceus.market.ledger import JobEntry, JobTerms
from caduceus.market.specification import JobSpec, Privacy
from caduceus.privacy.accountant import table

_SAID_BY_BOTH = (
    *("token", "coordinator", "attester", "price", "stake", "bond", "min_sites", "max_sites", "max_rounds"),
    *("readiness", "epsilon_micro", "delta_pico", "sums", "costs", "spec"),
)


def terms_of(spec: JobSpec, task_rounds: int, *, token: Address, coordinator: Address) -> JobTerms:
    """What goes on the chain for a specification.

    task_rounds  the most rounds that its task can have
    token        the ERC-20 that pays
    coordinator  account of the party that will sum

    Raises as `costs_of`.
    """
    money, times, costs = spec.money, spec.deadlines, costs_of(spec)
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
        epsilon_micro=0 if costs is None else costs.whole.epsilon_micro,
        delta_pico=0 if costs is None else costs.whole.delta_pico,
        sums=0 if costs is None else costs.sums,
        costs=EMPTY if costs is None else costs.root,
        spec=canon.digest(spec),
        readiness=spec.readiness,
    )


def costs_of(spec: JobSpec) -> Costs | None:
    """What the job spends of a site's privacy budget, sum by sum; None if it opens exact sums.

    Delta is spent whole with the first sum, and so is what the specification states above the accountant's figure.

    Raises Refused if the accountant does not know an event, or finds more spent than the specification states.
    """
    return None if spec.privacy is None else _priced(spec.privacy)


@lru_cache(maxsize=64)  # every party computes it from the same public record, and sampled rounds take seconds
def _priced(privacy: Privacy) -> Costs:
    prices = table(privacy.spending, privacy.delta_pico)
    if prices[-1] > privacy.epsilon_micro:
        raise Refused(
            f"the job states an epsilon of {show_micro(privacy.epsilon_micro)}, and what it opens is worth "
            f"{show_micro(prices[-1])}"
        )
    over = privacy.epsilon_micro - prices[-1]
    return Costs(((0, 0), *((price + over, privacy.delta_pico) for price in prices[1:])))


def difference(terms: JobTerms, entry: JobEntry) -> str | None:
    """The first thing in which a job on the chain is not what the terms say; None if there is none."""
    for name in _SAID_BY_BOTH:
        if getattr(terms, name) != getattr(entry, name):
            return name
    return None


def ask_of(spec: JobSpec, buyer: Address) -> Ask:
    """What a data set's terms need to know of a job."""
    money = spec.money
    return Ask(
        buyer=buyer,
        purpose=spec.purpose,
        visibility=spec.visibility,
        aggregators=() if spec.judging is None else tuple(one.account for one in spec.judging.aggregators),
        columns=_columns(spec),
        min_sites=spec.cohort or spec.min_sites,
        max_sites=spec.max_sites,
        price=money.price,
        fee=money.fee,
        epsilon_micro=0 if spec.privacy is None else spec.privacy.epsilon_micro,
        delta_pico=0 if spec.privacy is None else spec.privacy.delta_pico,
        missing_percent=0 if spec.privacy is None else spec.privacy.missing_percent,
        use=spec.use,
    )


def _columns(spec: JobSpec) -> tuple[str, ...]:
    learned = () if spec.learning is None else (*spec.learning.features, spec.learning.target)
    return learned if spec.analysis is None else (*learned, *asked_columns(spec.analysis))
