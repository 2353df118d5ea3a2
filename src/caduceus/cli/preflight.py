"""The commands that look whether sites mean the same, before a job starts: preflight."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from caduceus.data.readiness.finding import Finding

preflights = typer.Typer(
    no_args_is_help=True,
    help="Look whether sites mean the same by their columns, through noisy sums, before a job starts.",
)

Label = Annotated[
    str | None, typer.Option("--job", metavar="LABEL", help="The preflight's job in the run; default: the only one.")
]


@preflights.command()
def questions(
    job: Annotated[str, typer.Argument(metavar="JOB", help="A job TOML, or an example such as heart.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The preflight's job TOML, beside JOB's schema.")],
    epsilon: Annotated[float, typer.Option(min=0.002, max=100, metavar="E", help="Of every data set's budget.")] = 0.2,
    bins: Annotated[
        int, typer.Option(min=2, max=200, metavar="N", help="Of numbers; sites refuse more than their rows bear.")
    ] = 24,
    every: Annotated[bool, typer.Option("--every", help="Ask about all columns, not only the job's.")] = False,
) -> None:
    """Write the job that asks all sites how a job's columns look: one histogram each, in one noisy sum.

    \b
    caduceus preflight questions my/job.toml --out my/preflight.toml
    caduceus run my/preflight.toml my/federation.toml --out runs/preflight
    caduceus preflight compare runs/preflight
    caduceus preflight own runs/preflight my/federation.toml --site North

    It is paid for and judged by every site's terms like any other job. Writes
    FILE, which must be new.
    """
    from rich.console import Console

    from caduceus.cli.names import job_path
    from caduceus.edges.tabular import load_schema, read_text
    from caduceus.edges.workspace import write_whole
    from caduceus.errors import Refused
    from caduceus.kinds import Address
    from caduceus.market.job_file import read_job_file, specify
    from caduceus.market.preflight import questions as asked
    from caduceus.market.preflight_file import preflight_text
    from caduceus.market.specification import NONCE_BYTES
    from caduceus.market.terms import ask_of

    if out.exists():
        raise Refused(f"{out}: there already; name a new file")
    path = job_path(job)
    text = read_text(path)
    file = read_job_file(text, where=path.name)
    schema = load_schema(path.parent / file.job.schema_file).public()
    spec = specify(file, schema, nonce=bytes(NONCE_BYTES), where=path.name)
    columns = () if every else ask_of(spec, Address(bytes(20))).columns
    analysis = asked(schema, columns, bins=bins)
    write_whole(out, preflight_text(text, analysis, epsilon=epsilon, where=path.name).encode())
    if not (out.parent / file.job.schema_file).exists():
        Console().print(f"Copy {file.job.schema_file} to {out.parent} as well: the preflight names it.", style="yellow")
    Console(highlight=False).print(f"Written: {out}, {len(analysis.queries) - 1} columns", markup=False, soft_wrap=True)


@preflights.command()
def compare(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run in which the preflight was answered.")],
    job: Label = None,
) -> None:
    """Say what is odd in all sites together, from the published sums alone: units, levels, missing values.

    \b
    caduceus preflight compare runs/preflight

    Reads no site's folder and no data; writes nothing.
    """
    from caduceus.market.preflight import compare as compared
    from caduceus.wiring.preflight import preflown

    answered = preflown(run, job)
    _say(answered.title, compared(answered.sums))


@preflights.command()
def own(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run in which the preflight was answered.")],
    federation: Annotated[
        str, typer.Argument(metavar="FEDERATION", help="A federation TOML, its folder, or an example.")
    ],
    site: Annotated[str, typer.Option("--site", metavar="NAME", help="Which site.")],
    data: Annotated[Path | None, typer.Option("--data", metavar="DIR", help="Folder under which the data lie.")] = None,
    job: Label = None,
) -> None:
    """Say to a site's steward alone how its table deviates from those of the others.

    \b
    caduceus preflight own runs/preflight my/federation.toml --site North

    For the steward's own eyes: shares are of its own records. Writes nothing,
    tells nobody.
    """
    from caduceus.cli.names import federation_path
    from caduceus.edges.federation import open_federation, read_site
    from caduceus.errors import Refused
    from caduceus.market.preflight import own as deviations
    from caduceus.wiring.preflight import preflown

    answered = preflown(run, job)
    table = read_site(open_federation(federation_path(federation)), site, data_root=data).table
    if table.schema.digest() != answered.schema.digest():
        raise Refused(f"site '{site}' has data as in '{table.schema.title}', the preflight asked for another schema")
    _say(f"{answered.title}, seen from {site}", deviations(table, answered.sums))


def _say(title: str, found: Sequence[Finding]) -> None:
    from rich.console import Console
    from rich.markup import escape

    from caduceus.cli.tables import plain_table
    from caduceus.data.readiness.finding import Severity

    console = Console(highlight=False)
    if not found:
        console.print(f"{escape(title)}: nothing deviates that the noise lets one see.")
        return
    table = plain_table(title, "column", "", "what", "do")
    for one in sorted(found, key=lambda one: -one.severity):
        table.add_row(*map(escape, (one.where, Severity(one.severity).name.lower(), one.says, one.remedy)))
    console.print(table)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.add_typer(preflights, name="preflight")
