"""The sites: what each says of its data, its part in the work, and its pay."""

from __future__ import annotations

from collections.abc import Callable

from caduceus.report.facts import JobFacts, SiteFacts
from caduceus.report.markup import Column, Html, code, dash, join, missing, pairs, section, table, text
from caduceus.report.words import count, known, score, whole

CARDS = 12
"""Up to here every site has a card; more sites share a table."""

NO_FIGURE = "too few rows there, or all with the same outcome"


def sites_section(facts: JobFacts, anchor: str) -> Html:
    """Data cards, as registered before the job, with what each site did and earned."""
    lead = Html(
        "What each site’s card says of its data in public. The cards were registered on the chain before the job, "
        "with a digest that the data can be held to; counts are coarse on purpose."
    )
    if not facts.sites:
        return section(f"{anchor}-sites", Html("The sites’ data"), Html("<p>No site took part.</p>"), lead)
    few = len(facts.sites) <= CARDS
    body = join(_card(site, facts) for site in facts.sites)
    shown = Html(f'<div class="cards">{body}</div>') if few else _table(facts)
    return section(f"{anchor}-sites", Html("The sites’ data"), shown, lead)


def _card(site: SiteFacts, facts: JobFacts) -> Html:
    token = text(facts.token)
    said = pairs(
        (
            (Html("Rows"), _said(site.rows_shown, missing)),
            (Html("Missing values"), _said(site.missing_shown, missing)),
            (Html("Rounds in the sum"), Html(f"{whole(site.rounds)} of {whole(len(facts.rounds))}")),
            *(((Html("AUROC, job’s model"), _auroc(site)),) if facts.analysis is None else ()),
            (Html("Paid"), Html(f"{whole(site.paid)} {token}")),
            (Html("Stake returned"), Html(f"{whole(site.returned)} {token}")),
            (Html("Data set"), code(site.dataset)),
            (Html("Account"), code(site.account)),
        ),
        "",
    )
    return Html(
        f'<article class="site"><h4>{text(site.name)}</h4><p class="seat">seat {whole(site.seat)}</p>{said}</article>'
    )


def _auroc(site: SiteFacts) -> Html:
    return score(site.federated.auroc, "") if known(site.federated.auroc) else missing("too few rows, or one outcome")


def _said(value: str, absent: Callable[[str], Html] = dash) -> Html:
    return text(value) if value else absent("the card does not say")


def _table(facts: JobFacts) -> Html:
    columns = (
        Column(Html("Site")),
        Column(Html("Seat"), "num"),
        Column(Html("Rows"), "num"),
        Column(Html("Missing values"), "num"),
        Column(Html("Rounds"), "num"),
        Column(Html("Paid"), "num"),
        Column(Html("Stake returned"), "num"),
        Column(Html("Data set")),
        Column(Html("Account")),
    )
    rows = [
        (
            text(site.name),
            whole(site.seat),
            _said(site.rows_shown),
            _said(site.missing_shown),
            whole(site.rounds),
            whole(site.paid),
            whole(site.returned),
            code(site.dataset, 9),
            code(site.account, 9),
        )
        for site in facts.sites
    ]
    caption = Html(
        f"Cards, work and pay of {count(len(rows), 'site')}: rounds whose sum a site is in; "
        f"money in {text(facts.token)}."
    )
    foot = (
        Html("All sites"),
        Html(""),
        Html(""),
        Html(""),
        Html(""),
        whole(sum(site.paid for site in facts.sites)),
        whole(sum(site.returned for site in facts.sites)),
        Html(""),
        Html(""),
    )
    return table(caption, columns, rows, kind="sort", foot=foot)
