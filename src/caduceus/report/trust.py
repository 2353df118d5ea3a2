"""Why to believe it: every claim with its evidence and who could break it; what is protected; what else to know."""

from __future__ import annotations

from collections import Counter

from caduceus.kinds import Evidence
from caduceus.report.charts import stacked_bar
from caduceus.report.facts import CheckFacts, JobFacts
from caduceus.report.markup import NONE, Column, Html, dash, join, listing, pairs, section, table, text
from caduceus.report.reading import held, judge
from caduceus.report.words import whole

MEANING = {
    Evidence.PROVEN: "a mathematical proof was verified",
    Evidence.RE_EXECUTED: "the auditor computed it again and got the same",
    Evidence.ATTESTED: "a named party vouches for it",
    Evidence.SIGNED: "a named key signed it; whether it is true rests with its owner",
    Evidence.NOT_CHECKED: "nobody checked it; do not count on it",
}
"""What each word of evidence says, the strongest first."""


def audit_section(facts: JobFacts, anchor: str) -> Html:
    """The audit, claim by claim."""
    title = Html("Audit")
    if not facts.checks:
        return section(f"{anchor}-audit", title, Html("<p>– This job has not been audited.</p>"))
    lead = Html("What a stranger with the chain and the transcript finds, without asking anyone’s server.")
    verdict = judge(facts.checks)
    bar = stacked_bar(
        (
            (verdict.holding, "f-good", "hold"),
            (len(verdict.broken), "f-bad", "do not fit"),
            (verdict.open, "f-open", "not checked"),
        ),
        title="Claims",
    )
    tally = (
        f'<p class="sum"><span class="mark good">✓ {whole(verdict.holding)} hold</span>'
        f'<span class="mark {"bad" if verdict.broken else "soft"}">✗ {whole(len(verdict.broken))} do not fit</span>'
        f'<span class="mark open">– {whole(verdict.open)} not checked</span></p>'
    )
    ordered = sorted(facts.checks, key=lambda check: check.holds is not False)
    columns = (
        Column(Html("Claim")),
        Column(Html("Found"), label="Found"),
        Column(Html("Evidence"), label="Evidence"),
        Column(Html("Who could break it unseen"), label="Who could break it unseen"),
    )
    claims = table(
        Html("Claims that do not fit stand first."), columns, [_check(check) for check in ordered], kind="stack"
    )
    return section(f"{anchor}-audit", title, join((bar, Html(tally), claims, _words(facts))), lead)


def _check(check: CheckFacts) -> tuple[Html, ...]:
    detail = f'<span class="why">{text(check.detail)}</span>' if check.detail else ""
    breaks = text(check.breaks) if check.breaks else dash("the audit does not say")
    return Html(f'<span class="claim">{text(check.claim)}</span>{detail}'), _found(check), badge(check.word), breaks


def _found(check: CheckFacts) -> Html:
    if check.holds is False:
        return Html('<span class="mark bad">✗ does not fit</span>')
    if held(check):
        return Html('<span class="mark good">✓ holds</span>')
    return Html('<span class="mark open">– not checked</span>')


def badge(word: Evidence) -> Html:
    """A word of evidence, set apart."""
    return Html(f'<span class="word {word.word.replace(" ", "-")}">{text(word.word)}</span>')


def _words(facts: JobFacts) -> Html:
    used = Counter(check.word for check in facts.checks)
    return pairs(((badge(word), Html(said)) for word, said in MEANING.items() if used[word]), "words")


def protection_section(facts: JobFacts, anchor: str) -> Html:
    """What is protected, and what is not, as the job's terms and the run say it."""
    title = Html("What is protected, and what is not")
    if not facts.protection:
        said = Html("<p>– These facts say nothing about protection; take nothing for granted.</p>")
        return section(f"{anchor}-protection", title, said)
    return section(f"{anchor}-protection", title, listing(map(text, facts.protection), "says"))


def notes_section(facts: JobFacts, anchor: str) -> Html:
    """What a reader should know before believing a figure."""
    if not facts.notes:
        return NONE
    return section(f"{anchor}-notes", Html("Before you rely on this"), listing(map(text, facts.notes), "says"))
