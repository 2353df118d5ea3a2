"""A round of secure aggregation done again by a stranger, from what is public.

Whoever calls this has made sure that the exchange's session is the one that the chain and the public state call
for. A record that an honest coordinator could not have written is the coordinator's fault, whoever sent the
message: it had to refuse it. A site is named only by what it signed itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from caduceus import canon
from caduceus.crypto import merkle
from caduceus.errors import PeerFault, Refused
from caduceus.kinds import Digest, Residues
from caduceus.protocol.secagg_exchange import Exchange
from caduceus.protocol.secagg_messages import (
    Advertise,
    Consent,
    Header,
    Opening,
    Roster,
    Shares,
    dealing_digest,
    upload_leaf_data,
)
from caduceus.protocol.secagg_reading import COORDINATOR, Dealt, Reader, passed_on, peek_seat
from caduceus.protocol.secagg_unmask import check_opening, open_secrets, unmask

FetchUpload = Callable[[int], bytes]
"""Gives a seat's signed upload; raises Refused if it is missing."""


@dataclass(frozen=True, slots=True)
class _Dealing:
    """The part of a round before anybody sent a vector, checked."""

    reader: Reader
    roster: Digest
    mask_keys: dict[int, bytes]
    dealt: dict[int, Dealt]
    digest: Digest


def leaves(exchange: Exchange, seats_with_upload: tuple[int, ...], fetch: FetchUpload) -> list[Digest]:
    """The leaves of the round's tree, recomputed from the uploads; empty where a seat sent none.

    Raises PeerFault if an upload is not what its seat signed, Refused if one is missing or the session unsound.
    """
    dealing = _dealing(exchange)
    session = exchange.session
    found = [merkle.EMPTY] * (max(session.seats) + 1)
    for seat in seats_with_upload:
        if seat not in dealing.dealt:
            raise PeerFault(COORDINATOR, f"recorded an upload of seat {seat}, which shared nothing")
        with passed_on():
            _, signed = dealing.reader.upload(fetch(seat), seat, dealing.roster, dealing.digest)
        body = canon.digest_bytes(signed.body)
        found[seat] = merkle.leaf(upload_leaf_data(session.job, session.round, seat, body, signed.signature))
    return found


def replay(exchange: Exchange, fetch: FetchUpload) -> Residues:
    """Recompute the sum; uploads are fetched one at a time and not kept.

    returns  uint32[length] or uint64[length]: exactly what the round opened

    Raises PeerFault naming who did not say or do what the record claims, Refused if the record does not
    hold enough to open a sum or its session is unsound.
    """
    dealing = _dealing(exchange)
    survivors = exchange.survivors
    if list(survivors) != sorted(set(survivors)) or not dealing.dealt.keys() >= set(survivors):
        raise PeerFault(COORDINATOR, "recorded survivors that never shared, or one twice")
    _check_consents(exchange, dealing)
    openings = _read_openings(exchange, dealing)
    secrets = _open_secrets(exchange.session.threshold, dealing, frozenset(survivors), openings)
    masked = _add_up(exchange, dealing, fetch)
    return unmask(exchange.session, dealing.roster, dealing.mask_keys, masked, frozenset(survivors), secrets)


def _dealing(exchange: Exchange) -> _Dealing:
    reader = Reader(exchange.session)
    seats = tuple(peek_seat(Advertise, data) for data in exchange.advertisements)
    roster = Roster(reader.id, seats, exchange.advertisements)
    mask_keys, roster_id = reader.roster(roster), canon.digest(roster)
    dealt: dict[int, Dealt] = {}
    headers = []
    for data in exchange.shares:
        seat, header = _sender(data)
        if seat not in mask_keys or (dealt and seat <= max(dealt)):
            raise PeerFault(COORDINATOR, "recorded shares out of order, or of a stranger", evidence=data)
        with passed_on():
            dealt[seat], _ = reader.shares(data, seat, roster_id, len(mask_keys))
        headers.append(header)
    return _Dealing(reader, roster_id, mask_keys, dealt, dealing_digest(headers))


def _sender(data: bytes) -> tuple[int, bytes]:
    try:
        header = canon.unpack(Shares, data).header
    except Refused as problem:
        raise PeerFault(COORDINATOR, f"recorded unreadable shares: {problem}", evidence=data) from None
    return peek_seat(Header, header), header


def _check_consents(exchange: Exchange, dealing: _Dealing) -> None:
    agreed: set[int] = set()
    for data in exchange.consents:
        seat = peek_seat(Consent, data)
        if seat not in exchange.survivors or seat in agreed:
            raise PeerFault(COORDINATOR, "recorded the consent of a site that is no survivor, or one twice")
        with passed_on():
            dealing.reader.consent(data, seat, dealing.roster, dealing.digest, exchange.survivors)
        agreed.add(seat)
    needed = exchange.session.threshold
    if len(agreed) < needed:
        raise Refused(f"only {len(agreed)} sites consented to the survivors, {needed} are needed")


def _read_openings(exchange: Exchange, dealing: _Dealing) -> dict[int, Opening]:
    position = {seat: place for place, seat in enumerate(dealing.mask_keys)}
    survivors = frozenset(exchange.survivors)
    openings: dict[int, Opening] = {}
    for data in exchange.openings:
        seat = peek_seat(Opening, data)
        if seat not in survivors or seat in openings:
            raise PeerFault(COORDINATOR, "recorded an opening of a site that is no survivor, or one twice")
        with passed_on():
            opening = dealing.reader.opening(data, seat)
            check_opening(opening, dealing.dealt, position[seat], survivors)
        openings[seat] = opening
    return openings


def _open_secrets(
    threshold: int, dealing: _Dealing, survivors: frozenset[int], openings: dict[int, Opening]
) -> dict[int, bytes]:
    secrets = open_secrets(threshold, dealing.mask_keys, dealing.dealt, survivors, openings)
    for owner, why in secrets.wrong.items():  # shown by shares that it signed for, so it is the owner's own doing
        raise PeerFault(f"seat {owner}", why, evidence=dealing.dealt[owner].signed)
    for owner, count in secrets.withheld.items():
        raise Refused(f"only {count} sites opened their shares of seat {owner}, {threshold} are needed")
    return secrets.found


def _add_up(exchange: Exchange, dealing: _Dealing, fetch: FetchUpload) -> Residues:
    """The sum of the masked vectors; nothing is as long as the record says until an upload shows it."""
    total: Residues | None = None
    for seat in exchange.survivors:
        with passed_on():
            upload, _ = dealing.reader.upload(fetch(seat), seat, dealing.roster, dealing.digest)
        if total is None:
            total = upload.vector.copy()
        else:
            np.add(total, upload.vector, out=total)
    assert total is not None  # a threshold of survivors consented
    return total
