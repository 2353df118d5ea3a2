"""The engine settles findings, the verdict follows from them, and a signed report cannot be changed."""

import dataclasses
import json

import pytest
from identity_sheets import table

from caduceus import canon
from caduceus.crypto.sign import Signer
from caduceus.data.readiness.declaration import Accepted, Declared, OptOut, read_declaration
from caduceus.data.readiness.engine import Outcome, examine
from caduceus.data.readiness.finding import Finding, Severity
from caduceus.data.readiness.report import (
    COMMITMENT,
    SignedReport,
    check,
    read_signed,
    report_json,
    signed,
    unsigned,
    write_report,
)
from caduceus.data.readiness.rule import Context, Rule, Skipped
from caduceus.data.readiness.sheet import OMOP, TABLE
from caduceus.data.readiness.verdict import NOT_APPLICABLE, RAN, UNSCANNED
from caduceus.errors import Misuse, Refused
from caduceus.kinds import Digest, Readiness

SHEET = table({"v": [1, 2, 3]})


def rule(*yields: Finding | Skipped, name: str = "a.rule", sources: tuple[str, ...] = (TABLE,)) -> Rule:
    return Rule(name, "A rule", "Looks.", (1,), sources, lambda context: iter(yields))


def hit(severity: Severity, where: str = "t.v", name: str = "a.rule") -> Finding:
    return Finding(name, where, 20, 30, int(severity), "something", "mend it")


def outcome(*yields: Finding | Skipped, **told: object) -> Outcome:
    return examine(Context((SHEET,), **told), [rule(*yields)])


@pytest.mark.parametrize(
    ("yields", "readiness", "state"),
    [
        ((), Readiness.READY, RAN),
        ((hit(Severity.NOTE),), Readiness.READY, RAN),
        ((Skipped("nothing of it"),), Readiness.READY, NOT_APPLICABLE),
        ((hit(Severity.WARN),), Readiness.CONDITIONAL, RAN),
        ((Skipped("could not", applies=True),), Readiness.CONDITIONAL, UNSCANNED),
        ((hit(Severity.NOTE), Skipped("could not", "t.v", applies=True)), Readiness.CONDITIONAL, UNSCANNED),
        ((hit(Severity.BLOCK),), Readiness.BLOCKED, RAN),
        ((hit(Severity.WARN), hit(Severity.BLOCK), Skipped("could not", applies=True)), Readiness.BLOCKED, UNSCANNED),
    ],
)
def test_the_verdict_follows_from_findings_and_from_what_was_not_looked_at(
    yields: tuple[Finding | Skipped, ...], readiness: Readiness, state: str
):
    found = outcome(*yields)
    assert found.verdict.readiness is readiness
    assert [one.state for one in found.results] == [state]
    assert bool(found.verdict.reasons) == (readiness is not Readiness.READY)


def test_a_rule_about_other_data_is_not_applicable_and_is_not_run():
    never = Rule("x.y", "X", "X.", (), (OMOP,), lambda context: pytest.fail("was run"))
    (result,) = examine(Context((SHEET,)), [never]).results
    assert result.state == NOT_APPLICABLE


def test_a_column_that_the_schema_does_not_read_warns_instead_of_blocking():
    for roles in ({"t.v": "ignore"}, {"t.w": "feature"}):
        assert [one.severity for one in outcome(hit(Severity.BLOCK), roles=roles).findings] == [Severity.WARN]
    for roles in ({"t.v": "feature"}, {}):
        assert [one.severity for one in outcome(hit(Severity.BLOCK), roles=roles).findings] == [Severity.BLOCK]
    elsewhere = outcome(hit(Severity.BLOCK, "declaration.consent"), roles={"t.w": "feature"})
    assert [one.severity for one in elsewhere.findings] == [Severity.BLOCK]


def test_a_warning_may_be_accepted_with_a_reason_and_what_blocks_may_not():
    declared = Declared(accepted=(Accepted(rule="a.rule", where="t.v", reason="seen by the board"),))
    found = outcome(hit(Severity.WARN), hit(Severity.BLOCK), hit(Severity.WARN, "t.w"), declared=declared).findings
    assert [(one.where, one.severity) for one in found] == [("t.v", 3), ("t.w", 2), ("t.v", 1)]
    assert "seen by the board" in found[2].says


def test_steps_are_told_and_two_rules_of_one_name_are_a_bug():
    told: list[str] = []
    examine(Context((SHEET,)), [rule(), rule(name="b.rule")], step=told.append)
    assert told == ["A rule", "A rule"]
    with pytest.raises(Misuse, match=r"same name"):
        examine(Context((SHEET,)), [rule(), rule()])
    with pytest.raises(Misuse, match=r"yielded a finding of"):
        examine(Context((SHEET,)), [rule(hit(Severity.NOTE, name="b.rule"))])


def made(*yields: Finding | Skipped, declared: Declared | None = None) -> SignedReport:
    report = write_report(
        outcome(*yields),
        title="Ash",
        data=bytes(32),
        data_is=COMMITMENT,
        sheets=[table({"v": range(57)})],
        declared=declared or Declared(),
        code=Digest(bytes(32)),
        made=1_700_000_000,
    )
    return signed(report, Signer(bytes([7] * 32)))


def test_a_signed_report_survives_its_bytes_and_names_its_signer():
    one = made(hit(Severity.WARN))
    again = read_signed(canon.pack(one))
    assert again == one
    assert check(again) == Signer(bytes([7] * 32)).address
    told = json.loads(report_json(again))
    assert told["readiness"] == "CONDITIONAL"
    assert told["sheets"] == [{"name": "t", "source": "table", "rows_at_least": 50, "places": 1}]
    assert told["digest"] == one.report.digest().hex()


@pytest.mark.parametrize(
    "change", [{"title": "Oak"}, {"made": 1}, {"data": bytes([1] * 32)}, {"code": bytes([1] * 32)}]
)
def test_a_changed_report_is_not_what_was_signed(change: dict[str, object]):
    one = made(hit(Severity.WARN))
    with pytest.raises(Refused, match=r"signature is not of this report"):
        check(SignedReport(dataclasses.replace(one.report, **change), one.signer, one.signature))


def test_a_report_that_nobody_signed_and_a_verdict_that_does_not_follow_are_refused():
    one = made(hit(Severity.BLOCK))
    with pytest.raises(Refused, match=r"nobody has signed"):
        check(unsigned(one.report))
    better = dataclasses.replace(one.report, readiness=Readiness.READY, reasons=())
    with pytest.raises(Refused, match=r"does not follow"):
        check(signed(better, Signer(bytes([7] * 32))))
    with pytest.raises(Misuse, match=r"32 bytes"):
        write_report(
            outcome(),
            title="",
            data=b"",
            data_is=COMMITMENT,
            sheets=[],
            declared=Declared(),
            code=Digest(bytes(32)),
            made=0,
        )


def test_where_the_list_of_objections_lies_is_not_told():
    one = made(declared=Declared(opt_out=OptOut(rule="list", list="/secret/objections.txt")))
    assert "objections.txt" not in report_json(one)
    assert json.loads(one.report.declared) == {"opt_out": {"rule": "list"}}


def test_a_declaration_is_read_and_a_wrong_one_names_its_key():
    text = '[consent]\nrule = "column"\ncolumn = "agreed"\npositive = [1]\n[legal_basis]\narticle_9 = "9.2.j"\n'
    declared = read_declaration(text, where="readiness.toml")
    assert declared.consent.positive == (1,)
    assert declared.legal_basis.stated
    assert not Declared().legal_basis.stated
    for wrong, key in (
        ('[consent]\nrule = "column"\n', "column"),
        ('[consent]\nrule = "not_needed"\n', "reason"),
        ('[opt_out]\nrule = "list"\n', "file"),
        ("jurisdiction = ['Utopia']\n", "jurisdiction"),
    ):
        with pytest.raises(Refused, match=rf"readiness.toml: .*{key}"):
            read_declaration(wrong, where="readiness.toml")
