"""The three roles that run as processes of their own, put together over whatever carries their frames."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Protocol

from caduceus import canon
from caduceus.agents.buyer import Buyer
from caduceus.agents.buyer_duties import BuyerDuties
from caduceus.agents.coordinator import Coordinator
from caduceus.agents.coordinator_duties import CoordinatorDuties
from caduceus.agents.dealing import JudgedSite, stand_on
from caduceus.agents.seat import SeatedSite
from caduceus.agents.site_duties import SiteDuties
from caduceus.agents.steward import Steward
from caduceus.edges.card_file import load_or_describe
from caduceus.edges.clock import SystemClock
from caduceus.edges.code import code_digest
from caduceus.edges.federation import open_federation, read_site
from caduceus.edges.forgetting_files import previous_of
from caduceus.edges.layered_store import LayeredStore
from caduceus.edges.switchboard.frames import SESSION_BYTES
from caduceus.edges.switchboard.hub import SwitchHub
from caduceus.edges.switchboard.spoke import SwitchSpoke
from caduceus.edges.switchboard.store import HandingStore
from caduceus.edges.watching.detail import Detail
from caduceus.edges.watching.watched import WatchedHub, WatchedReactor
from caduceus.edges.workspace import write_whole
from caduceus.errors import Error, Refused
from caduceus.kinds import Address, JobId, Seat
from caduceus.learn.judged.program import JudgedProgram
from caduceus.learn.judged.rows import JudgedData
from caduceus.market.specification import JobSpec
from caduceus.market.work import work_of
from caduceus.ports import JobEntry, Reactor
from caduceus.protocol.pointer import Pointer
from caduceus.wiring.hardware import cores, device
from caduceus.wiring.node.guarding import Discreet, site_objections
from caduceus.wiring.node.loop import Running, in_words, teller
from caduceus.wiring.node.ordering import Ordering
from caduceus.wiring.node.party import DEPLOYMENT, Opened, open_party, open_records, signer_of
from caduceus.wiring.order import terms_for
from caduceus.wiring.readiness import stated_in


class ToParties(Protocol):
    """An engine at the hub."""

    def post(self, peer: str, frame: bytes) -> None: ...

    def listen(self, arrived: Callable[[str, bytes], None]) -> None: ...


class ToHub(Protocol):
    """An engine at any other party."""

    def post(self, frame: bytes) -> None: ...

    def listen(self, arrived: Callable[[bytes], None]) -> None: ...


def attach_hub(folder: Path, carrier: ToParties) -> Running:
    """Start the coordinator whose folder this is.

    Raises as `open_party`; whatever else goes wrong comes as one of our errors, without other people's texts.
    """
    with _starting() as stack:
        opened = open_party(folder, stack)
        if opened.file.party.role != "coordinator":
            raise Refused(f"{folder}: a {opened.file.party.role} is not at the hub, and this is the hub's engine")
        return _coordinator(opened, carrier, stack)


def attach_spoke(folder: Path, outward: ToHub) -> Running:
    """Start the site or buyer whose folder this is.

    Raises as `attach_hub`.
    """
    with _starting() as stack:
        opened = open_party(folder, stack)
        build = {"site": _site, "buyer": _buyer}.get(opened.file.party.role)
        if build is None:
            raise Refused(f"{folder}: a {opened.file.party.role} is at the hub, and this is not the hub's engine")
        return build(opened, outward, stack)


@contextmanager
def _starting() -> Iterator[ExitStack]:
    """What closes with a role; at once if it does not start."""
    code_digest()  # of what is imported now, before an upgrade can change the files
    stack = ExitStack()
    try:
        yield stack
    except BaseException as problem:
        stack.close()
        if isinstance(problem, Exception) and not isinstance(problem, Error):
            raise in_words(problem) from None
        raise


# ---------------------------------------------------------------- the coordinator


def _coordinator(opened: Opened, carrier: ToParties, stack: ExitStack) -> Running:
    party, lookout = opened.party, opened.lookout
    transcript = opened.folder / "transcript"
    write_whole(transcript / DEPLOYMENT, (opened.folder / DEPLOYMENT).read_bytes())

    def refused(who: Address | None, job: JobId, why: str, theirs: bool) -> None:
        said = f"{'told by the other side: ' if theirs else ''}{why}"
        lookout.problem(Refused(said), Detail(job=job, peer=who))

    running = Running(opened, stack, may_block=True)
    hub = SwitchHub(
        carrier,
        account=party.account,
        signer=party.secrets.signer,
        domain=opened.chain.domain,
        signer_of=partial(signer_of, opened),
        store=opened.local,
        session=secrets.token_bytes(SESSION_BYTES),
        on_refusal=refused,
    )
    role = Coordinator(
        opened.network.chain,
        opened.wallet,
        opened.local,
        opened.journal,
        SystemClock(),
        party.secrets.signer,
        threads=cores(),
        device=device(),
    )
    tell = teller(opened)
    duties = CoordinatorDuties(
        role,
        WatchedHub(hub, lookout),
        agreement=party.agreement_key,
        on_event=tell,
        on_job=lambda entry: _point(transcript, opened, entry),
    )
    carrier.listen(hub.arrived)
    lookout.connection("connected")
    return running.begin(duties, lambda: None)


def _point(transcript: Path, opened: Opened, entry: JobEntry) -> None:
    """Let the transcript say which jobs it is about."""
    label = f"job-{entry.id.hex()[:12]}"
    pointer = Pointer(label, entry.id, canon.digest(opened.network.deployment))
    write_whole(transcript / "jobs" / label, canon.pack(pointer))


# ---------------------------------------------------------------- sites and buyers


def _spoke(opened: Opened, outward: ToHub, running: Running, stack: ExitStack) -> tuple[SwitchSpoke, HandingStore]:
    """The line to the hub, and the blobs that are here or come and go over it."""
    party, lookout, hub = opened.party, opened.lookout, opened.file.hub

    def refused(job: JobId, why: str, theirs: bool) -> None:
        said = f"{'told by the coordinator: ' if theirs else ''}{why}"
        lookout.problem(Refused(said), Detail(job=job, peer=hub))

    spoke = SwitchSpoke(
        outward,
        account=party.account,
        signer=party.secrets.signer,
        domain=opened.chain.domain,
        hub=hub,
        hub_signer=lambda: signer_of(opened, hub),
        session=secrets.token_bytes(SESSION_BYTES),
        on_refusal=refused,
        on_bug=running.fail,
    )
    stack.callback(spoke.close)
    there = LayeredStore(opened.local, lambda digest, _most: spoke.get(digest), who="the hub")
    return spoke, HandingStore(there, spoke.put)


def _greeter(opened: Opened, spoke: SwitchSpoke, store: HandingStore) -> Callable[[], None]:
    def greet() -> None:
        spoke.greet()
        opened.lookout.connection("connected" if spoke.is_connected else "disconnected")
        store.flush()

    return greet


def _site(opened: Opened, outward: ToHub, stack: ExitStack) -> Running:
    file, party = opened.file, opened.party
    assert file.data is not None  # `read_node_file` has seen to it
    running = Running(opened, stack)
    spoke, store = _spoke(opened, outward, running, stack)
    federation = open_federation(opened.folder / file.data.federation)
    root = None if file.data.root is None else Path(file.data.root)
    records = read_site(federation, file.data.site or party.name, data_root=root)
    openings = open_records(opened.folder, records.table, opened.journal)
    terms = terms_for(federation)
    card = load_or_describe(opened.folder, federation, records, openings.root, terms, party.secrets.entropy)
    previous = previous_of(opened.folder, openings.root)
    stated = stated_in(opened.folder, openings.root, party.secrets.signer.address)
    steward = Steward(opened.chain, opened.wallet, store, card, terms, federation.public_schema, previous, stated)

    def seat(entry: JobEntry, seat: Seat, spec: JobSpec) -> Reactor:
        task = work_of(spec)
        rows = task.ready(records.table, records.name)
        if isinstance(task, JudgedProgram):
            assert isinstance(rows, JudgedData)
            give = partial(task.contribute, site=rows)
            stand = stand_on(entry.id, opened.chain, spec, task)
            inner: Reactor = JudgedSite(stand, seat, give, store=store, journal=opened.journal, secrets=party.secrets)
        else:
            inner = SeatedSite(
                entry.id,
                seat,
                chain=opened.chain,
                store=store,
                journal=opened.journal,
                secrets=party.secrets,
                spec=spec,
                task=task,
                site=rows,
                threads=cores(),
            )
        return Discreet(WatchedReactor(inner, opened.lookout, entry.id, entry.coordinator))

    duties = SiteDuties(
        steward,
        spoke,
        opened.journal,
        coordinator=file.hub,
        signer=party.secrets.signer.address,
        agreement=party.agreement_key,
        seating=seat,
        objections=partial(site_objections, opened, records),
        on_event=teller(opened),
    )
    outward.listen(spoke.arrived)
    return running.begin(duties, _greeter(opened, spoke, store))


def _buyer(opened: Opened, outward: ToHub, stack: ExitStack) -> Running:
    running = Running(opened, stack)
    spoke, store = _spoke(opened, outward, running, stack)
    buyer = Buyer(opened.chain, opened.wallet, store)
    duties = Ordering(opened, buyer, BuyerDuties(buyer, opened.journal, on_event=teller(opened)))
    outward.listen(spoke.arrived)
    return running.begin(duties, _greeter(opened, spoke, store))
