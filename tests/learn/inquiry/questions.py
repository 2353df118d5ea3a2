"""Questions about a made-up registry, for the tests of analyses."""

from __future__ import annotations

import numpy as np

from caduceus.data.schema import BOOLEAN, CATEGORY, FEATURE, INTEGER, NUMBER, TARGET, Column, Schema
from caduceus.data.table import Table
from caduceus.learn.inquiry.cells import Axis, Condition
from caduceus.learn.inquiry.queries import Analysis, Contingency, Histogram, Mean, Quantiles, Query, Survival

SEXES, ARMS, STAGES = ("female", "male"), ("usual", "new"), ("mild", "moderate", "severe")

SCHEMA = Schema(
    "registry",
    (
        Column("age", NUMBER, FEATURE, "a", "", 0.0, 120.0, (), True, None),
        Column("pressure", NUMBER, FEATURE, "mm[Hg]", "", 40.0, 300.0, (), False, None),
        Column("visits", INTEGER, FEATURE, "", "", 0.0, 40.0, (), False, None),
        Column("smoker", BOOLEAN, FEATURE, "", "", 0.0, 1.0, (), False, None),
        Column("sex", CATEGORY, FEATURE, "", "", None, None, SEXES, True, None),
        Column("arm", CATEGORY, FEATURE, "", "", None, None, ARMS, False, None),
        Column("stage", CATEGORY, FEATURE, "", "", None, None, STAGES, False, None),
        Column("unbounded", NUMBER, FEATURE, "", "", None, None, (), False, None),
        Column("days", INTEGER, TARGET, "d", "", 0.0, 365.0, (), False, None),
        Column("death", BOOLEAN, TARGET, "", "", 0.0, 1.0, (), False, None),
    ),
)
GRID = tuple(float(day) for day in range(30, 361, 30))


def registry(rows: int, seed: int, *, gaps: float = 0.1, per_patient: int = 1) -> Table:
    """Records with a share of gaps in every column that may have them; the new arm lives longer."""
    draw = np.random.default_rng(seed)
    arm = draw.integers(0, 2, rows)
    death_at = draw.exponential(np.where(arm == 1, 500.0, 250.0))
    lost_at = np.minimum(draw.uniform(30, 700, rows), 365.0)
    values = np.stack(
        [
            draw.uniform(20, 100, rows),
            np.clip(draw.normal(130, 25, rows), 40, 300),
            draw.integers(0, 12, rows).astype(float),
            (draw.random(rows) < 0.3).astype(float),
            draw.integers(0, 2, rows).astype(float),
            arm.astype(float),
            draw.integers(0, 3, rows).astype(float),
            draw.normal(0, 1, rows),
            np.ceil(np.minimum(death_at, lost_at)),
            (death_at <= lost_at).astype(float),
        ]
    )
    for i, column in enumerate(SCHEMA.columns):
        if not column.required:
            values[i, draw.random(rows) < gaps] = np.nan
    if per_patient == 1:
        return Table(SCHEMA, values)
    names = np.array([f"p{n}" for n in draw.integers(0, max(rows // per_patient, 1), rows)])
    return Table(SCHEMA, values, {"who": names}, "who")


def ask(name: str, *, where: tuple[Condition, ...] = (), weight: float = 1.0, **kind: object) -> Query:
    fields = ("mean", "histogram", "quantiles", "table", "survival")
    assert set(kind) <= set(fields)
    return Query(name, where, weight, *(kind.get(field) for field in fields))


def axis(column: str, bins: int = 0, edges: tuple[float, ...] = ()) -> Axis:
    return Axis(column, bins, edges)


OLD = Condition("age", (), None, 65.0, None)
WOMEN = Condition("sex", ("female",), None, None, None)
SMOKERS = Condition("smoker", (), True, None, None)

EVERYTHING = Analysis(
    (
        ask("patients"),
        ask("old women", where=(OLD, WOMEN), weight=0.5),
        ask("pressure", mean=Mean("pressure", True), weight=3.0),
        ask("smokers", mean=Mean("smoker", False)),
        ask("age bands", histogram=Histogram(axis("age", edges=(40.0, 65.0, 80.0)), True)),
        ask("stages", histogram=Histogram(axis("stage"), True), where=(SMOKERS,)),
        ask("age quartiles", quantiles=Quantiles(axis("age", 120), (0.25, 0.5, 0.75))),
        ask("pressure deciles", quantiles=Quantiles(axis("pressure", 130), (0.1, 0.9))),
        ask("cross", table=Contingency((axis("sex"), axis("stage"), axis("visits", edges=(4.0, 8.0))), True)),
        ask("survival", survival=Survival(axis("days", edges=GRID), "death", "arm"), weight=4.0),
        ask("overall", survival=Survival(axis("days", 5), "death", "")),
    ),
    10,
)
