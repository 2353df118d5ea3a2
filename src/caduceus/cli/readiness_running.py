"""What `caduceus readiness` does."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.console import Console

from caduceus.cli.exits import REFUSED
from caduceus.cli.readiness import show
from caduceus.cli.screen import Screen
from caduceus.crypto.sign import Signer
from caduceus.data.readiness.rules import ALL
from caduceus.edges import keyring
from caduceus.edges.federation import EXAMPLES
from caduceus.edges.keystore import read_passphrase
from caduceus.errors import Refused
from caduceus.kinds import Readiness
from caduceus.wiring.node.fitness import Looking, check_site
from caduceus.wiring.readiness import Asked, check_readiness, verify_file, write_files


@dataclass(frozen=True, slots=True)
class Wish:
    """The options of a check, as they were typed."""

    path: Path
    schema: Path | None
    site: str
    declare: Path | None
    out: Path | None
    keys: Path | None
    commitment: str
    title: str
    free_text: bool
    data: Path | None
    checks: Path | None


def check(wish: Wish) -> None:
    """Check data, show what was found, write it, and exit with 2 if something blocks."""
    asked = Asked(
        path=_path(wish.path, wish.site),
        site=wish.site,
        schema=wish.schema,
        declaration=wish.declare,
        data_root=wish.data,
        commitment=_digest(wish.commitment),
        title=wish.title,
        checks=wish.checks,
        free_text="warn" if wish.free_text else "block",
    )
    signer = None if wish.keys is None else _signer(wish.keys)
    with Screen() as screen:
        screen.begin("Reading the data and running the rules", len(ALL))
        checked = check_readiness(asked, now=int(time.time()), signer=signer, step=screen.step)
    console = Console(highlight=False)
    show(console, checked.signed)
    if wish.out is not None:
        files = write_files(checked, wish.out)
        console.print(f"Written: {', '.join(str(one) for one in files)}", soft_wrap=True)
        if signer is None:
            console.print("[dim]Unsigned: --keys signs it with the steward's key[/dim]", soft_wrap=True)
    if checked.signed.report.readiness is Readiness.BLOCKED:
        raise typer.Exit(REFUSED)


def check_own(
    folder: Path, declare: Path | None, checks: Path | None, free_text: bool, passphrase_file: Path | None
) -> None:
    """Check a site's own records, put the signed report into its folder, and exit with 2 if something blocks."""
    looking = Looking(declare, checks, "warn" if free_text else "block")
    passphrase = read_passphrase(passphrase_file)
    with Screen() as screen:
        screen.begin("Reading the data and running the rules", len(ALL))
        now = int(time.time())
        checked, files = check_site(folder, looking, now=now, passphrase=passphrase, step=screen.step)
    console = Console(highlight=False)
    show(console, checked.signed)
    console.print(f"Written: {', '.join(str(one) for one in files)}", soft_wrap=True)
    console.print("Its digest and verdict stand on the chain from the site's next start on", soft_wrap=True)
    if checked.signed.report.readiness is Readiness.BLOCKED:
        raise typer.Exit(REFUSED)


def verify(file: Path, signer: str, path: Path | None, salt: Path | None, site: str, data: Path | None) -> None:
    """Check a report's file."""
    asked = None if path is None else Asked(_path(path, site), site, data_root=data)
    found = verify_file(file, data=asked, salt=salt)
    wanted = signer.lower().removeprefix("0x")
    if wanted and wanted != found.signer.hex():
        raise Refused(f"{file}: signed by 0x{found.signer.hex()}, and not by the address that was asked for")
    if found.same_data is False:
        raise Refused(f"{file}: the report is not about these data as they are now")
    console = Console(highlight=False)
    show(console, found.report)
    console.print(f"Signed by 0x{found.signer.hex()}; digest {found.report.report.digest().hex()}", soft_wrap=True)
    console.print(
        "The code on this machine is the code that looked"
        if found.same_code
        else "[yellow]The code on this machine is not the code that looked[/yellow]",
        soft_wrap=True,
    )
    if found.same_data:
        console.print("The report is about these very files", soft_wrap=True)


def _path(path: Path, site: str) -> Path:
    """The path itself, or an example of that name where a site is asked for."""
    return EXAMPLES / path if site and not path.exists() and (EXAMPLES / path).exists() else path


def _digest(text: str) -> bytes | None:
    if not text:
        return None
    try:
        digest = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        digest = b""
    if len(digest) != 32:
        raise Refused("--commitment: 32 bytes in hexadecimal are needed, as `caduceus card` shows them")
    return digest


def _signer(path: Path) -> Signer:
    try:
        return Signer(keyring.load(path, read_passphrase(environment=os.environ)).signer)
    except FileNotFoundError:
        raise Refused(f"{path}: no such keys; a site's folder has them in the file `keys`") from None
