"""A role that ends by itself takes FLARE's process with it, so that whoever watches the process starts it again."""

from __future__ import annotations

import pytest

pytest.importorskip("nvflare")

from flare_federation import Federation, free_port

from caduceus.edges.flare.component import BUG
from caduceus.edges.flare.policy import equip
from caduceus.edges.flare.provision import Party, Server, provision

pytestmark = pytest.mark.slow


def test_a_role_that_ends_by_itself_is_stopped_and_the_process_ends_with_it() -> None:
    made = Federation()
    try:
        server = Server("localhost", free_port(), "coordinators")
        made.add(provision(made.folder / "authority", "trial", server, [Party("north", "hospital_1")]))
        process = made["server"]
        process.home.mkdir(parents=True)
        equip(process.kit, entry="flare_tired:tired", folder=process.home)
        process.launch()
        assert process.process is not None
        assert process.process.wait(90) == BUG
        assert "the role flare_tired:tired ended by itself" in process.output()
        assert (process.home / "stopped").exists()
    finally:
        made.close()
