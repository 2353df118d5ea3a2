"""The commands about credentials: what each is for, and nothing of how it is done."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from caduceus.cli.nodes import PassphraseFile

credential = typer.Typer(
    no_args_is_help=True, help="Credentials that prove to stewards what a buyer says: issue, present, verify, revoke."
)

Key = Annotated[Path, typer.Option("--key", metavar="FILE", help="A key that `caduceus credential key` made.")]
Nonce = Annotated[str, typer.Option("--nonce", metavar="HEX", help="The job's, 32 hex digits.")]
Buyer = Annotated[str, typer.Option("--buyer", metavar="0x...", help="The account that posts the job.")]


@credential.command("key")
def key(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the key is, or is to be.")],
    passphrase_file: PassphraseFile = None,
) -> None:
    """Make a key for issuing or holding credentials, or show the public part of one that is there.

    Prints its thumbprint, which stewards put among the issuers of their terms,
    and FILE.pub beside it holds the public key, which holders give to issuers.

    \b
    caduceus credential key consortium.key
    """
    from caduceus.cli import credential_files

    credential_files.show_key(file, passphrase_file)


@credential.command("issue")
def issue(
    says: Annotated[Path, typer.Argument(metavar="SAYS.toml", help="What it says; see below.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The credential, for its holder alone.")],
    key: Key,
    holder: Annotated[Path, typer.Option("--holder", metavar="FILE.pub", help="The holder's public key.")],
    status: Annotated[
        Path | None, typer.Option("--status", metavar="LIST.json", help="This issuer's status list; made if absent.")
    ] = None,
    account: Annotated[
        str | None, typer.Option("--account", metavar="0x...", help="With --status: whose list it is on the chain.")
    ] = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Issue a credential: an SD-JWT whose claims the holder shows one by one.

    SAYS.toml has issuer = "our name", until = 2027-12-31, index = 7 (with
    --status: its number on the list, each once), and a table "says" with any of
    user, institution, organisation, country, project, ethics.

    \b
    caduceus credential issue says.toml --key consortium.key --holder buyer.key.pub --out buyer.credential
    """
    from caduceus.cli import credential_files

    credential_files.issue_one(says, out, key, holder, credential_files.Listed(status, account), passphrase_file)


@credential.command("present")
def present(
    file: Annotated[Path, typer.Argument(metavar="CREDENTIAL", help="As it was issued.")],
    key: Key,
    buyer: Buyer,
    show: Annotated[str, typer.Option("--show", metavar="CLAIM,...", help="Which claims; others stay hidden.")],
    nonce: Annotated[
        str | None, typer.Option("--nonce", metavar="HEX", help="The job's, if it has one; else a new one is drawn.")
    ] = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Show chosen claims of a credential, bound to one job and one buyer: lines for the use table of the job's file.

    \b
    caduceus credential present buyer.credential --key buyer.key --buyer 0x... --show country,ethics

    What is shown becomes public with the job.
    """
    from caduceus.cli import credential_files

    credential_files.present_one(file, key, (buyer, nonce, show), passphrase_file)


@credential.command("verify")
def verify(
    file: Annotated[Path, typer.Argument(metavar="PRESENTATION", help="A file with what `present` printed.")],
    nonce: Nonce,
    buyer: Buyer,
    terms: Annotated[Path, typer.Option("--terms", metavar="TERMS", help="Whose issuers are trusted.")],
    status: Annotated[
        Path | None, typer.Option("--status", metavar="LIST.json", help="The issuer's status list, as on the chain.")
    ] = None,
) -> None:
    """Say what a presentation proves to a steward of these terms, or why it proves nothing.

    \b
    caduceus credential verify shown.txt --nonce HEX --buyer 0x... --terms terms.toml --status list.json
    """
    from caduceus.cli import credential_files

    credential_files.verify_one(file, (buyer, nonce), terms, status)


@credential.command("revoke")
def revoke(
    status: Annotated[Path, typer.Argument(metavar="LIST.json", help="The issuer's status list.")],
    index: Annotated[int, typer.Argument(metavar="INDEX", help="The credential's number on it.")],
    restore: Annotated[bool, typer.Option("--restore", help="Let it count again.")] = False,
) -> None:
    """Revoke a credential in its issuer's status list; it counts once the list is published.

    \b
    caduceus credential revoke list.json 7
    caduceus credential publish list.json FOLDER
    """
    from caduceus.cli import credential_files

    credential_files.revoke_one(status, index, restore=restore)


@credential.command("publish")
def publish(
    status: Annotated[Path, typer.Argument(metavar="LIST.json", help="The issuer's status list.")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Of the party whose account the issuer has.")],
    passphrase_file: PassphraseFile = None,
) -> None:
    """Put a status list's digest on the chain, by the account that terms name for the issuer.

    The list itself goes to buyers, who put it into status_lists of a job's
    use table. As soon as another digest is on the chain, an older list is worth
    nothing; credentials prove nothing to a steward that cannot get the newest.

    \b
    caduceus credential publish list.json consortium
    """
    from caduceus.cli import credential_files

    credential_files.publish_list(status, folder, passphrase_file)


def add_to(app: typer.Typer) -> None:
    """Put these commands where the others are."""
    app.add_typer(credential, name="credential")
