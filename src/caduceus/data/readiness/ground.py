"""The legal ground: what the steward declares, held against the law of the jurisdiction and against itself.

The rule for a ground that is missing: where nothing is declared at all, a steward has to look (WARN). Where a
jurisdiction is declared, its law is known and asks for a ground, so that lending without one is forbidden (BLOCK).
"""

from __future__ import annotations

from collections.abc import Iterator

from caduceus.data.readiness.declaration import GDPR, HIPAA
from caduceus.data.readiness.finding import Finding, Severity
from caduceus.data.readiness.rule import Context, Rule
from caduceus.data.readiness.sheet import FHIR, OMOP, TABLE

_EUROPE = "AT BE BG HR CY CZ DK EE FI FR DE GR HU IE IT LV LT LU MT NL PL PT RO SK SI ES SE IS LI NO GB CH EU"
EUROPE = frozenset(_EUROPE[i : i + 2] for i in range(0, len(_EUROPE), 3))
"""Where GDPR or a law of its form holds."""


def look_for_ground(context: Context) -> Iterator[Finding]:
    """Hold the declared legal ground against the declared jurisdiction, and what else is declared."""
    declared = context.declared
    ground, where = declared.legal_basis, "declaration.legal_basis"
    laws = {GDPR if one[:2] in EUROPE else HIPAA if one[:2] == "US" else "" for one in declared.jurisdiction}
    if not ground.stated:
        known = bool(laws - {""})
        yield declared_finding(
            "consent.ground",
            where,
            Severity.BLOCK if known else Severity.WARN,
            "no legal ground is declared",
            "state article_6 and article_9 (GDPR) or the route (HIPAA) by which the data may be used",
        )
    else:
        if GDPR in laws and not (ground.article_6 and ground.article_9):
            yield declared_finding(
                "consent.ground",
                where,
                Severity.BLOCK,
                "health data under GDPR need a ground of Art. 6(1) and one of Art. 9(2); only one is declared, or none",
                "state both",
            )
        if HIPAA in laws and ground.hipaa is None:
            yield declared_finding(
                "consent.ground",
                where,
                Severity.BLOCK,
                "data under HIPAA need a route by which they are disclosed",
                "state safe_harbor, expert_determination, limited_data_set, authorization or waiver",
            )
    if ground.hipaa in ("expert_determination", "limited_data_set", "waiver") and not ground.agreement.strip():
        yield declared_finding(
            "consent.ground",
            f"{where}.agreement",
            Severity.BLOCK,
            f"{ground.hipaa} rests on a document (expert's report, data-use agreement, board's decision); none is "
            "named",
            "name the document in 'agreement'",
        )
    explicit = ground.article_6 == "6.1.a" or ground.article_9 == "9.2.a" or ground.hipaa == "authorization"
    if explicit and declared.consent.rule not in ("all", "column"):
        yield declared_finding(
            "consent.ground",
            "declaration.consent",
            Severity.BLOCK,
            "the ground is consent, and the declaration does not say that everybody consented, or which column says "
            "who",
            "state consent 'all' or 'column', or another ground",
        )
    if ground.hipaa == "safe_harbor" and declared.dates.rule in ("exact", "shifted"):
        yield declared_finding(
            "consent.ground",
            "declaration.dates",
            Severity.BLOCK,
            f"Safe Harbor leaves no date but the year, and the dates are declared '{declared.dates.rule}'",
            "keep years only, or choose expert_determination or limited_data_set",
        )


def declared_finding(rule: str, where: str, severity: Severity, says: str, remedy: str) -> Finding:
    """A finding about the declaration: it counts no records."""
    return Finding(rule=rule, where=where, count=None, of=None, severity=severity, says=says, remedy=remedy)


GROUND = Rule(
    name="consent.ground",
    title="the legal ground",
    about="Whether a ground is declared that the law of the jurisdiction asks for, and that fits what else "
    "is declared. "
    "Missing: WARN; missing although the jurisdiction is declared, or not fitting: BLOCK.",
    hipaa=(),
    sources=(TABLE, FHIR, OMOP),
    look=look_for_ground,
)
