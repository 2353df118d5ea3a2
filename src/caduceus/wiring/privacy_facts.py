"""What a report says of a job's differential privacy, from the specification and the chain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from caduceus.errors import Refused
from caduceus.market.ledger import BudgetMove
from caduceus.market.terms import costs_of
from caduceus.ports import Chain
from caduceus.privacy.events import Spending
from caduceus.report.facts import BudgetFacts, PrivacyFacts, ReleaseFacts
from caduceus.wiring.recall import Recalled


def privacy_facts(job: Recalled, chain: Chain, opened: int) -> PrivacyFacts | None:
    """Noise, costs and budgets; None for a job of exact sums.

    opened  sums that were opened, at most those of a whole run

    Raises Refused if the chain does not know a data set that takes part.
    """
    privacy, costs = job.spec.privacy, costs_of(job.spec)
    if privacy is None or costs is None:
        return None
    return PrivacyFacts(
        epsilon=privacy.epsilon_micro,
        delta=privacy.delta_pico,
        missing_percent=privacy.missing_percent,
        opened=opened,
        releases=tuple(_releases(privacy.spending)),
        costs=tuple(epsilon for epsilon, _ in costs.steps),
        budgets=tuple(_budgets(job, chain)),
    )


def _releases(spending: Spending) -> Iterator[ReleaseFacts]:
    first = 1
    for number, part in enumerate(spending.parts, 1):
        for event in part.events:
            yield ReleaseFacts(first, first + event.count - 1, number, event.multiplier, event.rate)
            first += event.count


def _budgets(job: Recalled, chain: Chain) -> Iterator[BudgetFacts]:
    for enrolment in job.enrolments:
        entry = chain.dataset(enrolment.dataset)
        if entry is None:
            raise Refused(f"the chain does not know data set 0x{enrolment.dataset.hex()}, which takes part in the job")
        moves = list(chain.budget_moves(enrolment.dataset))
        start = next((place for place, move in enumerate(moves) if move.job == job.entry.id), len(moves))
        before, own = _taken(moves[:start]), _taken([move for move in moves if move.job == job.entry.id])
        yield BudgetFacts(
            site=job.name(enrolment.site),
            epsilon=entry.budget_micro,
            delta=entry.delta_pico,
            epsilon_before=before[0],
            delta_before=before[1],
            epsilon_spent=own[0],
            delta_spent=own[1],
        )


def _taken(moves: Sequence[BudgetMove]) -> tuple[int, int]:
    """Epsilon and delta reserved, less what was given back."""
    signs = [-1 if move.released else 1 for move in moves]
    return (
        sum(sign * move.epsilon_micro for sign, move in zip(signs, moves, strict=True)),
        sum(sign * move.delta_pico for sign, move in zip(signs, moves, strict=True)),
    )
