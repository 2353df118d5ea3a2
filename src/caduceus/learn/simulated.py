"""Made-up patients for planning: what noise would cost a job, before anyone has touched a record.

Every value follows from public words, so a plan can be drawn again. Nothing here is like any one hospital: a few
columns say much and most say little, all of them share a common cause as age does in medicine, a third are yes or no,
and some values are missing. The outcome is drawn from a logistic model, so a plan shows what noise costs and not what
the wrong model does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from caduceus.data.schema import BOOLEAN, FEATURE, NUMBER, TARGET, Column, Schema
from caduceus.data.table import Table
from caduceus.errors import Misuse
from caduceus.kinds import Floats
from caduceus.learn.evaluate import sigmoid
from caduceus.learn.folds import keystream

OUTCOME = "outcome"

SPREAD = 1.3
"""Standard deviation of the log-odds over patients: whoever knew them would reach an AUROC of about 0.8."""

MISSING = 0.05
"""Chance of every value but the outcome to be missing."""

SHARED = 0.4
"""Correlation of every measured cause with the common one."""

_FLAGS = 3  # every third column is yes or no
_MIDDLE, _UNIT, _TOP = 50.0, 12.5, 100.0  # of a number: mean, standard deviation, upper end of the public range
_PILOT = 8192  # patients from whom the weights' scale and the intercept are found


@dataclass(frozen=True, slots=True)
class Population:
    """Whom patients are drawn from.

    features  columns, >= 1
    rate      share of patients with the outcome, in (0, 1)
    seed      from 0 to 2^63 - 1: another one is another disease with other patients
    """

    features: int
    rate: float
    seed: int


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """Patients of one population.

    hospitals  whose rows a model learns from
    judging    patients of nobody's, to judge it on
    truth      float64[rows of judging], the log-odds that their outcomes were drawn from: no model knows better
    """

    hospitals: tuple[Table, ...]
    judging: Table
    truth: Floats


def schema(features: int) -> Schema:
    """What the made-up tables mean.

    features  columns, >= 1

    Raises Misuse for fewer.
    """
    if features < 1:
        raise Misuse(f"schema: {features} columns to learn from")
    names = [(f"flag {i + 1}", BOOLEAN) if _is_flag(i) else (f"number {i + 1}", NUMBER) for i in range(features)]
    columns = [_column(name, kind, FEATURE) for name, kind in names]
    return Schema("made-up patients", (*columns, _column(OUTCOME, BOOLEAN, TARGET)))


def make(population: Population, sizes: Sequence[int], judging: int) -> Made:
    """Draw patients; the same ones for the same arguments.

    sizes    rows of every hospital, each a patient
    judging  patients to judge on

    Raises Misuse if the numbers make no population.
    """
    if not 0 < population.rate < 1 or population.features < 1 or any(size < 1 for size in (*sizes, judging)):
        raise Misuse(f"make: {population}, {len(sizes)} hospitals and {judging} patients to judge on")
    weights, intercept = _model(population)
    everyone, _ = _draw(population, "learning", sum(sizes), weights, intercept)
    ends = np.cumsum(sizes).tolist()
    hospitals = (everyone.select(np.arange(end - size, end)) for end, size in zip(ends, sizes, strict=True))
    fresh, truth = _draw(population, "judging", judging, weights, intercept)
    return Made(tuple(hospitals), fresh, truth)


def _is_flag(column: int) -> bool:
    return column % _FLAGS == _FLAGS - 1


def _column(name: str, kind: str, role: str) -> Column:
    low, high = (0.0, 1.0) if kind == BOOLEAN else (0.0, _TOP)
    return Column(name, kind, role, "", "made up", low, high, (), role == TARGET, None)


def _model(population: Population) -> tuple[Floats, float]:
    """What the outcome depends on: float64[features], per standardised column, and the intercept."""
    ranks = np.argsort(_uniform(population, "ranks", population.features), kind="stable")
    signs = np.where(_uniform(population, "signs", population.features) < 0.5, -1.0, 1.0)
    weights = signs / np.sqrt(1.0 + ranks)
    risk = _standardised(_values(population, "pilot", _PILOT)).T @ weights
    scale = SPREAD / float(risk.std())
    weights, risk = scale * weights, scale * risk
    low, high = -60.0, 60.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if float(sigmoid(risk + middle).mean()) < population.rate else (low, middle)
    return weights, high


def _draw(population: Population, part: str, rows: int, weights: Floats, intercept: float) -> tuple[Table, Floats]:
    """Patients, and their log-odds. What is missing was there when the outcome came about."""
    values = _values(population, part, rows)
    log_odds = _standardised(values).T @ weights + intercept
    outcome = _uniform(population, f"{part}/outcome", rows) < sigmoid(log_odds)
    values[_uniform(population, f"{part}/missing", values.size).reshape(values.shape) < MISSING] = np.nan
    return Table(schema(population.features), np.vstack([values, outcome.astype(np.float64)])), log_odds


def _values(population: Population, part: str, rows: int) -> Floats:
    """float64[features, rows], nothing missing; numbers to one decimal, as they are written down."""
    shape = (population.features, rows)
    common = _normal(population, f"{part}/common", rows)
    causes = SHARED * common + math.sqrt(1 - SHARED**2) * _normal(population, part, shape[0] * rows).reshape(shape)
    values = np.clip(np.round(_MIDDLE + _UNIT * causes, 1), 0.0, _TOP)
    values[_FLAGS - 1 :: _FLAGS] = causes[_FLAGS - 1 :: _FLAGS] > _thresholds(shape[0])[:, None]
    return values


def _thresholds(features: int) -> Floats:
    """Where a cause becomes a yes: in half of the patients for the first flag, in ever fewer for the next three."""
    return np.array([0.0, 0.5, 1.0, 1.5])[np.arange(features // _FLAGS) % 4]


def _standardised(values: Floats) -> Floats:
    scaled = (values - _MIDDLE) / _UNIT
    flags = values[_FLAGS - 1 :: _FLAGS]
    shares = np.array([0.5 * math.erfc(edge / math.sqrt(2)) for edge in _thresholds(len(values))])[:, None]
    scaled[_FLAGS - 1 :: _FLAGS] = (flags - shares) / np.sqrt(shares * (1 - shares))
    return scaled


def _normal(population: Population, what: str, size: int) -> Floats:
    """Standard normal numbers: float64[size] (Box and Muller 1958)."""
    half = -(-size // 2)
    pairs = _uniform(population, what, 2 * half)
    radius, angle = np.sqrt(-2.0 * np.log1p(-pairs[:half])), 2.0 * math.pi * pairs[half:]
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:size]


def _uniform(population: Population, what: str, size: int) -> Floats:
    """float64[size] in [0, 1): 53 bits of public words."""
    words = keystream(size, "made-up patients", what, population.seed)
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53
