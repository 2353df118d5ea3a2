"""Refusals of the contracts in words, where their bare figures are in units that nobody reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from caduceus.kinds import MICRO, PICO, Readiness


def in_words(name: str, values: tuple[Any, ...]) -> str | None:
    """What a contract's custom error means; None where it is best read as the contract declares it.

    values  in the order in which the error declares them
    """
    said = _SENTENCES.get(name)
    return None if said is None else said(*values)


def _over_budget(dataset: bytes, epsilon: int, epsilon_left: int, delta: int, delta_left: int) -> str:
    asked, left = _amounts(epsilon, delta), _amounts(epsilon_left, delta_left)
    return f"over budget: asks for {asked}, and {left} is left for data set 0x{dataset.hex()}"


def _exact_sums(dataset: bytes) -> str:
    return (
        f"the job opens exact sums, and data set 0x{dataset.hex()} has a privacy budget: "
        "it takes part only in jobs with differential privacy"
    )


def _half_a_budget(epsilon: int, delta: int) -> str:
    return f"a privacy budget names both epsilon and delta, or neither, and this is {_amounts(epsilon, delta)}"


def _above_reservation(epsilon: int, delta: int) -> str:
    return f"the job's table of costs says {_amounts(epsilon, delta)}, more than it reserved: all of it stays spent"


def _other_budget(epsilon: int, delta: int) -> str:
    return f"these records have a privacy budget of {_amounts(epsilon, delta)} for life; register them with the same"


def _budget_apart(commitment: bytes) -> str:
    return (
        f"the records under commitment 0x{commitment.hex()} have a privacy budget of their own already, and can't "
        "share the previous version's: commit to them under new salts"
    )


def _not_ready(dataset: bytes, readiness: int, asked: int) -> str:
    return (
        f"data set 0x{dataset.hex()} is {_verdict(readiness)}, and the job asks for {_verdict(asked)} at least: "
        "its steward states a verdict with a report"
    )


def _unknown_verdict(verdict: int) -> str:
    known = ", ".join(_verdict(one) for one in Readiness if one)
    return f"{verdict} is no verdict on readiness; there are {known}"


def _verdict(value: int) -> str:
    return Readiness(value).name.lower() if value in Readiness.__members__.values() else str(value)


def _amounts(epsilon: int, delta: int) -> str:
    return f"epsilon {epsilon / MICRO:.12g} with delta {delta / PICO:.12g}"


_SENTENCES: Mapping[str, Callable[..., str]] = {
    "BudgetExceeded": _over_budget,
    "ExactSumsRefused": _exact_sums,
    "BudgetIncomplete": _half_a_budget,
    "CostAboveReservation": _above_reservation,
    "BudgetDiffers": _other_budget,
    "BudgetApart": _budget_apart,
    "ReadinessBelow": _not_ready,
    "ReadinessUnknown": _unknown_verdict,
    "VerdictUnknown": _unknown_verdict,
}
