"""The different texts of a column, each once: what patterns are tried on, so that a value costs as much as a million.

Whole numbers are read as texts too, because a spreadsheet turns telephone numbers into numbers; so are numbers with a
fraction of zero, which is what whole numbers become where some are missing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from caduceus.data.readiness.sheet import Leaf

Mask = npt.NDArray[np.bool_]

LONGEST = 200
"""Characters of a text that patterns of a whole value are tried on."""


@dataclass(frozen=True, slots=True, eq=False)
class Distinct:
    """The different texts at a place.

    values  Arrow strings, trimmed, not empty, all different
    codes   int64[values of the leaf]: which of `values` each is; -1 where there is none
    counts  int64[len(values)]: how often each occurs
    rows    int64[values of the leaf], the record of each; None if they are one a record
    number  whether the leaf holds numbers
    day     whether the leaf holds dates or times
    longest characters of the longest text; 0 if there is none
    """

    values: pa.Array
    codes: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64] | None
    number: bool
    day: bool
    longest: int

    @property
    def total(self) -> int:
        """How many values there are, missing ones not counted."""
        return int(self.counts.sum())

    def matching(self, pattern: str, *, ignore_case: bool = False, longest: int = LONGEST) -> Mask:
        """Which of the different texts hold a match of a pattern in RE2's syntax: bool[len(values)].

        longest  texts of more characters are not tried and do not match: documents are no names
        """
        if self.longest <= longest:
            return truth(pc.match_substring_regex(self.values, pattern, ignore_case=ignore_case))
        short = truth(pc.less_equal(pc.utf8_length(self.values), longest))
        tried = self.values.filter(pa.array(short))
        return self.narrowed(short, truth(pc.match_substring_regex(tried, pattern, ignore_case=ignore_case)).tolist())

    def share(self, mask: Mask) -> float:
        """The share of all values that are among these texts; 0 if there are none."""
        return float(self.counts[mask].sum()) / self.total if self.total else 0.0

    def records(self, mask: Mask) -> int:
        """How many records hold one of these texts."""
        if self.rows is None:
            return int(self.counts[mask].sum())
        hit = np.append(mask, False)[self.codes]
        return int(np.unique(self.rows[hit]).size)

    def all_records(self) -> int:
        """How many records hold any text."""
        return self.records(np.ones(len(self.values), np.bool_))

    def texts(self, mask: Mask) -> list[str]:
        """These texts as Python strings: for checks that no pattern can make. They must not leave the rule."""
        return list(self.values.filter(pa.array(mask)).to_pylist())

    def narrowed(self, mask: Mask, keep: list[bool]) -> Mask:
        """`mask` with only those of its texts that also passed a check, given in the order of `texts`."""
        out = mask.copy()
        out[np.flatnonzero(mask)] = keep
        return out


def truth(array: pa.Array) -> Mask:
    """An Arrow array of booleans as NumPy's, null as False."""
    whole = pc.fill_null(array, False) if array.null_count else array
    return np.asarray(whole.to_numpy(zero_copy_only=False), dtype=np.bool_)


def distinct(leaf: Leaf) -> Distinct | None:
    """The different texts of a leaf; None for booleans and for numbers with fractions."""
    texts = _texts(leaf.values)
    if texts is None:
        return None
    number = pa.types.is_integer(leaf.values.type) or pa.types.is_floating(leaf.values.type)
    encoded = pc.dictionary_encode(texts)
    codes = np.asarray(pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False), dtype=np.int64)
    counts = np.bincount(codes[codes >= 0], minlength=len(encoded.dictionary)).astype(np.int64)
    day = pa.types.is_temporal(leaf.values.type)
    longest = pc.max(pc.utf8_length(encoded.dictionary)).as_py() or 0
    return Distinct(encoded.dictionary, codes, counts, leaf.rows, number, day, longest)


def _texts(array: pa.Array) -> pa.Array | None:
    kind = array.type
    if pa.types.is_dictionary(kind):
        array, kind = array.dictionary_decode(), kind.value_type
    if pa.types.is_floating(kind):
        whole = pc.all(pc.equal(array, pc.round(array)), skip_nulls=True, min_count=0).as_py()
        finite = pc.all(pc.less(pc.abs(array), 2.0**53), skip_nulls=True, min_count=0).as_py()
        if not (whole and finite):
            return None
        array, kind = pc.cast(array, pa.int64()), pa.int64()
    if pa.types.is_integer(kind) or pa.types.is_temporal(kind):
        return pc.cast(array, pa.string())
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return None
    trimmed = pc.utf8_trim_whitespace(pc.cast(array, pa.string()))
    return pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, pa.string()), trimmed)
