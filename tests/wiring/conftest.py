"""Fixtures of the tests of whole runs."""

from __future__ import annotations

from anvil_node import anvil

__all__ = ["anvil"]
