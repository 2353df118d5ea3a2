"""Catch one aggregator that lies about its part of the inner products: information checking over a Galois ring.

Aggregator P = k has opened z = O O^T + O F^T + F O^T + Z - Z' modulo 2**64, with O and F its components k and k + 1
of all vectors, and Z, Z' what the keys K_k and K_{k+1} give (`rss.mask`). No other aggregator has both components. But
V1 = k - 1 knows O and Z, V2 = k + 1 knows F and Z', and each pair of aggregators has a key. After z is fixed a beacon
draws r and s, and for q = r^T z s, which anybody computes, with u_w = O^T w and v_w = F^T w, it must hold that

    q = A + <u_r, v_s> + <v_r, u_s> - B,   A = r^T (O O^T + Z) s known to V1,   B = r^T Z' s known to V2.

V1 and V2 draw a secret tau from their key, V1 and P masks a1, a2, b from theirs. Then (Rabin and Ben-Or, STOC 1989)

    V1 tells V2    t1 = tau u_r + a1,   t2 = tau u_s + a2,   t = tau A + b
    P tells all    f = <a1, v_s> + <a2, v_r> + b
    V2 accepts if  <t1, v_s> + <t2, v_r> + t - tau B = tau q + f.

*The ring.* Z_2^64 has zero divisors: of an entry that is off by 2**63, r and s in Z_2^64 see something one time in
four, and tau hides it only half the time; forty repetitions would let a liar through once in 200. So r, s, tau and the
masks are from the Galois ring R = Z_2^64[X] / (X^42 + X^7 + 1) of 2**42 residues modulo 2, whose polynomial is
irreducible modulo 2 (Abspoel, Cramer, Damgard, Escudero and Yuan, TCC 2019). An element is 42 words, as many as 42
repetitions would have.

*Soundness.* Let z be off by E = 2^e E', with an odd entry in E'. Modulo 2, r^T E' s is a polynomial of degree 2 that is
not zero, in independent uniform elements of the field of 2**42: zero with probability < 2 * 2^-42. Otherwise
q is off by 2^e times a unit, and tau times it takes each of 2^(42 (64 - e)) >= 2**42 values alike: P, who does not know
tau, adds the right one to f with probability <= 2^-42. Together < 3 * 2^-42 < 2^-40 for every E, per check.

*Secrecy.* P sees nothing new. V1 receives nothing but f and the verdict. V2 sees t1 and t2, uniform without P's key,
then t, which the equation determines from f, and f, which b makes uniform: all can be simulated from z, F and V2's
keys. A verifier that lies is seen as a failed check; V1, who chooses how it lies, can have the verdict depend on one
linear predicate of v_r and v_s and so gain at most that one bit, with a chance to void the round.

*What a failure says.* That one of the three lied, and not who: V2 can always claim that it failed, and V1 can have
sent anything. The round is void.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from caduceus.crypto import keystream, ring
from caduceus.crypto.entropy import expand
from caduceus.crypto.ring import Words
from caduceus.errors import Misuse

DEGREE = 42
"""Words in an element of R."""

_MIDDLE = 7
"""X**42 = -X**7 - 1."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """What the second beacon draws.

    left   uint64[N, DEGREE], r: an element of R for every row of the matrix
    right  uint64[M, DEGREE], s: one for every column
    """

    left: Words
    right: Words


@dataclass(frozen=True, slots=True)
class Vouched:
    """What V1 tells V2, under a key that they have.

    left   uint64[DEGREE, m], t1
    right  uint64[DEGREE, m], t2
    total  uint64[DEGREE], t
    """

    left: Words
    right: Words
    total: Words


def challenge(beacon: bytes, rows: int, columns: int | None = None) -> Challenge:
    """r and s for a matrix.

    beacon   32 public bytes that nobody knew when the matrix was fixed; for every matrix its own
    rows     of the matrix
    columns  of the matrix, `rows` if not given
    """
    columns = rows if columns is None else columns
    drawn = _draw(beacon, "product-check/challenge/1", b"", rows + columns)
    return Challenge(drawn[:rows], drawn[rows:])


def claim(following: tuple[Words, Words], asked: Challenge, *, first_key: bytes, context: bytes) -> Words:
    """What the aggregator under check tells all: f.

    following  its component k + 1 of the vectors left and right of the product, uint64[N, m] and uint64[M, m]; twice
               the same array for a Gram matrix
    asked      after all matrices are fixed
    first_key  the key that it has with V1
    context    session and number of the aggregator under check; never the same for two checks
    returns    uint64[DEGREE]; uniform
    """
    left, right = following
    width = left.shape[1]
    masks = _masks(first_key, context, width)
    found = inner(masks.left, combine(right, asked.right)) + inner(masks.right, combine(left, asked.left))
    return np.asarray(found + masks.total)


def vouch(
    own: tuple[Words, Words], zero: Words, asked: Challenge, *, keys: tuple[bytes, bytes], context: bytes
) -> Vouched:
    """What the first verifier tells the second: values that it knows, under a tag and a mask.

    own      the component k that it has in common with the aggregator under check, left and right
    zero     uint64[N, M], Z: what its key with that aggregator gives for the matrix
    keys     its key with the aggregator under check, and its key with the second verifier
    context  as in `claim`
    """
    left, right = (combine(rows, drawn) for rows, drawn in zip(own, (asked.left, asked.right), strict=True))
    masks, tag = _masks(keys[0], context, left.shape[1]), _tag(keys[1], context)
    known = inner(left, right) + bilinear(asked, zero)
    return Vouched(
        np.asarray(scale(tag, left) + masks.left),
        np.asarray(scale(tag, right) + masks.right),
        np.asarray(multiply(tag, known) + masks.total),
    )


def accepts(
    following: tuple[Words, Words],
    zero: Words,
    opened: Words,
    asked: Challenge,
    said: tuple[Vouched, Words],
    *,
    first_key: bytes,
    context: bytes,
) -> bool:
    """Whether the second verifier is satisfied.

    following  the component k + 1 that it has in common with the aggregator under check, left and right
    zero       uint64[N, M], Z': what its key with that aggregator gives for the matrix
    opened     uint64[N, M], z
    said       what the first verifier and the aggregator under check told it
    first_key  its key with the first verifier
    context    as in `claim`
    """
    (vouched, claimed), (left, right) = said, following
    shape = (DEGREE, left.shape[1])
    if vouched.left.shape != shape or vouched.right.shape != shape:
        return False
    if vouched.total.shape != (DEGREE,) or claimed.shape != (DEGREE,):
        return False
    tag = _tag(first_key, context)
    found = inner(vouched.left, combine(right, asked.right)) + inner(vouched.right, combine(left, asked.left))
    expected = multiply(tag, bilinear(asked, np.asarray(opened + zero))) + claimed
    return bool(np.array_equal(found + vouched.total, expected))


def combine(rows: Words, drawn: Words) -> Words:
    """rows^T w: uint64[N, m] rows and uint64[N, DEGREE] elements give uint64[DEGREE, m]."""
    return ring.mix(drawn.T, rows)


def bilinear(asked: Challenge, matrix: Words) -> Words:
    """r^T M s, an element: uint64[DEGREE]."""
    return _fold(ring.mix(ring.mix(asked.left.T, matrix), asked.right))


def inner(one: Words, other: Words) -> Words:
    """The sum of the products of m elements, each uint64[DEGREE, m]: uint64[DEGREE]."""
    return _fold(ring.matmul(one, other))


def multiply(one: Words, other: Words) -> Words:
    """The product of two elements, uint64[DEGREE]."""
    return _fold(np.multiply.outer(one, other))


def scale(factor: Words, elements: Words) -> Words:
    """An element times each of m, uint64[DEGREE, m]."""
    unit = np.eye(DEGREE, dtype=np.uint64)
    table = np.stack([multiply(factor, unit[i]) for i in range(DEGREE)])  # [i]: factor * X**i
    return ring.mix(table.T, elements)


def _fold(products: Words) -> Words:
    """The element whose coefficient at X**(i + j) is the sum of products[i, j]."""
    powers = np.zeros(2 * DEGREE - 1, np.uint64)
    for i, row in enumerate(products):
        powers[i : i + DEGREE] += row
    low, high = powers[:DEGREE], powers[DEGREE:]
    spilt = high[DEGREE - _MIDDLE :].copy()  # what X**7 times the high part has at X**42 and beyond: once more
    low[: DEGREE - 1] -= high
    low[_MIDDLE:] -= high[: DEGREE - _MIDDLE]
    low[: _MIDDLE - 1] += spilt
    low[_MIDDLE : 2 * _MIDDLE - 1] += spilt
    return low


def _draw(key: bytes, purpose: str, context: bytes, elements: int) -> Words:
    if len(key) != keystream.KEY_BYTES:
        raise Misuse(f"product check: a key is {keystream.KEY_BYTES} bytes, got {len(key)}")
    words = np.zeros(elements * DEGREE, np.uint64)
    keystream.add(words, expand(key, purpose, context))
    return words.reshape(elements, DEGREE)


def _masks(key: bytes, context: bytes, width: int) -> Vouched:
    drawn = _draw(key, "product-check/masks/1", context, 2 * width + 1)
    return Vouched(drawn[:width].T, drawn[width : 2 * width].T, drawn[2 * width])


def _tag(key: bytes, context: bytes) -> Words:
    (drawn,) = _draw(key, "product-check/tag/1", context, 1)
    return np.asarray(drawn)
