"""A chain with the contracts on it: the embedded one from its file, or any node by URL."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from caduceus import canon
from caduceus.crypto.sign import Signer
from caduceus.edges import evm_embedded
from caduceus.edges.evm_rpc import HttpNode
from caduceus.edges.gateway import Account, Deployment, GatewayChain, GatewayWallet, Node, check, deploy
from caduceus.edges.rpc import Request, RpcError
from caduceus.edges.workspace import write_whole
from caduceus.errors import Refused
from caduceus.kinds import Address

EMBEDDED_CHAIN_ID = 1337
"""The number that private test chains use by custom."""

TOKEN_SUPPLY = 10**15
"""Units of the demo token that exist on a network that we deploy."""

_ETHER = 10**18


@dataclass(frozen=True, slots=True)
class Network:
    """An open chain.

    name      how people call it
    chain     reading the contracts
    is_ours   whether its clock and its gas money are ours to give: an embedded chain or a developer's node
    """

    name: str
    is_ours: bool
    node: Node
    deployment: Deployment
    chain: GatewayChain
    _close: Callable[[], None]

    def wallet(self, key: bytes) -> GatewayWallet:
        """Acting as the account of a secp256k1 key."""
        account = Account(self.node, Signer(key), estimate=not self.is_ours)
        return GatewayWallet(account, self.chain, self.deployment)

    def now(self) -> int:
        """Unix seconds: the chain's, or the machine's if the chain has not had a block for a while."""
        return max(self.chain.now(), int(time.time()))

    def pass_time(self, until: int) -> int:
        """Move the chain's clock past a moment, where it is ours to move; returns by how many seconds.

        Raises Refused on a network whose clock nobody moves: wait, and go on later.
        """
        ahead = until + 1 - self.chain.now()
        if ahead <= 0:
            return 0
        if not self.is_ours:
            raise Refused(f"{self.name}: the stage ends in {ahead} s; run the same command again after that")
        self.node.request("evm_setNextBlockTimestamp", [until + 1])
        self.node.request("evm_mine", [])
        return ahead

    def close(self) -> None:
        """Release the file or the connection."""
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_embedded(path: Path, deployment: Path, treasury: bytes, accounts: Mapping[str, Address]) -> Network:
    """The embedded chain in `path`, made and given the contracts first if it is not there.

    deployment  the file that says where the contracts are
    treasury    key of the account that deploys and holds the demo token
    accounts    parties that get gas money in the genesis block, by name

    Raises Refused if the file is another network's or in use.
    """
    clock = lambda: int(time.time())  # noqa: E731
    if path.exists():
        if deployment.exists():
            _look_first(path, deployment)
        chain = evm_embedded.open_chain(path, clock=clock, chain_id=EMBEDDED_CHAIN_ID)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        everyone = {Signer(treasury).address, *accounts.values()}
        balances = dict.fromkeys(everyone, 1000 * _ETHER)
        chain = evm_embedded.create(path, chain_id=EMBEDDED_CHAIN_ID, balances=balances, clock=clock)
    try:
        request = evm_embedded.Node(chain).request
        network = _with_contracts(request, str(path), deployment, treasury, True, chain.close)
        return replace(network, name=embedded_name(chain.chain_id))
    except BaseException:
        chain.close()
        raise


def _look_first(path: Path, deployment: Path) -> None:
    """Refuse another network's file before it is opened for writing, which alone would change bytes of it."""
    seen = evm_embedded.read_chain(path, chain_id=EMBEDDED_CHAIN_ID)
    try:
        _check(Node(evm_embedded.Node(seen).request), read_deployment(deployment), str(path))
    finally:
        seen.close()


def embedded_name(chain_id: int) -> str:
    """What people call an embedded chain."""
    return f"embedded chain (chain {chain_id})"


def open_url(url: str, deployment: Path, treasury: bytes, accounts: Mapping[str, Address]) -> Network:
    """A node by URL, given the contracts first if `deployment` does not say where they are.

    On a developer's node (anvil) the parties get gas money; on any other they must hold some.

    Raises Refused, naming the accounts, if they hold none; Unavailable if the node does not answer.
    """
    node = HttpNode(url)
    is_ours = "anvil" in str(node.request("web3_clientVersion", [])).lower()
    everyone = {"treasury": Signer(treasury).address, **accounts}
    poor = [name for name, account in everyone.items() if not _wei(node.request, account)]
    if poor and not is_ours:
        shown = ", ".join(f"{name} 0x{everyone[name].hex()}" for name in poor)
        raise Refused(f"{node.name}: these accounts hold nothing to pay gas with: {shown}")
    for name in poor:
        node.request("anvil_setBalance", [f"0x{everyone[name].hex()}", hex(1000 * _ETHER)])
    return _with_contracts(node.request, node.name, deployment, treasury, is_ours, lambda: None)


def read_deployment(path: Path) -> Deployment:
    """The file that says where the contracts are.

    Raises Refused if it is missing or malformed.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise Refused(f"{path}: missing; it says where the contracts are") from None
    try:
        return canon.unpack(Deployment, data)
    except Refused as problem:
        raise Refused(f"{path}: {problem}") from None


def read_network(request: Request, name: str, deployment: Deployment, close: Callable[[], None]) -> Network:
    """A network to look at.

    name  a file's or a node's, for people

    Raises Refused, naming it, if the node is on another chain or the contracts are not the suite's.
    """
    node = Node(request)
    _check(node, deployment, name)
    return Network(name, False, node, deployment, GatewayChain(node, deployment), close)


def _with_contracts(
    request: Request, name: str, path: Path, treasury: bytes, is_ours: bool, close: Callable[[], None]
) -> Network:
    node = Node(request)
    if path.exists():
        deployment = read_deployment(path)
    else:
        deployment = deploy(Account(node, Signer(treasury), estimate=not is_ours), supply=TOKEN_SUPPLY)
        write_whole(path, canon.pack(deployment))
    _check(node, deployment, name)
    shown = f"{name} (chain {deployment.chain_id})"
    return Network(shown, is_ours, node, deployment, GatewayChain(node, deployment), close)


def _check(node: Node, deployment: Deployment, name: str) -> None:
    try:
        check(node, deployment)
    except Refused as problem:
        raise Refused(f"{name}: another network's chain, or a damaged one: {problem}") from None


def _wei(request: Request, account: Address) -> int:
    try:
        return int(request("eth_getBalance", [f"0x{account.hex()}", "latest"]), 16)
    except RpcError as problem:
        raise Refused(f"the node does not tell balances: {problem}") from None
