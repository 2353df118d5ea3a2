"""Who judges updates on a machine that plays everybody: three aggregators, and evaluators with records of their own."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from caduceus.edges.federation import SiteTable
from caduceus.edges.journal import SqliteJournal
from caduceus.edges.private import load_or_commit
from caduceus.edges.workspace import Workspace
from caduceus.kinds import Role
from caduceus.learn.judged.program import JudgedProgram
from caduceus.learn.judged.rows import JudgedData
from caduceus.market.specification import Aggregator, Evaluator, JobSpec
from caduceus.wiring.parties import AGGREGATORS, Cast, Party


@dataclass(frozen=True, slots=True)
class Helper:
    """An aggregator or an evaluator at work.

    role  in the network
    """

    party: Party
    role: Role
    journal: SqliteJournal


@dataclass(frozen=True, slots=True, eq=False)
class Judges:
    """Everybody who judges, besides the sites.

    rows  each evaluator's records as the job uses them
    """

    aggregators: tuple[Helper, ...] = ()
    evaluators: tuple[Helper, ...] = ()
    rows: tuple[JudgedData, ...] = ()

    @property
    def everyone(self) -> tuple[Helper, ...]:
        """Aggregators, then evaluators."""
        return (*self.aggregators, *self.evaluators)


def names_of(spec: JobSpec, evaluators: Sequence[SiteTable]) -> tuple[str, ...]:
    """What the parties are called that judge in a job; none where updates are not judged."""
    return () if spec.judging is None else (*AGGREGATORS, *(one.name for one in evaluators))


def appoint(spec: JobSpec, cast: Cast, workspace: Workspace, evaluators: Sequence[SiteTable]) -> JobSpec:
    """The specification with the keys of whoever judges, and with the evaluators' commitments to their records.

    Raises Refused if an evaluator's records are not those that it committed to.
    """
    if spec.judging is None:
        return spec
    three = (cast[name] for name in AGGREGATORS)
    return replace(
        spec,
        judging=replace(
            spec.judging,
            aggregators=tuple(Aggregator(one.account, one.secrets.signer.address, one.opener.public) for one in three),
            evaluators=tuple(
                Evaluator(
                    cast[one.name].account,
                    cast[one.name].secrets.signer.address,
                    load_or_commit(workspace.party(one.name) / "openings", one.table).root,
                )
                for one in evaluators
            ),
        ),
    )


def open_judges(
    task: JudgedProgram, cast: Cast, workspace: Workspace, evaluators: Sequence[SiteTable], stack: ExitStack
) -> Judges:
    """Put everybody who judges together; their journals close with `stack`.

    Raises Refused, naming the column, if an evaluator's records do not fit the task.
    """

    def helper(name: str, role: Role) -> Helper:
        journal = stack.enter_context(SqliteJournal(workspace.party(name) / "journal.sqlite"))
        return Helper(cast[name], role, journal)

    return Judges(
        tuple(helper(name, Role.AGGREGATOR) for name in AGGREGATORS),
        tuple(helper(one.name, Role.EVALUATOR) for one in evaluators),
        tuple(task.examiner(one.table, one.name) for one in evaluators),
    )
