"""How good the model is: at every site, in its risks, and in what it weighs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from caduceus.report.charts import Arms, calibration_plot, diverging_bar, dot_plot, legend_mark
from caduceus.report.facts import Coefficient, JobFacts, Quality, SiteFacts
from caduceus.report.markup import (
    NONE,
    Column,
    Html,
    figure,
    folded,
    join,
    listing,
    section,
    shortened,
    table,
    text,
)
from caduceus.report.reading import (
    auroc,
    brier,
    figures,
    gain,
    in_the_large,
    mean,
    pick_federated,
    pick_local,
    pick_pooled,
)
from caduceus.report.sites import NO_FIGURE
from caduceus.report.words import count, difference, known, score, whole

TOP_COEFFICIENTS = 20
NOT_RUN = "this control arm was not run, or the site has too few rows"


def quality_section(facts: JobFacts, anchor: str) -> Html:
    """AUROC and Brier score per site, in three arms, two of which only a demonstration can have."""
    title = Html("How well it serves each site’s patients")
    lead = Html(
        "All figures are on rows that the model in question did not learn from. AUROC is the chance that of two "
        "patients the one with the outcome gets the higher risk (.5 is a coin, 1 is perfect); the Brier score is the "
        "mean squared distance of risks from outcomes (lower is better)."
    )
    if not any(
        known(value)
        for site in facts.sites
        for quality in (site.local, site.federated, site.pooled)
        for value in (quality.auroc, quality.brier)
    ):
        return section(
            f"{anchor}-quality",
            title,
            Html("<p>No site has a figure: the job asked for no evaluation, or every site has too few rows.</p>"),
            lead,
        )
    charts = Html(
        f'<div class="two">{_plot(facts, auroc, "AUROC", "higher")}{_plot(facts, brier, "Brier score", "lower")}</div>'
    )
    body = Html(f"{_sentence(facts)}{_legend(facts)}{charts}{_table(facts)}")
    return section(f"{anchor}-quality", title, body, lead)


def _sentence(facts: JobFacts) -> Html:
    gains = [value for value in map(gain, facts.sites) if value is not None]
    if not gains:
        return NONE
    better, apart = sum(value > 0 for value in gains), sum(gains) / len(gains)
    return Html(
        f"<p>At <b>{whole(better)} of {count(len(gains), 'site')}</b> the joint model ranks patients better than a "
        f"model from the site’s own rows; the mean difference in AUROC is <b>{difference(apart, '')}</b>.</p>"
    )


def _legend(facts: JobFacts) -> Html:
    control = '<span class="tag">control arm</span>'
    arms = [Html(f"{legend_mark('federated')}<span><b>Federated</b>: the job’s model</span>")]
    if any(known(site.local.auroc) or known(site.local.brier) for site in facts.sites):
        arms.append(Html(f"{legend_mark('local')}<span>Local only: from the site’s own rows {control}</span>"))
    if any(known(site.pooled.auroc) or known(site.pooled.brier) for site in facts.sites):
        arms.append(Html(f"{legend_mark('pooled')}<span>Pooled: from all rows in one place {control}</span>"))
    told = (
        '<p class="soft">Control arms exist only because one machine holds every site’s rows in this run. '
        "A real job has no such party, and these figures are not available to it.</p>"
        if len(arms) > 1
        else ""
    )
    return Html(f"{listing(arms, 'legend')}{told}")


def _plot(facts: JobFacts, what: Callable[[Quality], float | None], name: str, better: str) -> Html:
    rows = [
        Arms(site.name, *(_sound(what(arm(site))) for arm in (pick_local, pick_federated, pick_pooled)))
        for site in facts.sites
    ]
    sign = -1 if better == "higher" else 1
    rows.sort(key=lambda row: (row.federated is None, sign * (row.federated or 0.0)))
    chart = dot_plot(rows, title=f"{name} per site", better=better, mark=0.5 if name == "AUROC" else None)
    dashed = " The dashed line at .5 is chance." if name == "AUROC" and _crosses(rows, 0.5) else ""
    caption = Html(f"Sites from best to worst by the job’s model; {better} is better.{dashed}")
    return figure(Html(f"<h4>{name} per site</h4>{chart}"), caption, "tall")


def _crosses(rows: Sequence[Arms], mark: float) -> bool:
    present = [value for row in rows for value in row.present]
    return bool(present) and min(present) < mark < max(present)


def _sound(value: float | None) -> float | None:
    return value if known(value) else None


def _table(facts: JobFacts) -> Html:
    arms = (("Local only<br/>(control)", "num"), ("Federated", "num main"), ("Pooled<br/>(control)", "num"))
    columns = (
        Column(Html("Site")),
        Column(Html("Rows"), "num"),
        *(Column(Html(f"AUROC<br/>{name}"), kind) for name, kind in arms),
        Column(Html("Federated<br/>− local"), "num"),
        *(Column(Html(f"Brier<br/>{name}"), kind) for name, kind in arms),
    )
    ordered = sorted(facts.sites, key=lambda site: (not known(site.federated.auroc), -(site.federated.auroc or 0.0)))
    rows = [_row(site) for site in ordered]
    caption = Html(
        f"AUROC and Brier score at every site. – : {text(NO_FIGURE)}; in a control arm also: the arm was not run."
    )
    return table(caption, columns, rows, kind="sort", foot=_foot(facts))


def _row(site: SiteFacts) -> tuple[Html, ...]:
    return (
        text(site.name),
        text(site.rows_shown),
        score(site.local.auroc, NOT_RUN),
        score(site.federated.auroc, NO_FIGURE),
        score(site.pooled.auroc, NOT_RUN),
        difference(gain(site), "one of the two is missing"),
        score(site.local.brier, NOT_RUN),
        score(site.federated.brier, NO_FIGURE),
        score(site.pooled.brier, NOT_RUN),
    )


def _foot(facts: JobFacts) -> tuple[Html, ...]:
    def of(arm: Callable[[SiteFacts], Quality], what: Callable[[Quality], float | None]) -> Html:
        return score(mean(figures(facts.sites, arm, what)).value, NOT_RUN)

    return (
        Html("Mean over sites that have the figure"),
        Html(""),
        of(pick_local, auroc),
        of(pick_federated, auroc),
        of(pick_pooled, auroc),
        difference(mean(gain(site) for site in facts.sites).value, "one of the two is missing"),
        of(pick_local, brier),
        of(pick_federated, brier),
        of(pick_pooled, brier),
    )


def calibration_section(facts: JobFacts, anchor: str) -> Html:
    """Whether risks come true as often as predicted."""
    title = Html("Do its risks come true?")
    over = in_the_large(facts.calibration)
    if over is None:
        said = Html("<p>– No calibration: the job asked for no evaluation, or too few rows took part.</p>")
        return section(f"{anchor}-calibration", title, said)
    told = Html(
        f"<h4>Over {count(over.rows, 'row')}</h4>"
        f"<p>The model expects the outcome in <b>{_percent(over.predicted)}</b>; it came true in "
        f"<b>{_percent(over.observed)}</b>. In its groups, predicted and true shares are apart by "
        f"<b>{_points(over.distance)}</b> on average over rows.</p>"
    )
    chart = figure(
        calibration_plot(facts.calibration, title="Calibration"),
        Html(
            "A disc is a group of similar predictions, its area the number of rows. On the dashed diagonal, risks come "
            "true exactly as predicted; below it the model promises too much risk, above it too little."
        ),
    )
    rows = [
        (
            score(p.predicted, "not a number"),
            score(p.observed, "not a number"),
            difference(p.observed - p.predicted, "not a number"),
            whole(p.rows),
        )
        for p in facts.calibration
    ]
    columns = (
        Column(Html("Predicted"), "index"),
        Column(Html("Came true"), "num"),
        Column(Html("Difference"), "num"),
        Column(Html("Rows"), "num"),
    )
    sums = "secure sums" if facts.privacy is None else "noisy secure sums"
    groups = table(Html(f"From {sums} over all sites."), columns, rows)
    body = Html(f'<div class="two">{chart}<div>{told}{groups}</div></div>')
    return section(f"{anchor}-calibration", title, body)


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _points(value: float) -> str:
    return f"{100 * value:.1f} percentage points"


def coefficients_section(facts: JobFacts, anchor: str) -> Html:
    """The largest weights of a linear model."""
    ordered = sorted(facts.coefficients, key=lambda c: -abs(c.weight) if known(c.weight) else math.inf)
    top, rest = ordered[:TOP_COEFFICIENTS], ordered[TOP_COEFFICIENTS:]
    limit = max((abs(c.weight) for c in top if known(c.weight)), default=0.0) or 1.0
    lead = Html(
        f"The {whole(len(top))} largest of {count(len(ordered), 'weight')}, per standard deviation of the feature; "
        "to the right, a higher value goes with more risk. Weights describe the model, not causes."
        + ("" if facts.privacy is None else " The noise that protects patients is in them too.")
    )
    more = folded(Html(f"{count(len(rest), 'smaller weight')}"), _weights(rest, limit)) if rest else NONE
    return section(f"{anchor}-weights", Html("What the model weighs"), join((_weights(top, limit), more)), lead)


def _weights(coefficients: Sequence[Coefficient], limit: float) -> Html:
    columns = (
        Column(Html("Feature")),
        Column(Html("← less risk &#160;&#160; more risk →"), "bar pivot"),
        Column(Html("Weight"), "num"),
        Column(Html("Odds ratio"), "num minor"),
    )
    rows = [
        (
            shortened(c.feature, 60),
            diverging_bar(c.weight, limit) if known(c.weight) else NONE,
            difference(c.weight, "not a number"),
            _odds(c.weight),
        )
        for c in coefficients
    ]
    return table(Html("Per standard deviation of the feature."), columns, rows, kind="weights")


def _odds(weight: float) -> Html:
    reached = known(weight) and abs(weight) < 20
    return score(math.exp(weight) if reached else None, "beyond what an odds ratio can show", 2)
