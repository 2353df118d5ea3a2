"""Who is in a table that was made of clinical records, and where each column comes from: public, part of the schema.

Two sites whose tables have the same columns still mean different things if one took them from the year before the
index date and the other from ten. So all of it is in the schema's digest, and sites with another cohort don't match.
"""

from __future__ import annotations

from caduceus import canon

FIRST, LAST, EVERY, FIRST_ELIGIBLE, LAST_ELIGIBLE = "first", "last", "every", "first eligible", "last eligible"
"""Which of a patient's index events count: the first or last of all, whoever is then not eligible being left out; all
that are eligible; or the first or last of those."""

CODED = "codes"
AGE, SEX, YEAR, OBSERVED_BEFORE, DIED = "age", "sex", "year", "observed_before", "died"
FACTS = (AGE, SEX, YEAR, OBSERVED_BEFORE, DIED)
"""What a column may be drawn from: what is recorded under codes, or what is known of the patient on the index date.
Age in full years, sex, calendar year, days observed before, and whether and when the patient died."""

ANY, COUNT, TAKE_FIRST, TAKE_LAST, MIN, MAX, MEAN, TIME = "any", "count", "first", "last", "min", "max", "mean", "time"
"""What is taken of a column's events: whether there is one; on how many days there is one; the first, last, least,
greatest or mean value; days until the first one, or until nobody looked any more (for survival)."""

VALUES = (TAKE_FIRST, TAKE_LAST, MIN, MAX, MEAN)
"""What is taken of values; missing where none is recorded."""


@canon.record("data/window/1")
class Window:
    """Days from the index date (day 0), both included; None is open: as far as the records go."""

    first: int | None
    last: int | None


@canon.record("data/criterion/1")
class Criterion:
    """Something recorded around the index date, by which patients are taken or left out.

    codes      any of these
    times      on at least as many different days, >= 1
    low, high  its value lies between, both included; both None if no value is asked for
    unit       UCUM, of low and high
    """

    codes: tuple[str, ...]
    window: Window
    times: int
    low: float | None
    high: float | None
    unit: str


@canon.record("data/draw/1")
class Draw:
    """Where a column of the table comes from.

    column     its name; its codes stand in the schema's column
    source     CODED, or one of `FACTS`
    take       see `ANY`; "" where the source is a fact other than DIED
    window     days that are looked at; None where the source is a fact other than DIED
    substance  what is measured, for converting moles to grams; "" goes by the code
    answers    per level of a category, the codes of an answer (or, where there is none, of the event itself) that mean
               it; a level without codes means that nothing else is recorded
    outside    what becomes of a number outside the column's range: "missing" or "clip"
    """

    column: str
    source: str
    take: str
    window: Window | None
    substance: str
    answers: tuple[tuple[str, ...], ...]
    outside: str


@canon.record("data/cohort/1")
class Cohort:
    """Which patients are in the table: one row per index event that counts.

    index              codes of the index event
    which              see `FIRST`
    gap                an event counts only if none lies within so many days before it; 0 counts every day
    descendants        whether a code stands for all its kinds too
    age_from, age_to   full years on the index date, both included; None does not ask
    sexes              none does not ask
    date_from, date_to of the index, YYYY-MM-DD, both included; "" does not ask
    prior_observation  days observed before the index; None does not ask, not even that day 0 is observed
    follow_up          days observed after it, or until death; None does not ask
    required           all of them hold
    excluded           none of them holds
    washout            what is to be predicted had not happened before: none of them holds
    draws              per column that is not derived, in the order of the schema
    """

    index: tuple[str, ...]
    which: str
    gap: int
    descendants: bool
    age_from: int | None
    age_to: int | None
    sexes: tuple[str, ...]
    date_from: str
    date_to: str
    prior_observation: int | None
    follow_up: int | None
    required: tuple[Criterion, ...]
    excluded: tuple[Criterion, ...]
    washout: tuple[Criterion, ...]
    draws: tuple[Draw, ...]
