"""Who plays in a simulated world: keys from names, secrets from the seed, and small tables of invented patients."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import final

import numpy as np

from caduceus.agents.standing import Secrets
from caduceus.crypto.entropy import KeyedEntropy
from caduceus.crypto.mldsa import Identity
from caduceus.crypto.sign import Signer
from caduceus.data.card import Card, describe
from caduceus.data.schema import Column, Schema
from caduceus.data.table import Table
from caduceus.kinds import Address, Digest
from caduceus.sim.chance import stream

COORDINATOR, BUYER = "coordinator", "buyer"

ROWS = 40
"""Of every site's table."""

SCHEMA = Schema(
    "A small ward",
    (
        Column("age", "number", "feature", "a", "", 0.0, 120.0, (), True, None),
        Column("pulse", "number", "feature", "/min", "", 20.0, 220.0, (), True, None),
        Column("ill", "boolean", "target", "", "", 0.0, 1.0, (), True, None),
    ),
)


@final
@dataclass(frozen=True, slots=True)
class Person:
    """One party with its keys; `account` holds its money."""

    name: str
    account: Address
    secrets: Secrets
    agreement: bytes


@lru_cache(maxsize=64)  # making an ML-DSA key costs more than a round, and a name's is always the same
def _keys(name: str) -> tuple[Signer, bytes, bytes]:
    seed = sha256(b"caduceus/sim/identity/" + name.encode()).digest()
    signer = Signer(sha256(b"caduceus/sim/signer/" + name.encode()).digest())
    return signer, seed, sha256(Identity(seed).public).digest()


def person(name: str, seed: int) -> Person:
    """A party: keys by its name, the root of its secrets by name and seed."""
    signer, identity, agreement = _keys(name)
    root = sha256(f"caduceus/sim/entropy/{seed}/{name}".encode()).digest()
    account = Address(sha256(b"caduceus/sim/account/" + name.encode()).digest()[:20])
    return Person(name, account, Secrets(signer, identity, KeyedEntropy(root)), agreement)


def site_names(count: int) -> tuple[str, ...]:
    """The names of so many sites."""
    return tuple(f"site-{number}" for number in range(count))


@lru_cache(maxsize=64)
def table(name: str) -> Table:
    """A site's patients: the older, and the faster their pulse, the more often ill."""
    chance = stream(0, f"patients of {name}")
    age = np.array([chance.uniform(20, 100) for _ in range(ROWS)])
    pulse = np.array([chance.uniform(50, 120) for _ in range(ROWS)])
    luck = np.array([chance.gauss(0, 25) for _ in range(ROWS)])
    return Table(SCHEMA, np.stack([age, pulse, (age + pulse + luck > 145).astype(float)]))


@lru_cache(maxsize=64)
def card(name: str) -> Card:
    """The card of a site's table."""
    commitment = Digest(sha256(b"records of " + name.encode()).digest())
    return describe(table(name), title=name, description="", licence="", citation="", commitment=commitment)
