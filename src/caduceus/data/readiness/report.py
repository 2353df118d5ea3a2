"""The report on a data set's readiness: what a steward signs, and anybody can check without the data.

It binds the verdict to the data set, to the code that looked and to its rules. It tells names of columns and counts of
eleven or more, and no value.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from caduceus import canon
from caduceus.crypto import sign
from caduceus.data.readiness.declaration import Declared
from caduceus.data.readiness.engine import Outcome
from caduceus.data.readiness.finding import Finding, Severity
from caduceus.data.readiness.sheet import Sheet
from caduceus.data.readiness.verdict import RuleResult
from caduceus.errors import Misuse, Refused
from caduceus.kinds import Address, Digest, Readiness

COMMITMENT, SALTED_FILES = "commitment", "salted files"
"""What the data set's digest is: the root of its card's commitment, or a salted digest of its files."""

_DOMAIN = sign.keccak(b"caduceus/data/readiness-report/1")
"""Where a contract's domain separator stands in other signatures: a report's signature means nothing on any chain."""

_ROWS_STEP = 10


@canon.record("data/readiness-sheet/1")
class SheetSeen:
    """A sheet that was looked at.

    name, source   see `sheet.Sheet`
    rows_at_least  its records, rounded down to tens; 0 if there are fewer than twenty
    places         how many columns or paths it has
    """

    name: str
    source: str
    rows_at_least: int
    places: int


@canon.record("data/readiness-report/1")
class Report:
    """What was found, in one record.

    title      of the data set
    data       32 bytes that bind it to the data; see `data_is`
    data_is    commitment or salted files
    sheets     what was looked at
    declared   the steward's declaration as JSON, without the place of a list of objections
    results    every rule with its version and what became of it
    findings   the worst first
    readiness  see `kinds.Readiness`
    reasons    what the verdict rests on
    code       digest of the code that looked
    made       seconds since 1970-01-01 UTC

    Reveals: names of columns and paths, how many records there are to within ten, which rules found something and in
    how many records where those are eleven or more, and what the steward says. No value.
    """

    title: str
    data: bytes
    data_is: str
    sheets: tuple[SheetSeen, ...]
    declared: str
    results: tuple[RuleResult, ...]
    findings: tuple[Finding, ...]
    readiness: Readiness
    reasons: tuple[str, ...]
    code: bytes
    made: int

    def digest(self) -> Digest:
        """SHA-256 of the canonical bytes: what a card or a chain may name."""
        return canon.digest(self)


@canon.record("data/readiness-signed/1")
class SignedReport:
    """A report and who stands for it.

    signer     20 bytes, the address of the steward's key; empty if nobody has signed
    signature  65 bytes, or empty
    """

    report: Report
    signer: bytes
    signature: bytes


def seen(sheet: Sheet) -> SheetSeen:
    """A sheet as a report may tell it."""
    rows = sheet.rows // _ROWS_STEP * _ROWS_STEP if sheet.rows >= 2 * _ROWS_STEP else 0
    return SheetSeen(sheet.name, sheet.source, rows, len(sheet.leaves))


def write_report(
    outcome: Outcome,
    *,
    title: str,
    data: bytes,
    data_is: str,
    sheets: Sequence[Sheet],
    declared: Declared,
    code: Digest,
    made: int,
) -> Report:
    """The report on what rules found; see `Report` for the arguments.

    Raises Misuse if `data` is not 32 bytes or `data_is` is no known word.
    """
    if len(data) != 32 or data_is not in (COMMITMENT, SALTED_FILES):
        raise Misuse("write_report: the data set's digest is 32 bytes, a commitment or of salted files")
    verdict = outcome.verdict
    return Report(
        title=title,
        data=data,
        data_is=data_is,
        sheets=tuple(seen(one) for one in sheets),
        declared=json.dumps(_declared(declared), sort_keys=True, ensure_ascii=False),
        results=outcome.results,
        findings=outcome.findings,
        readiness=verdict.readiness,
        reasons=verdict.reasons,
        code=code,
        made=made,
    )


def _declared(declared: Declared) -> object:
    return declared.model_dump(mode="json", exclude={"opt_out": {"list"}}, exclude_defaults=True)


def unsigned(report: Report) -> SignedReport:
    """A report that nobody stands for yet."""
    return SignedReport(report, b"", b"")


def signed(report: Report, signer: sign.Signer) -> SignedReport:
    """A report under a steward's key."""
    return SignedReport(report, signer.address, signer.sign(_signing_digest(report)))


def check(one: SignedReport) -> Address:
    """Who signed a report.

    Raises Refused if nobody has, if the signature is not the signer's, or if the verdict does not follow from the
    findings and results that the report itself states.
    """
    from_findings = Outcome(one.report.findings, one.report.results).verdict
    if from_findings.readiness != one.report.readiness or from_findings.reasons != one.report.reasons:
        raise Refused("the report's verdict does not follow from its findings")
    if not one.signature:
        raise Refused("nobody has signed this report")
    if sign.recover(_signing_digest(one.report), one.signature) != one.signer:
        raise Refused("the signature is not of this report, or not by the address that it names")
    return Address(one.signer)


def read_signed(data: bytes) -> SignedReport:
    """A signed report from its bytes.

    Raises Refused if they are not one.
    """
    return canon.unpack(SignedReport, data)


def _signing_digest(report: Report) -> Digest:
    return sign.digest(_DOMAIN, sign.Statement(report.digest()))


def report_json(one: SignedReport) -> str:
    """The report as JSON for people and other programs; digests in hexadecimal."""
    report = one.report
    return json.dumps(
        {
            "title": report.title,
            "readiness": report.readiness.name,
            "reasons": list(report.reasons),
            "data": report.data.hex(),
            "data_is": report.data_is,
            "sheets": [
                {
                    "name": sheet.name,
                    "source": sheet.source,
                    "rows_at_least": sheet.rows_at_least,
                    "places": sheet.places,
                }
                for sheet in report.sheets
            ],
            "declared": json.loads(report.declared),
            "findings": [
                {
                    "rule": found.rule,
                    "where": found.where,
                    "count": found.count,
                    "of": found.of,
                    "severity": Severity(found.severity).name,
                    "says": found.says,
                    "remedy": found.remedy,
                }
                for found in report.findings
            ],
            "rules": [_result_json(result) for result in report.results],
            "code": report.code.hex(),
            "made": report.made,
            "digest": report.digest().hex(),
            "signer": f"0x{one.signer.hex()}" if one.signer else None,
            "signature": one.signature.hex() or None,
        },
        indent=2,
        ensure_ascii=False,
    )


def _result_json(result: RuleResult) -> dict[str, object]:
    told: dict[str, object] = {"rule": result.rule, "version": result.version, "title": result.title}
    told |= {"hipaa": list(result.hipaa)} if result.hipaa else {}
    told["state"] = result.state
    if result.skipped:
        told["skipped"] = [{"where": one.where, "reason": one.reason} for one in result.skipped]
    return told
