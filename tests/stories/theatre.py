"""Whole jobs with a party that does not play by the rules, on the real play: only what the party does is changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest
import small_job
from ending import Ending, ending

from caduceus import canon
from caduceus.agents.seat import SeatedSite
from caduceus.edges import network as network_edge
from caduceus.edges.gateway import GatewayWallet
from caduceus.edges.loopback import Loopback, OnFault
from caduceus.edges.network import Network
from caduceus.edges.store import FolderStore
from caduceus.edges.workspace import Workspace
from caduceus.errors import Refused
from caduceus.kinds import Address, JobId, Stage
from caduceus.protocol.envelope import kind_of
from caduceus.protocol.job_messages import Call, Offer
from caduceus.protocol.pointer import Pointer
from caduceus.protocol.round_record import RoundRecord
from caduceus.protocol.secagg_exchange import Exchange, Fault
from caduceus.protocol.secagg_messages import Consents, Inbox, Roster, Survivors
from caduceus.wiring import play as wiring
from caduceus.wiring.audit import audit_run
from caduceus.wiring.order import Order
from caduceus.wiring.parties import Cast, gather
from caduceus.wiring.play import Played, play

ANSWERS = {
    canon.tag_of(Call): "advertise",
    canon.tag_of(Roster): "share",
    canon.tag_of(Inbox): "upload",
    canon.tag_of(Survivors): "consent",
    canon.tag_of(Consents): "open",
    canon.tag_of(Offer): "agree",
}
"""What a site does when it gets a message of this kind."""

Mischief = Callable[[str, int, Callable[[], Sequence[bytes]]], Sequence[bytes]]
"""`mischief(doing, round, honestly)` gives what a site sends; `honestly()` gives what it should."""


@dataclass
class Actor:
    """Implements `ports.Reactor`: a site with a mind of its own."""

    site: SeatedSite
    mischief: Mischief
    round: int = -1

    def react(self, body: bytes) -> Sequence[bytes]:
        doing = ANSWERS.get(kind_of(body) or "", "listen")
        if doing == "advertise":
            self.round += 1
        return self.mischief(doing, self.round, lambda: self.site.react(body))


@dataclass
class Theatre:
    """A small job that is played in a folder of its own, with everything that hostile parties need."""

    folder: Path
    patch: pytest.MonkeyPatch
    sites: Sequence[str] = small_job.FOUR
    told: small_job.Onlooker = field(default_factory=small_job.Onlooker)
    network: Network | None = None
    played: Played | None = None
    """The last run, if it came to its end."""

    def __post_init__(self) -> None:
        self.order: Order = small_job.write(self.folder / "asked", self.sites)
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


def silent_when(*doings: str, since: int = 0) -> Mischief:
    """Says nothing when it should do one of these things; a silent site neither listens nor does anything."""
    return lambda doing, round, honestly: [] if doing in doings and round >= since else honestly()


def garbled_when(doing: str, garbage: Callable[[bytes], bytes], since: int = 0) -> Mischief:
    """Sends something else instead."""
    return lambda now, round, honestly: (
        [garbage(body) for body in honestly()] if now == doing and round >= since else honestly()
    )
