"""Which few columns single a person out: a search for the worst sets of columns.

A record that is alone, or one of few, in a set of columns stays so in every larger set. So a set is bad for good,
only its smallest bad subsets are worth naming, and inside a branch only the records that are still in a crowd have
to be grouped again.

Sources: Sweeney, "k-anonymity", IJUFKS 10(5), 2002. Elliot, Manning and Ford, "A computational algorithm for
handling the special uniques problem", IJUFKS 10(5), 2002 (minimal sample uniques). Skinner and Elliot, "A measure of
disclosure risk for microdata", JRSS B 64(4), 2002, equation 4 (`correct_match`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np

from caduceus.data.readiness.coded import ROOM, Coded, Flags, Integers, dense
from caduceus.errors import Misuse

BUDGET = 400_000_000
"""Records grouped in one search, all sets together: seconds on one core."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """How far a set of columns singles persons out.

    columns  their names
    unique   records of persons who are alone in their class
    small    records in classes of fewer than k persons, the unique among them
    pairs    classes of two persons
    """

    columns: tuple[str, ...]
    unique: int
    small: int
    pairs: int


@dataclass(frozen=True, slots=True)
class Search:
    """What a search found.

    rows      records
    k         persons that a class needs
    minimal   sets with more than the limit of records in small classes, none of whose subsets is such a set;
              smaller sets first, then worse ones
    worst     of every size looked at, the set with the most records in small classes
    whole     all columns together
    examined  sets that were grouped
    left      sets up to the largest size that were not looked at because the budget was used up
    largest   columns in a set, at most
    """

    rows: int
    k: int
    minimal: tuple[Exposure, ...]
    worst: tuple[Exposure, ...]
    whole: Exposure
    examined: int
    left: int
    largest: int


def exposure(columns: Sequence[Coded], *, k: int, who: Integers | None = None) -> Exposure:
    """How far these columns together single persons out.

    columns  all of the same length, in any order
    k        persons that a class needs, >= 1
    who      int64[rows]: number of the person that a record is of; None if every record is another person
    """
    rows = _length(columns)
    crowd = _everybody(rows)
    for column in columns[:-1]:
        crowd = _refine(crowd, column, who)
    return Exposure(tuple(column.name for column in columns), *_count(crowd, columns[-1], k, who))


def classes(columns: Sequence[Coded]) -> tuple[Integers, int]:
    """The class of every record, counted from 0 without gaps, and how many there are."""
    codes, count = np.zeros(_length(columns), np.int64), 1
    for column in columns:
        codes, count = dense(codes * column.levels + column.codes, count * column.levels)
    return codes, count


def search(
    columns: Sequence[Coded],
    *,
    k: int,
    limit: float,
    largest: int = 3,
    budget: int = BUDGET,
    who: Integers | None = None,
) -> Search:
    """Find the smallest sets of columns that leave more than `limit` of the records in small classes.

    columns  quasi-identifiers, all of the same length; names all different
    k        persons that a class needs, >= 2
    limit    share of records, in [0, 1)
    largest  columns in a set, at most, >= 1
    budget   records grouped in all, at most; the smallest sets come first
    who      as in `exposure`
    """
    if len({column.name for column in columns}) < len(columns):
        raise Misuse("search: two columns have the same name")
    if k < 2 or largest < 1 or not 0 <= limit < 1:
        raise Misuse(f"search: k {k}, largest {largest}, limit {limit}")
    rows = _length(columns)
    ordered = sorted((one for one in columns if one.levels > 1), key=lambda one: -one.levels)
    hunt = _Hunt(ordered, k, limit * rows, who, budget)
    whole = exposure(columns, k=k, who=who)
    largest = min(largest, len(ordered))
    for size in range(1, largest + 1):
        if whole.small <= hunt.bar and size > 1:
            break  # no subset is worse than the whole
        hunt.descend(_everybody(rows), (), size)
    minimal = sorted(hunt.bad.values(), key=lambda one: (len(one.columns), -one.small, one.columns))
    worst = tuple(hunt.worst[size] for size in sorted(hunt.worst))
    return Search(rows, k, tuple(minimal), worst, whole, hunt.examined, hunt.left, largest)


def correct_match(unique: int, pairs: int, sampling: float) -> float:
    """The chance that a record which matches a unique one, and only it, is that person's.

    unique    records that are alone in their class
    pairs     classes of two records
    sampling  share of the population that is in the data, in (0, 1]
    returns   in [0, 1]; 0 if nothing is unique

    Source: Skinner and Elliot 2002, equation 4.
    """
    if not 0 < sampling <= 1:
        raise Misuse(f"correct_match: a sampling share of {sampling}")
    top = sampling * unique
    return top / (top + 2 * (1 - sampling) * pairs) if unique else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class _Crowd:
    """The records of persons who are not yet alone, their classes, and how many records are of persons who are."""

    rows: Integers
    codes: Integers
    classes: int
    unique: int


def _everybody(rows: int) -> _Crowd:
    return _Crowd(np.arange(rows), np.zeros(rows, np.int64), 1, 0)


class _Hunt:
    """One search: what is known, and how much may still be done."""

    def __init__(self, columns: Sequence[Coded], k: int, bar: float, who: Integers | None, budget: int) -> None:
        self.columns, self.k, self.bar, self.who, self.budget = columns, k, bar, who, budget
        self.bad: dict[frozenset[int], Exposure] = {}
        self.worst: dict[int, Exposure] = {}
        self.examined = self.left = 0

    def descend(self, crowd: _Crowd, chosen: tuple[int, ...], size: int) -> None:
        """Look at all sets of `size` columns that begin with the chosen ones, which are `crowd`."""
        last = len(chosen) + 1 == size
        for place in range(chosen[-1] + 1 if chosen else 0, len(self.columns) - (size - len(chosen)) + 1):
            grown = (*chosen, place)
            if self._is_bad(grown):
                continue
            if self.budget < len(crowd.rows):
                self.left += self._open_sets(grown, size)
                continue
            self.budget -= len(crowd.rows)
            if last:
                self._judge(grown, _count(crowd, self.columns[place], self.k, self.who))
            else:
                self.descend(_refine(crowd, self.columns[place], self.who), grown, size)

    def _is_bad(self, places: tuple[int, ...]) -> bool:
        if not self.bad:
            return False
        sets = (frozenset(some) for size in range(1, len(places) + 1) for some in combinations(places, size))
        return any(one in self.bad for one in sets)

    def _judge(self, places: tuple[int, ...], counts: tuple[int, int, int]) -> None:
        self.examined += 1
        found = Exposure(tuple(sorted(self.columns[place].name for place in places)), *counts)
        before = self.worst.get(len(places))
        if before is None or found.small > before.small:
            self.worst[len(places)] = found
        if found.small > self.bar:
            self.bad[frozenset(places)] = found

    def _open_sets(self, chosen: tuple[int, ...], size: int) -> int:
        """How many sets of `size` columns begin with these, supersets of bad ones among them."""
        return comb(len(self.columns) - chosen[-1] - 1, size - len(chosen))


def _length(columns: Sequence[Coded]) -> int:
    lengths = {len(column.codes) for column in columns}
    if len(lengths) != 1:
        raise Misuse(f"columns of {len(lengths)} lengths; all need the same records")
    return lengths.pop()


def _keys(crowd: _Crowd, column: Coded) -> tuple[Integers, int]:
    """A key for the class of every record of a crowd once the column is added, and how many keys there may be."""
    codes = column.codes if len(crowd.rows) == len(column.codes) else column.codes[crowd.rows]
    return crowd.codes * column.levels + codes, crowd.classes * column.levels


def _grouped(crowd: _Crowd, column: Coded) -> tuple[Integers, int]:
    """The class of every record of a crowd once the column is added, and how many classes there may be."""
    keys, count = _keys(crowd, column)
    return (keys, count) if count <= ROOM * len(keys) + 1024 else dense(keys, count)


def _persons(keys: Integers, count: int, crowd: _Crowd, who: Integers | None, rows: Integers) -> Integers:
    """How many persons every class has; `rows` says how many records."""
    if who is None:
        return rows
    here = who[crowd.rows]
    seen = pairs_of(keys, here, int(here.max(initial=0)) + 1)
    return np.bincount(seen, minlength=count)


def pairs_of(keys: Integers, who: Integers, people: int) -> Integers:
    """The class of every different pair of class and person."""
    different = np.unique(keys * people + who)
    return different // people


def _count(crowd: _Crowd, column: Coded, k: int, who: Integers | None) -> tuple[int, int, int]:
    """The unique, the small and the pairs of `Exposure`, once the column is added."""
    keys, count = _keys(crowd, column)
    if who is None and count > ROOM * len(keys) + 1024:
        rows = persons = _runs(keys)
    else:
        keys, count = _grouped(crowd, column)
        rows = np.bincount(keys, minlength=count)
        persons = _persons(keys, count, crowd, who, rows)
    alone = crowd.unique + int(rows[persons == 1].sum())
    return alone, crowd.unique + int(rows[persons < k].sum()), int((persons == 2).sum())


def _runs(keys: Integers) -> Integers:
    """How often every key is there; sorting is faster than hashing where no table of keys is affordable."""
    keys = np.sort(keys)
    edges = np.flatnonzero(keys[1:] != keys[:-1]) + 1
    return np.diff(np.concatenate(([0], edges, [len(keys)]))) if len(keys) else keys


def _refine(crowd: _Crowd, column: Coded, who: Integers | None) -> _Crowd:
    keys, count = _grouped(crowd, column)
    rows = np.bincount(keys, minlength=count)
    persons = _persons(keys, count, crowd, who, rows)
    several: Flags = persons > 1
    number = np.cumsum(several) - 1
    kept = several[keys]
    return _Crowd(
        rows=crowd.rows[kept],
        codes=number[keys[kept]],
        classes=max(int(several.sum()), 1),
        unique=crowd.unique + int(rows[persons == 1].sum()),
    )
