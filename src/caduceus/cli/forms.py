"""Forms in which a card is given; apart, so that `--help` loads nothing else."""

from __future__ import annotations

from enum import StrEnum


class Form(StrEnum):
    """In which form a card is wanted."""

    TEXT = "text"
    JSON = "json"
    CROISSANT = "croissant"
    HEALTH_DCAT = "healthdcat"
