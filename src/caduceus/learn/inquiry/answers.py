"""What an analysis publishes: numbers with their errors, and blanks where too few patients are behind them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from caduceus import canon
from caduceus.kinds import Floats
from caduceus.learn.inquiry.cells import Mask

NOISE, BOTH = "noise", "noise and sampling"
"""What an interval covers: the noise alone, so the number that these very patients would give without noise; or also
the chance that brought these patients, as independent draws from a larger population, to these sites. Neither covers
that patients of one site are more alike than others."""


@canon.record("learn/heading/1")
class Heading:
    """What some numbers are. It follows from the questions and the schema alone.

    what    such as patients, mean or survival
    unit    UCUM, "" for none
    covers  what the 95 % intervals cover, see above
    labels  one per number
    at      float64[n], where each number stands on a scale of times or quantile levels; empty if there is none
    """

    what: str
    unit: str
    covers: str
    labels: tuple[str, ...]
    at: Floats


@canon.record("learn/numbers/1")
class Numbers:
    """Numbers of one kind; all arrays have an entry per label.

    values    float64, NaN where withheld
    errors    float64, standard error from the noise alone; NaN where withheld or where a number has none
    low, high float64, 95 % interval; NaN likewise
    withheld  uint8, 1 where too few patients are behind the number, or where it would tell another such number
    """

    heading: Heading
    values: Floats
    errors: Floats
    low: Floats
    high: Floats
    withheld: npt.NDArray[np.uint8]


@canon.record("learn/answer/1")
class Answer:
    """One question's answer.

    name, kind  of the question
    """

    name: str
    kind: str
    numbers: tuple[Numbers, ...]


@canon.record("learn/answers/1")
class Answers:
    """The answers to all questions, in their order.

    minimum_cell  fewer patients than this, and nothing is published
    deviation     of the noise in every entry of the sum
    """

    answers: tuple[Answer, ...]
    minimum_cell: int
    deviation: float


def told(heading: Heading, figures: Floats, shown: Mask) -> Numbers:
    """Numbers with blanks where they are not shown.

    figures  float64[4, n]: values, errors, low and high ends
    shown    bool[n]
    """
    values, errors, low, high = np.where(shown, figures, np.nan)
    return Numbers(heading, values, errors, low, high, (~shown).astype(np.uint8))


def answers_json(answers: Answers) -> str:
    """The answers for programs: JSON, with null for what is withheld or has no such figure."""
    queries = [
        {
            "name": answer.name,
            "kind": answer.kind,
            "numbers": [
                {
                    "what": numbers.heading.what,
                    "unit": numbers.heading.unit,
                    "interval_covers": numbers.heading.covers,
                    "entries": list(_entries(numbers)),
                }
                for numbers in answer.numbers
            ],
        }
        for answer in answers.answers
    ]
    head = {"minimum_cell": answers.minimum_cell, "noise_deviation": answers.deviation, "confidence": 0.95}
    return json.dumps({**head, "queries": queries}, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def answers_text(answers: Answers) -> str:
    """The answers for people, one number a line."""
    lines: list[str] = []
    for answer in answers.answers:
        lines.append(f"{answer.name} ({answer.kind})")
        for numbers in answer.numbers:
            unit = f", {numbers.heading.unit}" if numbers.heading.unit else ""
            lines.append(f"  {numbers.heading.what}{unit}  [{numbers.heading.covers}]")
            width = max(map(len, numbers.heading.labels), default=0)
            lines += [f"    {label:{width}}  {_line(numbers, i)}" for i, label in enumerate(numbers.heading.labels)]
        lines.append("")
    lines.append("+- standard error from the noise (95 % interval for what stands in [brackets])")
    lines.append(f"withheld: about fewer than {answers.minimum_cell} patients, or would tell a number that is")
    return "\n".join(lines) + "\n"


def _entries(numbers: Numbers) -> Iterator[dict[str, Any]]:
    for i, label in enumerate(numbers.heading.labels):
        entry: dict[str, Any] = {"label": label}
        if numbers.heading.at.size:
            entry["at"] = _known(numbers.heading.at[i])
        entry["value"] = _known(numbers.values[i])
        entry["standard_error"] = _known(numbers.errors[i])
        entry["low"], entry["high"] = _known(numbers.low[i]), _known(numbers.high[i])
        entry["withheld"] = bool(numbers.withheld[i])
        yield entry


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _line(numbers: Numbers, i: int) -> str:
    if numbers.withheld[i]:
        return "withheld"
    value, error = float(numbers.values[i]), float(numbers.errors[i])
    if math.isnan(error):
        return f"{value:.4g}"
    places = 6 if error == 0 else min(max(1 - math.floor(math.log10(error)), 0), 9)  # two digits of the error
    shown = [f"{one:,.{places}f}" for one in (value, error, float(numbers.low[i]), float(numbers.high[i]))]
    if error == 0:
        shown = [one.rstrip("0").rstrip(".") for one in shown]
    return f"{shown[0]}  +- {shown[1]}  ({shown[2]} to {shown[3]})"
