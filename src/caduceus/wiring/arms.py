"""How well models serve each site's patients: the job's model, and two control arms beside it.

Only a machine that plays every site can compute this; it reads the sites' own rows. Nothing of it enters a
transcript or the chain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from caduceus.learn import control, metrics
from caduceus.learn.evaluate import own_quality, sigmoid
from caduceus.learn.inquiry.program import Inquiry
from caduceus.learn.judged.program import JudgedProgram
from caduceus.learn.judged.rows import JudgedData
from caduceus.learn.private.program import PrivateProgram
from caduceus.learn.program import Program, build_task
from caduceus.learn.rows import Ready, SiteData
from caduceus.learn.spec import Logistic
from caduceus.learn.state import Phase, State
from caduceus.market.work import Training, Work
from caduceus.report.facts import Quality

NOTHING = Quality(None, None)
"""Of an arm that was not run."""


@dataclass(frozen=True, slots=True)
class Arms:
    """One site's figures on rows that the model in question did not learn from."""

    local: Quality
    federated: Quality
    pooled: Quality


@dataclass(frozen=True, slots=True)
class Compared:
    """All sites' arms.

    sites  by name
    notes  how the control arms were made, in sentences
    """

    sites: Mapping[str, Arms]
    notes: tuple[str, ...]


def compare(task: Work, state: State, sites: Mapping[str, Ready]) -> Compared:
    """Judge the job's model and the control arms at every site, under the job's own splits.

    state  the job's last; without an evaluation, or before its end, there is nothing to compare
    sites  every site's rows as the job used them, by name
    """
    if isinstance(task, Inquiry) or state.phase is not Phase.DONE or not task.spec.evaluation.repeats:
        return Compared({}, ())
    if isinstance(task, JudgedProgram):
        return Compared({name: _held_out(task, state, site) for name, site in sites.items()}, ())
    rows = [site for site in sites.values() if isinstance(site, SiteData)]
    if not rows:
        return Compared({}, ())
    exact, alike = (task, rows) if isinstance(task, Program) else _without_noise(task, rows)
    local, note = _local(exact, alike)
    together = control.unsafe_pooled(exact, alike)
    figures = {
        site.label: Arms(
            local=alone,
            federated=_quality(task, state, site),
            pooled=_quality(exact, together, like),
        )
        for site, like, alone in zip(rows, alike, local, strict=True)
    }
    notes = [
        "The arms 'local' and 'pooled' are control arms: this machine holds every site's rows, which no party of a "
        "real job does. They use the same features and the same splits as the job.",
        note,
    ]
    if exact is not task:
        notes.insert(1, "They are exact logistic regression, without noise: nothing of them is private.")
    return Compared({name: figures[site.label] for name, site in sites.items()}, tuple(notes))


def _held_out(task: JudgedProgram, state: State, site: Ready) -> Arms:
    """The job's model on the rows that a site held out; nothing else is trained for comparison."""
    assert isinstance(site, JudgedData)  # what such a task makes ready
    target, scores = site.target[site.held], task.log_odds(state, site.features[site.held])
    brier = metrics.brier(target, sigmoid(scores)) if len(target) else None
    return Arms(NOTHING, Quality(metrics.auroc(target, scores), brier), NOTHING)


def _without_noise(task: PrivateProgram, sites: list[SiteData]) -> tuple[Program, list[SiteData]]:
    """Exact logistic regression on the same features, judged on the same patients."""
    strength = Logistic(C=1.0, tolerance=1e-4, max_rounds=20) if task.spec.logistic is None else task.spec.logistic
    logistic = replace(strength, tolerance=1e-4, max_rounds=20)
    spec = replace(task.spec, logistic=logistic, averaging=None, descent=None)
    alike = []
    for site in sites:
        held = site.judging[0] == 0
        learning = np.stack([np.ones(site.rows, dtype=np.bool_), ~held])
        alike.append(replace(site, learning=learning, judging=np.where(held, 1, -1)[None, :], patients=None))
    return build_task(spec, task.schema), alike


def _quality(task: Training, state: State, site: SiteData) -> Quality:
    own = own_quality(site, task.judged(state, site))
    return Quality(own.auroc, own.brier)


def _local(task: Program, sites: list[SiteData]) -> tuple[list[Quality], str]:
    """Each site alone. A site with few rows does better with a stronger penalty, so that it is no straw man the arm
    has the penalty that serves it best on average, although that is chosen on the very rows that judge it."""
    model = task.spec.logistic
    if model is None:
        return _alone(task, sites, None), "Local models have the job's own settings."
    tried = {strength: _alone(task, sites, strength) for strength in (model.C, model.C / 10)}
    best = max(tried, key=lambda strength: _mean(tried[strength]))
    shown = ", ".join(f"{_mean(found):.3f} with C = {strength:g}" for strength, found in tried.items())
    return tried[best], (
        f"Local models were tried with the job's C and with a tenth of it (mean AUROC over sites {shown}); "
        f"the report shows C = {best:g}, the better one. The choice was made on the rows that judge them, so it "
        "favours the local arm."
    )


def _alone(task: Program, sites: list[SiteData], strength: float | None) -> list[Quality]:
    found = [own_quality(site, control.local(task, site, strength=strength)) for site in sites]
    return [Quality(one.auroc, one.brier) for one in found]


def _mean(found: list[Quality]) -> float:
    known = [one.auroc for one in found if one.auroc is not None]
    return sum(known) / len(known) if known else 0.0
