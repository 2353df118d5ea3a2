"""Control arms for reports: what a site reaches alone, and what all rows in one place would give.

Never part of a job. `local` needs one site's own rows only; the other two need every site's rows or vectors in the
open and serve where one party holds all of them anyway: demonstrations, tests, public data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from caduceus import canon
from caduceus.errors import Misuse
from caduceus.kinds import Floats
from caduceus.learn.program import Program
from caduceus.learn.rows import SiteData, pooled
from caduceus.learn.state import State
from caduceus.learn.task import Task


def unsafe_open_run(task: Task[SiteData], sites: Sequence[SiteData]) -> State:
    """A whole run with plain sums: every vector is seen by whoever calls this.

    sites    at least one, from `task.ready`
    returns  the finished state

    Raises Misuse without sites, Refused as `Task.combine` does.
    """
    if not sites:
        raise Misuse("unsafe_open_run: no sites")
    state = task.opening()
    while not task.finished(state):
        secret = canon.digest(state)  # whom a private step draws is no secret in the open
        total = np.sum([task.contribute(state, site, secret) for site in sites], axis=0)
        state = task.combine(state, total, len(sites))
    return state


def unsafe_pooled(task: Task[SiteData], sites: Sequence[SiteData]) -> State:
    """The same learning with all rows in one place, under the splits that the sites made.

    Federated Newton gives this model too, up to rounding; federated averaging does not.
    """
    return unsafe_open_run(task, [pooled(sites)])


def local(task: Program, site: SiteData, *, strength: float | None = None) -> Floats:
    """What a site predicts for its judged rows with models trained on its own rows only, under the same splits.

    strength  another C for logistic regression (a small site does better with 0.1); None keeps the job's
    returns   float64[repeats, rows] log-odds, NaN where a repeat does not judge a row. A fit whose own training rows
              hold one class predicts their rate, with half a row of each class added
    """
    spec = task.spec
    if strength is not None and spec.logistic is not None:
        spec = replace(spec, logistic=replace(spec.logistic, C=strength))
    alone = replace(task, spec=spec)
    rows = site.learning.sum(axis=1)
    positives = site.learning @ site.target
    constant = (positives == 0) | (positives == rows)
    rate = np.log((positives + 0.5) / (rows - positives + 0.5))
    if constant[0]:
        score = np.zeros(site.judging.shape)
    else:
        # A fit that cannot be trained is given all rows so that the others can run; its predictions are not used.
        trained = replace(site, learning=site.learning | constant[:, None])
        score = alone.judged(unsafe_open_run(alone, [trained]), trained)
    score = np.where(constant[site.judging], rate[site.judging], score)
    return np.where(site.judging >= 0, score, np.nan)
