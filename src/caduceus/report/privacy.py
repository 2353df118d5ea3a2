"""Differential privacy in plain words: what a patient is promised, how it was spent, and what sites have left."""

from __future__ import annotations

import math
from collections.abc import Sequence

from caduceus.report.budget_charts import budget_bar, cost_curve
from caduceus.report.charts import swatch
from caduceus.report.facts import BudgetFacts, JobFacts, PrivacyFacts, ReleaseFacts
from caduceus.report.markup import NONE, Column, Html, dash, figure, join, listing, section, table, text
from caduceus.report.rounds_chart import failed
from caduceus.report.words import count, delta, epsilon, known, measured, significant, whole

NO_BUDGET = "no budget was set"


def privacy_section(facts: JobFacts, anchor: str) -> Html:
    """The promise, its cost sum by sum, the noise of every sum, and every site's budget."""
    told = facts.privacy
    if told is None:
        return NONE
    lead = Html(
        f"Everything that was opened carries noise: epsilon <b>{epsilon(told.epsilon)}</b>, "
        f"delta <b>{delta(told.delta)}</b>. Smaller is more private, and less exact."
    )
    body = join((_promise(told), _limits(facts), _spending(told, facts), _budgets(told)))
    return section(f"{anchor}-privacy", Html("What a patient is promised"), body, lead)


def _promise(told: PrivacyFacts) -> Html:
    right = _rounded_up(100 * guessing(told.epsilon, told.delta), 1)
    return Html(
        f'<p class="promise">For a patient: whatever anyone concludes from all that this job opened is at most '
        f"<b>{factor(told.epsilon)}</b> times as likely as if none of your rows at a site had been there, but for a "
        f"chance of {chance(told.delta)}.</p>"
        f"<p>Someone who has to guess whether you are in the data, with even odds beforehand and knowing everyone "
        f"else’s rows, is right with a chance of at most <b>{right} %</b>; a coin is right with 50 %.</p>"
    )


def factor(micro: int) -> Html:
    """exp(epsilon), rounded up: a promise is not made better than it is."""
    exponent = micro / 1e6
    if exponent > 500:
        return Html(f"exp({epsilon(micro)})")
    return _rounded_up(math.exp(exponent), 2)


def _rounded_up(value: float, digits: int) -> Html:
    scale = 10**digits
    return measured(math.ceil(value * scale * (1 - 1e-12)) / scale, digits)


def chance(pico: int) -> Html:
    """Delta as one in so many, rounded so that it does not look smaller than it is."""
    return Html(f"1 in {whole(10**12 // pico)}") if pico else Html("0")


def guessing(micro: int, pico: int) -> float:
    """The largest chance to guess a patient's presence at even odds: (exp(epsilon) + delta) / (exp(epsilon) + 1).

    Source: Kairouz, Oh and Viswanath 2015, theorem 2.1: no test has both error rates below the line where
    false alarms + exp(epsilon) * misses = 1 - delta; on the diagonal, each is (1 - delta) / (1 + exp(epsilon)).
    """
    return 1.0 - (1.0 - pico / 1e12) / (1.0 + math.exp(min(micro / 1e6, 500.0)))


def _limits(facts: JobFacts) -> Html:
    assert facts.privacy is not None
    items = [
        Html(
            f"This holds while the noise of at most {whole(facts.privacy.missing_percent)} % of the sites is missing "
            "from a sum, because they fell silent or added none; the others’ is as much as is stated."
        )
    ]
    if any(known(site.federated.auroc) or known(site.local.auroc) for site in facts.sites):
        items.append(
            Html(
                "Figures per site on this page come from the sites’ own rows, without noise. They were not opened by "
                "the job, and epsilon does not cover them: do not pass them on."
            )
        )
    return listing(items, "says")


def _spending(told: PrivacyFacts, facts: JobFacts) -> Html:
    chart = figure(
        cost_curve(told.costs, told.opened, title="Epsilon by number of sums"),
        Html(
            f"{count(told.opened, 'sum')} of at most {whole(len(told.costs) - 1)} opened. A job that ends early is "
            "charged for the sums that it opened; delta is spent with the first."
        ),
    )
    phases = [one.phase for one in facts.rounds if not failed(one)]
    several = len({one.part for one in told.releases}) > 1
    columns = (
        Column(Html("Sums"), "index"),
        Column(Html("For")),
        *((Column(Html("Patients"), "num"),) if several else ()),
        Column(Html("Noise"), "num"),
        Column(Html("Rate"), "num"),
        Column(Html("Epsilon after"), "num"),
    )
    rows = [_release(one, told, phases, several) for one in told.releases]
    caption = Html(
        "The noise of every sum: standard deviation in each entry, in units of what one patient can change. Rate: a "
        "patient’s chance to be in such a sum."
        + (" No patient is in two groups, so a run is worth its dearest." if several else "")
    )
    return Html(f'<div class="two">{chart}<div>{table(caption, columns, rows)}</div></div>')


def _release(one: ReleaseFacts, told: PrivacyFacts, phases: Sequence[str], several: bool) -> tuple[Html, ...]:
    numbers = whole(one.first) if one.first == one.last else Html(f"{whole(one.first)} to {whole(one.last)}")
    done = dict.fromkeys(phases[one.first - 1 : one.last])
    spent = epsilon(told.costs[one.last]) if one.last < len(told.costs) else dash("not in the job’s costs")
    return (
        numbers,
        text(", ".join(done)) if done else dash("not opened"),
        *((Html(f"group {whole(one.part)}"),) if several else ()),
        significant(one.multiplier) if known(one.multiplier) else dash("not a number"),
        Html("all") if one.rate == 1 else significant(one.rate) if known(one.rate) else dash("not a number"),
        spent,
    )


def _budgets(told: PrivacyFacts) -> Html:
    if not told.budgets:
        return Html("<p>– No data set took part.</p>")
    marks = (("f-pooled", "spent before"), ("f-federated", "by this job"), ("f-grid", "left"))
    legend = listing((Html(f"{swatch(kind)}{name}") for kind, name in marks), "legend")
    columns = (
        Column(Html("Site")),
        Column(Html("Lifetime budget"), "bar"),
        Column(Html("Epsilon<br/>in all"), "num"),
        Column(Html("spent<br/>before"), "num"),
        Column(Html("by this<br/>job"), "num main"),
        Column(Html("left"), "num"),
        Column(Html("Delta<br/>left"), "num minor"),
    )
    caption = Html(
        "Every site’s privacy budget, as the chain holds it: the contract lets no job spend more than is left."
    )
    return join((legend, table(caption, columns, [_budget(one) for one in told.budgets], kind="sort")))


def _budget(one: BudgetFacts) -> tuple[Html, ...]:
    if not one.epsilon:
        return (text(one.site), *[dash(NO_BUDGET)] * 6)
    return (
        text(one.site),
        budget_bar(one),
        epsilon(one.epsilon),
        epsilon(one.epsilon_before),
        epsilon(one.epsilon_spent),
        epsilon(one.epsilon_left),
        delta(one.delta_left),
    )
