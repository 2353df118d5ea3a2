"""What a report says of judged updates: every round's verdict, computed again from what the round opened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from caduceus import canon
from caduceus.edges.store import FolderStore
from caduceus.errors import PeerFault, Refused
from caduceus.kinds import Digest, Floats
from caduceus.learn.judged.opened import WHOLE
from caduceus.learn.judged.program import JudgedProgram
from caduceus.learn.state import Judged, Phase, State
from caduceus.market.mechanism.judge import judge
from caduceus.market.mechanism.rules import Rules
from caduceus.market.mechanism.seen import Seen
from caduceus.market.mechanism.verdict import Lane, Verdict
from caduceus.protocol.gram_exchange import GramExchange
from caduceus.protocol.gram_for import judge_for, opened, plan_for
from caduceus.protocol.gram_replay import replay
from caduceus.protocol.gram_session import GramGround, GramPlan
from caduceus.protocol.round_record import RoundRecord
from caduceus.report.facts import (
    JudgedRoundFacts,
    JudgedSiteFacts,
    JudgingFacts,
    JudgingFault,
    LaneFacts,
    Quality,
    StratumFacts,
)
from caduceus.report.reading import mostly
from caduceus.report.words import MINUS, plain
from caduceus.wiring.recall import Recalled
from caduceus.wiring.wording import say_deed

KEPT = frozenset({Lane.CONSENSUS, Lane.READMITTED})
"""Lanes whose updates enter the move."""


def judging_facts(job: Recalled, store: FolderStore, records: Sequence[RoundRecord]) -> JudgingFacts | None:
    """Lanes, weights, pay and reasons; None for a job whose updates are not judged.

    records  of all anchored rounds, in order

    Raises Refused if a state or an exchange is missing or altered.
    """
    task, judging = job.task, job.spec.judging
    if not isinstance(task, JudgedProgram) or judging is None:
        return None
    rounds = [one for record in records if (one := _judged_again(task, store, record)) is not None]
    verdicts = [one for one in rounds if one.verdict is not None]
    last = verdicts[-1].verdict if verdicts else None
    return JudgingFacts(
        strata=tuple(_strata(task, last, job.state.judged)),
        rounds=tuple(_told(rounds, place) for place in range(len(rounds))),
        sites=tuple(_sites(job, task.rules, verdicts)),
        evaluators=tuple(job.name(one.account) for one in judging.evaluators),
        aggregators=tuple(job.name(one.account) for one in judging.aggregators),
        faults=tuple(fault for record in records for fault in _faults(job, store, record)),
        least_support=-task.rules.far,
        least_net=-task.rules.veto,
        sketched=any(not one.plan.is_exact for one in rounds),
    )


# ---------------------------------------------------------------- a round, once more


@dataclass(frozen=True, slots=True, eq=False)
class _Again:
    """A round of training; without a verdict if it failed, or cannot be done again.

    weights  float64[sites], parts of the move
    faults   by seat that was put out, what it did
    """

    record: RoundRecord
    plan: GramPlan
    failure: str
    verdict: Verdict | None = None
    seen: Seen | None = None
    weights: Floats | None = None
    faults: tuple[tuple[int, str], ...] = ()


def _judged_again(task: JudgedProgram, store: FolderStore, record: RoundRecord) -> _Again | None:
    """What a round decided; None of a round that trains nothing."""
    state = canon.unpack(State, store.get(record.before))
    if state.phase is not Phase.TRAINING or state.judged is None:
        return None
    plan = plan_for(record.round, canon.unpack(GramGround, store.get(record.setup)), task, state)
    if record.failure:
        return _Again(record, plan, record.failure)
    exchange = canon.unpack(GramExchange, store.get(record.exchange))
    recorded = (*record.uploads, *exchange.evaluators)

    def upload(dealer: int) -> bytes:
        digest: Digest | None = recorded[dealer]
        if digest is None:
            raise Refused(f"the upload of {plan.ground.name_of(dealer)} is not recorded")
        return store.get(digest)

    try:
        found = replay(exchange, plan, upload, judge_for(task, state, plan.sites))
    except (PeerFault, Refused) as problem:  # the audit says what is wrong; the other rounds are told all the same
        return _Again(record, plan, f"cannot be done again: {problem}")
    judged = found.judged
    seen = task.seen(state, opened(task, state, judged.gram, judged.reports, judged.present, sites=plan.sites))
    return _Again(
        record,
        plan,
        "",
        judge(task.rules, state.judged.memory, seen),
        seen,
        judged.weights / WHOLE,
        tuple((fault.seat, fault.why) for fault in found.faults),
    )


def _told(rounds: Sequence[_Again], place: int) -> JudgedRoundFacts:
    one = rounds[place]
    verdict, weights, faults = one.verdict, one.weights, dict(one.faults)
    if verdict is None or weights is None:
        return JudgedRoundFacts(one.record.round, one.failure, False, ())
    following = next((later.verdict for later in rounds[place + 1 :] if later.verdict is not None), None)
    pay = verdict.pay if following is None or not following.rolls_back else np.zeros_like(verdict.pay)
    lanes = tuple(
        LaneFacts(lane, float(weights[seat]), float(pay[seat]), faults.get(seat, ""))
        for seat, lane in enumerate(verdict.lane)
    )
    return JudgedRoundFacts(one.record.round, "", verdict.rolls_back, lanes)


def _faults(job: Recalled, store: FolderStore, record: RoundRecord) -> Iterator[JudgingFault]:
    exchange = canon.unpack(GramExchange, store.get(record.exchange))
    ground = canon.unpack(GramGround, store.get(record.setup))
    forfeiting = {fault.seat for fault in record.faults}
    for fault in exchange.faults:
        seated = fault.seat < len(job.enrolments)
        who = job.name(job.enrolments[fault.seat].site) if seated else ground.name_of(fault.seat)
        yield JudgingFault(record.round, who, fault.why, fault.seat in forfeiting, record.exchange.hex())


# ---------------------------------------------------------------- strata


def _strata(task: JudgedProgram, last: Verdict | None, judged: Judged | None) -> Iterator[StratumFacts]:
    rules, served = task.rules, None if judged is None else judged.by_stratum
    for number, name in enumerate(task.strata):
        middle = None if last is None else _middle(last.scores[:, number], last.standing[:, number])
        rows = 0 if served is None else round(float(served.rows[number]))
        quality = Quality(None, None)
        if served is not None and rows:
            outcomes = np.asarray(served.histogram[number]).sum(axis=1)
            auroc = float(served.auroc[number]) if (outcomes > 0).all() else None
            quality = Quality(auroc, float(served.brier[number]))
        yield StratumFacts(
            name=name,
            voice=rules.voices[number],
            budget=rules.budgets[number],
            median=None if middle is None else middle[0],
            floor=None if middle is None else min(middle[0] - rules.harmful * middle[1], 0.0),
            bar=None if middle is None or number == 0 else max(middle[0] + rules.kappa * middle[1], 0.0),
            rows=rows,
            quality=quality,
        )


def _middle(scores: Floats, standing: Floats) -> tuple[float, float] | None:
    """Median and spread of the effects on a stratum: standing = (score - median) / spread, for every site the same.

    returns  None if the sites do not differ, so that no spread can be told
    """
    low, high = int(standing.argmin()), int(standing.argmax())
    if standing[high] <= standing[low]:
        return None
    spread = float((scores[high] - scores[low]) / (standing[high] - standing[low]))
    return float(scores[low] - standing[low] * spread), spread


# ---------------------------------------------------------------- sites


def _sites(job: Recalled, rules: Rules, rounds: Sequence[_Again]) -> Iterator[JudgedSiteFacts]:
    last = rounds[-1].verdict if rounds else None
    strata = job.task.strata if isinstance(job.task, JudgedProgram) else ()
    judged = job.state.judged
    for seat, enrolment in enumerate(job.enrolments):
        name = job.name(enrolment.site)
        fresh = [float(one.verdict.novelty[seat]) for one in rounds if one.verdict and _came(one, seat)]
        earned = 0.0 if judged is None else float(judged.memory.earned[seat]) / max(judged.rounds, 1)
        yield JudgedSiteFacts(
            name=name,
            effects=tuple(None if last is None else _known(last.scores[seat, s]) for s in range(len(strata))),
            support=None if last is None else _known(last.support[seat]),
            net=None if last is None else _known(last.net[seat]),
            novelty=sum(fresh) / len(fresh) if fresh else None,
            earned=earned,
            dishonest=say_deed(job.deeds[name]) if name in job.deeds else "",
            reason=_reason(seat, rounds, rules, strata),
        )


def _came(one: _Again, seat: int) -> bool:
    return one.seen is not None and bool(one.seen.present[seat])


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _reason(seat: int, rounds: Sequence[_Again], rules: Rules, strata: Sequence[str]) -> str:
    """Why a site was mostly kept or not, by the last round in which that was so."""
    rounds = [one for one in rounds if one.verdict is not None and not one.verdict.rolls_back]
    lanes = [one.verdict.lane[seat] for one in rounds if one.verdict is not None]
    if not lanes:
        return "No round was judged."
    often, lane = Counter(lanes), mostly(lanes)
    one = next(one for one in reversed(rounds) if one.verdict is not None and one.verdict.lane[seat] is lane)
    assert one.verdict is not None
    when = f"in all {len(lanes)} rounds" if often[lane] == len(lanes) else f"in {often[lane]} of {len(lanes)} rounds"
    kept = sum(often[each] for each in KEPT if each is not lane)
    if kept and lane not in KEPT:
        when += f", kept in {kept}"
    return f"{_WORDS[lane]} {when}: {_because(lane, seat, one, rules, strata)}."


_WORDS = {
    Lane.ABSENT: "Absent",
    Lane.CONSENSUS: "In the consensus",
    Lane.READMITTED: "Re-admitted",
    Lane.DROPPED: "Left out",
    Lane.VETOED: "Vetoed",
    Lane.COPIED: "A copy",
    Lane.STALE: "Stale",
}


def _because(lane: Lane, seat: int, one: _Again, rules: Rules, strata: Sequence[str]) -> str:
    verdict = one.verdict
    assert verdict is not None
    match lane:
        case Lane.CONSENSUS:
            return _consensus(verdict, seat, rules, strata)
        case Lane.READMITTED:
            helped = np.where(verdict.scores[seat] > 0.0, verdict.standing[seat], -np.inf)[1:]
            best = 1 + int(helped.argmax())
            return (
                f"unlike most others, but it clearly helps '{strata[best]}', by {plain(verdict.scores[seat, best])}: "
                f"{_spreads(verdict.standing[seat, best])} above the median"
            )
        case Lane.DROPPED:
            return _dropped(verdict, seat, rules, strata)
        case Lane.VETOED:
            return (
                f"it does harm; over all patients its effect is {_spreads(verdict.net[seat])}, and no less than "
                f"{MINUS}{rules.veto:g} is tolerated"
            )
        case Lane.COPIED:
            return "the same as an update that was committed to earlier, which neither counts nor earns"
        case Lane.STALE:
            return "nothing in it that the move before did not have, which neither counts nor earns"
        case _:
            why = dict(one.faults).get(seat)
            return "no update came" if why is None else f"its rows were put out, because it {why}"


def _consensus(verdict: Verdict, seat: int, rules: Rules, strata: Sequence[str]) -> str:
    said = "near enough to most others, and harmful to nobody"
    clear = np.where(verdict.scores[seat] > 0.0, verdict.standing[seat], -np.inf)[1:]
    if not len(clear) or clear.max() <= rules.kappa:
        return said
    best = 1 + int(clear.argmax())
    return f"{said}; it helps '{strata[best]}' {_spreads(verdict.standing[seat, best])} more than the median does"


def _dropped(verdict: Verdict, seat: int, rules: Rules, strata: Sequence[str]) -> str:
    worst = int(verdict.standing[seat].argmin())
    if verdict.standing[seat, worst] < -rules.harmful and verdict.scores[seat, worst] < 0.0:
        return (
            f"it harms '{strata[worst]}', where its effect is {_spreads(-verdict.standing[seat, worst])} below the "
            f"median ({rules.harmful:g} are tolerated)"
        )
    unlike = f"unlike most others, by {_spreads(-verdict.support[seat])}"
    if -verdict.support[seat] <= rules.far:  # tolerated of a site that stands alone
        unlike = f"one of a circle that is more alike than honest sites are, and {unlike}"
    return f"{unlike}, and no patients that are looked at apart gain by it"


def _spreads(value: float) -> str:
    return f"{plain(float(value), 1)} spreads"
