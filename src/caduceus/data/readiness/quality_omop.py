"""The checks of the OHDSI Data Quality Dashboard on OMOP data, driven by OHDSI's own tables for the CDM.

All 27 types of checks are made where the data allow it. Thresholds are those of the tables. A check that needs a
table which is not in the data is "not applicable"; one that needs a vocabulary which is not there is "not done".

Source: Blacketer, Defalco, Ryan and Rijnbeek, "Increasing trust in real-world evidence through evaluation of
observational data quality", JAMIA 28(10), 2021; OHDSI/DataQualityDashboard, its CSV tables for CDM 5.4.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import numpy as np

from caduceus.data.readiness import plausible
from caduceus.data.readiness.cdm import NO_KEY, Cdm, Official, Row
from caduceus.data.readiness.checks import (
    COMPLETENESS,
    CONFORMANCE,
    FAIL,
    NOT_APPLICABLE,
    NOT_DONE,
    PASS,
    Check,
    findings,
    judged,
)
from caduceus.data.readiness.finding import Finding, Severity
from caduceus.data.readiness.rule import Context, Rule, Skipped
from caduceus.data.readiness.sheet import OMOP, Sheet

GRAVE = ("fatal",)
"""Severities of OHDSI's tables that make results wrong; all of plausibility does too."""

Made = tuple[int, int] | str


def all_checks(cdm: Cdm, official: Official) -> list[Check]:
    """Every check that the tables ask for, in their order: tables, fields, concepts."""
    grave = {row["checkName"]: row["severity"] in GRAVE for row in official.descriptions}
    made: list[Check] = []
    for row in official.tables:
        made += _table_checks(cdm, row, grave)
    for row in official.fields:
        made += _field_checks(cdm, row, grave)
    made += plausible.concept_checks(cdm, official)
    return made


def look_for(
    context: Context, official: Official | None, vocabulary: tuple[Sheet, ...] = ()
) -> Iterator[Finding | Skipped]:
    """Make the checks, and turn them into findings.

    vocabulary  sheets of the vocabulary and of cdm_source, where the context has none: not about patients, so other
                rules do not look at them
    """
    if official is None:
        yield Skipped("OHDSI's check tables were not given; get them with the Data Quality Dashboard", applies=True)
        return
    cdm = Cdm((*vocabulary, *context.sheets), context.today)
    if (given := version_of(cdm)) and official.version and given != official.version:
        yield Finding(
            rule="quality.omop",
            where="cdm_source.cdm_version",
            count=None,
            of=None,
            severity=Severity.NOTE,
            says=f"the data are of CDM {given}, and the check tables are for CDM {official.version}: fields of the "
            "other"
            " version count as absent",
            remedy="give the tables for the version of the data",
        )
    made = all_checks(cdm, official)
    yield from findings("quality.omop", made)
    reasons = {one.reason for one in made if one.state == NOT_DONE}
    for reason in sorted(reasons):
        names = sorted({one.name for one in made if one.state == NOT_DONE and one.reason == reason})
        yield Skipped(f"{', '.join(names)}: {reason}")


def version_of(cdm: Cdm) -> str:
    """The version of the CDM that the data name, as "5.3"; "" if they do not."""
    if not cdm.has("cdm_source", "cdm_version"):
        return ""
    said = re.search(r"\d+\.\d+", next((text for text in cdm.texts("cdm_source", "cdm_version") if text), ""))
    return said.group() if said else ""


def rules(official: Official | None = None, vocabulary: tuple[Sheet, ...] = ()) -> tuple[Rule, ...]:
    """The rule of this file.

    official    OHDSI's tables; without them the rule says that it did not look
    vocabulary  as in `look_for`
    """

    def look(context: Context) -> Iterator[Finding | Skipped]:
        return look_for(context, official, vocabulary)

    return (
        Rule(
            name="quality.omop",
            title="OMOP data against the OHDSI Data Quality Dashboard",
            about="Conformance, completeness and plausibility by OHDSI's tables: keys, vocabularies, missing and "
            "unmapped"
            " values, ranges, order of dates, genders and units of codes.",
            hipaa=(),
            sources=(OMOP,),
            look=look,
        ),
    )


RULES = rules()


def _table_checks(cdm: Cdm, row: Row, grave: dict[str, bool]) -> Iterator[Check]:
    table = row["cdmTableName"].lower()
    there = cdm.has(table)
    state = PASS if there else FAIL
    if not there and row["isRequired"] != "Yes":
        state = NOT_APPLICABLE
    yield Check(
        "cdmTable", CONFORMANCE, table, "", state, int(not there), 1, grave.get("cdmTable", True), "no such table"
    )
    for name in ("measurePersonCompleteness", "measureConditionEraCompleteness"):
        if row[name] != "Yes":
            continue
        if not there or not cdm.rows("person"):
            yield Check(name, COMPLETENESS, table, "", NOT_APPLICABLE, reason="no such table, or no persons")
            continue
        whole = "person" if name == "measurePersonCompleteness" else "condition_occurrence"
        if not cdm.has(table, "person_id") or not cdm.has(whole, "person_id"):
            yield Check(name, COMPLETENESS, table, "", NOT_APPLICABLE, reason="no persons")
            continue
        people = np.unique(cdm.keys(whole, "person_id"))
        lacking = int((~np.isin(people, cdm.keys(table, "person_id"))).sum())
        percent = float(row[f"{name}Threshold"] or 0)
        yield judged(name, COMPLETENESS, (table, ""), lacking, len(people), percent, grave.get(name, False))
    yield from plausible.table_checks(cdm, row)


def _field_checks(cdm: Cdm, row: Row, grave: dict[str, bool]) -> Iterator[Check]:
    table, field = row["cdmTableName"].lower(), row["cdmFieldName"].lower()
    if not cdm.has(table):
        yield Check("cdmField", CONFORMANCE, table, field, NOT_APPLICABLE, reason="no such table")
        return
    there = cdm.has(table, field)
    yield Check(
        "cdmField", CONFORMANCE, table, field, PASS if there else FAIL, int(not there), 1, grave.get("cdmField", True)
    )
    if not there:
        return
    for name, (category, wanted, make) in _ASKED.items():
        if not wanted(row):
            continue
        if not cdm.rows(table):
            yield Check(name, category, table, field, NOT_APPLICABLE, reason="no records")
            continue
        made = make(cdm, table, field, row)
        if isinstance(made, str):
            yield Check(name, category, table, field, NOT_DONE, reason=made)
        else:
            percent = float(row[f"{name}Threshold"] or 0)
            yield judged(name, category, (table, field), *made, percent, grave.get(name, False))
    if cdm.rows(table):
        yield from plausible.field_checks(cdm, row)


def _missing(cdm: Cdm, table: str, field: str, row: Row) -> Made:
    return int((~cdm.present(table, field)).sum()), cdm.rows(table)


def _whole_number(cdm: Cdm, table: str, field: str, row: Row) -> Made:
    there = cdm.present(table, field)
    if not there.any():
        return 0, 0
    measured = cdm.numbers(table, field)
    if measured is None:
        return int(there.sum()), int(there.sum())
    return int((there & ~(measured == np.round(measured))).sum()), int(there.sum())


def _repeated(cdm: Cdm, table: str, field: str, row: Row) -> Made:
    """Records whose key another one has; keys of vocabularies are texts."""
    values = cdm.array(table, field).drop_null()
    counts = values.value_counts().field("counts").to_numpy(zero_copy_only=False)
    return int(counts[counts > 1].sum()), cdm.rows(table)


def _without_parent(cdm: Cdm, table: str, field: str, row: Row) -> Made:
    other, key = row["fkTableName"].lower(), row["fkFieldName"].lower()
    if not cdm.has(other, key) or not cdm.rows(other):
        return (0, 0) if not cdm.present(table, field).any() else f"{other} is not there, or empty"
    if cdm.numbers(other, key) is None:  # vocabularies and domains are keyed by texts
        known = set(cdm.texts(other, key))
        values = [one for one in cdm.texts(table, field) if one is not None]
        return sum(one not in known for one in values), len(values)
    keys = cdm.keys(table, field)
    keys = keys[keys != NO_KEY]
    return int((~np.isin(keys, cdm.keys(other, key))).sum()), len(keys)


def _concepts(cdm: Cdm, table: str, field: str, wrong: np.typing.NDArray[np.bool_]) -> Made:
    """Records whose concept is in the vocabulary, is not 0, and is wrong."""
    keys = cdm.keys(table, field)
    found = cdm.lookup(keys, "concept", "concept_id", wrong.astype(np.int64))
    return int(((found == 1) & (keys != 0)).sum()), len(keys)


def _other_domain(cdm: Cdm, table: str, field: str, row: Row) -> Made:
    return _unlike(cdm, table, field, "domain_id", row["fkDomain"])


def _other_class(cdm: Cdm, table: str, field: str, row: Row) -> Made:
    return _unlike(cdm, table, field, "concept_class_id", row["fkClass"])


def _unlike(cdm: Cdm, table: str, field: str, what: str, wanted: str) -> Made:
    if not cdm.rows("concept") or not cdm.has("concept", what):
        return "the vocabulary (concept) is not there"
    return _concepts(cdm, table, field, np.array([one != wanted for one in cdm.texts("concept", what)]))


def _not_standard(cdm: Cdm, table: str, field: str, row: Row) -> Made:
    if not cdm.rows("concept") or not cdm.has("concept", "standard_concept"):
        return "the vocabulary (concept) is not there"
    standard = np.array([one == "S" for one in cdm.texts("concept", "standard_concept")])
    if cdm.has("concept", "invalid_reason"):
        standard &= np.array([not one for one in cdm.texts("concept", "invalid_reason")])
    return _concepts(cdm, table, field, ~standard)


def _unmapped(cdm: Cdm, table: str, field: str, row: Row) -> Made:
    """Records with concept 0; of units only those that have a number."""
    keys = cdm.keys(table, field)
    if field == "unit_concept_id" and cdm.has(table, "value_as_number"):
        keys = keys[cdm.present(table, "value_as_number")]
    return int((keys == 0).sum()), len(keys)


def _unmapped_texts(cdm: Cdm, table: str, field: str, row: Row) -> Made:
    """Different source values that are mapped to 0 somewhere."""
    standard = row["standardConceptFieldName"].lower()
    if not cdm.has(table, standard):
        return "the field with the concept is not there"
    values = cdm.array(table, field)
    there = cdm.present(table, field)
    unmapped = there & (cdm.keys(table, standard) == 0)
    return len(values.filter(unmapped).unique()), len(values.filter(there).unique())


_Look = Callable[[Cdm, str, str, Row], Made]


def _says(name: str, yes: str = "Yes") -> Callable[[Row], bool]:
    return lambda row: row[name] == yes


_ASKED: dict[str, tuple[str, Callable[[Row], bool], _Look]] = {
    "isRequired": (CONFORMANCE, _says("isRequired"), _missing),
    "cdmDatatype": (CONFORMANCE, lambda row: row["cdmDatatype"].lower() == "integer", _whole_number),
    "isPrimaryKey": (CONFORMANCE, _says("isPrimaryKey"), _repeated),
    "isForeignKey": (CONFORMANCE, _says("isForeignKey"), _without_parent),
    "fkDomain": (CONFORMANCE, lambda row: row["isForeignKey"] == "Yes" and row["fkDomain"] != "", _other_domain),
    "fkClass": (CONFORMANCE, lambda row: row["isForeignKey"] == "Yes" and row["fkClass"] != "", _other_class),
    "isStandardValidConcept": (CONFORMANCE, _says("isStandardValidConcept"), _not_standard),
    "measureValueCompleteness": (COMPLETENESS, _says("measureValueCompleteness"), _missing),
    "standardConceptRecordCompleteness": (COMPLETENESS, _says("standardConceptRecordCompleteness"), _unmapped),
    "sourceConceptRecordCompleteness": (COMPLETENESS, _says("sourceConceptRecordCompleteness"), _unmapped),
    "sourceValueCompleteness": (COMPLETENESS, _says("sourceValueCompleteness"), _unmapped_texts),
}
"""The checks of fields besides plausibility: category, whether a row asks for it, and how it is made."""
