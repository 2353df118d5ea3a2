"""An analysis as a task of one round: every site's tally is summed with noise, and the sum is read as answers."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import final

from caduceus.data.schema import Schema
from caduceus.data.table import Table
from caduceus.errors import Misuse, Refused
from caduceus.kinds import Floats
from caduceus.learn.inquiry.answering import check_answers, combine
from caduceus.learn.inquiry.plan import Plan, plan, tally
from caduceus.learn.inquiry.queries import Analysis
from caduceus.learn.rows import Tally, check_size
from caduceus.learn.state import Phase, State, require
from caduceus.learn.task import checked
from caduceus.privacy import accountant
from caduceus.privacy.events import Part, Spending
from caduceus.privacy.events import check as check_spending
from caduceus.privacy.mechanisms import Crowd, Release, event

OPENING = State(0, Phase.QUESTIONS)
"""Before the round nothing is known."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class Inquiry:
    """Implements `task.Task`; built by `build_inquiry`."""

    analysis: Analysis
    schema: Schema
    plan: Plan
    spending: Spending
    crowd: Crowd

    @property
    def trains_long(self) -> bool:
        """A tally takes no time."""
        return False

    @property
    def max_rounds(self) -> int:
        """One round."""
        return 1

    def opening(self) -> State:
        """The public state before the round."""
        return OPENING

    def check(self, state: State) -> None:
        """Refuse a state, perhaps a peer's, that is neither before nor after the round.

        Raises Refused, naming the field.
        """
        if state == OPENING:
            return
        require(state.answers is not None, "answers")
        require(state.judged is None, "judged")
        require(state == replace(OPENING, round=1, phase=Phase.DONE, answers=state.answers), "phase")
        assert state.answers is not None
        check_answers(self.plan, state.answers)

    def finished(self, state: State) -> bool:
        """Whether the questions are answered."""
        return state.phase is Phase.DONE

    def release(self, state: State) -> Release:
        """The noise of the round's sum."""
        if self.finished(state):
            raise Misuse("this task is finished; there is no coming round")
        return Release(self.plan.length, self.plan.bound, self.plan.sensitivity, self.spending.event(0).multiplier)

    def length(self, state: State) -> int:
        """Entries of every site's vector."""
        return self.release(state).length

    def bound(self, state: State) -> float:
        """Every entry of a vector lies in [-bound, bound]."""
        return self.release(state).bound

    def bits(self, state: State) -> int:
        """64: noise needs room."""
        return 64

    def scale(self, state: State) -> int:
        """Fixed-point steps per unit."""
        return self.release(state).scale

    def ready(self, table: Table, label: str) -> Tally:
        """What a site answers with, before noise; stays at the site.

        Raises Refused if the table does not fit.
        """
        if table.schema.digest() != self.schema.digest():
            raise Refused(f"site {label}: its table has schema '{table.schema.title}', not the job's; map it anew")
        check_size(table.rows, label)
        return Tally(label, table.rows, tally(self.plan, table))

    def contribute(self, state: State, site: Tally, secret: bytes = b"") -> Floats:
        """The site's tally: float64[length]. Reveals, once summed with noise, what `plan.tally` says."""
        if self.finished(state):
            raise Misuse("this task is finished; there is no coming round")
        return site.vector

    def combine(self, state: State, total: Floats, sites: int) -> State:
        """The answers.

        total  float64[length], the sum over all sites with its noise
        sites  how many took part, >= 1
        """
        deviation = self.release(state).deviation * math.sqrt(self.crowd.excess(sites))
        answers = combine(self.plan, checked(total, self.plan.length), deviation)
        return replace(state, round=1, phase=Phase.DONE, answers=answers)


def plan_spending(*, epsilon_micro: int, delta_pico: int) -> Spending:
    """The noise with which an analysis spends an epsilon: all of it goes to its one sum."""
    whole = accountant.multiplier(*accountant.aim(epsilon_micro, delta_pico))
    return Spending((Part((event(whole),)),))


def build_inquiry(analysis: Analysis, schema: Schema, spending: Spending, crowd: Crowd) -> Inquiry:
    """The task of an analysis.

    Raises Refused, naming question and column, if it does not fit the schema, or its noise is not for one sum.
    """
    check_spending(spending)
    if spending.releases != 1 or spending.event(0).rate != 1:
        raise Refused("privacy: an analysis opens one sum, of all patients; its noise is for something else")
    inquiry = Inquiry(analysis, schema, plan(analysis, schema), spending, crowd)
    _ = inquiry.release(OPENING).scale  # raises where the noise does not fit
    return inquiry
