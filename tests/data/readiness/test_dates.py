"""Dates finer than a year are found in every form, and a shift that cannot have been is contradicted."""

from datetime import date

import numpy as np
import pytest
from identity_sheets import TODAY, column, fhir, found, looked, table

from caduceus.data.readiness.declaration import Dates, Declared, LegalBasis
from caduceus.data.readiness.finding import Severity
from caduceus.data.readiness.rule import Skipped

FINER, SHIFT = "dates.finer_than_year", "dates.shift"


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("v", ["2016-05-28", "2017-01-02"]),
        ("v", ["2016-05", "2017-01"]),
        ("v", ["2016-05-28T10:00:00-05:00"]),
        ("v", [date(2016, 5, 28), date(2017, 1, 2)]),
        ("v", ["28.5.2016", "1.12.2017"]),
        ("v", ["10/11/23", "4/27/2022"]),
        ("v", ["February 23, 2016", "May 1, 2017"]),
        ("v", ["12 Okt 2016", "3 Mai 2017"]),
        ("v", ["gru-95", "lis-94"]),
        ("visit_date", [20160528, 20170102]),
        ("month_of_birth", [5, 6]),
        ("dob", [12345, 12346]),
    ],
)
def test_a_date_is_found_in_every_form(path: str, values: object):
    (hit,) = column(FINER, list(values) * 20, path=path)
    assert hit.severity == Severity.BLOCK


@pytest.mark.parametrize(
    "values",
    [
        ["2016", "2017"],
        [2016, 2017],
        ["120/80", "135/85"],
        ["1.5", "2.25"],
        ["20160528", "99999999"],
        [20160528, 5],
        ["4548-4"],
    ],
)
def test_years_and_measurements_are_no_dates(values: list[object]):
    assert column(FINER, values * 20) == []


@pytest.mark.parametrize(
    ("basis", "dates", "severity"),
    [
        (LegalBasis(hipaa="safe_harbor"), Dates(), Severity.BLOCK),
        (LegalBasis(hipaa="limited_data_set"), Dates(), Severity.WARN),
        (LegalBasis(article_6="6.1.e", article_9="9.2.j"), Dates(), Severity.WARN),
        (LegalBasis(hipaa="safe_harbor", article_9="9.2.j"), Dates(), Severity.BLOCK),
        (LegalBasis(hipaa="expert_determination"), Dates(rule="shifted"), Severity.NOTE),
        (LegalBasis(hipaa="safe_harbor"), Dates(rule="shifted"), Severity.WARN),
        (LegalBasis(hipaa="limited_data_set"), Dates(rule="years"), Severity.BLOCK),
    ],
)
def test_what_is_allowed_depends_on_the_ground_and_the_declaration(basis: LegalBasis, dates: Dates, severity: Severity):
    (hit,) = column(FINER, ["2016-05-28"] * 20, declared=Declared(legal_basis=basis, dates=dates))
    assert hit.severity == severity


def test_dates_of_practitioners_are_weighed():
    (hit,) = found(FINER, fhir("Practitioner", {"birthDate": ["1970-05-28"] * 20}))
    assert hit.severity == Severity.WARN


SHIFTED = Declared(dates=Dates(rule="shifted", days=365))


def days(numbers: object) -> list[str]:
    return [str(one) for one in np.asarray(numbers, "int64").astype("datetime64[D]")]


def test_weekdays_that_show_through_contradict_a_shift_by_days():
    monday = 4 + 7 * np.arange(400)
    (hit,) = column(SHIFT, days(monday), declared=SHIFTED)
    assert "days of the week" in hit.says
    weeks = Declared(dates=Dates(rule="shifted", weeks=True))
    assert column(SHIFT, days(monday), declared=weeks) == []
    assert column(SHIFT, days(4 + 11 * np.arange(400)), declared=SHIFTED) == []


def test_one_patient_with_many_visits_on_mondays_contradicts_nothing():
    sheet = table({"who": ["a"] * 399 + ["b"], "day": days(4 + 7 * np.arange(400))}, patient="who")
    given = looked(SHIFT, sheet, declared=SHIFTED)
    assert [type(one) for one in given] == [Skipped]
    assert given[0].applies


def test_new_years_days_impossible_days_and_the_future_contradict_a_shift():
    new_year = np.concatenate([np.array(["1990-01-01"] * 60, "datetime64[D]").astype(int), 11 * np.arange(400)])
    says = [one.says for one in column(SHIFT, days(new_year), declared=SHIFTED)]
    assert any("first of January" in one for one in says)
    (hit,) = column(SHIFT, ["2021-02-30", "2021-02-28"] * 20, declared=SHIFTED)
    assert hit.count == 20
    (hit,) = column(SHIFT, days([TODAY + 400] * 20), declared=SHIFTED)
    assert "future" in hit.says
    assert column(SHIFT, days([TODAY + 300] * 20), declared=SHIFTED) == []


def test_without_a_declared_shift_there_is_nothing_to_contradict():
    given = looked(SHIFT, table({"v": ["2016-05-28"]}))
    assert [one.applies for one in given if isinstance(one, Skipped)] == [False]
