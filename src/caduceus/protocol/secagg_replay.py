"""A round of secure aggregation done again by a stranger, from what is public."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from caduceus import canon
from caduceus.crypto import merkle
from caduceus.errors import PeerFault, Refused
from caduceus.kinds import Digest, Residues
from caduceus.protocol.secagg_exchange import Exchange
from caduceus.protocol.secagg_messages import Consent, Header, Opening, Roster, Shares, upload_leaf_data
from caduceus.protocol.secagg_reading import (
    peek_seat,
    read_consent,
    read_opening,
    read_roster,
    read_shares,
    read_upload,
)
from caduceus.protocol.secagg_unmask import Dealt, check_opening, unmask

FetchUpload = Callable[[int], bytes]
"""Gives a seat's signed upload; raises Refused if it is missing."""


def leaves(exchange: Exchange, seats_with_upload: tuple[int, ...], fetch: FetchUpload) -> list[Digest]:
    """The leaves of the round's tree, recomputed from the uploads; empty where a seat sent none.

    Raises PeerFault naming a seat whose upload is not what it signed, Refused if one is missing.
    """
    session, session_id = exchange.session, exchange.session.digest
    roster, _, dealt = _dealing(exchange)
    found = [merkle.EMPTY] * (max(session.seats) + 1)
    for seat in seats_with_upload:
        _, signed = read_upload(session, session_id, roster, tuple(dealt), fetch(seat), seat)
        body = canon.digest_bytes(signed.body)
        found[seat] = merkle.leaf(upload_leaf_data(session.job, session.round, seat, body, signed.signature))
    return found


def replay(exchange: Exchange, fetch: FetchUpload) -> Residues:
    """Recompute the sum; uploads are fetched one at a time and not kept.

    returns  uint32[length] or uint64[length]: exactly what the round opened

    Raises PeerFault naming who did not say or do what the record claims, Refused if the record does not
    hold enough to open a sum.
    """
    session, session_id = exchange.session, exchange.session.digest
    roster, mask_keys, dealt = _dealing(exchange)
    survivors = exchange.survivors
    if list(survivors) != sorted(set(survivors)) or not set(survivors) <= dealt.keys():
        raise PeerFault("the coordinator", "recorded survivors that never shared")
    _check_consents(exchange, session_id, roster)
    openings = _read_openings(exchange, session_id, mask_keys, dealt)

    def vectors() -> Iterator[tuple[int, Residues]]:
        for seat in survivors:
            upload, _ = read_upload(session, session_id, roster, tuple(dealt), fetch(seat), seat)
            yield seat, upload.vector

    return unmask(session, session_id, mask_keys, dealt, vectors(), frozenset(survivors), openings)


def _dealing(exchange: Exchange) -> tuple[Digest, dict[int, bytes], dict[int, Dealt]]:
    """The roster's digest, the advertised keys, and what each sender shared; everything checked."""
    session, session_id = exchange.session, exchange.session.digest
    roster = Roster(session_id, exchange.advertisements)
    mask_keys = read_roster(session, session_id, roster)
    roster_id = canon.digest(roster)
    dealt: dict[int, Dealt] = {}
    for data in exchange.shares:
        try:
            seat = peek_seat(Header, canon.unpack(Shares, data).header)
        except Refused as problem:
            raise PeerFault("the coordinator", f"recorded unreadable shares: {problem}") from None
        if seat not in mask_keys or (dealt and seat <= max(dealt)):
            raise PeerFault("the coordinator", "recorded shares out of order, or of a stranger")
        header, shares = read_shares(session, session_id, roster_id, len(mask_keys), data, seat)
        dealt[seat] = Dealt(header, shares)
    return roster_id, mask_keys, dealt


def _check_consents(exchange: Exchange, session_id: Digest, roster: Digest) -> None:
    agreed = set()
    for data in exchange.consents:
        seat = peek_seat(Consent, data)
        if seat not in exchange.survivors:
            raise PeerFault("the coordinator", "recorded the consent of a site that is no survivor", evidence=data)
        consent = read_consent(exchange.session, session_id, data, seat)
        if (consent.roster, consent.survivors) != (roster, exchange.survivors):
            raise PeerFault("the coordinator", f"recorded survivors that seat {seat} did not consent to", evidence=data)
        agreed.add(seat)
    if len(agreed) < exchange.session.threshold:
        raise Refused(f"only {len(agreed)} sites consented to the survivors, {exchange.session.threshold} are needed")


def _read_openings(
    exchange: Exchange, session_id: Digest, mask_keys: dict[int, bytes], dealt: dict[int, Dealt]
) -> dict[int, Opening]:
    positions = {seat: place for place, seat in enumerate(mask_keys)}
    openings: dict[int, Opening] = {}
    for data in exchange.openings:
        seat = peek_seat(Opening, data)
        if seat not in positions or seat in openings:
            raise PeerFault("the coordinator", "recorded an opening of a stranger, or one twice", evidence=data)
        opening = read_opening(exchange.session, session_id, data, seat)
        check_opening(opening, dealt, positions, frozenset(exchange.survivors))
        openings[seat] = opening
    return openings
