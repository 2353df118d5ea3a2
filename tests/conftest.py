"""What tests of several layers need."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def clinical_data() -> Path:
    """The folder of the shared clinical data sets; use it with the marker `data`."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("CADUCEUS_DATA") or beside)
    if not (folder / "uci_heart_disease").is_dir():
        pytest.skip(f"no clinical data: {folder} has no uci_heart_disease; set CADUCEUS_DATA")
    return folder
