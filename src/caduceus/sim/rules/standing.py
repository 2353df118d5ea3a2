"""What is remembered of parties: `Standing.sol`; the arithmetic is `market.standing`."""

from __future__ import annotations

from caduceus.kinds import MICRO, Address, Digest
from caduceus.market.ledger import NOBODY
from caduceus.market.standing import UNKNOWN, Observation, after, day_of, revoked, token_of, token_of_entity
from caduceus.sim.rules import reasons as no
from caduceus.sim.rules.tables import Call, Tables
from caduceus.sim.rules.words import word


def observe(tables: Tables, call: Call, site: Address, attester: Address, entity: Digest, seen: Observation) -> None:
    """Add what a job showed of a site."""
    if seen.good > MICRO or seen.bad > MICRO:
        raise no.OBSERVATION_OUT_OF_RANGE(seen.good, seen.bad)
    token = token_of(site) if attester == NOBODY else token_of_entity(attester, entity)
    known = tables.standings.get_or(token, UNKNOWN)
    tables.standings.put(token, after(known, seen, day_of(call.time)))
    tables.holders.put(token, site)


def burn(tables: Tables, call: Call, entity: Digest) -> None:
    """Revoke the standing that an entity has in the caller's word."""
    token = token_of_entity(call.sender, Digest(word(entity)))
    if tables.holders.get(token) is None:
        raise no.NO_SUCH_STANDING(token)
    tables.standings.put(token, revoked(tables.standings.get_or(token, UNKNOWN), day_of(call.time)))
    tables.holders.drop(token)
