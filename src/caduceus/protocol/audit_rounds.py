"""The rounds of a job done again by a stranger: each upload is read once, for its signature and for its sum."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from caduceus import canon
from caduceus.crypto import merkle
from caduceus.errors import PeerFault, Refused
from caduceus.kinds import Digest
from caduceus.learn.state import State, difference
from caduceus.learn.task import Task
from caduceus.market.ledger import Anchor
from caduceus.protocol.encoding import decode
from caduceus.protocol.round_record import Fetch, RoundRecord
from caduceus.protocol.secagg_apart import are_apart
from caduceus.protocol.secagg_exchange import Exchange
from caduceus.protocol.secagg_recheck import recheck_round, recheck_setup
from caduceus.protocol.secagg_replay import replay, upload_leaf
from caduceus.protocol.secagg_setup import Layout
from caduceus.protocol.secagg_setup_record import Foundation, SetupRecord
from caduceus.protocol.secagg_unmask import add_groups
from caduceus.protocol.session_for import Grounds, session_for

OnStep = Callable[[str], None]


@dataclass(slots=True)
class Again:
    """What doing the rounds again has shown so far.

    fetch        gives public blobs
    setups       set-ups by the digest of their record
    revealed     groups over which sums were opened, where sums are over groups
    signatures   uploads that their sites signed
    exact        models that came out bit for bit
    near         models that came out to within 1e-9
    failed       rounds without a sum
    state        the public state after the last round
    sum_problem  the first sum or model that is not what it should be
    """

    grounds: Grounds
    task: Task[Any]
    fetch: Fetch
    on_step: OnStep
    state: State
    setups: dict[Digest, Foundation] = field(default_factory=dict)
    exchanges: list[Exchange] = field(default_factory=list)
    revealed: list[frozenset[int]] = field(default_factory=list)
    signatures: int = 0
    exact: int = 0
    near: int = 0
    failed: int = 0
    sum_problem: PeerFault | Refused | None = None

    def begin(self, records: Sequence[RoundRecord]) -> str:
        """Read every set-up; returns what was found, in words. Raises as `read_setups`."""
        self.read_setups(records)
        ready = [len(one.ready.seats) for one in self.setups.values()]
        sites = len(self.grounds.enrolments)
        return f"{len(ready)} set-ups, with {', '.join(map(str, ready)) or 'no'} of {sites} sites ready"

    def recheck(self, records: Sequence[RoundRecord]) -> str:
        """Read again every message for which a site was named; returns what was found, in words.

        Raises PeerFault naming the coordinator if a message shows no fault.
        """
        found = [one for setup in self.setups.values() for one in recheck_setup(setup)]
        for record, exchange in zip(records, self.exchanges, strict=True):
            found += recheck_round(exchange, self.setups[record.setup])
        if not found:
            return "nobody is named"
        shown = sum(one.is_shown for one in found)
        seats = sorted({one.fault.seat for one in found})
        rest = f"; for {len(found) - shown} there is only the coordinator's word" if shown < len(found) else ""
        return (
            f"{shown} of {len(found)} faults of seats {', '.join(map(str, seats))} are shown by what they signed{rest}"
        )

    def read_setups(self, records: Sequence[RoundRecord]) -> None:
        """Read every set-up that a round stands on.

        Raises PeerFault naming the coordinator if one could not have come from an honest one, Refused if it is not
        the set-up that the chain calls for, or its record is not to be had.
        """
        for record in records:
            if record.setup in self.setups:
                continue
            self.on_step(f"set-up of round {record.round}")
            found = canon.unpack(SetupRecord, self.fetch(record.setup))
            asked = found.setup
            expected = self.grounds.setup(first=asked.first, rounds=asked.rounds, draw=asked.draw)
            if found.setup != expected:
                raise Refused(f"round {record.round}: its set-up is not the one that the chain gives")
            self.setups[record.setup] = Foundation(Layout(expected), found)

    def read_rounds(self, records: Sequence[RoundRecord], anchors: Sequence[Anchor]) -> None:
        """Check every upload, and do every sum again; what is wrong with a sum is kept for `sum_problem`.

        Raises PeerFault or Refused for the first thing that is wrong with an upload or a tree.
        """
        for record, anchor in zip(records, anchors, strict=True):
            self.on_step(f"round {record.round}")
            exchange = self._exchange(record)
            self.exchanges.append(exchange)
            found = [merkle.EMPTY] * (max(self.setups[record.setup].layout.seats) + 1)
            self._sum(record, exchange, found)
            for seat, digest in enumerate(record.uploads):
                if digest is not None and found[seat] == merkle.EMPTY:
                    foundation = self.setups[record.setup]
                    found[seat] = upload_leaf(exchange, foundation, seat, self.fetch(digest))
            if merkle.root(found) != anchor.root:
                raise Refused(f"round {record.round}: the uploads do not give the anchored root")
            self.signatures += sum(digest is not None for digest in record.uploads)
            self.state = canon.unpack(State, self.fetch(record.after))
            self.task.check(self.state)

    def _exchange(self, record: RoundRecord) -> Exchange:
        exchange, foundation = canon.unpack(Exchange, self.fetch(record.exchange)), self.setups[record.setup]
        sums, layout = len(self.exchanges) - self.failed, foundation.layout  # also those that `sum_problem` is about
        if layout.setup.cohort and layout.draw_of(record.round) != sums:
            raise Refused(f"round {record.round}: its groups are not those that are drawn after {sums} sums")
        expected = session_for(record.round, ready=foundation.ready_id, task=self.task, state=self.state)
        if exchange.session != expected:
            raise Refused(f"round {record.round}: its session is not the one that the chain and the state give")
        groups = layout.groups_in(record.round)
        if not record.failure and record.survivors != _summed(exchange, groups):
            raise Refused(f"round {record.round}: its record and its exchange name different survivors")
        self._keep_apart(record, exchange, groups, layout.setup.cohort)
        return exchange

    def _keep_apart(
        self, record: RoundRecord, exchange: Exchange, groups: tuple[tuple[int, ...], ...], cohort: int
    ) -> None:
        """Hold the groups that were opened, or were about to be, to those of all rounds before."""
        alive = frozenset(exchange.survivors)
        opened = [frozenset(groups[at]) & alive for at in exchange.groups if at < len(groups)] if cohort else []
        if not all(are_apart(self.revealed, one, cohort) for one in opened):
            raise Refused(f"round {record.round}: a sum differs from an earlier one by fewer than {cohort} sites")
        self.revealed += opened

    def _sum(self, record: RoundRecord, exchange: Exchange, found: list[Digest]) -> None:
        try:
            if record.failure:
                self.failed += 1
                if record.after != record.before:
                    raise Refused(f"round {record.round}: failed, and yet changed the model")
                return
            self._add_up(record, exchange, found)
        except (PeerFault, Refused) as problem:
            self.sum_problem = self.sum_problem or problem

    def _add_up(self, record: RoundRecord, exchange: Exchange, found: list[Digest]) -> None:
        def upload(seat: int) -> bytes:
            digest = record.uploads[seat] if seat < len(record.uploads) else None
            if digest is None:
                raise Refused(f"round {record.round}: the upload of seat {seat} is not recorded")
            return self.fetch(digest)

        totals = replay(exchange, self.setups[record.setup], upload, leaves=found)
        total = decode(add_groups(totals), scale=self.task.scale(self.state))
        computed = self.task.combine(self.state, total, len(record.survivors))
        published = canon.unpack(State, self.fetch(record.after))
        if canon.digest(computed) == record.after:
            self.exact += 1
        elif (differs := difference(computed, published)) is not None:
            raise Refused(f"round {record.round}: the anchored model is not what the sum gives, first in {differs}")
        else:
            self.near += 1


def _summed(exchange: Exchange, groups: tuple[tuple[int, ...], ...]) -> tuple[int, ...]:
    """The survivors in the groups that were opened; none where the record names groups that there are not."""
    alive = frozenset(exchange.survivors)
    opened = [groups[at] for at in exchange.groups if at < len(groups)]
    return tuple(sorted(seat for group in opened for seat in group if seat in alive))
