"""The settings in which every arm is trained: who has which records, and who attacks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from worlds import digits, stroke
from worlds.protocol import ATTACKS, Protocol
from worlds.shards import Shards

WORKERS, ATTACKERS = 25, 5
PEACEFUL = 24
"""Workers where nobody attacks, as in the paper."""
BATCH = 32

STILL = Protocol(steps=450, rate=0.1, batch=BATCH, momentum=0.0)
MOVING = Protocol(steps=450, rate=0.02, batch=BATCH, momentum=0.9)
LONG = Protocol(steps=900, rate=0.1, batch=BATCH, momentum=0.0)
"""Rates with which the mean learns what it can in these steps; the same for every rule."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One of them.

    build    the world of a seed
    overall  what the first figure is called
    """

    build: Callable[[int], Shards]
    protocol: Protocol
    overall: str = "accuracy"


def _attacked(protocol: Protocol, name: str) -> Protocol:
    return Protocol(protocol.steps, protocol.rate, BATCH, protocol.momentum, ATTACKERS, ATTACKS[name])


_HONEST = WORKERS - ATTACKERS
_SORTED = partial(digits.build, workers=_HONEST, alike=False, long_tail=False)
_ALIKE = partial(digits.build, workers=_HONEST, alike=True, long_tail=False)
_HOSPITALS = partial(stroke.build, workers=_HONEST, natural=True)

TAIL_ALIKE, TAIL_SORTED = "digits, long tail, alike", "digits, long tail, sorted"
MIMIC_ALIKE, MIMIC_SORTED = "digits, alike, mimic", "digits, sorted, mimic"
STROKE_NATURAL, STROKE_SORTED = "stroke, hospitals", "stroke, sorted"


def on_digits(attack: str) -> str:
    """The name of the setting with momentum."""
    return f"digits, sorted, {attack}, momentum"


def on_stroke(attack: str) -> str:
    """The same among hospitals."""
    return f"stroke, hospitals, {attack}, momentum"


SETTINGS: Mapping[str, Setting] = {
    TAIL_ALIKE: Setting(partial(digits.build, workers=PEACEFUL, alike=True, long_tail=True), LONG),
    TAIL_SORTED: Setting(partial(digits.build, workers=PEACEFUL, alike=False, long_tail=True), LONG),
    STROKE_NATURAL: Setting(partial(stroke.build, workers=PEACEFUL, natural=True), STILL, "AUROC"),
    STROKE_SORTED: Setting(partial(stroke.build, workers=PEACEFUL, natural=False), STILL, "AUROC"),
    MIMIC_ALIKE: Setting(_ALIKE, _attacked(STILL, "mimic")),
    MIMIC_SORTED: Setting(_SORTED, _attacked(STILL, "mimic")),
    **{on_digits(name): Setting(_SORTED, _attacked(MOVING, name)) for name in ATTACKS},
    **{on_stroke(name): Setting(_HOSPITALS, _attacked(MOVING, name), "AUROC") for name in ATTACKS},
}

QUICK = (TAIL_SORTED, STROKE_NATURAL, MIMIC_SORTED)
