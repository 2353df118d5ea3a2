"""A site's party process for tests: sends every frame back. Usage: python echo_site.py SOCKET."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from caduceus.edges.flower.site import FlowerSite

if __name__ == "__main__":
    site = FlowerSite(Path(sys.argv[1]), lambda frame: site.post(frame))
    site.post(b"hello")
    threading.Event().wait()
