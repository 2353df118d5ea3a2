"""Write the bridge out as a Flower App, for `flwr run` in Flower's own environment."""

from __future__ import annotations

import importlib.resources
import json
from pathlib import Path

from caduceus.errors import Refused

FLOWER = "1.41.0"
"""The version of flwr that the bridge is written for and tested with."""
PACKAGE = "caduceus_bridge"

_PROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "caduceus-bridge"
version = "1.0.0"
description = "Carries Caduceus frames between a coordinator and its sites; reads none of them."
license = "Apache-2.0"
dependencies = ["flwr=={flower}"]

[tool.hatch.build.targets.wheel]
packages = ["{package}"]

[tool.flwr.app]
publisher = "caduceus"

[tool.flwr.app.components]
serverapp = "{package}.server_app:app"
clientapp = "{package}.client_app:app"

[tool.flwr.app.config]
# The Unix socket on which the coordinator's process listens, as the ServerApp's machine names it.
hub-socket = {hub_socket}
# How long a visit waits at a site while there is traffic, and in quiet times.
wait-seconds = 0.4
quiet-wait-seconds = 5.0
# How long after the last frame a site counts as busy.
busy-seconds = 30.0
# Bytes of frames per message.
letter-bytes = 67108864
"""


def write_app(folder: Path, *, hub_socket: Path | None = None) -> Path:
    """Write the Flower App: a pyproject.toml and the bridge's package.

    folder      written to; created if need be. Files of an earlier version are replaced
    hub_socket  the default of `hub-socket`; None leaves it to `flwr run --run-config`
    returns     `folder`

    Raises Refused if `folder` holds something that is not this app.
    """
    project = folder / "pyproject.toml"
    if project.exists() and "caduceus-bridge" not in project.read_text():
        raise Refused(f"{folder}: holds another project; choose an empty folder")
    package = folder / PACKAGE
    package.mkdir(parents=True, exist_ok=True)
    for source in importlib.resources.files("caduceus.edges.flower.bridge").iterdir():
        if source.name.endswith(".py"):
            (package / source.name).write_bytes(source.read_bytes())
    # a JSON string of plain text is a TOML string too
    place = json.dumps("" if hub_socket is None else str(hub_socket), ensure_ascii=False)
    project.write_text(_PROJECT.format(flower=FLOWER, package=PACKAGE, hub_socket=place))
    return folder
