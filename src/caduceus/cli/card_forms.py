"""A card in words, as JSON, and as catalogues want it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from caduceus.cli.forms import Form as Form
from caduceus.cli.names import old_run
from caduceus.data.card import Card, card_json, say_count
from caduceus.data.card_counts import Counts
from caduceus.data.card_offer import Holder, Offer, Place
from caduceus.data.croissant import croissant
from caduceus.data.health_dcat import health_dcat
from caduceus.data.policy import Terms, show_micro
from caduceus.data.schema import BOOLEAN, Column
from caduceus.edges.store import FolderStore
from caduceus.errors import Refused
from caduceus.kinds import PICO, Readiness
from caduceus.market.search_fit import read_listing
from caduceus.wiring.recall import look_at
from caduceus.wiring.remembered import Memory

WRITTEN: Mapping[Form, Callable[[Offer], str]] = {
    Form.JSON: lambda offer: card_json(offer.card),
    Form.CROISSANT: croissant,
    Form.HEALTH_DCAT: health_dcat,
}
"""The forms for other programs."""


@dataclass(frozen=True, slots=True)
class Asked:
    """How a card is wanted.

    epsilon  of the counts; None is what the federation file says
    run      the run in which the site published its card; None makes one from the records
    holder   who answers for the data, for catalogues; None names nobody
    """

    form: Form = Form.TEXT
    epsilon: float | None = None
    run: Path | None = None
    holder: Holder | None = None


def holder_of(publisher: str, contact: str, body: str, body_contact: str, legal_basis: str) -> Holder | None:
    """Who answers for the data, if anybody is named."""
    return Holder(publisher, contact, body, body_contact, legal_basis) if publisher or contact or body else None


def published(run: Path, site: str) -> tuple[Card, Terms, Readiness, Place]:
    """The newest card that a site has registered on a run's chain, with terms, verdict and place.

    Raises Refused if there is none, or if it is not what the chain says.
    """
    workspace = old_run(run)
    orders = Memory(workspace).orders()
    accounts = {account for order in orders for account, name in order.names.items() if name == site}
    with look_at(workspace, orders[0].url or None) as network:
        entries = [one for one in network.chain.datasets() if one.steward in accounts and one.active]
        if not entries:
            raise Refused(f"{run}: site '{site}' has registered no data set there")
        entry = entries[-1]
        listing = read_listing(entry, FolderStore(workspace.blobs).get)
        where = network.deployment
        place = Place(where.chain_id, where.datasets, entry.id, entry.steward)
    assert listing.terms is not None  # `read_listing` reads them
    return listing.card, listing.terms, entry.readiness, place


def say_counts(card: Card) -> Iterator[str]:
    """What a card's counts say, a line per column; nothing if it has none."""
    noise = card.noise
    if noise is None:
        return
    if not noise.columns:
        yield (
            f"An earlier version's card spent epsilon {show_micro(noise.epsilon_micro)} of the lifetime budget on "
            "counts; this version has none."
        )
        return
    yield (
        f"Patients by column, with noise of standard deviation {noise.deviation:.0f} (epsilon "
        f"{show_micro(noise.epsilon_micro)}, delta {noise.delta_pico / PICO:g}, off the lifetime budget); "
        "what is below twice that may be noise and nothing else:"
    )
    for entry in card.columns:
        if entry.counts is not None:
            cells = zip(_names(entry.column, entry.counts), entry.counts.cells, strict=True)
            said = ", ".join(f"{name}: {say_count(number)}" for name, number in cells)
            yield f"  {entry.column.name}: {said}; missing: {say_count(entry.counts.missing)}"


def _names(column: Column, counts: Counts) -> list[str]:
    grid = counts.edges
    if grid:
        return [f"{low:g} to {high:g}" for low, high in pairwise(grid)]
    return list(column.levels) or (["no", "yes"] if column.kind == BOOLEAN else ["known"])
