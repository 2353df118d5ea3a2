"""Faults that come by themselves: machines die, nodes fall silent, sites are cut off, blocks are undone.

A storm is over at some time, and then everything that it broke is whole again: from there on a world must come to its
end, whatever happened before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import final

from caduceus.kinds import Address
from caduceus.sim.chance import between, happens
from caduceus.sim.ground import Ground
from caduceus.sim.host import Host
from caduceus.sim.network import CALM, LineFaults
from caduceus.sim.node import GOOD, NodeFaults


@dataclass(frozen=True, slots=True)
class Rates:
    """How hard a storm is. Periods are mean virtual seconds between two faults of a kind; 0 for never.

    kills      some machine dies, whatever it is at
    power      probability that a machine that dies loses its power too
    points     probability of dying at each crash point
    outages    somebody's chain node falls silent
    cuts       some site is cut off
    undoings   of the chain's last blocks
    depth      most blocks that are undone at once
    dropped    probability that a transaction is forgotten when its block is undone
    lasting    least and most seconds that an outage or a cut lasts
    line       of the network meanwhile
    node       of everybody's chain node meanwhile
    """

    kills: float = 0.0
    power: float = 0.3
    points: float = 0.0
    outages: float = 0.0
    cuts: float = 0.0
    undoings: float = 0.0
    depth: int = 3
    lasting: tuple[float, float] = (5.0, 120.0)
    dropped: float = 0.0
    line: LineFaults = CALM
    node: NodeFaults = GOOD


@final
class Storm:
    """A storm over a ground.

    victims  names of the machines that may die, and of the nodes that may fall silent
    sites    accounts that may be cut off

    Machines that die are started again by whoever set `Host.on_crash`. A storm sets `Host.plan` of its victims.
    """

    def __init__(self, ground: Ground, rates: Rates, victims: Sequence[str], sites: Sequence[Address]) -> None:
        self._ground = ground
        self._rates = rates
        self._victims = list(victims)
        self._sites = list(sites)
        self._chance = ground.chance("storm")
        self._blowing = False

    def blow(self, seconds: float) -> None:
        """Begin now, and be over after so many seconds."""
        ground, rates = self._ground, self._rates
        self._blowing = True
        ground.network.faults = rates.line
        ground.ledger.pace = replace(ground.setting.pace, dropped=rates.dropped)
        for name in self._victims:
            ground.node(name).faults = rates.node
            ground.host(name).plan = self._dies
        for period, what, do in (
            (rates.kills, "a machine dies", self._kill),
            (rates.outages, "an outage begins", self._silence),
            (rates.cuts, "a site is cut off", self._cut),
            (rates.undoings, "blocks are undone", self._undo),
        ):
            if period:
                self._again(period, what, do)
        ground.schedule.after(seconds, "the storm is over", self.calm)

    def calm(self) -> None:
        """End it now: nothing fails any more but what is already under way."""
        ground = self._ground
        self._blowing = False
        ground.network.faults = ground.setting.line
        ground.network.cut_off.clear()
        ground.ledger.pace = ground.setting.pace
        for name in self._victims:
            node = ground.node(name)
            node.faults, node.down = ground.setting.node, False
            ground.host(name).plan = _never

    def cut_power(self, host: Host) -> None:
        """By chance, let a machine that has just died lose its power; for `Host.on_crash`."""
        if self._blowing and happens(self._chance, self._rates.power):
            self._ground.trace.note(f"{host.name} loses its power")
            host.disk.cut_power()

    def _again(self, period: float, what: str, do: Callable[[], None]) -> None:
        """Let a fault happen after a time that is exponentially distributed, and so on."""

        def fault() -> None:
            if self._blowing:
                do()
                self._again(period, what, do)

        self._ground.schedule.after(self._chance.expovariate(1 / period), what, fault)

    def _dies(self, _where: str) -> bool:
        return happens(self._chance, self._rates.points)

    def _kill(self) -> None:
        self._ground.host(self._chance.choice(self._victims)).kill()

    def _silence(self) -> None:
        node = self._ground.node(self._chance.choice(self._victims))

        def back() -> None:
            node.down = False

        node.down = True
        self._ground.schedule.after(between(self._chance, self._rates.lasting), "an outage is over", back)

    def _cut(self) -> None:
        if not self._sites:
            return
        site = self._chance.choice(self._sites)
        self._ground.network.cut_off.add(site)
        self._ground.schedule.after(
            between(self._chance, self._rates.lasting),
            "a site is back",
            lambda: self._ground.network.cut_off.discard(site),
        )

    def _undo(self) -> None:
        self._ground.ledger.reorganise(self._chance.randint(1, self._rates.depth))


def _never(_where: str) -> bool:
    return False
