"""What SD-JWTs are made of: P-256 keys and their thumbprints, JSON without ambiguity, and signed tokens (ES256).

Source: RFC 7515 (JWS), RFC 7517 and 7518 (JWK, ES256), RFC 7638 (thumbprints), RFC 8725 (what to beware of).
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from caduceus.errors import Misuse, Refused

Json = Mapping[str, Any]

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Order of the group of P-256 (SEC 2, section 2.4.2); a private key lies in 1 .. ORDER - 1."""

_ALGORITHM = "ES256"
_WORD = 32
_CURVE = ec.SECP256R1()


def encode(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str, what: str) -> bytes:
    """The bytes behind base64url without padding, in the one form that they have.

    Raises Refused, naming `what`.
    """
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        data = b""
    if encode(data) != text:
        raise Refused(f"{what}: not base64url without padding")
    return data


def read_json(data: bytes, what: str) -> Any:
    """JSON in UTF-8 in which no name stands twice and every number is one.

    Raises Refused, naming `what`.
    """
    try:
        return json.loads(data.decode(), object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise Refused(f"{what}: not JSON, or ambiguous") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError
    return found


def _no_number(_word: str) -> Any:
    raise ValueError


def read_object(data: bytes, what: str) -> dict[str, Any]:
    """A JSON object; raises Refused as `read_json`, and if it is something else."""
    found = read_json(data, what)
    if not isinstance(found, dict):
        raise Refused(f"{what}: not a JSON object")
    return found


def write_json(tree: object) -> bytes:
    """JSON in as few bytes as it takes."""
    return json.dumps(tree, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


@final
@dataclass(frozen=True, slots=True)
class PublicKey:
    """A point of P-256; two words of 32 bytes."""

    x: bytes
    y: bytes

    @property
    def jwk(self) -> dict[str, str]:
        """As a JSON Web Key."""
        return {"kty": "EC", "crv": "P-256", "x": encode(self.x), "y": encode(self.y)}

    @property
    def thumbprint(self) -> bytes:
        """SHA-256 over the key's required members, sorted (RFC 7638, section 3)."""
        return sha256(write_json(dict(sorted(self.jwk.items())))).digest()

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Whether a signature (r and s, 64 bytes) over a message is this key's."""
        if len(signature) != 2 * _WORD:
            return False
        r, s = int.from_bytes(signature[:_WORD]), int.from_bytes(signature[_WORD:])
        point = ec.EllipticCurvePublicNumbers(int.from_bytes(self.x), int.from_bytes(self.y), _CURVE)
        try:
            point.public_key().verify(encode_dss_signature(r, s), message, ec.ECDSA(SHA256()))
        except (InvalidSignature, ValueError):
            return False
        return True


def read_key(jwk: object, what: str) -> PublicKey:
    """A public key of P-256 from a JSON Web Key.

    Raises Refused, naming `what`, if it is another kind, no point of the curve, or holds a private part.
    """
    if not isinstance(jwk, dict) or jwk.get("kty") != "EC" or jwk.get("crv") != "P-256" or "d" in jwk:
        raise Refused(f"{what}: not a public key of P-256")
    words = [decode(jwk[name], what) if isinstance(jwk.get(name), str) else b"" for name in ("x", "y")]
    if [len(one) for one in words] != [_WORD, _WORD]:
        raise Refused(f"{what}: coordinates have 32 bytes each")
    try:
        ec.EllipticCurvePublicNumbers(int.from_bytes(words[0]), int.from_bytes(words[1]), _CURVE).public_key()
    except ValueError:
        raise Refused(f"{what}: not a point of P-256") from None
    return PublicKey(words[0], words[1])


@final
class SigningKey:
    """A private key of P-256; never printed.

    secret  32 bytes, 1 .. ORDER - 1

    Raises Misuse if it is none.
    """

    def __init__(self, secret: bytes) -> None:
        number = int.from_bytes(secret)
        if len(secret) != _WORD or not 1 <= number < ORDER:
            raise Misuse("SigningKey: the secret is no private key of P-256")
        self._key = ec.derive_private_key(number, _CURVE)
        point = self._key.public_key().public_numbers()
        self.public = PublicKey(point.x.to_bytes(_WORD), point.y.to_bytes(_WORD))

    def __repr__(self) -> str:
        return f"SigningKey({encode(self.public.thumbprint)})"

    def sign(self, message: bytes) -> bytes:
        """r and s, 64 bytes; the same for the same message (RFC 6979)."""
        r, s = decode_dss_signature(self._key.sign(message, ec.ECDSA(SHA256(), deterministic_signing=True)))
        return r.to_bytes(_WORD) + s.to_bytes(_WORD)


def sign_token(key: SigningKey, header: Json, payload: Json) -> str:
    """A JWS in its compact form; `alg` is added to the header."""
    body = f"{encode(write_json({'alg': _ALGORITHM, **header}))}.{encode(write_json(payload))}"
    return f"{body}.{encode(key.sign(body.encode()))}"


@dataclass(frozen=True, slots=True)
class Token:
    """A JWS that was read, and not yet verified."""

    header: Json
    payload: Json
    signed: bytes
    signature: bytes

    def verify(self, key: PublicKey, what: str) -> None:
        """Raise Refused, naming `what`, unless the key signed it."""
        if not key.verify(self.signed, self.signature):
            raise Refused(f"{what}: not signed by that key")


def read_token(text: str, typ: str, what: str) -> Token:
    """Read a compact JWS of a type; only ES256 is a signature here.

    Raises Refused, naming `what`.
    """
    parts = text.split(".")
    if len(parts) != 3:
        raise Refused(f"{what}: not a signed token of three parts")
    header = read_object(decode(parts[0], f"{what}'s header"), f"{what}'s header")
    if header.get("alg") != _ALGORITHM:
        raise Refused(f"{what}: its algorithm is {str(header.get('alg'))[:20]!r}; {_ALGORITHM} is taken")
    if header.get("typ") != typ:
        raise Refused(f"{what}: its type is {str(header.get('typ'))[:40]!r}; expected {typ}")
    if "crit" in header:
        raise Refused(f"{what}: asks for extensions that are not known here")
    payload = read_object(decode(parts[1], what), what)
    return Token(header, payload, f"{parts[0]}.{parts[1]}".encode(), decode(parts[2], f"{what}'s signature"))
