"""One column of a cohort's schema TOML: what is drawn from a patient's records around the index date."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from caduceus.data.cohort import (
    AGE,
    ANY,
    CODED,
    COUNT,
    DIED,
    OBSERVED_BEFORE,
    SEX,
    TIME,
    VALUES,
    YEAR,
    Draw,
    Window,
)
from caduceus.data.cohort_units import SUBSTANCES
from caduceus.data.document import Document
from caduceus.data.schema import BOOLEAN, CATEGORY, FEATURE, INTEGER, NUMBER, TARGET, Column, did_you_mean
from caduceus.data.schema_words import Interval, Name, RecordCode

Day = int | Literal["ever"]
When = tuple[Day, Day]

_SEXES = ("female", "male")


def window(when: When) -> Window:
    """The public form of [from, to]."""
    first, last = when
    return Window(None if first == "ever" else first, None if last == "ever" else last)


def check_window(when: When) -> None:
    """Refuse a window whose ends are in the wrong order.

    Raises ValueError.
    """
    first, last = when
    if isinstance(first, int) and isinstance(last, int) and first > last:
        raise ValueError("'when' is [from, to] in days from the index date, with from <= to")


class RecordsLevel(Document):
    """A level of a category: its name, and the codes of an answer that mean it; without codes, nothing else."""

    name: Annotated[str, Field(min_length=1)]
    codes: tuple[RecordCode, ...] = ()


class RecordsColumn(Document):
    """One column.

    name         in the canonical table
    role         a feature is known by the index date; a target is what happens from it on
    from_        a fact on the index date (key `from`): age in full years, sex, calendar year, days observed_before; or
                 whether the patient died, which is a target
    codes        instead: of events, any of these
    when         days from the index date, [from, to], both included; "ever" is open
    take         any: whether there is such an event; count: on how many days; first, last, min, max, mean: of the
                 values, or with levels of the answers; time: days until the first, or until nobody looked any more
    unit         UCUM; values in other units are converted, or are missing
    substance    what is measured, where codes do not tell, for moles and grams
    levels       of a category, the reference first: a name with the codes that mean it; of sex the names alone
    range        plausible range; it has to be said of values and counts
    outside      what a number outside the range is: missing (values), clip (counts and times)
    required     rows without a value are left out
    """

    name: Name
    role: Literal["feature", "target"] = "feature"
    from_: Annotated[Literal["age", "sex", "year", "observed_before", "died"] | None, Field(alias="from")] = None
    codes: tuple[RecordCode, ...] = ()
    when: When | None = None
    take: Literal["any", "count", "first", "last", "min", "max", "mean", "time"] = "any"
    unit: str = ""
    substance: str = ""
    levels: tuple[str | RecordsLevel, ...] = ()
    range: Interval | None = None
    outside: Literal["missing", "clip"] | None = None
    required: bool = False
    description: str = ""

    @property
    def kind(self) -> str:
        """What its values are, which follows from where they come from."""
        if self.from_ == SEX or self.levels:
            return CATEGORY
        if self.from_ in (AGE, YEAR, OBSERVED_BEFORE) or self.take in (COUNT, TIME):
            return INTEGER
        return BOOLEAN if self.take == ANY else NUMBER

    @property
    def reach(self) -> Interval | None:
        """The plausible range of a number."""
        if self.range is not None or self.kind not in (NUMBER, INTEGER):
            return self.range
        if self.from_ in (AGE, YEAR):
            return (0.0, 120.0) if self.from_ == AGE else (1900.0, 2100.0)
        if self.take == TIME and self.when is not None and isinstance(self.when[1], int):
            return 0.0, float(self.when[1])
        return None

    @property
    def named_levels(self) -> tuple[RecordsLevel, ...]:
        """The levels of a category, the reference first."""
        said = self.levels or (_SEXES if self.from_ == SEX else ())
        return tuple(one if isinstance(one, RecordsLevel) else RecordsLevel(name=one) for one in said)

    @model_validator(mode="after")
    def _fits_together(self) -> RecordsColumn:
        if bool(self.codes) == (self.from_ is not None):
            raise ValueError("a column is drawn either from 'codes' or 'from' age, sex, year, observed_before or died")
        if self.from_ is not None and self.from_ != DIED:
            self._check_fact()
        else:
            self._check_events()
        if self.kind in (NUMBER, INTEGER):
            self._check_number()
        elif self.kind == BOOLEAN and (self.range is not None or self.unit):
            raise ValueError("say what to 'take' of the values: first, last, min, max or mean")
        elif self.range is not None or self.outside is not None or self.unit or self.substance:
            raise ValueError(f"a column of kind '{self.kind}' has no range, unit or substance")
        return self

    def _check_fact(self) -> None:
        if self.role == TARGET:
            raise ValueError(f"'{self.from_}' is known by the index date: it is a feature, no target")
        if self.when is not None or "take" in self.model_fields_set or self.substance:
            raise ValueError(f"'{self.from_}' is a fact on the index date; it has no 'when', 'take' or 'substance'")
        if self.levels and self.from_ != SEX:
            raise ValueError(f"'{self.from_}' is a number; it has no levels")
        names = [one.name for one in self.named_levels]
        if wrong := [one for one in names if one not in ("female", "male", "other", "unknown")]:
            raise ValueError(f"levels of sex are female, male, other and unknown, not '{wrong[0]}'")
        if any(one.codes for one in self.named_levels):
            raise ValueError("levels of sex have no codes")
        if self.from_ == SEX and (len(names) < 2 or len(set(names)) < len(names)):
            raise ValueError("a category needs two levels or more, each with its own name")

    def _check_events(self) -> None:
        if self.when is None:
            raise ValueError("key 'when' is missing: [from, to] in days from the index date, as [-365, 0]")
        check_window(self.when)
        first, last = self.when
        if self.role == FEATURE and (last == "ever" or last > 0):
            raise ValueError("a feature is known by the index date: its 'when' ends on day 0 or before")
        if self.role == TARGET and (first == "ever" or first < 0):
            raise ValueError("a target happens from the index date on: its 'when' begins on day 0 or after")
        if self.from_ == DIED and (self.role != TARGET or self.take not in (ANY, TIME)):
            raise ValueError("'died' is a target; take any or time of it")
        if self.take == TIME and self.role != TARGET:
            raise ValueError("'time' runs from the index date on: it is a target")
        if self.levels:
            self._check_levels()

    def _check_levels(self) -> None:
        if self.take not in ("first", "last"):
            raise ValueError("of a category take the first or the last answer")
        levels = self.named_levels
        names, codes = [one.name for one in levels], [code for one in levels for code in one.codes]
        if len(names) < 2 or len(set(names)) < len(names):
            raise ValueError("a category needs two levels or more, each with its own name")
        if len(set(codes)) < len(codes):
            raise ValueError("the same code stands for two levels")
        if sum(not one.codes for one in levels) > 1:
            raise ValueError("only one level can be without codes: it means that nothing else is recorded")

    def _check_number(self) -> None:
        if self.unit and self.take in (COUNT, TIME, ANY):
            raise ValueError(f"a column of kind '{self.kind}' counts; it has no unit")
        if self.substance and self.substance not in SUBSTANCES:
            raise ValueError(f"'{self.substance}' is no known substance{did_you_mean(self.substance, (*SUBSTANCES,))}")
        if self.reach is None and (self.role == FEATURE or self.take in VALUES):
            raise ValueError("a number needs a plausible 'range': secure sums are bounded by it")
        if self.reach is not None and self.reach[0] >= self.reach[1]:
            raise ValueError("'range' is [low, high] with low < high")

    def column(self) -> Column:
        """What the column means."""
        low, high = (0.0, 1.0) if self.kind == BOOLEAN else self.reach or (None, None)
        unit = "a" if self.from_ == AGE else "d" if self.from_ == OBSERVED_BEFORE or self.take == TIME else self.unit
        return Column(
            name=self.name,
            kind=self.kind,
            role=self.role,
            unit=unit,
            description=self.description,
            low=None if low is None else float(low),
            high=None if high is None else float(high),
            levels=tuple(one.name for one in self.named_levels),
            required=self.required,
            derived=None,
            codes=self.codes,
        )

    def draw(self) -> Draw:
        """Where it comes from."""
        events = self.from_ in (None, DIED)
        counted = self.take in (COUNT, TIME) or self.from_ == OBSERVED_BEFORE
        return Draw(
            column=self.name,
            source=self.from_ or CODED,
            take=self.take if events else "",
            window=window(self.when) if events and self.when is not None else None,
            substance=self.substance,
            answers=tuple(one.codes for one in self.named_levels) if self.levels and events else (),
            outside=self.outside or ("clip" if counted else "missing"),
        )
