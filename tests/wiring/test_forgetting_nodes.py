"""A site of a network forgets a patient between two runs of its process, and offers the next version by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from node_town import NodeTown, node_town, until

from caduceus.edges.private import known_tokens, load
from caduceus.errors import Refused
from caduceus.market.ledger import DatasetEntry
from caduceus.wiring.openings import find_place, forget_patient, write_letter
from small_federation import write_small


@pytest.fixture
def town(tmp_path: Path) -> Iterator[NodeTown]:
    with node_town(tmp_path / "town", write_small(tmp_path / "files")) as town:
        yield town


def offered(town: NodeTown) -> list[DatasetEntry]:
    account = town.account("North")
    return [one for one in town.network.chain.datasets() if one.steward == account]


def test_a_node_forgets_while_it_is_stopped_and_supersedes_its_data_set_when_it_starts(town):
    town.start("North")
    until(lambda: offered(town))
    with pytest.raises(Refused, match="its process runs"):
        forget_patient(find_place(town.place("North"), None, None), "N3")
    town.stop("North")
    (first,) = offered(town)
    place = find_place(town.place("North"), None, None)
    assert len(write_letter(place, "N3").statements) == 1
    done = forget_patient(place, "N3")
    assert (done.old, done.is_in_table) == (first.commitment, True)
    with pytest.raises(Refused, match="commits to other records"):
        town.start("North")
    source = town.small.csv("North")
    source.write_text("".join(line for line in source.open() if not line.startswith("N3,")))
    town.start("North")
    until(lambda: len(offered(town)) == 2)
    town.stop("North")
    older, newer = offered(town)
    assert (older.id, older.active) == (first.id, False)
    assert (newer.previous, newer.active) == (first.id, True)
    assert newer.commitment == load(place.openings).root == done.new
    assert not known_tokens(place.openings, ("N3",))
    assert len(write_letter(find_place(town.place("North"), None, None), "N4").statements) == 2
