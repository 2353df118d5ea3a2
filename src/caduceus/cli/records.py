"""The commands with which a steward answers patients, and a patient checks the answer: records."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from caduceus.crypto.xwing import Decapsulator
    from caduceus.edges.keystore import Passphrase
    from caduceus.wiring.openings_letter import Letter
    from caduceus.wiring.openings_reading import Told

records = typer.Typer(
    no_args_is_help=True,
    help="Show a patient what of a data set is theirs; forget a patient; check, as a patient, what was shown.",
)

Folder = Annotated[
    Path, typer.Argument(metavar="FOLDER", help="The site's own folder; or a run's folder, with --site.")
]
Patient = Annotated[
    str, typer.Option("--patient", metavar="ID", help="The site's own identifier of the patient.", prompt=True)
]
Site = Annotated[str | None, typer.Option("--site", metavar="NAME", help="Which site of a run.")]
Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="Folder under which the data lie; default: as the site was told."),
]


@records.command("key")
def records_key(
    out: Annotated[Path, typer.Argument(metavar="FILE", help="The secret seed; the public key goes to FILE.pub.")],
) -> None:
    """Make, as a patient, a key to which a site can seal letters.

    \b
    caduceus records key mine        (give mine.pub to the site, and keep mine)
    """
    import secrets

    from caduceus.crypto.xwing import SEED_BYTES, Decapsulator
    from caduceus.edges.workspace import write_whole
    from caduceus.errors import Refused

    public = out.with_name(f"{out.name}.pub")
    for path in (out, public):
        if path.exists():
            raise Refused(f"{path}: is there already; what was sealed to that key opens with nothing else")
    seed = secrets.token_bytes(SEED_BYTES)
    write_whole(out, seed, mode=0o600)
    write_whole(public, Decapsulator(seed).public)
    typer.echo(f"Secret: {out}. For the site: {public}")


@records.command("show")
def records_show(
    folder: Folder,
    patient: Patient,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The letter; sealed.")],
    to: Annotated[
        Path | None, typer.Option("--to", metavar="KEY", help="The patient's X-Wing public key: a file of 1,216 bytes.")
    ] = None,
    passphrase_file: Annotated[
        Path | None, typer.Option("--passphrase-file", metavar="FILE", help="Its first line opens the letter.")
    ] = None,
    site: Site = None,
    data: Data = None,
) -> None:
    """Write a letter for a patient: which rows are theirs in every version of the data set, or that none are.

    The letter proves it against the commitments on the chain, with the
    patient's own salts and nobody else's. It is sealed to the patient's key
    or under a passphrase, which is asked for if neither is given.

    \b
    caduceus records show ash --patient P-1042 --out letter --to patient.pub
    caduceus records show runs/demo --site Ash --patient "row 17" --out letter

    Tells nobody anything. Whoever can open the letter can show that the rows
    are theirs: hand it over as you would the records.
    """
    from caduceus.edges.keystore import Passphrase, read_passphrase
    from caduceus.edges.workspace import write_whole
    from caduceus.errors import Refused
    from caduceus.wiring.openings import find_place, write_letter
    from caduceus.wiring.openings_letter import seal_letter

    if to is not None and passphrase_file is not None:
        raise Refused("--to and --passphrase-file: a letter is sealed one way; give one of them")
    letter = write_letter(find_place(folder, site, data), patient)
    sealed_to: Passphrase | bytes
    if to is not None:
        sealed_to = to.read_bytes()
    elif passphrase_file is not None:
        found = read_passphrase(passphrase_file)
        assert found is not None
        sealed_to = found
    else:
        sealed_to = Passphrase(typer.prompt("Passphrase of the letter", hide_input=True, confirmation_prompt=True))
    write_whole(out, seal_letter(letter, sealed_to), mode=0o600)
    typer.echo(f"Letter: {out}, about {len(letter.statements)} versions of the data set")


@records.command("verify")
def records_verify(
    letter: Annotated[Path, typer.Argument(metavar="LETTER", help="The file that the site gave out.")],
    run: Annotated[
        Path,
        typer.Option("--run", metavar="RUN", help="A run's folder, or a transcript's alone, from the coordinator."),
    ],
    chain: Annotated[
        Path | None, typer.Option("--chain", metavar="FILE", help="The chain's file; default: the run's own.")
    ] = None,
    node: Annotated[str | None, typer.Option("--node", metavar="URL", help="A node instead of a chain's file.")] = None,
    passphrase_file: Annotated[
        Path | None, typer.Option("--passphrase-file", metavar="FILE", help="Its first line opens the letter.")
    ] = None,
    key: Annotated[
        Path | None, typer.Option("--key", metavar="SEED", help="The seed of your X-Wing key: a file of 32 bytes.")
    ] = None,
) -> None:
    """Check, as a patient, what a site's letter says, against the chain and the transcript.

    Says of every version whether your rows are in it, and which jobs and
    rounds it took part in. Trusts the site in nothing that the chain holds.

    \b
    caduceus records verify letter --run runs/demo
    caduceus records verify letter --run transcript --node https://node.example.org --key my.seed

    Ends with 2, naming the version, if something does not hold.
    """
    from rich.console import Console

    from caduceus.cli.names import old_run
    from caduceus.errors import Refused
    from caduceus.wiring.openings_letter import open_letter
    from caduceus.wiring.openings_reading import tell_letter
    from caduceus.wiring.remembered import Memory

    if chain is not None and node is not None:
        raise Refused("--chain and --node: one chain is read; give one of them")
    transcript = run if (run / "blobs").is_dir() else run / "transcript"
    if chain is None and node is None:
        if transcript == run:
            raise Refused(f"{run}: a transcript alone; say where the chain is with --chain or --node")
        workspace = old_run(run)
        node = next((order.url for order in Memory(workspace).orders() if order.url), None)
        chain = workspace.chain if node is None else None
    opened = open_letter(letter, _opener(passphrase_file, key))
    told = tell_letter(opened, transcript, chain=chain, url=node)
    _say(Console(highlight=False), opened, told)


@records.command("forget")
def records_forget(
    folder: Folder,
    patient: Patient,
    site: Site = None,
    data: Data = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether you mean it.")] = False,
) -> None:
    """Forget a patient: erase what links them to every version, and commit to the records without them.

    Salts, token and name of the patient are overwritten in all openings that
    this site keeps; the next version of the data set has everyone else, under
    fresh salts. A crash in between is made up for at the next start.

    \b
    caduceus records forget ash --patient P-1042

    Take the patient's rows out of the source too: until they are gone, the
    site does not start. Models that were trained stay as they are: no
    unlearning is claimed. Backups are yours to erase; docs/forgetting.md says
    what remains.
    """
    from caduceus.wiring.openings import find_place, forget_patient

    place = find_place(folder, site, data)
    if not yes:
        typer.confirm(
            f"Erase this patient's secrets in every version of '{place.name}'? There is no way back", abort=True
        )
    done = forget_patient(place, patient)
    typer.echo(f"Forgotten in {done.versions} versions. The data set's commitment was {done.old.hex()}")
    typer.echo(f"and is now {done.new.hex()}")
    if done.is_in_table:
        typer.echo("The patient's rows are still in the source: take them out before the site starts again.")
    typer.echo("Models that were trained before stay as they are. Erase this patient in your backups.")


def _opener(passphrase_file: Path | None, key: Path | None) -> Passphrase | Decapsulator:
    from caduceus.crypto.xwing import SEED_BYTES, Decapsulator
    from caduceus.edges.keystore import Passphrase, read_passphrase
    from caduceus.errors import Refused

    if key is not None:
        seed = key.read_bytes()
        if len(seed) != SEED_BYTES:
            raise Refused(f"{key}: {len(seed)} bytes; the seed of an X-Wing key has {SEED_BYTES}")
        return Decapsulator(seed)
    if passphrase_file is not None:
        found = read_passphrase(passphrase_file)
        assert found is not None
        return found
    return Passphrase(typer.prompt("Passphrase of the letter", hide_input=True))


def _say(console: Console, letter: Letter, told: tuple[Told, ...]) -> None:
    from rich.markup import escape

    console.print(f"[bold]{escape(letter.site)}[/bold]: every statement holds.", soft_wrap=True)
    for one in told:
        named = f"version {one.version}" if one.entry is not None else "a version that was never registered"
        where = f"{named} (commitment {one.root.hex()[:16]}…)"
        if not one.rows:
            console.print(f"  No record under your token was in {where}.", soft_wrap=True)
            continue
        yours = "1 record of yours was" if one.rows == 1 else f"{one.rows} records of yours were"
        console.print(f"  {yours} in {where}, all that the site had under your token.", soft_wrap=True)
        for part in one.parts:
            took = f"took part in {part.count} rounds: {part.rounds}" if part.count else "took a seat, and is in no sum"
            console.print(
                f"    job 0x{part.job.hex()[:16]}… ({escape(part.title)}, for {escape(part.purpose)}): {took}",
                soft_wrap=True,
            )
        if not one.parts:
            console.print("    It took part in no job that this chain knows.", soft_wrap=True)
    console.print(
        "Not shown: that the site really computed with these records; and a site can give out a token that it "
        "committed nothing to.",
        style="dim",
        soft_wrap=True,
    )


def add_to(app: typer.Typer) -> None:
    """Add these commands to the program's."""
    app.add_typer(records, name="records")
