"""Ground, plan and rule of a judged round, put together by each party for itself from chain and public state."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from caduceus import canon
from caduceus.crypto import rss, xwing
from caduceus.errors import Refused
from caduceus.kinds import Address, Digest, Floats, JobId
from caduceus.learn.judged.opened import WHOLE, Opened
from caduceus.learn.judged.program import JudgedProgram
from caduceus.learn.state import State
from caduceus.market.ledger import Enrolment
from caduceus.market.specification import Aggregator, Evaluator, JobSpec, Judging
from caduceus.protocol.encoding import encode
from caduceus.protocol.gram_session import (
    AggregatorKeys,
    GramGround,
    GramPlan,
    GramSession,
    Judge,
    Ring,
    bound_for,
    row_digest,
)
from caduceus.protocol.secagg_plan import threshold_for
from caduceus.protocol.secagg_session import Session

BUCKETS = 1 << 14
"""Rows of up to so many entries are multiplied as they are; longer ones are sketched to it before."""

AnySession = Session | GramSession


def ground_of(
    job: JobId, domain: bytes, coordinator: Address, enrolments: Sequence[Enrolment], spec: JobSpec
) -> GramGround:
    """Who takes part in the judged rounds of a job.

    coordinator  signer that it accepted the job with
    enrolments   every seat, in order

    Raises Refused if the job has no three aggregators, or one signer stands for two parties.
    """
    judging = judging_of(spec)
    return GramGround(
        Digest(domain),
        job,
        coordinator,
        tuple(AggregatorKeys(one.signer, one.kem) for one in judging.aggregators),
        tuple(one.signer for one in judging.evaluators),
        tuple(one.signer for one in enrolments),
    )


def accounts_of(spec: JobSpec, enrolments: Sequence[Enrolment]) -> dict[int, Address]:
    """Under which account everybody in a judged round is reached, by number: sites, evaluators, aggregators."""
    judging = judging_of(spec)
    accounts = [one.site for one in enrolments]
    accounts += [one.account for one in judging.evaluators]
    accounts += [one.account for one in judging.aggregators]
    if len(set(accounts)) != len(accounts):
        raise Refused("judging: one account stands for two parties")
    return dict(enumerate(accounts))


def judging_of(spec: JobSpec) -> Judging:
    """How a job's updates are judged.

    Raises Refused if they are not, or it names other than three aggregators.
    """
    if spec.judging is None or len(spec.judging.aggregators) != rss.PARTIES:
        raise Refused("the specification names no three aggregators, who judge updates that nobody sees")
    return spec.judging


def check_judges(spec: JobSpec) -> None:
    """Refuse a job whose updates are to be judged by parties that cannot do it, before a stake is put down for it.

    Raises Refused if there are no three aggregators, if one account or signer stands twice, or a key is none.
    """
    if spec.judging is None:
        return
    parties: list[Aggregator | Evaluator] = [*judging_of(spec).aggregators, *spec.judging.evaluators]
    if len({one.account for one in parties}) < len(parties) or len({one.signer for one in parties}) < len(parties):
        raise Refused("judging: one account or signer stands for two parties")
    if not all(xwing.is_sound(one.kem) for one in spec.judging.aggregators):
        raise Refused("judging: an aggregator's key is none that shares can be sealed for")


def plan_for(round: int, ground: GramGround, task: JudgedProgram, state: State) -> GramPlan:
    """What everybody in a round must agree on.

    state  the public state that the round starts from, checked

    Raises Refused if it is the state of a job with more or fewer sites.
    """
    if state.judged is not None and len(state.judged.weighed) != len(ground.sites):
        raise Refused(f"state: of {len(state.judged.weighed)} sites, and {len(ground.sites)} are enrolled")
    lots, length, scale = task.lots(state), task.length(state), task.scale(state)
    row = task.public(state)
    public = None if row is None else in_ring(row, scale)
    session = GramSession(
        ground=ground.digest,
        round=round,
        state=canon.digest(state),
        site_rows=lots.site,
        evaluator_rows=lots.evaluator,
        length=length,
        scale=scale,
        bound=bound_for(task.norm(state), scale=scale, length=length, buckets=BUCKETS),
        report=len(task.strata),
        quorum=min(len(ground.sites), threshold_for(len(ground.sites))),
        buckets=BUCKETS,
        public=None if public is None else row_digest(public),
    )
    return GramPlan(session, ground, public)


def in_ring(rows: Floats, scale: int) -> Ring:
    """Rows in the fixed point of a round: uint64, of the same shape.

    Raises Misuse if they are not finite, or too large to be counted step by step.
    """
    flat = encode(np.ravel(rows), scale=scale, bits=64, parties=1)
    return flat.astype(np.uint64, copy=False).reshape(rows.shape)


def opened(
    task: JudgedProgram,
    state: State,
    gram: Floats,
    reports: npt.NDArray[np.int64],
    present: npt.NDArray[np.bool_],
    *,
    sites: int,
) -> Opened:
    """What a round opens before its sum, as the task reads it; see `gram_session.Judge` for the parts."""
    return Opened(task.lots(state), sites, gram, present, reports)


def judge_for(task: JudgedProgram, state: State, sites: int) -> Judge:
    """The public rule in a state."""

    def rule(gram: Floats, reports: npt.NDArray[np.int64], present: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        return task.weigh(state, opened(task, state, gram, reports, present, sites=sites))

    return rule


def total_of(words: Ring, scale: int) -> Floats:
    """A weighted sum in model units: float64[length].

    words  uint64[length], with weights in parts of `WHOLE`
    """
    return words.view(np.int64).astype(np.float64) / (float(scale) * WHOLE)
