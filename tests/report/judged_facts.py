"""Facts of jobs whose updates were judged: one in which every lane occurs, and one in which nothing was judged."""

from __future__ import annotations

import dataclasses

from report_facts import FEE, PRICE, digest, job

from caduceus.market.mechanism.verdict import Lane
from caduceus.report.facts import (
    JobFacts,
    JudgedRoundFacts,
    JudgedSiteFacts,
    JudgingFacts,
    JudgingFault,
    LaneFacts,
    Quality,
    StratumFacts,
)

LANES = (Lane.CONSENSUS, Lane.READMITTED, Lane.DROPPED, Lane.VETOED, Lane.COPIED, Lane.STALE, Lane.ABSENT)
"""By seat; the last site is absent because it was put out. Further sites are in the consensus."""

WHY = "dealt a row above the bound"
FAILED, TAKEN_BACK = 2, 3
"""Rounds: one that failed, and one that took back what the first had done."""


def lane_of(seat: int, number: int) -> Lane:
    return Lane.CONSENSUS if seat >= len(LANES) or (seat == 2 and number == 1) else LANES[seat]


def decided(seat: int, number: int, sites: int) -> LaneFacts:
    lane = lane_of(seat, number)
    why = WHY if lane is Lane.ABSENT else ""
    if number == TAKEN_BACK and lane is not Lane.ABSENT:
        lane = Lane.VOID
    kept = lane in (Lane.CONSENSUS, Lane.READMITTED)
    return LaneFacts(lane, 0.5 / sites * kept, 0.8 / sites * (kept and number > TAKEN_BACK), why)


def site(seat: int, name: str, pay: int) -> JudgedSiteFacts:
    lane = lane_of(seat, 9)
    away = {Lane.DROPPED: -6.2, Lane.VETOED: -40.0, Lane.READMITTED: -5.0}.get(lane, 0.1 * seat)
    effects: tuple[float | None, ...] = (0.4 + 0.001 * seat, {Lane.READMITTED: 0.61}.get(lane, 0.2))
    if lane is Lane.VETOED:
        effects = (-0.7, -0.3)
    if lane is Lane.ABSENT:
        effects = (None, float("nan"))
    return JudgedSiteFacts(
        name=name,
        effects=effects,
        support=None if lane is Lane.ABSENT else away,
        net=None if lane is Lane.ABSENT else -10.4 if lane is Lane.VETOED else 6.0,
        novelty=None if lane is Lane.ABSENT else 0.45,
        earned=pay / (PRICE - FEE),
        dishonest="learned with every outcome turned round" if lane is Lane.VETOED else "",
        reason=f"A reason for {name}.",
    )


def judging(facts: JobFacts, rounds: int) -> JudgingFacts:
    sites = len(facts.sites)
    return JudgingFacts(
        strata=(
            StratumFacts("everyone else", 0.65, 0.75, 0.41, -0.05, None, 310, Quality(0.91, 0.11)),
            StratumFacts("coarse texture", 0.35, 0.25, 0.2, -0.1, 0.5, 0, Quality(None, None)),
        ),
        rounds=tuple(
            JudgedRoundFacts(number, "too few sites answered in time", False, ())
            if number == FAILED
            else JudgedRoundFacts(
                number, "", number == TAKEN_BACK, tuple(decided(seat, number, sites) for seat in range(sites))
            )
            for number in range(1, rounds + 1)
        ),
        sites=tuple(site(one.seat, one.name, one.paid) for one in facts.sites),
        evaluators=("Registry",),
        aggregators=("University", "Regulator", "Patients’ league"),
        faults=(JudgingFault(1, facts.sites[-1].name, WHY, True, digest("evidence")),),
        least_support=-3.0,
        least_net=-1.5,
        sketched=False,
    )


def judged_job(sites: int = 9, rounds: int = 6) -> JobFacts:
    """Every lane, a round that failed, one that took the last move back, a fault, and sites that were not told of."""
    facts = job(sites, rounds + 2)
    return dataclasses.replace(facts, visibility="gram", judging=judging(facts, rounds))


def unjudged_job() -> JobFacts:
    """The job ended before a round was judged."""
    facts = judged_job()
    assert facts.judging is not None
    none = dataclasses.replace(
        facts.judging,
        strata=tuple(dataclasses.replace(one, median=None, floor=None, bar=None) for one in facts.judging.strata),
        rounds=facts.judging.rounds[1:2],
        faults=(),
        sites=tuple(
            dataclasses.replace(one, effects=(None, None), support=None, net=None, novelty=None, earned=0.0)
            for one in facts.judging.sites
        ),
    )
    return dataclasses.replace(facts, judging=none)
