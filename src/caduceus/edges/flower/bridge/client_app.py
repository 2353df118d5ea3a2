"""The ClientApp: Flower starts it for every letter; it visits the site's party process and answers."""

from __future__ import annotations

import os
from typing import Any

from flwr.clientapp import ClientApp

from .mail import answer_message, letter_in
from .visit import visit


def site_socket(node_config: Any) -> str:
    """Where the site's party process listens: the site says so, never the hub."""
    path = os.environ.get("CADUCEUS_FLOWER_SITE_SOCKET") or str(node_config.get("caduceus-socket", ""))
    if not path:
        raise ValueError(
            "no caduceus-socket: flower-supernode --node-config 'caduceus-socket=\"/run/caduceus/site.sock\"'"
        )
    return path


def query(message: Any, context: Any) -> Any:
    """Answer one letter."""
    return answer_message(visit(site_socket(context.node_config), letter_in(message)), message)


app = ClientApp()
app.query("caduceus")(query)
