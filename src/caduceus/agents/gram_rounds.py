"""The coordinator's conversation in a job whose updates are judged: dealers once, then the three who multiply."""

from __future__ import annotations

from typing import final

from caduceus import canon
from caduceus.agents.conversation import Conversation
from caduceus.agents.rounds import Past
from caduceus.agents.taken_in import TakenIn
from caduceus.crypto.sign import Signer
from caduceus.errors import Refused
from caduceus.learn.judged.program import JudgedProgram
from caduceus.learn.state import State
from caduceus.ports import Journal, Store
from caduceus.protocol.envelope import sign_record
from caduceus.protocol.gram_exchange import GramExchange
from caduceus.protocol.gram_for import judge_for, plan_for
from caduceus.protocol.gram_round import finish
from caduceus.protocol.gram_server import GramServer, Phase
from caduceus.protocol.gram_session import GramGround, GramPlan, GramSession
from caduceus.protocol.job_messages import Call
from caduceus.protocol.round import Done
from caduceus.protocol.round_record import RoundRecord


@final
class GramRounds:
    """Runs the judged rounds of one job; no set-up stands before them.

    ground  who takes part
    lines   to everybody on it, by number
    """

    def __init__(
        self,
        ground: GramGround,
        task: JudgedProgram,
        lines: Conversation,
        *,
        signer: Signer,
        store: Store,
        journal: Journal,
    ) -> None:
        self._ground, self._task, self._lines = ground, task, lines
        self._signer, self._store, self._journal = signer, store, journal

    def recall(self, past: Past, record: RoundRecord) -> tuple[GramSession, Past]:
        """A round that an earlier process did: its session, and what has become of the rounds with it."""
        exchange = canon.unpack(GramExchange, self._store.get(record.exchange))
        return exchange.session, _after(past, failed=bool(record.failure))

    def run(self, past: Past, state: State) -> tuple[Done, GramSession, Past]:
        """One round. Raises nothing for what others do: then it is a round that failed."""
        plan = plan_for(past.number, self._ground, self._task, state)
        uploads = TakenIn(self._store, self._journal, self._ground.job, plan.id)
        # A list that was told stands, and an upload that was taken in: its dealer holds a receipt.
        told = self._journal.get(self._key(plan))
        listed = None if told is None else canon.unpack(_Told, told).dealers
        server = GramServer(plan, self._signer, judge_for(self._task, state, plan.sites), listed=listed, shelf=uploads)
        known = {dealer for dealer, upload in uploads.earlier() if server.receive(dealer, upload)}
        call = Call(self._ground.job, past.number, self._ground.digest, canon.pack(state))
        message = sign_record(self._signer, self._ground.domain, call)
        dealers = plan.dealers if listed is None else listed
        failure = ""
        try:
            outgoing = dict.fromkeys((*dealers, *plan.aggregators), message)
            self._lines.hold(server, outgoing, known, lambda: self._write_down(server))
        except Refused as problem:
            failure = str(problem)
        done = finish(server, self._task, state, failure, uploads.digests)
        return done, plan.session, _after(past, failed=bool(done.record.failure))

    def _write_down(self, server: GramServer) -> None:
        """Keep a list before anybody hears of it."""
        if server.phase is Phase.ACCEPT:
            self._journal.put_once(self._key(server.plan), canon.pack(_Told(server.dealers)))

    def _key(self, plan: GramPlan) -> str:
        return f"{self._ground.job.hex()}/list/{plan.id.hex()}"


def _after(past: Past, *, failed: bool) -> Past:
    return Past(past.number + 1, past.sums + (not failed), failed, ())


@canon.record("coordinator/dealers/1")
class _Told:
    """The list of a judged round, as it was told."""

    dealers: tuple[int, ...]
