"""The tables of the OMOP common data model, as far as clinical records are made of them."""

from __future__ import annotations

from dataclasses import dataclass

INTEGER, NUMBER, DATE, MOMENT, TEXT = "bigint", "double precision", "date", "timestamp", "varchar"
"""What columns are read as."""


def kind(column: str) -> str:
    """What a column is read as, which its name says: the model names columns by rule."""
    if column.endswith("_id") or column in ("year_of_birth", "month_of_birth", "day_of_birth"):
        return TEXT if column in ("vocabulary_id", "domain_id", "concept_class_id") else INTEGER
    if column.endswith("_datetime"):
        return MOMENT
    if column.endswith("_date"):
        return DATE
    return NUMBER if column == "value_as_number" else TEXT


PERSON = (
    "person_id",
    "gender_concept_id",
    "year_of_birth",
    "month_of_birth",
    "day_of_birth",
    "birth_datetime",
)
PERIOD = ("person_id", "observation_period_start_date", "observation_period_end_date")
DEATH = ("person_id", "death_date", "death_datetime")
CONCEPT = ("concept_id", "vocabulary_id", "concept_code")
ANCESTOR = ("ancestor_concept_id", "descendant_concept_id")


@dataclass(frozen=True, slots=True)
class Happening:
    """A table of which every row is something that happened to a person.

    table    its name
    domain   of `data.records.DOMAINS`
    concept  the column of the standard concept
    source   the column of the concept that the source used
    start    what the columns of its first day and moment begin with, before _date and _datetime
    end      the same of its last day; "" if it has none
    measured whether it may have a value, a unit and an answer
    """

    table: str
    domain: str
    concept: str
    source: str
    start: str
    end: str = ""
    measured: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that are read, whether a version of the model has them or not."""
        times = [f"{one}{tail}" for one in (self.start, self.end) if one for tail in ("_date", "_datetime")]
        values = ("value_as_number", "value_as_concept_id", "unit_concept_id", "unit_source_value")
        return ("person_id", self.concept, self.source, *times, *(values if self.measured else ()))

    @property
    def needed(self) -> tuple[str, ...]:
        """The columns without which it cannot be read."""
        return "person_id", self.concept, f"{self.start}_date"


HAPPENINGS = (
    Happening(
        "condition_occurrence",
        "condition",
        "condition_concept_id",
        "condition_source_concept_id",
        "condition_start",
        "condition_end",
    ),
    Happening(
        "drug_exposure",
        "drug",
        "drug_concept_id",
        "drug_source_concept_id",
        "drug_exposure_start",
        "drug_exposure_end",
    ),
    Happening(
        "procedure_occurrence",
        "procedure",
        "procedure_concept_id",
        "procedure_source_concept_id",
        "procedure",
        "procedure_end",
    ),
    Happening(
        "measurement",
        "measurement",
        "measurement_concept_id",
        "measurement_source_concept_id",
        "measurement",
        measured=True,
    ),
    Happening(
        "observation",
        "observation",
        "observation_concept_id",
        "observation_source_concept_id",
        "observation",
        measured=True,
    ),
    Happening("visit_occurrence", "visit", "visit_concept_id", "visit_source_concept_id", "visit_start", "visit_end"),
    Happening("death", "death", "cause_concept_id", "cause_source_concept_id", "death"),
)
"""Tables that events come from. A database need not have all of them."""

NEEDED = {"person": ("person_id", "year_of_birth"), "concept": CONCEPT}
"""Tables, and their columns, without which there are no records."""
