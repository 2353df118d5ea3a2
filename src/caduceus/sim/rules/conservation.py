"""Money neither comes nor goes, and no privacy budget is overspent: what must hold after every transaction."""

from __future__ import annotations

from collections import defaultdict

from caduceus.kinds import Address, Stage
from caduceus.sim.rules.disputes import holds_stake
from caduceus.sim.rules.tables import Job, Tables


def broken(tables: Tables) -> list[str]:
    """Each law that does not hold, in words; none if all is well."""
    return [*_money(tables), *_budgets(tables)]


def _money(tables: Tables) -> list[str]:
    held: dict[Address, int] = defaultdict(int)
    for (token, _), amount in tables.balances.items():
        held[token] += amount
    owed = _owed(tables)
    found = []
    for token, supply in tables.supplies.items():
        if held[token] != supply:
            found.append(f"accounts hold {held[token]} of token 0x{token.hex()}, and {supply} were made")
        kept = tables.balances.get_or((token, tables.at.jobs), 0)
        if kept != owed[token]:
            found.append(f"the Jobs contract holds {kept} of token 0x{token.hex()} and owes {owed[token]}")
    negative = [(key, amount) for key, amount in tables.balances.items() if amount < 0]
    return found + [f"0x{account.hex()} holds {amount} of 0x{token.hex()}" for (token, account), amount in negative]


def _owed(tables: Tables) -> dict[Address, int]:
    """What the Jobs contract must hold, by token: escrow, stakes, bonds, rewards and credits."""
    owed: dict[Address, int] = defaultdict(int)
    for (token, _), amount in tables.credits.items():
        owed[token] += amount
    for entry in tables.jobs.values():
        owed[entry.terms.token] += _of_job(entry)
    for (job, _), place in tables.places.items():
        of = tables.jobs.get(job)
        assert of is not None
        owed[of.terms.token] += of.terms.stake * holds_stake(of, place)
    return owed


def _of_job(entry: Job) -> int:
    escrow = entry.terms.price if Stage.FUNDED <= entry.stage <= Stage.SETTLING else 0
    rewards = entry.payout - entry.paid if entry.stage is Stage.COMPLETED else 0
    return escrow + rewards + entry.terms.bond * entry.bond_held


def _budgets(tables: Tables) -> list[str]:
    found = [
        f"records 0x{records[1].hex()} share others' budget and have one of their own"
        for records, _ in tables.joined.items()
        if tables.budgets.get(records) is not None
    ]
    for key, budget in tables.budgets.items():
        moved = [0, 0]
        for move in tables.moves.of(key):
            sign = -1 if move.released else 1
            moved[0] += sign * move.epsilon_micro
            moved[1] += sign * move.delta_pico
        spent = [budget.epsilon_spent, budget.delta_spent]
        if moved != spent:
            found.append(f"records 0x{key[1].hex()}: {spent} is spent, and jobs took {moved}")
        if not (0 <= spent[0] <= budget.epsilon_micro and 0 <= spent[1] <= budget.delta_pico):
            found.append(f"records 0x{key[1].hex()}: {spent} is spent of a budget of {budget}")
    return found
