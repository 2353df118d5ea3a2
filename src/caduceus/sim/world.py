"""A coordinator, a buyer and sites, each a daemon of the product, on one simulated ground."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, cast, final

from caduceus.agents.buyer import Buyer
from caduceus.agents.buyer_duties import BuyerDuties
from caduceus.agents.coordinator import Coordinator
from caduceus.agents.coordinator_duties import CoordinatorDuties
from caduceus.agents.duties import Event
from caduceus.agents.seat import SeatedSite
from caduceus.agents.site_duties import SiteDuties
from caduceus.agents.steward import Steward
from caduceus.errors import Error
from caduceus.kinds import Address, JobId, Seat, Tokens
from caduceus.learn.task import Task
from caduceus.market.ledger import JobTerms
from caduceus.market.specification import JobSpec
from caduceus.market.terms import terms_of
from caduceus.market.work import work_of
from caduceus.ports import JobEntry, Journal, Reactor
from caduceus.sim.asked import Variant, specification, terms
from caduceus.sim.ground import Ground, Setting
from caduceus.sim.handed import HandedStore
from caduceus.sim.host import Crash, Host
from caduceus.sim.people import BUYER, COORDINATOR, SCHEMA, Person, card, person, site_names, table
from caduceus.sim.rules.tables import Deployed
from caduceus.sim.store import MemoryStore
from caduceus.sim.switch import GREETING, SimHub, SimSpoke, Switch
from caduceus.sim.watch import Counted, Watch

TOKEN = Address(b"\x70" * 20)
POLL = 8.0
"""Virtual seconds between two looks of a daemon at its jobs."""
MONEY = Tokens(200_000)
"""What every account has at the beginning."""

Keep = Callable[[Host], Journal]
"""Gives a party's journal."""


class Duties(Protocol):
    """A role's duties; see `agents.duties`."""

    def jobs(self) -> Sequence[JobId]: ...

    def attend(self, job: JobId) -> None: ...


@dataclass(frozen=True, slots=True)
class Shape:
    """What a world is like.

    sites          how many there are, at least 3; with cohorts at least 6
    confirmations  blocks after which a party takes its own transaction for sure
    orderly        whether messages keep their order and are heard once, as on the real switchboard
    whole          whether none is lost either: then nobody has a reason to blame anybody
    deep           whether more blocks may be undone than a party waits for: then it may have to be told to look again
    """

    variant: Variant = Variant.EXACT
    sites: int = 3
    confirmations: int = 2
    orderly: bool = True
    whole: bool = True
    deep: bool = False


def honest(host: Host) -> Journal:
    """A journal that keeps its promises."""
    return host.journal()


@final
class World:
    """Everybody, and what they do.

    keep  gives everybody's journal; another than the honest one is a bug that is planted
    """

    def __init__(self, seed: int, shape: Shape, *, keep: Keep = honest) -> None:
        self.shape, self._keep = shape, keep
        self.names = site_names(shape.sites)
        self.people: dict[str, Person] = {name: person(name, seed) for name in (COORDINATOR, BUYER, *self.names)}
        holdings = {TOKEN: {one.account: MONEY for one in self.people.values()}}
        self.ground = Ground(seed, Setting(Deployed(7, Address(b"\x10" * 20)), holdings))
        self.switch = Switch(self.ground.schedule, self.ground.trace, self.ground.network)
        self.switch.orderly = shape.orderly
        least = 6 if shape.variant is Variant.COHORT else 3
        self.spec = specification(shape.variant, least, shape.sites)
        self.task: Task[Any] = cast("Task[Any]", work_of(self.spec))
        self.broken: list[str] = []
        self.crashes = self.faults = 0
        self.events: list[tuple[str, Event]] = []
        self.watch = Watch(self.task, self.breaks, may_blame=not shape.orderly or not shape.whole or shape.deep)
        self.switch.seen = self.watch.seen
        self.switch.on_fault = lambda site, _job, problem: self._trouble(self._name(site), problem)
        self.on_crash: Callable[[Host], None] = lambda _host: None
        self._own = {name: MemoryStore() for name in (BUYER, *self.names)}
        self._chance = self.ground.chance("world")
        self.job: JobId | None = None

    @property
    def terms(self) -> JobTerms:
        """What goes on the chain for the job."""
        coordinator = self.people[COORDINATOR].account
        return terms_of(self.spec, work_of(self.spec).max_rounds, token=TOKEN, coordinator=coordinator)

    def _name(self, account: Address) -> str:
        return next(name for name, one in self.people.items() if one.account == account)

    def breaks(self, law: str) -> None:
        """A law does not hold."""
        self.ground.trace.note(f"BROKEN: {law}")
        self.broken.append(law)

    def _trouble(self, who: str, problem: Error) -> None:
        self.faults += 1
        self.ground.trace.note(f"{who}: {type(problem).__name__}: {problem}")
        self.watch.refused(who, problem)

    # ------------------------------------------------------------ processes

    def begin(self) -> None:
        """Switch everybody on, one after the other."""
        for name in self.people:
            host = self.ground.host(name)
            host.on_crash = self._died
            self.ground.schedule.after(self._chance.uniform(0, 20), f"{name} starts", partial(self._up, name))

    def _died(self, host: Host, _crash: Crash) -> None:
        """Whatever watches the machine starts it again a little later."""
        self.crashes += 1
        self.on_crash(host)

        def again() -> None:
            host.restart()
            self._up(host.name)

        self.ground.schedule.after(self._chance.uniform(1.0, 40.0), f"{host.name} is repaired", again)

    def look_again(self) -> None:
        """Everybody is told to forget that it is done with the job, and is started again, as an operator may do."""
        for name in self.people:
            host = self.ground.host(name)
            host.kill()
            if self.job is not None:
                host.disk.forget(f"{self.job.hex()}/attended")

    def _up(self, name: str) -> None:
        """A new process of a party, as a strand."""
        host, schedule = self.ground.host(name), self.ground.schedule
        if host.up:
            schedule.spawn(lambda: host.beside(lambda: self._live(name)) if host.up else None)

    def _live(self, name: str) -> None:
        """What a process does from its start to its end."""
        build = {COORDINATOR: self._coordinator, BUYER: self._buyer}.get(name, self._site)
        host, duties = self.ground.host(name), build(name)
        while True:
            try:
                for job in duties.jobs():
                    self._attend(name, duties, job)
            except Error as problem:
                self._trouble(name, problem)
            host.pause(POLL)

    def _attend(self, name: str, duties: Duties, job: JobId) -> None:
        try:
            duties.attend(job)
        except Error as problem:
            self._trouble(name, problem)

    def _tell(self, name: str, event: Event) -> None:
        self.ground.trace.note(f"{name}: {event.what} {event.round if event.round >= 0 else ''} {event.why}")
        self.events.append((name, event))

    # ------------------------------------------------------------ roles

    def _coordinator(self, name: str) -> Duties:
        ground, me, host = self.ground, self.people[name], self.ground.host(name)
        hub = SimHub(self.switch, host)
        role = Coordinator(
            ground.chain(name),
            ground.wallet(name, me.account, confirmations=self.shape.confirmations),
            ground.store_of(name),
            self._keep(host),
            ground.clock,
            me.secrets.signer,
            pause=host.pause,
        )
        return CoordinatorDuties(role, hub, agreement=me.agreement, on_event=lambda event: self._tell(name, event))

    def _spoke(self, name: str) -> tuple[SimSpoke, HandedStore]:
        """A party's line, and its store; it says hello for as long as this process lives."""
        ground, host, account = self.ground, self.ground.host(name), self.people[name].account
        spoke = SimSpoke(self.switch, host, account)
        store = HandedStore(self._own[name], ground.store, self.switch, account)
        life = host.life

        def greet() -> None:
            if host.life == life and host.up:
                self.switch.greet(account)
                store.flush()
                ground.schedule.after(GREETING, "", greet)

        greet()
        return spoke, store

    def _buyer(self, name: str) -> Duties:
        ground, me = self.ground, self.people[name]
        _, store = self._spoke(name)
        wallet = ground.wallet(name, me.account, confirmations=self.shape.confirmations)
        buyer, journal = Buyer(ground.chain(name), wallet, store), self._keep(ground.host(name))
        return _Ordering(
            self, buyer, BuyerDuties(buyer, journal, on_event=lambda event: self._tell(name, event)), journal
        )

    def _site(self, name: str) -> Duties:
        ground, me, host = self.ground, self.people[name], self.ground.host(name)
        spoke, store = self._spoke(name)
        chain, journal = ground.chain(name), self._keep(host)
        wallet = ground.wallet(name, me.account, confirmations=self.shape.confirmations)

        def seating(entry: JobEntry, seat: Seat, spec: JobSpec) -> Reactor:
            task = cast("Task[Any]", work_of(spec))
            return SeatedSite(
                entry.id,
                seat,
                chain=chain,
                store=store,
                journal=journal,
                secrets=me.secrets,
                spec=spec,
                task=cast("Task[Any]", Counted(task, name, self.watch)),
                site=task.ready(table(name), name),
            )

        return SiteDuties(
            Steward(chain, wallet, store, card(name), terms(self.shape.variant), SCHEMA),
            spoke,
            journal,
            coordinator=self.people[COORDINATOR].account,
            signer=me.secrets.signer.address,
            agreement=me.agreement,
            seating=seating,
            objections=lambda _spec: (),
            on_event=lambda event: self._tell(name, event),
        )


@final
class _Ordering:
    """The buyer's daemon with its one order, which it posts once."""

    def __init__(self, world: World, buyer: Buyer, duties: BuyerDuties, journal: Journal) -> None:
        self._world, self._buyer, self._duties = world, buyer, duties
        self._journal = journal

    def jobs(self) -> Sequence[JobId]:
        """Post what is not posted yet, and say what is to be attended to."""
        if self._journal.get("posted") is None:
            me = self._world.people[BUYER]
            self._buyer.join(me.secrets.signer.address, me.agreement)
            self._world.job = self._buyer.wallet.job_id(self._world.terms)
            job = self._buyer.post(self._world.spec, self._world.terms)
            self._journal.put_all({"posted": job})
        return self._duties.jobs()

    def attend(self, job: JobId) -> None:
        """Do what is next to do about the job."""
        self._duties.attend(job)
