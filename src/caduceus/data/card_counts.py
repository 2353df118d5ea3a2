"""Counts for a card: how many patients have which values, with noise, made once for a version of a data set.

Every column that is told of has a vector of cells: bins of its public range, or levels, and one for patients without a
value. A patient's rows share one patient's weight in whole steps of 1 / `scale` patients (`data.patients` has the same
shares, rounded otherwise), so all rows of a patient together add to each column's vector numbers that are not negative
and sum to at most 1. Its Euclidean norm is then at most 1, and that of all columns together at most

    sqrt(columns)                                                                                              (1)

Sums of whole steps are exact, so no rounding is added to that. One draw of the exact discrete Gaussian
(`privacy.discrete_gaussian`) blurs all cells at once: one event of the accountant, whatever the number of cells.

What is masked, rounded, or made a share of, is made of noisy numbers and spends nothing more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import numpy.typing as npt

from caduceus import canon
from caduceus.crypto.entropy import expand, tagged
from caduceus.data.patients import patients
from caduceus.data.readiness.finding import FEW
from caduceus.data.schema import BOOLEAN, CATEGORY, INTEGER, Column
from caduceus.data.table import Table
from caduceus.errors import Misuse, Refused
from caduceus.kinds import Floats
from caduceus.privacy import accountant
from caduceus.privacy.events import DISCRETE_GAUSSIAN, Event, Part, Spending
from caduceus.privacy.mechanisms import Release, blur

BINS = 8
"""Cells of a number's public range, at most; a count has one per whole number where there are no more of them."""

DELTA_PICO = 1_000_000
"""Delta of a card's counts where nothing else is said: one in a million."""


@canon.record("data/card-counts/1")
class Counts:
    """Noisy numbers of patients by the values of one column.

    edges    of the cells of a number, rising, one more than cells; each cell includes its lower edge, the last one
             both. Empty where cells are levels (of a boolean: false, true), or where the schema knows no range
    cells    patients per cell, rounded to whole ones; None says "fewer than 11"
    missing  patients without a value, likewise
    """

    edges: tuple[float, ...]
    cells: tuple[int | None, ...]
    missing: int | None


@canon.record("data/card-noise/1")
class Noise:
    """What a card's counts have spent, for everybody to check.

    epsilon_micro, delta_pico  what is taken off the data set's lifetime budget
    multiplier                 standard deviation of the noise over the norm (1) of what a patient changes
    columns                    how many columns are counted; 0 where an earlier version's card has spent it, and its
                               counts are not this version's
    """

    epsilon_micro: int
    delta_pico: int
    multiplier: float
    columns: int

    @property
    def deviation(self) -> float:
        """Standard deviation of the noise in each cell, patients."""
        return self.multiplier * math.sqrt(self.columns)

    @property
    def spending(self) -> Spending:
        """The one release, for the accountant."""
        return Spending((Part((Event(DISCRETE_GAUSSIAN, self.multiplier, 1.0, 1),)),))


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which counts a steward puts on a card.

    epsilon_micro  of the lifetime budget, > 0
    entropy        32 secret bytes that the steward keeps for as long as the data set is registered: the same ones give
                   the same noise for the same records and the same counts, so asking twice tells nothing new
    withheld       columns of which nothing is told
    columns        those that are counted, if not all: half as many have noise that is 1.4 times smaller
    """

    epsilon_micro: int
    entropy: bytes
    delta_pico: int = DELTA_PICO
    withheld: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Wanted({self.epsilon_micro}, ..., {self.delta_pico}, {self.withheld}, {self.columns})"


@dataclass(frozen=True, slots=True)
class Counted:
    """The counts of a table's columns.

    counts  by column, None for columns that are derived (they say nothing new) or withheld
    shares  of patients without a value, in [0, 1]; None as counts, or where the noise would show in it
    """

    noise: Noise
    counts: tuple[Counts | None, ...]
    shares: tuple[float | None, ...]


def count(table: Table, wanted: Wanted, *, step: float) -> Counted:
    """Count a table's patients by column, with noise.

    step  a share of missing values is told where the noise in it has a standard deviation of at most this, in (0, 1)

    Raises Refused if nothing is left to count, if a column to be counted is none of the schema's, or if the epsilon is
    none that noise in whole steps can keep.
    """
    for name in wanted.columns:
        table.schema.column(name)
    told = [
        not one.derived and one.name not in wanted.withheld and (not wanted.columns or one.name in wanted.columns)
        for one in table.schema.columns
    ]
    if not any(told):
        raise Refused("card: every column is withheld or derived: leave the card's epsilon at 0")
    if wanted.epsilon_micro <= 0 or wanted.delta_pico <= 0:
        raise Misuse(f"card: an epsilon of {wanted.epsilon_micro} and a delta of {wanted.delta_pico}")
    strength = accountant.multiplier(*accountant.aim(wanted.epsilon_micro, wanted.delta_pico))
    noise = Noise(wanted.epsilon_micro, wanted.delta_pico, strength, sum(told))
    grids = [edges(column) for column in table.schema.columns]
    lengths = [_cells(column, grid) + 1 for column, grid in zip(table.schema.columns, grids, strict=True)]
    length = sum(size for size, is_told in zip(lengths, told, strict=True) if is_told)
    release = Release(length, float(max(table.rows, 1)), math.sqrt(noise.columns), strength)
    steps = _steps(table, release.scale)
    blocks = [
        np.bincount(_places(table.values[i], column, grids[i]), weights=steps, minlength=lengths[i])
        for i, column in enumerate(table.schema.columns)
        if told[i]
    ]
    sums = np.concatenate(blocks).astype(np.int64).view(np.uint64)
    blur(sums, _key(table, wanted, length), release, 1)
    return _read(sums.view(np.int64) / release.scale, noise, told, grids, lengths, step)


def edges(column: Column) -> tuple[float, ...]:
    """The public edges of a column's cells; empty where cells are levels, or the schema knows no range."""
    if column.kind in (CATEGORY, BOOLEAN) or column.range is None:
        return ()
    low, high = column.range
    if column.kind != INTEGER:
        return (*(low + (high - low) * i / BINS for i in range(BINS)), high)
    first, stop = math.ceil(low), math.floor(high) + 1
    bins = min(BINS, stop - first)
    return tuple(float(first + (stop - first) * i // bins) for i in range(bins + 1))


def check(noise: Noise | None, columns: tuple[tuple[Column, Counts | None], ...]) -> None:
    """Refuse counts that are not what `count` makes, or whose noise is worth more than they state; from anybody.

    Raises Refused, naming the column.
    """
    counted = [(column, counts) for column, counts in columns if counts is not None]
    if noise is None:
        if counted:
            raise Refused(f"card: column '{counted[0][0].name}' is counted, and no noise is stated")
        return
    if noise.columns != len(counted) or not 0 < noise.delta_pico < 10**12:
        raise Refused(f"card: the noise is for {noise.columns} columns, and {len(counted)} are counted")
    if accountant.epsilon_micro(noise.spending, noise.delta_pico) > noise.epsilon_micro:
        raise Refused("card: so little noise is worth more epsilon than is stated")
    for column, counts in counted:
        grid = edges(column)
        numbers = (*counts.cells, counts.missing)
        if counts.edges != grid or len(counts.cells) != _cells(column, grid) or column.derived:
            raise Refused(f"card: column '{column.name}' is counted in other cells than its range or levels give")
        if any(number is not None and number < FEW for number in numbers):
            raise Refused(f"card: column '{column.name}' tells a number below {FEW}")


def _cells(column: Column, grid: tuple[float, ...]) -> int:
    """How many cells a column has besides that of missing values."""
    if grid:
        return len(grid) - 1
    return len(column.levels) if column.kind == CATEGORY else 2 if column.kind == BOOLEAN else 1


def _places(values: Floats, column: Column, grid: tuple[float, ...]) -> npt.NDArray[np.int64]:
    """int64[rows]: the cell of each row; the last for missing values."""
    missing = np.isnan(values)
    known = np.where(missing, 0.0, values)
    if grid:
        places = np.searchsorted(np.array(grid[1:-1]), known, side="right")
    elif column.kind in (CATEGORY, BOOLEAN):
        places = known.astype(np.int64)
    else:
        places = np.zeros(len(known), np.int64)
    return np.where(missing, _cells(column, grid), places).astype(np.int64)


def _steps(table: Table, scale: int) -> Floats:
    """float64[rows], whole numbers: what each row adds to its cells; those of a patient sum to `scale` at most."""
    index = patients(table).index
    rows = np.bincount(index) if table.rows else np.zeros(0, np.int64)
    steps: Floats = (scale // rows[index]).astype(np.float64)  # sums stay below 2**53, so float64 adds them exactly
    return steps


def _key(table: Table, wanted: Wanted, length: int) -> bytes:
    """The key of the noise: another one for other records, other patients, or other counts."""
    whose = table.patients
    context = tagged(
        "card",
        table.schema.digest(),
        sha256(table.record_bytes().tobytes()).digest(),
        sha256(b"".join(tagged("row", str(one).encode()) for one in whose)).digest() if whose is not None else b"",
        *(str(number).encode() for number in (wanted.epsilon_micro, wanted.delta_pico, length)),
        *(b"withheld " + name.encode() for name in wanted.withheld),
        *(b"counted " + name.encode() for name in wanted.columns),
    )
    return expand(wanted.entropy, "card/noise", context)


def _read(
    numbers: Floats, noise: Noise, told: list[bool], grids: list[tuple[float, ...]], lengths: list[int], step: float
) -> Counted:
    counts: list[Counts | None] = []
    shares: list[float | None] = []
    start = 0
    for grid, length, is_told in zip(grids, lengths, told, strict=True):
        if not is_told:
            counts.append(None)
            shares.append(None)
            continue
        block = numbers[start : start + length]
        start += length
        masked = tuple(None if number < FEW else number for number in (round(float(one)) for one in block))
        counts.append(Counts(grid, masked[:-1], masked[-1]))
        total = float(block.sum())
        shares.append(min(max(float(block[-1]) / total, 0.0), 1.0) if noise.deviation <= step * total else None)
    return Counted(noise, tuple(counts), tuple(shares))
