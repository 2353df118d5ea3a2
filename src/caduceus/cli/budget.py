"""The command that shows what is left of every data set's privacy budget: privacy budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from caduceus.cli.names import old_run
from caduceus.cli.tables import plain_table
from caduceus.data.policy import show_micro
from caduceus.kinds import PICO, Address, JobId
from caduceus.ports import BudgetMove, DatasetEntry
from caduceus.wiring.recall import entry_of, look_at
from caduceus.wiring.remembered import Memory


@dataclass(frozen=True, slots=True)
class Charge:
    """What one job has taken of a data set's budget, and given back."""

    job: JobId
    epsilon_micro: int
    delta_pico: int
    returned_micro: int

    @property
    def kept_micro(self) -> int:
        """What the job costs the data set as things stand."""
        return self.epsilon_micro - self.returned_micro


def show_budgets(folder: Path, node: str | None) -> None:
    """Say how the budget of every data set on a run's chain stands, and which jobs it went to."""
    workspace = old_run(folder)
    orders = Memory(workspace).orders()
    parties = {account: name for order in orders for account, name in order.names.items()}
    console = Console(highlight=False)
    with look_at(workspace, node or orders[0].url or None) as network:
        jobs = {entry_of(workspace, network, order.label).id: order.label for order in orders}
        numbers = ("budget", "spent", "left")
        table = plain_table(f"Privacy budgets on {network.name}", "data set", *numbers, "by", right=numbers)
        entries = network.chain.datasets()
        for entry in entries:
            charges = add_up(network.chain.budget_moves(entry.id))
            table.add_row(*_row(entry, charges, parties, jobs))
    console.print(table)
    console.print(_summary(entries), style="dim")


def add_up(moves: Sequence[BudgetMove]) -> tuple[Charge, ...]:
    """What every job took and gave back, in the order in which they came."""
    found: dict[JobId, Charge] = {}
    for move in moves:
        one = found.get(move.job, Charge(move.job, 0, 0, 0))
        if move.released:
            found[move.job] = Charge(
                one.job, one.epsilon_micro, one.delta_pico - move.delta_pico, one.returned_micro + move.epsilon_micro
            )
        else:
            found[move.job] = Charge(
                one.job, one.epsilon_micro + move.epsilon_micro, one.delta_pico + move.delta_pico, one.returned_micro
            )
    return tuple(found.values())


def _row(
    entry: DatasetEntry, charges: Sequence[Charge], parties: Mapping[Address, str], jobs: Mapping[JobId, str]
) -> tuple[str, ...]:
    name = escape(parties.get(entry.steward, f"0x{entry.steward.hex()[:12]}…"))
    state = "" if entry.active else ", withdrawn"
    named = f"{name}\n[dim]0x{entry.id.hex()[:12]}…{state}[/dim]"
    if not entry.budget_micro:
        return (named, "none set", "–", "–", "private jobs are refused")
    spent, delta = entry.epsilon_spent_micro, entry.delta_spent_pico
    by = "\n".join(_say_charge(one, jobs) for one in charges) or "nothing yet"
    return (
        named,
        _both(entry.budget_micro, entry.delta_pico),
        _both(spent, delta),
        _both(entry.budget_micro - spent, entry.delta_pico - delta),
        by,
    )


def _say_charge(charge: Charge, jobs: Mapping[JobId, str]) -> str:
    name = escape(jobs.get(charge.job, f"0x{charge.job.hex()[:12]}…"))
    back = f"\n[dim]gave {show_micro(charge.returned_micro)} back[/dim]" if charge.returned_micro else ""
    return f"{name}: {show_micro(charge.kept_micro)}{back}"


def _both(epsilon_micro: int, delta_pico: int) -> str:
    return f"{show_micro(epsilon_micro)}\n[dim]{delta_pico / PICO:g}[/dim]"


def _summary(entries: Sequence[DatasetEntry]) -> str:
    limited = [entry for entry in entries if entry.budget_micro]
    spent = [entry for entry in limited if entry.epsilon_spent_micro]
    return (
        f"Epsilon, and under it delta. {len(entries)} data sets: {len(limited)} with a budget, of which {len(spent)} "
        "have spent. A budget is for a data set's whole life; what a job reserved and did not need, the steward takes "
        "back when the job is over."
    )
