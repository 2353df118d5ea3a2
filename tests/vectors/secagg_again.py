"""Secure aggregation written a second time, plainly, and with none of the package's code.

What `make_secagg.py` makes its vectors with, so that they say what the bytes must be and not what they happen to be.
Slow and short: whole numbers, lists and dictionaries. Keys, signatures and ciphers come from `cryptography` and
`eth_account`, canonical CBOR from `cbor2`.

A record is a list that begins with its tag; an array in it is [type, shape, bytes].
"""

from __future__ import annotations

import hmac
import math
from fractions import Fraction
from functools import cache
from hashlib import sha3_256, sha256, shake_256
from itertools import count, pairwise

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from eth_account import Account
from eth_account.messages import _hash_eip191_message, encode_typed_data

P = 2**31 - 1
KINDS = ("self", "recovery")
SUITE = "flamingo23-shared/x-wing/ml-dsa-65/shamir-gf31"
ML_DSA_CONTEXT = b"caduceus/statement/1"
FULL, RING, RANDOM = 0, 1, 2

# ---------------------------------------------------------------- bytes


def digest(*parts: bytes) -> bytes:
    return sha256(b"".join(parts)).digest()


def tagged(tag: str, *parts: bytes) -> bytes:
    return b"".join(len(part).to_bytes(4) + part for part in (tag.encode(), *parts))


def pack(record: list) -> bytes:
    return cbor2.dumps(record, canonical=True)


def array(kind: str, shape: tuple[int, ...], data: bytes) -> list:
    return [kind, list(shape), data]


def table(shape: tuple[int, ...], parts: list[bytes]) -> list:
    return array("|u1", shape, b"".join(parts))


def derive(root: bytes, label: str, *context: bytes, size: int = 32) -> bytes:
    """HKDF-SHA256 without a salt (RFC 5869)."""
    key, info = hmac.digest(bytes(32), root, "sha256"), tagged("caduceus/entropy/1", label.encode(), *context)
    block, out = b"", b""
    for number in range(1, -(-size // 32) + 1):
        block = hmac.digest(key, block + info + bytes([number]), "sha256")
        out += block
    return out[:size]


def expand(key: bytes, purpose: str, context: bytes = b"") -> bytes:
    return hmac.digest(key, tagged("caduceus/expand/1", purpose.encode(), context) + b"\x01", "sha256")


def stream(key: bytes, size: int) -> bytes:
    """AES-256 of the number of the block, from zero."""
    cipher = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    return cipher.update(b"".join(block.to_bytes(16) for block in range(-(-size // 16))))[:size]


def slices(key: bytes, number: int) -> list[bytes]:
    whole = stream(key, 32 * number)
    return [whole[32 * at : 32 * at + 32] for at in range(number)]


def xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


# ---------------------------------------------------------------- Merkle trees


def leaf(data: bytes) -> bytes:
    return digest(b"\x00", data)


def levels(leaves: list[bytes]) -> list[list[bytes]]:
    width = 1 << max(len(leaves) - 1, 0).bit_length()
    rows = [leaves + [bytes(32)] * (width - len(leaves))]
    while len(rows[-1]) > 1:
        row = rows[-1]
        rows.append([digest(b"\x01", a, b) for a, b in zip(row[::2], row[1::2], strict=True)])
    return rows


def siblings(leaves: list[bytes], position: int) -> list[bytes]:
    return [row[position >> height ^ 1] for height, row in enumerate(levels(leaves)[:-1])]


# ---------------------------------------------------------------- signatures

TYPES = {
    "Upload": [("job", "bytes32"), ("round", "uint32"), ("seat", "uint32"), ("body", "bytes32")],
    "Receipt": [("job", "bytes32"), ("round", "uint32"), ("seat", "uint32"), ("leaf", "bytes32")],
    "Statement": [("digest", "bytes32")],
}
CHAIN_ID, CONTRACT = 31337, bytes(range(20))


def typed(name: str, *values: bytes | int) -> object:
    return encode_typed_data(
        domain_data={
            "name": "Caduceus",
            "version": "1",
            "chainId": CHAIN_ID,
            "verifyingContract": "0x" + CONTRACT.hex(),
        },
        message_types={name: [{"name": field, "type": kind} for field, kind in TYPES[name]]},
        message_data={field: value for (field, _), value in zip(TYPES[name], values, strict=True)},
    )


DOMAIN = bytes(typed("Statement", bytes(32)).header)


def eip712(key: bytes, name: str, *values: bytes | int) -> bytes:
    return bytes(Account.sign_message(typed(name, *values), key).signature)


def eip712_digest(name: str, *values: bytes | int) -> bytes:
    return bytes(_hash_eip191_message(typed(name, *values)))


def address(key: bytes) -> bytes:
    return bytes.fromhex(Account.from_key(key).address[2:])


def signed(body: bytes, scheme: str, signature: bytes) -> bytes:
    return pack(["signed/1", body, scheme, signature])


def statement(key: bytes, record: list) -> bytes:
    body = pack(record)
    return signed(body, "eip712-secp256k1", eip712(key, "Statement", digest(body)))


# ---------------------------------------------------------------- what differs every time


class Chance:
    """ML-DSA signatures and X-Wing encapsulations: made anew, or those that were made once, by name.

    Raises ValueError if one that was made once is not for what is asked for now.
    """

    def __init__(self, once: dict[str, str] | None) -> None:
        self._once, self.made = once, {}

    def _draw(self, name: str, make: object) -> bytes:
        if name in self.made:
            raise ValueError(f"{name}: drawn twice")
        value = make() if self._once is None else bytes.fromhex(self._once.get(name, ""))
        self.made[name] = value.hex()
        return value

    def vouch(self, name: str, seed: bytes, record: list) -> bytes:
        key, body = MLDSA65PrivateKey.from_seed_bytes(seed), pack(record)
        signature = self._draw(name, lambda: key.sign(body, ML_DSA_CONTEXT))
        try:
            key.public_key().verify(signature, body, ML_DSA_CONTEXT)
        except InvalidSignature:
            raise ValueError(f"{name}: signed something else before; make the vectors anew") from None
        return signed(body, "ml-dsa-65", signature)

    def encapsulate(self, name: str, owner: Kem) -> tuple[bytes, bytes]:
        ciphertext = self._draw(name, lambda: encapsulate(owner.public))
        if len(ciphertext) != 1120:
            raise ValueError(f"{name}: not made before; make the vectors anew")
        return ciphertext, owner.decapsulate(ciphertext)


class Kem:
    """X-Wing (draft-connolly-cfrg-xwing-kem-10, section 5) by the owner of a seed."""

    def __init__(self, seed: bytes) -> None:
        whole = shake_256(seed).digest(96)
        self._m = MLKEM768PrivateKey.from_seed_bytes(whole[:64])
        self._x = X25519PrivateKey.from_private_bytes(whole[64:])
        self._public_x = self._x.public_key().public_bytes_raw()
        self.public = self._m.public_key().public_bytes_raw() + self._public_x

    def decapsulate(self, ciphertext: bytes) -> bytes:
        m, x = ciphertext[:1088], ciphertext[1088:]
        shared = self._m.decapsulate(m) + self._x.exchange(X25519PublicKey.from_public_bytes(x))
        return sha3_256(shared + x + self._public_x + b"\\.//^\\").digest()


def encapsulate(public: bytes) -> bytes:
    """A ciphertext; its key is left to the owner."""
    _, ciphertext = MLKEM768PublicKey.from_public_bytes(public[:1184]).encapsulate()
    return ciphertext + X25519PrivateKey.generate().public_key().public_bytes_raw()


@cache
def mldsa_public(seed: bytes) -> bytes:
    return MLDSA65PrivateKey.from_seed_bytes(seed).public_key().public_bytes_raw()


# ---------------------------------------------------------------- sizes


def threshold_for(committee: int) -> int:
    return 2 * committee // 3 + 1


def corrupt(sites: int, assumptions: dict) -> int:
    permille = assumptions["corrupt_permille"]
    return max(1, sites // 3 if permille == 333 else permille * sites // 1000)


def silent(sites: int, assumptions: dict) -> int:
    return assumptions["dropout_permille"] * sites // 1000


def log2(value: Fraction) -> float:
    return math.log2(value.numerator) - math.log2(value.denominator) if value else -math.inf


def hypergeometric(population: int, marked: int, drawn: int, most: int) -> float:
    """log2 of the chance that more than `most` of `drawn` are marked, from whole numbers."""
    lowest, highest = max(most + 1, drawn + marked - population, 0), min(marked, drawn)
    ways = sum(math.comb(marked, k) * math.comb(population - marked, drawn - k) for k in range(lowest, highest + 1))
    return log2(Fraction(ways, math.comb(population, drawn)))


def ring_cut(sites: int, lost: int, degree: int) -> float:
    if lost < degree:
        return -math.inf
    half = degree // 2
    return min(0.0, log2(Fraction(sites * math.comb(lost, half), math.comb(sites, half))))


def log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def random_cut(honest: int, silent: int, chance: float) -> float:
    """log2 of the union bound over all parts s of at most half of the honest sites."""
    logs = []
    for s in range(1, honest // 2 + 1):
        trials, miss = honest - s, s * math.log1p(-chance)
        q = -math.expm1(miss)
        tail = 0.0
        if trials * q > silent:
            term = log_choose(trials, silent) + silent * math.log(q) + (trials - silent) * miss
            tail = min(0.0, term + math.log((trials - silent + 1) * q / ((trials + 1) * q - silent)))
        logs.append(log_choose(honest, s) + tail)
    peak = max(logs)
    return min(0.0, (peak + math.log(math.fsum(math.exp(one - peak) for one in logs))) / math.log(2))


def chances(sites: int, degree: int, committee: int, family: int, assumptions: dict) -> dict[str, float]:
    liars, gone = corrupt(sites, assumptions), silent(sites, assumptions)
    if family == FULL:
        cut = -math.inf
    elif family == RING:
        cut = ring_cut(sites, min(sites, liars + gone), degree)
    else:
        cut = random_cut(sites - liars, gone, degree / (sites - 1))
    return {
        "committee": hypergeometric(sites, liars, committee, committee // 3),
        "graph": cut,
        "opening": hypergeometric(sites, gone, committee, committee - threshold_for(committee)),
    }


def plan(sites: int, assumptions: dict, few: int = 128) -> dict[str, int]:
    """The smallest committee and the sparsest graph; ValueError if there are none."""
    liars, gone = corrupt(sites, assumptions), silent(sites, assumptions)
    security, correctness = assumptions["security_bits"], assumptions["correctness_bits"]
    if sites < 3 or liars > sites // 3:
        raise ValueError("too few sites, or too many corrupt")

    def holds(chance: float, bits: int) -> bool:
        return chance <= -bits - 2.0**-20

    def serves(size: int) -> bool:
        return holds(hypergeometric(sites, liars, size, size // 3), security) and holds(
            hypergeometric(sites, gone, size, size - threshold_for(size)), correctness
        )

    committee = sites if sites <= few else next((size for size in range(1, sites + 1) if serves(size)), None)
    if committee is None or (committee == sites and gone > sites - threshold_for(sites)):
        raise ValueError("no committee keeps secrets and opens them")
    family, degree = FULL, sites - 1
    if sites > few:
        family, step = (RANDOM, 1) if assumptions["adaptive"] else (RING, 2)
        low, high = 0, (sites - 1) // step  # degrees step * low do not hold, step * high need not be tried
        while high - low > 1:
            middle = (low + high) // 2
            cut = (
                random_cut(sites - liars, gone, middle / (sites - 1))
                if family == RANDOM
                else ring_cut(sites, liars + gone, 2 * middle)
            )
            low, high = (low, middle) if holds(cut, security) else (middle, high)
        degree = step * high
        if degree >= sites - 1:
            family, degree = FULL, sites - 1
    return {
        "sites": sites,
        "degree": degree,
        "committee": committee,
        "threshold": threshold_for(committee),
        "family": family,
    }


# ---------------------------------------------------------------- draws


def words(number: int, tag: str, *context: bytes) -> list[int]:
    whole = stream(digest(tagged(tag, *context)), 8 * number)
    return [int.from_bytes(whole[8 * at : 8 * at + 8], "little") for at in range(number)]


def shuffled(size: int, tag: str, *context: bytes) -> list[int]:
    for attempt in count():
        drawn = words(size, tag, *context, attempt.to_bytes(4))
        if len(set(drawn)) == size:
            return sorted(range(size), key=drawn.__getitem__)
    raise AssertionError


def draw_committee(beacon: bytes, seats: list[int], size: int) -> list[int]:
    return sorted(seats[at] for at in shuffled(len(seats), "secagg/committee/1", beacon)[:size])


def draw_graph(beacon: bytes, seats: list[int], degree: int, family: int) -> dict[int, list[int]]:
    sites, pairs = len(seats), set()
    if family == FULL or degree == sites - 1:
        pairs = {(one, other) for one in range(sites) for other in range(one)}
    elif family == RING:
        order = shuffled(sites, "secagg/ring/1", beacon)
        pairs = {(order[at], order[(at + step) % sites]) for at in range(sites) for step in range(1, degree // 2 + 1)}
    else:
        for at in range(sites):
            for behind, word in enumerate(words(sites - 1 - at, "secagg/pairs/1", beacon, at.to_bytes(4))):
                if Fraction(word, 2**64) < Fraction(degree, sites - 1):
                    pairs.add((at, at + 1 + behind))
    found: dict[int, list[int]] = {seat: [] for seat in seats}
    for one, other in pairs:
        found[seats[one]].append(seats[other])
        found[seats[other]].append(seats[one])
    return {seat: sorted(others) for seat, others in found.items()}


def draw_groups(beacon: bytes, number: int, seats: list[int], size: int) -> list[list[int]]:
    order = shuffled(len(seats), "secagg/groups/1", beacon, number.to_bytes(4))
    parts = len(seats) // size
    bounds = [0]
    for part in range(parts):  # the first ones are larger by one where it does not come out even
        bounds.append(bounds[-1] + len(seats) // parts + (part < len(seats) % parts))
    return [sorted(seats[at] for at in order[one:other]) for one, other in pairwise(bounds)]


def partitions(beacon: bytes, seats: list[int], cohort: int, number: int) -> list[list[list[int]]]:
    """The groups of the first so many draws, each apart from all before it."""
    found: list[list[list[int]]] = []
    for draw in range(number):
        earlier = [set(group) for groups in found for group in groups]
        for attempt in range(64):
            groups = draw_groups(beacon, 64 * draw + attempt, seats, min(2 * cohort, len(seats)))
            if all(one == set(group) or len(one ^ set(group)) >= cohort for one in earlier for group in groups):
                break
        else:
            groups = found[draw % len({str(one) for one in found})]
        found.append(groups)
    return found


# ---------------------------------------------------------------- sharing


def coefficients(root: bytes, context: bytes, number: int) -> list[int]:
    whole = stream(derive(root, "shamir/coefficients", context), 4 * (number + 64))
    drawn = [int.from_bytes(whole[at : at + 4], "little") & P for at in range(0, len(whole), 4)]
    return [word for word in drawn if word != P][:number]


def share(secrets: list[bytes], threshold: int, holders: int, root: bytes, context: bytes) -> list[list[bytes]]:
    """By secret and holder, 36 bytes: nine values of polynomials whose constants are the secret's limbs."""
    limbs = [int.from_bytes(secret, "little") >> 30 * i & 2**30 - 1 for secret in secrets for i in range(9)]
    drawn, width = coefficients(root, context, (threshold - 1) * len(limbs)), len(limbs)

    def value(column: int, point: int) -> int:
        higher = (drawn[(k - 1) * width + column] * pow(point, k, P) for k in range(1, threshold))
        return (limbs[column] + sum(higher)) % P

    return [
        [b"".join(value(9 * i + k, holder + 1).to_bytes(4, "little") for k in range(9)) for holder in range(holders)]
        for i in range(len(secrets))
    ]


# ---------------------------------------------------------------- what is committed to


def commitment(kind: str, secret: bytes) -> bytes:
    return digest(tagged("secagg/commitment/1", kind.encode()), secret)


def share_digest(owner: int, holder: int, kind: str, one: bytes) -> bytes:
    return digest(tagged("secagg/share/2", kind.encode()), owner.to_bytes(4), holder.to_bytes(4), one)


def pair_check(low: int, high: int, seed: bytes) -> bytes:
    return digest(tagged("secagg/pair/1"), low.to_bytes(4), high.to_bytes(4), seed)


def signed_digest(messages: list[bytes]) -> bytes:
    return digest(tagged("secagg/signed/1", *(digest(one) for one in messages)))


def survivors_digest(seats: list[int], groups: list[list[int]]) -> bytes:
    parts = (b"".join(seat.to_bytes(4) for seat in one) for one in (seats, *groups))
    return digest(tagged("secagg/survivors/2", *parts))


def consent_digest(session: bytes, survivors: bytes) -> bytes:
    return digest(tagged("secagg/consent/2", session, survivors))


def pads(recovery: bytes, checks: list[bytes]) -> list[bytes]:
    """What hides the seeds that have these checks."""
    return slices(expand(recovery, "secagg/recovery/2", digest(*checks)), len(checks))


def tag(key: bytes, about: bytes, sender: int, recipient: int) -> bytes:
    return hmac.digest(key, about + sender.to_bytes(4) + recipient.to_bytes(4), "sha256")


def parcel(ciphertext: bytes, shared: bytes, context: bytes, dealer: int, receiver: int, contents: bytes) -> bytes:
    bound = context + dealer.to_bytes(4) + receiver.to_bytes(4)
    key = expand(shared, "secagg/parcel/2", bound)
    return ciphertext + ChaCha20Poly1305(key).encrypt(bytes(12), contents, bound)


# ---------------------------------------------------------------- masks


def masked(vector: list[int], bits: int, plus: list[bytes], minus: list[bytes]) -> list[int]:
    size = bits // 8
    out = list(vector)
    for sign, keys in ((1, plus), (-1, minus)):
        for key in keys:
            whole = stream(key, size * len(out))
            out = [
                (one + sign * int.from_bytes(whole[at * size : at * size + size], "little")) % 2**bits
                for at, one in enumerate(out)
            ]
    return out
