"""What the commands print when they are done; always on standard output."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from caduceus.data.policy import show_micro
from caduceus.kinds import PICO, Evidence
from caduceus.market.mechanism.verdict import Lane
from caduceus.protocol.audit import Audit, Check
from caduceus.report.facts import JobFacts, JudgingFacts
from caduceus.report.judging_charts import LANE_WORDS
from caduceus.report.reading import (
    auroc,
    balance,
    figures,
    lanes_of,
    mean,
    mostly,
    pick_federated,
    pick_local,
    pick_pooled,
)
from caduceus.report.words import plain

_MARKS = {True: "✓", False: "✗ does not fit", None: "–"}
_LANE_STYLES = {Lane.CONSENSUS: "green", Lane.READMITTED: "yellow", Lane.VETOED: "red"}
_MOST_STRATA = 3  # of which effects are shown; the report has all
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
    """The few figures that most readers came for, a column per job; lines that no job has are left out."""
    table = plain_table("What came of it", "", *(job.title for job in jobs), right=[job.title for job in jobs])
    told = [_told(job) for job in jobs]
    for line in zip(*told, strict=True):
        if any(value is not None for _, value in line):
            table.add_row(line[0][0], *("–" if value is None else value for _, value in line))
    console.print(table)
    for note in _notes(jobs):
        console.print(note, style="dim")
    for job in jobs:
        if job.judging is not None:
            _show_judging(console, job, job.judging)


def _show_judging(console: Console, job: JobFacts, told: JudgingFacts) -> None:
    """A line per site: what became of its updates in how many rounds, whom they help, and what it was paid."""
    helps = [f"helps {one.name}" for one in told.strata[:_MOST_STRATA]]
    numbers = (*helps, "paid")
    judged = sum(bool(one.sites) for one in told.rounds)
    table = plain_table(
        f"Judged unseen in {judged} rounds: {job.title}", "site", "its updates", *numbers, right=numbers
    )
    paid = {site.name: site.paid for site in job.sites}
    for seat, site in enumerate(told.sites):
        lanes = lanes_of(told, seat)
        style, often = _LANE_STYLES.get(mostly(lanes), "dim"), Counter(lanes)
        said = ", ".join(f"{often[lane]} {word}" for lane, word in LANE_WORDS.items() if often[lane]) or "–"
        table.add_row(
            escape(site.name) + (" [dim]*[/dim]" if site.dishonest else ""),
            f"[{style}]{said}[/{style}]",
            *(_score(effect) for effect in site.effects[:_MOST_STRATA]),
            whole(paid.get(site.name, 0)),
        )
    console.print(table)
    made = [f"{site.name} {site.dishonest}" for site in told.sites if site.dishonest]
    if made:
        console.print(f"* Dishonest on purpose, for trying out: {escape('; '.join(made))}.", style="dim")
    if told.faults:
        names = ", ".join(dict.fromkeys(fault.who for fault in told.faults))
        console.print(f"Broke the protocol of a round: {escape(names)}; the report says how.", style="red")


def _notes(jobs: Sequence[JobFacts]) -> Iterator[str]:
    trained = [job for job in jobs if job.analysis is None]
    if trained:
        yield (
            "AUROC and Brier score are on rows that the model in question did not learn from; at sites: means over "
            "sites. * Control arms: only a machine that holds every site's rows has them."
        )
    if any(job.privacy is not None for job in trained):
        yield (
            "With an epsilon, AUROC and Brier score over all rows are read from a noisy histogram; ± says how far off "
            "that can put the AUROC. Figures at sites are from their own rows, without noise: epsilon does not cover "
            "them."
        )
    if len(trained) < len(jobs):
        yield "Answers that too few patients are behind are withheld; the report and the answers say which."


def _told(job: JobFacts) -> tuple[tuple[str, str | None], ...]:
    """Lines of the summary, the same for all jobs: what it is, and its figure; None where the job has no such thing."""
    return (
        ("Sites", str(len(job.sites))),
        ("Rounds", str(len(job.rounds))),
        *_found(job),
        *_spending(job),
        *_money(job),
    )


def _found(job: JobFacts) -> tuple[tuple[str, str | None], ...]:
    asked, took = job.analysis, f"{job.seconds_training:.1f} s"
    local, federated, pooled = (
        None if asked is not None else _score(mean(figures(job.sites, arm, auroc)).value)
        for arm in (pick_local, pick_federated, pick_pooled)
    )
    return (
        ("Training", took if asked is None else None),
        ("Answering", None if asked is None else took),
        ("Questions answered", None if asked is None else f"{len(asked.answers)} of {asked.questions}"),
        ("AUROC at sites: alone*", local),
        ("  [bold]federated[/bold]", None if federated is None else f"[bold]{federated}[/bold]"),
        ("  pooled*", pooled),
        ("AUROC over all rows", _over_all_rows(job)),
        ("Brier over all rows", _score(job.pooled.brier) if asked is None else None),
    )


def _over_all_rows(job: JobFacts) -> str | None:
    if job.analysis is not None:
        return None
    noisy = job.privacy is not None and job.pooled.auroc is not None and job.auroc_error is not None
    return _score(job.pooled.auroc) + (f" ± {_score(job.auroc_error)}" if noisy else "")


def _spending(job: JobFacts) -> tuple[tuple[str, str | None], ...]:
    told = job.privacy
    spent = None if told is None else f"{show_micro(told.costs[told.opened])}, {told.delta / PICO:g}"
    return (("Epsilon, delta", spent),)


def _money(job: JobFacts) -> tuple[tuple[str, str], ...]:
    gas = round(sum(one.gas for one in job.rounds) / max(len(job.rounds), 1))
    books = balance(job.flows)
    paid = sum(site.paid for site in job.sites)
    fee = sum(flow.amount for flow in books.outward if flow.why == "fee")
    back = sum(flow.amount for flow in books.outward if flow.why in ("not earned", "price returned"))
    held = books.put - books.got
    return (
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
