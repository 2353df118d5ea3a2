"""The ledger allows, refuses and shows exactly what the contracts do."""

from __future__ import annotations

import pytest
from histories import ENTITIES, History
from twin import TwinWorld, compare

from caduceus.edges.gateway.abi import _errors
from caduceus.market.standing import token_of, token_of_entity
from caduceus.ports import Chain, Wallet
from caduceus.sim.rules.reasons import known
from thorough import tries


def test_every_reason_is_one_of_the_contracts_with_the_same_labels() -> None:
    theirs = {name: labels for name, labels, *_ in _errors().values()}
    assert {name: rule.labels for name, rule in known().items()} == {name: theirs[name] for name in known()}


def test_the_ledger_has_both_ports() -> None:
    world = TwinWorld()
    wallet = world.wallet_of(world.treasury.address)
    for port, made in ((Chain, world.chain.ours), (Wallet, wallet)):
        assert {name for name in vars(port) if not name.startswith("_")} <= set(dir(made))


def histories(seed: int, steps: int) -> History:
    history = History(TwinWorld(), seed)
    for _ in range(steps // 100):
        history.run(100)
        look_at_everything(history)
    return history


def look_at_everything(history: History) -> None:
    accounts = [party.address for party in history.parties.values()]
    attester = history.parties["attester"].address
    compare(history.world, accounts, [attester])
    for account in accounts:
        history.world.chain.standing(token_of(account))
    for entity in ENTITIES:
        history.world.chain.standing(token_of_entity(attester, entity))


def test_a_random_history_comes_out_the_same() -> None:
    history = histories(13, 600)
    assert len(history.refused) > 25, sorted(history.refused)
    assert {"complete", "claim", "settle", "enrol", "anchor"} <= history.done
    assert {"supersede", "state_readiness", "publish_status"} <= history.done


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, tries(8, 3)))
def test_long_random_histories_come_out_the_same(seed: int) -> None:
    histories(seed, tries(2500, 1000))
