"""Accounts, storage and their trie: the same answers and the same roots as py-evm's own, through any undoing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from eth.db.account import AccountDB
from eth.db.atomic import AtomicDB
from eth_hash.auto import keccak
from eth_typing import Address
from hypothesis import given
from hypothesis import strategies as st
from trie import HexaryTrie

from caduceus.edges.evm_embedded import trie
from caduceus.edges.evm_embedded.accounts import Accounts
from caduceus.edges.evm_embedded.blocks import EMPTY_TRIE
from caduceus.edges.evm_embedded.nodes import Nodes
from caduceus.edges.evm_embedded.store import Store
from caduceus.errors import Misuse, Refused

PEOPLE = [Address(bytes([i]) * 20) for i in range(4)]

keys = st.integers(0, 40).map(lambda i: keccak(bytes([i])))
near = st.binary(min_size=1, max_size=2).map(lambda tail: bytes(32 - len(tail)) + tail)  # long shared paths
values = st.one_of(st.just(b""), st.binary(min_size=1, max_size=5), st.binary(min_size=30, max_size=40))
batches = st.lists(st.dictionaries(keys | near, values, max_size=12), max_size=6)


@given(batches)
def test_a_trie_has_the_root_and_the_values_that_another_library_gives(batches: list[dict[bytes, bytes]]) -> None:
    nodes, root = Nodes(Store.create(None)), EMPTY_TRIE
    theirs = HexaryTrie({})
    expected: dict[bytes, bytes] = {}
    for batch in batches:
        before = dict(expected)
        earlier, root = root, trie.update(nodes, root, batch)
        for key, value in batch.items():
            theirs[key] = value
        assert root == theirs.root_hash
        expected |= batch
        for key in expected:
            assert (trie.get(nodes, root, key) or b"") == expected[key]
            assert (trie.get(nodes, earlier, key) or b"") == before.get(key, b"")  # history stays
    assert trie.get(nodes, root, keccak(b"never")) is None


def test_a_missing_node_is_named() -> None:
    nodes = Nodes(Store.create(None))
    root = trie.update(nodes, EMPTY_TRIE, {keccak(bytes([i])): b"value" * 8 for i in range(9)})
    empty = Nodes(Store.create(None))
    with pytest.raises(Refused, match=f"state node 0x{root.hex()} is missing"):
        trie.get(empty, root, keccak(b"\0"))
    with pytest.raises(Refused, match="is missing"):
        trie.update(empty, root, {keccak(b"\0"): b"x"})


who, slots, numbers = st.sampled_from(PEOPLE), st.integers(0, 3), st.integers(0, 2)
steps = st.one_of(
    st.tuples(st.just("set_storage"), who, slots, numbers),
    st.tuples(st.just("set_balance"), who, numbers),
    st.tuples(st.just("increment_nonce"), who),
    st.tuples(st.just("set_code"), who, st.sampled_from([b"", b"\1\2", b"\3"])),
    st.tuples(st.just("touch_account"), who),
    st.tuples(st.just("mark_address_warm"), who),
    st.tuples(st.just("mark_storage_warm"), who, slots),
    st.tuples(st.sampled_from(["record", "discard", "commit"])),
    st.tuples(st.sampled_from(["lock_changes", "persist"])),
    st.tuples(st.just("delete_account"), who),
)


def seen(accounts: Any) -> list[Any]:
    """Everything that a contract could see."""
    shown: list[Any] = []
    for one in PEOPLE:
        shown += [
            accounts.get_balance(one),
            accounts.get_nonce(one),
            accounts.get_code(one),
            accounts.account_exists(one),
        ]
        shown += [
            accounts.account_is_empty(one),
            accounts.account_has_code_or_nonce(one),
            accounts.is_address_warm(one),
        ]
        for slot in range(4):
            shown += [accounts.get_storage(one, slot), accounts.get_storage(one, slot, from_journal=False)]
            shown.append(accounts.is_storage_warm(one, slot))
    return shown


@given(st.lists(steps, max_size=40))
def test_accounts_do_what_py_evms_do(steps: Sequence[tuple[Any, ...]]) -> None:
    ours, theirs = Accounts(Nodes(Store.create(None)), EMPTY_TRIE), AccountDB(AtomicDB())  # type: ignore[arg-type]
    marks: list[tuple[Any, Any]] = []
    for name, *arguments in steps:
        if name == "record":
            marks.append((ours.record(), theirs.record()))
        elif name in ("discard", "commit"):
            if marks:
                mine, other = marks.pop()
                getattr(ours, name)(mine)
                getattr(theirs, name)(other)
        elif name in ("lock_changes", "persist", "delete_account"):
            # Only between transactions, as the machine does; py-evm's own database insists on it.
            while marks:
                mine, other = marks.pop()
                ours.commit(mine)
                theirs.commit(other)
            getattr(ours, name)(*arguments)
            getattr(theirs, name)(*arguments)
            if name == "persist":
                assert ours.state_root == theirs.state_root
            ours.lock_changes()
            theirs.lock_changes()
        else:
            getattr(ours, name)(*arguments)
            getattr(theirs, name)(*arguments)
        assert seen(ours) == seen(theirs), name
    while marks:
        mine, other = marks.pop()
        ours.commit(mine)
        theirs.commit(other)
    ours.persist()
    theirs.persist()
    assert ours.state_root == theirs.state_root
    assert ours.has_root(ours.state_root)
    assert not ours.has_root(keccak(b"another"))


def test_a_state_is_for_one_root() -> None:
    accounts = Accounts(Nodes(Store.create(None)), EMPTY_TRIE)  # type: ignore[arg-type]
    accounts.state_root = accounts.state_root
    with pytest.raises(Misuse, match="one root"):
        accounts.state_root = keccak(b"another")  # type: ignore[assignment]
