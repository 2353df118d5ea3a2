"""Members, vouches and status lists: `Members.sol`, `Vouches.sol`, `Statuses.sol`."""

from __future__ import annotations

from dataclasses import replace

from caduceus.kinds import Address, Digest, Role
from caduceus.market.ledger import NOBODY, Member
from caduceus.sim.rules import reasons as no
from caduceus.sim.rules.tables import Call, Tables
from caduceus.sim.rules.words import NO_WORD, word

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


# ---------------------------------------------------------------- status lists


def publish(tables: Tables, call: Call, root: Digest) -> None:
    """Say which of the caller's status lists counts from now on."""
    if word(root) == NO_WORD:
        raise no.ROOT_MISSING()
    tables.statuses.put(call.sender, root)
