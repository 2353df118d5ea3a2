"""The command that says what is behind a model: provenance."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from caduceus.protocol.provenance import Lineage, Use
    from caduceus.wiring.provenance import Provenance


class Form(StrEnum):
    """In which form the answer is wanted."""

    TEXT = "text"
    JSON = "json"
    PROV = "prov"
    CRATE = "rocrate"
    CARD = "card"


def provenance(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A model file, its SHA-256, or the SHA-256 of the anchored state.")
    ],
    run: Annotated[Path, typer.Option("--run", metavar="RUN", help="A run's folder, or a transcript's alone.")],
    chain: Annotated[
        Path | None, typer.Option("--chain", metavar="FILE", help="The chain's file; default: the run's own.")
    ] = None,
    node: Annotated[str | None, typer.Option("--node", metavar="URL", help="A node instead of a chain's file.")] = None,
    form: Annotated[Form, typer.Option("--format", help="text, json, prov, rocrate or card.")] = Form.TEXT,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="PATH", help="A file; for rocrate a folder, which must be new.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Check only what the answer rests on, not every file of the transcript.")
    ] = False,
) -> None:
    """Say who trained a model: data sets with versions and rounds, terms, code, epsilon.

    Answered from the chain and the transcript alone, in one question. Every
    blob is held against the digest by which the chain names it; a changed bit
    anywhere is named with its file and its round.

    \b
    caduceus provenance runs/demo/models/job.json --run runs/demo
    caduceus provenance 95f500be... --run copy/of/transcript --chain chain.sqlite --format json
    caduceus provenance model.json --run runs/demo --format card --out card.html
    caduceus provenance model.json --run runs/demo --format rocrate --out crate

    prov is W3C PROV-JSON, rocrate a folder that archives read (Workflow Run
    Crate), card a model card in HTML, with its JSON beside it. It computes
    nothing again: `caduceus audit` does that.
    """
    from caduceus.cli.names import old_run
    from caduceus.errors import Refused
    from caduceus.wiring.provenance import provenance_of
    from caduceus.wiring.remembered import Memory

    if chain is not None and node is not None:
        raise Refused("--chain and --node: provenance reads one chain; give one of them")
    if form is Form.CRATE and out is None:
        raise Refused("--format rocrate writes a folder; say which with --out")
    transcript = run if (run / "blobs").is_dir() else run / "transcript"
    if chain is None and node is None:
        if transcript == run:
            raise Refused(f"{run}: a transcript alone; say where the chain is with --chain or --node")
        workspace = old_run(run)
        node = next((order.url for order in Memory(workspace).orders() if order.url), None)
        chain = workspace.chain if node is None else None
    found = provenance_of(model, transcript, chain=chain, url=node, whole=not quick)
    _give(found, form, out)


def _give(found: Provenance, form: Form, out: Path | None) -> None:
    from rich.console import Console

    from caduceus.edges.workspace import write_whole
    from caduceus.wiring import provenance_forms as forms

    console = Console(highlight=False)
    if form is Form.TEXT:
        _say(found, console)
        return
    if form is Form.CRATE:
        assert out is not None
        files = forms.write_crate(found, out)
        console.print(f"RO-Crate: {out}, {len(files)} files", markup=False, soft_wrap=True)
        return
    beside: str | None = None
    if form is Form.JSON:
        text = forms.as_json(found)
    elif form is Form.PROV:
        text = forms.as_prov(found)
    else:
        text, beside = forms.as_card(found)
    if out is None:
        typer.echo(text)
        return
    write_whole(out, text.encode())
    console.print(f"Written: {out}", markup=False, soft_wrap=True)
    if beside is not None:
        write_whole(out.with_suffix(".json"), beside.encode())
        console.print(f"Written: {out.with_suffix('.json')}", markup=False, soft_wrap=True)


def _say(found: Provenance, console: Console) -> None:
    for one in found.lineages:
        _say_lineage(one, console)
    console.print(f"Checked: {'; '.join(found.checked)}.", style="dim", markup=False, soft_wrap=True)
    console.print(
        "Not computed again: that the sums are over whom the records name; `caduceus audit` does that.", style="dim"
    )


def _say_lineage(one: Lineage, console: Console) -> None:
    from rich.markup import escape

    from caduceus.cli.tables import plain_table
    from caduceus.data.policy import show_micro
    from caduceus.kinds import PICO
    from caduceus.protocol.provenance_words import say_terms, shown
    from caduceus.wiring.wording import describe_model

    spec, entry = one.spec, one.entry
    console.print(f"[bold]{escape(spec.title)}[/bold]: {escape(describe_model(one.work))}", soft_wrap=True)
    for name, value in (
        ("model", f"state {one.state.hex()}, after round {one.steps[-1].record.round}, {one.sums} sums"),
        ("job", f"{shown(entry.id)}, {entry.stage.name.lower()}; specification {entry.spec.hex()}"),
        ("purpose", spec.purpose),
        ("asked by", f"buyer {shown(entry.buyer)}, summed by coordinator {shown(entry.coordinator)}"),
        ("code", spec.code.hex()),
        ("schema", spec.schema.digest().hex()),
        (
            "privacy",
            "exact sums, no differential privacy"
            if spec.privacy is None
            else f"epsilon {show_micro(spec.privacy.epsilon_micro)} at delta {spec.privacy.delta_pico / PICO:g}",
        ),
    ):
        console.print(f"  [dim]{name:<9}[/dim]{escape(value)}", soft_wrap=True)
    numbers = ("version", "epsilon")
    table = plain_table("Data sets in the model", "data set", *numbers, "rounds", "terms", right=numbers)
    for use in one.sources:
        table.add_row(*_row(use))
    console.print(table)
    for terms in dict.fromkeys(use.dataset.terms for use in one.sources):
        obliged = next(use.terms for use in one.sources if use.dataset.terms == terms)
        console.print(f"Terms {terms.hex()[:12]}…: {escape('; '.join(say_terms(obliged)))}.", soft_wrap=True)
    if one.idle:
        names = ", ".join(use.card.title for use in one.idle)
        console.print(f"Took a seat and are in no sum: {escape(names)}.", soft_wrap=True)


def _row(use: Use) -> tuple[str, ...]:
    from rich.markup import escape

    from caduceus.data.policy import show_micro
    from caduceus.protocol.provenance import in_ranges

    entry = use.dataset
    state = "" if entry.active else ", withdrawn"
    return (
        f"{escape(use.card.title)}\n[dim]0x{entry.id.hex()[:16]}…{state}[/dim]",
        str(use.version),
        show_micro(use.epsilon_micro) if entry.budget_micro else "–",
        in_ranges(use.rounds),
        f"{entry.terms.hex()[:12]}…",
    )


def add_to(app: typer.Typer) -> None:
    """Add the command to the program's."""
    app.command()(provenance)
