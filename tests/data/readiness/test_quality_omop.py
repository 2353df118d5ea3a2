"""OMOP data against OHDSI's tables: by hand, and the real sets beside the same checks written in SQL."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from caduceus.data.readiness.cdm import FILES, Cdm, Official, Row, read_official
from caduceus.data.readiness.checks import FAIL, NOT_APPLICABLE, NOT_DONE, PASS, Check
from caduceus.data.readiness.quality_omop import RULES, all_checks, rules
from caduceus.data.readiness.sheet import OMOP, Leaf, Sheet
from caduceus.errors import Refused
from readiness_sheets import context, look, omop

CONCEPT_KEY = {"isForeignKey": "Yes", "fkTableName": "CONCEPT", "fkFieldName": "CONCEPT_ID"}
PERSON_KEY = {"isForeignKey": "Yes", "fkTableName": "PERSON", "fkFieldName": "PERSON_ID"}


def row(**said: str) -> Row:
    """A row of one of OHDSI's tables: what is not said is empty."""
    return defaultdict(str, said)


def field(table: str, name: str, **said: str) -> Row:
    return row(cdmTableName=table, cdmFieldName=name, **said)


def official(
    *,
    tables: tuple[Row, ...] = (),
    fields: tuple[Row, ...] = (),
    concepts: tuple[Row, ...] = (),
) -> Official:
    return Official("5.4", ({"checkName": "isRequired", "severity": "fatal"},), tables, fields, concepts)


def dates(*days: int | None) -> pa.Array:
    return pa.array(days, pa.int32()).cast(pa.date32())


SHEETS = omop(
    person={
        "person_id": [1, 2, 3],
        "gender_concept_id": [8507, 8532, 8532],
        "year_of_birth": [1950, 1960, 2150],
        "birth_datetime": pa.array([None, None, None], pa.timestamp("us")),
    },
    death={"person_id": [2], "death_date": dates(1000)},
    concept={
        "concept_id": [0, 10, 11, 12],
        "domain_id": ["Metadata", "Condition", "Drug", "Condition"],
        "concept_class_id": ["x", "Ingredient", "Dose", "Ingredient"],
        "standard_concept": [None, "S", "S", None],
        "invalid_reason": pa.array([None] * 4, pa.string()),
    },
    concept_ancestor={"ancestor_concept_id": [10, 10], "descendant_concept_id": [10, 12]},
    visit_occurrence={"visit_occurrence_id": [7], "visit_start_date": dates(100), "visit_end_date": dates(110)},
    condition_occurrence={
        "condition_occurrence_id": [1, 2, 3, 3],
        "person_id": [1, 2, 2, 9],
        "condition_concept_id": [10, 11, 12, 0],
        "condition_start_date": dates(105, 1061, 1060, None),
        "condition_end_date": dates(104, 1070, 1065, 5),
        "condition_source_value": ["a", "b", "b", "c"],
        "visit_occurrence_id": [7, 7, None, None],
        "half": [1.0, 1.5, None, 2.0],
    },
    observation_period={
        "person_id": [1, 1, 2, 2],
        "observation_period_start_date": dates(0, 11, 0, 12),
        "observation_period_end_date": dates(10, 20, 10, 20),
    },
)


def one_check(name: str, given: Official) -> Check:
    found = [one for one in all_checks(Cdm(SHEETS, 20_000), given) if one.name == name]
    assert len(found) == 1
    return found[0]


C, CODE = "CONDITION_OCCURRENCE", "CONDITION_CONCEPT_ID"


@pytest.mark.parametrize(
    ("name", "said", "column", "failed", "of"),
    [
        ("isRequired", {"isRequired": "Yes"}, "visit_occurrence_id", 2, 4),
        ("isRequired", {"isRequired": "Yes"}, "person_id", 0, 4),
        ("cdmDatatype", {"cdmDatatype": "integer"}, "half", 1, 3),
        ("isPrimaryKey", {"isPrimaryKey": "Yes"}, "condition_occurrence_id", 2, 4),
        ("isForeignKey", PERSON_KEY, "person_id", 1, 4),
        ("fkDomain", CONCEPT_KEY | {"fkDomain": "Condition"}, CODE, 1, 4),
        ("fkClass", CONCEPT_KEY | {"fkClass": "Ingredient"}, CODE, 1, 4),
        ("isStandardValidConcept", {"isStandardValidConcept": "Yes"}, CODE, 1, 4),
        ("measureValueCompleteness", {"measureValueCompleteness": "Yes"}, "condition_start_date", 1, 4),
        ("standardConceptRecordCompleteness", {"standardConceptRecordCompleteness": "Yes"}, CODE, 1, 4),
        ("sourceConceptRecordCompleteness", {"sourceConceptRecordCompleteness": "Yes"}, CODE, 1, 4),
        ("sourceValueCompleteness", {"sourceValueCompleteness": "Yes", "standardConceptFieldName": CODE},
         "condition_source_value", 1, 3),
        ("plausibleValueLow", {"plausibleValueLow": "2"}, "half", 2, 3),
        ("plausibleValueLow", {"plausibleValueLow": "'19721127'"}, "condition_start_date", 2, 3),
        ("plausibleValueHigh", {"plausibleValueHigh": "1.5"}, "half", 1, 3),
        ("plausibleValueHigh", {"plausibleValueHigh": "DATEADD(dd,1,GETDATE())"}, "condition_start_date", 0, 3),
        ("plausibleTemporalAfter", {"plausibleTemporalAfter": "Yes", "plausibleTemporalAfterTableName": C,
                                    "plausibleTemporalAfterFieldName": "CONDITION_START_DATE"},
         "condition_end_date", 1, 3),
        ("plausibleDuringLife", {"plausibleDuringLife": "Yes"}, "condition_start_date", 1, 2),
        ("plausibleBeforeDeath", {"plausibleBeforeDeath": "Yes"}, "condition_start_date", 1, 2),
        ("plausibleAfterBirth", {"plausibleAfterBirth": "Yes"}, "condition_start_date", 0, 3),
        ("plausibleStartBeforeEnd",
         {"plausibleStartBeforeEnd": "Yes", "plausibleStartBeforeEndFieldName": "CONDITION_END_DATE"},
         "condition_start_date", 1, 3),
        ("withinVisitDates", {"withinVisitDates": "Yes"}, "condition_start_date", 1, 2),
    ],
)  # fmt: skip
def test_a_check_of_a_field_counts_what_its_definition_counts(
    name: str, said: dict[str, str], column: str, failed: int, of: int
):
    found = one_check(name, official(fields=(field(C, column, **said),)))
    assert (found.failed, found.of, found.state) == (failed, of, FAIL if failed else PASS)


def test_birth_in_the_future_is_implausible():
    said = field("PERSON", "year_of_birth", plausibleValueHigh="YEAR(GETDATE())+1")
    assert one_check("plausibleValueHigh", official(fields=(said,))).failed == 1
    made = all_checks(Cdm(SHEETS, None), official(fields=(said,)))
    assert made[-1].state == NOT_DONE


def test_a_threshold_is_the_share_that_may_fail():
    for threshold, state in (("24", FAIL), ("25", PASS)):
        said = field(
            C,
            "person_id",
            isForeignKey="Yes",
            fkTableName="PERSON",
            fkFieldName="PERSON_ID",
            isForeignKeyThreshold=threshold,
        )
        assert one_check("isForeignKey", official(fields=(said,))).state == state


@pytest.mark.parametrize(
    ("said", "failed", "of"),
    [
        ({"conceptId": "10", "plausibleGender": "Female"}, 1, 1),
        ({"conceptId": "12", "plausibleGender": "Female"}, 0, 1),
        ({"conceptId": "10", "plausibleGenderUseDescendants": "Male"}, 1, 2),
    ],
)
def test_genders_are_held_against_codes(said: dict[str, str], failed: int, of: int):
    found = all_checks(Cdm(SHEETS, None), official(concepts=(row(cdmTableName=C, cdmFieldName=CODE, **said),)))
    assert [(one.failed, one.of) for one in found] == [(failed, of)]


def test_units_are_held_against_codes():
    sheets = omop(
        measurement={
            "measurement_concept_id": [5, 5, 5, 6],
            "value_as_number": [1.0, 2.0, None, 3.0],
            "unit_concept_id": [100, 200, 300, 300],
        }
    )
    said = {"conceptId": "5", "plausibleUnitConceptIds": "100,101", "plausibleUnitConceptIdsThreshold": "5"}
    given = official(concepts=(row(cdmTableName="MEASUREMENT", cdmFieldName="MEASUREMENT_CONCEPT_ID", **said),))
    assert [(one.failed, one.of, one.state) for one in all_checks(Cdm(sheets, None), given)] == [(1, 2, FAIL)]


def test_tables_are_held_against_persons_and_periods_against_each_other():
    given = official(
        tables=(
            row(cdmTableName="OBSERVATION_PERIOD", isRequired="Yes", measurePersonCompleteness="Yes",
                measureObservationPeriodOverlap="Yes"),
            row(cdmTableName="NOTE", isRequired="No", measurePersonCompleteness="Yes"),
            row(cdmTableName="CARE_SITE", isRequired="Yes"),
        )
    )  # fmt: skip
    found = {(one.name, one.sheet): (one.state, one.failed, one.of) for one in all_checks(Cdm(SHEETS, None), given)}
    assert found["measurePersonCompleteness", "observation_period"] == (FAIL, 1, 3)
    assert found["measureObservationPeriodOverlap", "observation_period"] == (FAIL, 1, 2)  # 10 and 11 are back to back
    assert found["measurePersonCompleteness", "note"][0] == NOT_APPLICABLE
    assert found["cdmTable", "note"][0] == NOT_APPLICABLE
    assert found["cdmTable", "care_site"][0] == FAIL


def test_without_the_official_tables_it_stays_unscanned():
    found, skipped = look(RULES, "quality.omop", context(*SHEETS))
    assert found == []
    assert [one.applies for one in skipped] == [True]


def test_a_vocabulary_may_come_apart_from_the_records_of_patients():
    said = field(C, CODE, isStandardValidConcept="Yes")
    given = official(fields=(said,))
    concepts = tuple(one for one in SHEETS if one.name == "concept")
    patients = context(*(one for one in SHEETS if one.name != "concept"))
    alone, skipped = look(rules(given), "quality.omop", patients)
    assert [one.where for one in alone] == ["all sheets"]
    assert "vocabulary (concept) is not there" in skipped[0].reason
    found, skipped = look(rules(given, concepts), "quality.omop", patients)
    assert [one.where for one in found] == ["condition_occurrence.condition_concept_id", "all sheets"]
    assert skipped == []


def test_tables_that_are_missing_or_others_are_refused():
    with pytest.raises(Refused, match=r"Check_Descriptions\.csv"):
        read_official({})
    with pytest.raises(Refused, match="has no column"):
        read_official({f"{end}.csv": "a,b\n1,2\n" for end in FILES})


# ---------------------------------------------------------------- the real sets


def real(folder: Path) -> tuple[Sheet, ...]:
    sheets = []
    for path in sorted(folder.glob("*.parquet")):
        read = pyarrow.parquet.read_table(path)
        leaves = {name: Leaf(name, read[name].combine_chunks()) for name in read.column_names}
        sheets.append(Sheet(path.stem, OMOP, read.num_rows, leaves, "person_id" if "person_id" in leaves else ""))
    return tuple(sheets)


def ohdsi(data: Path) -> Official:
    return read_official({path.name: path.read_text() for path in (data / "ohdsi_dqd").glob("*.csv")})


@pytest.mark.data
def test_gibleed_fails_where_sql_says_so_and_in_what_is_known_of_it(clinical_data: Path):
    given = ohdsi(clinical_data)
    assert {row["checkName"] for row in given.descriptions} >= {one.name for one in all_checks(Cdm((), None), given)}
    folder = clinical_data / "omop_gibleed"
    made = {(one.name, one.sheet, one.column): one for one in all_checks(Cdm(real(folder), 20_000), given)}

    def sql(text: str) -> int:
        for name in ("drug_exposure", "visit_occurrence", "person", "concept", "condition_era"):
            text = text.replace(f"@{name}", f"'{folder}/{name}.parquet'")
        found = duckdb.sql(text)
        assert found is not None
        return int(found.limit(1).fetchall()[0][0])

    assert made["isPrimaryKey", "drug_exposure", "drug_exposure_id"].failed == sql(
        "SELECT sum(n) FROM (SELECT count(*) n FROM @drug_exposure GROUP BY drug_exposure_id HAVING count(*) > 1)"
    )
    assert made["plausibleValueLow", "visit_occurrence", "visit_start_date"].failed == sql(
        "SELECT count(*) FROM @visit_occurrence WHERE visit_start_date < DATE '1950-01-01'"
    )
    assert made["isForeignKey", "person", "race_concept_id"].failed == sql(
        "SELECT count(*) FROM @person WHERE race_concept_id NOT IN (SELECT concept_id FROM @concept)"
    )
    assert made["standardConceptRecordCompleteness", "condition_era", "condition_concept_id"].failed == sql(
        "SELECT count(*) FROM @condition_era WHERE condition_concept_id = 0"
    )
    assert made["isForeignKey", "condition_occurrence", "condition_type_concept_id"].failed == 65_332
    assert made["plausibleValueLow", "drug_exposure", "quantity"].failed == 67_707
    assert made["isRequired", "person", "person_id"].state == PASS
    assert made["plausibleAfterBirth", "condition_occurrence", "condition_start_date"].state == PASS
    assert made["plausibleBeforeDeath", "condition_occurrence", "condition_start_date"].state == NOT_APPLICABLE
    found, _ = look(rules(given), "quality.omop", context(*real(folder), today=20_000))
    assert "CDM 5.3" in found[0].says


@pytest.mark.data
def test_the_27_persons_of_new_jersey_fail_in_what_their_vocabulary_lacks(clinical_data: Path):
    given = ohdsi(clinical_data)
    made = all_checks(Cdm(real(clinical_data / "omop_synthea27nj"), 20_000), given)
    counted = Counter(one.state for one in made)
    assert counted[FAIL] < 60 < 1_000 < counted[PASS]
    assert {one.name for one in made} == {row["checkName"] for row in given.descriptions}
    assert len({one.name for one in made}) == 27
    failed = Counter(one.name for one in made if one.state == FAIL)
    assert failed["isForeignKey"] == 39
    assert failed["plausibleUnitConceptIds"] == 3
    assert failed["plausibleValueHigh"] == 1
    undone = {one.name for one in made if one.state == NOT_DONE}
    assert undone == {"isForeignKey", "plausibleGenderUseDescendants"}
    assert np.all([one.failed == 0 for one in made if one.name == "plausibleStartBeforeEnd"])
