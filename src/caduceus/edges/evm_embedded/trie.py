"""The Merkle Patricia trie that holds accounts and storage, updated in batches.

Keys are hashes, so all have 64 nibbles and none is the start of another; a branch holds no value of its
own. A node is a list as RLP gives it: two items (path, then child or value) or seventeen. A child is the
hash of a node, a short node in place, or empty; while a batch is applied it may also be a node of any size.

*Source*: Ethereum Yellow Paper, appendix D.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from caduceus.edges.evm_embedded import wire
from caduceus.edges.evm_embedded.blocks import EMPTY_TRIE
from caduceus.edges.evm_embedded.nodes import Nodes
from caduceus.errors import Refused

_EMPTY = b""
_Node = Sequence[wire.Item]


def get(nodes: Nodes, root: bytes, key: bytes) -> bytes | None:
    """The value under a key of 32 bytes, or None.

    Raises Refused if a node is missing.
    """
    if root == EMPTY_TRIE:
        return None
    child: wire.Item = root
    path = key.hex()
    while child != _EMPTY:
        node = _load(nodes, child)
        if len(node) == 17:
            child, path = node[int(path[0], 16)], path[1:]
            continue
        own, leaf = _unpack(node)
        if leaf:
            return cast(bytes, node[1]) if own == path else None
        if not path.startswith(own):
            return None
        child, path = node[1], path[len(own) :]
    return None


def update(nodes: Nodes, root: bytes, changes: Mapping[bytes, bytes]) -> bytes:
    """The root after some values were set; nodes that are new become pending.

    changes  by key of 32 bytes; an empty value removes the key

    Raises Refused if a node is missing.
    """
    top: wire.Item = _EMPTY if root == EMPTY_TRIE else root
    for key, value in changes.items():
        top = _set(nodes, top, key.hex(), value) if value else _remove(nodes, top, key.hex())
    if top == _EMPTY:
        return EMPTY_TRIE
    if isinstance(top, bytes):
        return top
    data, flat = _flatten(nodes, top)
    return nodes.add(data, flat)


def _set(nodes: Nodes, child: wire.Item, path: str, value: bytes) -> _Node:
    if child == _EMPTY:
        return [_pack(path, leaf=True), value]
    node = _load(nodes, child)
    if len(node) == 17:
        return _with_child(node, int(path[0], 16), _set(nodes, node[int(path[0], 16)], path[1:], value))
    own, leaf = _unpack(node)
    if own == path:
        return [node[0], value]
    if not leaf and path.startswith(own):
        return [node[0], _set(nodes, node[1], path[len(own) :], value)]
    shared = 0
    while own[shared] == path[shared]:
        shared += 1
    branch: list[wire.Item] = [_EMPTY] * 17
    rest = own[shared + 1 :]
    branch[int(own[shared], 16)] = [_pack(rest, leaf=leaf), node[1]] if leaf or rest else node[1]
    branch[int(path[shared], 16)] = [_pack(path[shared + 1 :], leaf=True), value]
    return [_pack(path[:shared], leaf=False), branch] if shared else branch


def _remove(nodes: Nodes, child: wire.Item, path: str) -> wire.Item:
    """The subtree without the key; `child` itself if the key is not there."""
    if child == _EMPTY:
        return child
    node = _load(nodes, child)
    if len(node) == 17:
        index = int(path[0], 16)
        smaller = _remove(nodes, node[index], path[1:])
        if smaller is node[index]:
            return child
        branch = _with_child(node, index, smaller)
        left = [i for i in range(16) if branch[i] != _EMPTY]
        return branch if len(left) > 1 else _prepend(nodes, f"{left[0]:x}", branch[left[0]])
    own, leaf = _unpack(node)
    if leaf:
        return _EMPTY if own == path else child
    if not path.startswith(own):
        return child
    smaller = _remove(nodes, node[1], path[len(own) :])
    return child if smaller is node[1] else _prepend(nodes, own, smaller)


def _prepend(nodes: Nodes, path: str, child: wire.Item) -> _Node:
    """A node that leads over `path` to `child`, merged with it if it has a path itself."""
    node = _load(nodes, child)
    if len(node) == 17:
        return [_pack(path, leaf=False), child]
    own, leaf = _unpack(node)
    return [_pack(path + own, leaf=leaf), node[1]]


def _with_child(node: _Node, index: int, child: wire.Item) -> list[wire.Item]:
    branch = list(node)
    branch[index] = child
    return branch


def _load(nodes: Nodes, child: wire.Item) -> _Node:
    if not isinstance(child, bytes):
        return child
    try:
        return nodes.node(child)
    except KeyError:
        raise Refused(f"state node 0x{child.hex()} is missing; audit the chain file to learn why") from None


def _flatten(nodes: Nodes, node: _Node) -> tuple[bytes, _Node]:
    """The bytes of a node and the node itself, once all below it that is long enough has become pending."""
    parts: list[bytes] = []
    flat: list[wire.Item] = []
    for item in node:
        if isinstance(item, bytes):
            parts.append(wire.encode(item))
            flat.append(item)
            continue
        data, below = _flatten(nodes, item)
        if len(data) < 32:
            parts.append(data)
            flat.append(below)
        else:
            key = nodes.add(data, below)
            parts.append(b"\xa0" + key)
            flat.append(key)
    return wire.join(parts), flat


def _unpack(node: _Node) -> tuple[str, bool]:
    packed = cast(bytes, node[0]).hex()
    flag = int(packed[0], 16)
    return packed[1 if flag & 1 else 2 :], flag >= 2


def _pack(path: str, *, leaf: bool) -> bytes:
    if len(path) % 2:
        return bytes.fromhex(("3" if leaf else "1") + path)
    return bytes.fromhex(("20" if leaf else "00") + path)
