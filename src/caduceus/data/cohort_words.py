"""A cohort in words: who is in it, in the order in which patients are left out, and what their records are read for."""

from __future__ import annotations

from collections.abc import Iterator

from caduceus.data.cohort import (
    AGE,
    ANY,
    CODED,
    COUNT,
    DIED,
    EVERY,
    FIRST,
    FIRST_ELIGIBLE,
    LAST,
    OBSERVED_BEFORE,
    SEX,
    TIME,
    YEAR,
    Cohort,
    Criterion,
    Draw,
    Window,
)
from caduceus.data.schema import Column, Schema

_FACTS = {
    AGE: "age in full years on the index date",
    SEX: "sex",
    YEAR: "calendar year of the index date",
    OBSERVED_BEFORE: "days observed before the index date",
}

_CODES_SHOWN = 8


def describe_cohort(schema: Schema) -> tuple[str, ...]:
    """What a cohort is, a sentence per line.

    returns  nothing if the schema's table is not made of clinical records
    """
    cohort = schema.cohort
    if cohort is None:
        return ()
    kinds = (
        "all their kinds too, as far as a site's vocabularies tell" if cohort.descendants else "nothing but themselves"
    )
    by_name = {one.name: one for one in schema.columns}
    return (
        f"Day 0 of a row is {_which(cohort)} on which {_codes(cohort.index)} is recorded. Codes stand for {kinds}.",
        *(f"{one[0].upper()}{one[1:]}." for one in conditions(cohort)),
        *(_column(by_name[one.column], one) for one in cohort.draws),
    )


def conditions(cohort: Cohort) -> Iterator[str]:
    """What must hold of a row, besides having an index event, in the order in which it is asked."""
    yield "the index date is neither before birth nor after death"
    if cohort.date_from:
        yield f"the index date is between {cohort.date_from} and {cohort.date_to}"
    if cohort.sexes:
        yield f"sex is {' or '.join(cohort.sexes)}"
    if cohort.age_from is not None:
        yield f"age is {cohort.age_from} to {cohort.age_to} on the index date"
    if cohort.prior_observation is not None:
        yield f"observed for {_days(cohort.prior_observation)} before the index date"
    if cohort.follow_up is not None:
        yield f"observed for {_days(cohort.follow_up)} after the index date, or until death"
    for one in cohort.required:
        yield f"has {_criterion(one)}"
    for one in cohort.excluded:
        yield f"does not have {_criterion(one)}"
    for one in cohort.washout:
        yield f"did not have before what is predicted: {_criterion(one)}"


def chosen(cohort: Cohort) -> str:
    """Which index events count, in words."""
    return {EVERY: "every index event", FIRST: "the first index event", LAST: "the last index event"}.get(
        cohort.which,
        f"the {'first' if cohort.which == FIRST_ELIGIBLE else 'last'} index event for which all of that holds",
    )


def _which(cohort: Cohort) -> str:
    gap = f" (with no such day in the {_days(cohort.gap)} before it)" if cohort.gap else ""
    words = {EVERY: "every day", FIRST: "the first day", LAST: "the last day"}.get(cohort.which)
    if words is None:
        words = f"the {'first' if cohort.which == FIRST_ELIGIBLE else 'last'} day for which all below holds"
    return f"{words}{gap}"


def _criterion(one: Criterion) -> str:
    times = f"on {one.times} days or more " if one.times > 1 else ""
    unit = f" {one.unit}" if one.unit else ""
    low = "" if one.low is None else f" of {one.low:g}{unit} or more"
    high = "" if one.high is None else f" {'and' if low else 'of'} {one.high:g}{unit} or less"
    return f"{_codes(one.codes)}{low}{high} {times}{_window(one.window)}"


def _column(column: Column, draw: Draw) -> str:
    unit = f", in {column.unit}" if column.unit and draw.source == CODED else ""
    return f"{column.name} ({column.role}, {column.kind}): {_drawn(column, draw)}{unit}."


def _drawn(column: Column, draw: Draw) -> str:
    if draw.window is None:
        return _FACTS[draw.source]
    when = _window(draw.window)
    what = "death" if draw.source == DIED else _codes(column.codes)
    if draw.take == ANY:
        return f"whether there is {what} {when}"
    if draw.take == COUNT:
        return f"on how many days there is {what} {when}"
    if draw.take == TIME:
        return f"days from the index date to {what} {when}, or until nobody looked any more"
    return f"the {draw.take} {'answer' if draw.answers else 'value'} of {what} {when}"


def _window(window: Window) -> str:
    first, last = window.first, window.last
    if first is None and last is None:
        return "at any time"
    if first is None:
        return f"until day {last}"
    if last is None:
        return f"from day {first} on"
    return f"on day {first}" if first == last else f"from day {first} to day {last}"


def _codes(codes: tuple[str, ...]) -> str:
    more = f" or {len(codes) - _CODES_SHOWN} more codes" if len(codes) > _CODES_SHOWN else ""
    return " or ".join(codes[:_CODES_SHOWN]) + more


def _days(days: int) -> str:
    return "1 day" if days == 1 else f"{days} days"
