"""The command that shows what secure aggregation among so many sites would take: secagg plan."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape

from caduceus.cli.tables import plain_table, whole
from caduceus.errors import Refused
from caduceus.protocol.secagg_plan import A_THIRD, Assumptions, Family, default_assumptions, plan, reached

SIZES = (10, 49, 100, 466, 1_000, 10_000)
"""Shown if nobody asks for a number of sites: from a few hospitals to more than any country has."""

_DRAWN = {Family.FULL: "everybody", Family.RING: "on a ring", Family.RANDOM: "on average"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was said on the command line; None: as `default_assumptions` has it for the number of sites.

    corrupt, dropout  shares of all sites, 0 to 1
    """

    corrupt: float | None
    dropout: float | None
    security: int | None
    correctness: int | None
    adaptive: bool | None


def show_plan(sites: int | None, wanted: Wanted) -> None:
    """Show the plan for so many sites, or for a row of sizes.

    Raises Refused, saying what to change, if there is no plan for `sites`; in a row, such a size says so in place.
    """
    numbers = ("sites", "assumed", "neighbours", "committee", "leak", "cut", "no sum")
    table = plain_table("Secure aggregation", *numbers, right=numbers)
    refusals = []
    for size in (sites,) if sites is not None else SIZES:
        try:
            table.add_row(*_row(size, _assume(size, wanted)))
        except Refused as refused:
            if sites is not None:
                raise
            refusals.append(str(refused))
            table.add_row(whole(size), *("–" for _ in numbers[1:]))
    console = Console(highlight=False)
    console.print(table)
    for why in refusals:
        console.print(f"[yellow]{escape(why)}[/yellow]", soft_wrap=True)
    console.print(_legend(_assume(SIZES[0] if sites is None else sites, wanted)), style="dim")


def _row(sites: int, assumptions: Assumptions) -> tuple[str, ...]:
    chosen = plan(sites, assumptions)
    chances = reached(chosen, assumptions)
    return (
        whole(sites),
        f"{whole(assumptions.corrupt(sites))} lie\n{whole(assumptions.silent(sites))} silent",
        f"{whole(chosen.degree)}\n[dim]{_DRAWN[chosen.family]}[/dim]",
        f"{whole(chosen.committee)}\n[dim]{whole(chosen.threshold)} open[/dim]",
        _power(chances.committee),
        _power(chances.graph),
        _power(chances.opening),
    )


def _legend(assumptions: Assumptions) -> str:
    secret, correct = f"2^-{assumptions.security_bits}", f"2^-{assumptions.correctness_bits}"
    silent = (
        "chosen by whoever lies, after seeing the graph"
        if assumptions.adaptive
        else "whoever it hits, graph or not; 'cut' is then for one round"
    )
    return (
        f"Leak (at most {secret}): more than a third of the committee lies. Cut (at most {secret}): honest sites are "
        "left to a sum of their own. Both are over one draw of committee and graph. No sum (at most "
        f"{correct}): fewer of the committee answer than open. Never: impossible, as long as no more lie or are silent "
        f"than assumed. Who is silent: {silent}."
    )


def _assume(sites: int, wanted: Wanted) -> Assumptions:
    usual = default_assumptions(max(1, sites))
    return Assumptions(
        usual.corrupt_permille if wanted.corrupt is None else _permille(wanted.corrupt),
        usual.dropout_permille if wanted.dropout is None else _permille(wanted.dropout),
        usual.security_bits if wanted.security is None else wanted.security,
        usual.correctness_bits if wanted.correctness is None else wanted.correctness,
        usual.adaptive if wanted.adaptive is None else wanted.adaptive,
    )


def _permille(share: float) -> int:
    """Rounded up, which assumes more and not less; a third as it is written by hand is a third."""
    if abs(share - 1 / 3) < 0.0005:
        return A_THIRD
    return math.ceil(1000 * share - 1e-6)


def _power(log2_chance: float) -> str:
    return "never" if log2_chance == -math.inf else f"2^-{abs(log2_chance):.1f}"
