"""What the commands print when they are done; always on standard output."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from caduceus.kinds import Evidence
from caduceus.protocol.audit import Audit, Check
from caduceus.report.facts import JobFacts
from caduceus.report.reading import (
    auroc,
    balance,
    figures,
    mean,
    pick_federated,
    pick_local,
    pick_pooled,
)
from caduceus.report.words import plain

_MARKS = {True: "✓", False: "✗ does not fit", None: "–"}
_STYLES = {Evidence.RE_EXECUTED: "green", Evidence.SIGNED: "cyan", Evidence.NOT_CHECKED: "dim"}


def whole(number: int) -> str:
    """1 234 567."""
    return f"{number:,}".replace(",", " ")


def plain_table(title: str, *columns: str, right: Sequence[str] = ()) -> Table:
    """An empty table whose columns named in `right` are set to the right."""
    table = Table(
        title=escape(title), title_justify="left", title_style="bold", header_style="dim", box=box.SIMPLE_HEAD
    )
    for column in columns:
        table.add_column(escape(column), justify="right" if column in right else "left", overflow="fold")
    return table


def show_summary(console: Console, jobs: Sequence[JobFacts]) -> None:
    """The few figures that most readers came for, a column per job."""
    table = plain_table("What came of it", "", *(job.title for job in jobs), right=[job.title for job in jobs])
    told = [_told(job) for job in jobs]
    for line in zip(*told, strict=True):
        table.add_row(line[0][0], *(value for _, value in line))
    console.print(table)
    console.print(
        "AUROC and Brier score are on rows that the model in question did not learn from; at sites: means over sites. "
        "* Control arms: only a machine that holds every site's rows has them.",
        style="dim",
    )


def _told(job: JobFacts) -> tuple[tuple[str, str], ...]:
    """Lines of the summary: what it is, and its figure."""
    local, federated, pooled = (
        _score(mean(figures(job.sites, arm, auroc)).value) for arm in (pick_local, pick_federated, pick_pooled)
    )
    gas = round(sum(one.gas for one in job.rounds) / max(len(job.rounds), 1))
    books = balance(job.flows)
    paid = sum(site.paid for site in job.sites)
    fee = sum(flow.amount for flow in books.outward if flow.why == "fee")
    back = sum(flow.amount for flow in books.outward if flow.why in ("not earned", "price returned"))
    held = books.put - books.got
    return (
        ("Sites", str(len(job.sites))),
        ("Rounds", str(len(job.rounds))),
        ("Training", f"{job.seconds_training:.1f} s"),
        ("AUROC at sites: alone*", local),
        ("  [bold]federated[/bold]", f"[bold]{federated}[/bold]"),
        ("  pooled*", pooled),
        ("AUROC over all rows", _score(job.pooled.auroc)),
        ("Brier over all rows", _score(job.pooled.brier)),
        ("Gas per round", whole(gas)),
        (f"{escape(job.token)} from the buyer", whole(job.price)),
        ("  to the sites", whole(paid)),
        ("  to the coordinator", whole(fee)),
        ("  back to the buyer", whole(back)),
        ("  in all", "add up" if not held else f"{whole(held)} still held"),
    )


def show_verdict(console: Console, audits: Sequence[Audit]) -> None:
    """One line per job: how many claims hold and how, and the first that does not fit."""
    for one in audits:
        held = [check for check in one.checks if check.holds]
        words = ", ".join(
            f"{sum(check.word is word for check in held)} {word.word}"
            for word in (Evidence.RE_EXECUTED, Evidence.SIGNED)
        )
        unchecked = sum(check.holds is None for check in one.checks)
        verdict = "[green]passes[/green]" if one.passes else "[red]does not pass[/red]"
        console.print(
            f"Audit of {escape(one.label)}: {verdict}; {len(held)} claims hold ({words}), {unchecked} not checked.",
            soft_wrap=True,
        )
        if one.first_failure is not None:
            console.print(f"[red]✗[/red] {escape(first_failure(one.first_failure))}", soft_wrap=True)


def first_failure(check: Check) -> str:
    """A claim that does not fit, in a line."""
    return f"{check.claim}: {check.detail}"


def show_audit(console: Console, one: Audit) -> None:
    """Every claim of an audit, and who could break it unseen."""
    console.print(f"[bold]{escape(one.label)}[/bold]: job 0x{one.job.hex()}", soft_wrap=True)
    table = Table.grid(padding=(0, 2), pad_edge=True)
    for check in one.checks:
        word = Evidence.NOT_CHECKED if check.holds is None else check.word
        style = "red" if check.holds is False else _STYLES.get(word, "")
        notes = [check.detail, f"could break it unseen: {check.breaks}" if check.breaks else ""]
        said = "".join(f"\n[dim]{escape(note)}[/dim]" for note in notes if note)
        table.add_row(
            f"[{style}]{_MARKS[check.holds]}[/{style}]", f"[{style}]{word.word}[/{style}]", escape(check.claim) + said
        )
    console.print(table)


def _score(value: float | None) -> str:
    return "–" if value is None else plain(value)
