"""What a round of secure aggregation costs: processor time of all parties in one process, and bytes per site.

    python bench/secagg.py [--large]

Rows are (sites, entries, ring, sites that vanish after sharing). The first round also makes the agreements of enrolled
keys, which a site keeps for its job; "next rounds" is the best of those after it. Sums are checked against plain
ones. `--large` adds 200 and 466 sites. Writes bench/results/secagg.json.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))  # where rounds are played

from adversary import Play, a_session  # noqa: E402
from caduceus import canon  # noqa: E402
from caduceus.protocol.secagg_replay import replay  # noqa: E402
from caduceus.protocol.secagg_server import Phase  # noqa: E402
from instruments.record import keep, provenance  # noqa: E402

ROWS = ((10, 100, 64, 0), (10, 100, 64, 1), (49, 8_000, 64, 0), (49, 8_000, 64, 5), (10, 1_000_000, 32, 1))
LARGE = ((200, 1_000, 64, 10), (466, 1_000, 64, 20))
ROUNDS = 3

Row = dict[str, float | int]


def measure(sites: int, length: int, bits: int, gone: int, rounds: int) -> Row:
    """Play some rounds with the same sites, and one replay."""
    took: list[float] = []
    for number in range(rounds):
        session = a_session(sites, length=length, bits=bits, round=number)
        play = Play(session, silent={Phase.UPLOAD: frozenset(range(gone))})
        started = time.process_time()
        total = play.run()
        took.append(time.process_time() - started)
        assert total.tolist() == play.plain_sum(range(gone, sites)), "the secure sum is not the plain sum"
    uploads, exchange = play.server.uploads(), play.server.exchange()
    started = time.process_time()
    assert replay(exchange, uploads.__getitem__).tolist() == total.tolist(), "the replay gives another sum"
    replayed = time.process_time() - started
    watched = sites - 1
    return {
        "sites": sites,
        "entries": length,
        "bits": bits,
        "vanished": gone,
        "first round, CPU s": round(took[0], 4),
        "next rounds, CPU s": round(min(took[1:], default=took[0]), 4),
        "replay, CPU s": round(replayed, 4),
        "up per site, bytes": sum(len(body) for _, seat, body in play.heard if seat == watched),
        "down per site, bytes": sum(len(body) for _, seat, body in play.told if seat == watched),
        "exchange, bytes": len(canon.pack(exchange)),
        "peak memory of all, MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, show, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", action="store_true", help="also 200 and 466 sites: a minute and a gigabyte")
    large = parser.parse_args(arguments).large
    measure(4, 10, 64, 0, 1)  # imports and first calls
    rows = [measure(*row, ROUNDS) for row in ROWS] + [measure(*row, 1) for row in LARGE if large]
    for name in rows[0]:
        print(f"{name:24}", *(f"{row[name]:>12,}" for row in rows))
    keep("secagg", {**provenance(seed="every key is derived from its owner's seat"), "rows": rows})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
