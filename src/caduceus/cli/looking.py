"""The commands that only look: site, card, job."""

from __future__ import annotations

import secrets
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.markup import escape

from caduceus import canon
from caduceus.cli.card_forms import WRITTEN, Asked, Form, published, say_counts
from caduceus.cli.names import federation_path, job_path, old_run
from caduceus.cli.screen import Screen
from caduceus.cli.tables import plain_table, whole
from caduceus.cli.terms_words import say_terms
from caduceus.data.card import Card, describe
from caduceus.data.card_counts import Wanted
from caduceus.data.card_offer import Offer
from caduceus.data.cohort_words import describe_cohort
from caduceus.data.commitment import SALT_BYTES, commit
from caduceus.data.policy import Terms, show_micro
from caduceus.edges.federation import open_federation, read_site, read_sites
from caduceus.edges.store import FolderStore
from caduceus.edges.tabular import load_schema, read_text
from caduceus.kinds import MICRO, PICO
from caduceus.learn.inquiry.program import Inquiry
from caduceus.learn.judged.program import JudgedProgram
from caduceus.learn.spec import CROSS, HOLDOUT, NONE
from caduceus.market.job_file import read_job_file, specify
from caduceus.market.specification import NONCE_BYTES, JobSpec
from caduceus.market.work import Training, Work, work_of
from caduceus.wiring.order import terms_for
from caduceus.wiring.recall import entry_of, look_at
from caduceus.wiring.remembered import Memory
from caduceus.wiring.wording import describe_model


def site(name: str, data: Path | None) -> None:
    """Read and check every site's records."""
    federation = open_federation(federation_path(name))
    with Screen() as screen:
        screen.begin("Reading the sites' records", 0)
        sites = read_sites(federation, data_root=data)
    schema = federation.public_schema
    table = plain_table(
        federation.title, "site", "rows", "columns", "missing", "most missing", right=("rows", "columns")
    )
    for one in sites:
        shares = np.isnan(one.table.values).mean(axis=1)
        most = int(shares.argmax())
        table.add_row(
            escape(one.name),
            whole(one.table.rows),
            str(len(schema.columns)),
            f"{100 * float(shares.mean()):.1f} %",
            f"{escape(schema.names[most])}, {100 * float(shares[most]):.0f} %" if shares[most] else "none",
        )
    console = Console(highlight=False)
    console.print(table)
    rows = whole(sum(one.table.rows for one in sites))
    console.print(
        f"{len(sites)} sites, {rows} rows: every file is as the schema says. Exact numbers are for the steward's own "
        "eyes; what would be published, `caduceus card` shows."
    )


def card(name: str, which: str, data: Path | None, asked: Asked) -> None:
    """Show a site's card and terms, or write them as catalogues want them."""
    federation = open_federation(federation_path(name))
    if asked.run is not None:
        made, terms, readiness, place = published(asked.run, which)
        _give(Offer(made, terms, readiness, place, asked.holder), asked.form)
        return
    found = read_site(federation, which, data_root=data)
    about, terms = federation.file.federation, terms_for(federation)
    epsilon = about.card_epsilon if asked.epsilon is None else asked.epsilon
    wanted = None
    if epsilon:
        secret = secrets.token_bytes(32)
        wanted = Wanted(round(epsilon * MICRO), secret, withheld=terms.withheld, columns=about.card_columns)
    made = describe(
        found.table,
        title=f"{about.title}: {which}",
        description=about.description,
        licence=about.licence,
        citation=about.citation,
        commitment=commit(found.table, secrets.token_bytes(SALT_BYTES * found.table.rows)).root,
        wanted=wanted,
    )
    _give(Offer(made, terms, holder=asked.holder), asked.form)


def _give(offer: Offer, form: Form) -> None:
    if form is not Form.TEXT:
        print(WRITTEN[form](offer))  # noqa: T201  (for other programs: nothing may wrap or colour it)
        return
    _show_card(offer.card, offer.terms)


def _show_card(made: Card, terms: Terms) -> None:
    console = Console(highlight=False)
    columns = ("column", "kind", "role", "unit", "range or levels", "missing")
    table = plain_table(f"{made.title}: {made.rows_text} rows", *columns, right=("missing",))
    for entry in made.columns:
        one = entry.column
        reach = (
            ", ".join(one.levels)
            if one.levels
            else ""
            if one.range is None
            else f"{one.range[0]:g} to {one.range[1]:g}"
        )
        missing = "not said" if entry.missing_percent is None else f"about {entry.missing_percent} %"
        table.add_row(*map(escape, (one.name, one.kind, one.role, one.unit, reach, missing)))
    console.print(table)
    for lead, text in (("Description", made.description), ("Licence", made.licence), ("Citation", made.citation)):
        if text:
            console.print(f"{lead}: {escape(text)}")
    console.print(f"Commitment: {made.commitment.hex()} (with salts drawn for this showing; a run draws its own, once)")
    for line in say_counts(made):
        console.print(escape(line))
    console.print(
        "[bold]Reveals:[/bold] the columns and what they mean, which are the schema's; the number of rows to within "
        "ten, and only that there are fewer where there are fewer than twenty; from a hundred rows on, which twentieth "
        "of each column is missing. No value, mean, extreme, level count or outcome rate. The commitment reveals "
        "nothing while its salts are secret."
        if made.noise is None or not made.noise.columns
        else "[bold]Reveals:[/bold] the columns and what they mean, which are the schema's; the number of rows to "
        "within ten; and the numbers above, with differential privacy for a patient with all rows. The commitment "
        "reveals nothing while its salts are secret."
    )
    console.print(f"[bold]Terms:[/bold] {escape(say_terms(terms))}")


def check_job(name: str) -> None:
    """Read a job file as `run` would."""
    path = job_path(name)
    file = read_job_file(read_text(path), where=path.name)
    schema = load_schema(path.parent / file.job.schema_file).public()
    spec = specify(file, schema, nonce=bytes(NONCE_BYTES), where=path.name)
    console = Console(highlight=False)
    for line in _say_job(spec, work_of(spec)):
        console.print(escape(line))


def _say_job(spec: JobSpec, task: Work) -> tuple[str, ...]:
    money, times = spec.money, spec.deadlines
    return (
        f"{spec.title} (purpose: {spec.purpose})",
        *(_say_questions(spec, task) if isinstance(task, Inquiry) else _say_model(spec, task)),
        *describe_cohort(spec.schema),
        *_say_privacy(spec),
        f"Shows of single updates: {_say_visibility(spec)}. Sites: {spec.min_sites} to {spec.max_sites}.",
        *_say_judging(spec, task),
        f"Price {whole(money.price)}, of which {whole(money.fee)} to the coordinator; stake {whole(money.stake)} per "
        f"site, bond {whole(money.bond)}.",
        f"Deadlines: enrol {times.enrol} s, train {times.train} s, challenge {times.challenge} s, one message "
        f"{times.exchange} s.",
    )


def _say_questions(spec: JobSpec, task: Inquiry) -> tuple[str, ...]:
    names = ", ".join(query.name for query in task.analysis.queries)
    return (
        f"Asks {len(task.analysis.queries)} questions of data as in '{spec.schema.title}', in one sum of "
        f"{task.plan.length} numbers: {names}.",
        f"No number about fewer than {task.analysis.minimum_cell} patients is published.",
    )


def _say_model(spec: JobSpec, task: Training | JudgedProgram) -> tuple[str, ...]:
    learning = task.spec
    judged = learning.evaluation
    how = {
        NONE: "not at all",
        CROSS: f"{judged.repeats} times {judged.folds}-fold",
        HOLDOUT: f"{'once' if judged.repeats == 1 else f'{judged.repeats} times'} on held-out rows",
    }
    return (
        f"Predicts {learning.target} from {len(learning.features)} columns ({task.design.width} once coded), as in "
        f"'{spec.schema.title}'.",
        f"Model: {describe_model(task)}; at most {task.max_rounds} rounds, {spec.spare_rounds} may fail besides; "
        f"judged {how[judged.method]}.",
    )


def _say_privacy(spec: JobSpec) -> tuple[str, ...]:
    privacy = spec.privacy
    if privacy is None:
        return ("Opens exact sums: no differential privacy.",)
    return (
        f"Differential privacy: epsilon {show_micro(privacy.epsilon_micro)} at delta {privacy.delta_pico / PICO:g} of "
        f"every data set's budget, for {privacy.spending.releases} noisy sums; noise of up to "
        f"{privacy.missing_percent} % of the sites may be missing.",
    )


def _say_judging(spec: JobSpec, task: Work) -> tuple[str, ...]:
    if spec.judging is None or not isinstance(task, JudgedProgram):
        return ()
    apart = "; ".join(
        f"{name}: {voice:.0%} of a move, {budget:.0%} of the pay"
        for name, voice, budget in zip(task.strata, task.rules.voices, task.rules.budgets, strict=True)
    )
    return (
        "Updates are judged unseen, by held-out patients of the sites and of the federation's evaluators. Three "
        "aggregators, of which no two may collude, multiply shares of them; the run names who they are.",
        f"Patients looked at apart: {apart}. Paid by measured contribution; what nobody earns goes back.",
    )


def _say_visibility(spec: JobSpec) -> str:
    if spec.judging is not None:
        return "gram, their inner products and what is lost on held-out patients"
    return f"cohort, of at least {spec.cohort} sites" if spec.cohort else spec.visibility.name.lower()


def show_jobs(folder: Path, node: str | None) -> None:
    """Say how a run's jobs stand on its chain."""
    workspace = old_run(folder)
    orders = Memory(workspace).orders()
    console = Console(highlight=False)
    store = FolderStore(workspace.blobs)
    numbers = ("seats", "rounds", "price", "pulled")
    with look_at(workspace, node or orders[0].url or None) as network:
        table = plain_table(network.name, "job", "stage", *numbers, right=numbers)
        for order in orders:
            entry = entry_of(workspace, network, order.label)
            spec = canon.unpack(JobSpec, store.get(entry.spec))
            pulled = sum(claim.amount for claim in network.chain.claims(entry.id))
            table.add_row(
                f"{escape(order.label)}: {escape(spec.title)}\n[dim]0x{entry.id.hex()[:16]}…[/dim]",
                entry.stage.name.lower(),
                f"{entry.sites}\n[dim]of {entry.min_sites} to {entry.max_sites}[/dim]",
                f"{entry.rounds}\n[dim]at most {entry.max_rounds}[/dim]",
                whole(entry.price),
                f"{whole(pulled)}\n[dim]of {whole(entry.payout)}[/dim]",
            )
        console.print(table)
