"""A whole job whose updates are judged unseen: moments, then training, then evaluation, as one task.

Every round opens the inner products of all rows and one weighted sum. The weights follow from the products by public
rules, so everybody computes the same: three aggregators before the sum, the coordinator and the auditor after it.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, replace
from typing import final

import numpy as np
import numpy.typing as npt

from caduceus.data.card import ROWS_STEP
from caduceus.data.schema import Schema
from caduceus.data.table import Table
from caduceus.errors import Misuse, Refused
from caduceus.kinds import Floats
from caduceus.learn import moments
from caduceus.learn.aggregate.centres import geometric_median
from caduceus.learn.design import Design, plan
from caduceus.learn.fedavg import FederatedAveraging
from caduceus.learn.judged import quality, strata
from caduceus.learn.judged.opened import LEAST_MIXED, STEPS, UNKNOWN, WHOLE, Given, Lots, Opened, mixed, mixes, whole
from caduceus.learn.judged.rows import JudgedData, Stratum, check_strata, hold_back, names_of, place
from caduceus.learn.perceptron import Perceptron
from caduceus.learn.rows import ROWS_LIMIT, SiteData, check_size
from caduceus.learn.spec import HOLDOUT, Averaging, Learning
from caduceus.learn.spec import check as check_spec
from caduceus.learn.state import OPENING, Judged, Moments, Phase, Quality, State, check_array, require
from caduceus.learn.task import checked
from caduceus.market.mechanism.judge import judge
from caduceus.market.mechanism.rules import Rules, start
from caduceus.market.mechanism.seen import INDEPENDENT, Seen
from caduceus.market.mechanism.verdict import Lane, Verdict

_MILLION = 1_000_000
_LARGEST = 2.0**53  # nothing that a memory holds comes near to it
_MOST_OF_MEDIAN = 4
"""A site counts as at most so many times the rows of the middle one: nobody sees how many it has."""


def build_judged(
    spec: Learning, schema: Schema, divided: tuple[Stratum, ...], rules: Rules, evaluators: int
) -> JudgedProgram:
    """The task of a job whose updates are judged.

    divided     patients to look at apart
    evaluators  how many judge besides the sites

    Raises Refused, naming the field or column, if the parts make no sense or do not fit together.
    """
    check_spec(spec)
    if spec.averaging is None:
        raise Refused("model: updates are judged in federated averaging only ('mlp', with no hidden layers if need be)")
    if spec.evaluation.method != HOLDOUT or spec.evaluation.repeats != 1:
        raise Refused("evaluation: where updates are judged, every site holds rows out, once (holdout, repeats = 1)")
    check_strata(divided, schema)
    if len(rules.budgets) != 1 + len(divided):
        raise Refused(f"judging.rules: shares for {len(rules.budgets)} strata, and there are {1 + len(divided)}")
    numbers = [getattr(rules, field.name) for field in dataclasses.fields(rules)]
    if not np.isfinite(np.hstack(numbers)).all():
        raise Refused("judging.rules: a number that is none, or has no end")
    try:
        start(rules, 1, 1)
    except Misuse as problem:  # a buyer wrote them
        raise Refused(f"judging.{problem}") from None
    design = plan(schema, spec.features, spec.missing_indicators, spec.target)
    network = Perceptron(spec.averaging.hidden, spec.averaging.activation)
    return JudgedProgram(spec, schema, design, network, divided, rules, evaluators)


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """What everybody finds from what a round opens.

    weights  int64[sites], parts of `opened.WHOLE`, adding up to at most that
    verdict  of a round of training; None in the others, which judge nobody
    """

    weights: npt.NDArray[np.int64]
    verdict: Verdict | None


@final
@dataclass(frozen=True, slots=True, eq=False)
class JudgedProgram:
    """Implements `task.JudgedTask`; built by `build_judged`."""

    spec: Learning
    schema: Schema
    design: Design
    network: Perceptron
    divided: tuple[Stratum, ...]
    rules: Rules
    evaluators: int

    @property
    def strata(self) -> tuple[str, ...]:
        """Their names."""
        return names_of(self.divided)

    @property
    def trains_long(self) -> bool:
        """Whether a site trains for longer than its messages take."""
        return bool(self._model.hidden)

    @property
    def max_rounds(self) -> int:
        """Moments, training, evaluation: exactly so many."""
        return 2 + self._model.rounds

    def opening(self) -> State:
        """The public state before round 0."""
        return OPENING

    def finished(self, state: State) -> bool:
        """Whether no round is left."""
        return state.phase is Phase.DONE

    def check(self, state: State) -> None:
        """Refuse a state, perhaps a peer's, that no run of this task reaches.

        Raises Refused, naming the field.
        """
        require(state.phase is not Phase.QUESTIONS, "phase")
        require(0 <= state.round <= self.max_rounds, "round")
        for name in ("newton", "averaged", "noisy", "descended", "answers"):
            require(getattr(state, name) is None, name)
        trained = state.phase > Phase.MOMENTS
        require((state.moments is not None) == trained, "moments")
        require((state.judged is not None) == trained, "judged")
        require((state.quality is not None) == (state.phase is Phase.DONE), "quality")
        if state.moments is not None:
            for name in ("rows", "positives"):
                check_array(state.moments, name, (1,))
            for name in ("mean", "deviation"):
                check_array(state.moments, name, (1, self.design.width))
            require(bool((state.moments.rows >= 1).all()), "moments.rows")
            require(bool((state.moments.deviation > 0).all()), "moments.deviation")
        if state.judged is not None:
            self._check_judged(state.judged, state.phase)
        # A sum may be opened of every state: so none differ in the round's number alone.
        rounds = 0 if state.judged is None else state.judged.rounds
        require(state.round == rounds + (0, 1, 1, 2)[state.phase], "round")

    def _check_judged(self, judged: Judged, phase: Phase) -> None:
        size = self.network.parameters(self.design.width)
        for name in ("weights", "before", "moved"):
            check_array(judged, name, (size,))
        sites = judged.weighed.shape[0] if judged.weighed.ndim == 1 else -1
        require(sites >= 1, "judged.weighed")
        for name in ("weighed", "vetoed"):
            check_array(judged, name, (sites,), "<i8")
        check_array(judged, "lanes", (sites,), "|u1")
        is_trained = phase is not Phase.TRAINING
        require(judged.rounds >= 0 and (judged.rounds >= self._model.rounds) == is_trained, "judged.rounds")
        require(judged.rounds <= self._model.rounds, "judged.rounds")
        require((judged.by_stratum is not None) == (phase is Phase.DONE), "judged.by_stratum")
        require(bool((judged.weighed >= 0).all() and (judged.weighed <= WHOLE).all()), "judged.weighed")
        require(bool((judged.vetoed >= 0).all() and (judged.vetoed <= judged.rounds).all()), "judged.vetoed")
        require(bool((judged.lanes <= max(Lane)).all()), "judged.lanes")
        # The weights add up to 1 at most; a sketched row may pass with twice the length.
        require(bool((np.abs(judged.moved) <= 4 * self._model.clip).all()), "judged.moved")
        require(judged.memory.rounds == judged.rounds, "judged.memory.rounds")
        require(0.0 < judged.memory.caution <= 1.0, "judged.memory.caution")
        _check_like(judged.memory, start(self.rules, sites, sites + self.evaluators), "judged.memory")

    # ------------------------------------------------------------ the shape of a round

    def lots(self, state: State) -> Lots:
        """How many rows everybody gives to the coming round."""
        count = len(self.strata)
        return Lots(1 + count, count) if state.phase is Phase.TRAINING else Lots(1, 0)

    def length(self, state: State) -> int:
        """Entries of every row in the coming round."""
        match state.phase:
            case Phase.MOMENTS:
                return moments.length(self.design, 1)
            case Phase.TRAINING:
                return self.network.parameters(self.design.width)
            case Phase.EVALUATION:
                return quality.length(1 + len(self.strata))
            case _:
                raise Misuse("this task is finished; there is no coming round")

    def norm(self, state: State) -> float:
        """No row of the coming round is longer than this, in model units."""
        match state.phase:
            case Phase.MOMENTS:
                return float(np.sqrt(2 + 3 * self.design.measured))
            case Phase.TRAINING:
                return self._model.clip
            case Phase.EVALUATION:
                return quality.bound(1 + len(self.strata))
            case _:
                raise Misuse("this task is finished; there is no coming round")

    def scale(self, state: State) -> int:
        """Fixed-point steps per unit, a power of two: a row is at most `STEPS` long, before it is rounded."""
        return max(1, int(2.0 ** np.floor(np.log2(STEPS / self.norm(state)))))

    def public(self, state: State) -> Floats | None:
        """A row that everybody knows and the others are multiplied with: the last move of the model.

        returns  float64[length] within the norm, or None in rounds that have none
        """
        if state.phase is not Phase.TRAINING:
            return None
        moved = _judged(state).moved
        return moved * min(1.0, self._model.clip / max(float(np.linalg.norm(moved)), 1e-300))

    # ------------------------------------------------------------ what parties compute

    def ready(self, table: Table, label: str) -> JudgedData:
        """A site's rows as this task uses them.

        Raises Refused, naming the column, if the table does not fit.
        """
        if table.schema.digest() != self.schema.digest():
            raise Refused(f"site {label}: its table has schema '{table.schema.title}', not the job's; map it anew")
        check_size(table.rows, label)
        target, part = self.design.labels(table), place(self.divided, table)
        held = hold_back(target, part, label, self.spec.seed, self.spec.evaluation.fraction)
        return JudgedData(label, self.design.features(table), target, part, held)

    def examiner(self, table: Table, label: str) -> JudgedData:
        """An evaluator's rows, all of them held out.

        Raises Refused as `ready` does.
        """
        site = self.ready(table, label)
        return replace(site, held=np.ones(site.rows, dtype=np.bool_))

    def contribute(self, state: State, site: JudgedData) -> Given:
        """A site's rows for the coming round, each within the norm.

        Reveals, opened: the inner products of its rows with everybody's, and a weighted sum over all sites; and the
        report, which is public: rows, coarsely, or losses (see `strata.losses`).

        Raises Refused if training diverges.
        """
        match state.phase:
            case Phase.MOMENTS:
                learning = ~site.held
                rows = int(learning.sum())
                if rows == 0:
                    raise Refused(f"site {site.label}: no rows to learn from")
                data = SiteData(
                    site.label, site.features, site.target, learning[None, :], np.empty((0, site.rows), np.int64)
                )
                return Given((moments.contribute(data) / rows)[None, :], self._rows_told(rows))
            case Phase.TRAINING:
                rows_, report = self._opinion(state, site)
                return Given(np.vstack([self._update(state, site)[None, :], rows_]), report)
            case Phase.EVALUATION:
                known = _moments(state)
                matrix = moments.standardise(self.design, known, site.features, 0)
                scores = self.network.log_odds(_judged(state).weights, matrix)
                if not np.isfinite(scores).all():
                    raise Refused(f"site {site.label}: the last model predicts nothing finite; it is not judged")
                vector, held = quality.contribute(site, scores, len(self.strata))
                return Given(vector[None, :], self._rows_told(held))
            case _:
                raise Misuse("this task is finished; there is no coming round")

    def examine(self, state: State, evaluator: JudgedData) -> Given:
        """An evaluator's rows for the coming round: the slopes of its strata, and its losses in public."""
        if state.phase is not Phase.TRAINING:
            raise Misuse("evaluators are asked while a model is trained")
        rows, report = self._opinion(state, evaluator)
        return Given(rows, report)

    def _update(self, state: State, site: JudgedData) -> Floats:
        """How the site's own rows would change the model, cut to the norm."""
        known, judged, learning = _moments(state), _judged(state), ~site.held
        matrix = moments.standardise(self.design, known, site.features[learning], 0)
        averaging = FederatedAveraging(self._model, self.design, self.network, self.spec.seed)
        course = averaging.course(site.label, len(matrix), judged.rounds, 0, float(known.rows[0]))
        change = self.network.train(judged.weights, matrix, site.target[learning], course)
        norm = float(np.linalg.norm(change))
        if not np.isfinite(norm):
            raise Refused(f"site {site.label}: local training diverged in round {judged.rounds}; lower the rate")
        return change * min(1.0, self._model.clip / max(norm, 1e-300))

    def _opinion(self, state: State, party: JudgedData) -> tuple[Floats, tuple[int, ...]]:
        known, weights = _moments(state), _judged(state).weights
        matrix = moments.standardise(self.design, known, party.features[party.held], 0)
        target, part = party.target[party.held], party.stratum[party.held]
        found = strata.slopes(self.network, weights, matrix, target, part, len(self.strata))
        return found * self._model.clip, strata.losses(
            self.network.log_odds(weights, matrix), target, part, len(self.strata)
        )

    def _rows_told(self, rows: int) -> tuple[int, ...]:
        """A count of rows, as coarse as a card tells it, and nothing of single strata."""
        return (max(rows // ROWS_STEP * ROWS_STEP, ROWS_STEP), *[UNKNOWN] * (len(self.strata) - 1))

    # ------------------------------------------------------------ what everybody computes

    def weigh(self, state: State, opened: Opened) -> npt.NDArray[np.int64]:
        """The weights alone of what `decide` finds."""
        return self.decide(state, opened).weights

    def decide(self, state: State, opened: Opened) -> Decision:
        """The weight of every site's first row, and what was judged to find it.

        No site weighs so much that the sum showed it, whatever state a coordinator calls with (see `mixed`). Where
        fewer than three weigh anything, nothing is summed; in training the model then stays as it is for a round.

        Raises Refused if nothing can be weighed, such as when nobody is present.
        """
        if not opened.present[: opened.sites].any():
            raise Refused("nobody is present")
        match state.phase:
            case Phase.MOMENTS:
                weights = whole(self._middle(opened))
            case Phase.TRAINING:
                verdict = judge(self.rules, _judged(state).memory, self.seen(state, opened))
                return Decision(mixed(whole(verdict.weights)), verdict)
            case _:
                rows = self._believed(state, opened)
                weights = whole(rows / rows.sum())
        weights = mixed(weights)
        if not weights.any():
            raise Refused("the sum would be that of very few sites; nothing is opened")
        return Decision(weights, None)

    def combine(self, state: State, opened: Opened, total: Floats) -> State:
        """The next state.

        total  float64[length], the weighted sum of the sites' first rows

        Raises Refused if nothing can be learned from such a sum.
        """
        total = checked(total, self.length(state))
        following = replace(state, round=state.round + 1)
        decided = self.decide(state, opened)
        if decided.verdict is not None:
            return self._trained(state, following, decided.verdict, total, decided.weights)
        part = max(float(decided.weights.sum()), 1.0) / WHOLE
        match state.phase:
            case Phase.MOMENTS:
                rows = self._counted(opened).sum()
                known = moments.combine(self.design, total / part * rows, noise=rows * 0.5 / self.scale(state))
                return replace(following, moments=known, phase=Phase.TRAINING, judged=self._start(opened.sites))
            case _:
                rows = self._counted(opened)[self._believed(state, opened) > 0].sum()
                found = quality.combine(total / part, 1 + len(self.strata), float(rows))
                judged = replace(_judged(state), by_stratum=_views(found, 1, None))
                return replace(following, quality=_views(found, 0, 1), judged=judged, phase=Phase.DONE)

    def _trained(
        self, state: State, following: State, verdict: Verdict, total: Floats, weighed: npt.NDArray[np.int64]
    ) -> State:
        judged = _judged(state)
        after = replace(
            judged,
            weights=judged.before.copy() if verdict.rolls_back else judged.weights + total,
            before=judged.before if verdict.rolls_back else judged.weights,
            moved=np.zeros_like(total) if verdict.rolls_back else total,
            rounds=judged.rounds + 1,
            weighed=weighed,
            lanes=np.asarray(verdict.lane, dtype=np.uint8),
            vetoed=judged.vetoed + np.array([lane is Lane.VETOED for lane in verdict.lane], dtype=np.int64),
            memory=verdict.memory,
        )
        done = after.rounds >= self._model.rounds
        return replace(following, judged=after, phase=Phase.EVALUATION if done else Phase.TRAINING)

    def _start(self, sites: int) -> Judged:
        weights = self.network.opening(self.design.width, self.spec.seed)
        return Judged(
            weights=weights,
            before=weights,
            moved=np.zeros_like(weights),
            rounds=0,
            weighed=np.zeros(sites, dtype=np.int64),
            lanes=np.zeros(sites, dtype=np.uint8),
            vetoed=np.zeros(sites, dtype=np.int64),
            memory=start(self.rules, sites, sites + self.evaluators),
            by_stratum=None,
        )

    def seen(self, state: State, opened: Opened) -> Seen:
        """What the mechanism goes by, from what a round of training opens."""
        clip, sites, count = self._model.clip, opened.sites, len(self.strata)
        moved = _judged(state).moved
        stretch = max(1.0, float(np.linalg.norm(moved)) / clip)  # undoes the cut of the public row
        own = opened.of_sites(0)
        # Evaluators are the sites' own held-out rows, then those that are no sites.
        looks = [np.concatenate([opened.of_sites(1 + s), opened.of_evaluators(s)]) for s in range(count)]
        slopes = np.stack(looks, axis=1)  # [evaluators, strata]
        told = opened.reports >= 0
        knows = told & opened.present[:, None]
        helps = -opened.gram[np.ix_(own, slopes.ravel())].reshape(sites, *slopes.shape) / clip
        moved_helps = -opened.gram[opened.public][slopes] / clip * stretch
        return Seen(
            products=opened.gram[np.ix_(own, own)],
            helps=np.where(knows[None], helps, np.nan),
            moved=opened.gram[own, opened.public] * stretch,
            moved_helps=np.where(knows, moved_helps, np.nan),
            moved_norm2=float(moved @ moved),
            losses=np.where(knows, opened.reports / _MILLION, np.nan),
            owner=np.concatenate([np.arange(sites), np.full(opened.evaluators, INDEPENDENT)]).astype(np.int64),
            present=opened.present[:sites].copy(),
            order=np.zeros(sites, dtype=np.int64),
        )

    def _middle(self, opened: Opened) -> Floats:
        """The same weight for the half of the sites whose means are nearest to the geometric median of all.

        The geometric median itself may be a single site's row; half of them may be anything.
        """
        here = np.flatnonzero(opened.present[: opened.sites])
        own = opened.of_sites(0)[here]
        gram = opened.gram[np.ix_(own, own)]
        centre = geometric_median(gram)
        away = gram.diagonal() - 2 * gram @ centre + float(centre @ gram @ centre)
        nearest = np.argsort(away, kind="stable")[: max(len(here) // 2 + 1, int(LEAST_MIXED))]
        weights = np.zeros(opened.sites)
        weights[here[nearest]] = 1.0 / len(nearest)
        return weights

    def _believed(self, state: State, opened: Opened) -> Floats:
        """The same of the sites whose last update counted: one that sent poison would judge with it too.

        Where the last round came to nothing, of those that have earned anything; as many rows each where the sum would
        otherwise show somebody.
        """
        judged, rows = _judged(state), self._counted(opened)
        for trusted in (judged.weighed > 0, judged.memory.earned > 0, np.ones(opened.sites, dtype=np.bool_)):
            for found in (np.where(trusted, rows, 0.0), (trusted & (rows > 0)).astype(np.float64)):
                if found.any() and mixes(whole(found / found.sum())):
                    return found
        return rows

    def _counted(self, opened: Opened) -> Floats:
        """Rows that sites state, capped: float64[sites], 0 where absent."""
        here = opened.present[: opened.sites]
        stated = np.clip(opened.reports[: opened.sites, 0], 1, ROWS_LIMIT).astype(np.float64)
        most = _MOST_OF_MEDIAN * float(np.median(stated[here]))
        return np.where(here, np.minimum(stated, most), 0.0)

    # ------------------------------------------------------------ using the model

    def log_odds(self, state: State, features: Floats) -> Floats:
        """What the last model predicts: float64[rows].

        features  float64[rows, measured], scaled, as in `JudgedData.features`
        """
        matrix = moments.standardise(self.design, _moments(state), features, 0)
        return self.network.log_odds(_judged(state).weights, matrix)

    @property
    def _model(self) -> Averaging:
        assert self.spec.averaging is not None
        return self.spec.averaging


def _views(found: Quality, first: int, last: int | None) -> Quality:
    cut = slice(first, last)
    return Quality(
        rows=found.rows[cut],
        auroc=found.auroc[cut],
        auroc_error=found.auroc_error[cut],
        brier=found.brier[cut],
        site_auroc=found.site_auroc[cut],
        site_brier=found.site_brier[cut],
        sites=found.sites[cut],
        calibration=found.calibration[cut],
        histogram=found.histogram[cut],
    )


def _check_like(given: object, wanted: object, field: str) -> None:
    """Refuse a record that has other arrays than another of its kind."""
    for one in dataclasses.fields(wanted):  # type: ignore[arg-type]  # both are records
        theirs, ours, name = getattr(given, one.name), getattr(wanted, one.name), f"{field}.{one.name}"
        if isinstance(ours, np.ndarray):
            alike = theirs.dtype == ours.dtype and theirs.shape == ours.shape
            # Losses that nobody has told are NaN from the start; nothing else ever is. A cosine, or pay, is no more
            # than so many rounds, and a loss no more than a report says.
            fine = not (np.abs(theirs) >= _LARGEST).any() and (np.isnan(ours).any() or not np.isnan(theirs).any())
            require(bool(alike and fine), name)
        elif dataclasses.is_dataclass(ours):
            _check_like(theirs, ours, name)


def _moments(state: State) -> Moments:
    if state.moments is None:
        raise Misuse("this state knows no moments yet")
    return state.moments


def _judged(state: State) -> Judged:
    if state.judged is None:
        raise Misuse("this state is not one of a job whose updates are judged, or it has not begun to train")
    return state.judged
