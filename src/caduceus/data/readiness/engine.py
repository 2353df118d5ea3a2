"""Runs every rule over the sheets, and gathers what they found and what they could not look at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from caduceus.data.readiness.finding import Finding, Severity
from caduceus.data.readiness.rule import Context, Rule, Skipped
from caduceus.data.readiness.sheet import TABLE
from caduceus.data.readiness.verdict import NOT_APPLICABLE, RAN, UNSCANNED, RuleResult, Skip, Verdict, judge
from caduceus.errors import Misuse


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the rules say of a data set.

    findings  the worst first, then by place and rule
    results   one per rule, in the order in which they were given
    """

    findings: tuple[Finding, ...]
    results: tuple[RuleResult, ...]

    @property
    def verdict(self) -> Verdict:
        """See `verdict.judge`."""
        return judge(self.findings, self.results)


def examine(context: Context, rules: Sequence[Rule], *, step: Callable[[str], None] = lambda title: None) -> Outcome:
    """Run rules over a data set.

    rules  all with different names
    step   called with a rule's title when it is done

    A finding about a column that the schema does not read warns instead of blocking: the column stays in the site's
    file and takes no part in anything. A warning that the steward has accepted becomes a note with his reason; what
    blocks cannot be accepted.

    Raises Misuse if two rules have the same name, or a rule names another in its findings.
    """
    names = [rule.name for rule in rules]
    if len(set(names)) < len(names):
        raise Misuse("examine: two rules have the same name")
    findings: list[Finding] = []
    results, unread = [], _unread(context)
    for rule in rules:
        found, skipped, applies = _run(rule, context)
        findings += [_settled(one, context, unread) for one in found]
        results.append(_result(rule, skipped, applies, bool(found)))
        step(rule.title)
    findings.sort(key=lambda one: (-one.severity, one.where, one.rule, one.says))
    return Outcome(tuple(findings), tuple(results))


def _run(rule: Rule, context: Context) -> tuple[list[Finding], list[Skipped], bool]:
    """What a rule yields, and whether any sheet is of its sources."""
    if not any(sheet.source in rule.sources for sheet in context.sheets):
        return [], [Skipped(f"it is about {' and '.join(rule.sources)} data, of which there are none")], False
    found: list[Finding] = []
    skipped: list[Skipped] = []
    given: Iterable[Finding | Skipped] = rule.look(context)
    for one in given:
        if isinstance(one, Skipped):
            skipped.append(one)
        elif one.rule != rule.name:
            raise Misuse(f"examine: rule {rule.name} yielded a finding of {one.rule}")
        else:
            found.append(one)
    return found, skipped, True


def _result(rule: Rule, skipped: Sequence[Skipped], applies: bool, found: bool) -> RuleResult:
    missed = [one for one in skipped if one.applies]
    nothing = [one for one in skipped if not one.applies]
    state = UNSCANNED if missed else NOT_APPLICABLE if not applies or (nothing and not found) else RAN
    told = missed or (nothing if state == NOT_APPLICABLE else [])
    skips = tuple(dict.fromkeys((one.where, one.reason) for one in told))
    return RuleResult(
        rule.name, rule.version, rule.title, rule.hipaa, state, tuple(Skip(where, reason) for where, reason in skips)
    )


def _unread(context: Context) -> frozenset[str]:
    """Places of tables that the schema ignores or does not name: none of it is read when data are lent."""
    said = context.roles
    ignored = {place for place, role in said.items() if role == "ignore"}
    named = {place for _, _, place in context.leaves(TABLE) if place not in said} if said else set()
    return frozenset(ignored | named)


def _settled(one: Finding, context: Context, unread: frozenset[str]) -> Finding:
    """A finding as it counts, given the schema and what the steward has accepted."""
    severity, says = int(one.severity), one.says
    if severity == Severity.BLOCK and one.where in unread:
        severity, says = int(Severity.WARN), f"{says}; the schema does not read this column"
    if severity == Severity.WARN:
        for accepted in context.declared.accepted:
            if accepted.rule == one.rule and accepted.where in ("", one.where):
                severity, says = int(Severity.NOTE), f"{says}; accepted: {accepted.reason}"
                break
    count, of = (None if number is None else int(number) for number in (one.count, one.of))
    return Finding(one.rule, one.where, count, of, severity, says, one.remedy)
