"""Keys at rest under a passphrase, in formats that others read."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from eth_account import Account as EthAccount

from caduceus.crypto.sign import Signer
from caduceus.edges import keyring
from caduceus.edges.keystore import (
    LIGHT,
    Cost,
    Passphrase,
    address_in,
    read_passphrase,
    read_v3,
    seal,
    unseal,
    write_v3,
)
from caduceus.errors import Refused

KEY = bytes(range(1, 33))
RIGHT, WRONG = Passphrase("correct horse battery staple"), Passphrase("Correct horse battery staple")
QUICK = Cost(2, 1, 1)

# The two test vectors of the Web3 Secret Storage Definition: the passphrase is "testpassword" for both.
SCRYPT_VECTOR = """{"crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"83dbcc02d8ccb40e466191a123791e0e"},
"ciphertext":"d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c","kdf":"scrypt",
"kdfparams":{"dklen":32,"n":262144,"p":8,"r":1,
"salt":"ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19"},
"mac":"2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097"},
"id":"3198bc9c-6672-5ab3-d995-4942343ae5b6","version":3}"""
PBKDF2_VECTOR = """{"crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"6087dab2f9fdbbfaddc31a909735c1e6"},
"ciphertext":"5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46","kdf":"pbkdf2",
"kdfparams":{"c":262144,"dklen":32,"prf":"hmac-sha256",
"salt":"ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd"},
"mac":"517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2"},
"id":"3198bc9c-6672-5ab3-d995-4942343ae5b6","version":3}"""


@pytest.mark.parametrize("vector", [SCRYPT_VECTOR, PBKDF2_VECTOR])
def test_the_published_vectors_give_the_published_key(vector: str) -> None:
    key = read_v3(vector.encode(), Passphrase("testpassword"))
    assert key.hex() == "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d"


def test_another_library_reads_our_keystore_and_we_read_its() -> None:
    ours = write_v3(KEY, RIGHT, cost=LIGHT)
    assert bytes(EthAccount.decrypt(ours.decode(), RIGHT.text)) == KEY
    assert address_in(ours) == Signer(KEY).address
    for kdf, work in (("scrypt", 4096), ("pbkdf2", 1000)):
        theirs = json.dumps(EthAccount.encrypt(KEY, RIGHT.text, kdf=kdf, iterations=work)).encode()
        assert read_v3(theirs, RIGHT) == KEY


def test_a_keystore_opens_with_its_passphrase_alone_and_never_quotes_it() -> None:
    kept = write_v3(KEY, RIGHT, cost=QUICK)
    with pytest.raises(Refused, match="wrong passphrase") as caught:
        read_v3(kept, WRONG)
    assert "horse" not in str(caught.value)
    assert "horse" not in repr(RIGHT)
    assert KEY.hex() not in kept.decode()
    assert write_v3(KEY, RIGHT, cost=QUICK) != kept


def test_a_damaged_or_absurd_keystore_is_refused() -> None:
    tree = json.loads(write_v3(KEY, RIGHT, cost=QUICK))

    def refused(why: str, **changes: object) -> None:
        crypto = {**tree["crypto"], **changes}
        with pytest.raises(Refused, match=why):
            read_v3(json.dumps({**tree, "crypto": crypto}).encode(), RIGHT)

    params = tree["crypto"]["kdfparams"]
    refused("damaged", ciphertext="00" * 32)
    refused("iv has 1 bytes", cipherparams={"iv": "00"})
    refused("more work than is taken", kdfparams={**params, "n": 1 << 30})
    refused("more work than is taken", kdfparams={**params, "n": 3})
    refused("n is missing or no number", kdfparams={**params, "n": "2"})
    refused("dklen", kdfparams={**params, "dklen": 16})
    refused("its cipher is", cipher="aes-256-cbc")
    refused("something else than scrypt", kdf="argon2")
    refused("iterations", kdf="pbkdf2", kdfparams={**params, "prf": "hmac-sha256", "c": 1 << 40})
    with pytest.raises(Refused, match="not that of the address"):
        read_v3(json.dumps({**tree, "address": "00" * 20}).encode(), RIGHT)
    for data in (b"", b"[]", b"{}", b'{"version": 1}', b'{"version": 3}'):
        with pytest.raises(Refused, match="keystore"):
            read_v3(data, RIGHT)


def test_sealed_secrets_open_with_their_passphrase_and_show_every_changed_byte() -> None:
    sealed = seal(b"secret", RIGHT, cost=QUICK)
    assert unseal(sealed, RIGHT) == b"secret"
    assert seal(b"secret", RIGHT, cost=QUICK) != sealed
    with pytest.raises(Refused, match="wrong passphrase"):
        unseal(sealed, WRONG)
    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(Refused):
            unseal(bytes(changed), RIGHT)


def test_a_passphrase_comes_from_a_private_file_or_the_environment(tmp_path: Path) -> None:
    path = tmp_path / "passphrase"
    path.write_text(f"{RIGHT.text}\nsecond line\n")
    path.chmod(0o600)
    assert read_passphrase(path, {}) == RIGHT
    assert read_passphrase(None, {"CADUCEUS_PASSPHRASE_FILE": str(path), "CADUCEUS_PASSPHRASE": "x"}) == RIGHT
    assert read_passphrase(None, {"CADUCEUS_PASSPHRASE": RIGHT.text}) == RIGHT
    assert read_passphrase(None, {}) is None
    path.chmod(0o640)
    with pytest.raises(Refused, match="chmod 600"):
        read_passphrase(path, {})
    with pytest.raises(Refused, match="missing"):
        read_passphrase(tmp_path / "none", {})
    path.chmod(0o600)
    path.write_text("\n")
    with pytest.raises(Refused, match="empty"):
        read_passphrase(path, {})


def test_an_encrypted_keyring_is_made_once_and_opens_with_its_passphrase_alone(tmp_path: Path) -> None:
    path = tmp_path / "site" / "keys"
    ring = keyring.load_or_make(path, RIGHT, cost=QUICK)
    assert keyring.load_or_make(path, RIGHT) == ring
    files = sorted(one.name for one in path.parent.iterdir())
    assert files == ["account.json", "keys"]
    for one in path.parent.iterdir():
        assert stat.S_IMODE(one.stat().st_mode) == 0o600
        for secret in (ring.account, ring.signer, ring.identity, ring.entropy):
            assert secret not in one.read_bytes()
            assert secret.hex().encode() not in one.read_bytes()
    assert keyring.account_of(path) == Signer(ring.account).address
    assert bytes(EthAccount.decrypt((path.parent / "account.json").read_text(), RIGHT.text)) == ring.account
    with pytest.raises(Refused, match="wrong passphrase"):
        keyring.load(path, WRONG)
    with pytest.raises(Refused, match="these keys are encrypted"):
        keyring.load_or_make(path)


def test_a_keyring_goes_under_a_passphrase_and_back(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    ring = keyring.load_or_make(path)
    with pytest.raises(Refused, match="lie in the clear; encrypt them first"):
        keyring.load(path, RIGHT)
    keyring.encrypt(path, RIGHT, cost=QUICK)
    assert keyring.is_encrypted(path)
    assert keyring.load(path, RIGHT) == ring
    assert ring.entropy not in path.read_bytes()
    with pytest.raises(Refused, match="encrypted already"):
        keyring.encrypt(path, RIGHT)
    with pytest.raises(Refused, match="wrong passphrase"):
        keyring.decrypt(path, WRONG)
    assert keyring.load(path, RIGHT) == ring
    keyring.decrypt(path, RIGHT)
    assert keyring.load(path) == ring
    assert [one.name for one in tmp_path.iterdir()] == ["keys"]
    with pytest.raises(Refused, match="not encrypted"):
        keyring.decrypt(path, RIGHT)


def test_a_keyrings_two_files_belong_together(tmp_path: Path) -> None:
    for name in ("a", "b"):
        keyring.load_or_make(tmp_path / name / "keys", RIGHT, cost=QUICK)
    ours = tmp_path / "a" / "account.json"
    ours.write_bytes((tmp_path / "b" / "account.json").read_bytes())
    with pytest.raises(Refused, match="the key of another account"):
        keyring.load(tmp_path / "a" / "keys", RIGHT)
    ours.chmod(0o644)
    with pytest.raises(Refused, match="chmod 600"):
        keyring.load(tmp_path / "a" / "keys", RIGHT)
    ours.unlink()
    with pytest.raises(Refused, match="missing; it holds the account's key"):
        keyring.load(tmp_path / "a" / "keys", RIGHT)
