"""Where the suite's contracts are: putting them on a chain, and checking that they are what they should be."""

from __future__ import annotations

from eth_abi.abi import encode

from caduceus import canon
from caduceus.contracts import SUITE, load
from caduceus.edges.gateway.abi import contract, unhex
from caduceus.edges.gateway.account import Account
from caduceus.edges.gateway.node import Node
from caduceus.errors import Refused
from caduceus.kinds import Address

_BEFORE_JOBS = 2
"""Contracts that are told where Jobs will be, and so are deployed right before it."""

EARLIER = (b"chain/deployment/1", b"chain/deployment/2")
"""Tags of deployments whose contracts this version does not speak to: they know neither versions nor readiness of data
sets, and compute identifiers from less."""


@canon.record("chain/deployment/3")
class Deployment:
    """The suite on one chain."""

    chain_id: int
    block: int
    """No contract of the suite is older than this block: where readers of events begin."""
    token: Address
    """The demo token, or whichever ERC-20 the network's jobs usually pay in."""
    members: Address
    vouches: Address
    datasets: Address
    standing: Address
    jobs: Address
    statuses: Address

    @property
    def places(self) -> tuple[tuple[str, Address], ...]:
        """Where each contract is, by its name, the token's first."""
        at = (self.token, self.members, self.vouches, self.datasets, self.standing, self.jobs, self.statuses)
        return tuple(zip(SUITE, at, strict=True))


def deploy(account: Account, *, supply: int) -> Deployment:
    """Put the suite and a demo token on the chain.

    account  pays for it, and has no say over it afterwards
    supply   of the demo token, smallest units; all of it goes to `account`

    Raises as `Account.send` does; contracts deployed before a failure stay, unused and harmless.
    """
    block = account.node.height()
    token = _create(account, "DemoToken", supply)
    members = _create(account, "Members")
    vouches = _create(account, "Vouches", members)
    # Jobs comes after two more, so its address is known; if another transaction of the account came between, Jobs would
    # revert.
    foretold = account.creates(_BEFORE_JOBS)
    datasets = _create(account, "Datasets", members, foretold)
    standing = _create(account, "Standing", foretold)
    jobs = _create(account, "Jobs", members, datasets, vouches, standing)
    statuses = _create(account, "Statuses")
    return Deployment(account.node.chain_id(), block, token, members, vouches, datasets, standing, jobs, statuses)


def check(node: Node, deployment: Deployment) -> None:
    """Make sure that the node is on the deployment's chain and has the suite's own code at its addresses.

    Raises Refused, naming what differs.
    """
    chain_id = node.chain_id()
    if chain_id != deployment.chain_id:
        raise Refused(f"the node is on chain {chain_id}, and the contracts are on chain {deployment.chain_id}")
    _, *places = deployment.places
    for name, place in places:
        if not load(name).matches(node.code(place)):
            raise Refused(f"the code at 0x{place.hex()} is not that of the contract {name}")
    at = dict(places)
    for name, link, expected in (
        ("Jobs", "members", deployment.members),
        ("Jobs", "datasets", deployment.datasets),
        ("Jobs", "vouches", deployment.vouches),
        ("Jobs", "standing", deployment.standing),
        ("Datasets", "members", deployment.members),
        ("Datasets", "spender", deployment.jobs),
        ("Vouches", "members", deployment.members),
        ("Standing", "recorder", deployment.jobs),
    ):
        (found,) = node.call(at[name], contract(name).functions[link])
        if unhex(found) != expected:
            raise Refused(f"{name}.{link} is {found}, expected 0x{expected.hex()}")


def _create(account: Account, name: str, *arguments: object) -> Address:
    code = load(name).bytecode + encode(contract(name).constructor, arguments)
    receipt = account.send(b"", code, f"{name}.constructor")
    return Address(unhex(receipt["contractAddress"]))
