"""Data sets, their versions and readiness, and their privacy budgets: `Datasets.sol`."""

from __future__ import annotations

from dataclasses import replace

from caduceus.kinds import Address, Digest, JobId, Readiness, Role
from caduceus.market.ledger import BudgetMove
from caduceus.sim.rules import reasons as no
from caduceus.sim.rules.members import member_with
from caduceus.sim.rules.tables import Budget, Call, Offered, Records, Tables
from caduceus.sim.rules.words import NO_WORD, dataset_id, number, word


def offer(tables: Tables, call: Call, commitment: Digest, card: Digest, terms: Digest, budget: tuple[int, int]) -> None:
    """Register a data set.

    budget  epsilon in millionths and delta in millionths of a millionth; both 0 for none
    """
    name = dataset_id(call.sender, commitment, card, terms, budget)
    member_with(tables, call.sender, Role.STEWARD)
    if commitment == NO_WORD:
        raise no.COMMITMENT_MISSING()
    if (budget[0] == 0) != (budget[1] == 0):
        raise no.BUDGET_INCOMPLETE(*budget)
    _add(tables, Offered(name, call.sender, commitment, card, terms, *budget))


def supersede(tables: Tables, call: Call, previous: Digest, commitment: Digest, card: Digest, terms: Digest) -> None:
    """Register a newer version of a data set, with the same budget, and withdraw the previous one."""
    for value in (previous, commitment, card, terms):
        word(value)
    member_with(tables, call.sender, Role.STEWARD)
    if commitment == NO_WORD:
        raise no.COMMITMENT_MISSING()
    before = tables.datasets.get(previous)
    if before is None or before.steward != call.sender:
        raise no.NOT_STEWARD(previous, call.sender)
    if before.superseded:
        raise no.ALREADY_SUPERSEDED(previous)
    _join(tables, (call.sender, commitment), budget_key(tables, before))
    budget = before.epsilon_micro, before.delta_pico
    name = dataset_id(call.sender, commitment, card, terms, budget, previous)
    tables.datasets.put(previous, replace(before, active=False, superseded=True))
    _add(tables, Offered(name, call.sender, commitment, card, terms, *budget, previous=previous))


def _join(tables: Tables, records: Records, key: Records) -> None:
    """Let records share the budget under `key` from now on."""
    own = _key(tables, records)
    if own == key:
        return
    if tables.budgets.get(own) is not None:
        raise no.BUDGET_APART(records[1])
    tables.joined.put(own, key)


def _add(tables: Tables, offered: Offered) -> None:
    """Offer a data set, with the one budget of its records."""
    if tables.datasets.get(offered.id) is not None:
        raise no.DATASET_KNOWN(offered.id)
    key, budget = budget_key(tables, offered), (offered.epsilon_micro, offered.delta_pico)
    before = tables.budgets.get(key)
    if before is None:
        if offered.limited:
            tables.budgets.put(key, Budget(*budget))
    elif (before.epsilon_micro, before.delta_pico) != budget:
        raise no.BUDGET_DIFFERS(before.epsilon_micro, before.delta_pico)
    tables.datasets.put(offered.id, offered)
    tables.registered.add(None, offered.id)


def withdraw(tables: Tables, call: Call, dataset: Digest) -> None:
    """Take a data set off the market, for ever."""
    tables.datasets.put(dataset, replace(_offered(tables, dataset, call.sender), active=False))


def state_readiness(tables: Tables, call: Call, dataset: Digest, report: Digest, verdict: int) -> None:
    """State whether a data set is ready to be lent; the newest verdict counts."""
    word(dataset)
    number(verdict, 8)
    if word(report) == NO_WORD:
        raise no.REPORT_MISSING()
    if not Readiness.BLOCKED <= verdict <= Readiness.READY:
        raise no.VERDICT_UNKNOWN(verdict)
    offered = _offered(tables, dataset, call.sender)
    tables.datasets.put(dataset, replace(offered, readiness=Readiness(verdict), report=report))


# ---------------------------------------------------------------- budgets


def budget_key(tables: Tables, offered: Offered) -> Records:
    """The records under which the budget of a data set's records is kept."""
    return _key(tables, offered.records)


def _key(tables: Tables, records: Records) -> Records:
    while (other := tables.joined.get(records)) is not None:
        records = other
    return records


def reserve(
    tables: Tables, dataset: Digest, steward: Address, job: JobId, asked: tuple[int, int], *, least: Readiness
) -> Readiness:
    """Let a job take part with a data set and spend of its budget; (0, 0) for one that opens exact sums.

    least    the verdict with which the data set may take part, or a better one
    returns  the verdict that was stated of it
    """
    offered = _offered(tables, dataset, steward)
    if offered.readiness < least:
        raise no.READINESS_BELOW(dataset, offered.readiness, least)
    if asked[0] == 0:
        if offered.limited:
            raise no.EXACT_SUMS_REFUSED(dataset)
        return offered.readiness
    key = budget_key(tables, offered)
    budget = tables.budgets.get(key) if offered.limited else None
    budget = budget or Budget(0, 0)
    left = budget.epsilon_micro - budget.epsilon_spent, budget.delta_pico - budget.delta_spent
    if asked[0] > left[0] or asked[1] > left[1]:
        raise no.BUDGET_EXCEEDED(dataset, asked[0], left[0], asked[1], left[1])
    _spend(tables, key, budget, asked)
    tables.moves.add(key, BudgetMove(job, *asked, released=False))
    return offered.readiness


def release(tables: Tables, dataset: Digest, job: JobId, back: tuple[int, int]) -> None:
    """Give back a part of what a job reserved."""
    offered = tables.datasets.get(dataset)
    assert offered is not None
    key = budget_key(tables, offered)
    budget = tables.budgets.get(key)
    assert budget is not None
    _spend(tables, key, budget, (-back[0], -back[1]))
    tables.moves.add(key, BudgetMove(job, *back, released=True))


def _spend(tables: Tables, key: Records, budget: Budget, more: tuple[int, int]) -> None:
    spent = budget.epsilon_spent + more[0], budget.delta_spent + more[1]
    tables.budgets.put(key, replace(budget, epsilon_spent=spent[0], delta_spent=spent[1]))


def _offered(tables: Tables, dataset: Digest, steward: Address) -> Offered:
    offered = tables.datasets.get(dataset)
    if offered is None or not offered.active:
        raise no.DATASET_INACTIVE(dataset)
    if offered.steward != steward:
        raise no.NOT_STEWARD(dataset, steward)
    return offered
