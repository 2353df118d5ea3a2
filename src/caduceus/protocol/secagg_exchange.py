"""The public record of a round of secure aggregation."""

from __future__ import annotations

from caduceus.canon import record
from caduceus.protocol.secagg_intake import Fault
from caduceus.protocol.secagg_session import Session


@record("secagg/exchange/2")
class Exchange:
    """The signed messages of a round, uploads aside; the set-up that it stands on is a record of its own.

    survivors  seats whose uploads are in
    groups     places of the groups whose sums are opened
    consents   of members of the committee to that list
    openings   of shares
    faults     who was left out for breaking the protocol, and how

    Reveals: who took part; and, with the uploads and the set-up's record, the sums that the round opened (see
    `Opening`).
    """

    session: Session
    survivors: tuple[int, ...]
    groups: tuple[int, ...]
    consents: tuple[bytes, ...]
    openings: tuple[bytes, ...]
    faults: tuple[Fault, ...]
