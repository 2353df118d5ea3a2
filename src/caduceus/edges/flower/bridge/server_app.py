"""The ServerApp: Flower starts it once per run, and it stays."""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

from flwr.serverapp import ServerApp
from flwr.supercore.inflatable.inflatable_utils import pull_objects

from .exchange import Exchange
from .lanes import Pace
from .mail import GridPost

_PULLS = {"initial_backoff": 0.05, "backoff_cap": 0.5, "max_time": 300.0, "max_tries_per_object": None}


def note(line: str) -> None:
    """Say it where Flower collects an app's output."""
    print(f"caduceus bridge: {line}", file=sys.stderr, flush=True)  # noqa: T201


def shorten_pulls() -> None:
    """Let Flower fetch a reply's parts without its long pauses, and give up on parts that never come.

    A reply can be fetched before the SuperNode has uploaded all of it. Flower then sleeps one second, two, four,
    up to ten, for two hours; a SuperNode that died meanwhile would hold up everybody for as long. Flower has no
    setting for it, only default arguments, which are changed in this process.
    """
    defaults = pull_objects.__kwdefaults__
    if not defaults or not _PULLS.keys() <= defaults.keys():
        note("this flwr fetches replies in another way; they may take seconds longer")
        return
    defaults.update(_PULLS)


def main(grid: Any, context: Any) -> None:
    """Carry frames between the coordinator's process and the sites until Flower stops the run."""
    shorten_pulls()
    settings = context.run_config
    path = os.environ.get("CADUCEUS_FLOWER_HUB_SOCKET") or str(settings["hub-socket"])
    if not path:
        raise ValueError("no hub-socket: flwr run ... --run-config 'hub-socket=\"/run/caduceus/hub.sock\"'")
    pace = Pace(
        wait=float(settings["wait-seconds"]),
        quiet_wait=float(settings["quiet-wait-seconds"]),
        busy=float(settings["busy-seconds"]),
        limit=int(settings["letter-bytes"]),
    )
    note(f"starting; the coordinator's process is expected at {path}")
    Exchange(GridPost(grid), path, pace, note).run(threading.Event())


app = ServerApp()
app.main()(main)
