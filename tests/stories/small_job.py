"""The smallest whole job that still has every part: three sites, a few rounds, an evaluation, money."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from caduceus.edges.federation import example, locate
from caduceus.errors import Error
from caduceus.learn.state import State
from caduceus.protocol.round_record import RoundRecord
from caduceus.protocol.secagg_session import Session
from caduceus.wiring.order import Order

SITES = ("Ash", "Birch", "Cedar")
FOUR = (*SITES, "Elm")
"""The fewest sites of which one may be missing."""
TWELVE = (*FOUR, "Fir", "Gorse", "Hazel", "Ivy", "Juniper", "Larch", "Maple", "Oak")
"""The fewest sites for two groups of which each may show a sum over three."""
ROWS = 60
"""Per site."""

JOB = """
seed = 1

[job]
title = "A small job"
schema = "schema.toml"

[task]
target = "malignant"
features = ["radius_mean", "texture_mean", "smoothness_mean"]

[model]
kind = "logistic"
rounds = 3

[evaluation]
method = "cross"
repeats = 1
folds = 2

[sites]
min = 3
max = 4
spare_rounds = 1

[money]
price = 100_003
fee = 5_000
stake = 2_000
bond = 10_000
"""

GROUPED = JOB.replace("[task]", 'visibility = "cohort"\ncohort = 3\n\n[task]').replace(
    "min = 3\nmax = 4", "min = 12\nmax = 12"
)
"""The same job with sums over groups of at least three."""
WIDE = JOB.replace("min = 3\nmax = 4", "min = 12\nmax = 12")
"""The same job for as many sites, with one sum."""

PRIVATE = JOB.replace(
    """[evaluation]
method = "cross"
repeats = 1
folds = 2
""",
    """[privacy]
epsilon = 2.0
delta = 1e-6
missing = 25

[evaluation]
method = "holdout"
repeats = 1
fraction = 0.25
""",
)
"""The same job with differential privacy: five noisy sums; one of four sites may be missing."""

QUESTIONS = (
    PRIVATE[: PRIVATE.index("[task]")].replace("seed = 1", "").replace("[job]", '[job]\nkind = "analysis"')
    + """
[privacy]
epsilon = 2.0
delta = 1e-6
missing = 25

[analysis]
minimum_cell = 5

[[query]]
name = "malignant"
kind = "histogram"
column = "malignant"

[[query]]
name = "radius"
kind = "mean"
column = "radius_mean"

"""
    + JOB[JOB.index("[sites]") :]
)
"""Two questions about the same data, in one noisy sum."""

JUDGED = (
    JOB[: JOB.index("[model]")].replace("[task]", 'visibility = "gram"\n\n[task]')
    + """
[model]
kind = "mlp"
hidden = []
rounds = 4
rate = 0.5
clip = 2.0

[judging]
[[judging.stratum]]
name = "coarse texture"
where = [{ column = "texture_mean", from = 20.0 }]

[evaluation]
method = "holdout"
repeats = 1
fraction = 0.4

"""
    + JOB[JOB.index("[sites]") :].replace("min = 3\nmax = 4", "min = 5\nmax = 6")
)
"""A linear model of updates that three aggregators judge and nobody sees."""

SIX = (*FOUR, "Fir", "Gorse")
REGISTRY = "Hazel"
"""Who judges the six by records of its own, and is no site."""

SEEN = """
purposes = ["research"]
visibility = "gram"
min_other_sites = 2
exact_sums = true
"""
"""Terms that let inner products of updates be opened."""

BUDGET = """
purposes = ["research"]
min_other_sites = 2
epsilon = 3.0
delta = 1e-5
"""
"""Terms with a privacy budget: one such job fits into it, two do not."""

FEDERATION = """
[federation]
title = "Three small sites"
description = "The first rows of a public data set."
licence = "CC BY 4.0"
citation = "Wolberg, Mangasarian, Street, Street (1995)"
data = "{data}"
schema = "schema.toml"
"""


def write(
    folder: Path, sites: Sequence[str] = SITES, *, job: str = JOB, rows_each: int = ROWS, terms: str | None = None
) -> Order:
    """Write the job, the federation and every site's records into a folder, and order them played."""
    folder.mkdir(parents=True, exist_ok=True)
    header, *rows = locate("sklearn:breast_cancer", None).read_text().splitlines()
    federation = FEDERATION.format(data=folder)
    for place, name in enumerate(sites):
        part = [header, *rows[place * rows_each : (place + 1) * rows_each]]
        (folder / f"{name}.csv").write_text("\n".join(part) + "\n")
        federation += f'\n[[site]]\nname = "{name}"\nfile = "{name}.csv"\n'
    if REGISTRY in sites and job == JUDGED:
        federation = federation.replace("[federation]", f'[federation]\nevaluators = ["{REGISTRY}"]')
    (folder / "federation.toml").write_text(federation)
    (folder / "small.toml").write_text(job)
    for name in ("schema.toml", "terms.toml"):
        (folder / name).write_text(example("breast", file=name).read_text())
    if terms is not None:
        (folder / "terms.toml").write_text(terms)
    return Order(folder / "small.toml", folder / "federation.toml")


@dataclass
class Onlooker:
    """Implements `watch.Watch`: remembers the rounds and what sites complained about."""

    rounds: list[RoundRecord] = field(default_factory=list)
    faults: list[tuple[str, Error]] = field(default_factory=list)
    on_begin: Callable[[str], None] = lambda _what: None
    on_step: Callable[[str], None] = lambda _text: None

    def begin(self, what: str, steps: int) -> None:
        self.on_begin(what)

    def step(self, text: str) -> None:
        self.on_step(text)

    def round(self, record: RoundRecord, state: State, session: Session) -> None:
        self.rounds.append(record)

    def fault(self, who: str, problem: Error) -> None:
        self.faults.append((who, problem))
