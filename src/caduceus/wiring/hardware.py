"""What this machine has to work with: cores, and a CUDA device if torch sees one and it is asked for."""

from __future__ import annotations

import os
from functools import partial

from caduceus.errors import Refused
from caduceus.protocol.secagg_unmask import Device

MASKS = "CADUCEUS_MASKS"
"""Environment: `cpu` (the default), or `cuda` to take masks off on a CUDA device; it sees them."""


def cores() -> int:
    """How many threads can work at once."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def device() -> Device | None:
    """The hardware that masks are taken off on, None for the processor.

    Raises Refused if the environment asks for something that is not here.
    """
    asked = os.environ.get(MASKS, "cpu")
    if asked == "cpu":
        return None
    if asked != "cuda":
        raise Refused(f"{MASKS}={asked}: masks are taken off on 'cpu' or on 'cuda'")
    from caduceus.edges import gpu_masks  # torch costs a second to load, and few runs need it

    found = gpu_masks.best_device()
    if found is None:
        raise Refused(f"{MASKS}=cuda: torch sees no CUDA device on this machine; unset it to use the processor")
    return partial(gpu_masks.apply_on, found)
