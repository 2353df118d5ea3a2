"""The scenario's figures as rows of a table and as a record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from scenario.hospitals import CENTRE
from scenario.rounds import Outcome

HEAD = ("attack", "rare AUROC", "worst", "common", "trigger", "over miss", "outlier", "attackers")
"""trigger: success of the backdoor; over miss: beyond what the model misses anyway; the last two: shares of all pay."""


def rows(attacks: Mapping[str, Sequence[Outcome]]) -> list[tuple[str, ...]]:
    """One per attack: means over seeds, and the rare subgroup's standard deviation and worst seed."""
    found = []
    for attack, outcomes in attacks.items():
        rare, common = of(outcomes, "rare"), of(outcomes, "common")
        success = of(outcomes, "success") - of(outcomes, "miss")
        found.append(
            (
                attack,
                f"{rare.mean():.3f} +- {rare.std():.3f}",
                f"{rare.min():.3f}",
                f"{common.mean():.3f}",
                f"{of(outcomes, 'success').mean():.2f}",
                f"{success.mean():+.2f}",
                f"{np.mean([one.pay[CENTRE] for one in outcomes]):.3f}",
                f"{np.mean([one.attackers for one in outcomes]):.3f}",
            )
        )
    return found


def of(outcomes: Sequence[Outcome], figure: str) -> npt.NDArray[np.float64]:
    """One figure of every seed."""
    return np.array([getattr(one, figure) for one in outcomes])


def by_seed(attacks: Mapping[str, Sequence[Outcome]]) -> dict[str, dict[str, list[float]]]:
    """Every figure of every seed, by attack."""
    figures = ("rare", "common", "success", "miss", "attackers")
    return {
        attack: {figure: of(outcomes, figure).round(4).tolist() for figure in figures}
        | {"outlier": [round(float(one.pay[CENTRE]), 4) for one in outcomes]}
        for attack, outcomes in attacks.items()
    }
