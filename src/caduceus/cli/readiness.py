"""The command that says whether data are fit to be lent, and the one that checks what it wrote."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from rich.console import Console

    from caduceus.data.readiness.report import Report, SignedReport

SHOWN = 40
"""Findings that the table shows; the files have all."""


class _CheckByDefault(TyperGroup):
    """A path in place of a subcommand means: check it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the default subcommand in front of anything that is neither a subcommand nor a wish for help."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["check", *args]
        return super().parse_args(ctx, args)


readiness = typer.Typer(
    cls=_CheckByDefault,
    no_args_is_help=True,
    help=(
        "Check whether data are fit to be lent: identifiers, free text, dates, places, and what a table discloses.\n\n"
        "[bold]caduceus readiness PATH[/bold] checks a table, a FHIR export, a folder of OMOP tables or a site of a "
        "federation; [bold]caduceus readiness verify report.cbor[/bold] checks what it wrote."
    ),
)

Keys = Annotated[
    Path | None,
    typer.Option(
        "--keys", metavar="FILE", help="The steward's keys (the file `keys` of a site's folder); signs the report."
    ),
]
Schema = Annotated[Path | None, typer.Option("--schema", metavar="FILE", help="The table's schema TOML.")]
Site = Annotated[str, typer.Option("--site", metavar="NAME", help="Which site, where PATH is a federation.")]
Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="Folder under which a federation's data lie; default: $CADUCEUS_DATA."),
]


@readiness.command("check")
def check_command(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="A CSV or Parquet file, a FHIR or OMOP folder, a federation.")
    ],
    schema: Schema = None,
    site: Site = "",
    declare: Annotated[
        Path | None,
        typer.Option(
            "--declare", metavar="FILE", help="What you declare of the data; default: readiness.toml beside them."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Write report.json, report.html and report.cbor there.")
    ] = None,
    keys: Keys = None,
    commitment: Annotated[
        str,
        typer.Option("--commitment", metavar="HEX", help="The card's commitment, to bind the report to the data set."),
    ] = "",
    title: Annotated[
        str, typer.Option("--title", metavar="TEXT", help="Of the data set; default: its site's or file's name.")
    ] = "",
    free_text: Annotated[
        bool,
        typer.Option(
            "--free-text-cleaned", help="You vouch that free text was cleaned: it is weighed, and does not block."
        ),
    ] = False,
    data: Data = None,
    checks: Annotated[
        Path | None, typer.Option("--checks", metavar="DIR", help="OHDSI's check tables (CSV), for OMOP data.")
    ] = None,
) -> None:
    """Run every rule over data and say whether they may be lent. Changes nothing but DIR.

    Looks at names of columns, at every value, at FHIR paths, at dates and ages,
    and at what a table discloses. Tells names of columns and counts of eleven
    or more, and never a value. Free text blocks: it is not searched, because
    nobody knows how many names a search would miss.

    \b
    caduceus readiness patients.csv --schema schema.toml --out check
    caduceus readiness export/fhir --declare readiness.toml --out check --keys ash/keys
    caduceus readiness heart --site Cleveland --data ~/data

    Ends with 0 if the data are ready, or ready on conditions; with 2 if
    something blocks. DIR/private-salt stays at the site: with it you can show
    later that a report is about these data.
    """
    from caduceus.cli import readiness_running

    readiness_running.check(
        readiness_running.Wish(path, schema, site, declare, out, keys, commitment, title, free_text, data, checks)
    )


@readiness.command("verify")
def verify_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="report.cbor, as a check has written it.")],
    signer: Annotated[str, typer.Option("--signer", metavar="ADDRESS", help="Who should have signed it.")] = "",
    path: Annotated[
        Path | None, typer.Option("--path", metavar="PATH", help="The data, to compare; needs --salt.")
    ] = None,
    salt: Annotated[
        Path | None, typer.Option("--salt", metavar="FILE", help="private-salt, as the check has written it.")
    ] = None,
    site: Site = "",
    data: Data = None,
) -> None:
    """Check a report: its signature, and that its verdict follows from its findings. Needs no data.

    \b
    caduceus readiness verify check/report.cbor --signer 0x...
    caduceus readiness verify check/report.cbor --path patients.csv --salt check/private-salt

    Ends with 0 if the report holds, with 2 if not.
    """
    from caduceus.cli import readiness_running

    readiness_running.verify(file, signer, path, salt, site, data)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.add_typer(readiness, name="readiness")


def show(console: Console, one: SignedReport) -> None:
    """The verdict, what was found, and what was not looked at."""
    from rich.markup import escape

    from caduceus.cli.tables import plain_table
    from caduceus.data.readiness.finding import Severity

    report = one.report
    styles = {Severity.BLOCK: "red", Severity.WARN: "yellow", Severity.NOTE: "dim"}
    words = {Severity.BLOCK: "blocks", Severity.WARN: "weigh", Severity.NOTE: "note"}
    if report.findings:
        table = plain_table(report.title, "", "where", "records", "found", right=("records",))
        for found in report.findings[:SHOWN]:
            level = Severity(found.severity)
            number = "" if found.count is None else f"{found.count:,}".replace(",", " ")
            table.add_row(f"[{styles[level]}]{words[level]}[/]", escape(found.where), number, escape(found.says))
        console.print(table)
    if len(report.findings) > SHOWN:
        console.print(f"... and {len(report.findings) - SHOWN} more; --out writes all of them")
    _show_rules(console, report)


def _show_rules(console: Console, report: Report) -> None:
    from rich.markup import escape

    from caduceus.data.readiness.finding import Severity
    from caduceus.data.readiness.verdict import NOT_APPLICABLE, RAN, UNSCANNED
    from caduceus.kinds import Readiness

    states = {state: [r for r in report.results if r.state == state] for state in (RAN, UNSCANNED, NOT_APPLICABLE)}
    for one in states[UNSCANNED]:
        for skip in one.skipped[:5]:
            where = f" ({escape(skip.where)})" if skip.where else ""
            console.print(
                f"[yellow]not looked at[/yellow] {escape(one.title)}: {escape(skip.reason)}{where}", soft_wrap=True
            )
    console.print(
        f"{len(report.results)} rules: {len(states[RAN])} looked everywhere, {len(states[UNSCANNED])} could not, "
        f"{len(states[NOT_APPLICABLE])} had nothing to look at",
        soft_wrap=True,
    )
    style = {Readiness.READY: "green", Readiness.CONDITIONAL: "yellow"}.get(report.readiness, "red")
    said = {
        Readiness.READY: "ready to be lent",
        Readiness.CONDITIONAL: "ready on conditions: somebody has to look at what is to be weighed",
    }.get(report.readiness, "blocked: not to be lent like this")
    blocks = sum(found.severity == Severity.BLOCK for found in report.findings)
    tail = f" ({blocks} findings block)" if blocks else ""
    console.print(f"[bold {style}]{report.readiness.name}[/]: {said}{tail}", soft_wrap=True)
