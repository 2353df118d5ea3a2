"""The legal ground, consent and objections."""

from __future__ import annotations

import pyarrow as pa
import pytest

from caduceus.data.readiness.consent import RULES, rules
from caduceus.data.readiness.finding import Severity
from readiness_sheets import context, fhir, look, table

ROWS = table({"id": [str(i) for i in range(40)], "agreed": ["y"] * 25 + ["n"] * 14 + [None]}, patient="id")
GOOD = """
jurisdiction = ["DE", "US"]
[legal_basis]
article_6 = "6.1.e"
article_9 = "9.2.j"
hipaa = "waiver"
agreement = "board 17/2026"
"""


def severities(name: str, declared: str) -> list[int]:
    return [one.severity for one in look(RULES, name, context(ROWS, declared=declared))[0]]


def test_a_ground_that_fits_the_jurisdiction_has_no_finding():
    assert severities("consent.ground", GOOD) == []


@pytest.mark.parametrize(
    ("declared", "severity"),
    [
        ("", Severity.WARN),
        ('jurisdiction = ["BR"]', Severity.WARN),
        ('jurisdiction = ["DE"]', Severity.BLOCK),
        ('jurisdiction = ["US-CA"]', Severity.BLOCK),
        ('jurisdiction = ["FR"]\n[legal_basis]\narticle_6 = "6.1.e"', Severity.BLOCK),
        ('jurisdiction = ["US"]\n[legal_basis]\narticle_6 = "6.1.e"\narticle_9 = "9.2.j"', Severity.BLOCK),
        ('[legal_basis]\nhipaa = "limited_data_set"', Severity.BLOCK),
        ('[legal_basis]\nhipaa = "expert_determination"', Severity.BLOCK),
        ('[legal_basis]\nhipaa = "authorization"', Severity.BLOCK),
        (
            '[legal_basis]\narticle_6 = "6.1.a"\narticle_9 = "9.2.a"\n[consent]\nrule = "not_needed"\nreason = "x"',
            Severity.BLOCK,
        ),
        ('[legal_basis]\nhipaa = "safe_harbor"\n[dates]\nrule = "exact"', Severity.BLOCK),
        ('[legal_basis]\nhipaa = "safe_harbor"\n[dates]\nrule = "shifted"', Severity.BLOCK),
    ],
)
def test_a_ground_that_is_missing_or_does_not_fit_is_found(declared: str, severity: Severity):
    assert severities("consent.ground", declared) == [severity]


def test_safe_harbor_with_years_only_has_no_finding():
    assert severities("consent.ground", '[legal_basis]\nhipaa = "safe_harbor"\n[dates]\nrule = "years"') == []


def test_records_without_consent_block():
    declared = '[consent]\nrule = "column"\ncolumn = "agreed"\npositive = ["y"]'
    found, _ = look(RULES, "consent.records", context(ROWS, declared=declared))
    assert [(one.where, one.count, one.of, one.severity) for one in found] == [("t.agreed", 15, 40, Severity.BLOCK)]
    everybody = declared.replace('["y"]', '["y", "n"]')
    found, _ = look(RULES, "consent.records", context(ROWS, declared=everybody))
    assert [(one.count, one.severity) for one in found] == [(None, Severity.BLOCK)]


@pytest.mark.parametrize("values", [[1, 1, 1], [True, True, True], [1.0, 1.0, 1.0]])
def test_consent_is_read_in_numbers_and_booleans(values: list[object]):
    declared = '[consent]\nrule = "column"\ncolumn = "t.ok"\npositive = [1]'
    assert look(RULES, "consent.records", context(table({"ok": values}), declared=declared))[0] == []
    others = [*values[:2], type(values[0])(0)]
    assert len(look(RULES, "consent.records", context(table({"ok": others}), declared=declared))[0]) == 1


def test_a_consent_column_that_is_not_there_blocks_and_one_that_is_not_declared_warns():
    declared = '[consent]\nrule = "column"\ncolumn = "missing"\npositive = ["y"]'
    assert severities("consent.records", declared) == [Severity.BLOCK]
    assert severities("consent.records", '[consent]\nrule = "all"\nversion = "3"') == []
    found, _ = look(RULES, "consent.records", context(table({"consent_given": [1]})))
    assert [(one.where, one.severity) for one in found] == [("t.consent_given", Severity.WARN)]


def test_persons_who_objected_block_by_column_and_by_list():
    by_column = '[opt_out]\nrule = "column"\ncolumn = "agreed"\npositive = ["n"]'
    found, _ = look(RULES, "consent.objections", context(ROWS, declared=by_column))
    assert [(one.count, one.severity) for one in found] == [(14, Severity.BLOCK)]
    by_list = context(ROWS, declared='[opt_out]\nrule = "list"\nlist = "objections.txt"')
    _, skipped = look(RULES, "consent.objections", by_list)
    assert [one.applies for one in skipped] == [True]
    found, skipped = look(rules(frozenset({"3", "7", "99"})), "consent.objections", by_list)
    assert [(one.where, one.count, one.severity) for one in found] == [("t.id", None, Severity.BLOCK)]
    assert look(rules(frozenset({"99"})), "consent.objections", by_list) == ([], [])


def test_numbers_of_patients_are_found_on_a_list_of_texts():
    by_list = '[opt_out]\nrule = "list"\nlist = "objections.txt"'
    given = context(table({"nr": pa.array([11.0, 12.0, None])}, patient="nr"), declared=by_list)
    assert len(look(rules(frozenset({"12"})), "consent.objections", given)[0]) == 1


def test_a_register_that_was_consulted_has_no_finding():
    assert severities("consent.objections", "") == [Severity.WARN]
    assert severities("consent.objections", '[opt_out]\nrule = "removed"') == [Severity.WARN]
    assert severities("consent.objections", '[opt_out]\nrule = "removed"\nchecked = "2026-01-31"') == []


def test_fhir_consents_in_force_that_deny_block():
    denied = fhir("Consent", {"Consent.status": ["active"] * 12, "Consent.provision.type": ["deny"] * 12})
    assert [one.severity for one in look(RULES, "consent.denied", context(denied))[0]] == [Severity.BLOCK]
    permitted = fhir("Consent", {"Consent.status": ["active"] * 12, "Consent.provision.type": ["permit"] * 12})
    assert look(RULES, "consent.denied", context(permitted)) == ([], [])
    old = fhir("Consent", {"Consent.status": ["inactive"], "Consent.provision.type": ["deny"]})
    assert [one.severity for one in look(RULES, "consent.denied", context(old))[0]] == [Severity.WARN]
