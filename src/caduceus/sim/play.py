"""One schedule from beginning to end: what it is like and what fails in it is drawn from its seed."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from functools import partial
from typing import final

from caduceus.errors import Unavailable, Uncertain
from caduceus.kinds import Stage
from caduceus.sim.asked import Variant
from caduceus.sim.chance import between, happens, stream
from caduceus.sim.host import Host
from caduceus.sim.laws import at_any_time, at_the_end, is_over, onlooker, outcome, round_records
from caduceus.sim.ledger import Ledger
from caduceus.sim.network import LineFaults
from caduceus.sim.node import NodeFaults
from caduceus.sim.people import BUYER, COORDINATOR
from caduceus.sim.storm import Rates, Storm
from caduceus.sim.world import Keep, Shape, World, honest

_UNDONE = (
    *("Jobs.openAndFund", "Jobs.accept", "Datasets.register", "Jobs.enrol", "Jobs.start", "Jobs.anchor", "Jobs.settle"),
    *("Jobs.complete", "Jobs.claim", "Jobs.withdraw", "Jobs.expire", "Jobs.releaseBudget"),
)
_POINTS = {COORDINATOR: 180, BUYER: 13}
"""About as many crash points as a party has in a job where nothing fails."""
_POINTS_OF_SITE = 85

LOOK = 20.0
"""Virtual seconds between two looks at the laws."""
LATEST = 600.0
"""Virtual seconds after the storm and the job's last deadline in which everybody has what is theirs: a daemon that was
refused something lets up to 32 looks pass before it tries again."""

PATIENCE = 3600.0
"""Virtual seconds from the end of a storm in which a job must have ended, and everybody have what is theirs."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is played.

    storm   virtual seconds that it lasts; 0 for calm weather
    strike  a machine that dies at the crash point of this number, counted from 1, and whether its power goes too
    undo    transactions of which the first block that holds one is undone soon after, by what they do
    """

    shape: Shape
    rates: Rates
    storm: float
    strike: tuple[str, int, bool] | None = None
    undo: tuple[str, ...] = ()

    @property
    def is_calm(self) -> bool:
        """Whether nothing fails."""
        return not (self.storm or self.strike or self.undo)


@final
@dataclass(frozen=True, slots=True)
class Played:
    """What came of it.

    broken   each law that did not hold
    ended    how the job ended
    trace    hash of everything that happened
    last     the last notes before the first law was broken, or before the end
    """

    seed: int
    plan: Plan
    ended: str
    broken: tuple[str, ...]
    crashes: int
    faults: int
    undone: int
    rounds: int
    failed: int
    repeats: int
    notes: int
    trace: str
    last: tuple[str, ...]


def planned(seed: int) -> Plan:
    """The plan of a seed: a storm, or a single death, or single blocks undone, or, seldom, calm weather."""
    chance = stream(seed, "plan")
    variant = Variant.EXACT
    draw = chance.random()
    if draw < 0.1:
        variant = Variant.COHORT
    elif draw < 0.35:
        variant = Variant.PRIVATE
    sites = chance.choice((6, 7)) if variant is Variant.COHORT else chance.choice((3, 3, 4, 4, 4, 5))
    confirmations, deep = chance.choice((2, 3, 4)), happens(chance, 0.2)
    depth = confirmations + chance.choice((0, 1, 2)) if deep else chance.randint(1, confirmations - 1)
    orderly = happens(chance, 0.75)
    storm = between(chance, (60.0, 700.0))
    weather = chance.random()
    struck = chance.choice((COORDINATOR, BUYER, "site-0", "site-1", "site-2"))
    strike = struck, chance.randint(1, _POINTS.get(struck, _POINTS_OF_SITE)), happens(chance, 0.5)
    undo = tuple(what for what in _UNDONE if happens(chance, 0.15))

    def some(of: float, least: float, most: float) -> float:
        """A mean period or a probability, or 0 in a part of all worlds."""
        value, there = between(chance, (least, most)), happens(chance, of)
        return value if there else 0.0

    rates = Rates(
        kills=some(0.6, 30.0, 300.0),
        power=between(chance, (0.0, 0.6)),
        points=some(0.5, 0.001, 0.03),
        outages=some(0.5, 60.0, 400.0),
        cuts=some(0.5, 40.0, 300.0),
        undoings=some(0.5, 40.0, 300.0),
        depth=depth,
        lasting=(5.0, chance.choice((20.0, 60.0, 120.0))),
        dropped=some(0.4, 0.05, 0.3),
        line=LineFaults(
            delay=(0.001, chance.choice((0.02, 0.5, 3.0))),
            lost=some(0.5, 0.005, 0.1),
            doubled=some(0.4, 0.01, 0.2),
        ),
        node=NodeFaults(silent=some(0.5, 0.01, 0.1)),
    )
    if weather < 0.25:
        return Plan(Shape(variant, sites, confirmations), Rates(), 0.0, strike=strike)
    if weather < 0.3:
        return Plan(Shape(variant, sites, confirmations), Rates(), 0.0)
    if weather < 0.45:
        return Plan(Shape(variant, sites, confirmations, deep=deep), Rates(depth=depth), 0.0, undo=undo)
    whole = not (rates.cuts or rates.line.lost)
    shape = Shape(variant, sites, confirmations, orderly=orderly, whole=whole, deep=deep and bool(rates.undoings))
    return Plan(shape, rates, storm, undo=undo if rates.undoings else ())


def play(seed: int, plan: Plan | None = None, *, keep: Keep = honest, kept: int = 200) -> Played:
    """Play a seed to its end; what went wrong is in what comes back, also if it is a bug of the simulation's.

    kept  notes that are kept of what happened last
    """
    plan = planned(seed) if plan is None else plan
    world = World(seed, plan.shape, keep=keep)
    ground = world.ground
    storm = Storm(ground, plan.rates, list(world.people), [one.account for one in world.people.values()])
    world.on_crash = storm.cut_power
    undone = _Counted(world, plan, kept)
    ground.trace.watch = undone.note
    world.begin()
    if plan.strike:
        _strike(world, *plan.strike)
    if plan.storm:
        storm.blow(plan.storm)
    broken: list[str] = []
    try:
        end = plan.storm + PATIENCE
        while not broken and ground.clock.monotonic() < end:
            if ground.schedule.wait(LOOK, lambda: is_over(world)):
                break
            broken += [*world.broken, *at_any_time(world)]
        if not broken:
            broken += _late(world, plan.storm)
        if not broken and plan.shape.deep and any(at_the_end(world)):
            ground.trace.note("everybody is told to look again")
            world.look_again()
            ground.schedule.wait(PATIENCE, lambda: is_over(world))
        if not broken:
            broken += world.broken
            broken += at_the_end(world)
            if not broken and outcome(world) != "absent" and not is_over(world):
                broken.append("somebody is not done with the job")
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as bug:  # noqa: BLE001  (a finding like any other)
        broken.append("a bug: " + "".join(traceback.format_exception(bug)))
    finally:
        for law in broken:
            ground.trace.note(f"BROKEN: {law}")
        ground.trace.watch = lambda _line: None
        ground.schedule.close()
    records = () if world.job is None else round_records(world, world.job)
    return Played(
        seed,
        plan,
        _ended(world),
        tuple(broken),
        world.crashes,
        world.faults,
        undone.undone,
        len(records),
        sum(bool(one.failure) for one in records),
        world.watch.repeats,
        ground.trace.count,
        ground.trace.digest.hex(),
        tuple(undone.last),
    )


def _late(world: World, storm: float) -> list[str]:
    """Whether everybody was done in time."""
    entry = None if world.job is None else onlooker(world).job(world.job)
    if entry is None or not is_over(world):
        return []
    clock = world.ground.clock
    late = min(clock.monotonic() - storm, clock.unix() - entry.deadline)
    return [f"everybody has what is theirs {late:.0f} s after it could be so"] if late > LATEST else []


def _ended(world: World) -> str:
    try:
        return outcome(world)
    except (Unavailable, Uncertain):  # pragma: no cover  (an onlooker's node never fails)
        return Stage.NONE.name.lower()


def _strike(world: World, name: str, number: int, power: bool) -> None:
    """Let a machine die at one of its crash points, once."""
    host, left = world.ground.host(name), [number]

    def dies(_where: str) -> bool:
        left[0] -= 1
        return left[0] == 0

    def died(dead: Host) -> None:
        if power and dead is host:
            world.ground.trace.note(f"{name} loses its power")
            host.disk.cut_power()

    host.plan, world.on_crash = dies, died


def _undo(ledger: Ledger, depth: int) -> None:
    ledger.reorganise(depth)


@final
class _Counted:
    """Counts reorganisations, keeps the last notes, and has blocks undone as planned."""

    def __init__(self, world: World, plan: Plan, kept: int) -> None:
        self.undone = 0
        self.last: list[str] = []
        self._world, self._kept, self._depth = world, kept, plan.rates.depth
        self._chance, self._undo = world.ground.chance("undoing"), set(plan.undo)

    def note(self, line: str) -> None:
        """One more note."""
        self.undone += " reorganisation of " in line
        self.last.append(line)
        if len(self.last) > 2 * self._kept:
            del self.last[: -self._kept]
        if self._undo and " block " in line:
            for what in sorted(one for one in self._undo if one in line):
                self._undo.discard(what)
                ledger, depth = self._world.ground.ledger, self._chance.randint(1, self._depth)
                after = self._chance.uniform(0.0, 12.0 * depth)
                self._world.ground.schedule.after(after, f"{what} is undone", partial(_undo, ledger, depth))
