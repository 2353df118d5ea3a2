"""A site's own word on what FLARE may do there: the files of the kit's `local` folder.

FLARE reads these from the site's disk and takes none of them from elsewhere. They leave out what a job needs to run
(resource manager, launcher, allowed classes, rights of any administrator), open no port for a job's processes, stream
no log to the server, and add one component, which runs the party's role.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from caduceus.edges.flare.driver import CLOSED
from caduceus.errors import Refused

COMPONENT = "caduceus.edges.flare.component.RoleComponent"
LOG = "flare.log"
"""The log's name in the kit's folder."""

_STARTUP = frozenset(
    name
    for names in (
        ("fed_client.json", "client.crt", "client.key"),
        ("fed_server.json", "server.crt", "server.key"),
        ("rootCA.pem", "start.sh", "sub_start.sh", "stop_fl.sh"),
    )
    for name in names
)
_LOCAL = frozenset(
    f"{name}{ending}"
    for name in ("resources.json", "authorization.json", "log_config.json", "comm_config.json", "privacy.json")
    for ending in ("", ".default", ".sample")
)
_ENTRY = re.compile(r"\w+(\.\w+)*:\w+")
_LOG_BYTES = 10 << 20
_RIGHTS = dict.fromkeys(("project_admin", "org_admin", "lead", "member"), "none")
"""Every role that FLARE knows has no right here, and a role that it does not know has none either."""


def equip(kit: Path, *, entry: str, folder: Path, console: bool = False) -> None:
    """Write a kit's local policy and the role that runs in its process. May be repeated.

    kit      a kit from `provision`, at the party that it is for
    entry    module:function that starts the role, see `component.RoleComponent`
    folder   the party's own folder, handed to the entry
    console  at a server: let FLARE's administrator in too, with no right to run jobs

    Raises Refused if `kit` is not a kit, or `entry` not of that form.
    """
    server = is_server(kit)
    if not _ENTRY.fullmatch(entry):
        raise Refused(f"entry {entry!r}: a dotted module, a colon, and a function in it")
    local = kit / "local"
    arguments = {"entry": entry, "folder": str(folder.resolve()), "console": console and server}
    resources: dict[str, Any] = {
        "format_version": 2,
        "class_list_enforcement_mode": "enforce",
        "class_allow_list": [],
        "components": [{"id": "role", "path": COMPONENT, "args": arguments}],
    }
    if server:
        resources["servers"] = [{"admin_storage": "transfer", "max_num_clients": 1000, "heart_beat_timeout": 60}]
    else:
        resources["allow_log_streaming"] = False
        resources["client"] = {
            "site_config": {},  # else FLARE sends what else stands in this file to the server
            "maint_msg_timeout": 20.0,
            "client_register_interval": 0.5,
        }
    _write(local / "resources.json", resources)
    _write(local / "authorization.json", {"format_version": "1.0", "permissions": _RIGHTS})
    _write(local / "comm_config.json", {"allow_adhoc_conns": False, "internal": {"scheme": CLOSED, "resources": {}}})
    _write(local / "log_config.json", _logging())


def check(kit: Path) -> None:
    """Raises Refused if a kit, or the policy beside it, would have FLARE load anything that is not expected.

    FLARE builds components from any file of a kit that is called *__resources.json, before those that the site chose,
    and imports from local/custom. A kit comes from the project's authority, and must not decide what runs at a site.
    """
    server = is_server(kit)
    for folder, expected in (("startup", _STARTUP), ("local", _LOCAL)):
        for path in sorted((kit / folder).iterdir()):
            if path.name not in expected or not path.is_file():
                raise Refused(f"{path}: not a file that this kit should have; FLARE might run what it says: remove it")
    if not (kit / "local" / "resources.json").is_file():
        raise Refused(f"{kit} has no local/resources.json: equip the kit with the party's role first")
    config = kit / "startup" / ("fed_server.json" if server else "fed_client.json")
    try:
        sections = set(json.loads(config.read_text()))
    except (OSError, ValueError, TypeError) as problem:
        raise Refused(f"{config}: cannot be read ({problem}); fetch the kit again") from None
    if sections - {"format_version", "servers", "client"}:
        names = ", ".join(sorted(sections - {"format_version", "servers", "client"}))
        raise Refused(
            f"{config}: has sections that only the site may have ({names}); ask the authority for a plain kit"
        )


def is_server(kit: Path) -> bool:
    """Whether a kit is the server's. Raises Refused if it is no kit."""
    if (kit / "startup" / "fed_server.json").is_file():
        return True
    if (kit / "startup" / "fed_client.json").is_file():
        return False
    raise Refused(f"{kit} is not a start-up kit: it has neither startup/fed_server.json nor startup/fed_client.json")


def _logging() -> dict[str, Any]:
    """Everything from INFO on into one rotating file, and from WARNING on to the process's output."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
        "handlers": {
            "output": {
                "class": "logging.StreamHandler",
                "level": "WARNING",
                "formatter": "line",
                "stream": "ext://sys.stdout",
            },
            "file": {
                "class": "logging.handlers.RotatingFileHandler",
                "level": "INFO",
                "formatter": "line",
                "filename": LOG,
                "maxBytes": _LOG_BYTES,
                "backupCount": 3,
            },
        },
        "loggers": {
            "root": {"level": "INFO", "handlers": ["output", "file"]},
            # At every start of a server it reports as an error that nothing here can run jobs, as it should be.
            "nvflare.private.fed.server.job_runner.JobRunner": {"level": "CRITICAL"},
            # A site that waits for its server says so twice a second; the driver says it once a minute.
            "nvflare.private.fed.authenticator.Authenticator": {"level": "WARNING"},
        },
    }


def _write(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(content, indent=1) + "\n")
    part.replace(path)
