"""A chain with the contracts on it: the embedded one from its file, or any node by URL."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from caduceus import canon
from caduceus.crypto.sign import Signer
from caduceus.edges import evm_embedded
from caduceus.edges.evm_rpc import HttpNode
from caduceus.edges.gateway import (
    AT_ONCE,
    Account,
    Deployment,
    GatewayChain,
    GatewayWallet,
    KeySigner,
    Node,
    Outbox,
    Sending,
    TransactionSigner,
    check,
    deploy,
)
from caduceus.edges.gateway.deployment import EARLIER
from caduceus.edges.rpc import Request, RpcError
from caduceus.edges.workspace import write_whole
from caduceus.errors import Misuse, Refused
from caduceus.kinds import Address
from caduceus.ports import Journal

EMBEDDED_CHAIN_ID = 1337
"""The number that private test chains use by custom."""

TOKEN_SUPPLY = 10**15
"""Units of the demo token that exist on a network that we deploy."""

_ETHER = 10**18
_PATIENCE, _LONG_BLOCK = 120.0, 30.0
"""Seconds for a transaction to get into a block, and for each block on top of it."""


@dataclass(frozen=True, slots=True)
class Network:
    """An open chain.

    name      how people call it
    chain     reading the contracts
    is_ours   whether its clock and its gas money are ours to give: an embedded chain or a developer's node
    sending   how its wallets send: confirmations, fees, replacements
    """

    name: str
    is_ours: bool
    node: Node
    deployment: Deployment
    chain: GatewayChain
    _close: Callable[[], None]
    sending: Sending = AT_ONCE
    _accounts: dict[Address, Account] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wallet(self, key: bytes | TransactionSigner, journal: Journal | None = None) -> GatewayWallet:
        """Acting as the account of a secp256k1 key, or of a signer elsewhere.

        journal  remembers what was signed until its fate is known, so that nothing is sent twice after a crash; give
                 one on a chain that outlives this process

        Wallets of the same account share its nonces and its outbox, so that several threads may send at once.

        Raises Misuse if the account has a wallet without a journal already, and is asked for with one.
        """
        signer = KeySigner(Signer(key)) if isinstance(key, bytes) else key
        with self._lock:
            account = self._accounts.get(signer.address)
            if account is None:
                outbox = None if journal is None else Outbox(journal, self.deployment.chain_id, signer.address)
                account = Account(
                    self.node,
                    signer,
                    estimate=not self.is_ours,
                    patience=_PATIENCE + self.sending.confirmations * _LONG_BLOCK,
                    sending=self.sending,
                    outbox=outbox,
                )
                self._accounts[signer.address] = account
            elif journal is not None and not account.has_outbox:
                raise Misuse(f"0x{signer.address.hex()} has a wallet without a journal; ask with the journal first")
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


def open_url(
    url: str, deployment: Path, treasury: bytes, accounts: Mapping[str, Address], *, sending: Sending | None = None
) -> Network:
    """A node by URL, given the contracts first if `deployment` does not say where they are.

    On a developer's node (anvil) the parties get gas money; on any other they must hold some.

    sending  None for what suits the node: a developer's waits for no confirmations, any other for one

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
    conduct = sending or (AT_ONCE if is_ours else Sending())
    return _with_contracts(node.request, node.name, deployment, treasury, is_ours, node.close, conduct)


def join_url(url: str, deployment: Path, *, sending: Sending | None = None) -> Network:
    """A node by URL whose chain has the contracts already: for an organisation that knows nobody's key but its own.

    Raises Refused as `read_network` does, Unavailable if the node does not answer.
    """
    node = HttpNode(url)
    try:
        network = read_network(node.request, node.name, read_deployment(deployment), node.close)
    except BaseException:
        node.close()
        raise
    return replace(network, sending=sending or Sending())


@contextmanager
def open_node(where: str) -> Iterator[Node]:
    """Any chain to read from: a node's URL, or the path of an embedded chain's file, which is opened read-only.

    Raises Refused if there is no such file, or it is no chain's.
    """
    if where.startswith(("http://", "https://")):
        with HttpNode(where) as remote:
            yield Node(remote.request)
        return
    path = Path(where)
    if not path.exists():
        raise Refused(f"{path}: missing; name a chain's file, or the http or https URL of a node")
    chain = evm_embedded.read_chain(path, chain_id=EMBEDDED_CHAIN_ID)
    try:
        yield Node(evm_embedded.Node(chain).request)
    finally:
        chain.close()


def read_deployment(path: Path) -> Deployment:
    """The file that says where the contracts are.

    Raises Refused if it is missing or malformed, or of an earlier version, whose contracts were others.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise Refused(f"{path}: missing; it says where the contracts are") from None
    if any(tag in data[:32] for tag in EARLIER):
        raise Refused(
            f"{path}: names contracts of an earlier version, which this one does not speak to; audit their jobs with "
            "the version that ran them, and deploy anew for new jobs"
        )
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
    request: Request,
    name: str,
    path: Path,
    treasury: bytes,
    is_ours: bool,
    close: Callable[[], None],
    sending: Sending = AT_ONCE,
) -> Network:
    node = Node(request)
    if path.exists():
        deployment = read_deployment(path)
    else:
        account = Account(node, Signer(treasury), estimate=not is_ours, sending=sending)
        deployment = deploy(account, supply=TOKEN_SUPPLY)
        write_whole(path, canon.pack(deployment))
    _check(node, deployment, name)
    shown = f"{name} (chain {deployment.chain_id})"
    return Network(shown, is_ours, node, deployment, GatewayChain(node, deployment), close, sending)


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
