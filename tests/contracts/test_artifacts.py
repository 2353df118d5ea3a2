"""What is committed is what the sources compile to."""

from __future__ import annotations

import json
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest
from hostile import ARTIFACTS

from caduceus import contracts
from caduceus.errors import Misuse

HOME = Path(__file__).parents[2] / "contracts"
SHIPPED = Path(contracts.__file__).parent / "artifacts"
COMMITTED = [*sorted(SHIPPED.glob("*.json")), *sorted(ARTIFACTS.glob("*.json"))]


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_an_artifact_comes_from_the_committed_sources(path: Path) -> None:
    sources = json.loads(path.read_text())["sources"]
    own = {name: digest for name, digest in sources.items() if not name.startswith("@")}
    assert own
    assert own == {name: sha256((HOME / name).read_bytes()).hexdigest() for name in own}


def test_every_source_is_in_some_artifact() -> None:
    used = {name for path in COMMITTED for name in json.loads(path.read_text())["sources"]}
    written = {f"{folder}/{path.name}" for folder in ("src", "test") for path in (HOME / folder).glob("*.sol")}
    assert written <= used


def test_the_compiler_and_its_settings_are_the_pinned_ones() -> None:
    pinned = json.loads((HOME / "package.json").read_text())["devDependencies"]
    locked = json.loads((HOME / "package-lock.json").read_text())["packages"]
    for name in contracts.NAMES:
        artifact = contracts.load(name)
        assert artifact.compiler.partition("+")[0] == pinned["solc"]
        assert artifact.settings["viaIR"] is True
        assert artifact.settings["optimizer"] == {"enabled": True, "runs": 200}
    for name, version in pinned.items():
        assert locked[f"node_modules/{name}"]["version"] == version


def test_contracts_fit_into_the_size_that_chains_allow() -> None:
    for name in contracts.NAMES:
        assert 0 < len(contracts.load(name).deployed) <= 24_576


def test_there_is_no_artifact_of_any_other_name() -> None:
    with pytest.raises(Misuse, match="Owner"):
        contracts.load("Owner")
    assert sorted(path.stem for path in SHIPPED.glob("*.json")) == sorted(contracts.NAMES)


def test_code_matches_whatever_its_immutable_values_are_and_nothing_else() -> None:
    artifact = contracts.load("Jobs")
    code = bytearray(artifact.deployed)
    start, length = artifact.immutables[0]
    code[start : start + length] = b"\x11" * length
    assert artifact.matches(bytes(code))
    code[start - 1] ^= 1
    assert not artifact.matches(bytes(code))
    assert not artifact.matches(artifact.deployed[:-1])
    assert not artifact.matches(b"")


@pytest.mark.node
def test_a_fresh_build_gives_the_committed_bytes(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None or not (HOME / "node_modules" / "solc").is_dir():
        pytest.skip("the compiler is not installed: it needs node and `npm install` in contracts/")
    subprocess.run([node, "build.mjs", "--out", str(tmp_path)], cwd=HOME, check=True, timeout=300)
    for folder, committed in (("src", SHIPPED), ("test", ARTIFACTS)):
        built = {path.name: path.read_bytes() for path in (tmp_path / folder).iterdir()}
        assert built == {path.name: path.read_bytes() for path in committed.glob("*.json")}
