"""One site's rows where updates are judged: each in a stratum, some kept back to judge with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from caduceus import canon
from caduceus.data.schema import Schema
from caduceus.data.table import Table
from caduceus.errors import Refused
from caduceus.kinds import Floats
from caduceus.learn.folds import permutation
from caduceus.learn.inquiry.cells import Condition, check_condition, matching

REST = "everyone else"
"""The first stratum: whoever is in none that the job names."""

MOST_STRATA = 8
"""That a job names: every one of them is a row of every site in every round."""


@canon.record("learn/stratum/1")
class Stratum:
    """Patients whom a job looks at apart, because a model that is good on average may fail them.

    name   for people
    where  conditions that a row meets, all of them
    """

    name: str
    where: tuple[Condition, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class JudgedData:
    """What a site, or an evaluator, computes its vectors from; it never leaves it.

    label     its public name
    features  float64[rows, columns], scaled to [-1, 1], NaN where missing
    target    float64[rows], 0 or 1
    stratum   int64[rows], from 0
    held      bool[rows], kept back: no model learns from them
    """

    label: str
    features: Floats
    target: Floats
    stratum: npt.NDArray[np.int64]
    held: npt.NDArray[np.bool_]

    @property
    def rows(self) -> int:
        """How many rows."""
        return len(self.target)


def check_strata(strata: tuple[Stratum, ...], schema: Schema) -> None:
    """Refuse strata that cannot be told apart.

    Raises Refused, naming the stratum and the column.
    """
    if len(strata) > MOST_STRATA:
        raise Refused(f"judging.stratum: at most {MOST_STRATA}, got {len(strata)}")
    names = [REST, *(one.name for one in strata)]
    for at, one in enumerate(strata, 1):
        if one.name in names[:at] or not one.name:
            raise Refused(f"judging.stratum: the name '{one.name}' stands twice, or is empty or '{REST}'")
        if not one.where:
            raise Refused(f"judging.stratum '{one.name}': needs a 'where'")
        for condition in one.where:
            check_condition(condition, schema)


def names_of(strata: tuple[Stratum, ...]) -> tuple[str, ...]:
    """Of all strata, the unnamed first one among them."""
    return (REST, *(one.name for one in strata))


def place(strata: tuple[Stratum, ...], table: Table) -> npt.NDArray[np.int64]:
    """Every row's stratum: int64[rows], the first one whose conditions it meets, counted from 1; 0 for none."""
    found = np.zeros(table.rows, dtype=np.int64)
    for number in range(len(strata), 0, -1):
        found[matching(strata[number - 1].where, table)] = number
    return found


def hold_back(
    target: Floats, stratum: npt.NDArray[np.int64], label: str, seed: int, fraction: float
) -> npt.NDArray[np.bool_]:
    """Which rows a site keeps back: a share of every class of every stratum, in a public order.

    fraction  in (0, 1)
    returns   bool[rows]; of a class in a stratum at least one row, unless it has one only
    """
    held = np.zeros(len(target), dtype=np.bool_)
    order = permutation(len(target), "held", label, seed)
    for part in range(int(stratum.max(initial=0)) + 1):
        for value in (0.0, 1.0):
            rows = order[(stratum[order] == part) & (target[order] == value)]
            if len(rows) > 1:
                held[rows[: max(1, round(fraction * len(rows)))]] = True
    return held
