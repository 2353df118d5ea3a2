"""The stage of the stories with a hostile party."""

from __future__ import annotations

from pathlib import Path

import pytest
from theatre import Theatre

from anvil_node import anvil

__all__ = ["anvil"]


@pytest.fixture
def theatre(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Theatre:
    """A small job with four sites, not yet played."""
    return Theatre(tmp_path, monkeypatch)
