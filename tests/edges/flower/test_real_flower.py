"""The same over a real SuperLink with TLS, SuperNodes with keys, and Flower's own processes."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from caduceus.edges.flower.credentials import write_node_key
from caduceus.edges.flower.hub import FlowerHub
from caduceus.edges.flower.site import FlowerSite
from caduceus.errors import Unavailable
from edges.flower.office import Gathered
from edges.flower.supervised import Supervised, flower_python

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("flower")]

PATIENCE = 120.0  # seconds; Flower's processes take seconds to start, more on a busy machine


class Federation:
    """Two sites in this process, a third in its own, and a hub."""

    def __init__(self, place: Path, python: Path) -> None:
        self.at_hub = Gathered()
        self.at_site = [Gathered(), Gathered()]
        self.flower = Supervised(place, 3, resident=True, python=python)
        self.hub = FlowerHub(place / "hub", self.at_hub)
        self.sites = [FlowerSite(place / str(index), self.at_site[index].from_hub) for index in range(2)]
        self.party = self.start_party()
        self.pause = threading.Event()
        self.flower.start_all()
        for index, site in enumerate(self.sites):
            site.post(b"site %d" % index)
        named = {frame: peer for peer, frame in self.at_hub.expect(3, within=PATIENCE)}
        self.peers = [named[b"site 0"], named[b"site 1"], named[b"hello"]]

    def start_party(self) -> subprocess.Popen[bytes]:
        script = Path(__file__).parent / "echo_site.py"
        return subprocess.Popen([sys.executable, str(script), str(self.flower.place / "2")])

    def echoed(self, frame: bytes) -> None:
        """Post to the third site and wait until it comes back, whatever else it says meanwhile."""
        before = len(self.at_hub.items)
        self.hub.post(self.peers[2], frame)
        for count in range(before + 1, before + 10):
            if self.at_hub.expect(count, within=PATIENCE)[-1] == (self.peers[2], frame):
                return
        raise AssertionError("other frames came, but not this one")

    def close(self) -> None:
        self.flower.stop()
        self.party.kill()
        self.party.wait()
        self.hub.close()
        for site in self.sites:
            site.close()


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    federation = None
    place = tmp_path_factory.mktemp("f")
    python = flower_python()
    try:
        federation = Federation(place, python)
        yield federation
    finally:
        if federation is not None:
            federation.close()


def test_hub_and_three_sites_exchange_frames_both_ways_and_one_of_8_mb(federation: Federation) -> None:
    registered = {federation.flower.log(f"register-{index}") for index in range(3)}
    assert all(any(peer in log for log in registered) for peer in federation.peers)  # Flower's ids, per key
    large = os.urandom(8 << 20)
    before = len(federation.at_hub.items)
    for index in range(2):
        federation.hub.post(federation.peers[index], large)
        federation.hub.post(federation.peers[index], b"and a small one")
        federation.sites[index].post(large[::-1])
    federation.at_hub.expect(before + 2, within=PATIENCE)
    for index in range(2):
        down = [frame for _, frame in federation.at_site[index].expect(2, within=PATIENCE)]
        assert _sum(down[0]) == _sum(large)
        assert down[1] == b"and a small one"
        assert _sum(federation.at_hub.frames(federation.peers[index])[-1]) == _sum(large[::-1])
    federation.echoed(b"once around")


def test_a_supernode_with_a_key_that_nobody_registered_is_refused_with_a_reason(federation: Federation) -> None:
    flower = federation.flower
    node = flower.deployment.supernode(0)
    stranger = str(write_node_key(flower.place / "stranger"))
    argv = list(node.argv)
    argv[argv.index("--auth-supernode-private-key") + 1] = stranger
    argv[argv.index("--port") + 1] = "1"  # it never gets so far as to serve anybody
    refused = flower.start(replace(node, name="stranger", argv=tuple(argv)))
    assert refused.wait(PATIENCE) != 0
    assert "Failed to initialize the connection to the SuperLink" in flower.log("stranger")


def test_a_supernode_that_was_killed_comes_back_as_the_same_peer(federation: Federation) -> None:
    federation.flower.kill("supernode-2")
    federation.flower.keep(federation.flower.deployment.supernode(2), "SuperNode ID:")
    for _ in range(20):  # what the killed SuperNode held is lost: at most once
        frame = os.urandom(16)
        try:
            federation.hub.post(federation.peers[2], frame)
            federation.at_hub.expect(len(federation.at_hub.items) + 1, within=PATIENCE / 8)
        except Unavailable:
            federation.pause.wait(5)
            continue
        except AssertionError:
            continue
        assert federation.at_hub.items[-1][0] == federation.peers[2]
        return
    raise AssertionError(federation.flower.log("supernode-2")[-2000:])


def test_a_party_process_that_was_killed_comes_back(federation: Federation) -> None:
    before = len(federation.at_hub.items)
    federation.party.kill()
    federation.party.wait()
    federation.party = federation.start_party()
    assert federation.at_hub.expect(before + 1, within=PATIENCE)[-1] == (federation.peers[2], b"hello")
    federation.echoed(b"after the restart")


def test_flowers_own_runner_carries_frames_too(tmp_path_factory: pytest.TempPathFactory) -> None:
    place = tmp_path_factory.mktemp("g")
    flower = Supervised(place, 1, resident=False, python=flower_python())
    at_hub = Gathered()
    hub = FlowerHub(place / "hub", at_hub)
    site = FlowerSite(place / "0", lambda frame: site.post(frame))
    try:
        site.post(b"hello")
        flower.start_all()
        ((peer, _),) = at_hub.expect(1, within=PATIENCE)
        hub.post(peer, b"question")
        assert at_hub.expect(2, within=PATIENCE)[-1] == (peer, b"question")
    finally:
        flower.stop()
        site.close()
        hub.close()


def _sum(frame: bytes) -> str:
    return hashlib.sha256(frame).hexdigest()
