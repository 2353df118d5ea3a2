"""Two lanes: what most agree on, and what clearly helps a declared stratum; weights and pay follow."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from caduceus.errors import Misuse
from caduceus.kinds import Floats
from caduceus.market.mechanism import contribution
from caduceus.market.mechanism.company import Circles, Company, Flags, apart, circles, meet
from caduceus.market.mechanism.evidence import combined
from caduceus.market.mechanism.harm import harmed
from caduceus.market.mechanism.middle import middle, spread, standing_out
from caduceus.market.mechanism.rules import Mean, Memory, Rules
from caduceus.market.mechanism.seen import Seen, check
from caduceus.market.mechanism.verdict import Lane, Verdict

LEAST_SPREAD = 0.03
"""Cosine: what lies nearer is not told apart, however small the spread."""

LEAST_WEIGHT = 0.02
"""What a round counts at least for the memory."""


def judge(rules: Rules, memory: Memory, seen: Seen) -> Verdict:
    """Decide a round.

    memory  from `start` or the verdict before

    Raises Misuse if the evidence, the memory and the rules do not fit together.
    """
    check(seen)
    if memory.effects.sums.shape != (seen.sites, seen.strata) or memory.losses.shape != seen.losses.shape:
        raise Misuse(f"judge: a memory of {memory.effects.sums.shape} sites, strata; {len(memory.losses)} evaluators")
    if len(rules.budgets) != seen.strata:
        raise Misuse(f"judge: rules for {len(rules.budgets)} strata, evidence of {seen.strata}")
    company = meet(seen, rules)
    recalled, ring = _recalled(rules, memory, seen, company)
    found = _found(recalled, company, ring)
    shrink = np.minimum(1.0, company.typical / np.maximum(company.length, 1e-12))
    if harmed(rules, memory, seen, ring):
        return _taken_back(memory, seen, found, shrink)
    consensus = _consensus(rules, company, ring, found)
    excess = _excess(rules, company, ring, found)
    weights = np.minimum(_mixed(rules, consensus, excess, ring.voice), rules.cap) * memory.caution
    pay = _pay(rules, seen, ring, consensus, excess)
    kept = replace(
        recalled,
        rounds=memory.rounds + 1,
        earned=memory.earned + pay,
        latest=pay,
        losses=seen.losses,
        caution=min(2.0 * memory.caution, 1.0),
    )
    return Verdict(
        weights=weights * shrink,
        lane=_lanes(rules, seen, company, found, consensus, excess),
        scores=found.scores,
        standing=found.standing,
        support=found.support,
        net=found.net,
        shrink=shrink,
        novelty=contribution.novelty(seen),
        pay=pay,
        memory=kept,
        rolls_back=False,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """scores float64[n, s]; usual: the same in spreads from the median; standing: of what sites bring beyond what all
    bring, likewise; support, net float64[n] in spreads."""

    scores: Floats
    usual: Floats
    standing: Floats
    support: Floats
    net: Floats


def _recalled(rules: Rules, memory: Memory, seen: Seen, company: Company) -> tuple[Memory, Circles]:
    """Take this round into the memory. For effects and likeness a round counts by how much its updates agree: where a
    model has learned what there is to learn, what is left points anywhere. What sets sites apart counts alike."""
    fresh = company.speaking | company.copied
    met = np.outer(fresh, fresh).astype(np.float64)
    pairs = company.cosines[np.triu(np.outer(company.speaking, company.speaking), 1)]
    weight = max(float(np.median(pairs)) if len(pairs) else 0.0, LEAST_WEIGHT)
    likeness = _added(rules, memory.likeness, company.cosines, weight * met)
    alone = apart(company, seen.helps)
    pull = _added(rules, memory.pull, alone.pull, met)
    ring = circles(company, likeness.mean, pull.mean, rules)
    effect = combined(seen.helps / np.maximum(company.length, 1e-12)[:, None, None], seen.owner, ring)
    effects = _added(rules, memory.effects, effect, np.where(fresh[:, None] & ~np.isnan(effect), weight, 0.0))
    brings = combined(alone.news, seen.owner, ring)
    news = _added(rules, memory.news, brings, np.where(fresh[:, None] & ~np.isnan(brings), 1.0, 0.0))
    return replace(memory, effects=effects, news=news, likeness=likeness, pull=pull), ring


def _added(rules: Rules, kept: Mean, new: Floats, weight: Floats) -> Mean:
    """Forget a little and add; who wasn't there keeps what it had."""
    share = np.where(weight > 0.0, rules.smoothing, 1.0)
    return Mean(share * kept.sums + weight * np.nan_to_num(new), share * kept.weights + weight)


def _found(memory: Memory, company: Company, ring: Circles) -> _Found:
    scores = memory.effects.mean
    say = np.where(company.speaking, ring.voice, 0.0)
    usual = np.stack([standing_out(column, say, LEAST_SPREAD) for column in scores.T], axis=1)
    standing = np.stack([standing_out(column, say, LEAST_SPREAD) for column in memory.news.mean.T], axis=1)
    support = standing_out(ring.support, say, LEAST_SPREAD)
    net = scores.sum(axis=1)
    return _Found(scores, usual, standing, support, net / spread(net, say, LEAST_SPREAD))


def _taken_back(memory: Memory, seen: Seen, found: _Found, shrink: Floats) -> Verdict:
    """The round that undoes the last one: nothing is judged and nothing learned, but that smaller moves are better."""
    nothing = np.zeros(seen.sites)
    kept = replace(
        memory,
        rounds=memory.rounds + 1,
        earned=memory.earned - memory.latest,
        latest=nothing,
        losses=np.full_like(memory.losses, np.nan),
        caution=memory.caution / 2.0,
    )
    return Verdict(
        weights=nothing,
        lane=tuple(Lane.VOID if present else Lane.ABSENT for present in seen.present),
        scores=found.scores,
        standing=found.standing,
        support=found.support,
        net=found.net,
        shrink=shrink,
        novelty=contribution.novelty(seen),
        pay=nothing,
        memory=kept,
        rolls_back=True,
    )


def _consensus(rules: Rules, company: Company, ring: Circles, found: _Found) -> Flags:
    far = found.support < -np.where(ring.crowded, rules.far_crowd, rules.far)
    harmful = ((found.usual < -rules.harmful) & (found.scores < 0.0)).any(axis=1)
    return company.speaking & ~far & ~harmful & (found.net >= -rules.veto)


def _excess(rules: Rules, company: Company, ring: Circles, found: _Found) -> Floats:
    """float64[n, s - 1], >= 0: by how many spreads each site exceeds what re-admits it, for each declared stratum."""
    allowed = company.speaking & (found.net >= -rules.veto)
    bar = np.where(ring.crowded, rules.kappa_crowd, rules.kappa)
    members = ring.alike & (company.speaking[None, :] | np.eye(len(bar), dtype=bool))
    together = np.stack([-middle(-column, members.astype(np.float64)) for column in found.standing.T], axis=1)
    above = (np.minimum(found.standing, together) - bar[:, None])[:, 1:]
    return np.asarray(np.maximum(above, 0.0) * allowed[:, None])


def _mixed(rules: Rules, consensus: Flags, excess: Floats, voice: Floats) -> Floats:
    """float64[n]: each lane's voice divided in it, in a stratum's by the square of the excess.

    A stratum's voice grows with how clearly its best stands out; what it doesn't use is the consensus's.
    """
    parts = excess**2 * voice[:, None]
    strata = np.array(rules.voices[1:]) * np.minimum(excess.max(axis=0) / rules.clear, 1.0)
    equal = consensus * voice
    shared = equal / equal.sum() if equal.any() else equal
    own = float(sum(rules.voices) - strata.sum())
    return np.asarray(own * shared + (parts / np.maximum(parts.sum(axis=0), 1e-12) * strata).sum(axis=1))


def _pay(rules: Rules, seen: Seen, ring: Circles, consensus: Flags, excess: Floats) -> Floats:
    """Each stratum's budget by contribution: the common one among the consensus, the others among whom they re-admit,
    by how clearly they stand out."""
    fresh = contribution.fresh(seen)
    helps = np.nan_to_num(combined(fresh.helps, seen.owner, ring))
    clear = excess**2 * ring.voice[:, None]
    clear /= np.maximum(clear.max(axis=0), 1e-12)
    paid = np.column_stack([helps[:, 0] * consensus, helps[:, 1:] * clear])
    return contribution.shares(fresh, paid, consensus | (excess > 0.0).any(axis=1), rules)


def _lanes(
    rules: Rules, seen: Seen, company: Company, found: _Found, consensus: Flags, excess: Floats
) -> tuple[Lane, ...]:
    lane = np.full(seen.sites, Lane.DROPPED)
    lane[found.net < -rules.veto] = Lane.VETOED
    lane[consensus] = Lane.CONSENSUS
    lane[~consensus & (excess > 0.0).any(axis=1)] = Lane.READMITTED
    lane[company.copied] = Lane.COPIED
    lane[company.stale] = Lane.STALE
    lane[~seen.present] = Lane.ABSENT
    return tuple(Lane(int(one)) for one in lane)
