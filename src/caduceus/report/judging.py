"""How updates that nobody sees were judged: who was kept in every round, whom it helped, what was paid and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from caduceus.kinds import Evidence
from caduceus.market.mechanism.verdict import Lane
from caduceus.report.facts import JobFacts, JudgedRoundFacts, JudgingFacts, StratumFacts
from caduceus.report.judging_charts import (
    LANE_WORDS,
    effect_chart,
    lane_map,
    lane_sign,
    lanes_seen,
    lines_for,
    pay_bar,
    percent,
)
from caduceus.report.markup import NONE, Column, Html, code, dash, figure, folded, join, listing, section, table, text
from caduceus.report.reading import judge, lanes_of, mostly
from caduceus.report.trust import badge
from caduceus.report.words import be, brief, count, score, whole

MOST_NAMES = 6
"""So many sites are named in a cell; all are under the pointer."""

MEANING = {
    Lane.CONSENSUS: "near enough to most others",
    Lane.READMITTED: "unlike most, and clearly good for some patients",
    Lane.DROPPED: "unlike most, and good for nobody",
    Lane.VETOED: "harmful on the whole",
    Lane.COPIED: "sent before by another",
    Lane.STALE: "nothing new in it",
    Lane.ABSENT: "no update came",
    Lane.VOID: "the move before was taken back instead",
}
"""What puts an update on a lane, in a few words."""

_OUT = "put out for breaking a bound"
_NOTHING = "nothing was judged"


def judging_section(facts: JobFacts, anchor: str) -> Html:
    """Lanes, effects, pay, strata, faults, and who saw what."""
    told = facts.judging
    if told is None:
        return NONE
    title = Html("How updates were judged")
    three = f"Three aggregators ({_listed(told.aggregators)})" if told.aggregators else "Three aggregators"
    lead = Html(
        f"Nobody saw an update. {three} multiplied shares of them; held-out patients, of "
        f"{_listed([*told.evaluators, 'the sites'])}, say whom each one helps; and public rules make of that who is "
        "kept, with what weight, and what each is paid."
    )
    if not any(one.sites for one in told.rounds):
        body = join((Html("<p>– No round was judged.</p>"), _faults(told), _who_sees(facts, told)))
        return section(f"{anchor}-judging", title, body, lead)
    parts = (_map(told), _rounds(told), _effects(told), _pay(facts, told), _strata(told))
    return section(f"{anchor}-judging", title, join((*parts, _faults(told), _who_sees(facts, told))), lead)


def _listed(names: Sequence[str]) -> Html:
    shown = [text(name) for name in names]
    return Html(" and ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))) if shown else NONE


def _both(wide: Html, narrow: Html) -> Html:
    return Html(f'<div class="wide">{wide}</div><div class="narrow">{narrow}</div>')


# ---------------------------------------------------------------- round by round


def _map(told: JudgingFacts) -> Html:
    signs = (
        Html(f"{lane_sign(lane, fault=fault)}<span>{_OUT if fault else _said(lane)}</span>")
        for lane, fault in lanes_seen(told)
    )
    drawn = _both(*(lane_map(told, title="Where every update went", width=width) for width in (840, 360)))
    always = sum(set(lanes_of(told, seat)) == {Lane.CONSENSUS} for seat in range(len(told.sites)))
    said = [f"{count(always, 'site')} of {whole(len(told.sites))} {be(always)} in the consensus in every round."]
    if len(lines_for(told)) < len(told.sites):
        said.append("The sites that were out of it most often have a line each.")
    if void := sum(not one.sites for one in told.rounds):
        said.append(f"Nothing was judged in {count(void, 'round')}: shaded.")
    if back := sum(one.rolls_back for one in told.rounds):
        said.append(f"{count(back, 'time')} the move before had done harm and was taken back, with its pay: red arrow.")
    said.append(
        "A bar below a sign: what it earned of the round’s pot. At the right end, where there is room: its mean weight."
    )
    return figure(join((listing(signs, "legend"), drawn)), Html(f"{' '.join(said)}{_dishonest(told)}"))


def _said(lane: Lane) -> Html:
    return Html(f"<b>{LANE_WORDS[lane]}</b>: {MEANING[lane]}")


def _dishonest(told: JudgingFacts) -> Html:
    made = [site for site in told.sites if site.dishonest]
    if not made:
        return NONE
    done = "; ".join(f"{site.name} {site.dishonest}" for site in made)
    return Html(f" * Made dishonest on purpose, for trying out: {text(done)}.")


def _rounds(told: JudgingFacts) -> Html:
    columns = (
        Column(Html("Round"), "index"),
        Column(Html("Consensus"), "num"),
        Column(Html("Re-admitted")),
        Column(Html("Left out")),
        Column(Html("Vetoed")),
        Column(Html("Copy, stale or absent")),
        Column(Html("Paid of its pot"), "num"),
    )
    rows = [_round(one, told) for one in told.rounds]
    body = table(Html("Every round, site by site; the rest of a round’s pot went back to the buyer."), columns, rows)
    return folded(Html("every round in words"), body)


def _round(one: JudgedRoundFacts, told: JudgingFacts) -> tuple[Html, ...]:
    if not one.sites:
        return whole(one.number), dash(one.failure or _NOTHING), *[dash(_NOTHING)] * 5
    if one.rolls_back:
        why = "the move before had done harm, and was taken back"
        return whole(one.number), dash(why), *[dash(why)] * 5
    lanes = [site.lane for site in one.sites]

    def names(*which: Lane) -> Html:
        """Who is in these lanes, the first few by name."""
        found = [told.sites[seat].name for seat, lane in enumerate(lanes) if lane in which]
        if not found:
            return Html('<span class="soft">nobody</span>')
        rest = len(found) - MOST_NAMES
        said = text(", ".join(found[:MOST_NAMES]))
        return (
            Html(f'{said} <span title="{text(", ".join(found))}">and {whole(rest)} more</span>') if rest > 0 else said
        )

    return (
        whole(one.number),
        whole(lanes.count(Lane.CONSENSUS)),
        names(Lane.READMITTED),
        names(Lane.DROPPED),
        names(Lane.VETOED),
        names(Lane.COPIED, Lane.STALE, Lane.ABSENT),
        percent(sum(site.pay for site in one.sites), 1),
    )


# ---------------------------------------------------------------- effects and pay


def _effects(told: JudgingFacts) -> Html:
    drawn = _both(*(effect_chart(told, title="Whom every site’s updates help", width=width) for width in (840, 360)))
    caption = Html(
        "After the last round, earlier ones smoothed in. <b>Helps</b>: cosine of a site’s updates with what lowers the "
        "loss of others’ held-out patients; right of zero is good. The last two panels are in spreads, robust standard "
        "deviations of the sites. Upright line: the median. Left of the red dashes, a site leaves the consensus, or is "
        "vetoed if all patients together lose; right of the gold ones, one that is unlike the others is re-admitted. "
        f"An arrow: beyond the axis.{_dishonest(told)}"
    )
    return figure(drawn, caption, "tall")


def _pay(facts: JobFacts, told: JudgingFacts) -> Html:
    pot = facts.price - facts.fee
    paid = {site.name: site.paid for site in facts.sites}
    equal = pot / max(len(told.sites), 1)
    limit = max([equal, *paid.values(), 1.0]) * 1.04
    columns = (
        Column(Html("Site")),
        Column(Html("Mostly"), label="Mostly"),
        Column(Html("Paid, and an equal share (line)"), "bar"),
        Column(Html("Paid"), "num", "Paid"),
        Column(Html("Why"), label="Why"),
    )
    rows = []
    for seat, site in enumerate(told.sites):
        lane, amount = mostly(lanes_of(told, seat)), paid.get(site.name, 0)
        rows.append(
            (
                Html(f"{text(site.name)}{' *' if site.dishonest else ''}"),
                Html(f'<span class="lane">{lane_sign(lane)}{LANE_WORDS[lane]}</span>'),
                pay_bar(amount, equal, limit),
                whole(amount),
                Html(f'<span class="why">{text(site.reason)} {_earned(told, seat)}</span>'),
            )
        )
    total = sum(paid.values())
    foot = (Html("All sites"), NONE, NONE, whole(total), Html(f"of a pot of {whole(pot)} {text(facts.token)}"))
    caption = Html(
        f"What each site was paid, in {text(facts.token)}, and why: by what its updates add to the others’ and to the "
        f"move before. An equal share would be {brief(round(equal))}; what nobody earned went back to the buyer."
    )
    return Html(f'<div class="pays">{table(caption, columns, rows, kind="stack", foot=foot)}</div>')


def _earned(told: JudgingFacts, seat: int) -> Html:
    """In how many rounds a site earned, for one that was ever kept."""
    judged = [one.sites[seat] for one in told.rounds if one.sites and not one.rolls_back]
    new = told.sites[seat].novelty
    if new is None or not any(site.lane in (Lane.CONSENSUS, Lane.READMITTED) for site in judged):
        return NONE
    paid = sum(site.pay > 0 for site in judged)
    when = "in all" if paid == len(judged) else f"in {whole(paid)} of"
    return Html(f"New to the move before: {percent(new, 0)} on average. Earned {when} {count(len(judged), 'round')}.")


def _strata(told: JudgingFacts) -> Html:
    columns = (
        Column(Html("Patients")),
        Column(Html("Decide of a move"), "num"),
        Column(Html("Bring of the pay"), "num"),
        Column(Html("Median effect"), "num"),
        Column(Html("Held-out rows"), "num"),
        Column(Html("AUROC, last model"), "num main"),
        Column(Html("Brier"), "num"),
    )
    caption = Html("Patients who are looked at apart: what they decide, and how well the last model serves them.")
    return table(caption, columns, [_stratum(one) for one in told.strata])


def _stratum(one: StratumFacts) -> tuple[Html, ...]:
    return (
        text(one.name),
        percent(one.voice, 0),
        percent(one.budget, 0),
        score(one.median, _NOTHING),
        whole(one.rows) if one.rows else dash("not evaluated"),
        score(one.quality.auroc, "too few rows, or one outcome"),
        score(one.quality.brier, "not evaluated"),
    )


# ---------------------------------------------------------------- faults, and who saw what


def _faults(told: JudgingFacts) -> Html:
    if not told.faults:
        return Html(
            '<p class="sum"><span class="mark good">✓</span><span>Nobody broke the protocol of a round.</span></p>'
        )
    columns = (
        Column(Html("Round"), "index"),
        Column(Html("Who")),
        Column(Html("Did what")),
        Column(Html("Stake")),
        Column(Html("Evidence")),
    )
    rows = [
        (
            whole(one.round),
            text(one.who),
            text(one.why),
            Html('<span class="mark bad">forfeited</span>') if one.forfeits else Html("kept"),
            code(one.evidence, 9),
        )
        for one in told.faults
    ]
    caption = Html("Who broke the protocol of a round, and the public record from which anybody finds it again.")
    return table(caption, columns, rows)


def _who_sees(facts: JobFacts, told: JudgingFacts) -> Html:
    audited = judge(facts.checks).passes
    again = Evidence.RE_EXECUTED if audited else Evidence.NOT_CHECKED
    signed = Evidence.SIGNED if audited else Evidence.NOT_CHECKED
    what = "sketches of all updates" if told.sketched else "all updates"
    columns = (
        Column(Html("Who")),
        Column(Html("Sees"), label="Sees"),
        Column(Html("What it rests on"), label="What it rests on"),
        Column(Html("Evidence"), label="Evidence"),
    )
    rows = (
        (
            Html("One aggregator"),
            Html("two of the three parts of every vector, which look like random numbers without the third"),
            Html("with any one of the other two it could put every single update together: they must not collude"),
            badge(Evidence.NOT_CHECKED),
        ),
        (
            Html("The coordinator"),
            Html("sealed boxes that it passes on, and what is public"),
            Html("it holds no share; two aggregators’ keys open what it passed on, then as later"),
            badge(Evidence.NOT_CHECKED),
        ),
        (
            Html("Everybody: products and losses"),
            Html(
                f"the inner products of {what} with each other and with what would help each stratum at each site; "
                "mean losses per stratum of each site; rows, to within ten"
            ),
            Html("each aggregator signs its part, and that the others’ parts passed its check; one liar is found out"),
            badge(signed),
        ),
        (
            Html("Everybody: lanes, weights, model, pay"),
            Html("one weighted sum per round, and all that follows by the public rules from products and losses"),
            Html("the auditor computes all of it again from what is public"),
            badge(again),
        ),
    )
    return table(Html("Who sees what, and why to believe it."), columns, rows, kind="stack")


def kept_and_left(told: JudgingFacts) -> tuple[int, tuple[str, ...]]:
    """How many sites were mostly kept, and the others with what they mostly were, such as "Elm vetoed"."""
    lanes = [mostly(lanes_of(told, seat)) for seat in range(len(told.sites))]
    kept = Counter(lanes)[Lane.CONSENSUS] + Counter(lanes)[Lane.READMITTED]
    left = (
        f"{site.name} {LANE_WORDS[lane]}"
        for site, lane in zip(told.sites, lanes, strict=True)
        if lane not in (Lane.CONSENSUS, Lane.READMITTED)
    )
    return kept, tuple(left)
