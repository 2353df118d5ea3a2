"""A job sent through FLARE's console runs where FLARE's own policy stands, and not at a site with ours."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("nvflare")

from flare_federation import Federation, Process, free_port, until
from nvflare.fuel.flare_api.flare_api import Session, new_secure_session

from caduceus.edges.flare.provision import Party, Server, provision

pytestmark = pytest.mark.slow

ADMINISTRATOR = "admin@coordinators.org"


def _as_shipped(process: Process, *, beside: bool) -> None:
    """Give a kit the policy that FLARE ships: jobs are stored, scheduled and launched, the administrator may do all."""
    local = process.kit / "local"
    shipped: dict[str, Any] = json.loads((local / "resources.json.default").read_text())
    if beside:
        shipped["components"] += json.loads((local / "resources.json").read_text())["components"]
    for component in shipped["components"]:
        if component["id"] == "job_manager":
            component["args"]["uri_root"] = str(process.kit / "jobs")
            shipped["snapshot_persistor"]["args"]["storage"]["args"]["root_dir"] = str(process.kit / "snapshots")
    (local / "resources.json").write_text(json.dumps(shipped))
    for name in ("authorization.json", "log_config.json"):
        shutil.copy(local / f"{name}.default", local / name)


@pytest.fixture
def federation() -> Iterator[tuple[Federation, Session]]:
    """A server that runs jobs, a site with our policy, a site with FLARE's, and an administrator at the console."""
    made = Federation()
    try:
        kits = provision(
            made.folder / "authority",
            "trial",
            Server("localhost", free_port(), "coordinators"),
            [Party("ours", "hospital_1"), Party("shipped", "hospital_2")],
            administrator=ADMINISTRATOR,
        )
        console = kits.pop(ADMINISTRATOR)
        made.add(kits)
        made["server"].equip("hub", console=True)
        _as_shipped(made["server"], beside=True)
        made["ours"].equip("spoke")
        _as_shipped(made["shipped"], beside=False)
        made["shipped"].home.mkdir(parents=True)
        for process in made.processes.values():
            process.launch()
        until(lambda: {"ours", "shipped"} <= made["server"].tell("peers"), "both sites connect")
        session = new_secure_session(ADMINISTRATOR, str(console), timeout=60.0)
        yield made, session
        session.close()
    finally:
        made.close()


def _job(folder: Path) -> Path:
    """One round of FLARE's example with numpy, at every site that takes it."""
    config = folder / "job" / "app" / "config"
    config.mkdir(parents=True)
    common = "nvflare.app_common"
    server = {
        "format_version": 2,
        "workflows": [
            {
                "id": "rounds",
                "path": f"{common}.workflows.scatter_and_gather.ScatterAndGather",
                "args": {
                    "min_clients": 1,
                    "num_rounds": 1,
                    "persistor_id": "model",
                    "shareable_generator_id": "generator",
                    "aggregator_id": "sum",
                },
            }
        ],
        "components": [
            {"id": "model", "path": f"{common}.np.np_model_persistor.NPModelPersistor"},
            {
                "id": "generator",
                "path": f"{common}.shareablegenerators.full_model_shareable_generator.FullModelShareableGenerator",
            },
            {
                "id": "sum",
                "path": f"{common}.aggregators.intime_accumulate_model_aggregator.InTimeAccumulateWeightedAggregator",
            },
        ],
    }
    client = {
        "format_version": 2,
        "executors": [{"tasks": ["train"], "executor": {"path": f"{common}.np.np_trainer.NPTrainer"}}],
    }
    meta = {"name": "job", "min_clients": 1, "resource_spec": {}, "deploy_map": {"app": ["@ALL"]}}
    for path, content in (
        (folder / "job" / "meta.json", meta),
        (config / "config_fed_server.json", server),
        (config / "config_fed_client.json", client),
    ):
        path.write_text(json.dumps(content))
    return folder / "job"


def test_an_administrators_job_runs_at_a_site_with_flares_policy_and_not_at_one_with_ours(
    federation: tuple[Federation, Session], tmp_path: Path
) -> None:
    made, session = federation
    job = session.submit_job(str(_job(tmp_path)))
    until(lambda: (made["shipped"].kit / job).is_dir(), "the other site takes the job")
    until(lambda: "refused admin:admin from server" in made["ours"].log(), "the site with our policy is asked")
    assert not (made["ours"].kit / job).exists()
    assert not list((made["ours"].kit).glob("**/config_fed_client.json"))
    assert made["server"].tell("peers") == {"ours", "shipped"}, "the administrator's console is no party"
    made["server"].tell("post", "ours", b"frames go on" * 20)
    assert made["ours"].tell("take", 10.0) == b"frames go on" * 20
