"""Whole jobs with a party that does not play by the rules, on the real play: only what the party does is changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import small_job
from ending import Ending, ending

from caduceus import canon
from caduceus.agents.rounds import Past, Rounds
from caduceus.agents.seat import SeatedSite
from caduceus.edges import network as network_edge
from caduceus.edges.gateway import GatewayWallet
from caduceus.edges.loopback import Loopback, OnFault
from caduceus.edges.network import Network
from caduceus.edges.store import FolderStore
from caduceus.edges.workspace import Workspace
from caduceus.errors import Refused
from caduceus.kinds import Address, Digest, JobId, Seat, Stage
from caduceus.learn.state import State
from caduceus.ports import Channel, Envelope
from caduceus.protocol.envelope import Signed, kind_of
from caduceus.protocol.job_messages import Call, Offer, Prepare
from caduceus.protocol.pointer import Pointer
from caduceus.protocol.round import Done
from caduceus.protocol.round_record import RoundRecord
from caduceus.protocol.secagg_exchange import Exchange
from caduceus.protocol.secagg_intake import Fault
from caduceus.protocol.secagg_messages import Consents, Endorsed, Inbox, Ready, RosterFor, Survivors
from caduceus.protocol.secagg_setup_record import SetupRecord
from caduceus.wiring import play as wiring
from caduceus.wiring.audit import audit_run
from caduceus.wiring.order import Order
from caduceus.wiring.parties import Cast, gather
from caduceus.wiring.play import Played, play

SETUP = ("advertise", "deal", "confirm", "endorse")
"""What a site says in a set-up, in order."""

ROUND = ("upload", "consent", "open")
"""What a site says in a round, in order."""

BARE = {canon.tag_of(RosterFor): "deal", canon.tag_of(Endorsed): "stand"}
"""What a site does when it gets a message of this kind, which travels without an envelope."""

ANSWERS = {
    canon.tag_of(Prepare): "advertise",
    canon.tag_of(Inbox): "confirm",
    canon.tag_of(Ready): "endorse",
    canon.tag_of(Call): "upload",
    canon.tag_of(Survivors): "consent",
    canon.tag_of(Consents): "open",
    canon.tag_of(Offer): "agree",
}
"""The same for messages in an envelope."""

Mischief = Callable[[str, int, Callable[[], Sequence[bytes]]], Sequence[bytes]]
"""`mischief(doing, round, honestly)` gives what a site sends; `honestly()` gives what it should. In a set-up, `round`
is the first that it is for."""


ALWAYS = range(1 << 32)
LATER = range(1, 1 << 32)
"""All rounds but the first."""


def answer_to(body: bytes) -> str:
    """What a site does when it gets a message."""
    bare = BARE.get(canon.peek_tag(body) or "")
    return bare or ANSWERS.get(kind_of(body) or "", "listen")


@dataclass
class Actor:
    """Implements `ports.Reactor`: a site with a mind of its own."""

    site: SeatedSite
    mischief: Mischief
    round: int = 0

    def react(self, body: bytes) -> Sequence[bytes]:
        doing = answer_to(body)
        if doing == "advertise":
            self.round = canon.unpack(Prepare, canon.unpack(Signed, body).body).first
        elif doing == "upload":
            self.round = canon.unpack(Call, canon.unpack(Signed, body).body).round
        return self.mischief(doing, self.round, lambda: self.site.react(body))


@dataclass
class Restarted:
    """Implements `ports.Reactor`: a site that starts again, with nothing but its journal, before certain things.

    make    a new process of the site
    before  what it starts again before
    """

    make: Callable[[], SeatedSite]
    before: Sequence[str]
    starts: int = 1

    def __post_init__(self) -> None:
        self.site = self.make()

    def react(self, body: bytes) -> Sequence[bytes]:
        if answer_to(body) in self.before:
            self.site = self.make()
            self.starts += 1
        return self.site.react(body)


class WithoutSite:
    """Implements `ports.Channel`: the coordinator acts as if it had not heard one site."""

    def __init__(self, channel: Channel, site: Address) -> None:
        self.channel, self.site = channel, site

    def send(self, site: Address, body: bytes) -> None:
        self.channel.send(site, body)

    def receive(self, *, timeout: float) -> Envelope | None:
        while (envelope := self.channel.receive(timeout=timeout)) is not None and envelope.sender == self.site:
            pass
        return envelope


class Forgetful:
    """Implements `ports.Journal` for a coordinator that writes nothing down and remembers nothing."""

    def get(self, key: str) -> bytes | None:
        return None

    def keys(self, prefix: str) -> list[str]:
        return []

    def put_once(self, key: str, value: bytes) -> None: ...

    def put_all(self, entries: Mapping[str, bytes], *, at_once: bool = True) -> None: ...


class Attic:
    """Implements `ports.Store` where no auditor looks."""

    def __init__(self) -> None:
        self.blobs: dict[Digest, bytes] = {}

    def put(self, blob: bytes) -> Digest:
        self.blobs[canon.digest_bytes(blob)] = blob
        return canon.digest_bytes(blob)

    def get(self, digest: Digest) -> bytes:
        return self.blobs[digest]


@dataclass
class Theatre:
    """A small job that is played in a folder of its own, with everything that hostile parties need."""

    folder: Path
    patch: pytest.MonkeyPatch
    sites: Sequence[str] = small_job.FOUR
    job_file: str = small_job.JOB
    rows_each: int = small_job.ROWS
    terms: str | None = None
    told: small_job.Onlooker = field(default_factory=small_job.Onlooker)
    network: Network | None = None
    played: Played | None = None
    """The last run, if it came to its end."""

    def __post_init__(self) -> None:
        self.order: Order = small_job.write(
            self.folder / "asked", self.sites, job=self.job_file, rows_each=self.rows_each, terms=self.terms
        )
        self.workspace = Workspace(self.folder / "run")
        opened = network_edge.open_embedded

        def open_and_keep(*arguments: object) -> Network:
            self.network = opened(*arguments)  # type: ignore[arg-type]
            return self.network

        self.patch.setattr(wiring, "open_embedded", open_and_keep)

    @property
    def cast(self) -> Cast:
        return gather(self.workspace, self.sites)

    @property
    def job(self) -> JobId:
        return canon.unpack(Pointer, (self.workspace.pointers / "small").read_bytes()).job

    def wallet(self, name: str) -> GatewayWallet:
        """A party's hands, while the play is on."""
        assert self.network is not None
        return self.network.wallet(self.cast[name].ring.account)

    def run_out(self) -> None:
        """Let so much time go by that whatever the job waited for is over."""
        later = int(time.time()) + 30 * 86_400
        self.patch.setattr(network_edge, "time", SimpleNamespace(time=lambda: later))

    def seats(self) -> int:
        """How many sites have enrolled, once the play is over."""
        treasury = self.cast["treasury"].ring.account
        with network_edge.open_embedded(
            self.workspace.chain, self.workspace.deployment, treasury, self.cast.accounts
        ) as network:
            return len(network.chain.enrolments(self.job))

    def with_sites(self, mischief: Mapping[int, Mischief]) -> None:
        """Put other minds into some seats."""

        def loopback(seated: Mapping[Address, SeatedSite], workers: int, on_fault: OnFault) -> Loopback:
            actors = {
                account: Actor(site, mischief[seat]) if seat in mischief else site
                for seat, (account, site) in enumerate(seated.items())
            }
            return Loopback(actors, workers=workers, on_fault=on_fault)

        self.patch.setattr(wiring, "Loopback", loopback)

    def with_restarts(self, seats: Sequence[int], *before: str) -> dict[int, Restarted]:
        """Let some sites start again before they do one of these things."""
        made: dict[int, Restarted] = {}

        def seated(job: JobId, seat: Seat, **parts: Any) -> SeatedSite | Restarted:
            if seat not in seats:
                return SeatedSite(job, seat, **parts)
            made[seat] = Restarted(lambda: SeatedSite(job, seat, **parts), before)
            return made[seat]

        self.patch.setattr(wiring, "SeatedSite", seated)
        return made

    def play_round_1_again(
        self, *, number: int, without: int, new_setup: bool = False, more_sums: int = 0
    ) -> list[Done]:
        """Let the coordinator play round 1 a second time from the same state, without a site and without a trace.

        number     of the repetition
        new_setup  whether it stands on a set-up of its own
        more_sums  that the coordinator claims to have opened before
        returns    filled with the repetition
        """
        honest = Rounds.run
        again: list[Done] = []

        def twice(rounds: Rounds, past: Past, state: State) -> Any:
            result = honest(rounds, past, state)
            if past.number == 1:
                kept = rounds._journal, rounds._store, rounds._lines._channel, rounds._standing
                rounds._journal, rounds._store = Forgetful(), Attic()
                rounds._lines._channel = WithoutSite(rounds._lines._channel, rounds._sites[without])
                if new_setup:
                    rounds._standing = None
                old = replace(past, number=number, sums=past.sums + more_sums)
                again.append(honest(rounds, old, state)[0])
                rounds._journal, rounds._store, rounds._lines._channel, rounds._standing = kept
            return result

        self.patch.setattr(Rounds, "run", twice)
        return again

    def play(self) -> Ending:
        """Play the job to its completion."""
        self.played = play(self.workspace, self.order, self.told)
        return ending(self.workspace, self.played.cast, self.played.job)

    def play_in_vain(self) -> tuple[Ending, str]:
        """Play a job that is not completed; also what people are told about it."""
        with pytest.raises(Refused) as refusal:
            play(self.workspace, self.order, self.told)
        return ending(self.workspace, self.cast, self.job), str(refusal.value)

    def faults(self, record: RoundRecord) -> tuple[Fault, ...]:
        """Who is named in a round's transcript."""
        return canon.unpack(Exchange, FolderStore(self.workspace.blobs).get(record.exchange)).faults

    def setup(self, record: RoundRecord) -> SetupRecord:
        """The set-up that a round stands on."""
        return canon.unpack(SetupRecord, FolderStore(self.workspace.blobs).get(record.setup))

    def setups(self) -> list[Digest]:
        """The set-ups that rounds stand on, in the order of their use."""
        return list(dict.fromkeys(record.setup for record in self.told.rounds))

    def counted(self, seat: int) -> list[bool]:
        """In which rounds' sums a site is."""
        return [seat in record.survivors for record in self.told.rounds]

    def complaints(self, name: str) -> list[str]:
        """What a site found wrong with what it was sent."""
        return [str(problem) for who, problem in self.told.faults if who == name]

    def assert_audit_passes(self) -> None:
        found = self.audit()
        assert found is None, found

    def audit(self) -> str | None:
        """The first thing that does not fit, for a stranger; None if all does."""
        (audit,) = audit_run(self.folder / "run" / "transcript", chain=self.workspace.chain, url=None)
        return None if audit.first_failure is None else audit.first_failure.detail


def assert_everything_went_back(
    end: Ending, sites: Sequence[str] = small_job.FOUR, stage: Stage = Stage.EXPIRED
) -> None:
    """Price, stakes and bond are with those who put them in, and the contract holds nothing."""
    assert end.stage is stage
    expected = {"buyer": 100_003, "coordinator": 10_000, **dict.fromkeys(sites, 2_000)}
    assert {name: held for name, held in end.balances.items() if held and name != "treasury"} == expected
    assert all(amount == 0 for amount, _ in end.pulled.values())


def silent_when(*doings: str, rounds: range = ALWAYS) -> Mischief:
    """Says nothing when it should do one of these things; a silent site neither listens nor does anything."""
    return lambda doing, round, honestly: [] if doing in doings and round in rounds else honestly()


def garbled_when(doing: str, garbage: Callable[[bytes], bytes], rounds: range = ALWAYS) -> Mischief:
    """Sends something else instead."""
    return lambda now, round, honestly: (
        [garbage(body) for body in honestly()] if now == doing and round in rounds else honestly()
    )
