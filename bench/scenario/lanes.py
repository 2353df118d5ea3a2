"""The mechanism itself as a rule of the scenario: it gets what a secure round opens, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from caduceus.market.mechanism.judge import judge
from caduceus.market.mechanism.rules import Memory, Rules, start
from caduceus.market.mechanism.verdict import Verdict
from scenario.rounds import Answer, Opened, Rule


def two_lanes(rules: Rules, watch: Callable[[int, Verdict], None] | None = None) -> Callable[[int], Rule]:
    """Makes a judge for each seed.

    watch  told of every verdict, with the seed
    """

    def make(seed: int) -> Rule:
        memory: Memory | None = None

        def rule(opened: Opened) -> Answer:
            nonlocal memory
            seen = opened.seen
            verdict = judge(rules, memory or start(rules, seen.sites, len(seen.owner)), seen)
            memory = verdict.memory
            if watch is not None:
                watch(seed, verdict)
            return Answer(verdict.weights, verdict.pay, np.zeros(2), verdict.rolls_back)

        return rule

    return make
