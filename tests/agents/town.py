"""A coordinator, a buyer and sites as processes of their own would be: own stores, own journals, one switchboard."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from caduceus.agents.buyer import Buyer
from caduceus.agents.buyer_duties import BuyerDuties
from caduceus.agents.coordinator import Coordinator
from caduceus.agents.coordinator_duties import CoordinatorDuties
from caduceus.agents.duties import Event, Happened
from caduceus.agents.seat import SeatedSite
from caduceus.agents.site_duties import SiteDuties
from caduceus.agents.steward import Steward
from caduceus.edges.clock import SystemClock
from caduceus.edges.journal import SqliteJournal
from caduceus.edges.layered_store import LayeredStore
from caduceus.edges.network import open_embedded
from caduceus.edges.store import FolderStore
from caduceus.edges.switchboard.hub import SwitchHub
from caduceus.edges.switchboard.spoke import SwitchSpoke
from caduceus.edges.switchboard.store import HandingStore
from caduceus.edges.workspace import Workspace
from caduceus.errors import Error
from caduceus.kinds import Address, JobId, Seat
from caduceus.market.specification import JobSpec
from caduceus.market.terms import terms_of
from caduceus.market.work import work_of
from caduceus.ports import JobEntry, Reactor
from caduceus.wiring.order import read_order, with_nonce
from caduceus.wiring.parties import BUYER, COORDINATOR, TREASURY, fund, gather, open_site
from edges.switchboard.switchboard_engine import Pump, Wire
from stories import small_job

Wrap = Callable[[Reactor], Reactor]


class Died(BaseException):
    """A process ends here, without a word."""


class Town:
    """Everybody, over the embedded chain and an engine in this process.

    whispers  called with who, and what happened there
    """

    def __init__(self, folder: Path, stack: ExitStack, *, sites: Sequence[str] = small_job.SITES) -> None:
        self.folder, self.stack, self.names = folder, stack, tuple(sites)
        self.order = small_job.write(folder / "asked", sites)
        self.brief = read_order(self.order)
        self.workspace = Workspace(folder / "run")
        self.cast = gather(self.workspace, sites)
        treasury = self.cast[TREASURY].ring.account
        self.network = stack.enter_context(
            open_embedded(self.workspace.chain, self.workspace.deployment, treasury, self.cast.accounts)
        )
        self.chain, self.treasury = self.network.chain, self.network.wallet(treasury)
        self.wire, self.heard = Wire(), list[tuple[str, Event]]()
        self.refusals: list[tuple[str, str, bool]] = []
        self.troubles: list[tuple[str, Error]] = []
        self.bugs: list[BaseException] = []
        self.whispers: Callable[[str, Event], None] = lambda _who, _event: None
        self.objections: dict[str, Sequence[str]] = {}
        self.wraps: dict[str, Wrap] = {}
        self.spokes: dict[str, SwitchSpoke] = {}
        self.stores: dict[str, HandingStore] = {}
        self.duties: dict[str, SiteDuties | BuyerDuties] = {}
        self.journals = {
            name: stack.enter_context(SqliteJournal(self.workspace.party(name) / "duties.sqlite"))
            for name in (BUYER, COORDINATOR)
        }
        self.sites = {
            one.name: open_site(
                self.workspace, self.network, self.cast[one.name], one, self.brief.federation, self.brief.terms, stack
            )
            for one in self.brief.sites
        }
        self.start_coordinator()
        self.start_buyer()
        for name in sites:
            self.start_site(name)

    # ------------------------------------------------------------ processes

    def tell(self, who: str, event: Event) -> None:
        self.heard.append((who, event))
        self.whispers(who, event)

    def blobs(self, name: str) -> Path:
        """Where a party's blobs lie."""
        return self.workspace.party(name) / "blobs"

    def _member(self, account: Address) -> Address | None:
        member = self.chain.member(account)
        return None if member is None else member.signer

    def start_coordinator(self) -> None:
        """A new process of the coordinator."""
        party, store = self.cast[COORDINATOR], FolderStore(self.blobs(COORDINATOR))
        hub = SwitchHub(
            self.wire,
            account=party.account,
            signer=party.secrets.signer,
            domain=self.chain.domain,
            signer_of=self._member,
            store=store,
            session=secrets.token_bytes(16),
            on_refusal=lambda who, job, why, theirs: self.refusals.append((COORDINATOR, why, theirs)),
        )
        role = Coordinator(
            self.chain,
            self.network.wallet(party.ring.account),
            store,
            self.journals[COORDINATOR],
            SystemClock(),
            party.secrets.signer,
        )
        self.coordinator = CoordinatorDuties(
            role, hub, agreement=party.agreement_key, on_event=partial(self.tell, COORDINATOR), waits=0.0
        )
        self.wire.hub = hub.arrived

    def _spoke(self, name: str) -> SwitchSpoke:
        party, hub = self.cast[name], self.cast[COORDINATOR].account
        if name in self.spokes:
            self.spokes[name].close()
        spoke = self.spokes[name] = SwitchSpoke(
            self.wire.outward(name),
            account=party.account,
            signer=party.secrets.signer,
            domain=self.chain.domain,
            hub=hub,
            hub_signer=lambda: self._member(hub),
            session=secrets.token_bytes(16),
            on_refusal=lambda _job, why, theirs: self.refusals.append((name, why, theirs)),
            on_bug=self.bugs.append,
            patience=60.0,
        )
        self.stack.callback(spoke.close)
        self.wire.spokes[name] = spoke.arrived
        return spoke

    def _store(self, name: str, spoke: SwitchSpoke) -> HandingStore:
        local = FolderStore(self.blobs(name))
        layered = LayeredStore(local, lambda digest, _most: spoke.get(digest), who="the hub")
        store = self.stores[name] = HandingStore(layered, spoke.put)
        return store

    def start_buyer(self) -> None:
        """A new process of the buyer."""
        spoke = self._spoke(BUYER)
        wallet = self.network.wallet(self.cast[BUYER].ring.account)
        self.buyer = Buyer(self.chain, wallet, self._store(BUYER, spoke))
        self.duties[BUYER] = BuyerDuties(self.buyer, self.journals[BUYER], on_event=partial(self.tell, BUYER))

    def start_site(self, name: str) -> None:
        """A new process of a site."""
        site, spoke = self.sites[name], self._spoke(name)
        steward: Steward = replace(site.steward, store=self._store(name, spoke))

        def seating(entry: JobEntry, seat: Seat, spec: JobSpec) -> Reactor:
            task = work_of(spec)
            inner = SeatedSite(
                entry.id,
                seat,
                chain=self.chain,
                store=steward.store,
                journal=site.journal,
                secrets=site.party.secrets,
                spec=spec,
                task=task,
                site=task.ready(site.records.table, name),
            )
            return self.wraps.get(name, lambda reactor: reactor)(inner)

        self.duties[name] = SiteDuties(
            steward,
            spoke,
            site.journal,
            coordinator=self.cast[COORDINATOR].account,
            signer=site.party.secrets.signer.address,
            agreement=site.party.agreement_key,
            seating=seating,
            objections=lambda _spec: self.objections.get(name, ()),
            on_event=partial(self.tell, name),
        )

    # ------------------------------------------------------------ what happens

    def join(self) -> None:
        """The coordinator and the buyer register, so that their frames are heard."""
        self.coordinator.prepare()
        party = self.cast[BUYER]
        self.buyer.join(party.secrets.signer.address, party.agreement_key)

    def give(self, *names: str) -> None:
        """Money for stakes, bond and price."""
        money = self.brief.spec.money
        amounts = {BUYER: money.price, COORDINATOR: money.bond}
        for name in names or (BUYER, COORDINATOR, *self.names):
            fund(self.network, self.treasury, self.cast[name].account, amounts.get(name, money.stake))

    def post(self, label: str = "small") -> JobId:
        """The buyer posts the job; its specification goes to the hub."""
        spec = with_nonce(self.brief.spec, self.journals[BUYER], label)
        token, coordinator = self.network.deployment.token, self.cast[COORDINATOR].account
        terms = terms_of(spec, work_of(spec).max_rounds, token=token, coordinator=coordinator)
        return self.buyer.post(spec, terms)

    def greet(self) -> None:
        """Every party says hello, and hands in what could not be handed in before."""
        for name, store in list(self.stores.items()):
            if self.spokes[name].is_connected:
                store.flush()
        for spoke in list(self.spokes.values()):
            spoke.greet()

    def look(self, who: str) -> None:
        """One party looks at its jobs once, as its process does."""
        duties = self.coordinator if who == COORDINATOR else self.duties[who]
        try:
            for job in duties.jobs():
                duties.attend(job)
        except Error as problem:
            self.troubles.append((who, problem))

    def stage(self, job: JobId) -> int:
        entry = self.chain.job(job)
        assert entry is not None
        return entry.stage

    def told(self, what: Happened, who: str | None = None) -> list[Event]:
        """What happened, in order."""
        return [event for name, event in self.heard if event.what is what and who in (None, name)]

    def story(self) -> str:
        """What happened so far, for whoever reads a failure."""
        told = [f"{who}: {event.what} {event.round} {event.why}" for who, event in self.heard]
        return "\n".join([*told, *map(str, self.refusals), *(f"{who}: {one}" for who, one in self.troubles[-20:])])

    def held(self) -> int:
        """What the contract holds of everybody's money."""
        return self.chain.balance(self.network.deployment.token, self.network.deployment.jobs)

    def settle(self) -> None:
        """Wait until nothing is under way."""
        end = time.monotonic() + 60.0
        while self.wire.queue and time.monotonic() < end:
            time.sleep(0.01)
        with self.wire.taking:  # what was taken last has been handled
            return

    @contextmanager
    def open_line(self) -> Iterator[None]:
        """Let frames flow and everybody say hello once, but look at nothing by themselves."""
        with Pump(self.wire):
            for _ in range(2):
                self.greet()
                self.settle()
            yield
            self.settle()

    def open(self) -> Daily:
        """Let everybody but the coordinator live in threads of their own, until left."""
        return Daily(self)


class Daily:
    """Frames flow, spokes greet, buyer and sites look, again and again."""

    def __init__(self, town: Town) -> None:
        self.town, self.stop, self.pump = town, threading.Event(), Pump(town.wire)
        self.threads = [threading.Thread(target=one, daemon=True) for one in (self._look, self._greet)]

    def __enter__(self) -> Daily:
        self.pump.__enter__()
        self.town.greet()
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join()
        self.pump.__exit__()

    def _look(self) -> None:
        while not self.stop.wait(0.05):
            for name in (*self.town.names, BUYER):
                self.town.look(name)

    def _greet(self) -> None:
        while not self.stop.wait(0.2):
            self.town.greet()
