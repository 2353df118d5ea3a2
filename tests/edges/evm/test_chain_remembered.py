"""With the node away, what cannot change is still known; what would be acted on is not."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from typing import Any

import pytest
from flaky import LOSE_QUESTION, PASS, flaky

from anvil_node import AnvilNode
from caduceus.edges.evm_rpc import HttpNode
from caduceus.edges.gateway import GatewayChain, Node
from caduceus.edges.gateway.remembering import RememberingChain
from caduceus.errors import Refused, Unavailable
from caduceus.kinds import Digest, JobId, Stage
from suite_world import Play, World, anvil_world, digest, embedded_world


class Switch:
    """The world's node, which can be switched off."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.is_on = True

    def request(self, method: str, params: Sequence[Any]) -> Any:
        if not self.is_on:
            raise Unavailable("no answer")
        return self.world.node.request(method, params)


@pytest.fixture
def world() -> World:
    return embedded_world()


@pytest.fixture
def switch(world: World) -> Switch:
    return Switch(world)


@pytest.fixture
def chain(world: World, switch: Switch) -> RememberingChain:
    return RememberingChain(GatewayChain(Node(switch.request), world.deployment))


def facts(chain: RememberingChain, play: Play) -> list[Any]:
    """Everything that training asks."""
    site = play.site(0).address
    seats = chain.enrolments(play.id)
    return [
        chain.domain,
        chain.job(play.id),
        seats,
        chain.beacon(play.id),
        [chain.dataset(one.dataset) for one in seats],
        chain.member(site),
    ]


def test_what_training_asks_is_answered_while_the_node_is_away(
    world: World, switch: Switch, chain: RememberingChain
) -> None:
    play = Play(world, sites=3).training()
    seen = facts(chain, play)
    assert None not in seen
    assert len(seen[2]) == 3
    switch.is_on = False
    assert facts(chain, play) == seen


def test_what_was_never_asked_for_is_not_made_up(world: World, switch: Switch, chain: RememberingChain) -> None:
    play = Play(world, sites=2).training()
    assert chain.job(JobId(digest("unheard of"))) is None
    switch.is_on = False
    for ask in (
        lambda: chain.job(play.id),
        lambda: chain.enrolments(play.id),
        lambda: chain.beacon(play.id),
        lambda: chain.dataset(world.dataset("site-0")),
        lambda: chain.member(play.site(0).address),
    ):
        with pytest.raises(Unavailable):
            ask()
    with pytest.raises(Unavailable):
        chain.job(JobId(digest("unheard of")))


def test_whatever_would_be_acted_on_is_never_remembered(world: World, switch: Switch, chain: RememberingChain) -> None:
    play = Play(world, sites=2).training()
    account, token = play.site(0).address, world.deployment.token
    questions = [
        chain.now,
        chain.jobs,
        chain.datasets,
        *(
            lambda ask=ask: ask(play.id)
            for ask in (
                chain.anchors,
                chain.omissions,
                chain.claims,
                chain.slashed,
                chain.equivocations,
                chain.recorded,
            )
        ),
        lambda: chain.budget_moves(Digest(world.dataset("site-0"))),
        lambda: chain.entity_of(account, account),
        lambda: chain.standing(1),
        lambda: chain.balance(token, account),
        lambda: chain.credit(token, account),
    ]
    for ask in questions:
        ask()
    switch.is_on = False
    for ask in questions:
        with pytest.raises(Unavailable):
            ask()


def test_a_job_that_has_not_started_is_not_remembered_nor_is_its_roster(
    world: World, switch: Switch, chain: RememberingChain
) -> None:
    play = Play(world, sites=2).enrolling()
    entry = chain.job(play.id)
    assert entry is not None
    assert entry.stage is Stage.ENROLLING
    assert len(chain.enrolments(play.id)) == 2
    switch.is_on = False
    with pytest.raises(Unavailable):
        chain.job(play.id)
    with pytest.raises(Unavailable):
        chain.enrolments(play.id)


def test_a_roster_from_before_the_last_seat_is_not_taken_for_the_whole(world: World) -> None:
    """The last site enrols and the job starts between two questions."""
    play = Play(world, sites=2).enrolling()
    late = GatewayChain(world.node, world.deployment)

    class Slow:
        """Answers about the roster before the start, and is overtaken by it."""

        domain = late.domain
        is_away = False

        def enrolments(self, job: JobId) -> Any:
            if self.is_away:
                raise Unavailable("no answer")
            found = late.enrolments(job)[:1]
            play.coordinator.wallet.start(job)
            return found

        def job(self, job: JobId) -> Any:
            if self.is_away:
                raise Unavailable("no answer")
            return late.job(job)

    slow = Slow()
    chain = RememberingChain(slow)  # type: ignore[arg-type]
    assert len(chain.enrolments(play.id)) == 1
    slow.is_away = True
    with pytest.raises(Unavailable):
        chain.enrolments(play.id)


def test_once_the_node_is_back_its_answers_count_again(world: World, switch: Switch) -> None:
    told: list[str] = []
    inner = GatewayChain(Node(switch.request), world.deployment)
    chain = RememberingChain(inner, on_remembered=lambda what, why: told.append(f"{what}: {why}"))
    play = Play(world, sites=2).training()
    assert chain.job(play.id).rounds == 0  # type: ignore[union-attr]
    play.anchor()
    switch.is_on = False
    assert chain.job(play.id).rounds == 0  # type: ignore[union-attr]
    assert told == [f"job 0x{play.id.hex()}: no answer"]
    switch.is_on = True
    assert chain.job(play.id).rounds == 1  # type: ignore[union-attr]
    assert len(told) == 1


def test_a_refusal_is_an_answer_and_not_an_absence(world: World, chain: RememberingChain) -> None:
    play = Play(world, sites=2).enrolling()
    with pytest.raises(Refused, match="has not started"):
        chain.beacon(play.id)


@pytest.mark.parametrize("answer", [None, 7, "0x", "text", [], [{"topics": []}], {}, {"number": "0x1"}])
def test_a_node_that_answers_with_something_else_counts_as_away(world: World, answer: Any) -> None:
    play = Play(world, sites=2).training()
    odd: set[str] = set()

    def request(method: str, params: Sequence[Any]) -> Any:
        return answer if method in odd else world.node.request(method, params)

    chain = GatewayChain(Node(request), world.deployment)
    odd |= {"eth_getBlockByNumber", "eth_getLogs", "eth_call"}
    with pytest.raises(Unavailable, match="node"):
        chain.now()
    if answer != []:  # an answer, if an unlikely one: there are no logs
        with pytest.raises(Unavailable, match="eth_getLogs"):
            chain.anchors(play.id)
    # No bytes are what a call of a contract that is not there returns.
    with pytest.raises(Refused if answer == "0x" else Unavailable):
        chain.job(play.id)


@pytest.mark.anvil
def test_with_a_real_node_stopped_training_still_has_its_facts(anvil: AnvilNode) -> None:
    real = anvil_world(anvil)
    with flaky(anvil.url) as line, HttpNode(line.url, timeout=5) as away:
        chain = RememberingChain(GatewayChain(Node(away.request), real.deployment))
        play = Play(real, sites=2).training()
        seen = facts(chain, play)
        line.fate = lambda method, number: LOSE_QUESTION
        assert facts(chain, play) == seen
        with pytest.raises(Unavailable, match="got no answer"):
            chain.now()
        line.fate = lambda method, number: PASS
        os.kill(anvil.pid, signal.SIGKILL)
        assert facts(chain, play) == seen
        with pytest.raises(Unavailable):
            chain.balance(real.deployment.token, play.site(0).address)
