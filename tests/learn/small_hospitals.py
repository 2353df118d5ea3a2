"""A made-up federation for tests: a schema with every kind of column, and hospitals of any size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from caduceus.data.schema import BOOLEAN, CATEGORY, FEATURE, INTEGER, NUMBER, TARGET, Column, Schema
from caduceus.data.table import Table
from caduceus.kinds import Floats
from caduceus.learn.program import Program
from caduceus.learn.rows import SiteData
from caduceus.learn.spec import CROSS, NONE, Averaging, Evaluation, Learning, Logistic
from caduceus.learn.state import State


def column(name: str, kind: str, *, role: str = FEATURE, span: tuple[float, float] | None = None) -> Column:
    low, high = span if span is not None else ((0.0, 1.0) if kind == BOOLEAN else (None, None))
    levels = ("mild", "moderate", "severe") if kind == CATEGORY else ()
    return Column(name, kind, role, "", "", low, high, levels, False, None)


SCHEMA = Schema(
    "small hospitals",
    (
        column("age", NUMBER, span=(0.0, 120.0)),
        column("pressure", NUMBER, span=(40.0, 300.0)),
        column("visits", INTEGER, span=(0.0, 40.0)),
        column("smoker", BOOLEAN),
        column("stage", CATEGORY),
        column("unbounded", NUMBER),
        column("event", BOOLEAN, role=TARGET),
    ),
)

FEATURES = ("age", "pressure", "visits", "smoker", "stage")
NO_EVALUATION = Evaluation(NONE, 0, 0, 0.0)
CROSSED = Evaluation(CROSS, 2, 3, 0.0)
NEWTON = Logistic(1.0, 1e-5, 30)
AVERAGING = Averaging((), "relu", 5, 2, 16, 0.1, 0.0, 1.0, "rows", 64, 8.0, 32)


def learning(
    *, logistic: Logistic | None = NEWTON, averaging: Averaging | None = None, evaluation: Evaluation = NO_EVALUATION
) -> Learning:
    if averaging is not None:
        logistic = None
    return Learning(FEATURES, ("pressure", "stage"), "event", logistic, averaging, None, evaluation, seed=7)


def table(rows: int, seed: int, *, rate: float = 0.4) -> Table:
    """A hospital: about an eighth of pressures and stages are missing, both classes are there if rows >= 2."""
    draw = np.random.default_rng(seed)
    age = draw.uniform(20, 95, rows)
    pressure = np.clip(draw.normal(130, 20, rows), 40, 300)
    visits = draw.integers(0, 12, rows).astype(float)
    smoker = (draw.random(rows) < 0.3).astype(float)
    stage = draw.integers(0, 3, rows).astype(float)
    risk = 0.05 * (age - 60) + 0.02 * (pressure - 130) + 0.8 * smoker + 0.7 * stage - 0.9
    event = (draw.random(rows) < 1 / (1 + np.exp(-(risk + np.log(rate / (1 - rate)))))).astype(float)
    if rows >= 2:
        event[0], event[1] = 0.0, 1.0
    pressure[draw.random(rows) < 0.125] = np.nan
    stage[draw.random(rows) < 0.125] = np.nan
    return Table(SCHEMA, np.stack([age, pressure, visits, smoker, stage, age, event]))


def sites(task: Program, sizes: Sequence[int], *, seed: int = 0) -> list[SiteData]:
    return [task.ready(table(rows, 100 * seed + i), f"hospital {i}") for i, rows in enumerate(sizes)]


def ring_sum(task: Program, state: State, vectors: Sequence[Floats]) -> Floats:
    """The sum as it comes out of the secure sum: rounded to steps, added in the ring, read as signed numbers."""
    kind = np.uint64 if task.bits(state) == 64 else np.uint32
    total = np.zeros(task.length(state), dtype=kind)
    for vector in vectors:
        assert vector.shape == total.shape
        assert np.abs(vector).max() <= task.bound(state)
        total += np.rint(vector * task.scale(state)).astype(np.int64).astype(kind)
    return total.astype(np.int64 if kind is np.uint64 else np.int32, casting="unsafe").astype(float) / task.scale(state)


def ring_run(task: Program, hospitals: Sequence[SiteData]) -> State:
    state = task.opening()
    while not task.finished(state):
        total = ring_sum(task, state, [task.contribute(state, site) for site in hospitals])
        state = task.combine(state, total, len(hospitals))
        task.check(state)
    return state
