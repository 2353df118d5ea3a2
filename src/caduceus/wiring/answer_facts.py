"""What a report says of an analysis: the questions in words, and the answers as the job's state has them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from caduceus.learn.inquiry.answers import Numbers
from caduceus.learn.inquiry.cells import Condition
from caduceus.learn.inquiry.program import Inquiry
from caduceus.learn.inquiry.queries import Query
from caduceus.report.facts import AnalysisFacts, AnswerFacts, AxisFacts, FigureFacts, NumbersFacts
from caduceus.wiring.recall import Recalled


def analysis_facts(job: Recalled) -> AnalysisFacts | None:
    """Questions and answers; None for a job that trains a model."""
    if not isinstance(job.task, Inquiry):
        return None
    plan, answers = job.task.plan, job.state.answers
    return AnalysisFacts(
        questions=len(plan.blocks),
        minimum_cell=plan.analysis.minimum_cell,
        deviation=None if answers is None else answers.deviation,
        answers=()
        if answers is None
        else tuple(
            AnswerFacts(
                name=answer.name,
                kind=answer.kind,
                asks=in_words(block.query),
                axes=tuple(AxisFacts(axis.column, axis.labels) for axis in block.axes),
                numbers=tuple(_numbers(one) for one in answer.numbers),
            )
            for block, answer in zip(plan.blocks, answers.answers, strict=True)
        ),
    )


def in_words(query: Query) -> str:
    """What a question asks, such as 'mean of age, of rows with female: yes'."""
    asked = _asked(query)
    conditions = "; ".join(_condition(one) for one in query.where)
    return f"{asked}, of rows with {conditions}" if conditions else asked


def _asked(query: Query) -> str:
    if query.mean is not None:
        return f"mean{' and standard deviation' if query.mean.deviation else ''} of {query.mean.column}"
    if query.histogram is not None:
        return f"number of patients by {query.histogram.axis.column}"
    if query.quantiles is not None:
        return f"quantiles of {query.quantiles.axis.column}"
    if query.table is not None:
        return f"number of patients by {_listed([axis.column for axis in query.table.axes])}"
    if query.survival is not None:
        by = f", by {query.survival.by}" if query.survival.by else ""
        return f"share without {query.survival.event} over {query.survival.time.column}{by}"
    return "number of patients"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _condition(one: Condition) -> str:
    if one.levels:
        return f"{one.column}: {' or '.join(one.levels)}"
    if one.true is not None:
        return f"{one.column}: {'yes' if one.true else 'no'}"
    return f"{one.column} {' '.join(_bounds(one))}"


def _bounds(one: Condition) -> Iterator[str]:
    if one.low is not None:
        yield f"from {one.low:g}"
    if one.high is not None:
        yield f"up to {one.high:g}"


def _numbers(numbers: Numbers) -> NumbersFacts:
    heading = numbers.heading
    figures = tuple(
        FigureFacts(
            label=label,
            at=float(heading.at[i]) if heading.at.size else None,
            value=_known(numbers, numbers.values[i], i),
            error=_known(numbers, numbers.errors[i], i),
            low=_known(numbers, numbers.low[i], i),
            high=_known(numbers, numbers.high[i], i),
            withheld=bool(numbers.withheld[i]),
        )
        for i, label in enumerate(heading.labels)
    )
    return NumbersFacts(heading.what, heading.unit, heading.covers, figures)


def _known(numbers: Numbers, value: float, i: int) -> float | None:
    """A number that may be told; a state from elsewhere could hold one where it says that it withholds it."""
    return None if numbers.withheld[i] or not math.isfinite(value) else float(value)
