"""How long it takes to say what is behind a model: all data set versions of a job of 1,000 rounds.

    python bench/provenance.py [--rounds 1000] [--sites 4] [--run DIR]

A whole job is played first, by every party, on the embedded chain: its transcript is a real one (minutes; --run keeps
it, and takes one that was kept). Then the question is asked in this process, from cold objects each time: with what the
answer rests on, with every file of transcript and chain, and beside both by a naive walk that reads every blob that a
round names and unpacks it. No index is kept between questions. Writes bench/results/provenance.json.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from instruments.record import ROOT, keep, load, provenance, show

sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "stories")]  # the small job that is played

import small_job  # noqa: E402

from caduceus import canon  # noqa: E402
from caduceus.edges.store import FolderStore  # noqa: E402
from caduceus.edges.workspace import Workspace  # noqa: E402
from caduceus.learn.state import State  # noqa: E402
from caduceus.protocol.provenance import Lineage  # noqa: E402
from caduceus.protocol.round_record import read_record  # noqa: E402
from caduceus.protocol.secagg_exchange import Exchange  # noqa: E402
from caduceus.wiring.play import play  # noqa: E402
from caduceus.wiring.provenance import provenance_of  # noqa: E402
from caduceus.wiring.recall import look_at  # noqa: E402

JOB = (
    small_job.JOB[: small_job.JOB.index("[model]")]
    + """[model]
kind = "mlp"
hidden = []
rounds = {rounds}
rate = 0.5
clip = 2.0

[evaluation]
method = "none"

"""
    + small_job.JOB[small_job.JOB.index("[sites]") :]
)
REPEATS = 5


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, show, write; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1000, help="of averaging, besides the one for moments")
    parser.add_argument("--sites", type=int, default=4, choices=(3, 4))
    parser.add_argument("--run", type=Path, help="a folder for the run, kept; played only if it is absent")
    asked = parser.parse_args(arguments)
    about = provenance(seed=1) | {"load": load()}
    with tempfile.TemporaryDirectory() as folder:
        root = asked.run or Path(folder) / "run"
        if not root.exists():
            order = small_job.write(Path(folder) / "asked", small_job.FOUR[: asked.sites], job=_job(asked.rounds))
            play(Workspace(root), order, small_job.Onlooker())
        measured = measure(Workspace(root))
    report(measured)
    keep("provenance", about | measured)
    return 0


def _job(rounds: int) -> str:
    return JOB.format(rounds=rounds)


def measure(run: Workspace) -> dict[str, object]:
    """Every way of asking, in turn."""
    model, transcript = str(run.models / "small.json"), run.root / "transcript"
    ask = lambda whole: provenance_of(model, transcript, chain=run.chain, url=None, whole=whole)  # noqa: E731
    (lineage,) = ask(False).lineages
    files = [path for path in transcript.rglob("*") if path.is_file()]
    return {
        "rounds": len(lineage.steps),
        "data sets": len(lineage.sources),
        "blobs": len(files),
        "transcript_bytes": sum(path.stat().st_size for path in files),
        "chain_bytes": run.chain.stat().st_size,
        "seconds": {
            "the answer, and what it rests on": _timed(lambda: ask(False)),
            "the answer, and every file": _timed(lambda: ask(True)),
            "naive: every blob of every round": _timed(lambda: naive(run, lineage)),
        },
    }


def naive(run: Workspace, lineage: Lineage) -> list[tuple[int, ...]]:
    """Who is in which round, by somebody who reads everything that a round names."""
    store, found = FolderStore(run.blobs), []
    with look_at(run, None) as network:
        for anchor in network.chain.anchors(lineage.entry.id):
            record = read_record(anchor, lineage.entry.id, store.get)
            canon.unpack(State, store.get(record.before))
            canon.unpack(State, store.get(record.after))
            canon.unpack(Exchange, store.get(record.exchange))
            store.get(record.setup)
            for upload in record.uploads:
                if upload is not None:
                    store.get(upload)
            found.append(record.survivors)
    return found


def _timed(act: Callable[[], object]) -> dict[str, float]:
    """The best of a few, wall and processor seconds."""
    wall, processor = [], []
    for _ in range(REPEATS):
        start, begun = time.perf_counter(), time.process_time()
        act()
        wall.append(time.perf_counter() - start)
        processor.append(time.process_time() - begun)
    return {"wall": min(wall), "processor": min(processor)}


def report(measured: dict[str, object]) -> None:
    """A row per way of asking."""
    seconds: dict[str, dict[str, float]] = measured["seconds"]  # type: ignore[assignment]
    title = f"{measured['data sets']} data sets, {measured['rounds']} rounds, {measured['blobs']} files"
    rows = [[name, f"{one['wall']:.3f}", f"{one['processor']:.3f}"] for name, one in seconds.items()]
    show(title, ["", "wall s", "processor s"], rows)


if __name__ == "__main__":
    sys.exit(main())
