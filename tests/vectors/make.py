"""Writes the vectors in this folder with nothing but the standard library and eth_account.

None of the package's code is used, so the vectors say what the bytes must be and not what they happen to be.
Entries under "bad" are broken on purpose and must be refused.

    python tests/vectors/make.py
"""

from __future__ import annotations

import json
from fractions import Fraction
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from eth_account import Account
from eth_account.messages import _hash_eip191_message, encode_typed_data

P = 2**31 - 1


def seeded(label: str, size: int) -> bytes:
    """Bytes that look random and are the same every time."""
    blocks = (sha256(f"{label}/{i}".encode()).digest() for i in range(-(-size // 32)))
    return b"".join(blocks)[:size]


# ---------------------------------------------------------------- merkle


def merkle_level(row: list[bytes]) -> list[bytes]:
    return [sha256(b"\x01" + a + b).digest() for a, b in zip(row[::2], row[1::2], strict=True)]


def merkle_case(data: list[bytes | None], position: int) -> dict[str, object]:
    leaves = [bytes(32) if item is None else sha256(b"\x00" + item).digest() for item in data]
    width = 1
    while width < len(leaves):
        width *= 2
    row = leaves + [bytes(32)] * (width - len(leaves))
    siblings, at = [], position
    while len(row) > 1:
        siblings.append(row[at ^ 1])
        row, at = merkle_level(row), at >> 1
    return {
        "data": [None if item is None else item.hex() for item in data],
        "position": position,
        "leaf": leaves[position].hex(),
        "siblings": [item.hex() for item in siblings],
        "root": row[0].hex(),
    }


def merkle() -> dict[str, object]:
    def item(i: int) -> bytes:
        return seeded(f"merkle {i}", 16)

    good = [
        merkle_case([item(0)], 0),
        merkle_case([item(0), item(1)], 1),
        merkle_case([item(0), None, item(2)], 2),
        merkle_case([None, item(1), None, None, item(4)], 1),
        merkle_case([item(i) for i in range(8)], 5),
        merkle_case([item(i) if i % 3 else None for i in range(49)], 47),
    ]

    def broken(why: str, **change: object) -> dict[str, object]:
        return {"why": why, **good[4], **change}

    siblings = list(good[4]["siblings"])  # type: ignore[call-overload]
    bad = [
        broken("another position", position=4),
        broken("position outside the tree", position=8),
        broken("position below zero", position=-1),
        broken("siblings in another order", siblings=siblings[::-1]),
        broken("a sibling too few", siblings=siblings[:-1]),
        broken("a sibling too many", siblings=[*siblings, "00" * 32]),
        broken("an empty leaf where one stands", leaf="00" * 32),
        broken("a short sibling", siblings=[siblings[0][:-2], *siblings[1:]]),
        broken("another root", root=siblings[0]),
    ]
    return {"about": "proofs under a SHA-256 tree; null is an empty position", "good": good, "bad": bad}


# ---------------------------------------------------------------- EIP-712

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


def eip712_case(
    name: str, values: list[bytes | int | list[int]], chain_id: int, contract: bytes, key: bytes
) -> dict[str, object]:
    message = encode_typed_data(
        domain_data={
            "name": "Caduceus",
            "version": "1",
            "chainId": chain_id,
            "verifyingContract": "0x" + contract.hex(),
        },
        message_types={name: [{"name": field, "type": kind} for field, kind in TYPES[name]]},
        message_data={field: value for (field, _), value in zip(TYPES[name], values, strict=True)},
    )
    return {
        "struct": name,
        "values": [value.hex() if isinstance(value, bytes) else value for value in values],
        "chain_id": chain_id,
        "contract": contract.hex(),
        "domain": bytes(message.header).hex(),
        "digest": bytes(_hash_eip191_message(message)).hex(),
        "key": key.hex(),
        "address": Account.from_key(key).address[2:].lower(),
        "signature": bytes(Account.sign_message(message, key).signature).hex(),
    }


def eip712() -> dict[str, object]:
    job, body, key = seeded("job", 32), seeded("body", 32), seeded("key", 32)
    contract = seeded("contract", 20)
    good = [
        eip712_case("Upload", [job, 7, 3, body], 31337, contract, key),
        eip712_case("Upload", [job, 2**32 - 1, 0, bytes(32)], 1, contract, key),
        eip712_case("Receipt", [job, 7, 3, body], 31337, contract, key),
        eip712_case("Settlement", [job, seeded("head", 32), body, 2**256 - 1, []], 31337, contract, key),
        eip712_case("Settlement", [job, seeded("head", 32), body, 900, [0, 3, 465]], 31337, contract, key),
        eip712_case("Statement", [body], 31337, bytes(20), seeded("other key", 32)),
    ]
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    whole = bytes.fromhex(str(good[0]["signature"]))
    high = whole[:32] + (order - int.from_bytes(whole[32:64])).to_bytes(32) + bytes([55 - whole[64]])

    def broken(why: str, **change: object) -> dict[str, object]:
        return {"why": why, **good[0], **change}

    bad = [
        broken("s in the upper half", signature=high.hex()),
        broken("v counted from zero", signature=whole[:64].hex() + f"{whole[64] - 27:02x}"),
        broken("v of the other root", signature=whole[:64].hex() + f"{55 - whole[64]:02x}"),
        broken("cut short", signature=whole[:64].hex()),
        broken("a byte too long", signature=whole.hex() + "00"),
        broken("all zero", signature="00" * 64 + "1b"),
        broken("over another digest", digest=good[1]["digest"]),
        broken("by another key", address=good[-1]["address"]),
    ]
    return {"about": "typed digests and signatures, from eth_account", "good": good, "bad": bad}


# ---------------------------------------------------------------- public keys on Curve25519


def curve25519() -> dict[str, object]:
    # The private keys of RFC 7748, section 6.1, and two more.
    alice = bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
    bob = bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
    privates = (alice, bob, seeded("agree a", 32), seeded("agree b", 32))
    keys = [X25519PrivateKey.from_private_bytes(private).public_key() for private in privates]
    good = [{"public": key.public_bytes_raw().hex()} for key in keys]
    p = 2**255 - 19
    points = {
        "zero": 0,
        "one": 1,
        "minus one": p - 1,
        "a point of order 8": 325606250916557431795983626356110631294008115727848805560023387167927233504,
        "the other point of order 8": 39382357235489614581723060781553021112529911719440698176882885853963445705823,
        "zero, written as the prime": p,
        "one, written above the prime": p + 1,
        "the base point, written above the prime": p + 9,
        "the base point with the top bit set": 9 + 2**255,
        "all ones": 2**256 - 1,
    }
    bad = [{"why": why, "point": point.to_bytes(32, "little").hex()} for why, point in points.items()]
    bad += [{"why": "a byte too few", "point": "09" * 31}, {"why": "a byte too many", "point": "09" * 33}]
    return {"about": "X25519 public keys; bad points are none", "good": good, "bad": bad}


# ---------------------------------------------------------------- Shamir


def limbs(secret: bytes) -> list[int]:
    number = int.from_bytes(secret, "little")
    return [number >> 30 * i & (2**30 - 1) for i in range(9)]


def shamir_case(name: str, threshold: int, holders: list[int]) -> dict[str, object]:
    secret = seeded(name, 32)
    polynomials = [
        [limb, *(int.from_bytes(seeded(f"{name}/{i}/{k}", 8)) % P for k in range(1, threshold))]
        for i, limb in enumerate(limbs(secret))
    ]
    shares = [[sum(c * pow(h + 1, k, P) for k, c in enumerate(poly)) % P for poly in polynomials] for h in holders]
    return {"secret": secret.hex(), "threshold": threshold, "holders": holders, "shares": shares}


def shamir() -> dict[str, object]:
    good = [
        shamir_case("one", 1, [4]),
        shamir_case("three", 3, [0, 1, 2]),
        shamir_case("apart", 3, [5, 0, 465]),
        shamir_case("many", 33, list(range(0, 66, 2))),
    ]
    shares = [list(row) for row in good[1]["shares"]]  # type: ignore[call-overload,attr-defined]
    wrong = [[(word + 1) % P for word in shares[0]], *shares[1:]]
    bad = [
        {"why": "a word that is no residue", **good[1], "shares": [[P, *shares[0][1:]], *shares[1:]]},
        {"why": "the top limb has more than 16 bits", **good[1], "shares": [[*row[:8], 1 << 20] for row in shares]},
        {"why": "a limb has more than 30 bits", **good[1], "shares": [[(1 << 30) + 5, *row[1:]] for row in shares]},
    ]
    differs = [{"why": "one share is another, so the secret is", **good[1], "shares": wrong}]
    return {
        "about": "nine 30-bit limbs over GF(2^31-1); point = holder + 1",
        "good": good,
        "bad": bad,
        "other": differs,
    }


# ---------------------------------------------------------------- keystream


def keystream() -> dict[str, object]:
    good = []
    for name, bits, count, start in (
        ("zero", 64, 4, 0),
        ("a", 64, 5, 2**64 - 1),
        ("b", 32, 7, 2**32 - 2),
        ("c", 32, 0, 0),
    ):
        key = bytes(32) if name == "zero" else seeded(name, 32)
        blocks = -(-count * bits // 128)
        block = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
        stream = b"".join(block.update(i.to_bytes(16)) for i in range(blocks))
        size = bits // 8
        words = [int.from_bytes(stream[i * size : (i + 1) * size], "little") for i in range(count)]
        good.append(
            {
                "key": key.hex(),
                "bits": bits,
                "start": [start] * count,
                "added": [(start + word) % 2**bits for word in words],
                "taken": [(start - word) % 2**bits for word in words],
            }
        )
    bad = [
        {"why": "a key of 16 bytes", "key": "00" * 16, "dtype": "<u8"},
        {"why": "signed entries", "key": "00" * 32, "dtype": "<i8"},
        {"why": "big-endian entries", "key": "00" * 32, "dtype": ">u8"},
        {"why": "real entries", "key": "00" * 32, "dtype": "<f8"},
    ]
    return {"about": "AES-256 of the block counter from zero, as little-endian words", "good": good, "bad": bad}


# ---------------------------------------------------------------- encoding


def encoding() -> dict[str, object]:
    def case(values: list[float], scale: int, bits: int, parties: int) -> dict[str, object]:
        steps = [round(Fraction(value) * scale) for value in values]  # exact, ties to even
        return {
            "update": values,
            "scale": scale,
            "bits": bits,
            "parties": parties,
            "residues": [step % 2**bits for step in steps],
            "back": [float(Fraction(step, scale)) for step in steps],
        }

    good = [
        case([0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5], 1, 32, 10),
        case([0.1, -0.1, 3.14159, -2.71828], 2**20, 32, 100),
        case([0.1, -0.1, 1e-9, -123456.789], 2**30, 64, 466),
        case([float(2**21 - 1), -float(2**21 - 1)], 1, 32, 1024),
        case([], 2**20, 64, 3),
    ]
    bad = [
        {"why": "not a number", "update": ["nan"], "scale": 1, "bits": 32, "parties": 3},
        {"why": "infinite", "update": ["-inf"], "scale": 1, "bits": 64, "parties": 3},
        {"why": "wraps by one step", "update": [2.0**29], "scale": 1, "bits": 32, "parties": 4},
        {"why": "wraps on the negative side", "update": [-(2.0**29)], "scale": 1, "bits": 32, "parties": 4},
        {"why": "beyond what float64 counts", "update": [2.0**53 + 2], "scale": 1, "bits": 64, "parties": 1},
        {"why": "overflows float64", "update": [1e308], "scale": 2**40, "bits": 64, "parties": 1},
        {"why": "no such ring", "update": [1.0], "scale": 1, "bits": 16, "parties": 1},
        {"why": "no scale", "update": [1.0], "scale": 0, "bits": 32, "parties": 1},
        {"why": "no parties", "update": [1.0], "scale": 1, "bits": 32, "parties": 0},
    ]
    return {"about": "fixed point in Z_2^bits, half to even", "good": good, "bad": bad}


ALL = {
    "merkle": merkle,
    "eip712": eip712,
    "curve25519": curve25519,
    "shamir": shamir,
    "keystream": keystream,
    "encoding": encoding,
}


def text(name: str) -> str:
    """The vectors of one kind as the file holds them."""
    return json.dumps(ALL[name](), indent=1) + "\n"


if __name__ == "__main__":
    for name in ALL:
        (Path(__file__).parent / f"{name}.json").write_text(text(name))
