"""A whole job's learning: moments, then training, then evaluation, as one task."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

import numpy as np

from caduceus.data.schema import Schema
from caduceus.data.table import Table
from caduceus.errors import Misuse, Refused
from caduceus.kinds import Floats
from caduceus.learn import evaluate, fedavg, folds, moments, newton
from caduceus.learn.design import Design, plan
from caduceus.learn.perceptron import Perceptron
from caduceus.learn.rows import SiteData, check_size
from caduceus.learn.spec import Learning
from caduceus.learn.spec import check as check_spec
from caduceus.learn.state import OPENING, Moments, Phase, Shape, State
from caduceus.learn.state import check as check_state
from caduceus.learn.task import checked, steps


def build_task(spec: Learning, schema: Schema, network: fedavg.Network | None = None) -> Program:
    """The task that a specification describes.

    schema   what the sites' tables mean
    network  for federated averaging: the module to train instead of the perceptron that `spec` describes

    Raises Refused, naming the field or column, if the specification makes no sense or does not fit the schema.
    """
    check_spec(spec)
    design = plan(schema, spec.features, spec.missing_indicators, spec.target)
    if network is None and spec.averaging is not None:
        network = Perceptron(spec.averaging.hidden, spec.averaging.activation)
    return Program(spec, schema, design, network)


@final
@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """Implements `task.Task`; built by `build_task`."""

    spec: Learning
    schema: Schema
    design: Design
    network: fedavg.Network | None

    @property
    def fits(self) -> int:
        """How many models are trained: the final one, and those that judge it."""
        return 1 + self.spec.evaluation.fits

    @property
    def trains_long(self) -> bool:
        """Whether a site trains for longer than its messages take: then sites gain from running side by side."""
        return self.spec.averaging is not None and bool(self.spec.averaging.hidden)

    @property
    def max_rounds(self) -> int:
        """No run of this task has more rounds than this."""
        model = self.spec.logistic
        training = model.max_rounds if model is not None else self._averaging.spec.rounds
        return 1 + training + (self.spec.evaluation.repeats > 0)

    def opening(self) -> State:
        """The public state before round 0."""
        return OPENING

    def check(self, state: State) -> None:
        """Refuse a state, perhaps a peer's, that no run of this task reaches.

        Raises Refused, naming the field.
        """
        width = self.design.width
        parameters = self.network.parameters(width) if self.network is not None else None
        check_state(state, Shape(self.fits, width, parameters, self.spec.evaluation.repeats, self.max_rounds))

    def finished(self, state: State) -> bool:
        """Whether no round is left."""
        return state.phase is Phase.DONE

    def length(self, state: State) -> int:
        """Entries of every site's vector in the coming round."""
        match state.phase:
            case Phase.MOMENTS:
                return moments.length(self.design, self.fits)
            case Phase.TRAINING:
                return newton.length(state.newton) if state.newton is not None else self._averaging.length(self.fits)
            case Phase.EVALUATION:
                return evaluate.length(self.spec.evaluation.repeats)
            case _:
                raise Misuse("this task is finished; there is no coming round")

    def bound(self, state: State) -> float:
        """Every entry of a vector lies in [-bound, bound]."""
        match state.phase:
            case Phase.MOMENTS:
                return moments.BOUND
            case Phase.TRAINING:
                return newton.bound(_moments(state)) if state.newton is not None else self._averaging.bound()
            case Phase.EVALUATION:
                return evaluate.BOUND
            case _:
                raise Misuse("this task is finished; there is no coming round")

    def bits(self, state: State) -> int:
        """32 or 64: the ring of the coming round's sum."""
        averaging = state.phase is Phase.TRAINING and self.spec.averaging is not None
        return self._averaging.spec.bits if averaging else 64

    def scale(self, state: State) -> int:
        """Fixed-point steps per unit for the coming round, a power of two; `task.steps` proves the bound."""
        return steps(self.bound(state), self.bits(state))

    def ready(self, table: Table, label: str) -> SiteData:
        """A site's rows as this task uses them.

        table  the site's records, under this task's schema
        label  the site's public name

        Raises Refused, naming the column, if the table does not fit.
        """
        if table.schema.digest() != self.schema.digest():
            raise Refused(f"site {label}: its table has schema '{table.schema.title}', not the job's; map it anew")
        check_size(table.rows, label)
        target = self.design.labels(table)
        judging = folds.judging(target, label, self.spec.seed, self.spec.evaluation)
        return SiteData(label, self.design.features(table), target, folds.learning(judging, self.fits), judging)

    def release(self, state: State) -> None:
        """Sums are exact (`private.program.PrivateProgram` adds noise to the same learning)."""

    def contribute(self, state: State, site: SiteData, secret: bytes = b"") -> Floats:
        """The site's half of the coming round: float64[length], each entry within the bound.

        Reveals: see the `contribute` of `moments`, `newton`, `fedavg` and `evaluate`.
        """
        match state.phase:
            case Phase.MOMENTS:
                return moments.contribute(site)
            case Phase.TRAINING if state.newton is not None:
                return newton.contribute(self.design, _moments(state), state.newton, site)
            case Phase.TRAINING if state.averaged is not None:
                return self._averaging.contribute(_moments(state), state.averaged, site)
            case Phase.EVALUATION:
                return evaluate.contribute(site, self.judged(state, site))
            case _:
                raise Misuse("this task is finished; there is no coming round")

    def combine(self, state: State, total: Floats, sites: int) -> State:
        """The next state.

        total  float64[length], the sum of the vectors of all sites that took part
        sites  how many took part, >= 1

        Raises Refused if nothing can be learned from such a sum.
        """
        total = checked(total, self.length(state))
        if sites < 1:
            raise Misuse(f"combine: a sum of {sites} sites")
        following = replace(state, round=state.round + 1)
        match state.phase:
            case Phase.MOMENTS:
                known = moments.combine(self.design, total, noise=sites * 0.5 / self.scale(state))
                following = replace(following, moments=known, phase=Phase.TRAINING)
                if self.spec.logistic is not None:
                    return replace(following, newton=newton.start(known))
                return replace(following, averaged=self._averaging.start(self.fits))
            case Phase.TRAINING if state.newton is not None and self.spec.logistic is not None:
                stepped = newton.combine(state.newton, self.spec.logistic, total)
                following = replace(following, newton=stepped)
                return self._after_training(following, newton.finished(stepped, self.spec.logistic))
            case Phase.TRAINING if state.averaged is not None:
                averaged = self._averaging.combine(state.averaged, total)
                following = replace(following, averaged=averaged)
                return self._after_training(following, averaged.rounds >= self._averaging.spec.rounds)
            case _:
                quality = evaluate.combine(total, self.spec.evaluation.repeats)
                return replace(following, quality=quality, phase=Phase.DONE)

    def log_odds(self, state: State, features: Floats, fit: int = 0) -> Floats:
        """What a fit predicts: float64[rows].

        features  float64[rows, measured], scaled, as in `SiteData.features`
        fit       0 is the final model

        Raises Misuse before any training.
        """
        known = _moments(state)
        matrix = moments.standardise(self.design, known, features, fit)
        if state.newton is not None:
            weights = state.newton.weights[fit]
            return np.asarray(matrix @ weights[:-1] + weights[-1])
        if state.averaged is not None and self.network is not None:
            return self.network.log_odds(state.averaged.weights[fit], matrix)
        raise Misuse("log_odds: nothing is trained yet")

    def predict(self, state: State, site: SiteData, fit: int = 0) -> Floats:
        """Probabilities for a site's own rows: float64[rows]."""
        return evaluate.sigmoid(self.log_odds(state, site.features, fit))

    def judged(self, state: State, site: SiteData) -> Floats:
        """Log-odds of every row from the fit that did not learn from it.

        returns  float64[repeats, rows], NaN where a repeat does not judge a row
        """
        score = np.full(site.judging.shape, np.nan)
        for fit in range(1, self.fits):
            repeat, row = np.nonzero(site.judging == fit)
            if len(row):
                score[repeat, row] = self.log_odds(state, site.features[row], fit)
        return score

    def _after_training(self, state: State, finished: bool) -> State:
        if not finished:
            return state
        return replace(state, phase=Phase.EVALUATION if self.spec.evaluation.repeats else Phase.DONE)

    @property
    def _averaging(self) -> fedavg.FederatedAveraging:
        if self.spec.averaging is None or self.network is None:
            raise Misuse("the state is not one of this task: it holds no averaging")
        return fedavg.FederatedAveraging(self.spec.averaging, self.design, self.network, self.spec.seed)


def _moments(state: State) -> Moments:
    if state.moments is None:
        raise Misuse("the state has no moments yet")
    return state.moments
