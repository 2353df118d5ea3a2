"""The judged rounds of a job done again by a stranger: each upload is read, each product, weight and model computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from caduceus import canon
from caduceus.crypto import merkle
from caduceus.errors import PeerFault, Refused
from caduceus.kinds import Digest
from caduceus.learn.judged.program import JudgedProgram
from caduceus.learn.state import State, difference
from caduceus.market.ledger import Anchor
from caduceus.protocol.gram_exchange import GramExchange
from caduceus.protocol.gram_for import judge_for, opened, plan_for, total_of
from caduceus.protocol.gram_recheck import recheck
from caduceus.protocol.gram_replay import FetchUpload, replay, upload_leaf
from caduceus.protocol.gram_session import GramGround, GramPlan
from caduceus.protocol.round_record import Fetch, RoundRecord, broken
from caduceus.protocol.secagg_reading import COORDINATOR
from caduceus.protocol.secagg_recheck import Rechecked

OnStep = Callable[[str], None]


@dataclass(slots=True)
class GramAgain:
    """What doing the judged rounds again has shown so far; the same fields as `audit_rounds.Again` has.

    ground       as the chain gives it
    fetch        gives public blobs
    named        everybody whom a round names, read again
    signatures   uploads that their dealers signed
    exact, near  models that came out bit for bit, or to within 1e-9
    failed       rounds without a sum
    state        the public state after the last round
    sum_problem  the first sum, weight or model that is not what it should be
    """

    ground: GramGround
    task: JudgedProgram
    fetch: Fetch
    on_step: OnStep
    state: State
    exchanges: list[GramExchange] = field(default_factory=list)
    named: list[Rechecked] = field(default_factory=list)
    signatures: int = 0
    exact: int = 0
    near: int = 0
    failed: int = 0
    sum_problem: PeerFault | Refused | None = None

    def begin(self, records: Sequence[RoundRecord]) -> str:
        """Hold every round to the parties that the chain and the job name; returns them in words.

        Raises Refused if a round stands on others.
        """
        for record in records:
            if record.setup != self.ground.digest or canon.unpack(GramGround, self.fetch(record.setup)) != self.ground:
                raise Refused(
                    f"round {record.round}: stands on other parties than the chain and the specification name"
                )

        ground = self.ground
        return f"{len(ground.sites)} sites, {len(ground.evaluators)} evaluators besides, 3 aggregators"

    def recheck(self, records: Sequence[RoundRecord]) -> str:
        """Who lost a stake, in words: `read_rounds` has found every one of them again in what was opened."""
        if not self.named:
            return "nobody is named"
        over = sorted({fault.seat for record in records for fault in record.faults})
        shown = sum(one.is_shown for one in self.named)
        who = sorted({one.fault.seat for one in self.named})
        rest = f"; for {len(self.named) - shown} there is only somebody's word" if shown < len(self.named) else ""
        lost = f"; seats {', '.join(map(str, over))} lose their stakes" if over else ""
        return (
            f"{shown} of {len(self.named)} faults of {', '.join(map(self.ground.name_of, who))} are shown by what was "
            f"opened or signed{rest}{lost}"
        )

    def read_rounds(self, records: Sequence[RoundRecord], anchors: Sequence[Anchor]) -> None:
        """Check every upload, and do every round again; what is wrong with a sum is kept for `sum_problem`.

        Raises PeerFault or Refused for the first thing that is wrong with an upload or a tree.
        """
        for record, anchor in zip(records, anchors, strict=True):
            self.on_step(f"round {record.round}")
            plan = plan_for(record.round, self.ground, self.task, self.state)
            exchange = canon.unpack(GramExchange, self.fetch(record.exchange))
            if record.before != plan.session.state:
                raise Refused(f"round {record.round}: starts from another state than the round before it led to")
            if len(record.uploads) != plan.sites or len(exchange.evaluators) != len(self.ground.evaluators):
                raise Refused(f"round {record.round}: records uploads of more or fewer parties than there are")
            if exchange.session != plan.session:
                raise Refused(f"round {record.round}: its session is not the one that the chain and the state give")
            self.exchanges.append(exchange)
            self._round(record, anchor, plan, exchange)
            self.state = canon.unpack(State, self.fetch(record.after))
            self.task.check(self.state)

    def _round(self, record: RoundRecord, anchor: Anchor, plan: GramPlan, exchange: GramExchange) -> None:
        leaves = [merkle.EMPTY] * plan.sites
        upload = self._uploads(record, exchange, plan.sites)
        self._again(record, plan, exchange, upload, leaves)
        for seat, digest in enumerate(record.uploads):
            if digest is not None and leaves[seat] == merkle.EMPTY:
                leaves[seat] = upload_leaf(exchange, plan, seat, self.fetch(digest))
        for at, digest in enumerate(exchange.evaluators):
            if digest is not None:
                upload_leaf(exchange, plan, plan.sites + at, self.fetch(digest))
        if merkle.root(leaves) != anchor.root:
            raise Refused(f"round {record.round}: the uploads do not give the anchored root")
        self.named += recheck(exchange, plan, upload)
        self.signatures += sum(digest is not None for digest in (*record.uploads, *exchange.evaluators))

    def _uploads(self, record: RoundRecord, exchange: GramExchange, sites: int) -> FetchUpload:
        recorded = (*record.uploads, *exchange.evaluators)

        def upload(dealer: int) -> bytes:
            digest = recorded[dealer] if dealer < len(recorded) and len(record.uploads) == sites else None
            if digest is None:
                raise Refused(f"round {record.round}: the upload of party {dealer} is not recorded")
            return self.fetch(digest)

        return upload

    def _again(
        self,
        record: RoundRecord,
        plan: GramPlan,
        exchange: GramExchange,
        upload: FetchUpload,
        leaves: list[Digest],
    ) -> None:
        try:
            if record.failure:
                self.failed += 1
                if record.after != record.before or record.survivors:
                    raise Refused(f"round {record.round}: failed, and yet changed the model")
                return
            self._judge(record, plan, exchange, upload, leaves)
        except (PeerFault, Refused) as problem:
            self.sum_problem = self.sum_problem or problem

    def _judge(
        self,
        record: RoundRecord,
        plan: GramPlan,
        exchange: GramExchange,
        upload: FetchUpload,
        leaves: list[Digest],
    ) -> None:
        rule = judge_for(self.task, self.state, plan.sites)
        found = replay(exchange, plan, upload, rule, leaves=leaves)
        recorded = [seat for seat, digest in enumerate(record.uploads) if digest is not None]
        if recorded != [dealer for dealer in found.listed if dealer < plan.sites]:
            raise PeerFault(COORDINATOR, f"left an upload that it took in off the list of round {record.round}")
        if found.summed != record.survivors:
            raise Refused(f"round {record.round}: its record and its exchange name different survivors")
        over = [seat for seat in found.products.outside if seat < plan.sites]
        if broken(record.round, over, record.exchange) != record.faults:
            raise Refused(
                f"round {record.round}: names other seats for a broken bound than the opened projections show"
            )
        judged = found.judged
        said = opened(self.task, self.state, judged.gram, judged.reports, judged.present, sites=plan.sites)
        computed = self.task.combine(self.state, said, total_of(found.total, plan.session.scale))
        published = canon.unpack(State, self.fetch(record.after))
        if canon.digest(computed) == record.after:
            self.exact += 1
        elif (differs := difference(computed, published)) is not None:
            raise Refused(f"round {record.round}: the anchored model is not what was opened gives, first in {differs}")
        else:
            self.near += 1
