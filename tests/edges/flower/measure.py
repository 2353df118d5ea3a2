"""Measure round trips through a real Flower deployment on loopback; prints a table and writes JSON.

Usage: CADUCEUS_FLOWER_PYTHON=F/bin/python PYTHONPATH=tests python -m edges.flower.measure OUT.json [SITES] [own]
`own` takes Flower's runner in place of the resident one.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

from caduceus.edges.flower.hub import FlowerHub
from caduceus.edges.flower.site import FlowerSite
from edges.flower.office import Gathered
from edges.flower.supervised import Supervised, flower_python

SIZES = ((200, 7), (8 << 20, 3), (100 << 20, 1))


def round_trip(hub: FlowerHub, arrived: Gathered, peer: str, size: int) -> float:
    """Seconds until a frame that the site sends back is here."""
    frame = os.urandom(size)
    before, began = len(arrived.items), time.monotonic()
    hub.post(peer, frame)
    if arrived.expect(before + 1, within=300)[-1] != (peer, frame):
        raise AssertionError("another frame came back")
    return time.monotonic() - began


def main() -> None:
    """Start everything, measure, stop everything."""
    out, sites = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 3
    with tempfile.TemporaryDirectory() as folder:
        place, arrived, parties = Path(folder), Gathered(), []
        flower = Supervised(place, sites, resident="own" not in sys.argv, python=flower_python())
        hub = FlowerHub(place / "hub", arrived)
        began = time.monotonic()
        try:
            for index in range(sites):
                site = FlowerSite(place / str(index), lambda frame, index=index: parties[index].post(frame))
                parties.append(site)
                site.post(b"hello")
            flower.start_all()
            arrived.expect(sites, within=300)
            rows = [{"what": "from nothing to all sites up", "seconds": [round(time.monotonic() - began, 1)]}]
            peer = min(hub.peers())
            for size, times in SIZES:
                trips = [round(round_trip(hub, arrived, peer, size), 2) for _ in range(times)]
                rows.append({"what": f"{size} bytes there and back", "seconds": trips})
            load = os.getloadavg()[0]
        finally:
            flower.stop()
            for party in parties:
                party.close()
            hub.close()
    for row in rows:
        ordered = sorted(row["seconds"])
        print(f"{row['what']:32} median {ordered[len(ordered) // 2]:6.2f} s, best {ordered[0]:.2f} s")
    machine = {"python": platform.python_version(), "cores": os.cpu_count(), "load": round(load, 1)}
    out.write_text(json.dumps({"sites": sites, "resident": "own" not in sys.argv, **machine, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
