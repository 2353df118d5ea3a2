"""Start-up kits from FLARE's own provisioner: one root certificate per project, a certificate and key per party.

The folder given is the project authority's, and is kept private: whoever has its root key can let anybody in. What a
party needs is its kit and nothing else; the authority keeps no party's key once the kits are handed out and removed.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nvflare.lighter.constants import CtxKey
from nvflare.lighter.entity import Project
from nvflare.lighter.impl.cert import CertBuilder
from nvflare.lighter.impl.static_file import StaticFileBuilder
from nvflare.lighter.impl.workspace import WorkspaceBuilder
from nvflare.lighter.provisioner import Provisioner
from pydantic import TypeAdapter, ValidationError

from caduceus.edges.flare.driver import SCHEME
from caduceus.errors import Misuse, Refused

ROOT_DAYS = 3650
_PROJECT = "project.json"
_AUTHORITY = "authority"
_KITS = "kits"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,38}[a-z0-9]")
_HOST = re.compile(r"[A-Za-z0-9.-]{1,63}")
_ORGANISATION = re.compile(r"[A-Za-z0-9_]{1,63}")


@dataclass(frozen=True, slots=True)
class Server:
    """Where parties connect to.

    host          name or IPv4 address that parties can reach, and the name in its certificate; `localhost` or an
                  address of the loopback network listens there only, anything else on every interface
    port          1..65535
    organisation  who runs it
    """

    host: str
    port: int
    organisation: str


@dataclass(frozen=True, slots=True)
class Party:
    """One client of the project.

    name          2 to 40 lower-case letters, digits and hyphens; FLARE's client name and the certificate's subject
    organisation  whom it belongs to
    """

    name: str
    organisation: str


@dataclass(frozen=True, slots=True)
class _Record:
    """What the authority's folder says of its project."""

    project: str
    server: Server
    parties: tuple[Party, ...]


_RECORD = TypeAdapter(_Record)


def provision(
    folder: Path, project: str, server: Server, parties: Sequence[Party], *, administrator: str = ""
) -> dict[str, Path]:
    """Make a project's root certificate and all kits.

    folder         new or empty; made private to its owner
    project        name of the project, as a party's
    administrator  e-mail address of a user of FLARE's console, or nothing: none is needed
    returns        kits by the party's name, the server's under `server`

    Raises Refused for a bad or doubled name and for a folder in use.
    """
    _check(project, server, parties)
    if (folder / _PROJECT).exists():
        raise Refused(f"{folder} holds a project already: add parties to it, or name another folder")
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    kits = _issue(folder, project, server, parties, {server.host: "server", administrator: administrator})
    _write(folder, _Record(project, server, tuple(parties)))
    return kits


def add_party(folder: Path, party: Party) -> Path:
    """Make the kit of one more party of a project that may be running; the server needs no change.

    Raises Refused if the folder holds no project, or the name is taken.
    """
    record = _read(folder)
    if party.name in {other.name for other in record.parties}:
        raise Refused(f"project in {folder}: a party {party.name} has a kit already; choose another name")
    _check(record.project, record.server, [party])
    kit = _issue(folder, record.project, record.server, [party], {})[party.name]
    _write(folder, replace(record, parties=(*record.parties, party)))
    return kit


def _issue(
    folder: Path, name: str, server: Server, parties: Sequence[Party], others: Mapping[str, str]
) -> dict[str, Path]:
    """Run FLARE's provisioner, which makes all kits every time; keep the parties', and of its state only the root.

    others  further kits to keep: FLARE's name for each, and ours; an administrator's is its address
    """
    authority = folder / _AUTHORITY
    project = Project(name, "", props={"api_version": 3})
    project.set_server(server.host, server.organisation, {"fed_learn_port": server.port, "default_host": server.host})
    for party in parties:
        project.add_client(party.name, party.organisation, {})
    for administrator in others:
        if "@" in administrator:
            project.add_admin(administrator, server.organisation, {"role": "project_admin"})
    builders = [WorkspaceBuilder(), StaticFileBuilder(scheme=SCHEME), CertBuilder(root_valid_days=ROOT_DAYS)]
    notes = _Notes()
    made = Provisioner(str(authority), builders).provision(project, logger=notes)
    if made.get(CtxKey.BUILD_ERROR):
        raise Misuse("FLARE's provisioner failed: " + "; ".join(notes.problems))
    source = Path(made[CtxKey.CURRENT_PROD_DIR])
    kits: dict[str, Path] = {}
    (folder / _KITS).mkdir(exist_ok=True)
    for original, ours in [*((party.name, party.name) for party in parties), *others.items()]:
        if not original:
            continue
        kits[ours] = folder / _KITS / ours
        if kits[ours].exists():  # left by an attempt that was interrupted before it was recorded
            shutil.rmtree(kits[ours])
        shutil.move(source / original, kits[ours])
        kits[ours].chmod(0o700)
    shutil.rmtree(source)
    state = authority / name / "state" / "cert.json"
    root = {key: value for key, value in json.loads(state.read_text()).items() if key.startswith("root_")}
    state.write_text(json.dumps(root))
    state.chmod(0o600)
    return kits


class _Notes:
    """What the provisioner says, kept instead of printed."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def debug(self, text: str) -> None:
        """Dropped."""

    def info(self, text: str) -> None:
        """Dropped."""

    def warning(self, text: str) -> None:
        """Dropped: no file of ours can change what it warns of."""

    def error(self, text: str) -> None:
        """Kept for the exception."""
        self.problems.append(text)


def _check(project: str, server: Server, parties: Sequence[Party]) -> None:
    names = [project, *(party.name for party in parties)]
    for name in names:
        if not _NAME.fullmatch(name) or name == "server":
            raise Refused(f"name {name!r}: 2 to 40 lower-case letters, digits and hyphens, and not `server`")
    if len(set(names[1:])) < len(parties) or server.host in names:
        raise Refused("two of the names are the same: every party and the server needs its own")
    if not _HOST.fullmatch(server.host) or not 0 < server.port < 65536:
        raise Refused(f"server {server.host}:{server.port}: a host name or IPv4 address, and a port below 65536")
    for organisation in (server.organisation, *(party.organisation for party in parties)):
        if not _ORGANISATION.fullmatch(organisation):
            raise Refused(f"organisation {organisation!r}: 1 to 63 letters, digits and underscores")


def _read(folder: Path) -> _Record:
    path = folder / _PROJECT
    try:
        return _RECORD.validate_json(path.read_bytes())
    except (OSError, ValidationError) as problem:
        raise Refused(f"{path}: cannot be read ({problem}); is this the folder of the project's authority?") from None


def _write(folder: Path, record: _Record) -> None:
    part = folder / (_PROJECT + ".part")
    part.write_bytes(_RECORD.dump_json(record, indent=1) + b"\n")
    part.replace(folder / _PROJECT)
