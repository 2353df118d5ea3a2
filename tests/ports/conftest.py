"""The chain's two ports, on every chain that the project runs on."""

from __future__ import annotations

from suite_world import world

__all__ = ["world"]
