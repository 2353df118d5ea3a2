"""Money: a plain ERC-20, and what the Jobs contract takes, gives and owes (`DemoToken.sol`, `Purse.sol`)."""

from __future__ import annotations

from caduceus.kinds import Address
from caduceus.market.ledger import NOBODY
from caduceus.sim.rules import reasons as no
from caduceus.sim.rules.tables import Call, Tables
from caduceus.sim.rules.words import account as checked
from caduceus.sim.rules.words import number

_WITHOUT_LIMIT = (1 << 256) - 1
"""An allowance that is not used up."""


def transfer(tables: Tables, call: Call, token: Address, to: Address, amount: int) -> None:
    """Pay somebody."""
    checked(to)
    number(amount)
    if to == NOBODY:
        raise no.PAYEE_IS_NOBODY(to)
    _move(tables, token, call.sender, to, amount)


def approve(tables: Tables, call: Call, token: Address, amount: int) -> None:
    """Allow the Jobs contract to take an amount."""
    number(amount)
    tables.allowances.put((token, call.sender), amount)


def take(tables: Tables, call: Call, token: Address, amount: int) -> None:
    """The Jobs contract pulls from the caller."""
    if amount == 0:
        return
    allowed = tables.allowances.get_or((token, call.sender), 0)
    if allowed != _WITHOUT_LIMIT:
        if allowed < amount:
            raise no.TOO_LITTLE_ALLOWED(tables.at.jobs, allowed, amount)
        tables.allowances.put((token, call.sender), allowed - amount)
    _move(tables, token, call.sender, tables.at.jobs, amount)


def give(tables: Tables, call: Call, token: Address, amount: int) -> None:
    """The Jobs contract pays the caller."""
    if amount:
        _move(tables, token, tables.at.jobs, call.sender, amount)


def credit(tables: Tables, token: Address, account: Address, amount: int) -> None:
    """The Jobs contract owes an account more, to be withdrawn."""
    if amount:
        tables.credits.put((token, account), tables.credits.get_or((token, account), 0) + amount)


def withdraw(tables: Tables, call: Call, token: Address) -> None:
    """Pull everything that is owed to the caller."""
    amount = tables.credits.get_or((token, call.sender), 0)
    if amount == 0:
        raise no.NOTHING_TO_WITHDRAW(token, call.sender)
    tables.credits.put((token, call.sender), 0)
    give(tables, call, token, amount)


def _move(tables: Tables, token: Address, payer: Address, payee: Address, amount: int) -> None:
    held = tables.balances.get_or((token, payer), 0)
    if held < amount:
        raise no.TOO_LITTLE_HELD(payer, held, amount)
    tables.balances.put((token, payer), held - amount)
    tables.balances.put((token, payee), tables.balances.get_or((token, payee), 0) + amount)
