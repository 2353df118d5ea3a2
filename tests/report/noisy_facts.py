"""Facts for the report's tests: a job with differential privacy, and an analysis with every kind of question."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from report_facts import job

from caduceus.report.facts import (
    AnalysisFacts,
    AnswerFacts,
    AxisFacts,
    BudgetFacts,
    FigureFacts,
    JobFacts,
    NumbersFacts,
    PrivacyFacts,
    Quality,
    ReleaseFacts,
)

HIDDEN = 7654321.0
"""What a withheld figure would say if a page told it; it must stand nowhere."""


def figure(label: str, value: float, error: float | None = 12.0, at: float | None = None) -> FigureFacts:
    spread = None if error is None else 2 * error
    low, high = (None, None) if spread is None else (value - spread, value + spread)
    return FigureFacts(label, at, value, error, low, high, withheld=False)


def withheld(label: str, at: float | None = None) -> FigureFacts:
    """As a careless or hostile source would hand it over: marked, and with the number still in it."""
    return FigureFacts(label, at, HIDDEN, HIDDEN, HIDDEN, HIDDEN, withheld=True)


def privacy(sites: Sequence[str]) -> PrivacyFacts:
    return PrivacyFacts(
        epsilon=1_000_000,
        delta=10_000_000,
        missing_percent=20,
        opened=3,
        releases=(
            ReleaseFacts(1, 1, 1, 9.25, 1.0),
            ReleaseFacts(2, 3, 1, 8.125, 0.125),
            ReleaseFacts(4, 4, 2, 3.5, 1.0),
        ),
        costs=(0, 350_000, 600_000, 875_000, 1_000_000),
        budgets=tuple(
            BudgetFacts(name, 3_000_000, 100_000_000, 500_000 * (seat % 2), 5_000_000, 875_000, 10_000_000)
            for seat, name in enumerate(sites)
        ),
    )


def private_job(sites: int = 4) -> JobFacts:
    """A training job whose sums carry noise; it ended one sum early."""
    full = job(sites)
    return dataclasses.replace(full, privacy=privacy([one.name for one in full.sites]), auroc_error=0.0321)


SUBTYPES, DEAD = ("TACS", "PACS", "other"), ("no", "yes")
TIMES = (0.0, 30.0, 90.0, 180.0, 1400.0)


def answers() -> tuple[AnswerFacts, ...]:
    groups = {"alert": (1.0, 0.93, 0.88, 0.85, 0.84), "drowsy": (1.0, 0.68, None, 0.53, None)}
    survival = tuple(
        NumbersFacts(
            f"survival, {group}",
            "",
            "noise and sampling",
            tuple(
                withheld(f"{at:g} d", at) if value is None else figure(f"{at:g} d", value, 0.01 * (at > 0), at)
                for at, value in zip(TIMES, values, strict=True)
            ),
        )
        for group, values in groups.items()
    )
    cells = tuple(
        withheld(f"{subtype}, {dead}") if subtype == "other" else figure(f"{subtype}, {dead}", 900.0 + 100 * i, 8.8)
        for i, (subtype, dead) in enumerate((s, d) for s in SUBTYPES for d in DEAD)
    )
    return (
        AnswerFacts("how many", "count", "number of patients", (), (patients(figure("all", 1409.0)),)),
        AnswerFacts(
            "age",
            "mean",
            "mean of age",
            (),
            (patients(figure("all", 8189.0)), NumbersFacts("mean", "a", "noise", (figure("all", 71.65, 0.1),))),
        ),
        AnswerFacts(
            "consciousness",
            "histogram",
            "number of patients by consciousness",
            (AxisFacts("consciousness", ("alert", "drowsy", "unconscious")),),
            (patients(figure("alert", 6227.0), figure("drowsy", 1838.0), withheld("unconscious")),),
        ),
        AnswerFacts(
            "pressure",
            "quantiles",
            "quantiles of sbp",
            (),
            (
                patients(figure("with a value", 8140.0), withheld("missing")),
                NumbersFacts(
                    "quantiles, in bins of 7 at most",
                    "mm[Hg]",
                    "noise and sampling",
                    (figure("0.25", 141.6, 1.8, 0.25), figure("0.5", 160.4, 1.8, 0.5)),
                ),
            ),
        ),
        AnswerFacts(
            "subtype and death",
            "table",
            "number of patients by subtype and death",
            (AxisFacts("subtype", SUBTYPES), AxisFacts("death", DEAD)),
            (patients(*cells),),
        ),
        AnswerFacts(
            "survival by consciousness",
            "survival",
            "share without died over follow_up, by consciousness",
            (AxisFacts("follow_up", ()), AxisFacts("consciousness", ("alert", "drowsy"))),
            (
                *survival,
                NumbersFacts(
                    "log-rank", "", "noise and sampling", (figure("z", -17.5, None), figure("p", 3e-68, None))
                ),
            ),
        ),
    )


def patients(*figures: FigureFacts) -> NumbersFacts:
    return NumbersFacts("patients", "", "noise", figures)


def analysis_job(sites: int = 4) -> JobFacts:
    """Questions of every kind, some of whose numbers are withheld."""
    none = Quality(None, None)
    full = private_job(sites)
    assert full.privacy is not None
    told = dataclasses.replace(
        full.privacy, opened=1, releases=(ReleaseFacts(1, 1, 1, 3.73, 1.0),), costs=(0, 1_000_000)
    )
    return dataclasses.replace(
        full,
        title="Who they are",
        model="answers to 6 questions by one noisy sum",
        target="",
        sites=tuple(dataclasses.replace(one, local=none, federated=none, pooled=none) for one in full.sites),
        rounds=(dataclasses.replace(full.rounds[0], phase="questions"),),
        pooled=none,
        auroc_error=None,
        calibration=(),
        coefficients=(),
        privacy=told,
        analysis=AnalysisFacts(6, 20, 12.3, answers()),
    )


def unanswered_job() -> JobFacts:
    """An analysis whose only round failed."""
    full = analysis_job()
    assert full.privacy is not None
    return dataclasses.replace(
        full,
        rounds=(dataclasses.replace(full.rounds[0], phase="too few sites answered in time"),),
        privacy=dataclasses.replace(full.privacy, opened=0),
        analysis=AnalysisFacts(6, 20, None, ()),
    )


def without_figures(one: AnswerFacts) -> AnswerFacts:
    """The same answer with no number in it that is one."""
    odd = math.nan
    return dataclasses.replace(
        one,
        numbers=tuple(
            dataclasses.replace(
                numbers,
                figures=tuple(
                    dataclasses.replace(each, value=odd, error=odd, low=odd, high=odd, withheld=False)
                    for each in numbers.figures
                ),
            )
            for numbers in one.numbers
        ),
    )
