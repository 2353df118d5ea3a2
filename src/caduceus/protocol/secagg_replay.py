"""A round of secure aggregation done again by a stranger, from what is public.

Whoever calls this has made sure that the set-up and the session are those that the chain and the public state call
for. A record that an honest coordinator could not have written is the coordinator's fault, whoever sent the message:
it had to refuse it. A site is named only by what it signed itself. Uploads are fetched one at a time and not kept, so
a replay takes no more memory than the sums.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from caduceus.errors import PeerFault, Refused
from caduceus.kinds import Digest, Residues
from caduceus.protocol.secagg_exchange import Exchange
from caduceus.protocol.secagg_messages import Consent, Opening, survivors_digest
from caduceus.protocol.secagg_reading import COORDINATOR, passed_on, peek_seat
from caduceus.protocol.secagg_round_reading import RoundReader
from caduceus.protocol.secagg_setup_record import Foundation
from caduceus.protocol.secagg_unmask import Device, confirmation_of, masks_on, open_secrets, unmask

FetchUpload = Callable[[int], bytes]
"""Gives a seat's signed upload; raises Refused if it is missing."""


def replay(
    exchange: Exchange,
    foundation: Foundation,
    fetch: FetchUpload,
    *,
    leaves: list[Digest] | None = None,
    threads: int = 1,
    device: Device | None = None,
) -> Mapping[int, Residues]:
    """Recompute the sums.

    leaves   filled with the leaves of the survivors' uploads by seat, if given: a list as long as the tree
    threads  how many may work on the masks
    device   hardware to take them off on instead
    returns  by place of their group, uint32[length] or uint64[length]: exactly what the round opened

    Raises PeerFault naming who did not say or do what the record claims, Refused if the record does not hold enough to
    open a sum or its session is unsound.
    """
    reader = _reader(exchange, foundation)
    if not (exchange.survivors or exchange.consents or exchange.openings):
        raise Refused("the record is of a round that failed before anybody was asked to open a sum")
    with passed_on():
        opened = reader.survivors(exchange.survivors, exchange.groups)
    alive = frozenset(exchange.survivors)
    _check_consents(exchange, reader, survivors_digest(exchange.survivors, opened))
    openings = _read_openings(exchange, foundation, reader, alive)
    secrets = open_secrets(foundation, reader.round, reader.due(exchange.groups), alive, openings)
    for owner, why in secrets.wrong.items():  # shown by shares that it signed for, so it is the owner's own doing
        raise PeerFault(f"seat {owner}", why, evidence=foundation.dealt[owner].signed)
    for owner, count in secrets.withheld.items():
        needed = foundation.layout.setup.plan.threshold
        raise Refused(f"only {count} members opened their shares of seat {owner}, {needed} are needed")
    masked = _add_up(exchange, reader, fetch, leaves)
    totals = {}
    for at in exchange.groups:
        masks = masks_on(foundation, reader.session, reader.groups[at], alive, secrets.found)
        for owner in masks.wrong:
            why = "published other pair seeds under its recovery key than it confirmed"
            raise PeerFault(f"seat {owner}", why, evidence=confirmation_of(foundation, owner))
        totals[at] = unmask(masked[at], masks, cipher=foundation.layout.setup.cipher, threads=threads, device=device)
    return totals


def upload_leaf(exchange: Exchange, foundation: Foundation, seat: int, data: bytes) -> Digest:
    """The leaf of a seat's upload in the round's tree.

    Raises PeerFault if the upload is not what its seat signed, or is one that the coordinator had to refuse.
    """
    reader = _reader(exchange, foundation)
    if seat not in foundation.present:
        raise PeerFault(COORDINATOR, f"recorded an upload of seat {seat}, which was not ready")
    with passed_on():
        return _leaf(reader, seat, data)[0]


def _reader(exchange: Exchange, foundation: Foundation) -> RoundReader:
    if exchange.session.ready != foundation.ready_id:
        raise PeerFault(COORDINATOR, "recorded a round of another set-up")
    return RoundReader(exchange.session, foundation.present)


def _leaf(reader: RoundReader, seat: int, data: bytes) -> tuple[Digest, Residues]:
    received = reader.upload(data, seat)
    return reader.leaf(received), received.vector


def _check_consents(exchange: Exchange, reader: RoundReader, agreed: Digest) -> None:
    seen: set[int] = set()
    for data in exchange.consents:
        seat = peek_seat(Consent, data)
        if seat not in exchange.survivors or seat not in reader.present.member_place or seat in seen:
            raise PeerFault(COORDINATOR, "recorded the consent of a site that is no surviving member, or one twice")
        with passed_on():
            reader.consent(data, seat, agreed)
        seen.add(seat)
    needed = reader.setup.plan.threshold
    if len(seen) < needed:
        raise Refused(f"only {len(seen)} members consented to the survivors, {needed} are needed")


def _read_openings(
    exchange: Exchange, foundation: Foundation, reader: RoundReader, alive: frozenset[int]
) -> dict[int, Opening]:
    openings: dict[int, Opening] = {}
    due = reader.due(exchange.groups)
    for data in exchange.openings:
        seat = peek_seat(Opening, data)
        if seat not in alive or seat not in reader.present.member_place or seat in openings:
            raise PeerFault(COORDINATOR, "recorded an opening of a site that is no surviving member, or one twice")
        with passed_on():
            openings[seat] = reader.opening(data, seat, foundation, due, alive)
    return openings


def _add_up(
    exchange: Exchange, reader: RoundReader, fetch: FetchUpload, leaves: list[Digest] | None
) -> dict[int, Residues]:
    """The sums of the masked vectors; nothing is as long as the record says until an upload shows it."""
    totals: dict[int, Residues] = {}
    alive = frozenset(exchange.survivors)
    for at in range(len(reader.groups)):
        for seat in reader.groups[at]:
            if seat not in alive or (at not in exchange.groups and leaves is None):
                continue
            with passed_on():
                leaf, vector = _leaf(reader, seat, fetch(seat))
            if leaves is not None:
                leaves[seat] = leaf
            if at in totals:
                np.add(totals[at], vector, out=totals[at])
            else:
                totals[at] = vector.copy()
            del vector  # and with it the upload, before the next is fetched
    return totals
