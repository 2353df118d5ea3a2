"""A transaction is refused, or included, or of unknown fate; whoever sent it learns which."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from caduceus.crypto import sign
from caduceus.edges.gateway import Account, GatewayWallet, Node, Reverted, suite
from caduceus.edges.rpc import RpcError
from caduceus.errors import Misuse, Refused, Unavailable, Uncertain
from caduceus.kinds import Digest, JobId, Role, Seat, Tokens
from caduceus.market.ledger import Anchor
from suite_world import Play, World, digest, key_of, refused

SEND = "eth_sendRawTransaction"
Honest = Callable[[str, Sequence[Any]], Any]


class Line:
    """A line to the world's node that can be told how to answer certain methods."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.asked: list[str] = []
        self.instead: dict[str, Callable[[Honest, Sequence[Any]], Any]] = {}

    def request(self, method: str, params: Sequence[Any]) -> Any:
        self.asked.append(method)
        honest = self.world.node.request
        if method in self.instead:
            return self.instead[method](lambda m, p: honest(m, p), params)
        return honest(method, params)

    def wallet(self, name: str, *, estimate: bool = False, patience: float = 0.0) -> GatewayWallet:
        account = Account(Node(self.request), sign.Signer(key_of(name)), estimate=estimate, patience=patience)
        return GatewayWallet(account, self.world.chain, self.world.deployment)


@pytest.fixture
def line(world: World) -> Line:
    world.party("buyer")
    return Line(world)


def count(world: World, wallet: GatewayWallet) -> int:
    """How many of the account's transactions were included."""
    return int(world.node.request("eth_getTransactionCount", [f"0x{wallet.account.hex()}", "latest"]), 16)


def test_what_was_sent_is_on_the_chain_as_reported(world: World) -> None:
    sent = world.party("buyer").wallet.transfer(world.deployment.token, world.treasury.address, Tokens(1))
    receipt = world.node.request("eth_getTransactionReceipt", [f"0x{sent.transaction.hex()}"])
    assert int(receipt["gasUsed"], 16) == sent.gas
    assert int(receipt["blockNumber"], 16) == sent.block
    assert sent.what == "DemoToken.transfer"


def test_an_estimating_account_does_not_send_what_would_revert(world: World, line: Line) -> None:
    wallet = line.wallet("buyer", estimate=True, patience=30)
    before = count(world, wallet)
    with refused("WrongStage"):
        wallet.cancel(JobId(digest("unheard of")))
    assert SEND not in line.asked
    assert count(world, wallet) == before
    wallet.approve(world.deployment.token, Tokens(10**9))
    assert count(world, wallet) == before + 1


def test_another_account_sends_it_and_pays_and_still_learns_the_reason(world: World, line: Line) -> None:
    wallet = line.wallet("buyer", patience=30)
    before = count(world, wallet)
    with refused("WrongStage", digest("unheard of"), 0):
        wallet.cancel(JobId(digest("unheard of")))
    assert count(world, wallet) == before + 1
    wallet.approve(world.deployment.token, Tokens(10**9))
    assert count(world, wallet) == before + 2


def test_a_reason_reads_as_the_contract_declares_it(world: World) -> None:
    play = Play(world, sites=1).training()
    with pytest.raises(Reverted) as caught:
        play.coordinator.wallet.anchor(play.id, [Anchor(5, digest(1), digest(2), digest(3))])
    assert str(caught.value) == "Jobs.anchor reverted: RoundNotNext(round=5, next=0)"
    with pytest.raises(Reverted) as caught:
        play.coordinator.wallet.accept(play.id)
    assert str(caught.value) == f"Jobs.accept reverted: WrongStage(job=0x{play.id.hex()}, stage=TRAINING)"


def test_a_chain_that_does_not_answer_leaves_nothing_behind(world: World, line: Line) -> None:
    def silent(_: Honest, __: Sequence[Any]) -> Any:
        raise Unavailable("no answer")

    wallet = line.wallet("buyer", estimate=True, patience=30)
    before = count(world, wallet)
    for method in ("eth_estimateGas", "eth_getTransactionCount", "eth_getBlockByNumber", SEND):
        line.instead = {method: silent}
        with pytest.raises(Unavailable):
            wallet.approve(world.deployment.token, Tokens(10**9))
        assert count(world, wallet) == before
    line.instead = {}
    wallet.approve(world.deployment.token, Tokens(10**9))
    assert count(world, wallet) == before + 1


def test_a_lost_answer_to_a_transaction_that_arrived_is_no_trouble(world: World, line: Line) -> None:
    def deaf(honest: Honest, params: Sequence[Any]) -> Any:
        honest(SEND, params)
        raise Uncertain("the line broke")

    line.instead = {SEND: deaf}
    wallet = line.wallet("buyer", patience=30)
    before = count(world, wallet)
    assert wallet.approve(world.deployment.token, Tokens(10**9)).gas > 21_000
    assert count(world, wallet) == before + 1


def test_a_lost_answer_to_a_transaction_that_nobody_knows_is_uncertain(world: World, line: Line) -> None:
    def lost(_: Honest, __: Sequence[Any]) -> Any:
        raise Uncertain("the line broke")

    line.instead = {SEND: lost}
    wallet = line.wallet("buyer", patience=30)
    before = count(world, wallet)
    with pytest.raises(Uncertain, match=r"DemoToken.approve: sent as 0x[0-9a-f]{64}.*before repeating"):
        wallet.approve(world.deployment.token, Tokens(10**9))
    line.instead = {}
    wallet.approve(world.deployment.token, Tokens(10**9))
    assert count(world, wallet) == before + 1


def test_a_transaction_that_waits_too_long_is_uncertain_and_may_still_come(world: World, line: Line) -> None:
    wallet = line.wallet("buyer", patience=0)
    before = count(world, wallet)
    world.node.request("evm_setAutomine", [False])
    try:
        with pytest.raises(Uncertain, match="not seen in a block after 0 s"):
            wallet.approve(world.deployment.token, Tokens(10**9))
        with pytest.raises(Uncertain):
            wallet.approve(world.deployment.token, Tokens(10**9 + 1))
        assert count(world, wallet) == before
    finally:
        world.node.request("evm_setAutomine", [True])
        world.node.request("evm_mine", [])
    assert count(world, wallet) == before + 2


def test_a_node_that_stumbles_while_one_waits_is_asked_again(world: World, line: Line) -> None:
    stumbles = iter([Unavailable("busy"), Unavailable("busy")])

    def stumbling(honest: Honest, params: Sequence[Any]) -> Any:
        trouble = next(stumbles, None)
        if trouble is not None:
            raise trouble
        return honest("eth_getTransactionReceipt", params)

    line.instead = {"eth_getTransactionReceipt": stumbling}
    assert line.wallet("buyer", patience=30).approve(world.deployment.token, Tokens(10**9)).gas > 21_000


def test_two_hands_on_one_account_do_not_trip_over_each_other(world: World, line: Line) -> None:
    one, two = line.wallet("buyer", patience=30), Line(world).wallet("buyer", patience=30)
    for wallet in (one, two, one, one, two):
        wallet.approve(world.deployment.token, Tokens(10**9))


def test_a_node_behind_a_balancer_may_count_late(world: World, line: Line) -> None:
    wallet = line.wallet("buyer", patience=30)
    stale = hex(count(world, wallet))
    line.instead = {"eth_getTransactionCount": lambda _, __: stale}
    for _ in range(3):
        wallet.approve(world.deployment.token, Tokens(10**9))


def test_an_account_that_cannot_pay_is_refused_in_the_nodes_words(world: World, line: Line) -> None:
    for estimate in (False, True):
        pauper = line.wallet("pauper", estimate=estimate, patience=30)
        with pytest.raises(RpcError, match=r"(?i)insufficient funds"):
            pauper.register_member(Role.BUYER, pauper.account, digest("key"), digest("profile"))


def test_a_reason_that_the_node_does_not_tell_is_not_invented(world: World, line: Line) -> None:
    line.instead = {"eth_call": lambda _, __: "0x"}
    with pytest.raises(Reverted) as caught:
        line.wallet("buyer", patience=30).cancel(JobId(digest("unheard of")))
    assert caught.value.reason is None
    assert str(caught.value) == "Jobs.cancel reverted: no reason given"


def test_revert_data_that_nobody_knows_carry_no_reason(world: World, line: Line) -> None:
    def strange(_: Honest, __: Sequence[Any]) -> Any:
        raise RpcError(3, "execution reverted", "0xdeadbeef")

    line.instead = {"eth_call": strange}
    with pytest.raises(Reverted) as caught:
        line.wallet("buyer", patience=30).cancel(JobId(digest("unheard of")))
    assert caught.value.reason is None


def test_arguments_of_the_wrong_type_are_our_own_mistake_and_nothing_is_sent(world: World, line: Line) -> None:
    wallet = line.wallet("buyer")
    with pytest.raises(Misuse, match=r"DemoToken.transfer"):
        wallet.transfer(world.deployment.token, world.treasury.address, Tokens(-1))
    with pytest.raises(Misuse, match=r"Datasets.register"):
        wallet.register_dataset(Digest(b"short" * 7), digest(1), digest(2), 0, 0)
    with pytest.raises(Misuse, match="in order and without gaps"):
        wallet.anchor(JobId(digest("job")), [])
    one, other = (Anchor(n, digest(1), digest(2), digest(3)) for n in (0, 2))
    with pytest.raises(Misuse, match="in order and without gaps"):
        wallet.anchor(JobId(digest("job")), [one, other])
    assert line.asked == []


def test_a_round_that_is_not_on_the_chain_has_no_proof(world: World) -> None:
    play = Play(world, sites=1).settling()
    for job, round_ in ((play.id, 1), (play.id, -1), (JobId(digest("unheard of")), 0)):
        with pytest.raises(Refused, match=f"no round {round_} on the chain"):
            play.coordinator.wallet.answer_omission(job, round_, Seat(0), digest("leaf"), [])


def test_a_settlements_signatures_are_put_in_the_order_of_seats(world: World) -> None:
    play = Play(world, sites=3).training(rounds=1)
    claims = play.claims(play.amounts()).root
    signed = [(Seat(seat), play.consent(seat, claims, 900)) for seat in (2, 0, 1)]
    play.coordinator.wallet.settle(play.id, claims, Tokens(900), signed)


def test_the_ids_that_a_wallet_foretells_are_the_contracts(world: World) -> None:
    buyer = world.party("buyer")
    terms = world.terms()
    foretold = buyer.wallet.job_id(terms)
    arguments = (buyer.address, suite.terms_tuple(terms))
    assert world.node.call(world.deployment.jobs, suite.JOBS["idOf"], *arguments) == (foretold,)
