"""The schema TOML of a cohort: what it means, what is refused and how, and how it reads to people."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from caduceus import canon
from caduceus.data.cohort import Criterion, Window
from caduceus.data.cohort_file import CohortFile
from caduceus.data.cohort_flow import Loss, Step, findings, tell
from caduceus.data.cohort_words import conditions, describe_cohort
from caduceus.data.schema import Schema
from caduceus.data.schema_file import SchemaFile, read_schema_file
from caduceus.errors import Refused

GOOD = """
title = "Stroke within a year of atrial fibrillation"
file = { format = "omop" }
cohort = { index = ["SNOMED:49436004"], age = [18, 110], prior_observation = 365, washout = "ever" }
column = [
  { name = "age", from = "age" }, { name = "sex", from = "sex" },
  { name = "hba1c", codes = ["LOINC:4548-4"], when = [-365, 0], take = "last", unit = "%", range = [3, 20] },
  { name = "warfarin", codes = ["RxNorm:11289"], when = ["ever", 0] },
  { name = "stroke", role = "target", codes = ["SNOMED:230690007"], when = [1, 365] },
]
"""


def read(text: str = GOOD) -> CohortFile:
    file = read_schema_file(text, where="schema.toml")
    assert isinstance(file, CohortFile)
    return file


def public(text: str = GOOD) -> Schema:
    return read(text).public()


def test_a_cohort_of_ten_lines_says_what_every_column_is():
    schema = public()
    assert len(GOOD.strip().splitlines()) <= 10
    assert [(one.name, one.kind, one.role, one.unit, one.range, one.codes) for one in schema.columns] == [
        ("age", "integer", "feature", "a", (0.0, 120.0), ()),
        ("sex", "category", "feature", "", None, ()),
        ("hba1c", "number", "feature", "%", (3.0, 20.0), ("LOINC:4548-4",)),
        ("warfarin", "boolean", "feature", "", (0.0, 1.0), ("RxNorm:11289",)),
        ("stroke", "boolean", "target", "", (0.0, 1.0), ("SNOMED:230690007",)),
    ]
    assert schema.column("sex").levels == ("female", "male")
    assert schema.codes == {"SNOMED:49436004", "LOINC:4548-4", "RxNorm:11289", "SNOMED:230690007"}


def test_the_cohort_of_the_documentation_is_one():
    page = (Path(__file__).parents[2] / "docs" / "health-data.md").read_text()
    schema = public(page.split("```toml\n")[1].split("```")[0])
    assert schema.cohort is not None
    assert schema.targets == ("stroke",)


def test_washout_reaches_from_the_past_to_the_day_before_what_is_predicted():
    cohort = public().cohort
    assert cohort is not None
    assert cohort.washout == (Criterion(("SNOMED:230690007",), Window(None, 0), 1, None, None, ""),)
    a_month = public(GOOD.replace('washout = "ever"', "washout = 30").replace("[1, 365]", "[3, 365]")).cohort
    assert a_month is not None
    assert a_month.washout[0].window == Window(-30, 2)


def test_sites_with_another_cohort_do_not_match():
    schema = public()
    assert canon.unpack(Schema, canon.pack(schema)).digest() == schema.digest() == public().digest()
    for old, new in (
        ("prior_observation = 365", "prior_observation = 364"),
        ('when = ["ever", 0]', "when = [-365, 0]"),
        ('take = "last"', 'take = "max"'),
        ('washout = "ever"', "descendants = false"),
        ('"RxNorm:11289"', '"RxNorm:11290"'),
    ):
        assert old in GOOD
        assert public(GOOD.replace(old, new)).digest() != schema.digest()
    assert public(GOOD.replace('{ format = "omop" }', '{ format = "fhir" }')).digest() == schema.digest()


def test_the_columns_of_a_csv_file_may_name_codes_and_mean_something_else_then():
    plain = 'title = "t"\ncolumn = [{ name = "a", kind = "boolean" }]\n'
    file = read_schema_file(plain.replace('"boolean"', '"boolean", codes = ["SNOMED:1"]'), where="s")
    assert isinstance(file, SchemaFile)
    assert file.public().columns[0].codes == ("SNOMED:1",)
    assert file.public().digest() != read_schema_file(plain, where="s").public().digest()
    assert file.public().codes == {"SNOMED:1"}


HBA1C = '"%", range = [3, 20]'
INDEX = 'index = ["SNOMED:49436004"]'


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"omop"', '"omob"', "'omob' is none of csv, parquet, fhir, omop"),
        ('file = { format = "omop" }', "", 'cohort: is for clinical records; say .*"fhir" or "omop"'),
        ('"omop" }', '"omop", header = true }', "file: unknown key 'header'"),
        (
            "prior_observation",
            "prior_observations",
            "unknown key 'prior_observations'; did you mean 'prior_observation'",
        ),
        (INDEX, "index = []", "cohort index: "),
        (INDEX + ", ", "", "cohort: key 'index' is missing"),
        ("SNOMED:49436004", "49436004", "'49436004' is no code; write SYSTEM:code, as in 'LOINC:4548-4'"),
        ("LOINC:4548-4", "loinc:4548-4", "the system is written 'LOINC' here"),
        ("LOINC:4548-4", "http://loinc.org:4548-4", "the system is written 'LOINC' here"),
        ("SNOMED:230690007", "SNOMED-CT:230690007", "the system is written 'SNOMED' here"),
        ("age = [18, 110]", "age = [110, 18]", r"cohort: 'age' is \[from, to\] with from <= to"),
        ("age = [18, 110]", 'between = ["2000-01-01", 2001-01-01]', "a date is written as 2000-01-31, without quotes"),
        ("age = [18, 110]", "between = [2002-01-01, 2001-01-01]", r"'between' is \[from, to\]"),
        ("age = [18, 110]", 'which = "second"', "cohort which: "),
        ("age = [18, 110]", "gap = 30", "'gap' has no effect on the first"),
        ("age = [18, 110]", 'sex = ["woman"]', "cohort sex 1: "),
        ("age = [18, 110]", 'required = [{ codes = ["LOINC:1-8"] }]', "cohort required 1: key 'when' is missing"),
        ("age = [18, 110]", 'excluded = [{ codes = ["LOINC:1-8"], when = [5, 1] }]', "'when' is .* with from <= to"),
        ("age = [18, 110]", 'excluded = [{ codes = ["LOINC:1-8"], when = [1, 5], unit = "g" }]', "there is none"),
        ("age = [18, 110]", 'required = [{ codes = ["A:1"], when = [0, 0], value = ["any", "any"] }]', "at most one"),
        (
            'from = "age"',
            'from = "age", when = [0, 1]',
            "column 'age': 'age' is a fact on the index date; it has no 'when'",
        ),
        ('from = "age"', 'from = "age", role = "target"', "it is a feature, no target"),
        ('from = "age"', 'from = "age", codes = ["A:1"]', "either from 'codes' or 'from'"),
        (
            'from = "sex"',
            'from = "sex", levels = ["f", "m"]',
            "levels of sex are female, male, other and unknown, not 'f'",
        ),
        ('from = "sex"', 'from = "died"', "key 'when' is missing"),
        ('from = "sex"', 'from = "died", when = [-1, 0]', "'died' is a target"),
        ("when = [-365, 0], ", "", "column 'hba1c': key 'when' is missing"),
        ("when = [-365, 0]", "when = [0, 1]", "a feature is known by the index date"),
        ("when = [-365, 0]", 'when = [0, "ever"]', "a feature is known by the index date"),
        ("when = [1, 365]", "when = [-1, 365]", "a target happens from the index date on"),
        ('take = "last", ', "", "say what to 'take' of the values"),
        ('take = "last", ', 'take = "median", ', "column 'hba1c' take: "),
        (HBA1C, '"%"', "a number needs a plausible 'range'"),
        (HBA1C, '"%", range = [20, 3]', r"'range' is \[low, high\] with low < high"),
        (HBA1C, HBA1C + ', substance = "glukose"', "'glukose' is no known substance; did you mean 'glucose'"),
        (
            HBA1C,
            HBA1C + ', levels = [{ name = "a", codes = ["A:1"] }, "b"]',
            "a column of kind 'category' has no range",
        ),
        ('"RxNorm:11289"], when', '"RxNorm:11289"], take = "time", when', "'time' runs from the index date on"),
        ('"RxNorm:11289"], when', '"RxNorm:11289"], take = "count", when', "a number needs a plausible 'range'"),
        ('"RxNorm:11289"]', '"RxNorm:11289"], levels = ["a", "b"]', "of a category take the first or the last answer"),
        ('name = "age"', 'name = "sex"', "two columns are named 'sex'"),
        ('role = "target", codes', 'role = "target", from = "died", codes', "either from 'codes' or 'from'"),
        (
            'codes = ["SNOMED:230690007"], when',
            'from = "died", when',
            "'washout' needs a target that is drawn from codes",
        ),
    ],
)
def test_a_cohort_that_makes_no_sense_is_refused_with_the_place_and_the_reason(old: str, new: str, message: str):
    assert old in GOOD
    with pytest.raises(Refused, match=rf"schema.toml: .*{message}"):
        read(GOOD.replace(old, new, 1))


def test_a_feature_that_holds_the_answer_is_refused_unless_its_window_ends_before():
    leaky = GOOD.replace('"RxNorm:11289"], when = ["ever", 0]', '"SNOMED:230690007"], when = ["ever", 0]')
    leaky = leaky.replace("when = [1, 365]", "when = [0, 365]")
    with pytest.raises(
        Refused, match="both look for SNOMED:230690007 on day 0: the feature would give the answer away"
    ):
        read(leaky)
    read(leaky.replace('["ever", 0]', '["ever", -1]'))


def test_levels_are_answers_each_for_itself_and_at_most_one_for_nothing_else():
    levels = '{ name = "none" }, { name = "yes", codes = ["SNOMED:1"] }'
    of = GOOD.replace('take = "last", unit = "%", range = [3, 20]', f'take = "last", levels = [{levels}]', 1)
    assert public(of).column("hba1c").levels == ("none", "yes")
    for more, message in (
        (', { name = "no" }', "only one level can be without codes"),
        (', { name = "no", codes = ["SNOMED:1"] }', "the same code stands for two levels"),
        (', { name = "yes", codes = ["SNOMED:2"] }', "two levels or more, each with its own name"),
    ):
        with pytest.raises(Refused, match=message):
            read(of.replace(levels, levels + more))


def test_a_cohort_reads_as_sentences():
    text = GOOD.replace(
        "age = [18, 110]",
        'which = "first eligible", between = [2000-01-01, 2009-12-31], sex = ["female"], follow_up = 1, '
        "age = [18, 110], "
        'required = [{ codes = ["LOINC:4548-4"], when = [-90, 0], times = 2, value = [6.5, "any"], unit = "%" }], '
        'excluded = [{ codes = ["SNOMED:1", "SNOMED:2"], when = [0, 0] }]',
    )
    assert describe_cohort(public(text)) == (
        "Day 0 of a row is the first day for which all below holds on which SNOMED:49436004 is recorded. Codes stand "
        "for all their kinds too, as far as a site's vocabularies tell.",
        "The index date is neither before birth nor after death.",
        "The index date is between 2000-01-01 and 2009-12-31.",
        "Sex is female.",
        "Age is 18 to 110 on the index date.",
        "Observed for 365 days before the index date.",
        "Observed for 1 day after the index date, or until death.",
        "Has LOINC:4548-4 of 6.5 % or more on 2 days or more from day -90 to day 0.",
        "Does not have SNOMED:1 or SNOMED:2 on day 0.",
        "Did not have before what is predicted: SNOMED:230690007 until day 0.",
        "age (feature, integer): age in full years on the index date.",
        "sex (feature, category): sex.",
        "hba1c (feature, number): the last value of LOINC:4548-4 from day -365 to day 0, in %.",
        "warfarin (feature, boolean): whether there is RxNorm:11289 until day 0.",
        "stroke (target, boolean): whether there is SNOMED:230690007 from day 1 to day 365.",
    )
    assert describe_cohort(replace(public(), cohort=None)) == ()
    assert next(iter(conditions(public().cohort)))  # type: ignore[arg-type]


def test_a_flow_shows_neither_few_patients_nor_few_who_were_left_out():
    flow = [Step(str(at), patients, patients) for at, patients in enumerate((500, 497, 492, 489, 489, 20, 9, 0))]
    assert [patients for _, patients in tell(flow)] == [
        "500",
        "500, less fewer than 11",
        "500, less fewer than 11",
        "489",
        "489",
        "20",
        "fewer than 11",
        "0",
    ]


def test_what_could_not_be_used_becomes_findings_without_small_counts():
    found = findings([Loss("glucose", 3, 40, 0), Loss("reply", 0, 0, 11)])
    assert [(one.rule, one.where, one.count) for one in found] == [
        ("cohort.unit", "glucose", None),
        ("cohort.range", "glucose", 40),
        ("cohort.answer", "reply", 11),
    ]
