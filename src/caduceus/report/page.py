"""The report: one HTML file that loads nothing, for whoever answers for a job, pays for it or checks it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence

from caduceus.errors import Misuse
from caduceus.report import answers, course, judging, money, privacy, quality, sites, summary, trust
from caduceus.report.facts import JobFacts
from caduceus.report.markup import NONE, Html, join, section, shortened, text
from caduceus.report.script import SCRIPT
from caduceus.report.style import STYLE
from caduceus.report.words import count

Part = Callable[[JobFacts, str], Html]


def page(jobs: Sequence[JobFacts]) -> str:
    """Write the report on one or several jobs.

    jobs     at least one, in the order in which they are told
    returns  a whole HTML document with its style, drawings and script inside; it refers to nothing outside itself,
             and its content security policy lets a browser run and show only what is in this very text

    Raises Misuse without jobs.
    """
    if not jobs:
        raise Misuse("page: a report needs at least one job; pass the facts of one")
    anchors = [f"job-{index + 1}" for index in range(len(jobs))]
    parts = [_parts(facts) for facts in jobs]
    articles = join(_article(facts, anchor, told) for facts, anchor, told in zip(jobs, anchors, parts, strict=True))
    overview = summary.overview(jobs, anchors) if len(jobs) > 1 else NONE
    name = text(jobs[0].title) if len(jobs) == 1 else _jobs(jobs)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8"/>\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_policy()}"/>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>\n'
        '<meta name="referrer" content="no-referrer"/>\n<meta name="color-scheme" content="light dark"/>\n'
        f"<title>{name} · Caduceus report</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        '<a class="skip" href="#main">Skip to the report</a>\n<div class="page">\n'
        f"{_mast(jobs)}\n{_contents(jobs, anchors, parts)}\n"
        f'<main id="main">\n{overview}{articles}\n</main>\n{_foot()}\n</div>\n'
        f"<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )


def _policy() -> str:
    style, script = (base64.b64encode(hashlib.sha256(part.encode()).digest()).decode() for part in (STYLE, SCRIPT))
    return (
        f"default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _parts(facts: JobFacts) -> list[tuple[str, str, Part]]:
    """Anchor, name in the contents, and maker of every part that this job has."""
    parts: list[tuple[str, str, Part]] = [
        ("flow", "How it went", course.flow_section),
        ("terms", "What was asked", _terms),
    ]
    if facts.analysis is not None:
        parts.append(("answers", "Answers", answers.answers_section))
    parts.append(("sites", "The sites’ data", sites.sites_section))
    if facts.analysis is None:
        parts += [
            ("quality", "Quality per site", quality.quality_section),
            ("calibration", "Calibration", quality.calibration_section),
        ]
    if facts.judging is not None:
        parts.append(("judging", "Judging", judging.judging_section))
    if facts.coefficients:
        parts.append(("weights", "Weights", quality.coefficients_section))
    parts += [
        ("rounds", "Rounds", course.rounds_section),
        ("gas", "Gas", course.gas_section),
        ("money", "Money", money.money_section),
        ("steps", "On the chain", course.timeline_section),
        ("audit", "Audit", trust.audit_section),
    ]
    if facts.privacy is not None:
        parts.append(("privacy", "Privacy", privacy.privacy_section))
    parts.append(("protection", "Protection", trust.protection_section))
    if facts.notes:
        parts.append(("notes", "Notes", trust.notes_section))
    return parts


def _terms(facts: JobFacts, anchor: str) -> Html:
    return section(f"{anchor}-terms", Html("What was asked, and on what terms"), summary.terms(facts))


def _article(facts: JobFacts, anchor: str, parts: Sequence[tuple[str, str, Part]]) -> Html:
    body = join((make(facts, anchor) for _, _, make in parts), "\n")
    return Html(f'<article id="{anchor}" aria-labelledby="{anchor}-h">{summary.head(facts, anchor)}{body}</article>')


def _jobs(jobs: Sequence[JobFacts]) -> Html:
    """How many jobs of which kind."""
    asking = sum(facts.analysis is not None for facts in jobs)
    kind = "job" if 0 < asking < len(jobs) else "analysis" if asking else "training job"
    if len(jobs) == 1:
        return Html("an analysis" if asking else "a training job")
    return count(len(jobs), kind, "analyses" if kind == "analysis" else "")


def _mast(jobs: Sequence[JobFacts]) -> Html:
    return Html(
        f'<header class="mast">{summary.brand()}<h1>Caduceus: report on {_jobs(jobs)}</h1>'
        "<p>From the chain, the transcript and the sites’ own folders</p></header>"
    )


def _contents(
    jobs: Sequence[JobFacts], anchors: Sequence[str], parts: Sequence[Sequence[tuple[str, str, Part]]]
) -> Html:
    entries = []
    for facts, anchor, told in zip(jobs, anchors, parts, strict=True):
        items = join(Html(f'<li><a href="#{anchor}-{name}">{said}</a></li>') for name, said, _ in told)
        opened = ' open="open"' if anchor == anchors[0] else ""
        listed = f"<ol>{items}</ol>"
        inner = listed if len(jobs) == 1 else f"<details{opened}><summary>Parts</summary>{listed}</details>"
        entries.append(Html(f'<li><a class="title" href="#{anchor}">{shortened(facts.title, 60)}</a>{inner}</li>'))
    return Html(f'<nav aria-label="Contents"><h2>Contents</h2><ol>{join(entries)}</ol></nav>')


def _foot() -> Html:
    return Html(
        "<footer><p>This page is one file and loads nothing: no server learns that you read it. A dash stands where "
        "there is no figure; the reason is under the pointer and beside the table. The words of evidence never say "
        "more than was done.</p></footer>"
    )
