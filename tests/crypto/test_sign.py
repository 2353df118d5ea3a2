"""Signatures: the same digests as eth_account, one accepted form, and keys that never show."""

import copy
import pickle

import pytest
from eth_account import Account
from eth_account.messages import _hash_eip191_message, encode_typed_data
from hypothesis import given
from hypothesis import strategies as st

from caduceus.crypto.sign import (
    _HALF_ORDER,
    ORDER,
    Receipt,
    Settlement,
    Signer,
    Statement,
    Upload,
    digest,
    domain_separator,
    keccak,
    recover,
    verify,
)
from caduceus.errors import Misuse, Refused

KEY = bytes(range(1, 33))
CONTRACT = bytes(range(20))
DOMAIN = domain_separator(31337, CONTRACT)
TYPES = {
    "Upload": [("job", "bytes32"), ("round", "uint32"), ("seat", "uint32"), ("body", "bytes32")],
    "Receipt": [("job", "bytes32"), ("round", "uint32"), ("seat", "uint32"), ("leaf", "bytes32")],
    "Settlement": [
        ("job", "bytes32"),
        ("head", "bytes32"),
        ("claims", "bytes32"),
        ("payout", "uint256"),
        ("slashed", "uint256[]"),
    ],
    "Statement": [("digest", "bytes32")],
}
word = st.binary(min_size=32, max_size=32)
small = st.integers(0, 2**32 - 1)
structs = st.one_of(
    st.builds(Upload, word, small, small, word),
    st.builds(Receipt, word, small, small, word),
    st.builds(Settlement, word, word, word, st.integers(0, 2**256 - 1), st.lists(small, max_size=5).map(tuple)),
    st.builds(Statement, word),
)


def typed(struct, chain_id=31337, contract=CONTRACT):
    """The same struct as eth_account wants it."""
    name = type(struct).__name__
    fields = TYPES[name]
    return encode_typed_data(
        domain_data={
            "name": "Caduceus",
            "version": "1",
            "chainId": chain_id,
            "verifyingContract": "0x" + contract.hex(),
        },
        message_types={name: [{"name": field, "type": kind} for field, kind in fields]},
        message_data={
            field: list(value) if isinstance(value := getattr(struct, field), tuple) else value for field, _ in fields
        },
    )


@given(structs)
def test_a_digest_and_its_signature_are_those_of_eth_account(struct):
    theirs = typed(struct)
    assert digest(DOMAIN, struct) == _hash_eip191_message(theirs)
    signed = Account.sign_message(theirs, KEY)
    assert Signer(KEY).sign(digest(DOMAIN, struct)) == bytes(signed.signature)


@given(structs, st.binary(min_size=32, max_size=32).filter(lambda k: 0 < int.from_bytes(k) < ORDER))
def test_a_signature_recovers_to_its_signer_and_to_nobody_else(struct, key):
    signer = Signer(key)
    signature = signer.sign(digest(DOMAIN, struct))
    assert recover(digest(DOMAIN, struct), signature) == signer.address
    assert signer.address == bytes.fromhex(Account.from_key(key).address[2:])
    assert verify(signer.address, digest(DOMAIN, struct), signature)
    assert not verify(bytes(20), digest(DOMAIN, struct), signature)
    assert not verify(signer.address, digest(domain_separator(1, CONTRACT), struct), signature)


def test_the_published_mail_example_has_the_published_signature():
    # EIP-712, assets/eip-712/Example.js: key keccak("cow"), the digest and the signature printed there
    signer = Signer(keccak(b"cow"))
    assert signer.address.hex() == "cd2a3d9f938e13cd947ec05abc7fe734df8dd826"
    mail = bytes.fromhex("be609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2")
    signature = signer.sign(mail)
    assert signature.hex() == (
        "4355c47d63924e8a72e509b65029052eb6c299d53a04e167c5775fd466751c9d"
        "07299936d304c153f6443dfa05f40ff007d72911b6f72307f996231605b915621c"
    )


def test_the_same_words_as_another_kind_of_struct_have_another_digest():
    job, body = bytes(32), bytes([1]) * 32
    assert digest(DOMAIN, Upload(job, 1, 2, body)) != digest(DOMAIN, Receipt(job, 1, 2, body))
    assert digest(DOMAIN, Upload(job, 1, 2, body)) != digest(domain_separator(1, CONTRACT), Upload(job, 1, 2, body))


def test_only_one_form_of_a_signature_is_accepted():
    struct = digest(DOMAIN, Statement(bytes(32)))
    signer = Signer(KEY)
    good = signer.sign(struct)
    s = int.from_bytes(good[32:64])
    assert s <= _HALF_ORDER
    high = good[:32] + (ORDER - s).to_bytes(32) + bytes([55 - good[64]])
    refusals = {
        "upper half": high,
        "expected 65": good[:64],
        "expected 27 or 28": good[:64] + bytes([good[64] - 27]),
        "no key made it": bytes(64) + b"\x1b",
    }
    for reason, bad in refusals.items():
        with pytest.raises(Refused, match=reason):
            recover(struct, bad)
        assert not verify(signer.address, struct, bad)
    with pytest.raises(Refused, match="no key made it"):
        recover(struct, b"\xff" * 32 + good[32:])


def test_a_word_that_does_not_fit_is_misuse():
    with pytest.raises(Misuse, match="uint32"):
        digest(DOMAIN, Upload(bytes(32), 2**32, 0, bytes(32)))
    with pytest.raises(Misuse, match="uint256"):
        digest(DOMAIN, Settlement(bytes(32), bytes(32), bytes(32), -1))
    with pytest.raises(Misuse, match="32 bytes"):
        digest(DOMAIN, Statement(bytes(31)))
    with pytest.raises(Misuse, match="20 bytes"):
        domain_separator(1, bytes(32))
    with pytest.raises(Misuse, match="32 bytes"):
        Signer(KEY).sign(bytes(31))


@pytest.mark.parametrize("key", [bytes(32), ORDER.to_bytes(32), KEY[:31], KEY + b"\x00"])
def test_a_number_outside_the_group_is_no_key(key):
    with pytest.raises(Misuse, match="signer"):
        Signer(key)


def test_a_signer_shows_its_address_and_never_its_key():
    signer = Signer(KEY)
    assert signer.address.hex() in repr(signer)
    assert KEY.hex() not in repr(signer) + str(signer)
    for leak in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(Misuse, match="not to be pickled"):
            leak(signer)
