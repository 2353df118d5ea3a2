"""The published vectors: every good one gives its bytes, every bad one is refused."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from caduceus.crypto import keystream, merkle, shamir, sign
from caduceus.crypto.curve25519 import is_sound
from caduceus.errors import Misuse
from caduceus.protocol import encoding

FOLDER = Path(__file__).parents[1] / "vectors"


def cases(name, group="good"):
    return json.loads((FOLDER / f"{name}.json").read_text())[group]


def reasons(case):
    return case.get("why", "")


def generator():
    spec = importlib.util.spec_from_file_location("make_vectors", FOLDER / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["merkle", "eip712", "curve25519", "shamir", "keystream", "encoding"])
def test_the_files_hold_what_their_generator_writes(name):
    assert (FOLDER / f"{name}.json").read_text() == generator().text(name)


# ---------------------------------------------------------------- merkle


def proves(case):
    return merkle.verify(
        bytes.fromhex(case["root"]),
        bytes.fromhex(case["leaf"]),
        position=case["position"],
        siblings=[bytes.fromhex(item) for item in case["siblings"]],
        size=len(case["data"]),
    )


@pytest.mark.parametrize("case", cases("merkle"))
def test_a_merkle_vector_has_its_root_and_its_proof(case):
    leaves = [merkle.EMPTY if item is None else merkle.leaf(bytes.fromhex(item)) for item in case["data"]]
    tree = merkle.Tree(leaves)
    assert tree.root.hex() == merkle.root(leaves).hex() == case["root"]
    assert leaves[case["position"]].hex() == case["leaf"]
    assert [item.hex() for item in tree.proof(case["position"])] == case["siblings"]
    assert proves(case)


@pytest.mark.parametrize("case", cases("merkle", "bad"), ids=reasons)
def test_a_bad_merkle_vector_proves_nothing(case):
    assert not proves(case)


# ---------------------------------------------------------------- EIP-712


def struct_of(case):
    kind = getattr(sign, case["struct"])
    return kind(*map(word_of, case["values"]))


def word_of(value):
    if isinstance(value, list):
        return tuple(value)
    return bytes.fromhex(value) if isinstance(value, str) else value


@pytest.mark.parametrize("case", cases("eip712"))
def test_an_eip712_vector_has_its_domain_digest_and_signature(case):
    domain = sign.domain_separator(case["chain_id"], bytes.fromhex(case["contract"]))
    assert domain.hex() == case["domain"]
    digest = sign.digest(domain, struct_of(case))
    assert digest.hex() == case["digest"]
    signer = sign.Signer(bytes.fromhex(case["key"]))
    assert signer.address.hex() == case["address"]
    assert signer.sign(digest).hex() == case["signature"]
    assert sign.verify(signer.address, digest, bytes.fromhex(case["signature"]))


@pytest.mark.parametrize("case", cases("eip712", "bad"), ids=reasons)
def test_a_bad_eip712_vector_is_nobodys_signature(case):
    address, digest, signature = (bytes.fromhex(case[field]) for field in ("address", "digest", "signature"))
    assert not sign.verify(address, digest, signature)


# ---------------------------------------------------------------- public keys on Curve25519


@pytest.mark.parametrize("case", cases("curve25519"))
def test_a_public_key_vector_is_sound(case):
    assert is_sound(bytes.fromhex(case["public"]))


@pytest.mark.parametrize("case", cases("curve25519", "bad"), ids=reasons)
def test_a_bad_public_key_vector_is_not_sound(case):
    assert not is_sound(bytes.fromhex(case["point"]))


# ---------------------------------------------------------------- Shamir


def reconstructed(case):
    return shamir.reconstruct(case["holders"], np.array([case["shares"]], np.uint32))


@pytest.mark.parametrize("case", cases("shamir"))
def test_a_shamir_vector_gives_its_secret(case):
    assert [key and key.hex() for key in reconstructed(case)] == [case["secret"]]


@pytest.mark.parametrize("case", cases("shamir", "bad"), ids=reasons)
def test_a_bad_shamir_vector_gives_no_key(case):
    assert reconstructed(case) == [None]


def test_one_altered_share_gives_another_secret_or_none():
    for case in cases("shamir", "other"):
        assert reconstructed(case) != [bytes.fromhex(case["secret"])]


# ---------------------------------------------------------------- keystream


@pytest.mark.parametrize("case", cases("keystream"))
def test_a_keystream_vector_is_added_and_taken(case):
    start = np.array(case["start"], f"<u{case['bits'] // 8}")
    for combine, expected in ((keystream.add, case["added"]), (keystream.subtract, case["taken"])):
        vector = start.copy()
        combine(vector, bytes.fromhex(case["key"]))
        assert vector.tolist() == expected


@pytest.mark.parametrize("case", cases("keystream", "bad"), ids=reasons)
def test_a_bad_keystream_vector_is_misuse(case):
    for combine in (keystream.add, keystream.subtract):
        with pytest.raises(Misuse, match="keystream"):
            combine(np.zeros(4, case["dtype"]), bytes.fromhex(case["key"]))


# ---------------------------------------------------------------- encoding


def encoded(case):
    update = np.array([float(value) for value in case["update"]])
    return encoding.encode(update, scale=case["scale"], bits=case["bits"], parties=case["parties"])


@pytest.mark.parametrize("case", cases("encoding"))
def test_an_encoding_vector_has_its_residues_and_comes_back(case):
    residues = encoded(case)
    assert residues.dtype == np.dtype(f"<u{case['bits'] // 8}")
    assert residues.tolist() == case["residues"]
    assert encoding.decode(residues, scale=case["scale"]).tolist() == case["back"]


@pytest.mark.parametrize("case", cases("encoding", "bad"), ids=reasons)
def test_a_bad_encoding_vector_is_misuse(case):
    with pytest.raises(Misuse, match="encode"):
        encoded(case)
