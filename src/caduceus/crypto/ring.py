"""Exact arithmetic on whole matrices over Z_2^64: numpy's uint64, which wraps around.

A matrix product goes through float64, which numpy gives to the BLAS: words are cut into limbs that are so small that
no sum of their products is rounded. Nothing branches on a word's value.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from caduceus.errors import Misuse

BITS = 64

Words = npt.NDArray[np.uint64]
"""Integers modulo 2**64."""

Integers = npt.NDArray[np.int64]
"""The same words, read as the integers from -2**63 to 2**63 - 1."""

Small = npt.NDArray[np.int8]
"""Coefficients that are public and small, such as signs."""

Halves = npt.NDArray[np.float64]
"""float64[2, n, d]: the low and the high 32 bits of words, see `halves`."""

_LIMB_BITS = 22
_LIMBS = 3
_TERMS = 1 << 7
"""Terms of a sum at a time: three limb products each, 3 * 2**7 * 2**44 < 2**53, so that float64 has it exactly."""
_COLUMNS = 1 << 10
"""Columns of a result at a time: limbs of a thousand by a hundred words stay in the processor's cache."""
_HALF_BITS = 32
_SMALL_TERMS = 1 << 11
"""Terms of a sum of halves times small coefficients: 2**11 * 2**32 * 2**7 = 2**50."""
_PIECE = 1 << 13
"""Entries of a row at a time: 64 KiB."""


def signed(words: Words) -> Integers:
    """The integers from -2**63 to 2**63 - 1 that the words stand for; a view.

    Raises Misuse if `words` is not uint64.
    """
    if words.dtype != np.uint64:
        raise Misuse(f"ring: words are uint64, got {words.dtype}")
    return words.view(np.int64)


def matmul(one: Words, other: Words) -> Words:
    """`one` times the transpose of `other`, modulo 2**64: inner products of rows.

    one      uint64[n, d]
    other    uint64[m, d]
    returns  uint64[n, m]; where both are the same array, the symmetric product for two thirds of the price

    Raises Misuse if shapes or types do not fit.
    """
    if one is not other:
        return mix(one, other.T)
    _check(one, other, np.uint64)
    total = np.zeros((len(one), len(one)), np.uint64)
    for start in range(0, one.shape[1], _TERMS):
        limbs = _limbs(one[:, start : start + _TERMS])
        for place in range(_LIMBS):  # limbs i and j meet at 2**(22 * (i + j)); from 2**66 on they are nothing
            halved = sum((limbs[i] @ limbs[place - i].T for i in range((place + 1) // 2)), np.zeros(total.shape))
            sums = halved + halved.T
            if place % 2 == 0:
                sums += limbs[place // 2] @ limbs[place // 2].T
            total += sums.astype(np.int64).view(np.uint64) << np.uint64(_LIMB_BITS * place)
    return total


def mix(one: Words, rows: Words) -> Words:
    """`one` times `rows`, modulo 2**64: weighted sums of rows with many tables of weights.

    one      uint64[n, d]
    rows     uint64[d, m]
    returns  uint64[n, m]

    Raises Misuse if shapes or types do not fit.
    """
    _check(one, rows.T, np.uint64)
    total = np.zeros((len(one), rows.shape[1]), np.uint64)
    for start in range(0, one.shape[1], _TERMS):
        terms = slice(start, start + _TERMS)
        mine = _limbs(one[:, terms])
        for first in range(0, rows.shape[1], _COLUMNS):
            columns = slice(first, first + _COLUMNS)
            _add_product(total[:, columns], mine, _limbs(rows[terms, columns]))
    return total


def matmul_small(one: Words, other: Small) -> Words:
    """The same with small signed coefficients, for a fifth of the price.

    one      uint64[n, d]
    other    int8[m, d]
    returns  uint64[n, m]

    Raises Misuse if shapes or types do not fit.
    """
    _check(one, other, np.int8)
    total = np.zeros((len(one), len(other)), np.uint64)
    for start in range(0, one.shape[1], _SMALL_TERMS):
        columns = slice(start, start + _SMALL_TERMS)
        total += combined(halves(one[:, columns]), np.ascontiguousarray(other[:, columns].T, np.float64))
    return total


def halves(words: Words, out: Halves | None = None) -> Halves:
    """The low and the high 32 bits of words as floats.

    words    uint64[n, d]
    out      where to write, if not to a new array
    returns  float64[2, n, d]
    """
    cut = np.ascontiguousarray(words).view(np.uint32).reshape(*words.shape, 2)
    if out is None:
        out = np.empty((2, *words.shape))
    np.copyto(out[0], cut[:, :, 0])
    np.copyto(out[1], cut[:, :, 1])
    return out


def combined(cut: Halves, coefficients: npt.NDArray[np.float64]) -> Words:
    """Sums of words with small coefficients, modulo 2**64.

    cut           float64[2, n, d] from `halves`, d up to 2**14
    coefficients  float64[d, m], whole numbers from -128 to 127: (d * 2**32 * 2**7 <= 2**53) keeps sums exact
    returns       uint64[n, m]

    Raises Misuse if d is larger.
    """
    _, rows, terms = cut.shape
    if terms > 1 << 14:
        raise Misuse(f"ring: a sum of {terms} halves may be inexact")
    sums = (cut.reshape(2 * rows, terms) @ coefficients).astype(np.int64).view(np.uint64)
    return np.asarray(sums[:rows] + (sums[rows:] << np.uint64(_HALF_BITS)))


def weigh(weights: Integers, rows: Words) -> Words:
    """A weighted sum of rows, modulo 2**64.

    weights  int64[n]
    rows     uint64[n, d]
    returns  uint64[d]

    Raises Misuse if shapes or types do not fit.
    """
    if rows.ndim != 2 or weights.shape != (len(rows),) or weights.dtype != np.int64 or rows.dtype != np.uint64:
        raise Misuse(f"ring: cannot weigh {rows.dtype}{rows.shape} with {weights.dtype}{weights.shape}")
    total = np.zeros(rows.shape[1], np.uint64)
    for start in range(0, rows.shape[1], _PIECE):
        place = total[start : start + _PIECE]
        product = np.empty_like(place)
        for weight, row in zip(weights.view(np.uint64), rows, strict=True):
            np.multiply(row[start : start + _PIECE], weight, out=product)
            place += product
    return total


def _check(one: Words, other: Words | Small, kind: type[np.generic]) -> None:
    if one.ndim != 2 or other.ndim != 2 or one.shape[1] != other.shape[1]:
        raise Misuse(f"ring: cannot multiply {one.shape} with the transpose of {other.shape}")
    if one.dtype != np.uint64 or other.dtype != kind:
        raise Misuse(f"ring: cannot multiply {one.dtype} with {other.dtype}")


def _limbs(words: Words) -> npt.NDArray[np.float64]:
    """float64[3, n, d]: 22, 22 and 20 bits, the lowest first."""
    limbs = np.empty((_LIMBS, *words.shape))
    for i in range(_LIMBS):
        cut = words >> np.uint64(_LIMB_BITS * i)
        cut &= np.uint64((1 << _LIMB_BITS) - 1)
        limbs[i] = cut.view(np.int64)
    return limbs


def _add_product(total: Words, mine: npt.NDArray[np.float64], theirs: npt.NDArray[np.float64]) -> None:
    for place in range(_LIMBS):
        sums = mine[0] @ theirs[place]
        for i in range(1, place + 1):
            sums += mine[i] @ theirs[place - i]
        total += sums.astype(np.int64).view(np.uint64) << np.uint64(_LIMB_BITS * place)
