"""The page on a data set's readiness: one HTML file that loads nothing, for the steward and whoever relies on him."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime

from caduceus.data.readiness.finding import FEW, Finding, Severity
from caduceus.data.readiness.hipaa import CLASSES, letter
from caduceus.data.readiness.report import COMMITMENT, Report, SignedReport
from caduceus.data.readiness.verdict import NOT_APPLICABLE, RAN, UNSCANNED, RuleResult
from caduceus.kinds import Readiness
from caduceus.report.markup import NONE, Column, Html, code, dash, join, listing, pairs, section, table, text
from caduceus.report.script import SCRIPT
from caduceus.report.style import STYLE
from caduceus.report.summary import brand, verdict_mark
from caduceus.report.words import count, whole

_TONES = {Readiness.READY: "good", Readiness.CONDITIONAL: "open", Readiness.BLOCKED: "bad"}
_PASSES = {Readiness.READY: True, Readiness.CONDITIONAL: None, Readiness.BLOCKED: False}
_HEADS = {
    Readiness.READY: "Ready to be lent",
    Readiness.CONDITIONAL: "Ready on conditions",
    Readiness.BLOCKED: "Not to be lent like this",
}
_MARKS = {Severity.BLOCK: ("bad", "blocks"), Severity.WARN: ("open", "to be weighed"), Severity.NOTE: ("soft", "note")}
_STATES = {
    RAN: ("good", "looked everywhere"),
    UNSCANNED: ("open", "not everywhere"),
    NOT_APPLICABLE: ("soft", "nothing to look at"),
}

MOST_REASONS = 8
"""Reasons that stand beside the verdict; the tables have all."""

_PARTS = (
    ("findings", "What was found"),
    ("classes", "Safe Harbor"),
    ("rules", "What was looked for"),
    ("data", "The data"),
    ("said", "What is declared"),
    ("proof", "Who stands for it"),
)


def readiness_page(one: SignedReport) -> str:
    """A readiness report as a whole HTML document with its style and script inside; it refers to nothing outside."""
    report = one.report
    items = join(Html(f'<li><a href="#{name}">{said}</a></li>') for name, said in _PARTS)
    body = join(
        (
            _head(report),
            section("findings", Html("What was found"), _findings(report.findings), _LEAD_FINDINGS),
            section("classes", Html("The eighteen classes of Safe Harbor"), _classes(report), _LEAD_CLASSES),
            section("rules", Html("What was looked for"), _rules(report.results), _LEAD_RULES),
            section("data", Html("The data"), _data(report)),
            section("said", Html("What is declared"), _declared(report), _LEAD_DECLARED),
            section("proof", Html("Who stands for it"), _proof(one)),
        ),
        "\n",
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8"/>\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_policy()}"/>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>\n'
        '<meta name="referrer" content="no-referrer"/>\n<meta name="color-scheme" content="light dark"/>\n'
        f"<title>{text(report.title)} · readiness</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        '<a class="skip" href="#main">Skip to the report</a>\n<div class="page">\n'
        f'<header class="mast">{brand()}<h1>Caduceus: readiness of a data set</h1>'
        "<p>Names of columns and counts, no values</p></header>\n"
        f'<nav aria-label="Contents"><h2>Contents</h2><ol><li><ol>{items}</ol></li></ol></nav>\n'
        f'<main id="main">\n<article id="report" aria-labelledby="report-h">{body}</article>\n</main>\n'
        "<footer><p>This page is one file and loads nothing: no server learns that you read it. A count from 1 to "
        f"{FEW - 1} is not said.</p></footer>\n</div>\n<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )


def _policy() -> str:
    style, script = (base64.b64encode(hashlib.sha256(part.encode()).digest()).decode() for part in (STYLE, SCRIPT))
    return (
        f"default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; "
        "base-uri 'none'; form-action 'none'"
    )


_LEAD_FINDINGS = Html(
    "What blocks must be mended before the data are lent. What is to be weighed needs somebody's decision; a "
    "declaration "
    "may accept it, with a reason that stands here."
)
_LEAD_CLASSES = Html(
    "HIPAA, 45 CFR 164.514(b)(2)(i). A class is clear where every rule for it looked everywhere and found nothing that "
    "blocks or is to be weighed. Rules find what they know; that nothing is found is no proof that nothing is there."
)
_LEAD_RULES = Html(
    "Every rule with its version, and where it could not look. What was not looked at keeps data from being ready."
)
_LEAD_DECLARED = Html(
    "The steward's own statements, which no rule can check in the data alone. They are signed with this report."
)


def _head(report: Report) -> Html:
    tone, passes = _TONES.get(report.readiness, "open"), _PASSES.get(report.readiness)
    shown, rest = report.reasons[:MOST_REASONS], len(report.reasons) - MOST_REASONS
    reasons = listing([text(one) for one in shown], "says") if shown else NONE
    more = Html(f'<p><a href="#findings">{count(rest, "more reason")}</a></p>') if rest > 0 else NONE
    said = "Every rule that applies was run, and nothing needs attention." if not report.reasons else ""
    head = _HEADS.get(report.readiness, "Not stated")
    blocks, warns = (sum(one.severity == level for one in report.findings) for level in (Severity.BLOCK, Severity.WARN))
    unscanned = sum(one.state == UNSCANNED for one in report.results)
    tiles = pairs(
        (
            (Html("Findings that block"), _big(blocks, "must be mended")),
            (Html("To be weighed"), _big(warns, "somebody decides")),
            (
                Html("Rules"),
                _big(len(report.results), f"{sum(one.state == RAN for one in report.results)} looked everywhere"),
            ),
            (Html("Not looked at"), _big(unscanned, "rules could not look everywhere")),
        ),
        "tiles",
    )
    return Html(
        f'<p class="eyebrow">{_day(report.made)}</p><h2 id="report-h">{text(report.title)}</h2>'
        f'<p class="lede">{_lede(report)}</p>'
        f'<div class="verdict {tone}">{verdict_mark(passes)}<div><strong>{head}</strong>'
        f"<p>{said}</p>{reasons}{more}</div>"
        f"</div>{tiles}"
    )


def _lede(report: Report) -> Html:
    """What was looked at, and how."""
    places = sum(one.places for one in report.sheets)
    sources = {"table": "of a table", "fhir": "of FHIR resources", "omop": "of OMOP tables"}
    kinds = " and ".join(dict.fromkeys(sources.get(one.source, one.source) for one in report.sheets))
    return Html(
        f"{count(len(report.results), 'rule')} looked at {count(places, 'column or path', 'columns or paths')} {kinds}."
    )


def _big(number: int, said: str) -> Html:
    return Html(f'<span class="big">{whole(number)}</span><small>{text(said)}</small>')


def _day(made: int) -> Html:
    return text(datetime.fromtimestamp(made, UTC).strftime("%Y-%m-%d %H:%M UTC"))


def _findings(findings: Sequence[Finding]) -> Html:
    if not findings:
        return Html("<p>No rule found anything.</p>")
    columns = (
        Column(Html("Where")),
        Column(Html("Verdict"), "", "Verdict"),
        Column(Html("What was found, and what to do"), "", "Found"),
        Column(Html("Records"), "num", "Records"),
        Column(Html("Rule"), "", "Rule"),
    )
    rows = [
        (
            text(one.where),
            _mark(*_MARKS[Severity(one.severity)]),
            Html(f'{text(one.says)}<span class="why">{text(one.remedy)}</span>'),
            _records(one),
            code(one.rule, 40),
        )
        for one in findings
    ]
    return table(Html("Findings, the worst first"), columns, rows, kind="stack")


def _records(one: Finding) -> Html:
    if one.count is None:
        return dash(f"fewer than {FEW}, or nothing that is counted")
    return Html(f"{whole(one.count)} of {whole(one.of)}") if one.of is not None else whole(one.count)


def _mark(tone: str, said: str) -> Html:
    return Html(f'<span class="mark {tone}">{text(said)}</span>')


def _classes(report: Report) -> Html:
    columns = (Column(Html("Class")), Column(Html("Outcome")), Column(Html("Rules that look for it")))
    by_rule: dict[str, int] = {}
    for one in report.findings:
        by_rule[one.rule] = max(by_rule.get(one.rule, 0), one.severity)
    rows = []
    for number, said in CLASSES.items():
        rules = [one for one in report.results if number in one.hipaa]
        rows.append(
            (text(f"{letter(number)} {said}"), _outcome(rules, by_rule), text(", ".join(_title(one) for one in rules)))
        )
    return table(Html("By class"), columns, rows)


def _outcome(rules: Sequence[RuleResult], by_rule: dict[str, int]) -> Html:
    worst = max((by_rule.get(one.rule, 0) for one in rules), default=0)
    if worst >= Severity.WARN:
        return _mark(*_MARKS[Severity(worst)])
    if any(one.state == UNSCANNED for one in rules) or not rules:
        return _mark("open", "not everywhere looked at")
    return _mark("good", "clear")


def _title(one: RuleResult) -> str:
    return one.title[:1].upper() + one.title[1:]


def _rules(results: Sequence[RuleResult]) -> Html:
    columns = (
        Column(Html("Rule")),
        Column(Html("Outcome")),
        Column(Html("Version"), "num"),
        Column(Html("Where it did not look")),
    )
    rows = [
        (
            Html(f'{text(_title(one))}<span class="why">{text(one.rule)}</span>'),
            _mark(*_STATES.get(one.state, ("open", one.state))),
            whole(one.version),
            join((text(f"{skip.where}: {skip.reason}" if skip.where else skip.reason) for skip in one.skipped), "<br/>")
            or NONE,
        )
        for one in results
    ]
    return table(Html("Rules"), columns, rows)


def _data(report: Report) -> Html:
    columns = (
        Column(Html("Name")),
        Column(Html("Kind")),
        Column(Html("Records"), "num"),
        Column(Html("Columns or paths"), "num"),
    )
    rows = [
        (
            text(one.name),
            text({"table": "table", "fhir": "FHIR resources", "omop": "OMOP table"}.get(one.source, one.source)),
            Html(f"at least {whole(one.rows_at_least)}") if one.rows_at_least else Html("fewer than 20"),
            whole(one.places),
        )
        for one in report.sheets
    ]
    return table(Html("What was looked at"), columns, rows)


def _declared(report: Report) -> Html:
    told = json.loads(report.declared)
    if not told:
        return Html("<p>Nothing is declared.</p>")
    return Html(f'<div class="scroll"><pre>{text(json.dumps(told, indent=2, ensure_ascii=False))}</pre></div>')


def _proof(one: SignedReport) -> Html:
    report = one.report
    bound = (
        "the root of the commitment to its records" if report.data_is == COMMITMENT else "a salted digest of its files"
    )
    signer = text(f"0x{one.signer.hex()}") if one.signer else Html("nobody has signed")
    return Html(
        pairs(
            (
                (Html("Signed by"), signer),
                (Html("Digest of this report"), text(report.digest().hex())),
                (Html(f"The data set, as {bound}"), text(report.data.hex())),
                (Html("Digest of the code that looked"), text(report.code.hex())),
            ),
            "facts",
        )
        + "<p>The signature is checked with <b>caduceus readiness verify</b> and report.cbor, without the data.</p>"
    )
