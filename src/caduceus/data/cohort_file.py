"""How clinical records become a canonical table: the schema TOML of a cohort.

`[cohort]` says whose rows there are and from which date each row looks back and ahead; `[[column]]` says what is drawn
from the records around that date. Almost all of it is public (`data.cohort`); only the file's layout is the site's own.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from caduceus.data.cohort import Cohort, Criterion, Draw, Window
from caduceus.data.cohort_column import RecordsColumn, When, check_window, window
from caduceus.data.document import Document
from caduceus.data.schema import FEATURE, INTEGER, NUMBER, TARGET, Schema
from caduceus.data.schema_words import FileDerived, RecordCode, first_repeated

FHIR, OMOP = "fhir", "omop"
RECORDS = (FHIR, OMOP)
"""Formats of files that hold clinical records."""

Days = Annotated[int, Field(ge=0)]


def _day(written: object) -> str:
    """A date of TOML, which is a value of its own there, as YYYY-MM-DD."""
    say = getattr(written, "isoformat", None)
    text = str(say()) if callable(say) else ""
    if len(text) != len("2000-01-01"):
        raise ValueError("a date is written as 2000-01-31, without quotes and without a time")
    return text


Date = Annotated[str, BeforeValidator(_day)]


class RecordsLayout(Document):
    """Where clinical records lie.

    format     FHIR resources (NDJSON as a bulk export writes it, or bundles), or tables of the OMOP common data model
    namespace  of a database: the schema that holds the tables
    """

    format: Literal["fhir", "omop"]
    namespace: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")] = "public"


class FileCriterion(Document):
    """Something recorded around the index date.

    codes  any of these
    when   days from the index date, [from, to], both included; "ever" is open
    times  on at least as many different days
    value  [low, high] of a measured value, both included; "any" is open
    unit   UCUM, of value
    """

    codes: Annotated[tuple[RecordCode, ...], Field(min_length=1)]
    when: When
    times: Annotated[int, Field(ge=1)] = 1
    value: tuple[float | Literal["any"], float | Literal["any"]] | None = None
    unit: str = ""

    @model_validator(mode="after")
    def _fits_together(self) -> FileCriterion:
        check_window(self.when)
        low, high = self._bounds
        if self.value is not None and (low is None and high is None):
            raise ValueError("'value' is [low, high], of which at most one is \"any\"")
        if low is not None and high is not None and low > high:
            raise ValueError("'value' is [low, high] with low <= high")
        if self.unit and self.value is None:
            raise ValueError("'unit' is the unit of 'value', and there is none")
        return self

    @property
    def _bounds(self) -> tuple[float | None, float | None]:
        low, high = self.value or ("any", "any")
        return None if low == "any" else float(low), None if high == "any" else float(high)

    def criterion(self) -> Criterion:
        """Its public form."""
        return Criterion(self.codes, window(self.when), self.times, *self._bounds, self.unit)


class FileCohort(Document):
    """The `[cohort]` table; see `data.cohort.Cohort`.

    index              codes of the index event; its date is day 0 of a row
    which              first and last are chosen before anybody is left out, "first eligible" and "last eligible" after
    gap                days without an index event before one that counts
    descendants        whether codes stand for all their kinds too, as far as a source knows them
    age                [from, to] in full years on the index date, both included
    sex                male, female, other, unknown
    between            [from, to], dates of the index, both included
    prior_observation  days that must have been observed before the index
    follow_up          days that must be observed after it, or until death
    required           recorded around the index date, all of them
    excluded           not recorded there, none of them
    washout            days, or "ever": no target may be recorded from so long before the index until its own window
    """

    index: Annotated[tuple[RecordCode, ...], Field(min_length=1)]
    which: Literal["first", "last", "every", "first eligible", "last eligible"] = "first"
    gap: Days = 0
    descendants: bool = True
    age: tuple[Days, Days] | None = None
    sex: tuple[Literal["male", "female", "other", "unknown"], ...] = ()
    between: tuple[Date, Date] | None = None
    prior_observation: Days | None = None
    follow_up: Days | None = None
    required: tuple[FileCriterion, ...] = ()
    excluded: tuple[FileCriterion, ...] = ()
    washout: Annotated[int, Field(ge=1)] | Literal["ever"] | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> FileCohort:
        if self.age is not None and self.age[0] > self.age[1]:
            raise ValueError("'age' is [from, to] with from <= to")
        if self.between is not None and self.between[0] > self.between[1]:
            raise ValueError("'between' is [from, to] with from <= to")
        if self.gap and self.which == "first":
            raise ValueError("'gap' has no effect on the first of all index events; leave it out")
        return self


class CohortFile(Document):
    """A schema TOML of clinical records: `[file]`, `[cohort]`, one `[[column]]` per column, and `[[derived]]`."""

    title: str
    file: RecordsLayout
    cohort: FileCohort
    column: Annotated[tuple[RecordsColumn, ...], Field(min_length=1)]
    derived: tuple[FileDerived, ...] = ()

    @model_validator(mode="after")
    def _fits_together(self) -> CohortFile:
        names = [one.name for one in self.column] + [one.name for one in self.derived]
        if len(set(names)) < len(names):
            raise ValueError(f"two columns are named '{first_repeated(names)}'")
        if not any(one.role == FEATURE for one in self.column):
            raise ValueError("no column has the role 'feature'")
        numbers = {one.name for one in self.column if one.kind in (NUMBER, INTEGER) and one.reach is not None}
        for one in self.derived:
            if one.of not in numbers:
                raise ValueError(f"derived '{one.name}': '{one.of}' is not a number with a range in this schema")
        if self.cohort.washout is not None and not self._washout():
            raise ValueError("cohort: 'washout' needs a target that is drawn from codes")
        self._check_leaks()
        return self

    def _check_leaks(self) -> None:
        """A feature must not hold the very events that a target is made of."""
        for target in self.column:
            for feature in self.column:
                if target.role != TARGET or feature.role != FEATURE or target.when is None or feature.when is None:
                    continue
                shared = set(target.codes) & set(feature.codes)
                begin, end = window(target.when).first, window(feature.when).last
                if shared and begin is not None and end is not None and begin <= end:
                    raise ValueError(
                        f"feature '{feature.name}' and target '{target.name}' both look for {min(shared)} on day "
                        f"{begin}: the feature would give the answer away"
                    )

    def _washout(self) -> tuple[Criterion, ...]:
        said = self.cohort.washout
        if said is None:
            return ()
        begin = None if said == "ever" else -said
        return tuple(
            Criterion(one.codes, Window(begin, (window(one.when).first or 0) - 1), 1, None, None, "")
            for one in self.column
            if one.role == TARGET and one.codes and one.when is not None
        )

    def public(self) -> Schema:
        """The public half: what the table means."""
        columns = [one.column() for one in self.column]
        by_name = {column.name: column for column in columns}
        derived = (one.column(by_name[one.of]) for one in self.derived)
        return Schema(self.title, (*columns, *derived), self._public_cohort(tuple(one.draw() for one in self.column)))

    def _public_cohort(self, draws: tuple[Draw, ...]) -> Cohort:
        said = self.cohort
        age, between = said.age or (None, None), said.between
        return Cohort(
            index=said.index,
            which=said.which,
            gap=said.gap,
            descendants=said.descendants,
            age_from=age[0],
            age_to=age[1],
            sexes=said.sex,
            date_from=between[0] if between else "",
            date_to=between[1] if between else "",
            prior_observation=said.prior_observation,
            follow_up=said.follow_up,
            required=tuple(one.criterion() for one in said.required),
            excluded=tuple(one.criterion() for one in said.excluded),
            washout=self._washout(),
            draws=draws,
        )
