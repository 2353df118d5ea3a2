"""The head of a job's report: what was asked, the verdict, and the few figures that most readers came for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from caduceus.report.answers import answers_count
from caduceus.report.facts import AnalysisFacts, JobFacts, JudgingFacts, PrivacyFacts
from caduceus.report.judging import MOST_NAMES, kept_and_left
from caduceus.report.markup import NONE, Column, Html, code, dash, folded, join, missing, pairs, table, text
from caduceus.report.privacy import chance
from caduceus.report.reading import (
    Spent,
    Verdict,
    auroc,
    balance,
    figures,
    gas_total,
    judge,
    mean,
    pick_federated,
    pick_local,
    spent,
)
from caduceus.report.svg import disc, line
from caduceus.report.words import be, brief, count, delta, duration, epsilon, known, plain, score, whole

NOT_TOLD = "cannot be told from what was summed"


def head(facts: JobFacts, anchor: str) -> Html:
    """Title, lede, verdict and tiles."""
    return Html(
        f'<p class="eyebrow">{text(facts.chain)} · job {code(facts.job)}</p>'
        f'<h2 id="{anchor}-h">{text(facts.title)}</h2>'
        f'<p class="lede">{_lede(facts)}</p>'
        f"{_banner(judge(facts.checks), anchor)}{_tiles(facts)}"
    )


def _lede(facts: JobFacts) -> Html:
    sites, purpose = count(len(facts.sites), "site"), Html(f"The purpose: {text(facts.purpose)}.")
    if facts.analysis is not None:
        questions = count(facts.analysis.questions, "question")
        if not facts.analysis.answers:
            return Html(f"{sites} enrolled to answer {questions}; there are no answers. {purpose}")
        return Html(f"{sites} answered {questions} together, by one noisy sum. {purpose}")
    if not facts.rounds:
        return Html(f"{sites} enrolled to predict {text(facts.target)}; no round was anchored. {purpose}")
    how = f"{count(len(facts.rounds), 'round')} of {text(facts.model)}"
    return Html(f"{sites} learned to predict {text(facts.target)} together, in {how}. {purpose}")


def _banner(verdict: Verdict, anchor: str) -> Html:
    tone = {True: "good", False: "bad", None: "open"}[verdict.passes]
    unchecked = f"{count(verdict.open, 'claim')} {be(verdict.open)} not checked." if verdict.open else ""
    if verdict.passes is None:
        head, tail = "Not audited", unchecked or "There is no audit in these facts."
    elif verdict.passes:
        every = (
            "Every claim was checked and holds"
            if not verdict.open
            else f"{count(verdict.holding, 'claim')} checked and found to hold"
        )
        head, tail = "The audit passes", f"{every}. {unchecked}"
    else:
        first = verdict.broken[0]
        rest = len(verdict.broken) - 1
        why = f" ({text(first.detail)})" if first.detail else ""
        more = f" {count(rest, 'more claim')} {'does' if rest == 1 else 'do'} not fit." if rest else ""
        head = "The audit does not pass"
        tail = f"First that does not fit: <b>{text(first.claim)}</b>{why}.{more} {unchecked}"
    link = f' <a href="#{anchor}-audit">Every claim, and who could break it</a>' if verdict.claims else ""
    return Html(
        f'<div class="verdict {tone}">{verdict_mark(verdict.passes)}<div><strong>{head}</strong>'
        f"<p>{tail}{link}</p></div></div>"
    )


def verdict_mark(passes: bool | None) -> Html:
    """A disc with a tick, a cross or a dash; the word always stands beside it."""
    tone = {True: "good", False: "bad", None: "open"}[passes]
    sign = {True: "M9.5 17.5l5 5 10-11", False: "M11 11l12 12M23 11L11 23", None: "M10 17h14"}[passes]
    return Html(
        f'<svg viewBox="0 0 34 34" aria-hidden="true">{disc(17, 17, 16, f"f-{tone}")}'
        f'<path d="{sign}" class="sign"/></svg>'
    )


def _tiles(facts: JobFacts) -> Html:
    work = spent(facts, balance(facts.flows))
    found = (_discrimination(facts), _brier(facts)) if facts.analysis is None else (_answered(facts.analysis),)
    spending = () if facts.privacy is None else (_epsilon(facts.privacy),)
    kept = () if facts.judging is None else (_kept(facts.judging),)
    return pairs((*found, *spending, *kept, _paid(facts, work), _gas(facts), _work(facts)), "tiles")


def _tile(name: str, big: Html, notes: Sequence[Html]) -> tuple[Html, Html]:
    return Html(name), Html(f'<span class="big">{big}</span>{join(Html(f"<small>{note}</small>") for note in notes)}')


def _answered(told: AnalysisFacts) -> tuple[Html, Html]:
    notes = [Html(f"to {count(told.questions, 'question')}"), answers_count(told)]
    return _tile("Answers", whole(len(told.answers)), notes)


def _epsilon(told: PrivacyFacts) -> tuple[Html, Html]:
    notes = [
        Html(f"delta {delta(told.delta)}: a chance of {chance(told.delta)}"),
        Html(f"over {count(told.opened, 'noisy sum')}"),
    ]
    return _tile("Epsilon", epsilon(told.costs[told.opened]), notes)


def _kept(told: JudgingFacts) -> tuple[Html, Html]:
    kept, left = kept_and_left(told)
    notes = [Html(f"of {count(len(told.sites), 'site')}, mostly, judged unseen")]
    if left:
        more = f" and {whole(len(left) - MOST_NAMES)} more" if len(left) > MOST_NAMES else ""
        notes.append(Html(f"{text(', '.join(left[:MOST_NAMES]))}{more}"))
    return _tile("Updates kept of", whole(kept), notes)


def _discrimination(facts: JobFacts) -> tuple[Html, Html]:
    notes = []
    if known(facts.auroc_error) and facts.auroc_error:
        why = "left open by the histogram" if facts.privacy is None else "left open by the histogram and its noise"
        notes.append(Html(f"± {plain(facts.auroc_error, 4)} {why}"))
    notes.append(_means(facts))
    if not known(facts.pooled.auroc):
        notes.insert(0, Html(NOT_TOLD))
    return _tile("AUROC, all rows", score(facts.pooled.auroc, NOT_TOLD), [note for note in notes if note])


def _means(facts: JobFacts) -> Html:
    joint = mean(figures(facts.sites, pick_federated, auroc))
    own = mean(figures(facts.sites, pick_local, auroc))
    if joint.value is None:
        return NONE
    said = f"mean over {count(joint.sites, 'site')} {plain(joint.value)}"
    return Html(f"{said}; own rows alone {plain(own.value)} (control arm)" if own.value is not None else said)


def _brier(facts: JobFacts) -> tuple[Html, Html]:
    joint = mean(site.federated.brier for site in facts.sites)
    own = mean(site.local.brier for site in facts.sites)
    notes = [Html("0 is perfect; lower is better")]
    if joint.value is not None:
        said = f"mean over {count(joint.sites, 'site')} {plain(joint.value)}"
        notes.append(
            Html(f"{said}; own rows alone {plain(own.value)} (control arm)" if own.value is not None else said)
        )
    if not known(facts.pooled.brier):
        notes[0] = Html(NOT_TOLD)
    return _tile("Brier, all rows", score(facts.pooled.brier, NOT_TOLD), notes)


def _paid(facts: JobFacts, work: Spent) -> tuple[Html, Html]:
    token = text(facts.token)
    if work.buyer is None:
        return _tile("Price", brief(facts.price), [Html(f"{token}; no money of the buyer moved")])
    notes = [
        Html(f"{token}, of which {brief(work.sites)} to the sites and {brief(work.coordinator)} to the coordinator")
    ]
    if work.buyer != facts.price:
        notes.append(Html(f"of a price of {brief(facts.price)}"))
    return _tile("The buyer paid", brief(work.buyer), notes)


def _gas(facts: JobFacts) -> tuple[Html, Html]:
    if not facts.gas:
        return _tile("Gas", dash("no receipts"), [Html("no receipts in these facts")])
    notes = [Html(f"over {count(sum(kind.count for kind in facts.gas), 'transaction')}")]
    if facts.rounds:
        each = round(sum(one.gas for one in facts.rounds) / len(facts.rounds))
        notes.append(Html(f"{whole(each)} to anchor a round, on average"))
    return _tile("Gas in all", brief(gas_total(facts)), notes)


def _work(facts: JobFacts) -> tuple[Html, Html]:
    notes = (
        Html(f"{duration(facts.seconds_total)} in all"),
        Html(f"{count(len(facts.sites), 'site')}, {count(len(facts.rounds), 'round')}"),
    )
    return _tile(
        "Training took" if facts.analysis is None else "Answering took", duration(facts.seconds_training), notes
    )


def terms(facts: JobFacts) -> Html:
    """What was asked for and on what terms, word for word."""
    token = text(facts.token)
    data = Html(f'<p class="source"><b>{text(facts.data_title)}</b><br/>{_source(facts.data_source)}</p>')
    asked = pairs(
        (
            *_what(facts),
            (Html("Visibility"), text(facts.visibility)),
            (Html("Price, of which the coordinator’s fee"), Html(f"{whole(facts.price)}, {whole(facts.fee)} {token}")),
            (Html("Stake of each site"), Html(f"{whole(facts.stake)} {token}")),
            (Html("Bond of the coordinator"), Html(f"{whole(facts.bond)} {token}")),
            (Html("Job"), code(facts.job, 24)),
            (Html("Specification"), code(facts.spec, 24)),
        ),
        "facts",
    )
    if not facts.features:
        return join((data, asked))
    listed = Html(f"<p>{text(', '.join(facts.features))}</p>")
    name = "feature" if facts.analysis is None else "column"
    return join((data, asked, folded(count(len(facts.features), name), listed)))


def _what(facts: JobFacts) -> tuple[tuple[Html, Html], ...]:
    if facts.analysis is None:
        return (Html("Target"), text(facts.target)), (Html("Model"), text(facts.model))
    least = count(facts.analysis.minimum_cell, "patient")
    return (
        (Html("Questions"), whole(facts.analysis.questions)),
        (Html("No number about fewer than"), least),
        (Html("How"), text(facts.model)),
    )


def _source(source: str) -> Html:
    return Html(f'<span class="soft">{text(source)}</span>') if source else missing("no source given")


@dataclass(frozen=True, slots=True)
class _Kinds:
    """Which columns an overview needs: for models, for answers, for noise."""

    trained: bool
    asked: bool
    private: bool


_QUALITY = (
    Column(Html("AUROC<br/>all rows"), "num", "AUROC, all rows"),
    Column(Html("AUROC<br/>mean over sites"), "num", "AUROC, mean over sites"),
    Column(Html("own rows alone<br/>(control arm)"), "num", "own rows alone (control arm)"),
)


def overview(jobs: Sequence[JobFacts], anchors: Sequence[str]) -> Html:
    """One line per job, where there are several."""
    shown = _Kinds(
        trained=any(facts.analysis is None for facts in jobs),
        asked=any(facts.analysis is not None for facts in jobs),
        private=any(facts.privacy is not None for facts in jobs),
    )
    columns = (
        Column(Html("Job")),
        Column(Html("Audit"), label="Audit"),
        Column(Html("Sites"), "num", "Sites"),
        *(_QUALITY if shown.trained else ()),
        *((Column(Html("Answers"), "num", "Answers"),) if shown.asked else ()),
        *((Column(Html("Epsilon"), "num", "Epsilon"),) if shown.private else ()),
        Column(Html("Work"), "num", "Work") if shown.asked else Column(Html("Training"), "num", "Training"),
        Column(Html("Gas"), "num", "Gas"),
    )
    rows = [_line(facts, anchor, shown) for facts, anchor in zip(jobs, anchors, strict=True)]
    body = table(Html("One line per job; each is told in full below."), columns, rows, kind="stack")
    return Html(
        f'<section class="overview" aria-labelledby="overview"><h2 id="overview">At a glance</h2>{body}</section>'
    )


def _line(facts: JobFacts, anchor: str, shown: _Kinds) -> tuple[Html, ...]:
    verdict = judge(facts.checks)
    tone, said = {True: ("good", "✓ passes"), False: ("bad", "✗ does not pass"), None: ("open", "– not audited")}[
        verdict.passes
    ]
    return (
        Html(f'<a href="#{anchor}">{text(facts.title)}</a>'),
        Html(f'<span class="mark {tone}">{said}</span>'),
        whole(len(facts.sites)),
        *(_quality(facts) if shown.trained else ()),
        *((_answers(facts.analysis),) if shown.asked else ()),
        *((_spent(facts.privacy),) if shown.private else ()),
        duration(facts.seconds_training),
        brief(gas_total(facts)) if facts.gas else dash("no receipts"),
    )


def _quality(facts: JobFacts) -> tuple[Html, ...]:
    if facts.analysis is not None:
        return tuple([dash("an analysis has no model")] * len(_QUALITY))
    return (
        score(facts.pooled.auroc, NOT_TOLD),
        score(mean(figures(facts.sites, pick_federated, auroc)).value, "no site has a figure"),
        score(mean(figures(facts.sites, pick_local, auroc)).value, "the control arm was not run"),
    )


def _answers(told: AnalysisFacts | None) -> Html:
    return dash("this job trains a model") if told is None else whole(len(told.answers))


def _spent(told: PrivacyFacts | None) -> Html:
    return dash("exact sums: no differential privacy") if told is None else epsilon(told.costs[told.opened])


def brand() -> Html:
    """The staff with two snakes, in seven strokes."""
    snakes = "M8 27C22 23 22 19 13 17S4 11 13 9s7-5 3-6", "M18 27C4 23 4 19 13 17S22 11 13 9s-7-5-3-6"
    curves = join(Html(f'<path d="{snake}" class="snake"/>') for snake in snakes)
    staff = line((13, 2), (13, 29), "staff")
    return Html(f'<svg viewBox="0 0 26 30" aria-hidden="true">{curves}{staff}{disc(13, 2.4, 2, "f-soft")}</svg>')
