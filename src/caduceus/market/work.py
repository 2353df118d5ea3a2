"""What a specification asks its sites to compute: one `learn.task.Task` for everybody who reads it."""

from __future__ import annotations

from caduceus.errors import Refused
from caduceus.kinds import MICRO, PICO, Visibility
from caduceus.learn.inquiry.program import Inquiry, build_inquiry
from caduceus.learn.judged.program import JudgedProgram, build_judged
from caduceus.learn.private.program import PrivateProgram, build_private
from caduceus.learn.program import Program, build_task
from caduceus.market.mechanism.rules import Rules
from caduceus.market.specification import JobSpec, Privacy
from caduceus.privacy.mechanisms import Crowd

Training = Program | PrivateProgram
"""Learning from exact sums, or from noisy ones."""

Summed = Training | Inquiry
"""What one coordinator sums."""

Work = Summed | JudgedProgram
"""Everything that a job may ask for."""


MOST_EPSILON_MICRO = 1000 * MICRO
MOST_MISSING = 90
"""Per cent."""


MOST_ENTRIES = 1 << 26
"""Of any vector that a job has its sites send: half a GiB, which is all that an engine carries in one frame."""


def target_of(work: Work) -> str | None:
    """The column that a job predicts; None if it asks questions."""
    return None if isinstance(work, Inquiry) else work.design.target


def rules_for(named: int) -> Rules:
    """Everyone else has the usual say and the usual part of the pay; the strata that are named share the rest equally.

    named  how many strata have a name; without any, everyone else has all of both
    """
    if not named:
        return Rules(budgets=(1.0,), voices=(1.0,))
    usual = Rules()
    return Rules(
        budgets=(usual.budgets[0], *[(1 - usual.budgets[0]) / named] * named),
        voices=(usual.voices[0], *[(1 - usual.voices[0]) / named] * named),
    )


def work_of(spec: JobSpec) -> Work:
    """The task of a job.

    Raises Refused, naming the field or column, if the specification makes no sense.
    """
    work = _work_of(spec)
    if not isinstance(work, Inquiry):
        width, network, fits = work.design.width, work.network, 1 if isinstance(work, JudgedProgram) else work.fits
        entries = fits * ((width + 2) ** 2 if network is None else network.parameters(width) + 1)
        if entries > MOST_ENTRIES:
            raise Refused(f"the specification's models have {entries} entries to be summed; at most {MOST_ENTRIES} are")
    return work


def _work_of(spec: JobSpec) -> Work:
    privacy, judging = spec.privacy, spec.judging
    if (judging is not None) != (spec.visibility is Visibility.GRAM):
        raise Refused("judging: given with visibility GRAM only, and always with it")
    if (spec.learning is None) == (spec.analysis is None):
        raise Refused("the specification asks for a model or for answers, one of them")
    if judging is not None:
        if privacy is not None or spec.learning is None:
            raise Refused("judging: inner products are opened exactly, so such a job trains a model without an epsilon")
        if judging.rules != rules_for(len(judging.strata)):
            raise Refused("judging.rules: other than this version's; sites would be judged and paid by a stranger's")
        return build_judged(spec.learning, spec.schema, judging.strata, judging.rules, len(judging.evaluators))
    if privacy is None:
        if spec.learning is None:
            raise Refused("privacy: answers are published with noise only; the specification has none")
        return build_task(spec.learning, spec.schema)
    _check(privacy)
    crowd = Crowd(spec.cohort, privacy.missing_percent)
    if spec.analysis is not None:
        return build_inquiry(spec.analysis, spec.schema, privacy.spending, crowd)
    assert spec.learning is not None
    return build_private(spec.learning, spec.schema, privacy.spending, crowd)


def _check(privacy: Privacy) -> None:
    """Refuse numbers that make no sense; they may come from a stranger, and not from a job file.

    Raises Refused, naming the field.
    """
    for field, value, least, most in (
        ("epsilon", privacy.epsilon_micro, 1, MOST_EPSILON_MICRO),
        ("delta", privacy.delta_pico, 1, PICO // 10),
        ("missing", privacy.missing_percent, 0, MOST_MISSING),
    ):
        if not least <= value <= most:
            raise Refused(f"privacy.{field}: {value} in the specification's units; from {least} to {most}")
