"""Bytes of transactions, headers and receipts: read as others write them, refused in any other form."""

from __future__ import annotations

import pytest
import rlp
from eth.db.trie import make_trie_root_and_nodes
from eth.vm.forks.prague.blocks import PragueBlockHeader
from eth.vm.forks.prague.transactions import PragueTransactionBuilder
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st
from signing import ALICE, BOB, CHAIN_ID, GWEI, raw, signed, word

from caduceus.edges.evm_embedded import blocks, wire
from caduceus.edges.evm_embedded.blocks import Header, Log, Receipt, bloom_of, list_root, read_header, read_receipt
from caduceus.edges.evm_embedded.transactions import ORDER, contract_address, read
from caduceus.errors import Refused

LISTED = [{"address": BOB.address, "storageKeys": ["0x" + word(1), "0x" + word(2)]}]
KINDS = {
    "legacy": {"to": BOB.address, "gasPrice": 7 * GWEI},
    "access list": {"to": BOB.address, "gasPrice": 7 * GWEI, "accessList": LISTED, "type": 1},
    "dynamic fee": {"to": BOB.address, "maxFeePerGas": 7 * GWEI, "maxPriorityFeePerGas": GWEI, "accessList": LISTED},
    "creation": {"data": b"\1\0\2" * 40, "value": 9},
}

items = st.recursive(st.binary(max_size=80), lambda inner: st.lists(inner, max_size=5), max_leaves=20)
addresses, words = st.binary(min_size=20, max_size=20), st.binary(min_size=32, max_size=32)
logs = st.builds(Log, addresses, st.lists(words, max_size=4).map(tuple), st.binary(max_size=100))


@given(items)
def test_rlp_is_written_and_read_as_by_another_library(item: wire.Item) -> None:
    data = wire.encode(item)
    assert data == rlp.encode(item)
    assert wire.decode(data) == item


@given(st.binary(max_size=60))
def test_rlp_reads_a_value_from_one_encoding_only(data: bytes) -> None:
    try:
        item = wire.decode(data)
    except Refused:
        return
    assert wire.encode(item) == data


@pytest.mark.parametrize("data", ["", "8100", "b800", "b90001ff", "c1", "c28080ff", "8280", "f800", "bf" + "ff" * 8])
def test_rlp_that_is_cut_off_or_longer_than_needed_is_refused(data: str) -> None:
    with pytest.raises(Refused, match="rlp: "):
        wire.decode(bytes.fromhex(data))


@given(st.lists(st.binary(min_size=1, max_size=70), max_size=40))
def test_the_root_of_a_list_is_the_root_that_py_evm_computes(values: list[bytes]) -> None:
    class Encoded:
        def __init__(self, value: bytes) -> None:
            self.encode = lambda: value

    assert list_root(values) == make_trie_root_and_nodes(tuple(Encoded(value) for value in values))[0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_transaction_is_read_as_others_read_it(kind: str) -> None:
    data = raw(signed(ALICE, 5, **KINDS[kind]))
    ours, theirs = read(data), PragueTransactionBuilder.decode(data)
    call = ours.call
    assert call.sender == theirs.sender == raw(Account.recover_transaction(data))
    assert ours.hash == theirs.hash
    for name in ("nonce", "gas", "to", "value", "data", "max_fee_per_gas", "max_priority_fee_per_gas", "intrinsic_gas"):
        assert getattr(call, name) == getattr(theirs, name), name
    assert [(a, tuple(s)) for a, s in call.access_list] == [(a, tuple(s)) for a, s in theirs.access_list]
    assert (ours.chain_id, ours.r, ours.s, ours.parity) == (CHAIN_ID, theirs.r, theirs.s, theirs.y_parity)


@pytest.mark.parametrize("kind", KINDS)
def test_an_altered_transaction_is_refused_or_is_by_someone_else(kind: str) -> None:
    data = raw(signed(ALICE, 5, **KINDS[kind]))
    for at in range(0, len(data), 7):
        altered = data[:at] + bytes((data[at] ^ 4,)) + data[at + 1 :]
        try:
            transaction = read(altered)
        except Refused:
            continue
        assert transaction.call.sender != raw(ALICE.address)


def test_a_signature_of_high_s_and_one_for_any_network_are_refused() -> None:
    parts = list(wire.as_list(wire.decode(raw(signed(ALICE, 0, **KINDS["legacy"]))), "transaction"))
    mirrored = ORDER - int.from_bytes(wire.as_bytes(parts[8], "s"), "big")
    flipped = {CHAIN_ID * 2 + 35: CHAIN_ID * 2 + 36, CHAIN_ID * 2 + 36: CHAIN_ID * 2 + 35}
    v = flipped[int.from_bytes(wire.as_bytes(parts[6], "v"), "big")]
    with pytest.raises(Refused, match="invalid transaction v, r, s"):
        read(wire.encode([*parts[:6], wire.number(v), parts[7], wire.number(mirrored)]))
    with pytest.raises(Refused, match="replay-protected"):
        read(wire.encode([*parts[:6], wire.number(27), *parts[7:]]))
    for empty in (b"", b"\x02", b"\x03\xc0", b"\x04\xc0", b"\xc0"):
        with pytest.raises(Refused):
            read(empty)


def test_a_contract_lands_where_it_should() -> None:
    sender = bytes.fromhex("6ac7ea33f8831ea9dcc53393aaa88b25a785dbf0")  # Yellow Paper test vectors
    assert contract_address(sender, 0).hex() == "cd234a471b72ba2f1ccf0a70fcaba648a5eecd8d"  # type: ignore[arg-type]
    assert contract_address(sender, 1).hex() == "343c43a37d37dff08ae8c4a11544c718abb4fcf8"  # type: ignore[arg-type]


@given(st.lists(logs, max_size=4).map(tuple), st.booleans(), st.integers(0, 2**40), st.sampled_from((0, 1, 2)))
def test_a_receipt_is_what_py_evm_makes_of_it(said: tuple[Log, ...], succeeded: bool, gas: int, kind: int) -> None:
    receipt = Receipt(kind, succeeded, gas, said, bloom_of(said))
    data = receipt.encode()
    assert read_receipt(data) == receipt
    theirs = PragueTransactionBuilder.typed_transaction.receipt_builder.decode(data)
    assert theirs.encode() == data
    assert theirs.bloom.to_bytes(256, "big") == receipt.bloom
    assert all(log.address in theirs.bloom_filter for log in said)


@given(st.builds(Header, words, addresses, words, words, words, st.binary(min_size=256, max_size=256),
                 *[st.integers(0, 2**40)] * 4, st.binary(max_size=32), st.integers(0, 2**60)))  # fmt: skip
def test_a_header_is_what_py_evm_makes_of_it(header: Header) -> None:
    sealed = blocks.seal(header)
    assert read_header(header.encode()) == sealed
    theirs = rlp.decode(header.encode(), sedes=PragueBlockHeader)
    assert theirs.hash == sealed.hash
    assert (theirs.block_number, theirs.timestamp, theirs.gas_used) == (
        header.number,
        header.timestamp,
        header.gas_used,
    )
