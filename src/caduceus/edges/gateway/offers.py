"""Data sets as their events tell them, each checked against its identifier; and which of them have one budget."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from caduceus.edges.gateway import suite
from caduceus.edges.gateway.abi import Log, forged, unhex
from caduceus.errors import Unavailable
from caduceus.kinds import Address, Digest, Readiness
from caduceus.market.ledger import DatasetEntry

_EVENTS = suite.DATASET_EVENTS
_REGISTERED, _SUPERSEDED = _EVENTS["DatasetRegistered"], _EVENTS["DatasetSuperseded"]
_WITHDRAWN, _STATED = _EVENTS["DatasetWithdrawn"], _EVENTS["ReadinessStated"]

TOLD_BY = (_REGISTERED, _SUPERSEDED, _WITHDRAWN, _STATED)
"""The events from which data sets are read; all name the data set first and its steward next."""

Spent = Callable[[Digest], tuple[int, int]]
"""What is spent of a data set's budget: epsilon in millionths, delta in millionths of a millionth."""


def read_offers(logs: Sequence[Log], spent: Spent) -> list[DatasetEntry]:
    """The data sets that were registered, in order, as they stand after the last log.

    logs   of `TOLD_BY`, in the chain's order; those of a data set all or none
    spent  asked for data sets with a budget only

    Raises PeerFault if the node shows other digests, another budget or another previous version than were registered.
    """
    superseded = {new: Digest(old) for new, _, old in (_SUPERSEDED.read(log) for log in logs if _SUPERSEDED.is_in(log))}
    gone = {_WITHDRAWN.read(log)[0] for log in logs if _WITHDRAWN.is_in(log)}
    stated = {name: said for name, _, *said in (_STATED.read(log) for log in logs if _STATED.is_in(log))}
    entries = []
    for log in logs:
        if not _REGISTERED.is_in(log):
            continue
        name, owner, commitment, card, terms, epsilon, delta = _REGISTERED.read(log)
        steward, previous = Address(unhex(owner)), superseded.get(name)
        if suite.dataset_id(steward, commitment, card, terms, epsilon, delta, previous) != name:
            raise forged(_REGISTERED, name)
        report, verdict = stated.get(name, (None, Readiness.UNSTATED))
        epsilon_spent, delta_spent = spent(name) if delta else (0, 0)
        entries.append(
            DatasetEntry(
                id=name,
                steward=steward,
                commitment=commitment,
                card=card,
                terms=terms,
                budget_micro=epsilon,
                delta_pico=delta,
                active=name not in gone,
                epsilon_spent_micro=epsilon_spent,
                delta_spent_pico=delta_spent,
                previous=previous,
                readiness=Readiness(verdict),
                report=report,
            )
        )
    return entries


def sharing(own: DatasetEntry, offers: Sequence[DatasetEntry]) -> list[Digest]:
    """Which of a steward's data sets have one budget with `own`: those of the same records, and of their versions.

    offers  all data sets of the steward of `own`, `own` among them

    Raises Unavailable if a version is there and the one before is not: the node has thrown away its log.
    """
    commitments = {one.id: one.commitment for one in offers}
    leads: dict[Digest, Digest] = {}

    def first(commitment: Digest) -> Digest:
        while commitment in leads:
            commitment = leads[commitment]
        return commitment

    for one in offers:
        if one.previous is not None:
            if one.previous not in commitments:
                raise Unavailable(
                    f"the node has no log of data set 0x{one.previous.hex()}, of which 0x{one.id.hex()} is a newer "
                    "version; ask one that keeps old logs"
                )
            new, old = first(one.commitment), first(commitments[one.previous])
            if new != old:
                leads[new] = old
    return [one.id for one in offers if first(one.commitment) == first(own.commitment)]
