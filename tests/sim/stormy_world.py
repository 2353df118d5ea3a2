"""A coordinator that anchors rounds through a storm, as a machine that dies and goes on from its journal.

It does what an agent does: look what the chain has, send what is missing, and look again before repeating anything.
Each round is first agreed on with every site over the network.
"""

from __future__ import annotations

from collections.abc import Sequence

from small_world import Counter

from caduceus.canon import digest_bytes
from caduceus.crypto import merkle
from caduceus.errors import Refused, Unavailable, Uncertain
from caduceus.kinds import Address, JobId, Role, Stage, Tokens
from caduceus.market.ledger import Anchor, JobTerms
from caduceus.sim.ground import Ground, Setting
from caduceus.sim.host import Crash, Host
from caduceus.sim.network import LineFaults
from caduceus.sim.node import NodeFaults
from caduceus.sim.rules.reasons import Reverted
from caduceus.sim.rules.tables import Deployed
from caduceus.sim.storm import Rates, Storm

TOKEN, JOBS = Address(b"\x70" * 20), Address(b"\x10" * 20)
NAMES = ("buyer", "coordinator", "site-0", "site-1", "site-2")
ROUNDS = 12
LONGEST = 10_000.0
"""Virtual seconds after which the system is stuck."""
HEAVY = Rates(
    kills=40.0,
    points=0.03,
    outages=150.0,
    cuts=150.0,
    undoings=100.0,
    dropped=0.2,
    lasting=(5.0, 60.0),
    line=LineFaults(delay=(0.0, 1.0), lost=0.1, doubled=0.1),
    node=NodeFaults(silent=0.05),
)


def address(name: str) -> Address:
    return Address(name.encode().rjust(20, b"\x01"))


def name_of(site: Address) -> str:
    return next(name for name in NAMES if address(name) == site)


def ground(seed: int) -> Ground:
    """Everybody has money and is a member; the chain begins after that, so that no undoing reaches it."""
    made = Ground(seed, Setting(Deployed(7, JOBS), {TOKEN: {address(name): Tokens(10_000) for name in NAMES}}))
    for name in NAMES:
        wallet = made.wallet(name, address(name))
        keys = digest_bytes(name.encode())
        made.host(name).run(lambda w=wallet, k=keys: w.register_member(Role(7), w.account, k, k))  # type: ignore[misc]
        made.host(name).run(lambda w=wallet: w.approve(TOKEN, Tokens(10**6)))  # type: ignore[misc]
    made.schedule.advance(600)
    return made


class Hasty(Counter):
    """A site with a bug: it answers before the disk has what it answers for."""

    def react(self, body: bytes) -> Sequence[bytes]:
        number = int(body)
        if number == self.next:
            self.journal.put_all({f"count/{number:04}": body}, at_once=False)
            self.next += 1
        return super().react(body)


class Drama:
    """One job on a ground, in a storm."""

    def __init__(self, seed: int, rates: Rates, made: type[Counter] = Counter) -> None:
        self.made = made
        self.ground = ground(seed)
        self.sites = [address(name) for name in NAMES[2:]]
        self.storm = Storm(self.ground, rates, NAMES[1:], self.sites)
        self.crashes = 0
        self.job = self.opened()
        for name in NAMES[1:]:
            self.ground.host(name).on_crash = self.died
        for site in self.sites:
            self.build(site)

    def opened(self) -> JobId:
        terms = JobTerms(
            token=TOKEN,
            price=Tokens(1000),
            coordinator=address("coordinator"),
            stake=Tokens(10),
            bond=Tokens(50),
            min_sites=1,
            max_sites=3,
            max_rounds=ROUNDS,
            enrol_for=10**5,
            train_for=10**6,
            challenge_for=300,
            epsilon_micro=0,
            delta_pico=0,
            sums=0,
            costs=merkle.EMPTY,
            spec=digest_bytes(b"specification"),
        )
        buyer, site = (self.ground.wallet(name, address(name)) for name in ("buyer", "site-0"))
        word = digest_bytes(b"word")
        self.ground.host("buyer").run(lambda: buyer.open_job(terms))
        self.ground.host("site-0").run(lambda: site.register_dataset(word, word, word, 0, 0))
        coordinator = self.ground.wallet("coordinator", address("coordinator"))
        job = buyer.job_id(terms)
        self.ground.host("coordinator").run(lambda: coordinator.accept(job))
        self.ground.host("site-0").run(lambda: site.enrol(job, site.dataset_id(word, word, word, 0, 0)))
        self.ground.host("coordinator").run(lambda: coordinator.start(job))
        self.ground.schedule.advance(600)
        return job

    def build(self, site: Address) -> None:
        host = self.ground.host(name_of(site))
        self.ground.network.attach(site, host, self.made(host.journal()))

    def died(self, host: Host, _crash: Crash) -> None:
        self.crashes += 1
        self.storm.cut_power(host)

        def again() -> None:
            host.restart()
            if host.name != "coordinator":
                self.build(address(host.name))

        self.ground.schedule.after(3.0, f"{host.name} is repaired", again)

    # ------------------------------------------------------------ the coordinator

    def run(self, seconds: float = 1500.0) -> None:
        """Play until the chain has all rounds, and the storm is over."""
        self.storm.blow(seconds)
        host, chain = self.ground.host("coordinator"), self.ground.chain("coordinator")
        end = self.ground.clock.monotonic() + seconds
        while True:
            assert self.ground.clock.monotonic() < LONGEST, "the chain never has all rounds"
            if not host.up:
                self.ground.schedule.advance(1.0)
                continue
            host.run(self.coordinate)
            self.ground.schedule.advance(30.0)
            if self.ground.clock.monotonic() > end and len(chain.anchors(self.job)) == ROUNDS and host.up:
                return

    def coordinate(self) -> None:
        host, journal = self.ground.host("coordinator"), self.ground.host("coordinator").journal()
        channel = self.ground.network.connect(host)
        wallet, chain = (
            self.ground.wallet("coordinator", address("coordinator"), patience=60.0),
            self.ground.chain("coordinator"),
        )
        for round_ in range(len(journal.keys("round/")), ROUNDS):
            waiting = dict.fromkeys(self.sites)
            while waiting:
                assert self.ground.clock.monotonic() < LONGEST, f"round {round_} is never agreed on"
                for site in waiting:
                    channel.send(site, str(round_).encode())
                while waiting and (envelope := channel.receive(timeout=3.0)) is not None:
                    if int(envelope.body) == round_:
                        waiting.pop(envelope.sender, None)
            journal.put_once(f"round/{round_:04}", b"agreed")
            self.catch_up(wallet, chain, round_ + 1)
        self.catch_up(wallet, chain, ROUNDS)

    def catch_up(self, wallet, chain, known: int) -> None:  # type: ignore[no-untyped-def]
        """Try once to anchor what the chain lacks."""
        word = digest_bytes(b"round")
        try:
            has = len(chain.anchors(self.job))
            if has < known:
                wallet.anchor(self.job, [Anchor(number, word, word, word) for number in range(has, known)])
        except (Unavailable, Uncertain):
            self.ground.host("coordinator").pause(5.0)
        except Reverted as refusal:
            if refusal.reason.name != "RoundNotNext":  # an earlier sending of ours got there first
                raise
        except Refused as problem:
            raise AssertionError(f"nothing else refuses: {problem}") from None

    def ended(self) -> Stage:
        entry = self.ground.chain("buyer").job(self.job)
        assert entry is not None
        assert entry.rounds == ROUNDS
        return entry.stage


if __name__ == "__main__":
    drama = Drama(3, HEAVY)
    drama.run()
    print(drama.ground.trace.digest.hex(), drama.ground.trace.count, drama.crashes)
