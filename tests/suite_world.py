"""A chain with the contracts on it and parties who hold keys and money: what contract and gateway tests start from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import count
from typing import Any

import pytest

from anvil_node import AnvilNode, require_anvil, running
from caduceus.crypto import head, merkle, sign
from caduceus.edges.evm_embedded import Node as EmbeddedNode
from caduceus.edges.evm_embedded import create
from caduceus.edges.gateway import Account, Deployment, GatewayChain, GatewayWallet, Node, Reverted, deploy, suite
from caduceus.edges.gateway.abi import Function
from caduceus.kinds import Address, Digest, JobId, Role, Seat, Tokens
from caduceus.market.costs import Costs
from caduceus.market.ledger import Anchor, JobTerms
from caduceus.market.slashing import Equivocation
from caduceus.market.standing import Observation, Showing
from caduceus.ports import Sent

CHAIN_ID = 1337
START = 1_800_000_000
SUPPLY = 10**15
PURSE = Tokens(10**9)
"""What each party starts with, in the demo token."""

FUNDED = (
    "treasury",
    "buyer",
    "coordinator",
    "stranger",
    "newcomer",
    "specialist",
    "attester",
    "other attester",
    *(f"site-{seat}" for seat in range(8)),
)
"""Whose accounts can pay for gas."""

_ETHER = 10**18
_ALL = Role.STEWARD | Role.BUYER | Role.COORDINATOR


def digest(*parts: object) -> Digest:
    """32 bytes that stand for something that these tests do not look into."""
    return Digest(sha256(repr(parts).encode()).digest())


@dataclass(frozen=True, slots=True)
class Party:
    """One account: its hands on the contracts, and the key that signs protocol messages."""

    wallet: GatewayWallet
    account: Account
    signer: sign.Signer
    deployment: Deployment

    @property
    def address(self) -> Address:
        return self.account.address

    def do(self, function: str, *arguments: object) -> Sent:
        """Call any function of the Jobs contract."""
        return self.account.invoke(self.deployment.jobs, suite.JOBS[function], *arguments)


@dataclass
class World:
    """A node, the suite on it, and a treasury that pays newcomers."""

    node: Node
    kind: str
    deployment: Deployment = field(init=False)
    chain: GatewayChain = field(init=False)
    treasury: Account = field(init=False)
    parties: dict[str, Party] = field(default_factory=dict)
    datasets: dict[str, Digest] = field(default_factory=dict)
    nonce: Iterator[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self.treasury = self.account("treasury")
        self.deployment = deploy(self.treasury, supply=SUPPLY)
        self.chain = GatewayChain(self.node, self.deployment)

    def account(self, name: str) -> Account:
        """An account that can pay for gas; the same for the same name."""
        return Account(self.node, sign.Signer(key_of(name)), estimate=False)

    def newcomer(self, name: str) -> Party:
        """A party that has gas and nothing else."""
        account = self.account(name)
        wallet = GatewayWallet(account, self.chain, self.deployment)
        return Party(wallet, account, sign.Signer(key_of(f"{name}/signer")), self.deployment)

    def party(self, name: str, roles: Role = _ALL) -> Party:
        """A member with a full purse that lets the Jobs contract take from it; the same for the same name."""
        if name not in self.parties:
            party = self.newcomer(name)
            party.wallet.register_member(roles, party.signer.address, digest("agreement", name), digest("profile"))
            self.pay(party.address, PURSE)
            party.wallet.approve(self.deployment.token, PURSE)
            self.parties[name] = party
        return self.parties[name]

    def pay(self, account: Address, amount: int) -> None:
        """Give demo tokens to an account."""
        self.treasury.invoke(self.deployment.token, suite.TOKEN["transfer"], account, amount)

    def dataset(self, name: str) -> Digest:
        """A data set of the party of that name, registered once."""
        if name not in self.datasets:
            party = self.party(name)
            values = (digest("commitment", name), digest("card", name), digest("terms", name), 0, 0)
            party.wallet.register_dataset(*values)
            self.datasets[name] = party.wallet.dataset_id(*values)
        return self.datasets[name]

    def limited(self, name: str, epsilon_micro: int, delta_pico: int) -> Digest:
        """A new data set of the party of that name, with a privacy budget of which nothing is spent."""
        wallet = self.party(name).wallet
        values = (digest("limited", next(self.nonce)), digest("card"), digest("terms"), epsilon_micro, delta_pico)
        wallet.register_dataset(*values)
        return wallet.dataset_id(*values)

    def terms(self, **changes: object) -> JobTerms:
        """Terms of a job that nobody opened before; it opens exact sums, unless changes say otherwise."""
        terms = JobTerms(
            token=self.deployment.token,
            price=Tokens(1000),
            coordinator=self.party("coordinator").address,
            stake=Tokens(10),
            bond=Tokens(50),
            min_sites=1,
            max_sites=8,
            max_rounds=20,
            enrol_for=600,
            train_for=3600,
            challenge_for=300,
            epsilon_micro=0,
            delta_pico=0,
            sums=0,
            costs=merkle.EMPTY,
            spec=digest("specification", next(self.nonce)),
        )
        return replace(terms, **changes)  # type: ignore[arg-type]

    def private_terms(self, costs: Costs, **changes: object) -> JobTerms:
        """Terms of a job that nobody opened before and that spends privacy."""
        whole = costs.whole
        privacy = {"epsilon_micro": whole.epsilon_micro, "delta_pico": whole.delta_pico}
        return self.terms(**privacy, sums=costs.sums, costs=costs.root, **changes)

    def now(self) -> int:
        return self.chain.now()

    def pass_time(self, seconds: int) -> None:
        """Let time go by: the newest block is this much younger afterwards."""
        self.at_time(self.now() + seconds)
        self.node.request("evm_mine", [])

    def at_time(self, timestamp: int) -> None:
        """Give the next block exactly this timestamp."""
        self.node.request("evm_setNextBlockTimestamp", [timestamp])

    def held(self) -> int:
        """What the Jobs contract holds of the demo token."""
        return self.chain.balance(self.deployment.token, self.deployment.jobs)


@dataclass
class Play:
    """One job, driven through its stages by the parties buyer, coordinator and site-0, site-1, ..."""

    world: World
    sites: int = 3
    terms: JobTerms | None = None
    leaves: list[list[bytes]] = field(default_factory=list)
    """The data of each anchored round's leaves, by seat; empty bytes where a seat sent nothing."""
    signatures: dict[tuple[int, int], bytes] = field(default_factory=dict)
    id: JobId = field(default=JobId(b""))
    datasets: dict[int, Digest] = field(default_factory=dict)
    """What a seat enrols with, where it is not the site's usual data set."""
    observations: Sequence[Observation] = ()
    """What the settlement says that the job showed of each seat."""
    slashed: tuple[Seat, ...] = ()
    """Whose stake the settlement forfeits."""
    given: Sequence[int] | None = None
    """The amounts that were settled, where they are not the usual ones."""

    @property
    def buyer(self) -> Party:
        return self.world.party("buyer")

    @property
    def coordinator(self) -> Party:
        return self.world.party("coordinator")

    def site(self, seat: int) -> Party:
        return self.world.party(f"site-{seat}")

    def funded(self) -> Play:
        self.terms = self.terms or self.world.terms()
        self.id = self.buyer.wallet.job_id(self.terms)
        self.buyer.wallet.open_job(self.terms)
        return self

    def enrolling(self) -> Play:
        self.funded()
        self.coordinator.wallet.accept(self.id)
        for seat in range(self.sites):
            self.enrol(seat)
        return self

    def enrol(self, seat: int) -> Sent:
        """Take a seat, with the data set that is meant for it."""
        dataset = self.datasets.get(seat) or self.world.dataset(f"site-{seat}")
        return self.site(seat).wallet.enrol(self.id, dataset)

    def training(self, rounds: int = 0) -> Play:
        self.enrolling()
        self.coordinator.wallet.start(self.id)
        for _ in range(rounds):
            self.anchor()
        return self

    def settling(self, rounds: int = 1, amounts: Sequence[int] | None = None) -> Play:
        self.training(rounds)
        self.settle(amounts)
        return self

    def completed(self, amounts: Sequence[int] | None = None) -> Play:
        self.settling(1, amounts)
        self.world.pass_time(301)
        self.coordinator.wallet.complete(self.id)
        return self

    # ------------------------------------------------------------ what parties sign and anchor

    def upload(self, seat: int, round_: int) -> bytes:
        """A well-signed leaf's data."""
        body = digest("body", self.id, round_, seat)
        message = sign.digest(self.world.chain.domain, sign.Upload(self.id, round_, seat, body))
        signature = self.site(seat).signer.sign(message)
        self.signatures[round_, seat] = signature
        return leaf_data(self.id, round_, seat, body, signature)

    def anchor(self, changed: dict[int, bytes] | None = None) -> Sent:
        """Anchor the next round with everybody's upload, except for the seats whose leaf data are given."""
        round_ = len(self.leaves)
        leaves = [self.upload(seat, round_) for seat in range(self.sites)]
        for seat, data in (changed or {}).items():
            leaves[seat] = data
        self.leaves.append(leaves)
        return self.coordinator.wallet.anchor(self.id, [self.entry(round_)])

    def tree(self, round_: int) -> merkle.Tree:
        return merkle.Tree([merkle.leaf(data) if data else merkle.EMPTY for data in self.leaves[round_]])

    def leaf(self, round_: int, seat: int) -> Digest:
        return merkle.leaf(self.leaves[round_][seat])

    def entry(self, round_: int) -> Anchor:
        root = self.tree(round_).root
        return Anchor(round_, root, digest("model", round_), digest("record", round_))

    def proof(self, round_: int) -> tuple[Digest, list[tuple[Digest, Digest, Digest]]]:
        """The round proof that the contract asks for."""
        entries = [(one.root, one.model, one.record) for one in map(self.entry, range(len(self.leaves)))]
        return head.fold(head.start(self.id, self.sites), entries[:round_]), entries[round_:]

    def head(self) -> Digest:
        before, entries = self.proof(0)
        return head.fold(before, entries)

    def receipt(self, round_: int, seat: int, leaf: Digest) -> bytes:
        """The coordinator's promise that a leaf will be in its place."""
        struct = sign.Receipt(self.id, round_, seat, leaf)
        return self.coordinator.signer.sign(sign.digest(self.world.chain.domain, struct))

    # ------------------------------------------------------------ money

    def claims(self, amounts: Sequence[int]) -> merkle.Tree:
        """The tree of what each seat is paid, and of what the job showed of each."""
        claims = [claim_data(self.id, self.site(seat).address, amount) for seat, amount in enumerate(amounts)]
        return merkle.Tree([merkle.leaf(data) for data in [*claims, *self.showings()]])

    def showings(self) -> list[bytes]:
        """What the leaves of the observations are digests of."""
        return [
            self.id + bytes(12) + self.site(seat).address + seen.good.to_bytes(32) + seen.bad.to_bytes(32)
            for seat, seen in enumerate(self.observations)
        ]

    def shown(self, seat: int) -> Showing:
        """A seat's observation with its proof."""
        index = self.sites + seat
        return Showing(self.observations[seat], index, self.claims(self.given or self.amounts()).proof(index))

    def record(self, seat: int, by: Party | None = None) -> Sent:
        """Enter the job in the standing of a seat's site; its coordinator does, or somebody else."""
        entity = self.world.chain.enrolments(self.id)[seat].entity
        return (by or self.coordinator).wallet.record_standing(self.id, Seat(seat), entity, self.shown(seat))

    def equivocation(self, seat: int, round_: int = 0) -> Equivocation:
        """Two uploads that a site signed for one round."""
        bodies = digest("body", self.id, round_, seat), digest("another body", self.id, round_, seat)
        domain, signer = self.world.chain.domain, self.site(seat).signer
        one, other = (signer.sign(sign.digest(domain, sign.Upload(self.id, round_, seat, body))) for body in bodies)
        return Equivocation(self.id, round_, seat, bodies, (one, other))

    def amounts(self) -> list[int]:
        """An even split of 900 of the price of 1000."""
        return [900 // self.sites] * self.sites

    def consent(self, seat: int, claims: Digest, payout: int) -> bytes:
        """A site's signature under a settlement of the job as it stands."""
        struct = sign.Settlement(self.id, self.head(), claims, payout, self.slashed)
        return self.site(seat).signer.sign(sign.digest(self.world.chain.domain, struct))

    def settle(self, amounts: Sequence[int] | None = None) -> Sent:
        self.given = given = self.amounts() if amounts is None else amounts
        claims = self.claims(given).root
        signed = [(Seat(seat), self.consent(seat, claims, sum(given))) for seat in range(self.sites)]
        return self.coordinator.wallet.settle(self.id, claims, Tokens(sum(given)), signed, self.slashed)


def leaf_data(job: bytes, round_: int, seat: int, body: bytes, signature: bytes) -> bytes:
    """What an upload leaf is the digest of."""
    return job + round_.to_bytes(32) + seat.to_bytes(32) + body + sha256(signature).digest()


def claim_data(job: bytes, account: bytes, amount: int) -> bytes:
    """What a claim leaf is the digest of."""
    return job + bytes(12) + account + amount.to_bytes(32)


def key_of(name: str) -> bytes:
    """A secret key for tests."""
    return sha256(f"a test's key: {name}".encode()).digest()


@contextmanager
def refused(name: str, *values: object) -> Iterator[None]:
    """The contract reverts with exactly this custom error; values left out are not compared."""
    with pytest.raises(Reverted) as caught:
        yield
    reason = caught.value.reason
    assert reason is not None, f"no reason came back: {caught.value}"
    assert reason.name == name, str(caught.value)
    if values:
        shown = tuple(_plain(value) for value in reason.values)
        assert shown == tuple(_plain(value) for value in values)


def call(world: World, function: Function, *arguments: object) -> tuple[Any, ...]:
    """What a view of the suite says; the function's name tells whose it is."""
    owner = function.name.partition(".")[0]
    places = dict(world.deployment.places)
    return world.node.call(places[owner], function, *arguments)


def embedded_world(*names: str) -> World:
    """A world on the chain in this process; accounts of any of `names` are funded besides the usual ones."""
    balances = {sign.Signer(key_of(name)).address: 1000 * _ETHER for name in [*FUNDED, *names]}
    chain = create(None, chain_id=CHAIN_ID, balances=balances, clock=lambda: START)
    return World(Node(EmbeddedNode(chain).request), "embedded")


def anvil_world(anvil: AnvilNode) -> World:
    """A world on a node that somebody else wrote."""
    for name in FUNDED:
        anvil.fund(sign.Signer(key_of(name)).address, 1000 * _ETHER)
    return World(Node(anvil.node.request), "anvil")


@pytest.fixture(scope="session", params=["embedded", pytest.param("anvil", marks=pytest.mark.anvil)])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """The suite on the embedded chain, and again on a real node."""
    if request.param == "embedded":
        yield embedded_world()
        return
    require_anvil()
    with running() as anvil:
        yield anvil_world(anvil)


def _plain(value: object) -> object:
    if isinstance(value, bytes) and len(value) == 20:
        return f"0x{value.hex()}"
    return value
