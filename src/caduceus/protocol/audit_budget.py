"""Privacy budgets as a stranger adds them up again from the chain's events."""

from __future__ import annotations

from collections.abc import Sequence

from caduceus.errors import Refused
from caduceus.market.costs import Costs
from caduceus.market.ledger import BudgetMove, DatasetEntry
from caduceus.protocol.round_record import RoundRecord


def check_within(where: str, dataset: DatasetEntry, moves: Sequence[BudgetMove]) -> None:
    """Replay what all jobs reserved and gave back of a data set's budget.

    where  the seat, for the message
    moves  of the data set, in order

    Raises Refused if it was overspent at any time, or the moves do not come to what the chain says is spent.
    """
    epsilon = delta = 0
    for move in moves:
        direction = -1 if move.released else 1
        epsilon, delta = epsilon + direction * move.epsilon_micro, delta + direction * move.delta_pico
        if not (0 <= epsilon <= dataset.budget_micro and 0 <= delta <= dataset.delta_pico):
            raise Refused(f"{where}: its data set's privacy budget was overspent, or more given back than taken")
    if (epsilon, delta) != (dataset.epsilon_spent_micro, dataset.delta_spent_pico):
        raise Refused(f"{where}: what the chain says is spent of its privacy budget is not what the jobs took")


def last_sums(records: Sequence[RoundRecord]) -> dict[int, int]:
    """Up to which sum of a job each seat is in the sums that were opened, counted from 1."""
    found: dict[int, int] = {}
    sums = 0
    for record in records:
        sums += not record.failure
        found |= dict.fromkeys(record.survivors, sums)
    return found


def charge(where: str, own: Sequence[BudgetMove], costs: Costs | None, opened: int) -> int:
    """What a job charged one data set, in millionths of epsilon.

    own     the job's moves
    costs   None if the job opens exact sums
    opened  the last sum that the seat is in, counted from 1

    Raises Refused unless the job reserved its whole run, once, and the charge is a line of its costs, none below that
    of the last sum.
    """
    reserved = [(move.epsilon_micro, move.delta_pico) for move in own if not move.released]
    returned = [(move.epsilon_micro, move.delta_pico) for move in own if move.released]
    if costs is None:
        if own:
            raise Refused(f"{where}: a job of exact sums moved its data set's privacy budget")
        return 0
    if reserved != [costs.steps[-1]] or len(returned) > 1:
        raise Refused(f"{where}: its data set did not reserve, once, what the job states")
    back = returned[0] if returned else (0, 0)
    charged = (reserved[0][0] - back[0], reserved[0][1] - back[1])
    if charged not in costs.steps[opened:]:
        raise Refused(f"{where}: its data set is charged for fewer sums than the {opened} that it is in")
    return charged[0]
