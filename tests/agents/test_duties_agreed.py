"""A site serves what it agreed to itself, whatever seats its chain's node shows it."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from test_duties import enrolling, looks
from town import Town

from caduceus.agents.duties import Happened
from caduceus.kinds import Stage
from caduceus.wiring.parties import COORDINATOR


def test_a_seat_that_the_site_did_not_take_is_not_served_and_one_that_it_took_is(tmp_path: Path) -> None:
    with ExitStack() as stack:
        town = Town(tmp_path, stack)
        job = enrolling(town, *town.names)
        steward = town.sites["Ash"].steward
        dataset = steward.dataset
        money = town.brief.spec.money
        steward.wallet.approve(town.network.deployment.token, money.stake)
        steward.wallet.enrol(job, dataset)  # the seat is there, and Ash's process knows nothing of it
        looks(town, "Birch")
        looks(town, "Cedar")
        town.coordinator._role.start(job)
        assert town.stage(job) is Stage.TRAINING, town.story()
        for name in town.names:
            looks(town, name)
        assert {who for who, event in town.heard if event.what is Happened.SERVING} == {"Birch", "Cedar"}
        (declined,) = town.told(Happened.DECLINED, "Ash")
        assert declined.why == "this site did not agree to this job"
        assert (COORDINATOR, f"declines: {declined.why}", True) in town.refusals
