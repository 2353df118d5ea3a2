"""From findings to a verdict: what blocks, what somebody has to look at, and what was not looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from caduceus import canon
from caduceus.data.readiness.finding import Finding, Severity
from caduceus.kinds import Readiness

RAN, NOT_APPLICABLE, UNSCANNED = "ran", "not applicable", "unscanned"
"""What became of a rule: it looked everywhere; there was nothing that it is about; somewhere it could not look."""


@canon.record("data/readiness-skip/1")
class Skip:
    """What a rule did not look at.

    where   the place, as a finding names it; "" is everything
    reason  in words
    """

    where: str
    reason: str


@canon.record("data/readiness-rule/1")
class RuleResult:
    """What became of one rule.

    rule     its name
    version  of the rule
    title    for people
    hipaa    classes of Safe Harbor that it serves
    state    ran, not applicable or unscanned
    skipped  why not, where it did not run everywhere
    """

    rule: str
    version: int
    title: str
    hipaa: tuple[int, ...]
    state: str
    skipped: tuple[Skip, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict and the sentences that it rests on."""

    readiness: Readiness
    reasons: tuple[str, ...]


def judge(findings: Sequence[Finding], results: Sequence[RuleResult]) -> Verdict:
    """BLOCKED if a finding blocks, CONDITIONAL if one is to be looked at or a rule could not look, else READY."""
    blocking = [one for one in findings if one.severity == Severity.BLOCK]
    warning = [one for one in findings if one.severity == Severity.WARN]
    unscanned = [one for one in results if one.state == UNSCANNED]
    reasons = [f"{one.where}: {one.says}" for one in blocking]
    if blocking:
        return Verdict(Readiness.BLOCKED, tuple(reasons))
    reasons += [f"{one.where}: {one.says}" for one in warning]
    reasons += [
        f"{one.title} not looked at: {skip.reason}{f' ({skip.where})' if skip.where else ''}"
        for one in unscanned
        for skip in one.skipped
    ]
    return Verdict(Readiness.CONDITIONAL if reasons else Readiness.READY, tuple(reasons))
