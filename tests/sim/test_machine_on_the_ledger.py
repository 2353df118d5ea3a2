"""The contracts' own random histories, driven on the contracts and on the ledger at once."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "contracts"))

import pytest
from test_machine import drive
from twin import TwinWorld

from thorough import tries


@pytest.mark.slow
def test_the_contracts_their_model_and_the_ledger_never_part() -> None:
    drive(TwinWorld(), tries(20, 6))
