"""The table of what a job spends: only what the contract can hold, and every line can be proven."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from caduceus.crypto import merkle
from caduceus.errors import Misuse
from caduceus.market.costs import Cost, Costs

MOST = 2**64 - 1

COSTS = Costs(((0, 0), (400_000, 100), (700_000, 100), (1_000_000, 900)))


@st.composite
def tables(draw: st.DrawFn) -> Costs:
    grown = st.lists(st.integers(0, 10**9), min_size=1, max_size=40)
    epsilons = draw(grown)
    deltas = draw(st.lists(st.integers(0, 10**6), min_size=len(epsilons), max_size=len(epsilons)))
    steps, spent = [(0, 0)], (0, 0)
    for epsilon, delta in zip([*epsilons[:-1], epsilons[-1] + 1], [*deltas[:-1], deltas[-1] + 1], strict=True):
        spent = spent[0] + epsilon, spent[1] + delta
        steps.append(spent)
    return Costs(tuple(steps))


def test_a_whole_run_is_the_last_line() -> None:
    assert COSTS.sums == 3
    assert COSTS.whole == Cost(3, 1_000_000, 900) == COSTS.at(3)
    assert COSTS.at(0) == Cost(0, 0, 0)


@given(tables())
def test_every_line_is_proven_at_its_own_place_and_no_other(costs: Costs) -> None:
    size = costs.sums + 1
    for sums in range(size):
        leaf = merkle.leaf(costs.leaf_data(sums))
        assert merkle.verify(costs.root, leaf, position=sums, siblings=costs.proof(sums), size=size)
        other = (sums + 1) % size
        assert not merkle.verify(costs.root, leaf, position=other, siblings=costs.proof(other), size=size)


def test_a_line_is_encoded_as_the_contract_does() -> None:
    assert COSTS.leaf_data(2) == encode(("uint256", "uint256", "uint256"), (2, 700_000, 100))


@pytest.mark.parametrize(
    "steps",
    [
        (),
        ((0, 0),),
        ((1, 1), (2, 2)),
        ((0, 0), (5, 5), (4, 6)),
        ((0, 0), (5, 5), (6, 4)),
        ((0, 0), (5, 0)),
        ((0, 0), (0, 5)),
        ((0, 0), (MOST + 1, 5)),
        ((0, 0), (5, MOST + 1)),
        ((0, 0), *[(1, 1)] * 65_536),
    ],
)
def test_a_table_that_no_job_can_have_is_our_own_mistake(steps: tuple[tuple[int, int], ...]) -> None:
    with pytest.raises(Misuse, match="costs: "):
        Costs(steps)


def test_the_longest_table_and_the_largest_amounts_fit() -> None:
    assert Costs(((0, 0), *[(MOST, MOST)] * 65_535)).sums == 65_535


@pytest.mark.parametrize("sums", [-1, 4])
def test_a_line_that_is_not_there_is_our_own_mistake(sums: int) -> None:
    for ask in (COSTS.at, COSTS.leaf_data):
        with pytest.raises(Misuse, match=f"{sums} sums of a job that opens up to 3"):
            ask(sums)
    with pytest.raises(Misuse, match=f"no position {sums}"):
        COSTS.proof(sums)
