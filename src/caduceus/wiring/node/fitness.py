"""A site's own check of the records that it lends, signed, and put where its process finds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from caduceus.crypto.sign import Signer
from caduceus.data.commitment import read_openings
from caduceus.edges import keyring
from caduceus.edges.keystore import Passphrase
from caduceus.errors import Refused
from caduceus.wiring.node.file import NODE_FILE, read_node_file
from caduceus.wiring.node.party import KEYS, OPENINGS
from caduceus.wiring.readiness import FOLDER, Asked, Checked, check_readiness, write_files


@dataclass(frozen=True, slots=True)
class Looking:
    """How a site's records are to be looked at; see `wiring.readiness.Asked`."""

    declaration: Path | None = None
    checks: Path | None = None
    free_text: str = "block"


def check_site(
    folder: Path, looking: Looking, *, now: int, passphrase: Passphrase | None, step: Callable[[str], None]
) -> tuple[Checked, tuple[Path, ...]]:
    """Check a site's records, sign the report, bind it to their commitment, and keep it in the site's folder.

    folder   of a site that has started once, so that it has committed to its records
    returns  the report, and the files that were written

    Raises Refused, naming the file, if it is no site's, has committed to nothing yet, or its records cannot be read.
    """
    file = read_node_file(folder)
    if file.data is None:
        raise Refused(f"{folder / NODE_FILE}: of a {file.party.role}; only a site lends records")
    path = folder / OPENINGS
    if not path.exists():
        raise Refused(f"{path}: missing; start the site once first: it then commits to its records")
    asked = Asked(
        path=folder / file.data.federation,
        site=file.data.site or file.party.name,
        declaration=looking.declaration,
        data_root=None if file.data.root is None else Path(file.data.root),
        commitment=read_openings(path.read_bytes()).root,
        checks=looking.checks,
        free_text=looking.free_text,
    )
    ring = keyring.load(folder / KEYS, passphrase)
    checked = check_readiness(asked, now=now, signer=Signer(ring.signer), step=step)
    return checked, write_files(checked, folder / FOLDER)
