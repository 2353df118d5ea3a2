"""What the contracts' own tests ask for, on both chains at once."""

from __future__ import annotations

import pytest
from twin import TwinWorld

from suite_world import Party


@pytest.fixture(scope="session")
def world() -> TwinWorld:
    """The contracts on the embedded chain and the ledger beside it: every call goes to both, and is compared."""
    return TwinWorld()


@pytest.fixture
def stranger(world: TwinWorld) -> Party:
    """Somebody with an account and nothing to do with anything."""
    return world.newcomer("stranger")
