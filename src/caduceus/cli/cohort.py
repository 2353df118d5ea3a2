"""The command that shows a cohort: what it is, how many patients it leaves, and what could not be used."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.markup import escape

from caduceus.cli.names import federation_path
from caduceus.cli.screen import Screen
from caduceus.cli.tables import plain_table, whole
from caduceus.data.cohort_flow import findings, tell
from caduceus.data.cohort_words import describe_cohort
from caduceus.data.readiness.finding import FEW
from caduceus.edges.federation import open_federation, read_cohorts


def show(name: str, site: str | None, data: Path | None) -> None:
    """Describe a federation's cohort and count its patients, source by source."""
    federation = open_federation(federation_path(name))
    with Screen() as screen:
        screen.begin("Reading the clinical records", 0)
        found = read_cohorts(federation, data_root=data, site=site)
    console = Console(highlight=False)
    for line in (federation.public_schema.title, *describe_cohort(federation.public_schema)):
        console.print(escape(line))
    for source, built in found:
        table = plain_table(f"\n{escape(source)}", "what holds", "patients", right=("patients",))
        for says, patients in tell(built.flow):
            table.add_row(escape(says), escape(patients))
        console.print(table)
        for one in findings(built.losses):
            count = f"fewer than {FEW}" if one.count is None else whole(one.count)
            console.print(escape(f"{one.where}: {count} {one.says}. {one.remedy[0].upper()}{one.remedy[1:]}."))
    console.print(
        f"Numbers of patients below {FEW}, and steps that leave out fewer, are not shown: this may be passed on to a "
        "reviewer."
    )
