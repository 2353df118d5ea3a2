"""What transactions cost is written down, stays within the limits, and does not drift unseen."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from thorough import IS_THOROUGH


@pytest.fixture(scope="module")
def gas() -> ModuleType:
    """bench/gas.py."""
    spec = importlib.util.spec_from_file_location("bench_gas", Path(__file__).parents[2] / "bench" / "gas.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_committed_figures_keep_the_promised_limits(gas: ModuleType) -> None:
    table = gas.committed()
    anchors = {table[f"Jobs.anchor, {when}, {sites} sites"] for when in ("first", "later") for sites in (4, 466)}
    assert max(anchors) <= 35_000
    for when in ("first", "later"):
        small, large = (table[f"Jobs.anchor, {when}, {sites} sites"] for sites in (4, 466))
        assert abs(small - large) <= 100, "digests differ by the zero bytes that they happen to hold, 12 gas each"
    assert table["Datasets.register, later"] <= 125_000
    assert table["Datasets.supersede, with a budget"] <= 125_000
    assert max(table[f"Datasets.stateReadiness, {when}"] for when in ("first", "later")) <= 32_000
    assert table["Statuses.publish, later"] <= 35_000
    assert table["Jobs.openAndFund"] <= 147_000
    assert table["Jobs.enrol, private"] <= table["Jobs.enrol, first, 4 sites"] + 36_000
    assert table["Jobs.releaseBudget, of forty sums"] <= 65_000
    assert table["Jobs.slashEquivocation, 4 sites"] <= 75_000
    assert table["Jobs.recordStanding, later, 4 sites"] <= 65_000
    assert table["Jobs.enrol, vouched, 4 sites"] <= table["Jobs.enrol, later, 4 sites"] + 30_000
    assert table["Jobs.settle, one seat slashed, 4 sites"] <= table["Jobs.settle, 4 sites"] + 30_000


def test_the_figures_for_a_small_roster_are_the_committed_ones(gas: ModuleType) -> None:
    known = {what: cost for what, cost in gas.committed().items() if "466 sites" not in what}
    assert gas.differences(gas.measure([4]), known) == []


@pytest.mark.slow
@pytest.mark.skipif(not IS_THOROUGH, reason="466 sites take minutes: CADUCEUS_THOROUGH=1, or bench/gas.py --check")
def test_the_figures_for_every_roster_are_the_committed_ones(gas: ModuleType) -> None:
    assert gas.differences(gas.measure(gas.ROSTERS), gas.committed()) == []


def test_a_figure_that_moved_by_more_than_a_twentieth_is_named(gas: ModuleType) -> None:
    known = {"steady": 1000, "cheaper": 1000, "dearer": 1000, "gone": 1}
    table = {"steady": 1050, "cheaper": 949, "dearer": 1051, "new": 1}
    assert gas.differences(table, known) == [
        "cheaper: 1000 before, 949 now",
        "dearer: 1000 before, 1051 now",
        "gone: gone",
        "new: new, 1",
    ]
