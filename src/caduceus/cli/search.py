"""The command that finds data sets by what their columns mean: search."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from caduceus.wiring.catalogue import Catalogue, Result


class Verdict(StrEnum):
    """A least verdict on readiness, as people write it."""

    BLOCKED = "blocked"
    CONDITIONAL = "conditional"
    READY = "ready"


def search(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="WORDS", help="What is wanted, in words; codes as LOINC:4548-4.")
    ] = None,
    run: Annotated[Path | None, typer.Option("--run", metavar="RUN", help="The data sets on a run's chain.")] = None,
    node: Annotated[
        str | None, typer.Option("--node", metavar="URL", help="The data sets on a node's chain; see --deployment.")
    ] = None,
    deployment: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With --node: the file that says where the contracts are.")
    ] = None,
    blobs: Annotated[
        str | None, typer.Option(metavar="PLACE", help="With --node: the blobs, a folder or a URL such as s3://bucket.")
    ] = None,
    cards: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Cards that somebody collected, one file each.")
    ] = None,
    code: Annotated[
        list[str] | None, typer.Option("--code", metavar="CODE", help="A column must have it; more than once: all.")
    ] = None,
    purpose: Annotated[str | None, typer.Option(metavar="WORD", help="Allowed by the terms.")] = None,
    min_rows: Annotated[int, typer.Option(min=0, metavar="N", help="Rows that the card admits to.")] = 0,
    epsilon: Annotated[float, typer.Option(min=0, metavar="E", help="Left of the privacy budget.")] = 0.0,
    readiness: Annotated[Verdict | None, typer.Option(help="Least verdict that the steward states.")] = None,
    job: Annotated[
        str | None, typer.Option(metavar="JOB", help="A job TOML or example: says for each whether it would be let in.")
    ] = None,
    buyer: Annotated[
        str | None, typer.Option(metavar="0x...", help="With --job: who asks, where terms name buyers.")
    ] = None,
    most: Annotated[int, typer.Option(min=1, max=1000, metavar="N", help="How many are shown.")] = 20,
    json: Annotated[bool, typer.Option("--json", help="What was found as JSON, nothing else.")] = False,
) -> None:
    """Find data sets by the meaning of their columns, and say which could be used.

    Searches titles, descriptions, columns, units, levels and codes of all
    cards. Words find their synonyms: `heart attack` finds MI and
    SNOMED:22298006. Options say what the data must be good for; what does not
    fit is shown last, with every reason.

    \b
    caduceus search cholesterol --run runs/demo
    caduceus search heart attack --code LOINC:4548-4 --run runs/demo --min-rows 200
    caduceus search --cards cards/ blood pressure
    caduceus search stroke --run runs/stroke --job stroke --buyer 0x52908400098527886E0F7030069857D2E4169EE7

    Cards come from anybody: one that is broken, or is not what the chain says,
    is named and left out. Writes nothing, tells nobody what was asked.
    """
    from caduceus.cli.names import job_path
    from caduceus.errors import Refused
    from caduceus.kinds import MICRO, Readiness
    from caduceus.market.search_fit import Wish
    from caduceus.wiring.catalogue import asked_by, from_folder, from_node, from_run, look_up

    asked = " ".join(words or ())
    wanted = tuple(code or ())
    if not asked and not wanted:
        raise Refused("nothing is asked for; give words, or --code")
    if sum(one is not None for one in (run, node, cards)) != 1:
        raise Refused("say where the cards are: one of --run, --node and --cards")
    if node is None and (deployment is not None or blobs is not None):
        raise Refused("--deployment and --blobs belong to --node")
    if buyer is not None and job is None:
        raise Refused("--buyer belongs to --job")
    if run is not None:
        found = from_run(run)
    elif cards is not None:
        found = from_folder(cards)
    elif deployment is None or blobs is None:
        raise Refused("--node takes --deployment, and --blobs")
    else:
        found = from_node(str(node), deployment, blobs)
    wish = Wish(
        codes=wanted,
        purpose=purpose,
        min_rows=min_rows,
        epsilon_micro=round(epsilon * MICRO),
        readiness=Readiness.UNSTATED if readiness is None else Readiness[readiness.name],
        job=None if job is None else asked_by(job_path(job), buyer),
        now=found.now,
    )
    result = look_up(found, asked, wish, most=most)
    if json:
        typer.echo(_json(found, result))
        return
    _show(found, result)


def _show(catalogue: Catalogue, result: Result) -> None:
    from rich.console import Console
    from rich.markup import escape

    from caduceus.cli.tables import plain_table

    console = Console(highlight=False)
    for place, why in catalogue.broken:
        console.print(f"left out: {escape(place)}: {escape(why)}", style="yellow", soft_wrap=True)
    if result.found:
        title = f"{len(result.found)} of {len(catalogue.listings)} data sets in {catalogue.name}"
        table = plain_table(title, "data set", "rows", "found in", "fits", right=("rows",))
        for one in result.found:
            named = f"[bold]{escape(one.listing.card.title)}[/bold]\n[dim]{escape(_short(one.id))}[/dim]"
            where = "\n".join(escape(line) for line in one.why) or "–"
            fits = "[green]yes[/green]" if not one.misfits else escape("\n".join(one.misfits))
            table.add_row(named, one.listing.card.rows_text, where, fits)
        console.print(table)
    else:
        console.print(f"Nothing found among {len(catalogue.listings)} data sets in {escape(catalogue.name)}.")


def _short(name: str) -> str:
    return f"{name[:14]}…" if name.startswith("0x") else name


def _json(catalogue: Catalogue, result: Result) -> str:
    import json

    return json.dumps(
        {
            "searched": len(catalogue.listings),
            "left_out": [{"what": place, "why": why} for place, why in catalogue.broken],
            "found": [
                {
                    "dataset": one.id,
                    "title": one.listing.card.title,
                    "rows": one.listing.card.rows_text,
                    "score": round(one.score, 4),
                    "matches": [{"asked": m.asked, "where": m.where, "field": m.field} for m in one.matches],
                    "fits": not one.misfits,
                    "reasons": list(one.misfits),
                }
                for one in result.found
            ],
        },
        indent=2,
        ensure_ascii=False,
    )


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(search)
