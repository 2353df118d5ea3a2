"""The contracts on every chain that the project runs on."""

from __future__ import annotations

import pytest

from suite_world import Party, World, world

__all__ = ["world"]


@pytest.fixture
def stranger(world: World) -> Party:
    """Somebody with an account and nothing to do with anything."""
    return world.newcomer("stranger")
