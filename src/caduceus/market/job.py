"""A job's life as a table of legal moves.

The contract is the authority; this is the same table in Python, so that agents can say in advance what
the chain will refuse, documentation can be drawn from it, and tests can drive both side by side.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from caduceus.errors import Refused
from caduceus.kinds import Stage


class Move(StrEnum):
    """What can happen to a job, by the contract's function; `uphold` stands for both disputes that end in rejection."""

    OPEN = "open"
    FUND = "fund"
    CANCEL = "cancel"
    ACCEPT = "accept"
    ENROL = "enrol"
    START = "start"
    ANCHOR = "anchor"
    SETTLE = "settle"
    UPHOLD = "uphold"
    COMPLETE = "complete"
    EXPIRE = "expire"


MOVES: Mapping[tuple[Stage, Move], Stage] = {
    (Stage.NONE, Move.OPEN): Stage.OPEN,
    (Stage.OPEN, Move.FUND): Stage.FUNDED,
    (Stage.OPEN, Move.CANCEL): Stage.EXPIRED,
    (Stage.OPEN, Move.EXPIRE): Stage.EXPIRED,
    (Stage.FUNDED, Move.CANCEL): Stage.EXPIRED,
    (Stage.FUNDED, Move.EXPIRE): Stage.EXPIRED,
    (Stage.FUNDED, Move.ACCEPT): Stage.ENROLLING,
    (Stage.ENROLLING, Move.ENROL): Stage.ENROLLING,
    (Stage.ENROLLING, Move.EXPIRE): Stage.EXPIRED,
    (Stage.ENROLLING, Move.START): Stage.TRAINING,
    (Stage.TRAINING, Move.ANCHOR): Stage.TRAINING,
    (Stage.TRAINING, Move.EXPIRE): Stage.EXPIRED,
    (Stage.TRAINING, Move.SETTLE): Stage.SETTLING,
    (Stage.SETTLING, Move.UPHOLD): Stage.REJECTED,
    (Stage.SETTLING, Move.COMPLETE): Stage.COMPLETED,
}
"""From a stage, by a move, to the next stage. What is not here reverts."""

FINAL = frozenset({Stage.COMPLETED, Stage.REJECTED, Stage.EXPIRED})
"""Stages that a job does not leave; in each, all money is owed to somebody and can be pulled."""


def after(stage: Stage, move: Move) -> Stage:
    """The stage that `move` leads to.

    Raises Refused if the table has no such move, naming the moves that it has.
    """
    try:
        return MOVES[stage, move]
    except KeyError:
        legal = sorted(m.value for s, m in MOVES if s is stage)
        raise Refused(
            f"a job that is {stage.name.lower()} does not {move.value}; it can {', '.join(legal) or 'not change'}"
        ) from None


def picture() -> str:
    """The table as a Mermaid state diagram, for the documentation."""
    lines = ["stateDiagram-v2"]
    for (stage, move), target in MOVES.items():
        origin = "[*]" if stage is Stage.NONE else stage.name.lower()
        lines.append(f"    {origin} --> {target.name.lower()}: {move.value}")
    lines += [f"    {stage.name.lower()} --> [*]" for stage in sorted(FINAL)]
    return "\n".join(lines) + "\n"
