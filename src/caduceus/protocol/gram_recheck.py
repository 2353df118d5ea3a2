"""Whoever the coordinator names in a round of judged updates, a stranger checks again.

*Shown* is what the record shows of a party by more than the coordinator's word: a bound that a dealer broke, boxes that
two aggregators could not open (one of them keeps to the protocol), and two different messages that one party signed
where an honest one signs one. *Claimed* is the rest: what a party did not sign, or signed in answer to something that
the coordinator may have shown to it alone; and a quarrel of two aggregators, of whom one lied and nobody knows which.
That costs a party the round, and nobody pays or punishes on it. A coordinator that names a party for what the record
shows not to be so has broken the protocol itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from caduceus import canon
from caduceus.crypto import rss
from caduceus.errors import PeerFault, Refused
from caduceus.protocol import gram_upload as uploads
from caduceus.protocol.gram_exchange import GramExchange
from caduceus.protocol.gram_messages import (
    Accepted,
    Coin,
    GramShare,
    GramSum,
    Loan,
    Pledge,
    Verdict,
    Vouch,
    VouchBy,
    gathered,
)
from caduceus.protocol.gram_opening import TOO_FAR, TOO_LONG, blamed, multiply_out
from caduceus.protocol.gram_reading import TWO_REJECTED, GramReader, Rejections
from caduceus.protocol.gram_replay import FetchUpload
from caduceus.protocol.gram_session import GramPlan
from caduceus.protocol.secagg_intake import SECOND, Fault
from caduceus.protocol.secagg_reading import COORDINATOR, passed_on
from caduceus.protocol.secagg_recheck import Rechecked
from caduceus.protocol.secagg_upload import HEAD_BYTES, envelope

_KINDS: dict[str, type[Any]] = {
    canon.tag_of(kind): kind for kind in (Pledge, Accepted, Loan, GramShare, Coin, Verdict, GramSum)
}
_VOUCH_BY = canon.tag_of(VouchBy)


def recheck(exchange: GramExchange, plan: GramPlan, fetch: FetchUpload) -> tuple[Rechecked, ...]:
    """The faults of a round, whether it failed or not.

    fetch  gives a dealer's upload; asked only for those who are said to have sent a second one

    Raises PeerFault naming the coordinator for a fault that is none, Refused if an upload that is needed is missing.
    """
    if exchange.session != plan.session:
        raise PeerFault(COORDINATOR, "recorded a round of another session")
    reader = GramReader(plan)
    return tuple(Rechecked(fault, _is_shown(fault, exchange, reader, fetch)) for fault in exchange.faults)


def _is_shown(fault: Fault, exchange: GramExchange, reader: GramReader, fetch: FetchUpload) -> bool:
    plan, seat = reader.plan, fault.seat
    if seat in plan.dealers:
        if fault.why == TWO_REJECTED:
            return _require(fault, plan, seat in _rejections(exchange, reader).out)
        if fault.why in (TOO_FAR, TOO_LONG):
            return _require(fault, plan, _outside(exchange, reader, seat) == fault.why)
        if fault.why != SECOND:
            return False
        return b"" != _head(fetch(seat), plan, seat) != _head(fault.evidence, plan, seat) != b""
    if seat not in plan.aggregators:
        raise PeerFault(COORDINATOR, f"names party {seat}, which there is not")
    k = seat - plan.aggregators[0]
    if fault.why == SECOND:
        first = next((one for data in _table(exchange, fault.due) if (one := _bound(reader, fault.due, data, k))), b"")
        return b"" != first != _bound(reader, fault.due, fault.evidence, k) != b""
    if fault.why.startswith("or "):
        _require(fault, plan, (seat, fault.why) in _quarrels(exchange, reader, fault.due))
    return False


def _require(fault: Fault, plan: GramPlan, is_so: bool) -> bool:
    if not is_so:
        name = plan.ground.name_of(fault.seat)
        raise PeerFault(COORDINATOR, f"names {name} for what the record does not show: {fault.why}")
    return True


def _rejections(exchange: GramExchange, reader: GramReader) -> Rejections:
    with passed_on():
        told = reader.told(exchange.told, None, exchange.pledges)
        _require_three(exchange.accepted, exchange.pledges)
        accepted = [
            reader.accepted(data, k, canon.digest(told), told.dealers, reader.pledge(exchange.pledges[k], k))
            for k, data in enumerate(exchange.accepted)
        ]
    return reader.rejections(accepted, told.dealers)


def _outside(exchange: GramExchange, reader: GramReader, dealer: int) -> str | None:
    """What a dealer did by what was opened and, as three aggregators say, is right."""
    inside = _rejections(exchange, reader).inside
    with passed_on():
        _require_three(exchange.shares, exchange.verdicts)
        shares = [reader.share(data, k, gathered(exchange.accepted)) for k, data in enumerate(exchange.shares)]
        for k, data in enumerate(exchange.verdicts):
            reader.verdict(data, k, gathered(exchange.vouches))
    if blamed(reader.plan, shares):
        return None
    return multiply_out(reader.plan, inside, shares).outside.get(dealer)


def _quarrels(exchange: GramExchange, reader: GramReader, due: str) -> tuple[tuple[int, str], ...]:
    with passed_on():
        if due == canon.tag_of(GramShare):
            _require_three(exchange.shares)
            accepted = gathered(exchange.accepted)
            return blamed(reader.plan, [reader.share(data, k, accepted) for k, data in enumerate(exchange.shares)])
        _require_three(exchange.sums)
        return blamed(reader.plan, [reader.statement(GramSum, data, k) for k, data in enumerate(exchange.sums)])


def _require_three(*tables: Sequence[bytes]) -> None:
    if any(len(one) != rss.PARTIES for one in tables):
        raise PeerFault(COORDINATOR, "names a party for what came of messages that are not in the record")


def _table(exchange: GramExchange, due: str) -> Sequence[bytes]:
    """What was taken of a kind."""
    tables: dict[str, Sequence[bytes]] = {
        canon.tag_of(Pledge): exchange.pledges,
        canon.tag_of(Accepted): exchange.accepted,
        canon.tag_of(Loan): exchange.loans,
        canon.tag_of(GramShare): exchange.shares,
        canon.tag_of(Coin): exchange.coins,
        _VOUCH_BY: exchange.vouches,
        canon.tag_of(Verdict): exchange.verdicts,
        canon.tag_of(GramSum): exchange.sums,
    }
    return tables.get(due, ())


def _bound(reader: GramReader, due: str, data: bytes, k: int) -> bytes:
    """What an aggregator signed in this round, as the kind that was due; b"" if it did not."""
    try:
        if due == _VOUCH_BY:
            inner = canon.unpack(VouchBy, data).vouch if canon.peek_tag(data) == _VOUCH_BY else data
            return canon.pack(reader.statement(Vouch, inner, k))
        return canon.pack(reader.statement(_KINDS[due], data, k)) if due in _KINDS else b""
    except (PeerFault, Refused):
        return b""


def _head(data: bytes, plan: GramPlan, dealer: int) -> bytes:
    """What a dealer signed at the head of an upload to this round; b"" if it did not."""
    try:
        head = canon.pack(envelope(data[:HEAD_BYTES], who=""))
        return canon.pack(uploads.read_head(head, plan, dealer)[0])
    except PeerFault:
        return b""
