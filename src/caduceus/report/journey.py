"""What the picture of a job says, stop by stop: this job's figures where they belong."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from caduceus.report.facts import JobFacts
from caduceus.report.markup import NONE, Html, shortened, text
from caduceus.report.reading import balance, judge, party, spent
from caduceus.report.rounds_chart import failed, power
from caduceus.report.words import brief, count, whole

_LETTERS = 17
"""What fits into a box of the picture in the widest of the usual fonts."""


@dataclass(frozen=True, slots=True)
class Stop:
    """One place in the picture.

    name      what it is
    figure    this job's figure there
    details   one or two short lines more
    sentence  the same as a sentence, for small screens and for ears
    """

    name: Html
    figure: Html
    details: tuple[Html, ...]
    sentence: Html


@dataclass(frozen=True, slots=True)
class Journey:
    """Everything that the picture says.

    funded, enrolled, anchored, settled, read   what the chain holds, in order
    buyer, sites, sum, coordinator, store, auditor  the parties off the chain
    attendance  for every site whether it was in every sum; False if ever silent
    passes      the audit's verdict
    paid, back  labels of the payment to sites and of what went back to the buyer; empty for none
    """

    chain: Html
    funded: Stop
    enrolled: Stop
    anchored: Stop
    settled: Stop
    read: Stop
    buyer: Stop
    sites: Stop
    sum: Stop
    coordinator: Stop
    store: Stop
    auditor: Stop
    attendance: Sequence[bool]
    passes: bool | None
    paid: Html
    back: Html


def journey(facts: JobFacts) -> Journey:
    """Place a job's figures."""
    books = balance(facts.flows)
    names = {site.name for site in facts.sites}
    back = sum(flow.amount for flow in books.outward if party(flow.target, names) == "buyer")
    paid = sum(site.paid for site in facts.sites)
    verdict = judge(facts.checks)
    silent = {name for one in facts.rounds for name in one.silent}
    sites = count(len(facts.sites), "site")
    return Journey(
        chain=shortened(facts.chain, 22),
        funded=_funded(facts),
        enrolled=_enrolled(facts, sites),
        anchored=_anchored(facts),
        settled=_settled(facts, paid, spent(facts, books).coordinator),
        read=Stop(Html("Claims"), whole(len(facts.checks)), (Html("to check"),), NONE),
        buyer=_buyer(facts),
        sites=Stop(
            Html("Sites"),
            sites,
            (Html("rows stay here"),),
            Html(
                f"Each {'learns from' if facts.analysis is None else 'counts'} its own rows, which stay where they are."
            ),
        ),
        sum=_sum(facts),
        coordinator=_coordinator(facts),
        store=_store(facts),
        auditor=_auditor(facts),
        attendance=tuple(site.name not in silent for site in facts.sites),
        passes=verdict.passes,
        paid=Html(f"{brief(paid)} to {sites}") if paid else NONE,
        back=Html(f"{brief(back)} back to the buyer") if back else NONE,
    )


def _funded(facts: JobFacts) -> Stop:
    price = brief(facts.price)
    told = Html(f"{price} {text(facts.token)} are locked on the chain.")
    return Stop(Html("Posted, funded"), price, (shortened(facts.token, _LETTERS),), told)


def _enrolled(facts: JobFacts, sites: Html) -> Stop:
    stakes = brief(facts.stake * len(facts.sites))
    told = Html(f"{sites} enrolled and staked {stakes} {text(facts.token)}.")
    return Stop(Html("Enrolled"), sites, (Html(f"{stakes} at stake"),), told)


def _anchored(facts: JobFacts) -> Stop:
    number = len(facts.rounds)
    rounds = count(number, "round")
    if not number:
        return Stop(Html("Anchored"), rounds, (NONE,), Html("It anchored nothing."))
    gas = whole(round(sum(one.gas for one in facts.rounds) / number))
    told = Html(f"It anchored {rounds} on the chain, {gas} gas each on average.")
    return Stop(Html("Anchored"), rounds, (Html(f"mean {gas} gas"),), told)


def _settled(facts: JobFacts, paid: int, coordinator: int) -> Stop:
    total = paid + max(coordinator, 0)
    if not total:
        return Stop(Html("Settlement"), Html("–"), (Html("nothing was paid"),), Html("Nothing was paid."))
    told = Html(f"{brief(paid)} {text(facts.token)} to the sites, {brief(max(coordinator, 0))} to the coordinator.")
    return Stop(Html("Settlement"), brief(total), (Html("paid out"),), told)


def _buyer(facts: JobFacts) -> Stop:
    if facts.analysis is not None:
        questions = count(facts.analysis.questions, "question")
        return Stop(Html("Buyer"), Html("asks"), (questions,), Html(f"Asks {questions} of all sites together."))
    lines = textwrap.wrap(facts.target, _LETTERS, max_lines=2, placeholder="…") or [""]
    told = Html(f"Asks to predict {text(facts.target)}.")
    return Stop(Html("Buyer"), Html("asks for"), tuple(map(text, lines)), told)


def _sum(facts: JobFacts) -> Stop:
    entries = max((one.entries for one in facts.rounds), default=0)
    if not entries:
        return Stop(Html("Sum"), Html("–"), (Html("nothing summed"),), Html("Nothing was summed."))
    ring = power(max(one.bits for one in facts.rounds))
    name = "Updates" if facts.analysis is None else "Tallies"
    noise = "" if facts.privacy is None else ", noise of every site among them,"
    told = Html(
        f"{name} of up to {brief(entries)} entries{noise} are summed modulo {ring}; "
        f"what is seen of single ones: {text(facts.visibility)}."
    )
    return Stop(Html("Sum"), brief(entries), (Html("entries at most,"), Html(f"modulo {ring}")), told)


def _coordinator(facts: JobFacts) -> Stop:
    sums = sum(not failed(one) for one in facts.rounds)
    told = Html(f"Opened {count(sums, 'sum')} and combined them.")
    return Stop(Html("Coordinator"), whole(sums), (Html("sum opened" if sums == 1 else "sums opened"),), told)


def _store(facts: JobFacts) -> Stop:
    rounds = len(facts.rounds)
    told = Html(f"What a replay of {count(rounds, 'round')} needs, named by its digests.")
    return Stop(
        Html("Transcript"), whole(rounds), (Html("round" if rounds == 1 else "rounds"), Html("to replay")), told
    )


def _auditor(facts: JobFacts) -> Stop:
    verdict = judge(facts.checks)
    word = {True: "passes", False: "does not pass", None: "not audited"}[verdict.passes]
    hold = f"{whole(verdict.holding)} of {whole(len(facts.checks))}"
    told = Html(f"Replays chain and transcript: {word}; {hold} claims hold.")
    return Stop(Html("Auditor"), Html(word), (Html(hold), Html("claims hold")), told)
