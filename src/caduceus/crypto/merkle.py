"""Merkle trees over SHA-256 with a fixed position for every leaf; the contracts compute the same bytes.

A leaf is SHA-256(0x00 || data) and a node SHA-256(0x01 || left || right), so neither can pass for the
other. The row of leaves is padded on the right with `EMPTY` to the next power of two; `EMPTY` also marks a
position that holds nothing. It is not a hash of anything known, so an empty position cannot be opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from caduceus.errors import Misuse
from caduceus.kinds import Digest

EMPTY = Digest(bytes(32))
"""What stands at a position without data: 32 zero bytes, not hashed."""


def leaf(data: bytes | memoryview) -> Digest:
    """The leaf that holds `data`: SHA-256(0x00 || data)."""
    state = sha256(b"\x00")
    state.update(data)
    return Digest(state.digest())


def depth(size: int) -> int:
    """The number of siblings in a proof from a tree of `size` leaves: ceil(log2(size)), and 0 for no leaf."""
    return max(size - 1, 0).bit_length()


def root(leaves: Sequence[bytes]) -> Digest:
    """The root over `leaves` (see `Tree`), without keeping the tree."""
    return Tree(leaves).root


def verify(root: bytes, leaf: bytes, *, position: int, siblings: Sequence[bytes], size: int | None = None) -> bool:
    """Whether `siblings` prove that `leaf` stands at `position` under `root`.

    leaf      32 bytes, as `leaf` gives them, or `EMPTY`
    position  0 .. 2**len(siblings) - 1; its bits say on which side each sibling stands
    siblings  32 bytes each, from the bottom up
    size      how many leaves the tree has; None if the verifier does not know

    A proof of the wrong depth for `size`, or a position outside the tree, is no proof.
    """
    if size is not None and (position >= size or len(siblings) != depth(size)):
        return False
    if not 0 <= position < 1 << len(siblings) or len(leaf) != 32:
        return False
    node = bytes(leaf)
    for sibling in siblings:
        if len(sibling) != 32:
            return False
        node = sha256(b"\x01" + sibling + node if position & 1 else b"\x01" + node + sibling).digest()
        position >>= 1
    return node == root


class Tree:
    """A Merkle tree that keeps its levels, so that a proof is read and not computed.

    leaves  32 bytes each: `leaf(data)`, or `EMPTY` for a position that holds nothing

    Raises Misuse if a leaf is not 32 bytes long.
    """

    __slots__ = ("_levels", "size")

    def __init__(self, leaves: Sequence[bytes]) -> None:
        if any(len(item) != 32 for item in leaves):
            raise Misuse("merkle: a leaf is 32 bytes; hash the data with `leaf` first")
        self.size = len(leaves)
        level = b"".join(leaves)
        self._levels = [level]
        for height in range(depth(self.size)):
            if len(level) % 64:
                level += _PADDING[height]  # the rest of the padding is never needed: its hashes are known
                self._levels[-1] = level
            level = b"".join(
                [sha256(b"\x01" + level[start : start + 64]).digest() for start in range(0, len(level), 64)]
            )
            self._levels.append(level)

    @property
    def root(self) -> Digest:
        """32 bytes; a single leaf is its own root, and no leaves have the root `EMPTY`."""
        return Digest(self._levels[-1]) if self.size else EMPTY

    def proof(self, position: int) -> tuple[Digest, ...]:
        """The siblings of a leaf, from the bottom up: `depth(size)` of them.

        Raises Misuse if the tree has no such position.
        """
        if not 0 <= position < self.size:
            raise Misuse(f"merkle: no position {position} in a tree of {self.size}")
        siblings = []
        for height, level in enumerate(self._levels[:-1]):
            start = (position >> height ^ 1) * 32
            siblings.append(Digest(level[start : start + 32]))
        return tuple(siblings)


def _padding(levels: int) -> tuple[bytes, ...]:
    """Roots of trees of 2**0, 2**1, ... empty leaves."""
    roots = [bytes(EMPTY)]
    for _ in range(levels - 1):
        roots.append(sha256(b"\x01" + roots[-1] * 2).digest())
    return tuple(roots)


_PADDING = _padding(64)
