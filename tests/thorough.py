"""How many cases a law is tried on: a part of them each time, and all where CADUCEUS_THOROUGH is set."""

from __future__ import annotations

import os


def tries(every: int, usual: int) -> int:
    """`every` in a thorough run, which takes an hour; else `usual`."""
    return every if os.environ.get("CADUCEUS_THOROUGH") else usual
