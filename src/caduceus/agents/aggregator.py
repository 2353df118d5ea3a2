"""One of the three organisations that judge updates unseen: it holds shares, multiplies, and opens one sum a state.

It weighs by the public rule, which it computes itself. Two sums from one state, with other weights, would tell single
updates apart; so it remembers one state and one vector of weights for every step of the job, whatever the round is
called. And weights follow from what the mechanism carries from round to round: a coordinator that calls with another
memory than the aggregators found is refused.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import final

import numpy as np
import numpy.typing as npt

from caduceus import canon
from caduceus.agents.dealing import Stand
from caduceus.errors import PeerFault, Refused
from caduceus.kinds import Floats
from caduceus.learn.state import State
from caduceus.market.mechanism.rules import Mean, Memory, start
from caduceus.ports import Journal
from caduceus.protocol.envelope import kind_of
from caduceus.protocol.gram_aggregator import AggregatorSecrets, GramAggregator
from caduceus.protocol.gram_for import opened, plan_for
from caduceus.protocol.gram_session import GramPlan, Judge
from caduceus.protocol.job_messages import Call
from caduceus.protocol.secagg_reading import COORDINATOR

_CALL = canon.tag_of(Call)
_WEIGHTS = "weights"
_ROUNDING = 1e-9

Integers = npt.NDArray[np.int64]


@final
class Aggregator:
    """Implements `ports.Reactor` for one aggregator of one job.

    which    0, 1 or 2, as the specification names them
    journal  its own memory
    """

    def __init__(self, stand: Stand, which: int, *, journal: Journal, secrets: AggregatorSecrets) -> None:
        self._stand, self._which, self._journal, self._secrets = stand, which, journal, secrets
        self._round: GramAggregator | None = None

    def react(self, body: bytes) -> Sequence[bytes]:
        """Answer one message of the coordinator.

        Raises PeerFault if somebody broke the protocol, Refused if the aggregator may not answer.
        """
        if canon.peek_tag(body) is not None and kind_of(body) == _CALL:
            return [self._pledge(body)]
        if self._round is None:
            raise Refused("this aggregator has no call to the round at hand; it waits for the next one")
        return self._round.react(body)

    def _pledge(self, body: bytes) -> bytes:
        call, state = self._stand.call(body)
        stand = self._stand
        self._hold_to_memory(state)
        plan = plan_for(call.round, stand.ground, stand.task, state)
        self._round = GramAggregator(
            plan,
            self._which,
            self._secrets,
            judge=self._judge(state),
            remember=lambda what, value: self._remember(plan, state.round, what, value),
            kept=self._journal.get(self._key(call.round, "pledge")) or b"",
        )
        return self._round.pledge()

    def _hold_to_memory(self, state: State) -> None:
        """Refuse a state whose memory is neither the first one nor one that this aggregator found.

        Numbers may differ by the rounding of another machine.
        """
        judged = state.judged
        if judged is None:
            return
        task = self._stand.task
        sites = len(self._stand.ground.sites)
        known = [start(task.rules, sites, sites + task.evaluators)]
        keys = self._journal.keys(self._memories(judged.memory.rounds))
        known += [canon.unpack(Memory, self._journal.get(key) or b"") for key in keys]
        if not any(_alike(judged.memory, one) for one in known):
            raise PeerFault(COORDINATOR, "called with another memory of earlier rounds than they left")

    def _judge(self, state: State) -> Judge:
        """The public rule, which writes down what it leaves for the next round."""
        task, sites = self._stand.task, len(self._stand.ground.sites)

        def judge(gram: Floats, reports: Integers, present: npt.NDArray[np.bool_]) -> Integers:
            decided = task.decide(state, opened(task, state, gram, reports, present, sites=sites))
            if decided.verdict is not None:
                memory = decided.verdict.memory
                packed = canon.pack(memory)
                key = f"{self._memories(memory.rounds)}{canon.digest_bytes(packed).hex()}"
                self._journal.put_all({key: packed}, at_once=False)
            return decided.weights

        return judge

    def _memories(self, rounds: int) -> str:
        return f"{self._stand.job.hex()}/memory/{rounds:05}/"

    def _remember(self, plan: GramPlan, step: int, what: str, value: bytes) -> None:
        """Write a decision down before it is acted on; what is opened must outlast a power cut.

        step  rounds combined in the state; of all states that a coordinator might make up for it, one has a sum
        """
        if what == _WEIGHTS:
            self._journal.put_once(f"{self._stand.job.hex()}/step/{step:05}/{_WEIGHTS}", plan.session.state + value)
        else:
            self._journal.put_all({self._key(plan.session.round, what): value}, at_once=False)

    def _key(self, round: int, what: str) -> str:
        return f"{self._stand.job.hex()}/gram/{round:05}/{what}"


def _alike(one: Memory | Mean, other: Memory | Mean) -> bool:
    """Whether two memories, or means in them, are the same up to the rounding of another machine."""
    for field in dataclasses.fields(one):
        mine, theirs = getattr(one, field.name), getattr(other, field.name)
        if isinstance(mine, np.ndarray):
            if mine.shape != theirs.shape or not np.allclose(mine, theirs, _ROUNDING, _ROUNDING, equal_nan=True):
                return False
        elif isinstance(mine, Mean):
            if not _alike(mine, theirs):
                return False
        elif mine != theirs:
            return False
    return True
