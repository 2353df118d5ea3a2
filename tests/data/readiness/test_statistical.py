"""All rules about the records as a whole: their names, what they keep to themselves, and data without a fault."""

from __future__ import annotations

import pyarrow as pa
from sklearn.datasets import load_breast_cancer

from caduceus.data.readiness.engine import examine
from caduceus.data.readiness.finding import Severity
from caduceus.data.readiness.statistical import RULES, rules
from readiness_sheets import context, fhir, look, omop, table

CANARY, NUMBER = "Zz-Canary-9", 98765.4321


def test_every_rule_has_a_name_of_its_own_and_says_what_it_is_about():
    assert len({rule.name for rule in RULES}) == len(RULES) >= 20
    assert all(rule.title and rule.about.endswith((".", "?")) for rule in RULES)
    assert [rule.name for rule in rules(None, frozenset())] == [rule.name for rule in RULES]


def test_no_rule_says_a_value_of_a_record():
    names = (
        "age",
        "sex",
        "zip",
        "site",
        "diagnosis",
        "chol",
        "glucose",
        "icd_code",
        "hiv",
        "consent",
        "admission_date",
    )
    columns = {name: [CANARY, CANARY, "other"] * 12 for name in names} | {"sbp": [NUMBER, NUMBER, 0.0] * 12}
    columns |= {"weight": [NUMBER, NUMBER, 9999.0] * 12, "outcome": [CANARY, "o", "o"] * 12}
    sheets = (
        table(columns),
        fhir("Patient", {"Patient.birthDate": [CANARY] * 3, "Patient.gender": [CANARY] * 3}),
        *omop(
            person={"person_id": [CANARY, CANARY], "year_of_birth": [NUMBER, NUMBER], "race_source_value": [CANARY] * 2}
        ),
    )
    declared = '[consent]\nrule = "column"\ncolumn = "consent"\npositive = ["yes"]'
    roles = {"t.site": "site", "t.outcome": "target"}
    done = examine(context(*sheets, roles=roles, declared=declared), rules(None, frozenset({CANARY})))
    texts = [f"{one.where} {one.says} {one.remedy}" for one in done.findings]
    texts += [f"{skip.where} {skip.reason}" for one in done.results for skip in one.skipped]
    assert len(texts) > 10
    assert not [text for text in texts if CANARY in text or "98765" in text]


def test_an_empty_sheet_and_an_empty_column_break_no_rule():
    sheets = (table({"age": [], "sex": []}), table({"age": pa.nulls(3), "x": pa.nulls(3, pa.float64())}, name="u"))
    assert examine(context(*sheets, roles={"t.sex": "target", "u.x": "target"}), RULES).findings


def test_the_breast_data_have_no_fault_but_what_is_not_declared():
    bundle = load_breast_cancer()
    columns = {name.replace(" ", "_"): bundle.data[:, i] for i, name in enumerate(bundle.feature_names)}
    columns["malignant"] = 1 - bundle.target
    given = context(table(columns), roles={f"t.{name}": "feature" for name in columns} | {"t.malignant": "target"})
    found = [one for one in examine(given, RULES).findings if one.severity >= Severity.WARN]
    assert {one.where for one in found} == {"declaration.legal_basis", "declaration.consent", "declaration.opt_out"}
    _, skipped = look(RULES, "disclosure.unique", given)
    assert "quasi" in skipped[0].reason
