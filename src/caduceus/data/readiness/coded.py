"""Columns as arrays that can be counted: one value per record, as small integers, as numbers or as days.

No rule below walks over records one by one; what they do is done on these arrays whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from caduceus.data.readiness.finding import FEW
from caduceus.data.readiness.sheet import Leaf
from caduceus.errors import Misuse
from caduceus.kinds import Floats

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

ROOM = 8
"""A table of this many cells per record is still cheaper than hashing the records."""


@dataclass(frozen=True, slots=True, eq=False)
class Coded:
    """A column in which only equal and different count.

    name    of the column, as a finding says it
    codes   int64[rows] in [0, levels); missing is a level of its own
    levels  how many codes there may be, >= 1 unless there is no row
    """

    name: str
    codes: Integers
    levels: int

    def __post_init__(self) -> None:
        if len(self.codes) and not 0 <= int(self.codes.min()) <= int(self.codes.max()) < self.levels:
            raise Misuse(f"Coded {self.name}: a code is not in [0, {self.levels})")

    @property
    def used(self) -> int:
        """How many of the codes some record has."""
        return int(np.count_nonzero(np.bincount(self.codes, minlength=1)))


UNKNOWN = ("?", ".", "-", "na", "n/a", "nan", "null", "none", "unknown")
"""Texts that stand for a missing number, in lower case."""


def share(count: int, of: int) -> str:
    """How many of the records as a text may say it: "12 % of the records", nothing that tells a count below `FEW`."""
    if not of or 0 < count < FEW:
        return f"fewer than {FEW} records"
    percent = 100 * count / of
    return f"{percent:.0f} % of the records" if percent >= 10 or count == 0 else f"{percent:.1f} % of the records"


def per_record(leaf: Leaf, rows: int) -> pa.Array:
    """The first value of every record, null where it has none.

    returns  Arrow array of `rows` values, no dictionary
    """
    values = leaf.values
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if leaf.rows is None:
        return values
    first = np.full(rows, -1, dtype=np.int64)
    first[leaf.rows[::-1]] = np.arange(len(values) - 1, -1, -1)  # the last write is the first value
    return values.take(pa.array(first, mask=first < 0))


def code(values: pa.Array, name: str = "") -> Coded:
    """A column as codes; null, NaN and "" are one more level, the last, if there are any."""
    values = _blank_to_null(values)
    kind = values.type
    if pa.types.is_integer(kind) and len(values) > values.null_count:
        low, high = (int(end.as_py()) for end in pc.min_max(values).values())
        if high - low < max(1024, ROOM * len(values)) and high < 2**62 and low > -(2**62):
            span = high - low + 1
            codes = pc.fill_null(pc.subtract(values.cast(pa.int64()), low), span).to_numpy(zero_copy_only=False)
            return Coded(name, codes, span + bool(values.null_count))
    encoded = values.dictionary_encode()
    levels = len(encoded.dictionary)
    codes = pc.fill_null(encoded.indices, levels).to_numpy(zero_copy_only=False).astype(np.int64)
    return Coded(name, codes, max(levels + bool(values.null_count), 1))


def dense(codes: Integers, levels: int) -> tuple[Integers, int]:
    """The same partition with codes from 0 without gaps, and how many there are."""
    if levels <= ROOM * len(codes) + 1024:
        used = np.bincount(codes, minlength=levels) > 0
        return (np.cumsum(used) - 1)[codes], int(used.sum())
    encoded = pa.array(codes).dictionary_encode()
    return encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64), len(encoded.dictionary)


def present(values: pa.Array) -> Flags:
    """bool[rows]: where a value stands; null, NaN and "" are none."""
    flags: Flags = _blank_to_null(values).is_valid().to_numpy(zero_copy_only=False)
    return flags


def numbers(values: pa.Array) -> Floats | None:
    """A column as float64[rows], NaN where missing; None if it does not hold numbers.

    Texts count as numbers if at least nine in ten of the different ones are, `UNKNOWN` left aside.
    """
    kind = values.type
    if pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        found: Floats = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
        return found
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return None
    encoded = _blank_to_null(values).dictionary_encode()
    if _are_mostly(encoded.dictionary, lambda text: np.isnan(_number(text)) and text.strip().lower() not in UNKNOWN):
        return None
    texts = encoded.dictionary.to_pylist()
    means = np.array([_number(text) for text in texts] + [np.nan])
    said = [i for i, text in enumerate(texts) if text.strip().lower() not in UNKNOWN]
    if not said or np.isnan(means[said]).sum() > 0.1 * len(said):
        return None
    read: Floats = means[pc.fill_null(encoded.indices, len(texts)).to_numpy(zero_copy_only=False)]
    return read


NO_DAY = np.iinfo(np.int64).min


def days(values: pa.Array) -> Integers | None:
    """A column as int64[rows] days since 1970, `NO_DAY` where missing; None if it does not hold dates.

    Texts count as dates if the different ones start with YYYY-MM-DD, nine in ten of them at least.
    """
    kind = values.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        found = values.cast(pa.timestamp("us")).cast(pa.date32(), safe=False).cast(pa.int32())
        day: Integers = pc.fill_null(found.cast(pa.int64()), NO_DAY).to_numpy(zero_copy_only=False)
        return day
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return None
    encoded = _blank_to_null(values).dictionary_encode()
    if _are_mostly(encoded.dictionary, lambda text: _day(text) == NO_DAY):
        return None
    texts = encoded.dictionary.to_pylist()
    means = np.array([*(_day(text) for text in texts), NO_DAY], dtype=np.int64)
    if not texts or (means[:-1] == NO_DAY).sum() > 0.1 * len(texts):
        return None
    read: Integers = means[pc.fill_null(encoded.indices, len(texts)).to_numpy(zero_copy_only=False)]
    return read


def _blank_to_null(values: pa.Array) -> pa.Array:
    kind = values.type
    if pa.types.is_floating(kind):
        return pc.if_else(pc.is_nan(values), None, values)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return pc.if_else(pc.equal(pc.utf8_trim_whitespace(values), ""), None, values)
    return values


def _are_mostly(texts: pa.Array, other: Callable[[str], bool]) -> bool:
    """Whether more than half of the first texts are something else, so that the rest need not be read."""
    first = texts[:200].to_pylist()
    return 2 * sum(other(text) for text in first) > len(first)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return np.nan


def _day(text: str) -> int:
    try:
        return int(np.datetime64(text.strip()[:10], "D").astype(np.int64)) if text.strip()[4:5] == "-" else NO_DAY
    except ValueError:
        return NO_DAY
