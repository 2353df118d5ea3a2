"""Distributed stochastic descent with attackers, as Karimireddy, He, Jaggi 2022 ran it (section 6 and their code).

Honest workers send their gradient with momentum (m <- beta m + g); attackers have records like everybody's, no
momentum, and know what the honest send. The server steps along what its rule makes of the updates.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from attacks import updates
from worlds import softmax
from worlds.shards import FIGURES, Shards, Singles

Rule = Callable[[Singles, Singles], Singles]
"""Updates [workers, parameters] and the last step's aggregate [parameters] (zeros at first) to an aggregate."""

EVERY, LAST = 30, 5
"""The figures are means over this many evaluations, so many steps apart, the last one at the end."""


@dataclass(frozen=True, slots=True)
class Attack:
    """What attackers do.

    craft    what they send (bench/attacks), times `scale`
    flipped  whether class c of theirs is labelled as the (C - 1 - c)-th
    """

    craft: updates.Craft
    scale: float = 1.0
    flipped: bool = False


ATTACKS = {
    "bit flip": Attack(updates.sign_flip, 0.25),  # the catalogue's is four times as long
    "label flip": Attack(updates.as_trained, flipped=True),
    "mimic": Attack(updates.copy_best),  # `best` is the worker that `_target` finds, as the paper has it
    "IPM": Attack(updates.inner_product, 0.2),  # the catalogue's is half of the mean backwards, the paper's a tenth
    "ALIE": Attack(updates.alie),
}


@dataclass(frozen=True, slots=True)
class Protocol:
    """How a world is trained.

    attackers  f, besides the honest workers
    attack     what they do; None: there are none
    momentum   beta of honest workers
    rate       of the server's steps
    """

    steps: int
    rate: float
    batch: int
    momentum: float
    attackers: int = 0
    attack: Attack | None = None


def train(shards: Shards, rule: Rule, protocol: Protocol, seed: int) -> npt.NDArray[np.float64]:
    """The two figures of the trained model."""
    generator = np.random.default_rng(seed)
    model = softmax.opening(generator, shards.features.shape[1], shards.classes)
    momentum = np.zeros((len(shards.sizes), len(model)), np.float32)
    last, target = np.zeros_like(model), -1
    figures = []
    for step in range(protocol.steps):
        gradients = softmax.gradients(model, *shards.draw(generator, protocol.batch), shards.classes)
        momentum = np.float32(protocol.momentum) * momentum + gradients
        sent = momentum
        if protocol.attack is not None:
            target = target if step else _target(momentum, generator)
            sent = np.concatenate([momentum, _attack(shards, protocol, model, (momentum, target, last), generator)])
        last = rule(sent, last)
        model = model - np.float32(protocol.rate) * last
        left = protocol.steps - 1 - step
        if left % EVERY == 0 and left < EVERY * LAST:
            figures.append(shards.judge(softmax.scores(model, shards.held, shards.classes)))
    return np.array(figures).reshape(-1, FIGURES).mean(0)


def _attack(
    shards: Shards,
    protocol: Protocol,
    model: Singles,
    seen: tuple[Singles, int, Singles],
    generator: np.random.Generator,
) -> Singles:
    attack = protocol.attack
    assert attack is not None
    honest, target, last = seen
    features, labels = shards.draw_alike(generator, protocol.attackers, protocol.batch)
    labels = shards.classes - 1 - labels if attack.flipped else labels
    own = softmax.gradients(model, features, labels, shards.classes)
    sight = updates.Sight(own, honest, target, target, last, generator)
    return np.float32(attack.scale) * attack.craft(sight)


def _target(honest: Singles, generator: np.random.Generator) -> int:
    """Whom to mimic from now on: the farthest along the direction in which honest updates differ most.

    Source: Karimireddy et al. 2022, section 3.2 (one step of the power iteration, as their code has it).
    """
    apart = honest - honest.mean(0)
    direction = (apart @ generator.normal(0.0, 1.0, honest.shape[1])) @ apart
    return int((honest @ direction).argmax())
