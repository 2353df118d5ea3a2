"""What every role's daemon has in common: what it tells of, and when it looks at a job again.

A role attends to a job again and again. Each time it looks at the chain, does the next thing that is its to do, if
there is one, and says whether it is done with the job for ever. So it does not matter where an earlier process stopped.
Every step looks at the chain first: nothing is paid or signed up for twice. An allowance that an earlier process gave
to the contract before it died is set again, not added to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import final

from caduceus.agents.dispute import uphold
from caduceus.errors import Refused
from caduceus.kinds import Address, JobId, Stage
from caduceus.market.job import FINAL
from caduceus.ports import Chain, JobEntry, Journal, Wallet


class Happened(StrEnum):
    """What a role tells its operator of."""

    JOINED = "joined"
    PUBLISHED = "published"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    ENROLLED = "enrolled"
    STARTED = "started"
    SERVING = "serving"
    ROUND = "round"
    ANCHORED = "anchored"
    SETTLED = "settled"
    COMPLAINED = "complained"
    ANSWERED = "answered"
    COMPLETED = "completed"
    EXPIRED = "expired"
    COLLECTED = "collected"
    WAITING = "waiting"
    REFUSED = "refused"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that a role did or saw.

    job    that it is about; None if about none
    round  or how many; -1 if none
    why    for people; names, sizes and identifiers only
    tokens that this party was paid, its own deposit aside; None if it is not about money
    """

    what: Happened
    job: JobId | None = None
    round: int = -1
    why: str = ""
    tokens: int | None = None


OnEvent = Callable[[Event], None]

GRACE = 30
"""Seconds that a stage may be overdue before whoever has money in it ends it; the buyer does so at once."""


@final
class Docket:
    """Which jobs a role has nothing left to do about, remembered so that thousands of old jobs cost nothing to pass.

    role  whose account of a job is meant, such as "coordinator"
    own   the account that this process attends to jobs of

    What is remembered in the journal never changes: that a job is done with, and whose it is.
    """

    def __init__(self, journal: Journal, role: str, own: Address) -> None:
        self._journal, self._role, self._own = journal, role, own
        self._passed: set[JobId] = set()

    def left(self, jobs: Sequence[JobId]) -> list[JobId]:
        """Those that may still need something, the newest first: theirs are the nearest deadlines."""
        return [job for job in reversed(jobs) if not self._is_past(job)]

    def is_own(self, job: JobId, whose: Address) -> bool:
        """Whether a job is one of this account's; if not, it is never looked at again."""
        if whose == self._own:
            return True
        self._journal.put_all({self._whose(job): whose}, at_once=False)
        self._passed.add(job)
        return False

    def close(self, job: JobId) -> None:
        """Write down that nothing is left to do about a job."""
        self._journal.put_all({_done(job): b""}, at_once=False)
        self._passed.add(job)

    def _is_past(self, job: JobId) -> bool:
        if job in self._passed:
            return True
        journal = self._journal
        if journal.get(_done(job)) is None and journal.get(self._whose(job)) in (None, self._own):
            return False
        self._passed.add(job)
        return True

    def _whose(self, job: JobId) -> str:
        return f"{job.hex()}/{self._role}"


def _done(job: JobId) -> str:
    return f"{job.hex()}/attended"


@final
class Pauses:
    """Looks to let pass before something that was refused is tried again: 1, 2, 4, up to `MOST`."""

    MOST = 32

    def __init__(self) -> None:
        self._left: dict[JobId, int] = {}
        self._next: dict[JobId, int] = {}

    def holds(self, job: JobId) -> bool:
        """Whether this look passes."""
        left = self._left.get(job, 0)
        if left:
            self._left[job] = left - 1
        return left > 0

    def wait(self, job: JobId) -> None:
        """It was refused: let some looks pass."""
        pause = self._next.get(job, 1)
        self._left[job], self._next[job] = pause, min(2 * pause, self.MOST)

    def wait_long(self, job: JobId) -> None:
        """It was refused, and nothing but somebody's decision changes that."""
        self._left[job] = self._next[job] = self.MOST

    def forget(self, job: JobId) -> None:
        """It went well."""
        self._left.pop(job, None)
        self._next.pop(job, None)


def end_if_overdue(chain: Chain, wallet: Wallet, entry: JobEntry, grace: int) -> bool:
    """End a job whose stage has run out, so that everybody can pull what they put in; anyone may.

    grace    seconds to leave it to somebody else
    returns  whether this account ended it
    """
    if not Stage.OPEN <= entry.stage <= Stage.TRAINING or chain.now() <= entry.deadline + grace:
        return False
    try:
        wallet.expire(entry.id)
    except Refused:
        seen = chain.job(entry.id)
        if seen is None or seen.stage not in FINAL:
            raise
        return False  # somebody else was first
    return True


def see_out(chain: Chain, wallet: Wallet, entry: JobEntry, grace: int) -> Happened | None:
    """End a job in settlement whose time has run out, whoever should have done it; anyone may.

    With a complaint that was not answered in time it is rejected; with none, completed.

    grace    seconds to leave it to somebody else
    returns  what this account has brought about
    """
    waiting = chain.omissions(entry.id)
    if waiting:
        if chain.now() <= max(one.deadline for one in waiting) + grace:
            return None
    elif chain.now() <= entry.deadline + grace:
        return None
    try:
        if waiting:
            uphold(entry.id, chain, wallet)
        else:
            wallet.complete(entry.id)
    except Refused:
        seen = chain.job(entry.id)
        if seen is None or seen.stage not in FINAL:
            raise
        return None  # somebody else was first
    return Happened.FAULT if waiting else Happened.COMPLETED
