"""What must hold at any time, and what must hold at the end, whatever has failed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import numpy as np

from caduceus import canon
from caduceus.agents.payment import settlement_of
from caduceus.agents.seat import releases
from caduceus.errors import Error
from caduceus.kinds import Digest, JobId, Stage
from caduceus.learn.state import State, difference
from caduceus.market.job import FINAL
from caduceus.market.ledger import Enrolment, JobEntry
from caduceus.market.terms import costs_of
from caduceus.protocol.audit import ChainView, audit_job
from caduceus.protocol.round_record import RoundRecord, read_record
from caduceus.sim.asked import Variant
from caduceus.sim.chain import LedgerChain
from caduceus.sim.node import LedgerNode
from caduceus.sim.people import BUYER, COORDINATOR, table
from caduceus.sim.world import MONEY, TOKEN, World

_NOTHING = Digest(bytes(32))


def onlooker(world: World) -> LedgerChain:
    """The chain through a node that never fails."""
    return LedgerChain(LedgerNode(world.ground.ledger, world.ground.chance("onlooker")))


def at_any_time(world: World) -> Iterator[str]:
    """Money neither comes nor goes, and what a site released is charged on the chain."""
    yield from world.ground.ledger.broken()
    if world.shape.variant is Variant.PRIVATE and world.job is not None:
        yield from _charged(world, onlooker(world), world.job)


def _charged(world: World, chain: LedgerChain, job: JobId) -> Iterator[str]:
    costs = costs_of(world.spec)
    assert costs is not None
    for name in world.names:
        released = releases(world.ground.host(name).journal(), job)
        if not released:
            continue
        account = world.people[name].account
        datasets = [one.dataset for one in chain.enrolments(job) if one.site == account]
        moves = [move for dataset in datasets for move in chain.budget_moves(dataset) if move.job == job]
        taken = [move for move in moves if not move.released]
        given = [move for move in moves if move.released]
        if len(taken) > 1 or len(given) > 1:
            yield f"{name}: the budget was charged {len(taken)} times, and given back {len(given)} times"
        left = sum(move.epsilon_micro for move in taken) - sum(move.epsilon_micro for move in given)
        if left < costs.at(released).epsilon_micro if released < costs.sums else left < costs.whole.epsilon_micro:
            yield f"{name}: released up to sum {released}, and the chain has a charge of {left} millionths"


# ---------------------------------------------------------------- the end


def is_over(world: World) -> bool:
    """Whether everybody has nothing left to do about the job."""
    job, hosts = world.job, world.ground.host
    if job is None:
        return False
    return all(hosts(name).up and hosts(name).disk.get(f"{job.hex()}/attended") is not None for name in world.people)


def outcome(world: World) -> str:
    """How the job ended, in a word."""
    entry = None if world.job is None else onlooker(world).job(world.job)
    return "absent" if entry is None else entry.stage.name.lower()


def at_the_end(world: World) -> Iterator[str]:
    """The money is with whom it belongs, and a completed job is what it says."""
    yield from at_any_time(world)
    chain, job = onlooker(world), world.job
    entry = None if job is None else chain.job(job)
    if entry is None:
        yield from _whole(world, chain, {})
        return
    if entry.stage not in FINAL:
        yield f"the job hangs: it is {entry.stage.name.lower()}, {chain.now() - entry.deadline} s after its deadline"
        return
    claimed = [claim.account for claim in chain.claims(entry.id)]
    if len(claimed) != len(set(claimed)):
        yield "somebody was paid twice"
    if chain.slashed(entry.id) or chain.equivocations(entry.id):
        yield "an honest site lost its stake"
    if entry.stage is Stage.REJECTED:
        yield "the job was rejected, and its coordinator is honest"
    if entry.stage is not Stage.COMPLETED:
        yield from _whole(world, chain, {})
        return
    yield from _completed(world, chain, entry)


def _completed(world: World, chain: LedgerChain, entry: JobEntry) -> Iterator[str]:
    enrolments, store = tuple(chain.enrolments(entry.id)), world.ground.store
    settled, records = settlement_of(entry, world.spec, enrolments, chain, store)
    if (settled.root, settled.payout) != (entry.claims, entry.payout):
        yield "the settlement does not follow from the public record"
    earned = dict(zip(settled.accounts, settled.amounts, strict=True))
    changes = {name: int(earned.get(one.account, 0)) for name, one in world.people.items()}
    yield from _whole(world, chain, changes | {BUYER: -int(settled.payout)})
    yield from _same_as_kept(world, chain, entry)
    if world.shape.variant is not Variant.PRIVATE:
        yield from _plain(world, records, enrolments)
    audit = audit_job("simulated", view(chain, entry, enrolments), store.get, lambda _step: None)
    failure = audit.first_failure
    if not audit.passes and failure is not None:
        yield f"the audit fails: {failure.claim}: {failure.detail}"


def _whole(world: World, chain: LedgerChain, changes: dict[str, int]) -> Iterator[str]:
    """Everybody has what they began with, changed by what they earned; and nobody's money is left in the contract."""
    for name, one in world.people.items():
        expected, held = int(MONEY) + changes.get(name, 0), int(chain.balance(TOKEN, one.account))
        if held != expected:
            yield f"{name} has {held}, and {expected} is its own"
    left = chain.balance(TOKEN, world.ground.setting.at.jobs)
    if left:
        yield f"the contract still holds {left}"


def _same_as_kept(world: World, chain: LedgerChain, entry: JobEntry) -> Iterator[str]:
    """What the coordinator wrote down of a round is what it anchored."""
    journal = world.ground.host(COORDINATOR).journal()
    kept = journal.keys(f"{entry.id.hex()}/done/")
    anchors = chain.anchors(entry.id)
    if len(kept) != len(anchors):
        yield f"the coordinator did {len(kept)} rounds and anchored {len(anchors)}"
    for key, anchor in zip(kept, anchors, strict=False):
        if (journal.get(key) or b"").find(anchor.record) < 0:
            yield f"round {anchor.round} was anchored otherwise than it was done"


def _plain(world: World, records: tuple[RoundRecord, ...], enrolments: tuple[Enrolment, ...]) -> Iterator[str]:
    """Every model is what its survivors' plain vectors give."""
    task, store = world.task, world.ground.store
    names = {one.seat: next(n for n, p in world.people.items() if p.account == one.site) for one in enrolments}
    data = {seat: task.ready(table(name), name) for seat, name in names.items()}
    for record in records:
        if record.failure:
            continue
        before, after = (canon.unpack(State, store.get(digest)) for digest in (record.before, record.after))
        vectors = [task.contribute(before, data[cast("Any", seat)]) for seat in record.survivors]
        found = difference(task.combine(before, np.sum(vectors, axis=0), len(vectors)), after, tolerance=1e-6)
        if found is not None:
            yield f"round {record.round}: the model is not the plain computation's: {found}"


def view(chain: LedgerChain, entry: JobEntry, enrolments: tuple[Enrolment, ...]) -> ChainView:
    """What an auditor reads of the chain."""
    job, anchors = entry.id, tuple(chain.anchors(entry.id))
    datasets = [chain.dataset(one.dataset) for one in enrolments]
    return ChainView(
        domain=chain.domain,
        beacon=chain.beacon(job) if anchors else _NOTHING,
        entry=entry,
        enrolments=enrolments,
        datasets=tuple(one for one in datasets if one is not None),
        anchors=anchors,
        claims=tuple(chain.claims(job)),
        settlement_signatures=tuple(chain.settlement_signatures(job)),
        budgets=tuple(tuple(chain.budget_moves(one.dataset)) for one in enrolments),
        slashed=tuple(chain.slashed(job)),
        equivocated=frozenset(one.seat for one in chain.equivocations(job)),
    )


def round_records(world: World, job: JobId) -> tuple[RoundRecord, ...]:
    """The records of the rounds on the chain; none if one is missing."""
    try:
        return tuple(read_record(one, job, world.ground.store.get) for one in onlooker(world).anchors(job))
    except Error:
        return ()
