"""The commands that act: demo, run, audit, report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.console import Console

from caduceus.cli.exits import REFUSED
from caduceus.cli.names import federation_path, job_path, new_or_old_run, old_run
from caduceus.cli.screen import Screen
from caduceus.cli.tables import first_failure, show_audit, show_summary, show_verdict
from caduceus.edges.federation import EXAMPLES, example
from caduceus.edges.workspace import Workspace
from caduceus.errors import Refused
from caduceus.learn.rows import Ready
from caduceus.protocol.audit import Audit
from caduceus.report.facts import JobFacts
from caduceus.wiring.audit import audit_run
from caduceus.wiring.order import Order, read_order
from caduceus.wiring.play import Played, play
from caduceus.wiring.remembered import Memory
from caduceus.wiring.telling import tell, write_report

DEMO_JOBS: Sequence[tuple[str, str, tuple[tuple[str, str], ...]]] = (
    ("job.toml", "federation.toml", ()),
    ("job-mlp.toml", "federation.toml", ()),
    ("job-judged.toml", "federation-judged.toml", (("Beech", "flips-labels"),)),
)
"""What the demo plays of an example, in this order, as far as it has it: job, federation, and who does harm in it."""


@dataclass(frozen=True, slots=True)
class Way:
    """How a job is played.

    node       URL of a node; None is the embedded chain
    report     whether to audit and report afterwards
    dishonest  SITE=DEED, for trying out
    """

    node: str | None = None
    report: bool = True
    dishonest: tuple[str, ...] = ()


def demo(out: Path, name: str, data: Path | None) -> None:
    """Play an example's jobs on one chain, audit, report."""
    example(name)  # refuses a name that none has
    place = EXAMPLES / name
    orders = [
        Order(place / job, place / federation, data, dishonest=dishonest)
        for job, federation, dishonest in DEMO_JOBS
        if (place / job).is_file()
    ]
    _play_and_tell(new_or_old_run(out), orders, report=True)


def run(job: str, federation: str, out: Path, data: Path | None, way: Way) -> None:
    """Play one job, audit, report."""
    deeds = tuple(_deed(one) for one in way.dishonest)
    order = Order(job_path(job), federation_path(federation), data, _checked_url(way.node), deeds)
    _play_and_tell(new_or_old_run(out), [order], report=way.report)


def _deed(text: str) -> tuple[str, str]:
    site, separator, deed = text.rpartition("=")
    if not separator or not site:
        raise Refused(f"--dishonest {text}: wanted SITE=DEED, such as Beech=flips-labels")
    return site, deed


def _play_and_tell(workspace: Workspace, orders: Sequence[Order], *, report: bool) -> None:
    with Screen() as screen:
        for order in orders[1:]:
            read_order(order)  # the last job's mistakes are found before the first one costs anything
        played: dict[str, Played] = {}
        for order in orders:
            screen.title(f"{order.job.parent.name}/{order.job.name}")
            played[order.job.stem] = play(workspace, order, screen, orders)
        if not report:
            _say_where(workspace, played)
            return
        screen.title("Looking back")
        audits = _audit(workspace.root / "transcript", workspace, None, orders[0].url, screen)
        rows = {label: one.sites for label, one in played.items()}
        facts = _tell(workspace, workspace.report, audits, orders[0].url, orders[0].data_root, rows, screen)
    _show(facts, audits, workspace.report)
    _say_models(workspace, played)
    end_with(audits)


def _say_models(workspace: Workspace, played: Mapping[str, Played]) -> None:
    console = Console(highlight=False)
    for label in played:
        path = workspace.models / f"{label}.json"
        if path.exists():
            console.print(f"Model: {path}", soft_wrap=True)
        answers = workspace.answers / f"{label}.txt"
        if answers.exists():
            console.print(f"Answers: {answers}, and {answers.with_suffix('.json').name} for programs", soft_wrap=True)


def _say_where(workspace: Workspace, played: Mapping[str, Played]) -> None:
    console = Console(highlight=False)
    for label, one in played.items():
        console.print(f"{label}: job 0x{one.job.hex()} on the {one.network_name}", soft_wrap=True)
    _say_models(workspace, played)
    console.print(f"Not audited; `caduceus audit {workspace.root}` does that.", soft_wrap=True)


def audit(folder: Path, chain: Path | None, node: str | None) -> None:
    """Audit a run's folder, or a transcript alone."""
    if chain is not None and node is not None:
        raise Refused("--chain and --node: an audit reads one chain; give one of them")
    is_transcript = (folder / "blobs").is_dir()
    transcript = folder if is_transcript else folder / "transcript"
    workspace = None if is_transcript else old_run(folder)
    with Screen() as screen:
        audits = _audit(transcript, workspace, chain, _checked_url(node), screen)
    console = Console(highlight=False)
    for one in audits:
        show_audit(console, one)
    show_verdict(console, audits)
    end_with(audits)


def report(folder: Path, data: Path | None, node: str | None, out: Path | None) -> None:
    """Audit a run and write the page about it."""
    workspace, url = old_run(folder), _checked_url(node)
    with Screen() as screen:
        audits = _audit(workspace.root / "transcript", workspace, None, url, screen)
        facts = _tell(workspace, out or workspace.report, audits, url, data, None, screen)
    _show(facts, audits, out or workspace.report)
    end_with(audits)


def _audit(
    transcript: Path, workspace: Workspace | None, chain: Path | None, url: str | None, screen: Screen
) -> tuple[Audit, ...]:
    """Audit with the chain that was given, else with the one that the run has."""
    if chain is None and url is None:
        if workspace is None:
            raise Refused(f"{transcript}: a transcript alone; say where the chain is with --chain or --node")
        url = next((order.url for order in Memory(workspace).orders() if order.url), None)
        chain = workspace.chain if url is None else None
    screen.begin("Auditing", 0)
    return audit_run(transcript, chain=chain, url=url, on_step=screen.step)


def _tell(
    workspace: Workspace,
    path: Path,
    audits: Sequence[Audit],
    url: str | None,
    data: Path | None,
    rows: Mapping[str, Mapping[str, Ready]] | None,
    screen: Screen,
) -> tuple[JobFacts, ...]:
    screen.begin("Writing the report", 0)
    facts = tell(workspace, audits, url=url, data_root=data, rows=rows, on_step=screen.step)
    write_report(path, facts)
    return facts


def _show(facts: Sequence[JobFacts], audits: Sequence[Audit], path: Path) -> None:
    console = Console(highlight=False)
    show_summary(console, facts)
    show_verdict(console, audits)
    console.print(f"Report: {path}", soft_wrap=True)


def end_with(audits: Sequence[Audit]) -> None:
    """Leave with the code for an audit that does not pass, if one does not."""
    for one in audits:
        if not one.passes:
            why = "nothing was found true" if one.first_failure is None else first_failure(one.first_failure)
            typer.echo(f"caduceus: refused: the audit of {one.label} does not pass: {why}", err=True)
            raise typer.Exit(REFUSED)


def _checked_url(node: str | None) -> str | None:
    if node is not None and not node.startswith(("http://", "https://")):
        raise Refused(f"--node: '{node}' is no http or https URL")
    return node
