"""How to start a kit's process: what the kit's start.sh runs at last, in the foreground and without its loops."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID

from caduceus.edges.flare.policy import check, is_server
from caduceus.errors import Refused

_OVERRIDES = ("NVFLARE_", "NVFL_", "FL_LOG_LEVEL", "GRPC_")
"""Variables by which the environment would change what the kit's files say."""


@dataclass(frozen=True, slots=True)
class Start:
    """What to hand to `subprocess.Popen`: arguments, the whole environment, and the folder to start in.

    SIGTERM ends the process: the role is stopped first, the other side is told, and it exits with 0, or with 1 where
    the role failed or took longer than `component.STOP_SECONDS`.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path


def start(kit: Path, *, python: Path | None = None, environment: Mapping[str, str] | None = None) -> Start:
    """The command for a kit that `policy.equip` has prepared.

    python       interpreter that has this package and nvflare; this one if left out
    environment  what the process inherits, less FLARE's overrides; this process's if left out

    Raises Refused if `kit` is not a kit, if nobody has equipped it, if it holds what FLARE should not load (see
    `policy.check`), or if its certificate, key and root do not belong together or have expired: FLARE would hang
    without a word.
    """
    kit = kit.resolve()
    check(kit)
    server = is_server(kit)
    role, config = ("server", "fed_server.json") if server else ("client", "fed_client.json")
    name, organisation = _subject(kit / "startup", role)
    settings = ["secure_train=true", f"org={organisation}", "config_folder="]
    if not server:
        settings.insert(1, f"uid={name}")
    module = f"nvflare.private.fed.app.{role}.{role}_train"
    argv = (str(python or sys.executable), "-u", "-m", module, "-m", str(kit), "-s", config, "--set", *settings)
    given = os.environ if environment is None else environment
    env = {key: value for key, value in given.items() if not key.startswith(_OVERRIDES)}
    env.setdefault("MALLOC_ARENA_MAX", "4")  # as start.sh: glibc's arenas would hold on to freed frames
    (kit / "transfer").mkdir(exist_ok=True)
    return Start(argv, env, kit)


def _subject(startup: Path, role: str) -> tuple[str, str]:
    """Name and organisation in a kit's certificate, once it is known to be good for a connection."""
    path = startup / f"{role}.crt"
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        root = x509.load_pem_x509_certificate((startup / "rootCA.pem").read_bytes())
        key = load_pem_private_key((startup / f"{role}.key").read_bytes(), None)
        name, organisation = (
            str(certificate.subject.get_attributes_for_oid(oid)[0].value)
            for oid in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME)
        )
    except (OSError, ValueError, IndexError) as problem:
        raise Refused(f"{startup}: certificate, key or root cannot be read ({problem}); fetch the kit again") from None
    try:
        certificate.verify_directly_issued_by(root)
    except (ValueError, TypeError, InvalidSignature):
        raise Refused(f"{path} is not from rootCA.pem beside it: the kit is a mixture of two; fetch it again") from None
    if key.public_key() != certificate.public_key():
        raise Refused(f"{path} is not the certificate of {role}.key beside it; fetch the kit again")
    now = datetime.now(UTC)
    begins = max(certificate.not_valid_before_utc, root.not_valid_before_utc)
    until = min(certificate.not_valid_after_utc, root.not_valid_after_utc)
    if now < begins:
        raise Refused(f"{path} is valid from {begins:%Y-%m-%d %H:%M} UTC on: this machine's clock is behind; set it")
    if now >= until:
        raise Refused(f"{path} expired at {until:%Y-%m-%d %H:%M} UTC: ask the project's authority for a new kit")
    return name, organisation
