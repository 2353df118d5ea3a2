"""What the paper says, as comparisons of arms, and what figures say to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy.stats import t as student

from caduceus.kinds import Floats
from worlds import published
from worlds.arms import GEOMETRIC, KRUM, MEAN, MEDIAN, TIGHT, Arm
from worlds.protocol import ATTACKS
from worlds.settings import (
    MIMIC_SORTED,
    STROKE_NATURAL,
    STROKE_SORTED,
    TAIL_ALIKE,
    TAIL_SORTED,
    on_digits,
    on_stroke,
)

Found = Mapping[str, Mapping[Arm, Floats]]
"""Per setting and arm: float64[seeds, 2], overall and on the minority."""

OVERALL, MINORITY = 0, 1
CONFIDENCE = 0.95


class Verdict(StrEnum):
    """What paired differences say to a comparison."""

    HOLDS = "holds"
    REVERSED = "reversed"
    OPEN = "open"


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """One figure is said to exceed another.

    gain  float64[seeds], by how much it does
    """

    text: str
    gain: Floats

    @property
    def interval(self) -> tuple[float, float]:
        """Mean of the gain and half-width of its interval (Student's t over seeds)."""
        seeds = len(self.gain)
        half = student.ppf((1.0 + CONFIDENCE) / 2.0, seeds - 1) * self.gain.std(ddof=1) / np.sqrt(seeds)
        return float(self.gain.mean()), float(half)

    @property
    def verdict(self) -> Verdict:
        """Holds or is reversed where the interval is on one side of zero; else it is open."""
        mean, half = self.interval
        if abs(mean) <= half:
            return Verdict.OPEN
        return Verdict.HOLDS if mean > 0.0 else Verdict.REVERSED


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence that is true if all of its comparisons hold."""

    text: str
    comparisons: Sequence[Comparison]

    def of(self, verdict: Verdict) -> list[Comparison]:
        """The comparisons with that verdict."""
        return [one for one in self.comparisons if one.verdict is verdict]


def claims(found: Found) -> list[Claim]:
    """The paper's claims that the settings at hand can say something to."""
    peaceful = (STROKE_NATURAL, STROKE_SORTED)
    digits, stroke = [on_digits(name) for name in ATTACKS], [on_stroke(name) for name in ATTACKS]
    drop = [(Arm(MEAN, False), Arm(rule, False)) for rule in (KRUM, MEDIAN, GEOMETRIC)]
    lift = [(Arm(rule, True), Arm(rule, False)) for rule in (KRUM, MEDIAN, GEOMETRIC)]
    lost = [(Arm(MEAN, False), Arm(rule, False)) for rule in (KRUM, MEDIAN)]
    gained = [(Arm(rule, True), Arm(rule, False)) for rule in (KRUM, MEDIAN)]
    clipped = [(Arm(TIGHT, True), Arm(TIGHT, False))]
    made = [
        Claim("tables 1, 3: every published ordering, digits", list(_tables(found, TAIL_SORTED, published.LONG_TAIL))),
        Claim("tables 2, 4: every published ordering, digits", list(_tables(found, MIMIC_SORTED, published.MIMIC))),
        _claim("without an attacker, robust rules drop the minority: digits", found, (TAIL_SORTED,), drop, MINORITY),
        _claim("the same: stroke", found, peaceful, drop, MINORITY),
        Claim("they lose more where records are sorted than where they are alike: digits", list(_worse(found))),
        _claim("without an attacker, bucketing lifts them, overall: digits", found, (TAIL_SORTED,), lift, OVERALL),
        _claim("the same: stroke", found, peaceful, lift, OVERALL),
        _claim("and for the minority, too (not in the paper): digits", found, (TAIL_SORTED,), lift, MINORITY),
        _claim("the same: stroke", found, peaceful, lift, MINORITY),
        _claim("under attack Krum and median lose to the mean: digits", found, (MIMIC_SORTED, *digits), lost, OVERALL),
        _claim("the same: stroke", found, stroke, lost, OVERALL),
        _claim(
            "under attack Krum and median lose to bucketing: digits", found, (MIMIC_SORTED, *digits), gained, OVERALL
        ),
        _claim("the same: stroke", found, stroke, gained, OVERALL),
        _claim("so does the geometric median: digits", found, (MIMIC_SORTED, *digits), lift[2:], OVERALL),
        _claim("the same: stroke", found, stroke, lift[2:], OVERALL),
        _claim("so does clipping, where it clips: digits", found, (MIMIC_SORTED, *digits), clipped, OVERALL),
        _claim("the same: stroke", found, stroke, clipped, OVERALL),
    ]
    return [one for one in made if one.comparisons]


def _claim(text: str, found: Found, settings: Iterable[str], pairs: Sequence[tuple[Arm, Arm]], figure: int) -> Claim:
    return Claim(
        text,
        [
            _compare(found, setting, better, worse, figure)
            for setting in settings
            if setting in found
            for better, worse in pairs
        ],
    )


def _compare(found: Found, setting: str, better: Arm, worse: Arm, figure: int) -> Comparison:
    arms = found[setting]
    return Comparison(f"{setting}: {better} > {worse}", arms[better][:, figure] - arms[worse][:, figure])


def _tables(found: Found, setting: str, table: Mapping[Arm, published.Accuracy]) -> Iterable[Comparison]:
    if setting in found:
        for better, worse in published.orderings(table):
            yield _compare(found, setting, better, worse, OVERALL)


def _worse(found: Found) -> Iterable[Comparison]:
    """The loss against the mean, sorted minus alike."""
    if TAIL_ALIKE in found and TAIL_SORTED in found:
        for rule in (KRUM, MEDIAN, GEOMETRIC):
            loss = [
                found[setting][Arm(MEAN, False)][:, OVERALL] - found[setting][Arm(rule, False)][:, OVERALL]
                for setting in (TAIL_SORTED, TAIL_ALIKE)
            ]
            yield Comparison(f"{rule}: loss sorted > loss alike", loss[0] - loss[1])
