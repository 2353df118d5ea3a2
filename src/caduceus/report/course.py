"""What happened: the picture of the flow, the rounds, the gas, and the steps on the chain."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby

from caduceus.report.charts import range_bar
from caduceus.report.facts import GasFacts, JobFacts, RoundFacts, Step
from caduceus.report.flow_picture import flow_picture, flow_steps
from caduceus.report.journey import journey
from caduceus.report.markup import (
    Column,
    Html,
    code,
    dash,
    figure,
    folded,
    join,
    section,
    table,
    text,
)
from caduceus.report.reading import gas_total
from caduceus.report.rounds_chart import lines_for, phase_legend, power, rounds_chart
from caduceus.report.words import be, count, duration, moment, whole

RUN = 4
"""So many like steps in a row become one, unfolded on request."""

MOST_NAMES = 6
"""So many silent sites of a round are named in its row; all are under the pointer."""

_DIGITS = re.compile(r"\d+")


def flow_section(facts: JobFacts, anchor: str) -> Html:
    """The picture, with this job's figures in it."""
    told = journey(facts)
    desc = (
        "The buyer asks and locks money on the chain; sites enrol; updates meet in a sum; the coordinator anchors "
        "each round; the settlement pays; the auditor replays chain and transcript."
    )
    body = figure(
        join((flow_picture(told, title="How the job went", desc=desc), flow_steps(told))),
        Html(
            "The upper band is what the chain holds; below it, rows stay at their sites. "
            f"What the job lets anyone see of single updates: {text(facts.visibility)}."
        ),
    )
    return section(f"{anchor}-flow", Html("How it went"), body)


def rounds_section(facts: JobFacts, anchor: str) -> Html:
    """Who was in every sum, and how each round was anchored."""
    title = Html("Rounds")
    if not facts.rounds:
        return section(f"{anchor}-rounds", title, Html("<p>No round was anchored.</p>"))
    names = tuple(site.name for site in facts.sites)
    lines = lines_for(facts.rounds, names)
    silent = {name for one in facts.rounds for name in one.silent}
    always = sum(name not in silent for name in names)
    said = f"{count(always, 'site')} of {whole(len(names))} {be(always)} never silent."
    if len(lines) < len(silent):
        said += f" The {whole(len(lines))} sites that were silent most often have a line each."
    elif silent and len(names) > len(lines):
        said += " Every site that was ever silent has a line."
    caption = Html(
        f"{said} A dot: in the sum; an open diamond: silent. Red on top of a bar: invited, but not in the sum."
    )
    chart = rounds_chart(facts.rounds, names, title="Rounds", width=840)
    small = rounds_chart(facts.rounds, names, title="Rounds", width=360)
    drawn = Html(f'<div class="wide">{chart}</div><div class="narrow">{small}</div>')
    legend = phase_legend(facts.rounds)
    body = join((figure(join((legend, drawn)), caption), _rounds_table(facts.rounds)))
    return section(f"{anchor}-rounds", title, body)


def _rounds_table(rounds: Sequence[RoundFacts]) -> Html:
    columns = (
        Column(Html("Round"), "index"),
        Column(Html("Phase")),
        Column(Html("In the sum"), "num"),
        Column(Html("Silent")),
        Column(Html("Entries"), "num"),
        Column(Html("Ring")),
        Column(Html("Gas"), "num"),
        Column(Html("Block"), "num"),
        Column(Html("Root")),
        Column(Html("Model")),
    )
    rows = [
        (
            whole(one.number),
            text(one.phase),
            Html(f"{whole(one.survivors)} of {whole(one.invited)}"),
            _silent(one.silent),
            whole(one.entries),
            power(one.bits),
            whole(one.gas),
            whole(one.block),
            _digest(one.root),
            _digest(one.model),
        )
        for one in rounds
    ]
    return table(Html("Every round as anchored; digests in full under the pointer."), columns, rows)


def _silent(names: Sequence[str]) -> Html:
    if not names:
        return Html('<span class="soft">nobody</span>')
    rest = len(names) - MOST_NAMES
    said = text(", ".join(names[:MOST_NAMES]))
    return Html(f'{said} <span title="{text(", ".join(names))}">and {whole(rest)} more</span>') if rest > 0 else said


def _digest(value: str) -> Html:
    return code(value, 9) if value else dash("none was anchored")


def gas_section(facts: JobFacts, anchor: str) -> Html:
    """Gas per kind of transaction, from receipts."""
    title = Html("Gas")
    if not facts.gas:
        return section(f"{anchor}-gas", title, Html("<p>– No receipts in these facts.</p>"))
    limit = float(max(max(kind.most for kind in facts.gas), 1))
    columns = (
        Column(Html("Transaction")),
        Column(Html("mean, and range where it varies"), "bar"),
        Column(Html("Mean"), "num"),
        Column(Html("Least"), "num minor"),
        Column(Html("Most"), "num minor"),
        Column(Html("Times"), "num"),
        Column(Html("All of them"), "num"),
    )
    rows = [_gas_row(kind, limit) for kind in sorted(facts.gas, key=lambda kind: -kind.mean)]
    total = sum(kind.count for kind in facts.gas)
    foot = (Html("Together"), *[Html("")] * 4, whole(total), whole(gas_total(facts)))
    lead = Html("What each kind of transaction took, as the receipts say.")
    body = table(Html("From the dearest kind to the cheapest."), columns, rows, kind="gas", foot=foot)
    return section(f"{anchor}-gas", title, body, lead)


def _gas_row(kind: GasFacts, limit: float) -> tuple[Html, ...]:
    return (
        Html(text(kind.what).replace(".", ".<wbr/>")),
        range_bar(kind.least, kind.mean, kind.most, limit),
        whole(kind.mean),
        whole(kind.least),
        whole(kind.most),
        whole(kind.count),
        whole(kind.count * kind.mean),
    )


def timeline_section(facts: JobFacts, anchor: str) -> Html:
    """The steps on the chain, in order; runs of like steps are gathered."""
    title = Html("What happened on the chain")
    if not facts.steps:
        return section(f"{anchor}-steps", title, Html("<p>– No steps in these facts.</p>"))
    start = facts.steps[0].time
    items: list[Html] = []
    for _, run in groupby(facts.steps, key=lambda step: _DIGITS.sub("#", step.what)):
        steps = list(run)
        if len(steps) < RUN:
            items += [Html(f"<li>{_step(step, start)}</li>") for step in steps]
        else:
            items.append(Html(f"<li>{_run(steps, start)}</li>"))
    lead = Html(f"By the chain’s own clock, from {moment(start)} UTC; the time after the plus is since then.")
    return section(f"{anchor}-steps", title, Html(f'<ol class="story">{join(items)}</ol>'), lead)


def _step(step: Step, start: int) -> Html:
    return Html(
        f'<span class="at">{_since(step.time - start)} · block {whole(step.block)} · {code(step.transaction, 10)}'
        "</span>"
        f'<br/><span class="soft">{text(step.who)}:</span> <span class="what">{text(step.what)}</span>'
    )


def _run(steps: Sequence[Step], start: int) -> Html:
    first, last = steps[0], steps[-1]
    same = first.what == last.what
    said = text(first.what) if same else Html(f"{text(first.what)} … {text(last.what)}")
    who = {step.who for step in steps}
    by = text(first.who) if len(who) == 1 else Html(f"{whole(len(who))} parties")
    blocks = f"blocks {whole(first.block)} to {whole(last.block)}"
    each = join(Html(f"<li>{_step(step, start)}</li>") for step in steps)
    return Html(
        f'<span class="at">{_since(first.time - start)} to {_since(last.time - start)} · {blocks}</span><br/>'
        f'<span class="soft">{by}:</span> <span class="what">{said}</span> '
        f'<span class="soft">({count(len(steps), "time")})</span>'
        f"{folded(Html('each of them'), Html(f'<ol>{each}</ol>'))}"
    )


def _since(seconds: int) -> Html:
    return Html(f"+{duration(seconds)}") if seconds >= 10 else Html(f"+{whole(max(seconds, 0))} s")
