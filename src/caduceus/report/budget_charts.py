"""Charts about privacy: epsilon by number of sums, and what is left of a data set's budget."""

from __future__ import annotations

from collections.abc import Sequence

from caduceus.report.facts import BudgetFacts
from caduceus.report.markup import Html, join
from caduceus.report.svg import Point, Scale, at, box, decimals, disc, drawing, group, label, line, path, ticks
from caduceus.report.words import count, epsilon, measured, whole

_WIDTH, _LEFT, _TOP, _BOTTOM = 400.0, 46.0, 22.0, 236.0


def cost_curve(costs: Sequence[int], opened: int, *, title: str) -> Html:
    """Epsilon spent by number of sums: a full line up to the sums that were opened, dashes for those that were not.

    costs   millionths of epsilon once 0, 1, 2, ... sums were opened; at least two
    opened  from 0 to len(costs) - 1
    """
    sums = len(costs) - 1
    across, places = Scale(0, sums, _LEFT, _WIDTH - 16), ticks(0.0, max(costs) / 1e6 or 1.0, 5)
    upward = Scale(0, places[-1], _BOTTOM, _TOP)
    digits = decimals(places)
    parts = [line((_LEFT, upward(v)), (_WIDTH - 16, upward(v)), "l-grid") for v in places]
    parts += [label(_LEFT - 8, upward(v) + 4, measured(v, digits), "s e") for v in places]
    parts += [label(across(n), _BOTTOM + 17, whole(n), "s m") for n in _whole_ticks(sums)]
    parts.append(label(_WIDTH - 16, _BOTTOM + 36, Html("sums opened →"), "s e"))
    parts.append(label(_LEFT - 8, 8, Html("↑ epsilon spent"), "s"))
    points = [(across(n), upward(cost / 1e6)) for n, cost in enumerate(costs)]
    if opened < sums:
        parts.append(path(_steps(points[opened:]), "l-soft"))
    parts.append(path(_steps(points[: opened + 1]), "l-cost"))
    hint = Html(f"{count(opened, 'sum')} opened: epsilon {epsilon(costs[opened])}")
    parts.append(group([disc(*points[opened], 4.5, "o-federated")], hint))
    desc = (
        f"After {count(opened, 'sum')} of {whole(sums)}, epsilon {epsilon(costs[opened])} of "
        f"{epsilon(costs[-1])} is spent."
    )
    return drawing(_WIDTH, _BOTTOM + 42, title=title, desc=desc, parts=parts)


def _whole_ticks(most: int) -> list[int]:
    """Whole numbers to stand below an axis from 0."""
    return sorted(
        {round(v) for v in ticks(0.0, float(most), 5) if v <= most and v == round(v)} | ({most} if most < 6 else set())
    )


def _steps(points: Sequence[Point]) -> str:
    """A stair through the points; steps that nobody could see are left out."""
    x, y = points[0]
    steps = [f"M{at(x)},{at(y)}"]
    for nx, ny in points[1:]:
        if nx - x >= 0.5 or (nx, ny) == points[-1]:
            steps.append(f"H{at(nx)}V{at(ny)}")
            x = nx
    return "".join(steps)


def budget_bar(budget: BudgetFacts) -> Html:
    """One bar as long as the lifetime budget: spent before, by this job, left."""
    total = max(budget.epsilon, budget.epsilon_before + budget.epsilon_spent, 1)
    scale = Scale(0, total, 0, 200)
    shares = (
        (budget.epsilon_before, "f-pooled", "spent before"),
        (budget.epsilon_spent, "f-federated", "by this job"),
        (max(budget.epsilon_left, 0), "f-grid", "left"),
    )
    parts, start = [], 0
    for amount, kind, name in shares:
        if amount > 0:
            width = max(scale(amount) - 0.6, 0.6)
            hint = Html(f"epsilon {epsilon(amount)} {name}")
            parts.append(group([box(scale(start), 5, width, 12, kind)], hint))
            start += amount
    desc = ", ".join(f"{epsilon(amount)} {name}" for amount, _, name in shares)
    return Html(
        '<svg viewBox="0 0 200 22" preserveAspectRatio="none" role="img" aria-label="Privacy budget: '
        f'{desc}"><title>{desc}</title><desc>Budget from left to right</desc>{join(parts)}</svg>'
    )
