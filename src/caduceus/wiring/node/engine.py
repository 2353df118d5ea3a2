"""What carries a party's frames: each engine's kits, and the process that runs on one.

An engine is an optional extra, so its code is imported when it is chosen. To add one: a function here that returns its
`Engine`, its name in `_ENGINES`, and in `node.toml`'s `engine`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import NameOID

from caduceus.errors import Refused

_ROLES = "caduceus.wiring.node.roles"
AT_HUB, AT_SPOKE = f"{_ROLES}:attach_hub", f"{_ROLES}:attach_spoke"
"""What an engine's process calls, with the party's folder and what carries its frames."""


@dataclass(frozen=True, slots=True)
class Command:
    """A process to run: arguments, whole environment, folder."""

    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: Path


@dataclass(frozen=True, slots=True)
class Engine:
    """One way to carry frames. Each raises Refused, naming the file, if what it is given is no kit of this engine.

    is_hub   whether a kit is the hub's
    name_in  what the operator called the party of a kit
    equip    (kit, entry, folder): make the kit's process run that entry for that folder; may be repeated
    command  the process of an equipped kit; SIGTERM ends it
    """

    is_hub: Callable[[Path], bool]
    name_in: Callable[[Path], str]
    equip: Callable[[Path, str, Path], None]
    command: Callable[[Path], Command]


def engine_named(name: str) -> Engine:
    """An engine, by its name in `node.toml`.

    Raises Refused if there is none of that name, or its packages are not installed.
    """
    if name not in _ENGINES:
        raise Refused(f"engine '{name}': not known; there is {', '.join(_ENGINES)}")
    try:
        return _ENGINES[name]()
    except ModuleNotFoundError as problem:
        raise Refused(f"engine '{name}': {problem.name} is not installed: pip install 'caduceus[{name}]'") from None


def engine_of(kit: Path) -> str:
    """The name of the engine that a kit is for; a folder that is no kit at all is taken for FLARE's, which says so."""
    return "flower" if (kit / "flower.toml").is_file() else "flare"


def _flare() -> Engine:
    from caduceus.edges.flare.policy import equip, is_server
    from caduceus.edges.flare.process import start

    def name_in(kit: Path) -> str:
        return _subject(kit / "startup" / ("server.crt" if is_server(kit) else "client.crt"))

    def command(kit: Path) -> Command:
        begun = start(kit, python=Path(sys.executable))
        return Command(begun.argv, dict(begun.env), begun.cwd)

    return Engine(is_server, name_in, lambda kit, entry, folder: equip(kit, entry=entry, folder=folder), command)


def _flower() -> Engine:
    from caduceus.wiring.node.alone import command as argv
    from caduceus.wiring.node.alone import equip, read_kit

    def command(kit: Path) -> Command:
        return Command(argv(kit), dict(os.environ), kit.resolve())

    return Engine(lambda kit: read_kit(kit).end == "hub", lambda kit: read_kit(kit).name, equip, command)


_ENGINES: dict[str, Callable[[], Engine]] = {"flare": _flare, "flower": _flower}


def _subject(certificate: Path) -> str:
    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
        return str(found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
    except (OSError, ValueError, IndexError) as problem:
        raise Refused(f"{certificate}: cannot be read ({problem}); fetch the kit again") from None
