"""Whether a data set that was found is one that could be used, and if not, why not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from caduceus.canon import unpack
from caduceus.data.card import Card, matches
from caduceus.data.card_reading import read_card
from caduceus.data.policy import Ask, Terms, judge, show_micro
from caduceus.data.schema import Schema
from caduceus.data.use_seen import Seen
from caduceus.errors import Refused
from caduceus.kinds import Digest, Readiness
from caduceus.market.ledger import DatasetEntry

TERMS_MOST = 1 << 20
"""Bytes of terms that anybody reads."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A registered data set with its card and terms; `entry` is None for a card that is not on a chain."""

    card: Card
    terms: Terms | None
    entry: DatasetEntry | None


@dataclass(frozen=True, slots=True)
class Job:
    """What a job asks of every data set.

    names_buyer  whether the ask says who buys; else terms that name buyers are not judged by it
    """

    ask: Ask
    schema: Schema
    names_buyer: bool = True


@dataclass(frozen=True, slots=True)
class Wish:
    """What whoever searches wants besides words; what is not given is not looked at.

    codes          each must be a column's, or a kind of it must (ICD and ATC: the code is its beginning)
    purpose        as jobs state it
    min_rows       least number of rows that the card admits to
    epsilon_micro  that must be left of the lifetime budget
    readiness      least verdict that the steward states
    job            a whole job
    now            Unix seconds, for terms that end
    """

    codes: tuple[str, ...] = ()
    purpose: str | None = None
    min_rows: int = 0
    epsilon_micro: int = 0
    readiness: Readiness = Readiness.UNSTATED
    job: Job | None = None
    now: int | None = None


def read_listing(entry: DatasetEntry, get: Callable[[Digest], bytes]) -> Listing:
    """A data set's card and terms, which are anybody's bytes until they are checked.

    get  a blob by its digest; raises Refused if it is missing or another

    Raises Refused, saying what is wrong.
    """
    card = read_card(get(entry.card))
    if card.commitment != entry.commitment:
        raise Refused("the card and the chain name different commitments")
    blob = get(entry.terms)
    if len(blob) > TERMS_MOST:
        raise Refused(f"terms of {len(blob)} bytes; at most {TERMS_MOST} are read")
    return Listing(card, unpack(Terms, blob), entry)


def misfits(listing: Listing, wish: Wish) -> tuple[str, ...]:
    """Every reason for which a data set is not what is wished for; none if it is."""
    return (*_of_card(listing.card, wish), *_of_entry(listing.entry, wish), *_of_terms(listing, wish))


def _of_card(card: Card, wish: Wish) -> list[str]:
    reasons = [f"no column has the code {code}" for code in wish.codes if not _has(card, code)]
    if card.rows_at_least < wish.min_rows:
        reasons.append(f"{card.rows_text} rows, {wish.min_rows} are wanted")
    return reasons


def _has(card: Card, code: str) -> bool:
    wanted = code.upper()
    tree = wanted.startswith(("ICD", "ATC:"))
    return any(
        one.upper() == wanted or (tree and one.upper().startswith(wanted))
        for entry in card.columns
        for one in entry.column.codes
    )


def _of_entry(entry: DatasetEntry | None, wish: Wish) -> list[str]:
    reasons = []
    if entry is not None and not entry.active:
        reasons.append("withdrawn")
    stated = Readiness.UNSTATED if entry is None else entry.readiness
    if stated < wish.readiness:
        reasons.append(f"its readiness is {stated.name.lower()}, {wish.readiness.name.lower()} is wanted")
    if wish.epsilon_micro:
        left = 0 if entry is None else max(entry.budget_micro - entry.epsilon_spent_micro, 0)
        if left < wish.epsilon_micro:
            reasons.append(f"epsilon {show_micro(left)} is left, {show_micro(wish.epsilon_micro)} is wanted")
    return reasons


def _of_terms(listing: Listing, wish: Wish) -> list[str]:
    terms, entry = listing.terms, listing.entry
    reasons: list[str] = []
    if wish.job is not None and not matches(listing.card, wish.job.schema):
        reasons.append(f"it means something else than the job's '{wish.job.schema.title}'")
    if terms is None:
        return [*reasons, "its terms are not known here"] if wish.job is not None or wish.purpose else reasons
    if wish.job is not None:
        spent = (0, 0) if entry is None else (entry.epsilon_spent_micro, entry.delta_spent_pico)
        noise = listing.card.noise
        card = (0, 0) if noise is None else (noise.epsilon_micro, noise.delta_pico)
        seen = Seen(now=wish.now, here=listing.card.rows_at_least or None)
        asked = terms if wish.job.names_buyer else replace(terms, buyers=None)
        verdict = judge(
            asked, wish.job.ask, spent_micro=spent[0] + card[0], spent_delta_pico=spent[1] + card[1], seen=seen
        )
        return [*reasons, *verdict.reasons]
    if wish.purpose is not None and terms.purposes is not None and wish.purpose not in terms.purposes:
        reasons.append(f"allowed purposes are {', '.join(terms.purposes) or 'none'}")
    return reasons
