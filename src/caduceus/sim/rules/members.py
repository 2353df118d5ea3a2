"""Members, vouches and data sets with their privacy budgets: `Members.sol`, `Vouches.sol`, `Datasets.sol`."""

from __future__ import annotations

from dataclasses import replace

from caduceus.kinds import Address, Digest, JobId, Role
from caduceus.market.ledger import NOBODY, BudgetMove, Member
from caduceus.sim.rules import reasons as no
from caduceus.sim.rules.tables import Budget, Call, Offered, Tables
from caduceus.sim.rules.words import NO_WORD, dataset_id, word

_ALL = 63


def register(tables: Tables, call: Call, roles: Role, signer: Address, agreement_key: bytes) -> None:
    """Join."""
    if tables.members.get(call.sender) is not None:
        raise no.ALREADY_MEMBER(call.sender)
    _check_roles(roles)
    _check_keys(signer, agreement_key)
    tables.members.put(call.sender, Member(call.sender, roles, signer, agreement_key))


def rekey(tables: Tables, call: Call, signer: Address, agreement_key: bytes) -> None:
    """Replace both keys, from the next seat on."""
    member = _own(tables, call)
    _check_keys(signer, agreement_key)
    tables.members.put(call.sender, replace(member, signer=signer, agreement_key=agreement_key))


def set_roles(tables: Tables, call: Call, roles: Role) -> None:
    """Replace the caller's roles."""
    member = _own(tables, call)
    _check_roles(roles)
    tables.members.put(call.sender, replace(member, roles=roles))


def resign(tables: Tables, call: Call) -> None:
    """Stop being a member."""
    _own(tables, call)
    tables.members.drop(call.sender)


def _own(tables: Tables, call: Call) -> Member:
    member = tables.members.get(call.sender)
    if member is None:
        raise no.NOT_MEMBER(call.sender)
    return member


def _check_roles(roles: Role) -> None:
    if not 0 < roles <= _ALL:
        raise no.ROLES_UNKNOWN(int(roles))


def _check_keys(signer: Address, agreement_key: bytes) -> None:
    if signer == NOBODY or word(agreement_key) == NO_WORD:
        raise no.KEY_MISSING()


def member_with(tables: Tables, account: Address, role: Role) -> Member:
    """The member at an account, which must hold the role."""
    member = tables.members.get(account)
    if member is None:
        raise no.NOT_MEMBER(account)
    if role not in member.roles:
        raise no.ROLE_MISSING(account, int(role))
    return member


# ---------------------------------------------------------------- vouches


def vouch(tables: Tables, call: Call, account: Address, entity: Digest) -> None:
    """Say which legal entity an account is."""
    member_with(tables, call.sender, Role.ATTESTER)
    if word(entity) == NO_WORD:
        raise no.ENTITY_MISSING()
    before = tables.entities.get((call.sender, account))
    if before is not None:
        raise no.ALREADY_VOUCHED(account, before)
    tables.entities.put((call.sender, account), entity)


def revoke(tables: Tables, call: Call, account: Address) -> None:
    """Take that back."""
    if tables.entities.get((call.sender, account)) is None:
        raise no.VOUCH_MISSING(call.sender, account)
    tables.entities.drop((call.sender, account))


# ---------------------------------------------------------------- data sets


def offer(tables: Tables, call: Call, commitment: Digest, card: Digest, terms: Digest, budget: tuple[int, int]) -> None:
    """Register a data set.

    budget  epsilon in millionths and delta in millionths of a millionth; both 0 for none
    """
    name = dataset_id(call.sender, commitment, card, terms, *budget)
    member_with(tables, call.sender, Role.STEWARD)
    if commitment == NO_WORD:
        raise no.COMMITMENT_MISSING()
    if (budget[0] == 0) != (budget[1] == 0):
        raise no.BUDGET_INCOMPLETE(*budget)
    if tables.datasets.get(name) is not None:
        raise no.DATASET_KNOWN(name)
    offered = Offered(name, call.sender, commitment, card, terms, *budget)
    before = tables.budgets.get(offered.records)
    if before is None:
        if offered.limited:
            tables.budgets.put(offered.records, Budget(*budget))
    elif (before.epsilon_micro, before.delta_pico) != budget:
        raise no.BUDGET_DIFFERS(before.epsilon_micro, before.delta_pico)
    tables.datasets.put(name, offered)
    tables.registered.add(None, name)


def withdraw(tables: Tables, call: Call, dataset: Digest) -> None:
    """Take a data set off the market, for ever."""
    tables.datasets.put(dataset, replace(_offered(tables, dataset, call.sender), active=False))


def reserve(tables: Tables, dataset: Digest, steward: Address, job: JobId, asked: tuple[int, int]) -> None:
    """Let a job spend of a data set's budget; (0, 0) for one that opens exact sums."""
    offered = _offered(tables, dataset, steward)
    if asked[0] == 0:
        if offered.limited:
            raise no.EXACT_SUMS_REFUSED(dataset)
        return
    budget = tables.budgets.get(offered.records) if offered.limited else None
    budget = budget or Budget(0, 0)
    left = budget.epsilon_micro - budget.epsilon_spent, budget.delta_pico - budget.delta_spent
    if asked[0] > left[0] or asked[1] > left[1]:
        raise no.BUDGET_EXCEEDED(dataset, asked[0], left[0], asked[1], left[1])
    _spend(tables, offered, budget, asked)
    tables.moves.add(offered.records, BudgetMove(job, *asked, released=False))


def release(tables: Tables, dataset: Digest, job: JobId, back: tuple[int, int]) -> None:
    """Give back a part of what a job reserved."""
    offered = tables.datasets.get(dataset)
    budget = None if offered is None else tables.budgets.get(offered.records)
    assert offered is not None
    assert budget is not None
    _spend(tables, offered, budget, (-back[0], -back[1]))
    tables.moves.add(offered.records, BudgetMove(job, *back, released=True))


def _spend(tables: Tables, offered: Offered, budget: Budget, more: tuple[int, int]) -> None:
    spent = budget.epsilon_spent + more[0], budget.delta_spent + more[1]
    tables.budgets.put(offered.records, replace(budget, epsilon_spent=spent[0], delta_spent=spent[1]))


def _offered(tables: Tables, dataset: Digest, steward: Address) -> Offered:
    offered = tables.datasets.get(dataset)
    if offered is None or not offered.active:
        raise no.DATASET_INACTIVE(dataset)
    if offered.steward != steward:
        raise no.NOT_STEWARD(dataset, steward)
    return offered
