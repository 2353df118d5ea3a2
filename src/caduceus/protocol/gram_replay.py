"""A round of judged updates done again by a stranger, from what is public.

Whoever calls this has made sure that the plan is the one that the chain and the public state call for. A record that an
honest coordinator could not have written is the coordinator's fault, whoever sent the message: it had to refuse it.
What a stranger cannot do again is the check of the products, which needs shares: for that stand three signed verdicts,
of which one liar can give one; and, where rows are not sketched, the square norm of the total, which anybody compares.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from caduceus import canon
from caduceus.crypto import rss
from caduceus.errors import PeerFault, Refused
from caduceus.kinds import Digest
from caduceus.protocol import gram_upload as uploads
from caduceus.protocol.gram_exchange import GramExchange
from caduceus.protocol.gram_messages import (
    Agreed,
    GramList,
    GramShare,
    GramUpload,
    Shares,
    gathered,
)
from caduceus.protocol.gram_opening import Judged, Products, add_up, judge_by, multiply_out, require_agreement
from caduceus.protocol.gram_reading import TWO_REJECTED, GramReader, Rejections
from caduceus.protocol.gram_session import GramPlan, Judge, Ring
from caduceus.protocol.gram_upload import Told
from caduceus.protocol.secagg_intake import Fault
from caduceus.protocol.secagg_reading import COORDINATOR, passed_on

FetchUpload = Callable[[int], bytes]
"""Gives a dealer's signed upload; raises Refused if it is missing."""


@dataclass(frozen=True, slots=True, eq=False)
class Replayed:
    """What a round opened.

    products  inner products, and who broke its bounds
    judged    what follows from them by the public rule
    total     uint64[length], the weighted sum of the sites' first rows
    listed    dealers whose uploads are on the list that the aggregators accepted, ascending: an upload that was taken
              in and is not among them was left out by the coordinator
    summed    seats whose rows were present, ascending
    faults    of dealers, as the record shows them to anybody: bounds that were broken, and boxes that two aggregators
              say did not open
    """

    products: Products
    judged: Judged
    total: Ring
    listed: tuple[int, ...]
    summed: tuple[int, ...]
    faults: tuple[Fault, ...]


def replay(
    exchange: GramExchange,
    plan: GramPlan,
    fetch: FetchUpload,
    judge: Judge,
    *,
    leaves: list[Digest] | None = None,
) -> Replayed:
    """Recompute everything that a round opened.

    judge   the public rule, in that state
    leaves  filled with the leaves of the sites' uploads by seat, if given: a list as long as the tree

    Uploads are fetched one at a time, those that are weighed twice, and not kept.

    Raises PeerFault naming who did not say or do what the record claims, Refused if the round failed: then the record
    does not hold enough to open a sum.
    """
    reader = _reader(exchange, plan)
    _require_whole(exchange)
    told = _read_uploads(exchange, reader, fetch, leaves)
    with passed_on():
        rejections = _read_rejections(exchange, reader, told)
        shares = _read_products(exchange, reader)
    require_agreement(plan, shares, canon.pack(Shares(exchange.shares)))
    products = multiply_out(plan, rejections.inside, shares)
    reports = {dealer: told[dealer].dealing.report for dealer in products.present}
    judged = judge_by(plan, products, reports, judge)
    with passed_on():
        verdicts = gathered(exchange.verdicts)
        sums = [reader.sum(data, k, verdicts, judged.weights) for k, data in enumerate(exchange.sums)]
    require_agreement(plan, sums, b"")

    def correction(seat: int) -> Ring:
        return uploads.read(fetch(seat), plan, seat).correction

    total = add_up(plan, products, judged.weights, sums, correction)
    summed = tuple(dealer for dealer in products.present if dealer < plan.sites)
    return Replayed(products, judged, total, tuple(told), summed, _faults(exchange, rejections, products))


def upload_leaf(exchange: GramExchange, plan: GramPlan, dealer: int, data: bytes) -> Digest:
    """The leaf of a dealer's upload in the round's tree.

    Raises PeerFault if the upload is not what the dealer signed, or is one that the coordinator had to refuse.
    """
    reader = _reader(exchange, plan)
    if dealer not in reader.plan.dealers:
        raise PeerFault(COORDINATOR, f"recorded an upload of party {dealer}, which deals nothing")
    with passed_on():
        return uploads.leaf(uploads.read(data, plan, dealer).told.signed, plan, dealer)


def _reader(exchange: GramExchange, plan: GramPlan) -> GramReader:
    if exchange.session != plan.session:
        raise PeerFault(COORDINATOR, "recorded a round of another session")
    return GramReader(plan)


def _require_whole(exchange: GramExchange) -> None:
    tables = (
        exchange.pledges,
        exchange.accepted,
        exchange.shares,
        exchange.coins,
        exchange.vouches,
        exchange.verdicts,
        exchange.sums,
    )
    if exchange.objections or any(len(one) < rss.PARTIES for one in tables):
        raise Refused("the record is of a round that failed: not all three aggregators opened a sum")
    if any(len(one) > rss.PARTIES for one in tables):
        raise PeerFault(COORDINATOR, "recorded more messages than there are aggregators")


def _read_uploads(
    exchange: GramExchange, reader: GramReader, fetch: FetchUpload, leaves: list[Digest] | None
) -> dict[int, Told]:
    """What the listed dealers uploaded, each held to the list and to what it signed."""
    plan, found = reader.plan, dict[int, Told]()
    listed = reader.told(exchange.told, None, exchange.pledges).dealers
    for dealer in listed:
        data = fetch(dealer)
        with passed_on():
            found[dealer] = uploads.read(data, plan, dealer).told
        if leaves is not None and dealer < plan.sites:
            leaves[dealer] = uploads.leaf(found[dealer].signed, plan, dealer)
        if dealer >= plan.sites and _evaluator_digest(exchange, plan, dealer) != canon.digest_bytes(data):
            raise PeerFault(COORDINATOR, f"recorded another upload of {plan.ground.name_of(dealer)} than it lists")
        del data
    absent = [at for at, digest in enumerate(exchange.evaluators) if digest is not None]
    if len(exchange.evaluators) != len(plan.ground.evaluators) or {plan.sites + at for at in absent} - found.keys():
        raise PeerFault(COORDINATOR, "recorded uploads of evaluators that are not on its list")
    reader.told(exchange.told, [found[dealer].head for dealer in listed], exchange.pledges)
    return found


def _evaluator_digest(exchange: GramExchange, plan: GramPlan, dealer: int) -> Digest | None:
    at = dealer - plan.sites
    return exchange.evaluators[at] if at < len(exchange.evaluators) else None


def _read_rejections(exchange: GramExchange, reader: GramReader, told: dict[int, Told]) -> Rejections:
    """Who is in, by what the three accepted."""
    pledges = [reader.pledge(data, k) for k, data in enumerate(exchange.pledges)]
    listed = GramList(reader.id, tuple(told), gathered(one.head for one in told.values()), gathered(exchange.pledges))
    digest = canon.digest(listed)
    accepted = [
        reader.accepted(data, k, digest, listed.dealers, pledges[k]) for k, data in enumerate(exchange.accepted)
    ]
    rejections = reader.rejections(accepted, listed.dealers)
    reader.require_quorum(rejections.inside)
    lenders = [k for k in range(rss.PARTIES) if rejections.due(k)]
    if len(exchange.loans) != len(lenders):
        raise PeerFault(COORDINATOR, f"recorded {len(exchange.loans)} loans, {len(lenders)} were due")
    for k, data in zip(lenders, exchange.loans, strict=True):
        reader.loan(data, k, gathered(exchange.accepted), rejections.due(k))
    return rejections


def _read_products(exchange: GramExchange, reader: GramReader) -> list[GramShare]:
    """The parts of the inner products, and everything that was said about them before the sum."""
    pledges = [reader.pledge(data, k) for k, data in enumerate(exchange.pledges)]
    agreed, fixed = gathered(exchange.accepted), gathered(exchange.shares)
    shares = [reader.share(data, k, agreed) for k, data in enumerate(exchange.shares)]
    for k in range(rss.PARTIES):
        reader.coin(exchange.coins[k], k, fixed, pledges[k])
        reader.vouch(exchange.vouches[k], k, gathered(exchange.coins))
        reader.verdict(exchange.verdicts[k], k, gathered(exchange.vouches))
    return shares


def _faults(exchange: GramExchange, rejections: Rejections, products: Products) -> tuple[Fault, ...]:
    """Dealers that are out, in the order in which the coordinator finds them."""
    due, agreed, opened = canon.tag_of(GramUpload), canon.pack(Agreed(exchange.accepted)), Shares(exchange.shares)
    out = [Fault(dealer, due, TWO_REJECTED, agreed) for dealer in rejections.out]
    return (*out, *(Fault(dealer, due, why, canon.pack(opened)) for dealer, why in products.outside.items()))
