"""What a raw call of a contract's function does to the ledger."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from caduceus.kinds import Role
from caduceus.market.ledger import JobTerms
from caduceus.sim.ledger import Run
from caduceus.sim.rules import disputes, members, offers, recording, taking_part

NEVER = {
    "Datasets.reserve",
    "Datasets.release",
    "Standing.observe",
    "Standing.transferFrom",
    "Standing.approve",
    "Standing.setApprovalForAll",
}
"""What the contracts refuse to everybody who could call it, and the ledger does not even offer."""


def terms_of(values: tuple[Any, ...]) -> JobTerms:
    """The inverse of `suite.terms_tuple`."""
    order = [one.name for one in fields(JobTerms) if one.name not in ("attester", "readiness")]
    order.insert(order.index("coordinator") + 1, "attester")
    order.insert(order.index("challenge_for") + 1, "readiness")
    return JobTerms(**dict(zip(order, values, strict=True)))


def run_of(function: str, given: tuple[Any, ...]) -> Run:
    """The same for the ledger, by the function's full name."""
    return lambda tables, call: _RULES[function](tables, call, *given)


def _settle(tables: Any, call: Any, *given: Any) -> None:
    job, claims, payout, slashed, seats, signatures = given
    paired = None if len(seats) == len(signatures) else (len(seats), len(signatures))
    signed = list(zip(seats, signatures, strict=False))
    recording.settle(tables, call, recording.settlement(job, claims, payout, slashed), signed, paired=paired)


def _dispute(tables: Any, call: Any, *given: Any) -> None:
    job, seat, proof, *shown = given
    disputes.dispute_leaf(tables, call, job, seat, disputes.RoundProof(*proof), tuple(shown))  # type: ignore[arg-type]


_RULES: dict[str, Any] = {
    "Members.register": lambda tables, call, roles, *keys: members.register(tables, call, Role(roles), *keys[:2]),
    "Members.rekey": members.rekey,
    "Members.setRoles": lambda tables, call, roles: members.set_roles(tables, call, Role(roles)),
    "Members.resign": members.resign,
    "Datasets.stateReadiness": offers.state_readiness,
    "Jobs.open": lambda tables, call, terms: taking_part.open_job(tables, call, terms_of(terms)),
    "Jobs.openAndFund": lambda tables, call, terms: taking_part.open_and_fund(tables, call, terms_of(terms)),
    "Jobs.fund": taking_part.fund,
    "Jobs.cancel": taking_part.cancel,
    "Jobs.expire": taking_part.expire,
    "Jobs.complete": recording.complete,
    "Jobs.anchor": lambda tables, call, job, round_, *entry: recording.anchor(tables, call, job, round_, [entry]),
    "Jobs.anchorMany": recording.anchor,
    "Jobs.settle": _settle,
    "Jobs.disputeLeaf": _dispute,
}
