"""What a specification asks its sites to compute: one `learn.task.Task` for everybody who reads it."""

from __future__ import annotations

from caduceus.errors import Refused
from caduceus.kinds import MICRO, PICO
from caduceus.learn.inquiry.program import Inquiry, build_inquiry
from caduceus.learn.private.program import PrivateProgram, build_private
from caduceus.learn.program import Program, build_task
from caduceus.market.specification import JobSpec, Privacy
from caduceus.privacy.mechanisms import Crowd

Training = Program | PrivateProgram
"""Learning from exact sums, or from noisy ones."""

Work = Training | Inquiry
"""Everything that a job may ask for."""


MOST_EPSILON_MICRO = 1000 * MICRO
MOST_MISSING = 90
"""Per cent."""


def target_of(work: Work) -> str | None:
    """The column that a job predicts; None if it asks questions."""
    return None if isinstance(work, Inquiry) else work.design.target


def work_of(spec: JobSpec) -> Work:
    """The task of a job.

    Raises Refused, naming the field or column, if the specification makes no sense.
    """
    privacy = spec.privacy
    if (spec.learning is None) == (spec.analysis is None):
        raise Refused("the specification asks for a model or for answers, one of them")
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
