"""The commands about terms: what they say, and whether a job meets them before anybody pays."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from caduceus.data.policy import Terms
    from caduceus.data.use import UseTerms
    from caduceus.data.use_file import RequestFile
    from caduceus.data.use_seen import Seen
    from caduceus.kinds import Address

terms = typer.Typer(no_args_is_help=True, help="On which terms data are lent, and whether a job meets them.")

TermsPath = Annotated[Path, typer.Argument(metavar="TERMS", help="A terms TOML.")]


@terms.command("show")
def show(path: TermsPath) -> None:
    """Say in words what a terms file asks for. Needs no data, writes nothing.

    \b
    caduceus terms show my/terms.toml
    """
    from rich.console import Console
    from rich.markup import escape

    from caduceus.cli.terms_words import say_all

    console = Console(highlight=False)
    for line in say_all(read_terms(path)):
        console.print(escape(line), soft_wrap=True)


@terms.command("check")
def check(
    path: TermsPath,
    job: Annotated[str, typer.Argument(metavar="JOB", help="A job TOML, or an example such as heart.")],
    buyer: Annotated[
        str | None, typer.Option("--buyer", metavar="0x...", help="The account that will ask; default: nobody yet.")
    ] = None,
    on: Annotated[
        str | None, typer.Option("--on", metavar="DATE", help="Judge it as on that day, such as 2027-01-31; now.")
    ] = None,
) -> None:
    """Judge a job by terms as a steward would, before anything is posted or paid.

    Says every rule that the job breaks and, where terms give a choice, why each
    way failed; or what the buyer takes on by asking. What only the chain knows
    is left out: budgets that others have spent, other sites' numbers of
    records. Credentials in the job's use table are verified; that they are not
    revoked, by the lists in status_lists.

    \b
    caduceus terms check my/terms.toml my/job.toml
    caduceus terms check my/terms.toml my/job.toml --buyer 0x... --on 2027-01-31

    Writes nothing. Ends with 0 if the job is allowed, with 2 if not.
    """
    from dataclasses import replace

    from rich.console import Console
    from rich.markup import escape

    from caduceus.cli.joining import address
    from caduceus.cli.names import job_path
    from caduceus.data.policy import judge
    from caduceus.edges.tabular import load_schema, read_text
    from caduceus.kinds import Address
    from caduceus.market.job_file import read_job_file, specify
    from caduceus.market.specification import NONCE_BYTES
    from caduceus.market.terms import ask_of

    asked, found = read_terms(path), job_path(job)
    file = read_job_file(read_text(found), where=found.name)
    schema = load_schema(found.parent / file.job.schema_file).public()
    spec = specify(file, schema, nonce=bytes(NONCE_BYTES), where=found.name)
    who = Address(bytes(20)) if buyer is None else address("--buyer", buyer)
    seen = _seen(asked.use, file.use, spec.nonce, who, _moment(on))
    known = asked if buyer is not None else replace(asked, buyers=None)
    verdict = judge(known, ask_of(spec, who), seen=seen)
    console = Console(highlight=False)
    for reason in verdict.reasons:
        console.print(f"- {escape(reason)}", soft_wrap=True)
    verdict.enforce()
    console.print(f"{escape(path.name)} allows {escape(found.name)}.", soft_wrap=True)
    for one in verdict.obligations:
        console.print(f"The buyer takes on to {escape(one)}.", soft_wrap=True)
    if buyer is None and asked.buyers is not None:
        console.print(f"Only {len(asked.buyers)} named buyers are admitted; whether it is one, --buyer 0x... says.")


def read_terms(path: Path) -> Terms:
    """The terms in a file, with the hierarchy of diseases that lies beside it. Raises Refused, naming both."""
    from caduceus.data.terms.file import read_terms_file
    from caduceus.edges.tabular import read_text

    return read_terms_file(read_text(path), where=path.name, beside=lambda name: read_text(path.parent / name))


def _moment(on: str | None) -> int:
    """The day as seconds, or now."""
    from datetime import UTC, datetime

    from caduceus.data.use_day import read_day, start_of

    return int(datetime.now(UTC).timestamp()) if on is None else start_of(read_day(on))


def _seen(use: UseTerms | None, file: RequestFile | None, nonce: bytes, buyer: Address, now: int) -> Seen:
    """What a steward would know of time and credentials, as far as the job's file has it."""
    from caduceus import canon
    from caduceus.crypto.status_list import StatusList, read_list
    from caduceus.data.credential import occasion_of, prove
    from caduceus.data.use_seen import Seen
    from caduceus.errors import Refused

    lists = [read_list(one.encode()) for one in ([] if file is None else file.status_lists)]

    def status_of(_issuer: object) -> StatusList | None:
        return lists[0] if len(lists) == 1 else None

    proofs, rejected = [], []
    for number, text in enumerate([] if file is None or use is None else file.presentations, 1):
        try:
            occasion = occasion_of(nonce, buyer)
            proofs.append(prove(text.encode(), use.issuers if use else (), occasion, now=now, status_of=status_of))
        except Refused as problem:
            rejected.append(f"credential {number} ({canon.digest_bytes(text.encode()).hex()[:12]}): {problem}")
    return Seen(now=now, proofs=tuple(proofs), rejected=tuple(rejected))


def add_to(app: typer.Typer) -> None:
    """Put these commands where the others are."""
    app.add_typer(terms, name="terms")
