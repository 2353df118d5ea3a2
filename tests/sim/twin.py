"""Two chains side by side: the contracts on the embedded chain, and the ledger; every call goes to both.

Whatever is done or read must come out the same: what is allowed, why something is refused, with which values, and
every answer of the `Chain` port.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from calls import NEVER, run_of

from caduceus.crypto import sign
from caduceus.edges.gateway import Account, GatewayChain, GatewayWallet, Reverted
from caduceus.edges.gateway.abi import Function
from caduceus.errors import Refused
from caduceus.kinds import Address, JobId, Tokens
from caduceus.ports import Sent
from caduceus.sim.chain import LedgerChain
from caduceus.sim.chance import stream
from caduceus.sim.clock import MICROS, VirtualClock
from caduceus.sim.ledger import Ledger, Pace
from caduceus.sim.node import LedgerNode
from caduceus.sim.rules.tables import Deployed
from caduceus.sim.wallet import LedgerWallet, Waiting
from suite_world import FUNDED, SUPPLY, Party, World, _plain, embedded_world, key_of

PURE = {"account", "job_id", "dataset_id", "superseding_id"}
ZERO = VirtualClock().unix(0)


def what(problem: BaseException | None) -> object:
    """A refusal without the class that carries it."""
    if problem is None:
        return None
    reason = getattr(problem, "reason", None)
    if reason is None:
        return type(problem).__name__, str(problem)
    return reason.name, reason.labels, tuple(_plain(value) for value in reason.values)


def attempt(do: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    """What comes back, and what is raised."""
    try:
        return do(), None
    except Refused as problem:
        return None, problem


class TwinChain:
    """The `Chain` port on both; every answer is compared."""

    def __init__(self, real: GatewayChain, ours: LedgerChain) -> None:
        self.real, self.ours = real, ours

    @property
    def domain(self) -> bytes:
        assert self.real.domain == self.ours.domain
        return self.real.domain

    def beacon(self, job: JobId) -> bytes:
        """Blocks have other hashes; that there is one, or none, is the same."""
        found, problem = attempt(lambda: self.real.beacon(job))
        assert what(attempt(lambda: self.ours.beacon(job))[1]) == what(problem)
        if problem is not None:
            raise problem
        return found

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def read(*arguments: Any) -> Any:
            found = getattr(self.real, name)(*arguments)
            mirrored = getattr(self.ours, name)(*arguments)
            if name != "now":
                assert _listed(mirrored) == _listed(found), name
            return found

        return read


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


class TwinWallet:
    """The `Wallet` port on both; every outcome is compared."""

    def __init__(self, world: TwinWorld, real: GatewayWallet, ours: LedgerWallet) -> None:
        self._world, self._real, self.ours = world, real, ours

    @property
    def account(self) -> Address:
        assert self._real.account == self.ours.account
        return self._real.account

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def act(*arguments: Any) -> Any:
            real, ours = getattr(self._real, name), getattr(self.ours, name)
            if name in PURE:
                assert real(*arguments) == ours(*arguments)
                return real(*arguments)
            return self._world.both(lambda: real(*arguments), lambda: ours(*arguments))

        return act


class TwinAccount:
    """Raw calls on both; every outcome is compared."""

    def __init__(self, world: TwinWorld, real: Account) -> None:
        self._world, self._real = world, real

    @property
    def address(self) -> Address:
        return self._real.address

    def invoke(self, to: bytes, function: Function, *arguments: Any) -> Sent:
        def real() -> Sent:
            return self._real.invoke(to, function, *arguments)

        if function.name in NEVER:
            with pytest.raises(Reverted) as caught:
                real()
            raise caught.value
        wallet = self._world.wallet_of(self.address)
        return self._world.both(real, lambda: wallet.invoke(function.name, run_of(function.name, arguments)))


class TwinWorld(World):
    """Both worlds, with the same parties; block times follow the embedded chain's."""

    def __init__(self) -> None:
        inner = embedded_world(*FUNDED)
        super().__init__(inner.node, "embedded")
        real = self.chain
        self.calls = 0
        self.clock = VirtualClock()
        at = Deployed(self.deployment.chain_id, self.deployment.jobs)
        holdings = {self.deployment.token: {self.treasury.address: Tokens(SUPPLY)}}
        self.ledger = Ledger(self.clock, at, holdings, pace=Pace(), chance=stream(0, "ledger"))
        self.ours = LedgerNode(self.ledger, stream(0, "node"))
        self.chain: Any = TwinChain(real, LedgerChain(self.ours))

    def newcomer(self, name: str) -> Party:
        account = self.account(name)
        real = GatewayWallet(account, self.chain.real, self.deployment)
        wallet = TwinWallet(self, real, self.wallet_of(account.address))
        signer = sign.Signer(key_of(f"{name}/signer"))
        both: Any = TwinAccount(self, account)
        return Party(wallet, both, signer, self.deployment)  # type: ignore[arg-type]

    def wallet_of(self, account: Address) -> LedgerWallet:
        """An account's hands on the ledger."""
        return LedgerWallet(self.ours, account, Waiting(self.clock, lambda _seconds: None, estimate=False))

    def pay(self, account: Address, amount: int) -> None:
        super().pay(account, amount)
        self.follow()
        self.wallet_of(self.treasury.address).transfer(self.deployment.token, account, Tokens(amount))

    def follow(self) -> None:
        """Set the virtual clock to the time of the embedded chain's newest block."""
        self.clock.move_to((self.chain.real.now() - ZERO) * MICROS)

    def both(self, real: Callable[[], Sent], ours: Callable[[], Sent]) -> Sent:
        """Do it on both; the outcome must be the same."""
        before = self.chain.real.now()
        sent, problem = attempt(real)
        self.follow()
        mirrored, other = attempt(ours)
        assert what(other) == what(problem)
        if self.chain.real.now() != before:  # a block was made, and not only something looked up and missed
            assert self.ledger.newest().time == self.chain.real.now()
        self.calls += 1
        assert self.calls % 10 or self.ledger.broken() == []
        if problem is not None:
            assert getattr(other, "what", None) == getattr(problem, "what", None)
            raise problem
        assert mirrored.what == sent.what
        return sent


def compare(world: TwinWorld, accounts: list[Address], attesters: list[Address]) -> None:
    """Read everything that the port can read, on both."""
    chain, token = world.chain, world.deployment.token
    for entry in chain.datasets():
        chain.dataset(entry.id)
        chain.budget_moves(entry.id)
    for job in chain.jobs():
        chain.job(job)
        for read in ("enrolments", "anchors", "omissions", "claims", "slashed", "equivocations", "recorded"):
            getattr(chain, read)(job)
        chain.settlement_signatures(job)
        attempt(lambda job=job: chain.beacon(job))  # type: ignore[misc]
    for account in [*accounts, world.deployment.jobs, Address(bytes(20))]:
        chain.member(account)
        chain.balance(token, account)
        chain.credit(token, account)
        chain.status_root(account)
        for attester in attesters:
            chain.entity_of(attester, account)


__all__ = ["TwinWorld", "attempt", "compare"]
