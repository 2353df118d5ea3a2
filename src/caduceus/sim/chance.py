"""All chance in a simulation: independent streams from one seed.

The same seed and name give the same stream on every machine and under every hash seed. None of it is ever a secret.
"""

from __future__ import annotations

from random import Random


def stream(seed: int, name: str) -> Random:
    """The stream of a name: drawing from one never changes what another gives."""
    return Random(f"caduceus/sim/{seed}/{name}")  # noqa: S311  (faults are to be repeated, not to be unforeseeable)


def between(chance: Random, span: tuple[float, float]) -> float:
    """A number of seconds from the least to the most of a span."""
    least, most = span
    return least + (most - least) * chance.random()


def happens(chance: Random, probability: float) -> bool:
    """True with a probability from 0 to 1; draws once in any case, so that a changed probability shifts nothing."""
    return chance.random() < probability
