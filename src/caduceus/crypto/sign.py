"""Signatures that people, contracts and auditors can all check: EIP-712 over secp256k1.

Four structs are signed, each of 32-byte words (a list counts as one: its keccak), so that their encoding is a
concatenation. The digest binds the chain and the contract (the domain), the kind of struct and its words; a
signature for one of them means nothing as any other. Signatures are deterministic (RFC 6979) and have one form:
r || s || v with v in {27, 28} and s in the lower half of the group's order (EIP-2).

Source: EIP-712, https://eips.ethereum.org/EIPS/eip-712, "Definition of hashStruct".
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import coincurve
from Crypto.Hash import keccak as _keccak

from caduceus.errors import Misuse, Refused
from caduceus.kinds import Address, Digest, JobId

SIGNATURE_BYTES = 65

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""Order of the secp256k1 group (SEC 2, section 2.4.1); a private key lies in 1 .. ORDER - 1."""

_HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
_CHECKS_REMEMBERED = 8192


def keccak(data: bytes) -> bytes:
    """Keccak-256 as the chain uses it: for the ABI and EIP-712 only; everything else is SHA-256."""
    return _keccak.new(digest_bits=256, data=data).digest()


_DOMAIN_TYPE = keccak(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
_NAME = keccak(b"Caduceus")
_VERSION = keccak(b"1")
_UPLOAD_TYPE = keccak(b"Upload(bytes32 job,uint32 round,uint32 seat,bytes32 body)")
_RECEIPT_TYPE = keccak(b"Receipt(bytes32 job,uint32 round,uint32 seat,bytes32 leaf)")
_SETTLEMENT_TYPE = keccak(b"Settlement(bytes32 job,bytes32 head,bytes32 claims,uint256 payout,uint256[] slashed)")
_STATEMENT_TYPE = keccak(b"Statement(bytes32 digest)")


@dataclass(frozen=True, slots=True)
class Upload:
    """A site says: for this job and round, from this seat, I sent exactly this body."""

    job: JobId
    round: int
    seat: int
    body: Digest
    """SHA-256 of the canonical bytes of the upload record."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The coordinator says: this round's Merkle tree will hold this leaf at this seat."""

    job: JobId
    round: int
    seat: int
    leaf: Digest


@dataclass(frozen=True, slots=True)
class Settlement:
    """A site says: with this head, these claims are what the job pays, and these seats lose their stake."""

    job: JobId
    head: Digest
    claims: Digest
    """Merkle root over the claims."""
    payout: int
    """Sum of all claims, smallest token units."""
    slashed: tuple[int, ...] = ()
    """Seats, in rising order."""


@dataclass(frozen=True, slots=True)
class Statement:
    """Any other protocol message, by the SHA-256 of its canonical bytes (which name its kind)."""

    digest: Digest


Struct = Upload | Receipt | Settlement | Statement


def domain_separator(chain_id: int, contract: Address) -> Digest:
    """What binds a signature to one chain and one contract.

    chain_id  EIP-155 chain id, 0 .. 2**256 - 1
    contract  20 bytes: the Jobs contract
    """
    if len(contract) != 20:
        raise Misuse(f"domain: a contract address is 20 bytes, got {len(contract)}")
    return Digest(keccak(_DOMAIN_TYPE + _NAME + _VERSION + _uint(chain_id, 256) + bytes(12) + contract))


def digest(domain: bytes, struct: Struct) -> Digest:
    """The 32 bytes that are signed for `struct` under `domain` (see `domain_separator`).

    Raises Misuse if a word does not fit its type.
    """
    return Digest(keccak(b"\x19\x01" + _word(domain) + keccak(_encode(struct))))


class Signer:
    """Holds one secp256k1 key and signs digests with it; never shows the key.

    key  32 bytes, 1 .. order - 1

    Raises Misuse if `key` is not such a number.
    """

    __slots__ = ("_key", "address")

    def __init__(self, key: bytes) -> None:
        if len(key) != 32 or not 0 < int.from_bytes(key) < ORDER:
            raise Misuse("signer: a key is 32 bytes, between 1 and the order of secp256k1")
        self._key = coincurve.PrivateKey(key)
        self.address = _address_of(self._key.public_key)

    def __repr__(self) -> str:
        return f"Signer(0x{self.address.hex()})"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise Misuse("signer: a signing key is not to be pickled or copied")

    def sign(self, digest: bytes) -> bytes:
        """Sign 32 bytes (see `digest`); the same digest always gives the same 65 bytes r || s || v."""
        raw: bytes = self._key.sign_recoverable(_word(digest), hasher=None)
        if raw[64] > 1:  # r above the order: one digest in 2**127
            raise Misuse("signer: this digest has no signature of the one accepted form")
        return raw[:64] + bytes([27 + raw[64]])


@lru_cache(maxsize=_CHECKS_REMEMBERED)  # public values in, public value out: many parties check the same message
def recover(digest: bytes, signature: bytes) -> Address:
    """The address whose key made `signature` over `digest`.

    Raises Refused if `signature` is not 65 bytes, v is not 27 or 28, s is in the upper half, or no key fits.
    """
    if len(signature) != SIGNATURE_BYTES:
        raise Refused(f"signature: {len(signature)} bytes, expected {SIGNATURE_BYTES}")
    if signature[64] not in (27, 28):
        raise Refused(f"signature: v is {signature[64]}, expected 27 or 28")
    if int.from_bytes(signature[32:64]) > _HALF_ORDER:
        raise Refused("signature: s is in the upper half of the order; only the low form is accepted (EIP-2)")
    raw = signature[:64] + bytes([signature[64] - 27])
    try:
        key = coincurve.PublicKey.from_signature_and_message(raw, _word(digest), hasher=None)
    except Exception as problem:  # noqa: BLE001  (coincurve raises bare Exception for a point not on the curve)
        raise Refused(f"signature: no key made it ({type(problem).__name__})") from None
    return _address_of(key)


def verify(address: bytes, digest: bytes, signature: bytes) -> bool:
    """Whether the key behind `address` made `signature` over `digest`; a malformed signature is simply not one."""
    try:
        return recover(digest, signature) == address
    except Refused:
        return False


def _encode(struct: Struct) -> bytes:
    match struct:
        case Upload(job, round, seat, body):
            return _UPLOAD_TYPE + _word(job) + _uint(round, 32) + _uint(seat, 32) + _word(body)
        case Receipt(job, round, seat, leaf):
            return _RECEIPT_TYPE + _word(job) + _uint(round, 32) + _uint(seat, 32) + _word(leaf)
        case Settlement(job, head, claims, payout, slashed):
            listed = keccak(b"".join(_uint(seat, 256) for seat in slashed))
            return _SETTLEMENT_TYPE + _word(job) + _word(head) + _word(claims) + _uint(payout, 256) + listed
        case Statement(inner):
            return _STATEMENT_TYPE + _word(inner)


def _word(value: bytes) -> bytes:
    if len(value) != 32:
        raise Misuse(f"a bytes32 word has 32 bytes, got {len(value)}")
    return value


def _uint(value: int, bits: int) -> bytes:
    if not 0 <= value < 1 << bits:
        raise Misuse(f"number does not fit uint{bits}")
    return value.to_bytes(32)


def _address_of(key: coincurve.PublicKey) -> Address:
    return Address(keccak(key.format(compressed=False)[1:])[12:])
