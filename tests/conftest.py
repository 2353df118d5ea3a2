"""What tests of several layers need."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from command import Ran, caduceus
from small_federation import Small, write_small


@pytest.fixture(scope="session")
def clinical_data() -> Path:
    """The folder of the shared clinical data sets; use it with the marker `data`."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("CADUCEUS_DATA") or beside)
    if not (folder / "uci_heart_disease").is_dir():
        pytest.skip(f"no clinical data: {folder} has no uci_heart_disease; set CADUCEUS_DATA")
    return folder


@pytest.fixture(scope="session")
def demo_run(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The demo, as a newcomer runs it; once for all workers. The run is in `runs/demo` of its folder."""
    return _once("demo", tmp_path_factory, lambda folder: caduceus("demo", at=folder))


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Small, Ran]:
    """The job of the three small hospitals; once for all workers. The run is in `run` of its folder."""

    def make(folder: Path) -> Ran:
        small = write_small(folder / "files")
        return caduceus("run", small.job, small.federation, "--out", "run", at=folder)

    ran = _once("small", tmp_path_factory, make)
    return Small(ran.folder / "files"), ran


def _once(name: str, factory: pytest.TempPathFactory, make: Callable[[Path], Ran]) -> Ran:
    """Let the first worker make it; the others wait and read what it said."""
    base = factory.getbasetemp()
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    folder, said = shared / name, shared / f"{name}.said"
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not said.exists():
            folder.mkdir()
            ran = make(folder)
            said.write_text("\0".join((str(ran.code), ran.out, ran.err)))
    code, out, err = said.read_text().split("\0")
    return Ran(folder, int(code), out, err)
