"""The same learning with differential privacy: every sum that is opened carries noise, and so many are opened.

Moments, then training, then a histogram of predictions for patients who were held back: each round is one release, its
number is the state's, and the specification has noise for every one of them. Nothing ends earlier or later for what
the data say. Who is held back is drawn for each patient alone, so training and judging are about different patients
and do not add up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import final

import numpy as np

from caduceus.data.patients import patients, words
from caduceus.data.schema import Schema
from caduceus.data.table import Table
from caduceus.errors import Misuse, Refused
from caduceus.kinds import Floats
from caduceus.learn import evaluate, fedavg, moments
from caduceus.learn.design import Design
from caduceus.learn.design import plan as plan_design
from caduceus.learn.perceptron import Perceptron
from caduceus.learn.private import evaluate as private_evaluate
from caduceus.learn.private import logistic as private_logistic
from caduceus.learn.private import moments as private_moments
from caduceus.learn.private.alone import each
from caduceus.learn.private.descent import FARTHEST, PrivateDescent
from caduceus.learn.rows import SiteData, check_size
from caduceus.learn.spec import HOLDOUT, NONE, Learning
from caduceus.learn.spec import check as check_spec
from caduceus.learn.state import OPENING, Moments, Phase, State, check_array, require
from caduceus.learn.task import checked
from caduceus.privacy import accountant
from caduceus.privacy.events import Part, Spending
from caduceus.privacy.events import check as check_spending
from caduceus.privacy.mechanisms import MOST_ENTRIES, Crowd, Release
from caduceus.privacy.mechanisms import event as noise_event

MOMENTS_SHARE = 0.1
"""Part of the budget (in 1 / multiplier**2) that a descent spends on moments; logistic regression has its own rule."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class PrivateProgram:
    """Implements `task.Task`; built by `build_private`."""

    spec: Learning
    schema: Schema
    design: Design
    network: fedavg.Network | None
    spending: Spending
    crowd: Crowd
    fits: int = 1
    """There is one model: whoever judges it is kept out of it."""

    @property
    def trains_long(self) -> bool:
        """Whether a site trains for longer than its messages take; a step takes no time."""
        return False

    @property
    def steps(self) -> int:
        """Rounds of training."""
        model = self.spec.logistic
        return model.max_rounds if model is not None else self._descent.spec.rounds

    @property
    def max_rounds(self) -> int:
        """Every run has exactly so many rounds that come to a sum."""
        return 1 + self.steps + (self.spec.evaluation.repeats > 0)

    def opening(self) -> State:
        """The public state before round 0."""
        return OPENING

    def check(self, state: State) -> None:
        """Refuse a state, perhaps a peer's, that no run of this task reaches.

        The phase follows from the number of releases, so no state asks for one twice.

        Raises Refused, naming the field.
        """
        require(0 <= state.round <= self.max_rounds, "round")
        require(state.phase is self.phase_of(state.round), "phase")
        trained = state.round > 0
        require((state.moments is not None) == trained, "moments")
        require((state.noisy is not None) == (trained and self.spec.logistic is not None), "noisy")
        require((state.descended is not None) == (trained and self.spec.descent is not None), "descended")
        judged = state.phase is Phase.DONE and self.spec.evaluation.repeats > 0
        require((state.quality is not None) == judged, "quality")
        require(state.newton is None, "newton")
        require(state.answers is None, "answers")
        require(state.averaged is None, "averaged")
        require(state.judged is None, "judged")
        if state.moments is not None:
            for name in ("rows", "positives"):
                check_array(state.moments, name, (1,))
            for name in ("mean", "deviation"):
                check_array(state.moments, name, (1, self.design.width))
            require(bool((state.moments.rows >= 1).all()), "moments.rows")
            # So that standardised values are bounded, and a site can answer whatever its records hold.
            require(bool((np.abs(state.moments.mean) <= 1).all()), "moments.mean")
            least = np.sqrt(private_moments.LEAST_VARIANCE) * (1 - 1e-9)
            require(
                bool(((state.moments.deviation >= least) & (state.moments.deviation <= 1)).all()), "moments.deviation"
            )
        if state.noisy is not None:
            private_logistic.check(state.noisy, self.design.width)
        if state.descended is not None:
            for name in ("weights", "velocity"):
                check_array(state.descended, name, (self._descent.length(),))
                require(float(np.abs(getattr(state.descended, name)).max()) <= FARTHEST, f"descended.{name}")

    def finished(self, state: State) -> bool:
        """Whether no round is left."""
        return state.phase is Phase.DONE

    def release(self, state: State) -> Release:
        """The coming round's noise: the specification's event of that number, for what the round computes."""
        multiplier = self.spending.event(state.round).multiplier
        match state.phase:
            case Phase.MOMENTS:
                binary = self._binary
                length, sensitivity = private_moments.length(binary, 1), private_moments.sensitivity(binary, 1)
                return Release(length, private_moments.bound(), sensitivity, multiplier)
            case Phase.TRAINING if self.spec.logistic is not None:
                width = self.design.width
                length, bound = private_logistic.length(width), private_logistic.bound(width)
                return Release(length, bound, private_logistic.sensitivity(width), multiplier)
            case Phase.TRAINING:
                descent = self._descent
                return Release(descent.length(), descent.bound(), descent.sensitivity(), multiplier)
            case Phase.EVALUATION:
                kind = private_evaluate
                return Release(kind.LENGTH, kind.BOUND, kind.SENSITIVITY, multiplier)
            case _:
                raise Misuse("this task is finished; there is no coming round")

    def length(self, state: State) -> int:
        """Entries of every site's vector in the coming round."""
        return self.release(state).length

    def bound(self, state: State) -> float:
        """Every entry of a vector lies in [-bound, bound]."""
        return self.release(state).bound

    def bits(self, state: State) -> int:
        """64: noise needs room."""
        return 64

    def scale(self, state: State) -> int:
        """Fixed-point steps per unit for the coming round."""
        return self.release(state).scale

    def ready(self, table: Table, label: str) -> SiteData:
        """A site's rows as this task uses them.

        Raises Refused, naming the column, if the table does not fit.
        """
        if table.schema.digest() != self.schema.digest():
            raise Refused(f"site {label}: its table has schema '{table.schema.title}', not the job's; map it anew")
        check_size(table.rows, label)
        fraction = self.spec.evaluation.fraction
        held = words(table, "held back", self.spec.seed) < np.uint64(int(fraction * 2.0**64))
        return SiteData(
            label,
            self.design.features(table),
            self.design.labels(table),
            ~held[None, :],
            np.where(held, 0, -1)[None, :].astype(np.int64)[: self.spec.evaluation.repeats],
            patients(table),
        )

    def contribute(self, state: State, site: SiteData, secret: bytes = b"") -> Floats:
        """The site's half of the coming round, without its noise: float64[length].

        Reveals: see the `contribute` of `private_moments`, `private_logistic`, `private_descent`, `private_evaluate`.
        """
        if site.patients is None:
            raise Misuse("a private round needs to know whose rows they are")
        shares = site.patients.shares
        match state.phase:
            case Phase.MOMENTS:
                return private_moments.contribute(self._binary, site, shares)
            case Phase.TRAINING if state.noisy is not None:
                return private_logistic.contribute(self.design, _moments(state), state.noisy, site, shares)
            case Phase.TRAINING if state.descended is not None:
                return self._descent.contribute(_moments(state), state.descended, site, secret)
            case Phase.EVALUATION:
                return private_evaluate.contribute(site, self.judged(state, site)[0])
            case _:
                raise Misuse("this task is finished; there is no coming round")

    def combine(self, state: State, total: Floats, sites: int) -> State:
        """The next state; noise alone never makes it fail.

        total  float64[length], the sum of the vectors of all sites that took part, with their noise
        sites  how many took part, >= 1
        """
        release = self.release(state)
        deviation = release.deviation * math.sqrt(self.crowd.excess(sites))
        total = checked(total, release.length)
        following = replace(state, round=state.round + 1, phase=self.phase_of(state.round + 1))
        match state.phase:
            case Phase.MOMENTS:
                known = private_moments.combine(self.design, self._binary, total, deviation)
                following = replace(following, moments=known)
                if self.spec.logistic is not None:
                    return replace(following, noisy=private_logistic.start(known))
                return replace(following, descended=self._descent.start())
            case Phase.TRAINING if state.noisy is not None and self.spec.logistic is not None:
                stepped = private_logistic.combine(_moments(state), state.noisy, self.spec.logistic, total, deviation)
                return replace(following, noisy=stepped)
            case Phase.TRAINING if state.descended is not None:
                return replace(following, descended=self._descent.combine(_moments(state), state.descended, total))
            case _:
                return replace(following, quality=private_evaluate.combine(total, deviation))

    def log_odds(self, state: State, features: Floats, fit: int = 0) -> Floats:
        """What the model predicts: float64[rows].

        features  float64[rows, measured], scaled, as in `SiteData.features`

        Raises Misuse before any training.
        """
        matrix = moments.standardise(self.design, _moments(state), features, 0)
        if state.noisy is not None:
            return each(partial(private_logistic.log_odds, state.noisy), matrix)
        if state.descended is not None and self.network is not None:
            return each(partial(self.network.log_odds, state.descended.weights), matrix)
        raise Misuse("log_odds: nothing is trained yet")

    def predict(self, state: State, site: SiteData, fit: int = 0) -> Floats:
        """Probabilities for a site's own rows: float64[rows]."""
        return evaluate.sigmoid(self.log_odds(state, site.features, fit))

    def judged(self, state: State, site: SiteData) -> Floats:
        """Log-odds of the patients who were held back: float64[repeats, rows], NaN for the others."""
        score = np.full(site.judging.shape, np.nan)
        for repeat, held in enumerate(site.judging == 0):
            score[repeat, held] = self.log_odds(state, site.features[held])
        return score

    def phase_of(self, round: int) -> Phase:
        """What is computed once so many rounds have come to a sum."""
        if round == 0:
            return Phase.MOMENTS
        if round <= self.steps:
            return Phase.TRAINING
        return Phase.EVALUATION if round < self.max_rounds else Phase.DONE

    @property
    def _binary(self) -> private_moments.Flags:
        return private_moments.zero_one(self.design, self.schema)

    @property
    def _descent(self) -> PrivateDescent:
        if self.spec.descent is None or self.network is None:
            raise Misuse("the state is not one of this task: it holds no descent")
        return PrivateDescent(self.spec.descent, self.design, self.network, self.spec.seed)


def _moments(state: State) -> Moments:
    if state.moments is None:
        raise Misuse("the state has no moments yet")
    return state.moments


# ---------------------------------------------------------------- the noise of a specification


def check_private(spec: Learning, spending: Spending, program: PrivateProgram) -> None:
    """Refuse a specification whose noise is not for what it trains; it may come from a peer.

    Raises Refused, naming what does not fit.
    """
    check_spending(spending)
    if spec.averaging is not None:
        raise Refused("model.kind: 'mlp' opens exact sums; with [privacy] use 'dp-sgd' or 'logistic'")
    if spec.evaluation.method not in (NONE, HOLDOUT) or spec.evaluation.repeats > 1:
        raise Refused("evaluation: with [privacy] method = 'holdout' and repeats = 1, or none: every fit would cost")
    judged = (1,) * (spec.evaluation.repeats > 0)
    wanted = (program.max_rounds - len(judged), *judged)
    if tuple(part.releases for part in spending.parts) != wanted:
        raise Refused(f"privacy: noise for other releases than the {program.max_rounds} that the job opens")
    sampling = 1.0 if spec.descent is None else spec.descent.sampling
    state, entries = OPENING, 0
    for number in range(program.max_rounds):
        event = spending.event(number)
        state = replace(state, round=number, phase=program.phase_of(number))
        if event.rate != (sampling if state.phase is Phase.TRAINING else 1.0):
            raise Refused(
                f"privacy: release {number} is priced for a sampling rate of {event.rate:g}, which it has not"
            )
        release = program.release(state)
        entries += release.length
        _ = release.scale  # raises where the noise does not fit
    if entries > MOST_ENTRIES:
        raise Refused(f"privacy: {entries} entries are opened, at most {MOST_ENTRIES} are accounted for; train less")


def plan_spending(spec: Learning, *, epsilon_micro: int, delta_pico: int) -> Spending:
    """The noise with which a job spends an epsilon: logistic regression by its own rule, a descent's steps all alike.

    Raises Refused if no noise does, or the model is not one of noisy sums.
    """
    target, delta = accountant.aim(epsilon_micro, delta_pico)
    whole = accountant.multiplier(target, delta)
    if spec.logistic is not None:
        events = [noise_event(one) for one in private_logistic.schedule(spec.logistic.max_rounds, whole)]
    elif spec.descent is not None:
        first = noise_event(whole / np.sqrt(MOMENTS_SHARE))
        model = spec.descent
        if model.sampling < 1:
            noise = accountant.sampled_multiplier(target, delta, rate=model.sampling, count=model.rounds, also=(first,))
        else:
            noise = float(whole * np.sqrt(model.rounds / (1 - MOMENTS_SHARE)))
        events = [first, noise_event(noise, model.sampling, model.rounds)]
    else:
        raise Refused("model.kind: 'mlp' opens exact sums; with [privacy] use 'dp-sgd' or 'logistic'")
    parts = [Part(tuple(events))]
    if spec.evaluation.repeats:
        parts.append(Part((noise_event(whole),)))
    return Spending(tuple(parts))


def build_private(
    spec: Learning, schema: Schema, spending: Spending, crowd: Crowd, network: fedavg.Network | None = None
) -> PrivateProgram:
    """The task of a private specification.

    network  for a descent: the module to train instead of the perceptron that `spec` describes

    Raises Refused, naming the field or column, if the parts make no sense together.
    """
    check_spec(spec)
    design = plan_design(schema, spec.features, spec.missing_indicators, spec.target)
    if network is None and spec.descent is not None:
        network = Perceptron(spec.descent.hidden, spec.descent.activation)
    program = PrivateProgram(spec, schema, design, network, spending, crowd)
    check_private(spec, spending, program)
    return program
