"""A network's first things without a chain: kits from FLARE's provisioner, and a file that says where contracts are."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from caduceus import canon
from caduceus.edges.gateway import Deployment
from caduceus.kinds import Address
from caduceus.wiring.cluster.chain import free_port
from caduceus.wiring.node.setting import ChainSetting, DataSetting, Setting

HUB = Address(b"\x11" * 20)


@dataclass(frozen=True, slots=True)
class Kits:
    """Kits of a server, of a site `east` and of a buyer `pharma`, and a deployment file that no chain has."""

    folder: Path

    def kit(self, name: str) -> Path:
        return self.folder / "authority" / "kits" / name

    @property
    def chain(self) -> ChainSetting:
        return ChainSetting("http://127.0.0.1:9", self.folder / "deployment")

    def site(self, federation: Path, root: Path | None = None) -> Setting:
        return Setting("East", "site", self.kit("east"), self.chain, HUB, DataSetting(federation, "East", root))

    def coordinator(self) -> Setting:
        return Setting("hub", "coordinator", self.kit("server"), self.chain)

    def buyer(self) -> Setting:
        return Setting("pharma", "buyer", self.kit("pharma"), self.chain, HUB)

    def copied(self, folder: Path) -> Kits:
        return Kits(Path(shutil.copytree(self.folder, folder)))


def make_kits(folder: Path) -> Kits:
    """Three keys of RSA: half a second. Skips where the engine's packages are not installed."""
    pytest.importorskip("nvflare")
    from caduceus.edges.flare.provision import Party, Server, provision

    server = Server("localhost", free_port(), "net")
    provision(folder / "authority", "caduceus", server, [Party("east", "East"), Party("pharma", "Pharma")])
    places = [Address(bytes([number]) * 20) for number in range(1, 8)]
    (folder / "deployment").write_bytes(canon.pack(Deployment(1337, 0, *places)))
    return Kits(folder)
