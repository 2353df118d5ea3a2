"""A private network's blocks, witnessed by a public chain.

A consortium's own chain costs nothing and is fast, and whoever runs its nodes can rewrite it. So at intervals the
hash of one of its blocks is recorded in the contract Heads, on a chain that its operators do not run. A block's hash
commits to all blocks before it.

What that proves: the private chain that an auditor is shown has, up to the newest recorded head, the very blocks that
it had when that head was recorded, as far as the public chain is final. A chain rewritten below a recorded head
cannot have that head in it any more, and the first head that differs says between which two recordings the rewriting
begins. What it does not prove: that the blocks are valid (re-execute them), that nothing was left out of them, or
anything about blocks above the newest recorded head. Nor does it help against operators who keep two chains from the
start, and record one, but show the other to everybody until the day of the audit; or who record no heads at all. The
interval bounds how much can be rewritten unseen. The numbers and hashes of heads become public; nothing else does.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from eth_abi.abi import encode

from caduceus import canon
from caduceus.contracts import load
from caduceus.crypto.sign import keccak
from caduceus.edges.gateway.abi import contract, unhex
from caduceus.edges.gateway.account import Account
from caduceus.edges.gateway.node import Node
from caduceus.edges.headers import ancestors
from caduceus.edges.workspace import write_whole
from caduceus.errors import Refused, Unavailable
from caduceus.kinds import Address, Digest
from caduceus.ports import Sent

_HEADS = contract("Heads")


@canon.record("chain/heads/1")
class HeadsPlace:
    """Where a Heads contract is."""

    chain_id: int
    block: int
    """The contract is not older than this block."""
    address: Address


@dataclass(frozen=True, slots=True)
class Head:
    """A block of a private network."""

    number: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Recorded:
    """A head as the public chain has it."""

    head: Head
    public_block: int
    """The public block in which it was recorded."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What an auditor learns of a private chain.

    recorded  every head that was recorded, oldest first
    differs   the first of them that is not on the chain presented; None if all are
    above     blocks of the chain presented above the newest head: of those the recordings say nothing
    """

    network: Digest
    recorded: tuple[Recorded, ...]
    differs: Recorded | None
    above: int

    @property
    def is_whole(self) -> bool:
        """Whether there are recordings, and the chain presented agrees with all of them."""
        return bool(self.recorded) and self.differs is None

    def __str__(self) -> str:
        if not self.recorded:
            return "no head was recorded: nothing can be said"
        newest = self.recorded[-1].head.number
        if self.differs is None:
            count = f"{len(self.recorded)} recorded heads are" if len(self.recorded) > 1 else "the recorded head is"
            return f"{count} on this chain; it was not rewritten up to block {newest}; {self.above} blocks follow"
        bad = self.differs
        kept = max((one.head.number for one in self.recorded if one.head.number < bad.head.number), default=0)
        return (
            f"rewritten: block {bad.head.number} was recorded as 0x{bad.head.hash.hex()} (public block "
            f"{bad.public_block}), and is another one on this chain; it still agrees up to block {kept}"
        )


def deploy_heads(public: Account) -> HeadsPlace:
    """Put a Heads contract on a chain; nobody has any say over it afterwards."""
    block = public.node.height()
    receipt = public.send(b"", load("Heads").bytecode, "Heads.constructor")
    return HeadsPlace(public.node.chain_id(), block, Address(unhex(receipt["contractAddress"])))


def write_place(path: Path, place: HeadsPlace) -> None:
    """Keep where the contract is; the file is public."""
    write_whole(path, canon.pack(place))


def read_place(path: Path) -> HeadsPlace:
    """What `write_place` wrote.

    Raises Refused if the file is missing or malformed.
    """
    try:
        return canon.unpack(HeadsPlace, path.read_bytes())
    except FileNotFoundError:
        raise Refused(f"{path}: missing; it says where the contract Heads is") from None
    except Refused as problem:
        raise Refused(f"{path}: {problem}") from None


def network_id(account: Address, genesis: bytes) -> Digest:
    """What a private network is called in Heads (see `Heads.idOf`).

    account  records its heads
    genesis  hash of its block 0
    """
    return Digest(keccak(encode(("address", "bytes32"), (account, genesis))))


def genesis_of(private: Node) -> bytes:
    """The hash of a chain's block 0."""
    return _hash_at(private, 0)


def register(private: Node, public: Account, place: HeadsPlace) -> Sent:
    """Announce that this account will record the heads of a private network; once.

    Raises Reverted (AlreadyRegistered) the second time, and as `Account.invoke` does.
    """
    _check_place(public.node, place)
    return public.invoke(place.address, _HEADS.functions["register"], genesis_of(private))


def anchor_head(
    private: Node, public: Account, place: HeadsPlace, network: Digest, *, depth: int = 0, every: int = 1
) -> tuple[Head, Sent] | None:
    """Record the private network's newest final block, if there are enough new ones since the last recording.

    depth  blocks that must be on top of it: what the private chain may still drop; 0 for a chain that has no forks
    every  blocks that must lie between two recordings
    returns  what was recorded, or None if it is too early

    Raises Refused if `network` is not this account's name for this chain, or if the chain no longer has the head
    that was recorded last: it was rewritten, and recording on would hide that; and as `Account.invoke` does.
    """
    _check_place(public.node, place)
    genesis = genesis_of(private)
    if network_id(public.address, genesis) != network:
        raise Refused(
            f"network 0x{network.hex()} is not what 0x{public.address.hex()} calls the chain that begins with "
            f"0x{genesis.hex()}: is it the right chain, and the right account?"
        )
    recorded = heads_of(public.node, place, network)
    number = private.height() - depth
    if number < (recorded[-1].head.number + every if recorded else 1):
        return None
    if recorded and not _has(private, recorded[-1].head):
        raise Refused(f"block {recorded[-1].head.number} of the private chain is not the one that was recorded")
    head = Head(number, _hash_at(private, number))
    return head, public.invoke(place.address, _HEADS.functions["record"], genesis, head.number, head.hash)


def heads_of(public: Node, place: HeadsPlace, network: Digest) -> tuple[Recorded, ...]:
    """Every head recorded of a network, oldest first, checked against the contract's state: none is left out.

    Raises Refused if the network is not registered, Unavailable if the node's logs are not all there.
    """
    event = _HEADS.events["HeadRecorded"]
    ((chain, newest, count),) = public.call(place.address, _HEADS.functions["networkOf"], network)
    if not any(chain):
        raise Refused(f"network 0x{network.hex()} is not registered in the contract 0x{place.address.hex()}")
    logs = public.logs(place.address, [event], network, since=place.block)
    reached, found = bytes(network), []
    for log in logs:
        name, number, block_hash = event.read(log)
        if name == network:
            reached = keccak(encode(("bytes32", "uint64", "bytes32"), (reached, number, block_hash)))
            found.append(Recorded(Head(number, block_hash), int(log["blockNumber"], 16)))
        if reached == chain:
            break  # what was recorded between the two questions comes next time
    if reached != chain or len(found) != count or (found and found[-1].head.number != newest):
        raise Unavailable(
            f"the public node gave {len(found)} logs of network 0x{network.hex()}, and they are not the {count} that "
            "its contract has counted; ask one that keeps old logs"
        )
    return tuple(found)


def check_heads(
    private: Node, public: Node, place: HeadsPlace, network: Digest, account: Address, *, thorough: bool = False
) -> Checked:
    """Compare a private chain with every head that was recorded of it.

    private   the chain presented, by URL or from its file (`edges.network.open_node` opens either)
    account   who should have recorded; with the chain's genesis block it makes up the network's name
    thorough  go from the newest block presented to the oldest recorded head by parents' hashes, computed from the
              headers: one question for each block. Without it the private node is believed about which block has which
              number, which is right for a file and for a node of one's own, and not for a node of those who are audited

    Raises Refused if the chain presented begins with another block than the network that was registered, if the
    contract is not at its place, or if a header does not have its hash; Unavailable if one of the nodes does not
    answer.
    """
    _check_place(public, place)
    genesis = genesis_of(private)
    if network_id(account, genesis) != network:
        raise Refused(
            f"the chain presented begins with block 0x{genesis.hex()}, and that is not the chain that "
            f"0x{account.hex()} registered as 0x{network.hex()}"
        )
    recorded = heads_of(public, place, network)
    presented = private.newest()
    height = int(presented["number"], 16)
    if thorough and recorded:
        known = ancestors(private, unhex(presented["hash"]), recorded[0].head.number)
        differs = next((one for one in recorded if known.get(one.head.number) != one.head.hash), None)
    else:
        differs = next((one for one in recorded if not _has(private, one.head)), None)
    newest = recorded[-1].head.number if recorded else 0
    return Checked(network, recorded, differs, max(height - newest, 0))


def _has(private: Node, head: Head) -> bool:
    block = private.block(head.number)
    return block is not None and unhex(block["hash"]) == head.hash


def _hash_at(private: Node, number: int) -> bytes:
    block = private.block(number)
    if block is None:
        raise Unavailable(f"the private chain's node has no block {number}")
    return unhex(block["hash"])


def _check_place(public: Node, place: HeadsPlace) -> None:
    chain_id = public.chain_id()
    if chain_id != place.chain_id:
        raise Refused(f"the node is on chain {chain_id}, and the contract Heads is on chain {place.chain_id}")
    if not load("Heads").matches(public.code(place.address)):
        raise Refused(f"the code at 0x{place.address.hex()} is not that of the contract Heads")
