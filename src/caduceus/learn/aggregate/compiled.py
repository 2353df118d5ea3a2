"""The coordinate rules' loop and inner products of few rows, compiled; needs numba (the optional extra `fast`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped, import-not-found, unused-ignore]
from numba import njit  # type: ignore[import-not-found, unused-ignore]
from numba.extending import intrinsic  # type: ignore[import-not-found, unused-ignore]

from caduceus.kinds import Floats
from caduceus.learn.aggregate.gram import Rows
from caduceus.learn.aggregate.network import Table
from caduceus.learn.aggregate.voices import Indices

_WIDTH = 128  # columns that go through the network at once: 50 rows of them stay in the first cache

# Places are unsigned in the loops over columns: a signed one might count from the end, and a loop that has to ask is
# not made into vector instructions.


def _instruction(name: str) -> Any:
    """A minimum or maximum as one instruction, where the compiler would otherwise write under a mask.

    For numbers only: with one that is not a number the result is anything, and `columns` says that it is in doubt.
    """

    def typed(_context: object, one: Callable[..., object], other: object) -> object:
        def generate(_target: object, builder: Any, _signature: object, values: Sequence[Any]) -> object:
            kind = values[0].type
            function = builder.module.declare_intrinsic(name, [kind], ir.FunctionType(kind, [kind, kind]))
            return builder.call(function, values, fastmath=("nnan", "nsz"))

        return one(one, other), generate

    return intrinsic(typed)


smaller = _instruction("llvm.minnum")
larger = _instruction("llvm.maxnum")


@njit(cache=True, nogil=True, error_model="numpy")
def columns(  # noqa: C901
    rows: Rows, places: Indices, table: Table, first: int, last: int, closest: int, out: Rows
) -> bool:
    """As `coordinates._columns`: fill `out` by a plan's comparisons, say whether all values were finite for sure."""
    count, length = len(places), rows.shape[1]
    lanes = np.zeros((count, _WIDTH), rows.dtype)
    twice, chosen = np.empty(_WIDTH, rows.dtype), np.empty(_WIDTH, rows.dtype)
    total, doubt = np.empty(_WIDTH, rows.dtype), np.zeros(_WIDTH, rows.dtype)
    size = closest if closest > 0 else last - first
    divisor = np.full(1, size, rows.dtype)  # a division in the rows' own precision, as numpy's
    for start in range(0, length, _WIDTH):
        wide = min(_WIDTH, length - start)
        for lane in range(count):
            run = rows[places[lane], start : start + wide]
            for k in range(wide):
                value = run[k]
                lanes[lane, k] = value
                doubt[k] += value - value  # 0, or not a number
        for pair in range(len(table)):
            low, high, wanted = np.uint64(table[pair, 0]), np.uint64(table[pair, 1]), table[pair, 2]
            if wanted == 0:
                for k in range(_WIDTH):
                    one, other = lanes[low, k], lanes[high, k]
                    lanes[low, k] = smaller(one, other)
                    lanes[high, k] = larger(one, other)
            elif wanted == 1:
                for k in range(_WIDTH):
                    lanes[low, k] = smaller(lanes[low, k], lanes[high, k])
            else:
                for k in range(_WIDTH):
                    lanes[high, k] = larger(lanes[low, k], lanes[high, k])
        if closest > 0:
            low, high = np.uint64((count - 1) // 2), np.uint64(count // 2)
            for k in range(_WIDTH):
                twice[k] = lanes[low, k] + lanes[high, k]
            for s in range(count - size):
                low, high, into = np.uint64(s), np.uint64(s + size), np.uint64(s % size)
                for k in range(_WIDTH):
                    lower, upper = lanes[low, k], lanes[high, k]
                    chosen[k] = upper if lower + upper < twice[k] else lanes[into, k]
                for k in range(_WIDTH):
                    lanes[into, k] = chosen[k]
        for k in range(_WIDTH):
            total[k] = lanes[np.uint64(first), k] + 0  # no zero with a sign, whichever of two zeros was the smaller
        for rank in range(first + 1, first + size):
            for k in range(_WIDTH):
                total[k] += lanes[np.uint64(rank), k]
        merged = out[start : start + wide]
        for k in range(wide):
            merged[k] = total[k] / divisor[0]
    sure = True
    for k in range(_WIDTH):
        sure = sure and doubt[k] == 0
    return sure


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def products(rows: Rows, out: Floats) -> None:
    """Inner products of rows in their precision: float64[n, n], all of it written.

    Twelve products at a time: three rows by four fill the registers, and each number that is read is used three or
    four times.
    """
    count, length = rows.shape
    last = count - 1
    nothing = rows.dtype.type(0)
    for i in range(0, count, 3):
        a, b, c = rows[i], rows[min(i + 1, last)], rows[min(i + 2, last)]
        for j in range(0, i + 3, 4):
            e, f, g, h = rows[min(j, last)], rows[min(j + 1, last)], rows[min(j + 2, last)], rows[min(j + 3, last)]
            ae = af = ag = ah = be = bf = bg = bh = ce = cf = cg = ch = nothing
            for k in range(length):
                x, y, z = a[k], b[k], c[k]
                value = e[k]
                ae += x * value
                be += y * value
                ce += z * value
                value = f[k]
                af += x * value
                bf += y * value
                cf += z * value
                value = g[k]
                ag += x * value
                bg += y * value
                cg += z * value
                value = h[k]
                ah += x * value
                bh += y * value
                ch += z * value
            found = ((ae, af, ag, ah), (be, bf, bg, bh), (ce, cf, cg, ch))
            for row in range(min(3, count - i)):
                for column in range(min(4, count - j)):
                    out[i + row, j + column] = out[j + column, i + row] = found[row][column]
