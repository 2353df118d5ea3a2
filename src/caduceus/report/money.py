"""Where the money went, and that it adds up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from caduceus.report.facts import Flow, JobFacts
from caduceus.report.markup import NONE, Column, Html, figure, join, section, table, text
from caduceus.report.reading import Account, Books, balance, party
from caduceus.report.sankey import Band, sankey
from caduceus.report.words import MINUS, whole

SINGLE_BANDS = 6
"""More flows of one kind than this: the largest are drawn one by one, the rest as one band."""


def money_section(facts: JobFacts, anchor: str) -> Html:
    """Bands, the sum that proves them, and every party's account."""
    title = Html("Money")
    if not facts.flows:
        return section(f"{anchor}-money", title, Html("<p>– No money moved.</p>"))
    books = balance(facts.flows)
    sites = frozenset(site.name for site in facts.sites)
    body = join((_chart(books, sites, facts), _proof(books, facts, sites), _ledger(books, facts), _aside(books)))
    lead = Html(
        f"Whole units of {text(facts.token)}. Nothing is pushed: the contract holds what was locked, "
        "and each party claims its own part."
    )
    return section(f"{anchor}-money", title, body, lead)


def _chart(books: Books, sites: frozenset[str], facts: JobFacts) -> Html:
    left = _bands(books.inward, [flow.source for flow in books.inward], sites)
    right = _bands(books.outward, [flow.target for flow in books.outward], sites)
    rest = books.put - books.got
    if rest > 0:
        right.append(Band(books.hub, "still held", rest, "other"))
    if rest < 0:
        left.append(Band("unexplained", "came from nowhere", -rest, "bad"))
    drawn = (
        sankey(left, right, hub=books.hub, title="Flow of money", token=facts.token, width=width)
        for width in (840, 400)
    )
    wide, narrow = drawn
    both = Html(f'<div class="wide">{wide}</div><div class="narrow">{narrow}</div>')
    return figure(
        both, Html("From left to right; the thickness of a band is its amount. Equal amounts are drawn as one band.")
    )


def _bands(flows: Sequence[Flow], names: Sequence[str], sites: frozenset[str]) -> list[Band]:
    """Flows of one purpose and kind of party: one band if equal, else one each, the smallest together."""
    ordered = sorted(
        zip(flows, names, strict=True), key=lambda pair: (_rank(party(pair[1], sites)), pair[0].why, -pair[0].amount)
    )
    bands: list[Band] = []
    for (tone, why), run in groupby(ordered, key=lambda pair: (party(pair[1], sites), pair[0].why)):
        some = [(flow.amount, name) for flow, name in run]
        bands += _gathered(some, why, tone)
    return bands


def _rank(tone: str) -> int:
    return ("buyer", "site", "fee", "other").index(tone)


def _gathered(some: Sequence[tuple[int, str]], why: str, tone: str) -> Iterable[Band]:
    amounts = {amount for amount, _ in some}
    if len(some) > 1 and len(amounts) == 1:
        each = whole(some[0][0])
        return [Band(_many(len(some), tone), f"{why}, {each} each", sum(a for a, _ in some), tone)]
    if len(some) <= SINGLE_BANDS:
        return [Band(name, why, amount, tone) for amount, name in some]
    shown, rest = some[: SINGLE_BANDS - 1], some[SINGLE_BANDS - 1 :]
    other = Band(_many(len(rest), tone, "other "), why, sum(amount for amount, _ in rest), tone)
    return [*(Band(name, why, amount, tone) for amount, name in shown), other]


def _many(number: int, tone: str, other: str = "") -> str:
    one = {"site": "site", "buyer": "buyer", "fee": "coordinator"}.get(tone, "party")
    many = "parties" if one == "party" else f"{one}s"
    return f"{number} {other}{many if number != 1 else one}"


def _proof(books: Books, facts: JobFacts, sites: frozenset[str]) -> Html:
    token = text(facts.token)
    held = books.put - books.got
    if held == 0:
        said, tone, sign = (
            f"<b>{whole(books.put)}</b> went in, <b>{whole(books.got)}</b> came out. It adds up.",
            "good",
            "✓",
        )
    elif held > 0:
        said = (
            f"<b>{whole(books.put)}</b> went in, <b>{whole(books.got)}</b> came out, "
            f"<b>{whole(held)}</b> {token} are still held: not yet claimed, or kept for a dispute."
        )
        tone, sign = "open", "–"
    else:
        said = f"<b>{whole(books.got)}</b> came out, but only <b>{whole(books.put)}</b> went in. It does not add up."
        tone, sign = "bad", "✗"
    lines = [_line(tone, sign, Html(said))]
    cards = sum(site.paid + site.returned for site in facts.sites)
    flows = sum(flow.amount for flow in books.outward if flow.target in sites)
    if facts.sites and cards == flows:
        lines.append(
            _line("good", "✓", Html(f"The sites’ pay and returned stakes, {whole(cards)}, are what flowed to sites."))
        )
    elif facts.sites:
        lines.append(
            _line(
                "bad",
                "✗",
                Html(f"The sites’ pay and returned stakes are {whole(cards)}, but {whole(flows)} flowed to sites."),
            )
        )
    return join(lines)


def _line(tone: str, sign: str, said: Html) -> Html:
    return Html(f'<p class="sum"><span class="mark {tone}" aria-hidden="true">{sign}</span><span>{said}</span></p>')


def _ledger(books: Books, facts: JobFacts) -> Html:
    columns = (
        Column(Html("Party")),
        Column(Html("Put in"), "num"),
        Column(Html("Took out"), "num"),
        Column(Html("Earned or paid"), "num"),
    )
    rows = [_account(account) for account in books.accounts]
    net = books.got - books.put
    foot = (Html("All parties"), whole(books.put), whole(books.got), _signed(net))
    caption = Html(f"Every party’s account with {text(books.hub)}, in {text(facts.token)}.")
    return table(caption, columns, rows, foot=foot)


def _account(account: Account) -> tuple[Html, ...]:
    return text(account.name), whole(account.put), whole(account.got), _signed(account.got - account.put)


def _signed(amount: int) -> Html:
    shown = whole(amount)
    return shown if amount == 0 or shown.startswith(MINUS) else Html(f"+{shown}")


def _aside(books: Books) -> Html:
    if not books.aside:
        return NONE
    columns = (Column(Html("From")), Column(Html("To")), Column(Html("For")), Column(Html("Amount"), "num"))
    rows = [(text(f.source), text(f.target), text(f.why), whole(f.amount)) for f in books.aside]
    return table(Html(f"Flows that did not pass {text(books.hub)}."), columns, rows)
