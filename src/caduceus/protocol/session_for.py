"""Set-up and session of a round, put together by each party for itself from the chain and the public state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from caduceus import canon
from caduceus.crypto import keystream
from caduceus.kinds import Address, Digest, JobId
from caduceus.learn.state import State
from caduceus.learn.task import Task
from caduceus.market.ledger import Enrolment
from caduceus.market.specification import JobSpec
from caduceus.privacy.mechanisms import noisy_sites
from caduceus.protocol.secagg_plan import FEW, default_assumptions, plan
from caduceus.protocol.secagg_session import Session
from caduceus.protocol.secagg_setup import SUITE, Party, Setup, quorum_for

MOST_AT_ONCE = 64
"""Rounds that one set-up prepares at most."""

_RECORD_BYTES = 1 << 28
"""What a set-up's public record may take: every round adds four digests for every two sites."""


@dataclass(frozen=True, slots=True)
class Grounds:
    """What the chain says of a job that its secure aggregation stands on.

    domain      EIP-712 domain separator
    beacon      hash of the block in which the enrolment closed
    enrolments  every seat of the job, in order, with the keys as they were when it enrolled
    """

    job: JobId
    domain: bytes
    beacon: Digest
    coordinator_signer: Address
    enrolments: Sequence[Enrolment]
    spec: JobSpec

    @property
    def noisy(self) -> int:
        """How many sites' noise makes a sum as private as stated; 0 where sums are exact.

        No sum over fewer sites is opened: over all of them the quorum is at least this, and groups have their least
        size anyway.
        """
        privacy = self.spec.privacy
        return 0 if privacy is None else noisy_sites(self.spec.cohort or len(self.enrolments), privacy.missing_percent)

    def setup(self, *, first: int, rounds: int, draw: int) -> Setup:
        """What everybody in a set-up must agree on; whoever computes it from the same facts gets the same bytes.

        first   the first round that it is for
        rounds  how many rounds from there on
        draw    how many rounds came to a sum before; counts only where sums are over groups, else it is 0

        Raises Refused if there is no safe plan for so many sites.
        """
        sites, cohort = len(self.enrolments), self.spec.cohort
        assumptions = default_assumptions(sites)
        sizes = plan(sites, assumptions, few=sites if cohort else FEW)
        return Setup(
            suite=SUITE,
            domain=self.domain,
            job=self.job,
            coordinator=self.coordinator_signer,
            parties=tuple(Party(one.seat, one.signer, Digest(one.agreement_key)) for one in self.enrolments),
            plan=sizes,
            quorum=max(quorum_for(sizes, assumptions.silent(sites)), 0 if cohort else self.noisy),
            cohort=cohort,
            beacon=self.beacon,
            cipher=keystream.CIPHER,
            first=first,
            rounds=rounds,
            draw=draw if cohort else 0,
        )


def rounds_at_once(sites: int, left: int) -> int:
    """How many rounds one set-up prepares.

    left  rounds that the job can still have, >= 1
    """
    return max(1, min(left, MOST_AT_ONCE, _RECORD_BYTES // (4 * 32 * sites * sites)))


def session_for(round: int, *, ready: Digest, task: Task[Any], state: State) -> Session:
    """What everybody in a round must agree on.

    ready  digest of the outcome of the set-up
    state  the public state that the round starts from
    """
    return Session(
        ready=ready, round=round, state=canon.digest(state), length=task.length(state), bits=task.bits(state)
    )
