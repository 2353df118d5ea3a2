"""Every rule under its name, with what it needs to see and what it stands, so that plans can be checked.

A name may be composed: `mixing+krum` mixes nearest neighbours first, `bucketing+median` averages random groups first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from caduceus.errors import Misuse, Refused
from caduceus.kinds import Floats, Visibility
from caduceus.learn.aggregate import centres, coordinates, selection, trust
from caduceus.learn.aggregate.bucketing import buckets
from caduceus.learn.aggregate.gram import Rows, apply, gram, mixed_rows
from caduceus.learn.aggregate.mixing import mix, neighbours
from caduceus.learn.aggregate.voices import present


@dataclass(frozen=True, slots=True, eq=False)
class Setting:
    """What a rule is told besides the updates. A rule takes what it knows and leaves the rest.

    faults     how many sites may be hostile, >= 0
    voices     float64[n], >= 0, 0 for rows without a say; None: all rows, alike
    reference  the row that is no site's update but the trusted one, or the last aggregate; None: there is none
    keep       how many updates multi-Krum averages; None: all but `faults`
    radius     centred clipping's radius, model units; None: from the updates
    steps      centred clipping's steps
    seed       public seed for bucketing
    bucket     sites per group for bucketing
    """

    faults: int = 0
    voices: Floats | None = None
    reference: int | None = None
    keep: int | None = None
    radius: float | None = None
    steps: int = 5
    seed: bytes = b""
    bucket: int = 2

    def says(self, total: int) -> Floats:
        """Voices of all rows, none for the reference: float64[total]."""
        voices = np.ones(total) if self.voices is None else self.voices.copy()
        if self.reference is not None:
            voices[self.reference] = 0.0
        return voices

    def trusted(self, rule: str) -> int:
        """The reference, for a rule that cannot do without."""
        if self.reference is None:
            raise Misuse(f"{rule} needs a reference row")
        return self.reference


Weigh = Callable[[Floats, Setting], Floats]
"""Inner products float64[n, n] and a setting -> what the rows are multiplied by, float64[n]."""

Merge = Callable[[Rows, Setting], Rows]
"""Rows [n, d] and a setting -> the aggregate, [d]."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One way to make one update of many.

    name       as in plans and reports
    needs      the least that must be visible: SUM, GRAM, COHORT or OPEN
    breakdown  how many hostile sites it stands, in words
    source     paper and section
    weigh      weights from inner products; None for a rule that needs the rows themselves
    merge      the aggregate from visible rows (or, under COHORT, from visible averages of groups)
    """

    name: str
    needs: Visibility
    breakdown: str
    source: str
    weigh: Weigh | None
    merge: Merge


def check(rule: Rule, visibility: Visibility) -> None:
    """Whether a rule can work with what a plan reveals.

    Raises Refused if it needs more.
    """
    if visibility > rule.needs:
        raise Refused(
            f"rule {rule.name} needs {rule.needs.name}, this plan reveals {visibility.name} only; "
            f"take one of: {', '.join(names(visibility))}"
        )


def names(visibility: Visibility) -> list[str]:
    """The rules that work with what is revealed, without compositions."""
    return [rule.name for rule in _RULES if visibility <= rule.needs]


def rule_named(name: str) -> Rule:
    """The rule of that name, simple or composed.

    Raises Refused for a name that is not known.
    """
    first, plus, rest = name.partition("+")
    if plus and first in _BEFORE:
        return _BEFORE[first](rule_named(rest))
    for rule in _RULES:
        if rule.name == name:
            return rule
    known = ", ".join(rule.name for rule in _RULES)
    raise Refused(f"no rule is called {name}; there are {known}, and {' and '.join(_BEFORE)} before a +")


def aggregate(rule: Rule, rows: Rows, setting: Setting, visibility: Visibility) -> Rows:
    """Merge visible rows by a rule: [d].

    Raises Refused if the rule needs more than `visibility`; as the rule does.
    """
    check(rule, visibility)
    return rule.merge(rows, setting)


def _by_gram(name: str, breakdown: str, source: str, weigh: Weigh) -> Rule:
    def merge(rows: Rows, setting: Setting) -> Rows:
        return apply(weigh(gram(rows), setting), rows)

    return Rule(name, Visibility.GRAM, breakdown, source, weigh, merge)


def _by_rows(name: str, breakdown: str, source: str, merge: Callable[[Rows, int], Rows]) -> Rule:
    """A coordinate rule; it sees only the rows that have a voice."""

    def chosen(rows: Rows, setting: Setting) -> Rows:
        voices = setting.says(len(rows))
        return merge(rows if voices.all() else rows[voices > 0], setting.faults)

    return Rule(name, Visibility.OPEN, breakdown, source, None, chosen)


def _voiced(products: Floats, setting: Setting) -> Floats:
    here = present(products, setting.says(len(products)))
    return here.spread(here.voices)


def _mean(rows: Rows, setting: Setting) -> Rows:
    voices = setting.says(len(rows))
    here = present(np.diag([0.0 if np.isfinite(row).all() else np.nan for row in rows]), voices)
    return apply(here.spread(here.voices), rows)


def _mixing(rule: Rule) -> Rule:
    """Nearest-neighbour mixing before a rule."""

    def matrix(products: Floats, setting: Setting) -> Floats:
        return neighbours(products, setting.faults, setting.says(len(products)))

    source = f"Allouah et al., Fixing by Mixing, AISTATS 2023, algorithm 2; {rule.source}"
    needs = min(rule.needs, Visibility.GRAM)
    return _composed(Rule(f"mixing+{rule.name}", needs, rule.breakdown, source, rule.weigh, rule.merge), matrix)


def _bucketing(rule: Rule) -> Rule:
    """Averages of random groups before a rule: what COHORT shows is enough even for a coordinate rule."""

    def matrix(products: Floats, setting: Setting) -> Floats:
        here = present(products, setting.says(len(products)))
        return buckets(setting.seed, here.spread(here.voices), setting.bucket)

    source = f"Karimireddy et al., Byzantine-Robust Learning via Bucketing, ICLR 2022, algorithm 1; {rule.source}"
    breakdown = f"{rule.breakdown}, of groups: one hostile site spoils its group"
    needs = max(rule.needs, Visibility.COHORT)
    return _composed(Rule(f"bucketing+{rule.name}", needs, breakdown, source, rule.weigh, rule.merge), matrix)


def _composed(rule: Rule, averages: Callable[[Floats, Setting], Floats]) -> Rule:
    """A rule that is shown averages of rows instead of the rows.

    averages  inner products and a setting -> which, float64[m, n]
    """
    weigh, merge = rule.weigh, rule.merge

    def weigh_averages(products: Floats, setting: Setting) -> Floats:
        assert weigh is not None
        matrix, after = _shown(averages(products, setting), setting)
        return np.asarray(weigh(mix(matrix, products), after) @ matrix)

    def merge_weighed(rows: Rows, setting: Setting) -> Rows:
        return apply(weigh_averages(gram(rows), setting), rows)

    def merge_averages(rows: Rows, setting: Setting) -> Rows:
        matrix, after = _shown(averages(gram(rows), setting), setting)
        return merge(mixed_rows(matrix, rows), after)

    if weigh is None:
        return replace(rule, merge=merge_averages)
    return replace(rule, weigh=weigh_averages, merge=merge_weighed)


def _shown(matrix: Floats, setting: Setting) -> tuple[Floats, Setting]:
    """The averages that exist, then the reference as it is; and the setting for them.

    An average has one voice, since voices are in it already.
    """
    matrix = matrix[matrix.any(axis=1)]
    if setting.reference is None:
        return matrix, replace(setting, voices=None)
    itself = np.zeros((1, matrix.shape[1]))
    itself[0, setting.reference] = 1.0
    return np.vstack([matrix, itself]), replace(setting, voices=None, reference=len(matrix))


_BEFORE: dict[str, Callable[[Rule], Rule]] = {"mixing": _mixing, "bucketing": _bucketing}

_KRUM = "Blanchard et al., Machine Learning with Adversaries, NIPS 2017"
_YIN = "Yin et al., Byzantine-Robust Distributed Learning, ICML 2018"
_EL_MHAMDI = "El Mhamdi et al., The Hidden Vulnerability of Distributed Learning in Byzantium, ICML 2018"
_HALF = "fewer than half"

_RULES = (
    Rule(
        "mean",
        Visibility.SUM,
        "none: one site moves it anywhere",
        "McMahan et al., Communication-Efficient Learning, AISTATS 2017, algorithm 1",
        _voiced,
        _mean,
    ),
    _by_gram(
        "krum",
        "fewer than half (n >= 2 f + 3)",
        f"{_KRUM}, section 4",
        lambda products, setting: selection.krum(products, setting.faults, setting.says(len(products))),
    ),
    _by_gram(
        "multi-krum",
        "fewer than half (n >= 2 f + 3)",
        f"{_KRUM}, section 5",
        lambda products, setting: selection.multi_krum(
            products, setting.faults, keep=setting.keep, voices=setting.says(len(products))
        ),
    ),
    _by_gram(
        "smallest-diameter",
        "fewer than half (n >= 2 f + 1)",
        "El Mhamdi et al., Genuinely Distributed Byzantine Machine Learning, PODC 2020, section 3.3",
        lambda products, setting: selection.smallest_diameter(products, setting.faults, setting.says(len(products))),
    ),
    _by_gram(
        "geometric-median",
        f"{_HALF}, by voice",
        "Pillutla et al., Robust Aggregation for Federated Learning, IEEE TSP 2022, algorithm 2",
        lambda products, setting: centres.geometric_median(products, setting.says(len(products))),
    ),
    _by_gram(
        "centred-clipping",
        "below 0.1 proven, fewer than half in use, by voice; the reference must be near",
        "Karimireddy et al., Learning from History for Byzantine Robust Optimization, ICML 2021, section 4",
        lambda products, setting: centres.centred_clipping(
            products,
            setting.trusted("centred clipping"),
            radius=setting.radius,
            steps=setting.steps,
            voices=setting.says(len(products)),
        ),
    ),
    _by_gram(
        "fltrust",
        "any number, as long as the reference can be trusted",
        "Cao et al., FLTrust, NDSS 2021, section IV",
        lambda products, setting: trust.fltrust(products, setting.trusted("FLTrust"), setting.says(len(products))),
    ),
    _by_gram(
        "foolsgold",
        "any number of Sybils that send alike; none against attackers that differ",
        "Fung et al., The Limitations of Federated Learning in Sybil Settings, RAID 2020, algorithm 1",
        lambda products, setting: trust.foolsgold(products, setting.says(len(products))),
    ),
    _by_gram(
        "flame",
        _HALF,
        "Nguyen et al., FLAME, USENIX Security 2022, algorithm 1",
        lambda products, setting: trust.flame(products, setting.says(len(products))),
    ),
    _by_rows("median", _HALF, f"{_YIN}, definition 1", lambda rows, faults: coordinates.median(rows)),
    _by_rows("trimmed-mean", "fewer than half (n >= 2 f + 1)", f"{_YIN}, definition 2", coordinates.trimmed_mean),
    _by_rows(
        "mean-around-median",
        _HALF,
        "Xie et al., Generalized Byzantine-tolerant SGD, 2018, definition 5",
        coordinates.mean_around_median,
    ),
    _by_rows("bulyan", "fewer than a quarter (n >= 4 f + 3)", f"{_EL_MHAMDI}, section 4", coordinates.bulyan),
)
