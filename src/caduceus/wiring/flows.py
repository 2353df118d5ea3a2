"""Where a job's money went, from the token's own transfers and the events that explain them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from caduceus.edges.gateway.abi import unhex
from caduceus.edges.network import Network
from caduceus.errors import PeerFault
from caduceus.kinds import Address, Stage
from caduceus.market.job import FINAL
from caduceus.market.ledger import JobEntry
from caduceus.report.facts import Flow
from caduceus.wiring.transactions import Happened, Transaction

ESCROW = "escrow"
"""What people call the Jobs contract's purse."""

_INTO = {
    "Jobs.openAndFund": "price locked",
    "Jobs.fund": "price locked",
    "Jobs.accept": "bond",
    "Jobs.enrol": "stake",
}


def flows_of(
    entry: JobEntry, network: Network, transactions: Sequence[Transaction], names: Mapping[Address, str]
) -> tuple[Flow, ...]:
    """Every amount that went into and out of a job's escrow.

    transactions  those of this job (see `read_transactions`)

    Raises PeerFault if the amounts do not add up: then the chain, or what a node tells of it, is not what it should be.
    """
    books = _Books(entry, network, names)
    flows = [flow for one in transactions for flow in books.read(one)]
    _check(entry, flows, transactions)
    return tuple(flows)


class _Books:
    def __init__(self, entry: JobEntry, network: Network, names: Mapping[Address, str]) -> None:
        self.entry, self.network, self.names = entry, network, names

    def read(self, one: Transaction) -> Iterator[Flow]:
        """The flows of one transaction, held against what the token says of it."""
        jobs = self.network.deployment.jobs
        moved = [self._transfer(event) for event in one.events if event.name == "DemoToken.Transfer"]
        came = sum(amount for _, target, amount in moved if target == jobs)
        went = sum(amount for source, _, amount in moved if source == jobs)
        if came:
            if one.what not in _INTO:
                raise PeerFault(
                    "the chain", f"{one.what} put {came} into the escrow, which no rule of the contracts does"
                )
            yield Flow(self._name(one.sender), ESCROW, came, _INTO[one.what])
        claimed = 0
        for event in one.events:
            if event.name == "Jobs.Claimed":
                _, account, amount, returned = event.values
                claimed += amount + returned
                yield from self._claim(Address(unhex(account)), amount, returned)
            elif event.name == "Jobs.Credited":
                _, account, amount = event.values
                yield from self._credit(Address(unhex(account)), amount)
        if one.what == "Jobs.claim" and claimed != went:
            raise PeerFault("the chain", f"a claim of {claimed} moved {went} of the token")

    def _claim(self, account: Address, amount: int, returned: int) -> Iterator[Flow]:
        earned, deposit = ("fee", "bond") if account == self.entry.coordinator else ("pay", "stake")
        for part, why in ((amount, earned), (returned, f"{deposit} returned")):
            if part:
                yield Flow(ESCROW, self._name(account), part, why)

    def _credit(self, account: Address, amount: int) -> Iterator[Flow]:
        """What the contract owes beyond claims, once its owner has pulled it; until then it is still held."""
        if self.network.chain.credit(self.entry.token, account):
            return
        if account == self.entry.buyer:
            why = "not earned" if self.entry.stage is Stage.COMPLETED else "price returned"
        else:
            why = "forfeited bond"
        yield Flow(ESCROW, self._name(account), amount, why)

    def _transfer(self, event: Happened) -> tuple[bytes, bytes, int]:
        source, target, amount = event.values
        return unhex(source), unhex(target), amount

    def _name(self, account: Address) -> str:
        return self.names.get(account, f"0x{account.hex()}")


def _check(entry: JobEntry, flows: Sequence[Flow], transactions: Sequence[Transaction]) -> None:
    put = sum(flow.amount for flow in flows if flow.target == ESCROW)
    got = sum(flow.amount for flow in flows if flow.source == ESCROW)
    if got > put:
        raise PeerFault("the chain", f"{put} went into the job's escrow and {got} came out of it")
    claims = sum(one.what == "Jobs.claim" for one in transactions)
    everyone = entry.stage in FINAL and claims == entry.sites + 1
    credited = sum(e.values[2] for one in transactions for e in one.events if e.name == "Jobs.Credited")
    pulled = sum(flow.amount for flow in flows if flow.why in ("not earned", "price returned", "forfeited bond"))
    if everyone and credited == pulled and put != got:
        raise PeerFault("the chain", f"the job is over and everybody was paid, but {put - got} of {put} are still held")
