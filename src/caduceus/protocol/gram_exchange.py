"""The public record of a round of judged updates."""

from __future__ import annotations

from caduceus.canon import record
from caduceus.kinds import Digest
from caduceus.protocol.gram_session import GramSession
from caduceus.protocol.secagg_intake import Fault


@record("gram/exchange/1")
class GramExchange:
    """The signed messages of a round, uploads aside.

    pledges     of the aggregators, as all that follow in their order; fewer where the round failed on the way
    told        the coordinator's list; b"" if it came to none
    accepted    the list, and which boxes did not open
    loans       of those who owed one, ascending
    shares      of the inner products
    coins       after the products were fixed
    vouches     for the products
    verdicts    on the products
    sums        of the keystreams
    objections  why aggregators stopped
    faults      who was left out for breaking the protocol, and how
    evaluators  per evaluator, the digest of its upload as a blob; None if it sent none

    Reveals: who took part, the inner products of all rows, the reports, and the weighted sum.
    """

    session: GramSession
    pledges: tuple[bytes, ...]
    told: bytes
    accepted: tuple[bytes, ...]
    loans: tuple[bytes, ...]
    shares: tuple[bytes, ...]
    coins: tuple[bytes, ...]
    vouches: tuple[bytes, ...]
    verdicts: tuple[bytes, ...]
    sums: tuple[bytes, ...]
    objections: tuple[bytes, ...]
    faults: tuple[Fault, ...]
    evaluators: tuple[Digest | None, ...]
