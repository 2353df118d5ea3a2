"""The bytes that the contracts hash: identifiers, trees and what is signed.

Every type in them is of fixed size, so Solidity's `abi.encode` is the 32-byte words one after another.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256

from caduceus.crypto import sign
from caduceus.errors import Misuse, Refused
from caduceus.kinds import Address, Digest, JobId
from caduceus.market.ledger import JobTerms
from caduceus.sim.rules.reasons import POSITION_OUTSIDE_TREE

NO_WORD = Digest(bytes(32))

_BITS = (
    ("price", 96),
    ("stake", 96),
    ("bond", 96),
    ("min_sites", 16),
    ("max_sites", 16),
    ("max_rounds", 16),
    ("enrol_for", 32),
    ("train_for", 32),
    ("challenge_for", 32),
    ("readiness", 8),
    ("epsilon_micro", 64),
    ("delta_pico", 64),
    ("sums", 16),
)


def number(value: int, bits: int = 256) -> bytes:
    """An unsigned number as a word.

    Raises Misuse if it does not fit its type.
    """
    if not 0 <= value < 1 << bits:
        raise Misuse(f"a number of {value.bit_length()} bits, or below zero, where the contract takes uint{bits}")
    return value.to_bytes(32)


def account(value: bytes) -> bytes:
    """An address as a word.

    Raises Misuse if it is not 20 bytes.
    """
    if len(value) != 20:
        raise Misuse(f"an address is 20 bytes, got {len(value)}")
    return value.rjust(32, b"\0")


def word(value: bytes) -> bytes:
    """A digest as it is.

    Raises Misuse if it is not 32 bytes.
    """
    if len(value) != 32:
        raise Misuse(f"a word is 32 bytes, got {len(value)}")
    return value


@lru_cache(maxsize=1024)  # public values: the wallet, the contract and its readers all ask for the same
def job_id(buyer: Address, terms: JobTerms) -> JobId:
    """The id of the job that `buyer` opens with these terms.

    Raises Misuse if a term does not fit the contract's type.
    """
    fitting = {name: number(getattr(terms, name), bits) for name, bits in _BITS}
    parts = [account(terms.token), fitting["price"], account(terms.coordinator), account(terms.attester)]
    parts += [fitting[name] for name, _ in _BITS[1:]]
    return JobId(sign.keccak(b"".join([account(buyer), *parts, word(terms.costs), word(terms.spec)])))


def dataset_id(
    steward: Address,
    commitment: bytes,
    card: bytes,
    terms: bytes,
    budget: tuple[int, int],
    previous: bytes = NO_WORD,
) -> Digest:
    """The id of the data set that `steward` registers with these values.

    budget    epsilon in millionths and delta in millionths of a millionth
    previous  the version that it supersedes; zero for a first one
    """
    digests = word(commitment) + word(card) + word(terms)
    amounts = number(budget[0], 64) + number(budget[1], 64)
    return Digest(sign.keccak(account(steward) + digests + amounts + word(previous)))


def reached(leaf: bytes, position: int, siblings: Sequence[bytes]) -> Digest:
    """The root to which a Merkle proof leads.

    Raises Reverted if the position is outside a tree of that depth.
    """
    number(position)
    if position >> len(siblings):
        raise POSITION_OUTSIDE_TREE(position, len(siblings))
    node = bytes(leaf)
    for sibling in siblings:
        node = sha256(b"\x01" + (word(sibling) + node if position & 1 else node + word(sibling))).digest()
        position >>= 1
    return Digest(node)


def is_evidence(signer: Address, domain: bytes, struct: sign.Struct, signature: bytes) -> bool:
    """Whether the signer's key signed the struct; a malformed signature is none."""
    try:
        return sign.recover(sign.digest(domain, struct), signature) == signer
    except (Refused, Misuse):  # a number that no honest struct holds was signed by nobody
        return False
