"""A judged job in the open, for tests: every row is seen, and everything is computed as a round would open it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from small_hospitals import SCHEMA, learning, table

from caduceus.data.table import Table
from caduceus.kinds import Floats
from caduceus.learn.inquiry.cells import Condition
from caduceus.learn.judged.opened import UNKNOWN, WHOLE, Given, Opened
from caduceus.learn.judged.program import JudgedProgram, build_judged
from caduceus.learn.judged.rows import JudgedData, Stratum
from caduceus.learn.spec import HOLDOUT, Averaging, Evaluation
from caduceus.learn.state import Phase, State
from caduceus.market.mechanism.rules import Rules

SMOKERS = Stratum("smokers", (Condition("smoker", (), True, None, None),))
AVERAGING = Averaging((4,), "tanh", 3, 1, 16, 0.2, 0.0, 1.0, "equal", 1 << 20, 2.0, 64)
HELD_OUT = Evaluation(HOLDOUT, 1, 0, 0.3)


def program(*, evaluators: int = 0, strata: tuple[Stratum, ...] = (SMOKERS,), **changes: object) -> JudgedProgram:
    spec = learning(averaging=AVERAGING, evaluation=HELD_OUT)
    rules = Rules() if strata else Rules(budgets=(1.0,), voices=(1.0,))
    return build_judged(replace(spec, **changes), SCHEMA, strata, rules, evaluators)  # type: ignore[arg-type]


def hospitals(task: JudgedProgram, count: int = 6, rows: int = 120) -> list[JudgedData]:
    return [task.ready(records(rows, seed), f"site {seed}") for seed in range(count)]


def records(rows: int, seed: int) -> Table:
    return table(rows, seed)


def opened(
    task: JudgedProgram, state: State, given: Sequence[Given | None], examined: Sequence[Given] = ()
) -> tuple[Opened, Floats]:
    """What a round opens when every row is seen, and the sites' first rows.

    given  None where a site is absent
    """
    lots, length = task.lots(state), task.length(state)
    blank = Given(np.zeros((lots.site, length)), (UNKNOWN,) * len(task.strata))
    parts = [blank if one is None else one for one in given] + list(examined)
    rows = np.vstack([part.rows for part in parts])
    public = task.public(state)
    everything = rows if public is None else np.vstack([rows, public])
    present = np.array([one is not None for one in given] + [True] * len(examined))
    reports = np.array([part.report for part in parts], dtype=np.int64)
    found = Opened(lots, len(given), everything @ everything.T, present, reports)
    return found, np.stack([part.rows[0] for part in parts[: len(given)]])


def step(
    task: JudgedProgram, state: State, sites: Sequence[JudgedData], evaluators: Sequence[JudgedData] = ()
) -> State:
    """One round with everybody present."""
    examined = [task.examine(state, one) for one in evaluators] if state.phase is Phase.TRAINING else []
    found, first = opened(task, state, [task.contribute(state, site) for site in sites], examined)
    weights = task.weigh(state, found)
    return task.combine(state, found, weights @ first / WHOLE)


def run(task: JudgedProgram, sites: Sequence[JudgedData], evaluators: Sequence[JudgedData] = ()) -> State:
    state = task.opening()
    while not task.finished(state):
        task.check(state)
        state = step(task, state, sites, evaluators)
    return state
