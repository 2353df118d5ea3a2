"""The public record of a round of secure aggregation."""

from __future__ import annotations

from caduceus.canon import record
from caduceus.protocol.secagg_session import Session


@record("secagg/fault/1")
class Fault:
    """A site that broke the protocol.

    seat      as the channel says; the evidence shows it if it carries the site's signature
    phase     what was due, counted from 0
    why       for people
    evidence  the message as received
    """

    seat: int
    phase: int
    why: str
    evidence: bytes


@record("secagg/exchange/1")
class Exchange:
    """The signed messages of a round, uploads and sealed parcels aside.

    advertisements  of the sites in the roster, ascending by seat
    shares          `Shares` without parcels, ascending by seat: whose masks are on the vectors
    survivors       seats whose uploads are in the sum
    consents        to that list
    openings        of shares
    faults          who was left out for breaking the protocol, and how

    Reveals: who took part; and, with the uploads, the sum that the round opened. Openings of survivors' own
    masks and of the mask keys of sites that sent nothing reveal nothing more (see `Opening`).
    """

    session: Session
    advertisements: tuple[bytes, ...]
    shares: tuple[bytes, ...]
    survivors: tuple[int, ...]
    consents: tuple[bytes, ...]
    openings: tuple[bytes, ...]
    faults: tuple[Fault, ...]
