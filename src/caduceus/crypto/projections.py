"""Show that a shared vector is short, so that its square norm modulo 2**64 is its square norm.

In Z_2^64 an entry of 2**32 has square zero, and vectors as long as one likes have any square norm modulo 2**64. So a
bound on the norm alone can be wrapped. Therefore a vector first has to pass `COUNT` random projections, drawn from a
beacon after it was committed to: sums of its entries with coefficients -1, 0, 1 (probability 1/4, 1/2, 1/4). They are
linear, so that each holder of a component projects that component alone, and what is opened of it can be compared
with what its other holder has. A projection is opened under a blinding entry of the same dealer, shared and committed
to along with the vector, and has to lie between -`WINDOW` and `WINDOW`.

*Theorem.* Let x in Z_2^64 to the power d, read as integers from -2**63 to 2**63 - 1, and b in Z_2^64 be fixed before
r is drawn, d <= 2**32, T = WINDOW. If |x| >= pi^(3/2) T, then <r, x> + b is within the window with probability <= 1/2.

*Proof.* (1) Some |x_i| > 2T. Given the other coefficients, r_i = 0 and r_i = 1 give values that differ by x_i, r_i = 0
and r_i = -1 by -x_i: more than 2T from zero modulo 2**64, so not both are within. Within is therefore r_i = 0, or a
part of r_i = +-1: at most 1/2. (2) All |x_i| <= 2T. Then S = <r, x> is at most 2T d < 2**63 in size, so within the
window means that S is in one interval [c - T, c + T]. Let a = pi / (4T), g(s) = (sin(a s) / (a s))^2 and
h(s) = g(s) / g(T); h is at least 0, and at least 1 on [-T, T]. Its Fourier transform is at least 0 and vanishes beyond
2a = pi / (2T). The characteristic function of S is the product of (1 + cos(t x_i)) / 2 = cos^2(t x_i / 2), at least 0,
and for |t| <= 2a at most exp(-t^2 |x|^2 / 4), because t x_i / 2 is at most pi / 2 and cos y <= exp(-y^2 / 2) there. So
    P(S in [c - T, c + T]) <= E h(S - c) <= E h(S) <= (1 / g(T)) (1 / 2a) int exp(-t^2 |x|^2 / 4) dt
                           = (pi^2 / 8) (2T / pi) (2 sqrt(pi) / |x|) = (pi^(3/2) / 2) T / |x|. QED

The projections are independent: a vector of norm `PROVEN_NORM` or more passes all 64 with probability <= 2^-64, per
vector and round, whatever its dealer chose. After it, |x|^2 < 2**63, and so are all inner products, by Cauchy and
Schwarz: opened modulo 2**64 they are the integers. The bound that honest vectors keep, `LARGEST_NORM`, is far lower,
and is compared with the opened square norm.

*Whole vectors.* Projections and square norm are of the vector itself, not of its sketch. A sketch has a vector with
two entries (a, -a) vanish with probability 1 / (2 buckets), for any a; and two chunks filled with 2**63 vanish always,
since signs and rotations do nothing to them. For what is projected after a sketch the theorem speaks of the image only.

*Honest vectors.* P(|<r, x>| > s) <= 2 exp(-s^2 / |x|^2), from (1 + cosh t) / 2 <= exp(t^2 / 4). With |x| at most
LARGEST_NORM and s = SLACK that is 2 exp(-64): all 64 projections are within except with probability < 2^-85.

*What is revealed.* The blinding is uniform over 2 * BLINDING values, and a shift by <r, x> moves that by a statistical
distance of |<r, x>| / 2**30: on average at most |x| / (sqrt(2) 2**30), which is 2^-15.5 at the largest norm, and less
than 2^-9.5 for all 64 of a vector. Apart from that chance nothing is learnt; in that case, that one random sum of the
update's entries is not small.

Sources: after the modular Johnson-Lindenstrauss check of Gentry, Halevi and Lyubashevsky (EUROCRYPT 2022), whose
coefficients these are; the proof is our own, after Esseen's inequality for concentration functions.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from caduceus.crypto import keystream, ring
from caduceus.crypto.entropy import expand
from caduceus.crypto.ring import Integers, Small, Words
from caduceus.errors import Misuse

COUNT = 64
"""Projections of a vector, and blinding entries behind it."""

LARGEST_NORM = 1 << 15
"""Steps: dealers encode so that a vector's norm, after rounding, is at most this."""

BLINDING = 1 << 29
"""Steps: blinding entries are uniform from -BLINDING to BLINDING - 1."""

SLACK = 8 * LARGEST_NORM
WINDOW = BLINDING + SLACK
"""Steps: how far an opened projection may be from zero."""

PROVEN_NORM = 2_990_933_034
"""Steps, pi^(3/2) WINDOW rounded up, below 2**31.48: whatever is as long or longer fails but for a chance of 2**-64."""

_BLINDING_BITS = 30
_BITS = 2 * COUNT  # of a coordinate: a block of the keystream


def draw(beacon: bytes, width: int, start: int = 0) -> Small:
    """The coefficients of all projections.

    beacon   32 public bytes that nobody knew when the vectors were committed to
    width    how many coordinates
    start    the first of them
    returns  int8[COUNT, width], each -1, 0 or 1
    """
    return np.ascontiguousarray(draw_transposed(beacon, width, start).T)


def draw_transposed(beacon: bytes, width: int, start: int = 0) -> Small:
    """The same as int8[width, COUNT]."""
    if len(beacon) != keystream.KEY_BYTES:
        raise Misuse(f"projections: a beacon is {keystream.KEY_BYTES} bytes, got {len(beacon)}")
    (cipher,) = keystream.CIPHERS[keystream.CIPHER]([expand(beacon, "projections/draw/1")], start)
    drawn = np.frombuffer(cipher.update(bytes(keystream.BLOCK_BYTES * width)), np.uint8)
    tosses = np.unpackbits(drawn).view(np.int8).reshape(width, 2, COUNT)  # two fair ones: 0, 1, or 2 heads
    heads = tosses[:, 0] + tosses[:, 1]
    heads -= 1
    return heads


def project(shares: Words, drawn: Small, blinding_shares: Words) -> Words:
    """A component of all projections, from that component of the vectors.

    shares           uint64[R, width]
    drawn            int8[COUNT, width] from `draw`
    blinding_shares  uint64[R, COUNT], the component of the blinding entries
    returns          uint64[R, COUNT]

    Reveals: the component of a projection, hidden by that of its blinding entry, which is used for nothing else; the
    three together, the blinded projection. It needs no share of zero.
    """
    return np.asarray(ring.matmul_small(shares, drawn) + blinding_shares)


def blind(seed: bytes) -> Integers:
    """The blinding entries of one vector.

    seed     32 uniform secret bytes, used for this vector only
    returns  int64[COUNT], uniform from -BLINDING to BLINDING - 1

    Raises Misuse if the seed has another length.
    """
    if len(seed) != keystream.KEY_BYTES:
        raise Misuse(f"projections: a seed is {keystream.KEY_BYTES} bytes, got {len(seed)}")
    words = np.zeros(COUNT, np.uint64)
    keystream.add(words, expand(seed, "projections/blinding/1"))
    return ring.signed(words >> np.uint64(ring.BITS - _BLINDING_BITS)) - BLINDING


def within(opened: Words) -> npt.NDArray[np.bool_]:
    """Which vectors pass: all their projections lie between -WINDOW and WINDOW.

    opened   uint64[R, COUNT], the sums of three components
    returns  bool[R]
    """
    shifted = opened + np.uint64(WINDOW)
    return np.asarray((shifted <= np.uint64(2 * WINDOW)).all(axis=1))
