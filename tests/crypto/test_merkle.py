"""Merkle trees: same bytes as the definition, proofs that prove, and nothing that proves too much."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caduceus.crypto.merkle import EMPTY, Tree, depth, leaf, root, verify
from caduceus.errors import Misuse

leaves = st.lists(st.one_of(st.just(bytes(EMPTY)), st.binary(min_size=32, max_size=32)), min_size=1, max_size=40)


def by_definition(items: list[bytes]) -> bytes:
    """The root as the definition says it, padding and all."""
    row = [*items, *[bytes(32)] * ((1 << depth(len(items))) - len(items))]
    while len(row) > 1:
        row = [sha256(b"\x01" + a + b).digest() for a, b in zip(row[::2], row[1::2], strict=True)]
    return row[0]


@given(leaves)
def test_a_root_is_the_root_of_the_padded_row(items):
    assert root(items) == by_definition(items)


@given(leaves, st.data())
def test_every_leaf_proves_its_own_position_and_no_other(items, data):
    tree = Tree(items)
    position = data.draw(st.integers(0, len(items) - 1))
    other = data.draw(st.integers(0, len(items) - 1))
    siblings = tree.proof(position)
    assert verify(tree.root, items[position], position=position, siblings=siblings, size=len(items))
    told = verify(tree.root, items[position], position=other, siblings=siblings, size=len(items))
    assert told == (items[other] == items[position] and tree.proof(other) == siblings)


@given(leaves, st.data())
def test_a_flipped_bit_in_leaf_or_sibling_is_no_proof(items, data):
    tree = Tree(items)
    position = data.draw(st.integers(0, len(items) - 1))
    path = [items[position], *tree.proof(position)]
    which = data.draw(st.integers(0, len(path) - 1))
    bit = data.draw(st.integers(0, 255))
    path[which] = (int.from_bytes(path[which]) ^ 1 << bit).to_bytes(32)
    assert not verify(tree.root, path[0], position=position, siblings=path[1:], size=len(items))


def test_no_leaves_have_the_empty_root_and_one_leaf_is_its_own():
    assert root([]) == EMPTY
    assert root([leaf(b"only")]) == leaf(b"only")
    assert verify(leaf(b"only"), leaf(b"only"), position=0, siblings=(), size=1)
    assert not verify(leaf(b"only"), leaf(b"only"), position=1, siblings=(), size=1)


@pytest.mark.parametrize(("size", "expected"), [(0, 0), (1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (466, 9), (1024, 10)])
def test_depth_is_the_logarithm_rounded_up(size, expected):
    assert depth(size) == expected
    if size:
        assert len(Tree([bytes(EMPTY)] * size).proof(size - 1)) == expected


def test_a_node_cannot_pass_for_a_leaf():
    tree = Tree([leaf(b"a"), leaf(b"b")])
    assert leaf(leaf(b"a") + leaf(b"b")) != tree.root


def test_a_shorter_or_longer_path_is_no_proof_even_where_it_would_hash_right():
    items = [leaf(bytes([i])) for i in range(4)]
    tree = Tree(items)
    inner = sha256(b"\x01" + items[0] + items[1]).digest()
    assert verify(tree.root, inner, position=0, siblings=tree.proof(0)[1:])  # a node, honestly hashed
    assert not verify(tree.root, inner, position=0, siblings=tree.proof(0)[1:], size=4)
    assert not verify(tree.root, items[0], position=0, siblings=(*tree.proof(0), EMPTY), size=4)


def test_padding_positions_cannot_be_opened_when_the_size_is_known():
    tree = Tree([leaf(b"a"), leaf(b"b"), leaf(b"c")])
    siblings = (leaf(b"c"), tree.proof(2)[1])
    assert verify(tree.root, EMPTY, position=3, siblings=siblings)
    assert not verify(tree.root, EMPTY, position=3, siblings=siblings, size=3)


def test_malformed_parts_are_no_proof_and_malformed_trees_are_misuse():
    tree = Tree([leaf(b"a"), leaf(b"b")])
    assert not verify(tree.root, leaf(b"a")[:31], position=0, siblings=tree.proof(0))
    assert not verify(tree.root, leaf(b"a"), position=0, siblings=(tree.proof(0)[0][:31],))
    assert not verify(tree.root, leaf(b"a"), position=-2, siblings=tree.proof(0))
    with pytest.raises(Misuse, match="32 bytes"):
        Tree([b"short"])
    with pytest.raises(Misuse, match="no position 2"):
        tree.proof(2)
