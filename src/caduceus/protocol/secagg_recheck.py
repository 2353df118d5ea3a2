"""Whoever the coordinator names, a stranger checks again: did that site sign what breaks the protocol?

Every message that was refused is read again by the same code that refused it. What comes of it:

- shown: the site signed a message of this set-up or round that no honest site signs, or two where an honest one signs
  one; or the public record shows the fault;
- claimed: nothing shows that the site did it, as with garbage, with what somebody else signed, or with a vector that
  is not in the evidence: the coordinator's word. It costs the site that round, and nobody pays or punishes on it.

A coordinator that names a site for a message in which nothing is wrong has broken the protocol itself; and so has one
that names it for a message that it had to pass over, since it is of an earlier phase, or says that it is of another
set-up or round. Honest sites' messages come late. An honest coordinator asks the same of the same bytes before it names
anybody (`secagg_intake`), so no site can bring this upon it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from caduceus import canon
from caduceus.errors import PeerFault, Refused
from caduceus.kinds import Digest
from caduceus.protocol.secagg_exchange import Exchange
from caduceus.protocol.secagg_intake import SECOND, Fault, is_late
from caduceus.protocol.secagg_messages import (
    Advertise,
    Confirm,
    Consent,
    Deal,
    Endorse,
    Header,
    Opening,
    Upload,
    survivors_digest,
)
from caduceus.protocol.secagg_reading import (
    COORDINATOR,
    name_of,
    passed_on,
    peek_seat,
    statement,
    vouched,
    vouched_by_itself,
)
from caduceus.protocol.secagg_round_reading import RoundReader
from caduceus.protocol.secagg_setup_reading import SetupReader, in_common
from caduceus.protocol.secagg_setup_record import Foundation
from caduceus.protocol.secagg_stray import is_stray
from caduceus.protocol.secagg_unmask import confirmation_of, masks_on, open_secrets

_IN_A_SETUP = _ADVERTISE, _DEAL, _CONFIRM, _ENDORSE = tuple(
    canon.tag_of(kind) for kind in (Advertise, Deal, Confirm, Endorse)
)
_IN_A_ROUND = _UPLOAD, _CONSENT, _OPENING = tuple(canon.tag_of(kind) for kind in (Upload, Consent, Opening))


@dataclass(frozen=True, slots=True)
class Rechecked:
    """A fault, and whether it is shown by more than the coordinator's word."""

    fault: Fault
    is_shown: bool


def recheck_setup(foundation: Foundation) -> tuple[Rechecked, ...]:
    """The faults of a set-up.

    Raises PeerFault naming the coordinator for a fault that is none.
    """
    record, reader = foundation.record, SetupReader(foundation.layout)
    present, roster = foundation.roster_present, foundation.roster_id
    taken = {
        _ADVERTISE: dict(zip(record.ready.seats, record.advertisements, strict=True)),
        _DEAL: dict(zip(record.ready.seats, record.deals, strict=True)),
        _CONFIRM: dict(zip(record.ready.seats, record.confirms, strict=True)),
    }

    def read(fault: Fault) -> object:
        """The evidence, read as the coordinator did."""
        seat, data = fault.seat, fault.evidence
        if fault.due == _ADVERTISE:
            return reader.advertisement(data, seat)
        if seat not in foundation.verifiers:
            raise Refused("the site is not in the roster")
        if fault.due == _DEAL:
            verifier = foundation.verifiers[seat]
            return reader.deal(data, seat, roster=roster, present=present, verifier=verifier)
        if fault.due == _CONFIRM:
            return reader.confirmation(data, seat, roster=roster, present=present)
        return reader.endorsement(data, seat, ready=record.ready)

    def check(fault: Fault) -> Rechecked:
        _require_enrolled(fault, foundation)
        stood = None if fault.due == _ADVERTISE else roster
        settled = foundation.ready_id if fault.due == _ENDORSE else None
        _require_due(fault, _IN_A_SETUP, partial(is_stray, own=foundation.layout.id, roster=stood, ready=settled))
        first = taken.get(fault.due, {}).get(fault.seat)
        binds = partial(_bound_in_setup, fault, foundation)
        return Rechecked(fault, _from_tables(fault, foundation) or _is_shown(fault, read, binds, first, foundation))

    return tuple(check(fault) for fault in record.faults)


def recheck_round(exchange: Exchange, foundation: Foundation) -> tuple[Rechecked, ...]:
    """The faults of a round.

    Raises PeerFault naming the coordinator for a fault that is none, Refused if the round's session is unsound.
    """
    reader = RoundReader(exchange.session, foundation.present)
    if exchange.survivors or exchange.groups:
        with passed_on():
            reader.survivors(exchange.survivors, exchange.groups)
    alive, due = frozenset(exchange.survivors), reader.due(exchange.groups)
    agreed = survivors_digest(exchange.survivors, reader.alive_in(exchange.survivors, exchange.groups))
    taken = {
        _CONSENT: {peek_seat(Consent, data): data for data in exchange.consents},
        _OPENING: {peek_seat(Opening, data): data for data in exchange.openings},
    }

    def read(fault: Fault) -> object:
        """The evidence, read as the coordinator did."""
        seat, data = fault.seat, fault.evidence
        if fault.due == _CONSENT and seat in foundation.present.member_place:
            return reader.consent(data, seat, agreed)
        if fault.due == _OPENING and seat in foundation.present.member_place:
            reader.opening_in_form(data, seat, due)
            try:
                return reader.opening(data, seat, foundation, due, alive)
            except PeerFault:
                # Where a dealer sides with the coordinator, the member may have been given it under another header.
                raise Refused("the member may have been given this share") from None
        raise Refused("of an upload the vector is not in the evidence")

    wrong = _wrong_owners(exchange, foundation, reader)

    def check(fault: Fault) -> Rechecked:
        _require_enrolled(fault, foundation)
        if not _is_quoted(fault, foundation):
            _require_due(fault, _IN_A_ROUND, partial(is_stray, own=reader.id))
        first = taken.get(fault.due, {}).get(fault.seat)
        binds = partial(_bound_in_round, fault, foundation, reader.id, agreed)
        return Rechecked(fault, fault.seat in wrong or _is_shown(fault, read, binds, first, foundation))

    return tuple(check(fault) for fault in exchange.faults)


def _require_enrolled(fault: Fault, foundation: Foundation) -> None:
    if fault.seat not in foundation.layout.parties:
        raise PeerFault(COORDINATOR, f"names {name_of(fault.seat)}, which is not enrolled")


def _require_due(fault: Fault, kinds: Sequence[str], stray: Callable[[bytes], bool]) -> None:
    """Raise PeerFault naming the coordinator if the evidence is a message that it had to pass over."""
    if is_late(fault.evidence, fault.due, kinds) or stray(fault.evidence):
        why = f"names {name_of(fault.seat)} for a message that it had to pass over"
        raise PeerFault(COORDINATOR, f"{why}, late or of another set-up or round: {fault.why}", evidence=fault.evidence)


def _is_quoted(fault: Fault, foundation: Foundation) -> bool:
    """Whether the evidence in a round is what the site signed in the set-up, where openings show that to be false."""
    if fault.due != _OPENING or fault.seat not in foundation.present:
        return False
    return fault.evidence in (foundation.dealt[fault.seat].signed, confirmation_of(foundation, fault.seat))


def _is_shown(
    fault: Fault,
    read: Callable[[Fault], object],
    binds: Callable[[bytes], bytes],
    first: bytes | None,
    foundation: Foundation,
) -> bool:
    """Whether the evidence shows the fault.

    read   reads the evidence as the coordinator did
    binds  what a message of the kind that was due binds its site to; b"" if it does not
    first  the message of this kind that was taken from the site
    """
    if fault.why == SECOND and first is not None:
        return binds(first) != binds(fault.evidence) != b""
    try:
        read(fault)
    except PeerFault:
        # Of a deal the tables and parcels are not signed one by one: whoever passed it on may have changed them.
        return fault.due != _DEAL and binds(fault.evidence) != b""
    except Refused:
        return False
    if fault.seat not in foundation.present or not fault.evidence:
        return False  # what others said of it, who may have been left out as well
    raise PeerFault(COORDINATOR, f"names {name_of(fault.seat)} for a message in which nothing is wrong: {fault.why}")


def _bound_in_setup(fault: Fault, foundation: Foundation, data: bytes) -> bytes:
    """What a site signed in this set-up, under this roster, and honest ones sign once.

    What an honest site may say twice in another form, as its deal after a restart, is left out.
    """
    layout, roster, seat = foundation.layout, foundation.roster_id, fault.seat
    try:
        if fault.due == _ADVERTISE:
            said = vouched_by_itself(Advertise, data, voucher=layout.party(seat).voucher, seat=seat)
            return canon.pack(said) if (said.setup, said.seat) == (layout.id, seat) else b""
        if fault.due == _DEAL:
            signed, verifier = canon.unpack(Deal, data).header, foundation.verifiers.get(seat, b"")
            dealt = vouched(Header, signed, verifier=verifier, seat=seat)
            return dealt.commitments if (dealt.setup, dealt.roster, dealt.seat) == (layout.id, roster, seat) else b""
        signer, domain = layout.party(seat).signer, layout.setup.domain
        if fault.due == _CONFIRM:
            confirmed = statement(Confirm, data, signer=signer, domain=domain, seat=seat)
            own = (confirmed.setup, confirmed.roster, confirmed.seat) == (layout.id, roster, seat)
            return canon.pack(confirmed) if own else b""
        endorsed = statement(Endorse, data, signer=signer, domain=domain, seat=seat)
        return canon.pack(endorsed) if (endorsed.ready, endorsed.seat) == (foundation.ready_id, seat) else b""
    except (PeerFault, Refused):
        return b""


def _bound_in_round(fault: Fault, foundation: Foundation, session: Digest, agreed: Digest, data: bytes) -> bytes:
    """What a site signed in this round, and honest ones sign once.

    A consent to another list is not held against a site alone: the coordinator may have shown it another.
    """
    party, domain, seat = foundation.layout.party(fault.seat), foundation.layout.setup.domain, fault.seat
    try:
        if fault.due == _CONSENT:
            said = statement(Consent, data, signer=party.signer, domain=domain, seat=seat)
            is_other = said.survivors != agreed and fault.why != SECOND
            return b"" if is_other or (said.session, said.seat) != (session, seat) else canon.pack(said)
        if fault.due == _OPENING:
            opened = statement(Opening, data, signer=party.signer, domain=domain, seat=seat)
            return canon.pack(opened) if (opened.session, opened.seat) == (session, seat) else b""
    except PeerFault:
        pass
    return b""


def _from_tables(fault: Fault, foundation: Foundation) -> bool:
    """Whether the record itself shows the fault: a site that disagrees with more neighbours than there can be liars, or
    whose parcels more members missed than that."""
    plan = foundation.layout.setup.plan
    if fault.seat in foundation.present or fault.due != _CONFIRM:
        return False
    missing = sum(fault.seat in one for one in foundation.missing.values())
    return missing > plan.committee // 3 or _quarrels(fault, foundation) > plan.sites // 3


def _quarrels(fault: Fault, foundation: Foundation) -> int:
    """With how many ready neighbours a site that is not ready does not agree, by what it signed itself."""
    reader, present = SetupReader(foundation.layout), foundation.roster_present
    try:
        said = reader.confirmation(fault.evidence, fault.seat, roster=foundation.roster_id, present=present)
    except PeerFault:
        return 0
    count = 0
    for at, other in enumerate(present.neighbours(fault.seat)):
        if other in foundation.present:
            neighbours, table = foundation.table(other)
            back = neighbours.index(fault.seat)
            count += not in_common(said.tables[at, :, 0], table[back, :, 0])
    return count


def _wrong_owners(exchange: Exchange, foundation: Foundation, reader: RoundReader) -> frozenset[int]:
    """Owners whose opened shares, or whose opened tables, are not what they committed to: the openings show it."""
    alive, due = frozenset(exchange.survivors), reader.due(exchange.groups)
    openings: dict[int, Opening] = {}
    for data in exchange.openings:
        seat = peek_seat(Opening, data)
        if seat in foundation.present.member_place:
            try:
                openings[seat] = reader.opening(data, seat, foundation, due, alive)
            except PeerFault:
                continue
    secrets = open_secrets(foundation, reader.round, due, alive, openings)
    wrong = set(secrets.wrong)
    if not secrets.wrong and not secrets.withheld:
        for at in exchange.groups:
            wrong |= set(masks_on(foundation, reader.session, reader.groups[at], alive, secrets.found).wrong)
    return frozenset(wrong)
