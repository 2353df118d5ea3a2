"""Refusals about privacy budgets are told in epsilon and delta; others read as the contracts declare them."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode

from caduceus.contracts import NAMES, load
from caduceus.crypto.sign import keccak
from caduceus.edges.gateway.abi import Reverted, reason_of
from caduceus.edges.gateway.wording import in_words

DATASET = bytes(range(32))
SHOWN = f"0x{DATASET.hex()}"
KINDS = {
    f"{part['name']}({','.join(one['type'] for one in part['inputs'])})"
    for name in NAMES
    for part in load(name).abi
    if part["type"] == "error"
}
"""The errors that contracts declare, such as "NotSteward(bytes32,address)"."""


def told(declared: str, *values: object) -> str:
    """What a person reads when a contract reverts with this error."""
    assert declared in KINDS
    kinds = declared[declared.index("(") + 1 : -1].split(",")
    return str(Reverted("Jobs.enrol", reason_of(keccak(declared.encode())[:4] + encode(kinds, values))))


@pytest.mark.parametrize(
    ("declared", "values", "words"),
    [
        (
            "BudgetExceeded(bytes32,uint64,uint64,uint64,uint64)",
            (DATASET, 1_000_000, 400_000, 1_000_000, 10**12),
            "over budget: asks for epsilon 1 with delta 1e-06, and epsilon 0.4 with delta 1 is left for "
            f"data set {SHOWN}",
        ),
        (
            "BudgetExceeded(bytes32,uint64,uint64,uint64,uint64)",
            (DATASET, 1000_000_001, 1000_000_000, 1, 1),
            f"over budget: asks for epsilon 1000.000001 with delta 1e-12, and epsilon 1000 with delta 1e-12 is left "
            f"for data set {SHOWN}",
        ),
        (
            "ExactSumsRefused(bytes32)",
            (DATASET,),
            f"the job opens exact sums, and data set {SHOWN} has a privacy budget: it takes part only in jobs with "
            "differential privacy",
        ),
        (
            "BudgetIncomplete(uint64,uint64)",
            (2_500_000, 0),
            "a privacy budget names both epsilon and delta, or neither, and this is epsilon 2.5 with delta 0",
        ),
        (
            "CostAboveReservation(uint256,uint256)",
            (2_000_000, 5),
            "the job's table of costs says epsilon 2 with delta 5e-12, more than it reserved: all of it stays spent",
        ),
    ],
)
def test_budgets_are_told_in_epsilon_and_delta(declared: str, values: tuple[object, ...], words: str) -> None:
    assert told(declared, *values) == f"Jobs.enrol reverted: {words}"


def test_every_other_refusal_reads_as_it_is_declared() -> None:
    assert told("SumsOutOfRange(uint256,uint256)", 4, 3) == ("Jobs.enrol reverted: SumsOutOfRange(sums=4, most=3)")
    assert in_words("SumsOutOfRange", (4, 3)) is None
