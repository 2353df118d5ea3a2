"""A site under its own terms: what it looks at when it judges a job, and the check before anything leaves.

A job that was allowed may not be any more: time runs out, a credential is revoked, the data set is withdrawn. So a
site's part in a job stands behind a check that looks again whenever the chain has a newer block.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import final

from caduceus import canon
from caduceus.agents.payment import card_of
from caduceus.crypto.status_list import StatusList, read_list
from caduceus.data.card import Card
from caduceus.data.credential import occasion_of, prove
from caduceus.data.policy import Terms, Verdict
from caduceus.data.use_request import MOST_PRESENTATIONS
from caduceus.data.use_seen import Seen
from caduceus.errors import Refused, Unavailable
from caduceus.kinds import Address, Digest
from caduceus.market.specification import JobSpec
from caduceus.ports import Chain, JobEntry, Reactor, Store
from caduceus.protocol.envelope import kind_of
from caduceus.protocol.job_messages import Offer

_OFFER = canon.tag_of(Offer)


def look(
    terms: Terms,
    card: Card,
    spec: JobSpec,
    entry: JobEntry,
    chain: Chain,
    store: Store,
    *,
    begun: int | None = None,
    seated: bool = False,
) -> Seen:
    """What a steward knows of a job besides what it says: time, credentials, numbers of records.

    card    of its own data set
    begun   when the site agreed to the job; None if it has not
    seated  whether all seats are taken, so that the records of all sites are known as far as cards say them

    Raises Unavailable if chain or store do not answer.
    """
    records = _records(spec, entry, chain, store) if seated and terms.minimum_cohort else None
    if terms.use is None:
        return Seen(here=card.rows_at_least, records=records)
    now = chain.now()
    proofs, rejected = [], []
    occasion, status_of = occasion_of(spec.nonce, entry.buyer), _statuses(chain, store)
    names = () if spec.use is None else spec.use.presentations[:MOST_PRESENTATIONS]  # a job with more is refused
    for number, name in enumerate(names, 1):
        try:
            blob = store.get(Digest(name))
            proofs.append(prove(blob, terms.use.issuers, occasion, now=now, status_of=status_of))
        except Refused as problem:
            rejected.append(f"credential {number}: {problem}")
    return Seen(now, begun, tuple(proofs), tuple(rejected), card.rows_at_least, records)


def _statuses(chain: Chain, store: Store) -> Callable[[Address], StatusList | None]:
    @cache  # once a look: lists may be long
    def status_of(issuer: Address) -> StatusList | None:
        root = chain.status_root(issuer)
        return None if root is None else read_list(store.get(root))

    return status_of


def _records(spec: JobSpec, entry: JobEntry, chain: Chain, store: Store) -> int:
    """Records under the smallest sum that the job opens, at least: as the cards of the seated sites have them.

    Sites may fall silent; a sum that lacks them is over fewer. Cards are coarse, and what a question asks for may be
    true of few: neither is known here.
    """
    rows = sorted(card_of(one.dataset, chain, store).rows_at_least for one in chain.enrolments(entry.id))
    return sum(rows[: spec.cohort or len(rows)])


def turns_by_itself(terms: Terms, verdict: Verdict) -> bool:
    """Whether a verdict may change by time alone, or by an issuer's word."""
    return verdict.until is not None or (terms.use is not None and any(one.account for one in terms.use.issuers))


@final
class UnderTerms:
    """A reactor that answers only while the terms allow its job; the settlement's signature it gives all the same.

    Nothing of the records is in that signature, and it is what the site is paid by for what it did while it was
    allowed to.

    judge    the verdict as of now
    now      timestamp of the newest block
    turns    whether a verdict may change while the chain cannot be asked
    refused  told once for each set of reasons
    """

    def __init__(
        self,
        inner: Reactor,
        *,
        judge: Callable[[], Verdict],
        now: Callable[[], int],
        turns: Callable[[Verdict], bool],
        refused: Callable[[tuple[str, ...]], None],
    ) -> None:
        self._inner, self._judge, self._now, self._turns, self._refused = inner, judge, now, turns, refused
        self._block: int | None = None
        self._verdict: Verdict | None = None
        self._told: tuple[str, ...] = ()

    def react(self, body: bytes) -> Sequence[bytes]:
        """As the reactor within.

        Raises Refused with the reasons if the terms do not allow the job any more. Raises Unavailable if the chain
        does not answer and the terms depend on time or on an issuer's word; other verdicts outlast that.
        """
        if kind_of(body) != _OFFER:
            verdict = self._current()
            if verdict.reasons and verdict.reasons != self._told:
                self._told = verdict.reasons
                self._refused(verdict.reasons)
            verdict.enforce()
        return self._inner.react(body)

    def _current(self) -> Verdict:
        try:
            block = self._now()
            if self._verdict is None or block != self._block:
                self._verdict, self._block = self._judge(), block
        except Unavailable:
            if self._verdict is None:
                self._verdict = self._judge()  # of terms for which what the chain once said is enough
            elif self._turns(self._verdict):
                raise
        return self._verdict
