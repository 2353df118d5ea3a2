"""The app that is written for Flower, and the deployment's commands."""

from __future__ import annotations

import ast
import datetime
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_ssh_private_key, load_ssh_public_key
from cryptography.x509.verification import PolicyBuilder, Store

import caduceus.edges.flower.bridge
from caduceus.edges.flower.app import FLOWER, PACKAGE, write_app
from caduceus.edges.flower.credentials import Credentials, write_trial_credentials
from caduceus.edges.flower.deployment import BRISK, QUIET, Deployment
from caduceus.errors import Refused
from edges.flower.supervised import flower_python

BRIDGE = Path(caduceus.edges.flower.bridge.__file__).parent
NOW = datetime.datetime.now(datetime.UTC)


@pytest.fixture(scope="module")
def credentials(tmp_path_factory: pytest.TempPathFactory) -> Credentials:
    return write_trial_credentials(tmp_path_factory.mktemp("keys"), sites=2, now=NOW)


def deployment(place: Path, credentials: Credentials, *, sites: int = 2, resident: bool = True) -> Deployment:
    (place / "bin").mkdir(exist_ok=True)
    (place / "bin" / "flower-superlink").touch()
    return Deployment(
        python=place / "bin" / "python",
        folder=place / "flower",
        credentials=credentials,
        port=9000,
        hub_socket=place / "hub",
        site_sockets=[place / str(index) for index in range(sites)],
        site_ports=[9001 + index for index in range(sites)],
        resident=resident,
    )


@pytest.mark.parametrize("source", sorted(BRIDGE.glob("*.py")), ids=lambda path: path.name)
def test_the_bridge_imports_only_the_standard_library_and_flower(source: Path) -> None:
    allowed = sys.stdlib_module_names | {"flwr"} | ({"httpx"} if source.name == "resident.py" else set())
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            assert {alias.name.split(".")[0] for alias in node.names} <= allowed
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            assert (node.module or "").split(".")[0] in allowed
        if isinstance(node, ast.ImportFrom):
            assert node.level <= 1


def test_the_app_holds_the_bridge_and_names_the_socket(tmp_path: Path) -> None:
    awkward = Path('/run/a "quoted" place/hub.sock')
    write_app(tmp_path / "app", hub_socket=awkward)
    project = tomllib.loads((tmp_path / "app" / "pyproject.toml").read_text())
    assert project["tool"]["flwr"]["app"]["config"]["hub-socket"] == str(awkward)
    assert project["project"]["dependencies"] == [f"flwr=={FLOWER}"]
    written = {path.name: path.read_bytes() for path in (tmp_path / "app" / PACKAGE).iterdir()}
    assert written == {path.name: path.read_bytes() for path in BRIDGE.glob("*.py")}
    for component in project["tool"]["flwr"]["app"]["components"].values():
        module, name = component.split(":")
        source = (tmp_path / "app" / (module.replace(".", "/") + ".py")).read_text()
        assert f"\n{name} = " in source


def test_an_older_app_is_replaced_and_a_strangers_project_is_not(tmp_path: Path) -> None:
    write_app(tmp_path / "app")
    (tmp_path / "app" / PACKAGE / "wire.py").write_text("old")
    write_app(tmp_path / "app")
    assert (tmp_path / "app" / PACKAGE / "wire.py").read_bytes() == (BRIDGE / "wire.py").read_bytes()
    (tmp_path / "app" / "pyproject.toml").write_text('[project]\nname = "other"\n')
    with pytest.raises(Refused, match="holds another project"):
        write_app(tmp_path / "app")


def test_every_setting_that_the_server_app_reads_is_in_the_app(tmp_path: Path) -> None:
    project = tomllib.loads((write_app(tmp_path / "app") / "pyproject.toml").read_text())
    read = {
        node.slice.value
        for node in ast.walk(ast.parse((BRIDGE / "server_app.py").read_text()))
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant)
    }
    assert read == set(project["tool"]["flwr"]["app"]["config"])


def test_the_trial_certificate_is_good_for_loopback_and_for_nothing_else(credentials: Credentials) -> None:
    authority = x509.load_pem_x509_certificate(credentials.authority.read_bytes())
    server = x509.load_pem_x509_certificate(credentials.certificate.read_bytes())
    builder = PolicyBuilder().store(Store([authority])).time(NOW)
    builder.build_server_verifier(x509.DNSName("localhost")).verify(server, [])
    with pytest.raises(x509.verification.VerificationError):
        builder.build_server_verifier(x509.DNSName("example.org")).verify(server, [])
    for secret in (credentials.key, credentials.secret, *credentials.node_keys):
        assert secret.stat().st_mode & 0o077 == 0


def test_node_keys_are_pairs_and_differ(credentials: Credentials) -> None:
    publics = []
    for path in credentials.node_keys:
        private = load_ssh_private_key(path.read_bytes(), None)
        publics.append(load_ssh_public_key(path.with_suffix(".pub").read_bytes()))
        assert private.public_key() == publics[-1]
    assert publics[0] != publics[1]


def test_every_process_of_a_deployment_is_quiet_and_over_tls(tmp_path: Path, credentials: Credentials) -> None:
    processes = deployment(tmp_path, credentials).processes()
    names = [process.name for process in processes]
    assert names == [
        *("superlink", "register-0", "register-1"),
        *("supernode-0", "runner-0", "supernode-1", "runner-1", "run"),
    ]
    for process in processes:
        assert QUIET.items() <= process.env.items()
        assert str(tmp_path / "flower") in process.env["FLWR_HOME"]
        assert "--insecure" not in process.argv
    assert "--enable-supernode-auth" in processes[0].argv


def test_without_the_resident_runner_the_supernode_starts_flowers_own(tmp_path: Path, credentials: Credentials) -> None:
    stock = deployment(tmp_path, credentials, resident=False)
    assert stock.runner(0) is None
    assert "subprocess" in stock.supernode(0).argv
    assert BRISK.items() <= stock.supernode(0).env.items()
    assert not BRISK.keys() & stock.superlink().env.keys()
    assert "process" in deployment(tmp_path, credentials).supernode(0).argv


def test_a_deployment_without_flower_or_with_a_key_missing_is_refused(tmp_path: Path, credentials: Credentials) -> None:
    with pytest.raises(Refused, match="one socket, one port and one key per site"):
        deployment(tmp_path, credentials, sites=3)
    (tmp_path / "bin" / "flower-superlink").unlink()
    with pytest.raises(Refused, match="pip install flwr"):
        Deployment(tmp_path / "bin" / "python", tmp_path, credentials, 9000, tmp_path, [], [])


def test_flower_builds_the_app(tmp_path: Path) -> None:
    python = flower_python()
    app = write_app(tmp_path / "app", hub_socket=tmp_path / "hub")
    subprocess.run(
        [python.parent / "flwr", "build", "--app", app],
        env={**QUIET, "FLWR_HOME": str(tmp_path), "HOME": str(tmp_path), "PATH": str(python.parent)},
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    assert len(list(tmp_path.glob("*.fab"))) == 1
