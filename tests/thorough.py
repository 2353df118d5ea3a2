"""How many cases a law is tried on: a part of them each time, and all where CADUCEUS_THOROUGH is set."""

from __future__ import annotations

import os

IS_THOROUGH = bool(os.environ.get("CADUCEUS_THOROUGH"))


def tries(every: int, usual: int) -> int:
    """`every` in a thorough run, which takes an hour; else `usual`."""
    return every if IS_THOROUGH else usual
