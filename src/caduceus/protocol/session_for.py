"""The session of a round, put together by each party for itself from the chain and the public state."""

from __future__ import annotations

from collections.abc import Sequence

from caduceus import canon
from caduceus.kinds import Address, JobId
from caduceus.learn.state import State
from caduceus.learn.task import Task
from caduceus.market.ledger import Enrolment
from caduceus.protocol.secagg_session import SUITE, Party, Session, threshold_for


def session_for(
    job: JobId,
    round: int,
    *,
    domain: bytes,
    coordinator_signer: Address,
    enrolments: Sequence[Enrolment],
    task: Task,
    state: State,
) -> Session:
    """What everybody in a round must agree on; whoever computes it from the same facts gets the same bytes.

    enrolments  every seat of the job, in order, with the keys as they were when it enrolled
    state       the public state that the round starts from
    """
    return Session(
        suite=SUITE,
        domain=domain,
        job=job,
        round=round,
        coordinator=coordinator_signer,
        parties=tuple(Party(one.seat, one.signer, one.agreement_key) for one in enrolments),
        threshold=threshold_for(len(enrolments)),
        state=canon.digest(state),
        length=task.length(state),
        bits=task.bits(state),
    )
