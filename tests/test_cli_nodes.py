"""The commands of a network of organisations: what they teach, print and refuse; and a whole network by one command."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from anvil_node import AnvilNode, anvil, require_anvil  # noqa: F401  (a fixture)
from caduceus.cli import app
from caduceus.cli.exits import REFUSED, STOPPED, UNAVAILABLE
from caduceus.edges import keyring
from caduceus.edges.code import code_digest
from caduceus.edges.federation import example
from caduceus.edges.keystore import PASSPHRASE_FILE_VARIABLE, PASSPHRASE_VARIABLE
from caduceus.wiring.cluster.places import Places
from caduceus.wiring.node.file import read_node_file
from caduceus.wiring.node.setting import make_folder
from command import caduceus
from node_kits import HUB, Kits, make_kits
from small_federation import Small, write_small

COMMANDS = [
    ("network", "init"),
    ("network", "add"),
    ("network", "deploy"),
    ("network", "fund"),
    ("site", "check"),
    ("site", "init"),
    ("site", "start"),
    ("site", "allow"),
    ("coordinator", "init"),
    ("coordinator", "start"),
    ("buyer", "init"),
    ("buyer", "start"),
    ("buyer", "post"),
    ("cluster", "up"),
    ("log", "verify"),
    ("keys", "encrypt"),
    ("keys", "decrypt"),
    ("code",),
    ("status",),
]


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments])


def refused(*arguments: object, code: int = REFUSED) -> str:
    result = call(*arguments)
    assert result.exit_code == code, result.output
    return result.stderr.splitlines()[-1]


def plain(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture(autouse=True)
def nobody_says_a_passphrase(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (PASSPHRASE_VARIABLE, PASSPHRASE_FILE_VARIABLE):
        monkeypatch.setenv(name, "")  # so that it is put back, whatever a command sets
        monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def kits(tmp_path_factory: pytest.TempPathFactory) -> Kits:
    return make_kits(tmp_path_factory.mktemp("kits"))


@pytest.fixture
def small(tmp_path: Path) -> Small:
    return write_small(tmp_path / "files")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches_with_an_example(command):
    result = call(*command, "--help")
    assert result.exit_code == 0
    assert len(result.stdout.split()) > 40
    assert f"caduceus {' '.join(command)}" in plain(result.stdout).replace("Usage: root", "Usage: caduceus")
    assert re.search(rf"^ +caduceus {' '.join(command)}", result.stdout, re.MULTILINE)


# ---------------------------------------------------------------- founding and joining, with a real node


@pytest.mark.anvil
def test_a_network_is_founded_and_joined(anvil: AnvilNode, small, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    node = ("--node", anvil.url, "--deployment", "net/deployment")
    first = call("network", "init", "net", "--host", "localhost", "--parties", "east, pharma=Pharma_Inc")
    assert first.exit_code == 0, first.stderr
    for word in ("net/kits/east", "net/kits/pharma", "net/kits/server", "caduceus network deploy net"):
        assert word in plain(first.stdout)
    assert "holds a project already" in refused("network", "init", "net", "--host", "localhost", "--parties", "x1")

    deployed = call("network", "deploy", "net", "--node", anvil.url)
    assert deployed.exit_code == 0, deployed.stderr
    assert "Contracts deployed on" in deployed.stdout
    again = call("network", "deploy", "net", "--node", anvil.url)
    assert plain(again.stdout).replace("found", "deployed") == plain(deployed.stdout)

    hub = call("coordinator", "init", "hub", "--kit", "net/kits/server", *node)
    assert hub.exit_code == 0, hub.stderr
    account = re.search(r"--coordinator (0x[0-9a-f]{40})", hub.stdout)
    assert account is not None

    joined = call(
        *("site", "init", "east", "--kit", "net/kits/east", *node, "--coordinator", account[1]),
        *("--data-from", small.federation),
    )
    assert joined.exit_code == 0, joined.stderr
    found = read_node_file(Path("east"))
    assert (found.party.name, found.party.role, "0x" + found.hub.hex()) == ("East", "site", account[1])
    for word in ("45 rows of 'East'", f"{code_digest().hex()} is allowed", "holds 0 ether", "caduceus site start east"):
        assert word in joined.stdout

    told = call("buyer", "init", "me", "--kit", "net/kits/pharma", *node, "--coordinator", account[1])
    assert told.exit_code == 0, told.stderr
    funded = call("network", "fund", "net", account[1], "--node", anvil.url, "--tokens", "777")
    assert "holds 777 of the token and 1000 ether" in funded.stdout
    assert call("network", "add", "net", "south").exit_code == 0
    assert Path("net/kits/south/startup/client.crt").is_file()


@pytest.mark.anvil
def test_a_node_of_another_chain_is_refused_before_anything_is_written(anvil: AnvilNode, kits, small, tmp_path):  # noqa: F811
    line = refused(
        *("site", "init", tmp_path / "east", "--kit", kits.kit("east"), "--node", anvil.url),
        *("--deployment", kits.chain.deployment, "--coordinator", f"0x{HUB.hex()}", "--data-from", small.federation),
    )
    assert "another network's chain" in line
    assert not (tmp_path / "east").exists()


# ---------------------------------------------------------------- what is refused


def test_what_a_site_says_wrong_is_named_and_nothing_is_written(kits, small, tmp_path):
    def init(**changes: object) -> list[object]:
        said = {
            "--kit": kits.kit("east"),
            "--node": "http://127.0.0.1:9",
            "--deployment": kits.chain.deployment,
            "--coordinator": f"0x{HUB.hex()}",
            "--data-from": small.federation,
        } | {f"--{name.replace('_', '-')}": value for name, value in changes.items()}
        return ["site", "init", tmp_path / "east", *(one for pair in said.items() for one in pair)]

    assert "--coordinator: '0x12' is no account" in refused(*init(coordinator="0x12"))
    assert "--node: 'localhost:1' is no http or https URL" in refused(*init(node="localhost:1"))
    assert "nowhere: missing; it says where the contracts are" in refused(*init(deployment="nowhere"))
    assert "neither startup/fed_server.json" in refused(*init(kit=tmp_path))
    assert "server: is not the kit of a site" in refused(*init(kit=kits.kit("server"), site="East"))
    pharma = refused(*init(kit=kits.kit("pharma")))
    assert "federation.toml: no site is called as the kit, 'pharma'" in pharma
    assert "say --site NAME" in pharma
    assert "no site 'Est'; did you mean 'East'" in refused(*init(site="Est"))
    assert "no connection" in refused(*init(), code=UNAVAILABLE)
    small.csv("East").write_text("patient,age\n1,2\n")
    assert "east.csv" in refused(*init())
    assert not (tmp_path / "east").exists()


def test_a_folder_is_started_only_as_what_it_is(kits, tmp_path):
    make_folder(tmp_path / "me", kits.buyer())
    assert f"is the folder of a buyer; caduceus buyer start {tmp_path}/me" in refused("site", "start", tmp_path / "me")
    assert "node.toml: missing" in refused("coordinator", "start", tmp_path / "hub")
    assert "a buyer posts jobs" in refused_after_making_a_hub(kits, tmp_path)


def refused_after_making_a_hub(kits: Kits, tmp_path: Path) -> str:
    make_folder(tmp_path / "hub", kits.coordinator())
    return refused("buyer", "post", tmp_path / "hub", "breast")


def test_a_steward_allows_a_program_by_its_digest(kits, small, tmp_path):
    make_folder(tmp_path / "east", kits.site(small.federation))
    said = call("site", "allow", tmp_path / "east", "0x" + "07" * 32)
    assert "which is not the one installed here, is allowed from the site's next start on" in said.stdout
    here = call("code").stdout.split()[0]
    assert here == code_digest().hex()
    assert "was allowed already" in call("site", "allow", tmp_path / "east", here).stdout
    assert "DIGEST: 'abc' is no digest" in refused("site", "allow", tmp_path / "east", "abc")


def test_a_buyer_is_given_an_example_by_name(kits, tmp_path):
    make_folder(tmp_path / "me", kits.buyer())
    said = call("buyer", "post", tmp_path / "me", "breast/job-network.toml")
    assert f"{tmp_path}/me/models/breast-job-network.json" in said.stdout
    assert (tmp_path / "me/jobs/breast/job-network.toml").is_file()
    assert "no such job file" in refused("buyer", "post", tmp_path / "me", "breest")


def test_keys_are_put_under_a_passphrase_and_needed_to_start(kits, tmp_path):
    ring = make_folder(tmp_path / "me", kits.buyer()).ring
    assert "no passphrase: name a file" in refused("keys", "encrypt", tmp_path / "me")
    secret = tmp_path / "secret"
    secret.write_text("correct horse\n")
    assert "chmod 600" in refused("keys", "encrypt", tmp_path / "me", "--passphrase-file", secret)
    secret.chmod(0o600)
    assert call("keys", "encrypt", tmp_path / "me", "--passphrase-file", secret).exit_code == 0
    assert keyring.is_encrypted(tmp_path / "me" / "keys")
    assert "these keys are encrypted" in refused("buyer", "start", tmp_path / "me")
    assert "encrypted already" in refused("keys", "encrypt", tmp_path / "me", "--passphrase-file", secret)
    assert call("keys", "decrypt", tmp_path / "me", "--passphrase-file", secret).exit_code == 0
    assert keyring.load(tmp_path / "me" / "keys") == ring


def test_a_cluster_refuses_what_it_cannot_play_and_leaves_nothing(tmp_path):
    net = tmp_path / "net"
    assert "has 5 sites, and 9 are asked for" in refused("cluster", "up", net, "breast", "--sites", 9)
    assert "no such federation file" in refused("cluster", "up", net, "breest")
    assert "sites.min is 10" in refused("cluster", "up", net, "breast", "--job", "stroke/job.toml")
    assert not net.exists()
    assert "no status to read" in refused("status", net)


# ---------------------------------------------------------------- a whole network


def three_sites(folder: Path) -> Path:
    """The breast job and its records, at three sites; the job allows three and no more."""
    folder.mkdir()
    breast = example("breast").parent
    for name in ("schema.toml", "terms.toml"):
        shutil.copyfile(breast / name, folder / name)
    text = (breast / "federation.toml").read_text()
    text = re.sub(r"(?m)^sizes = .*", "sizes = [190, 140, 239]", text)
    (folder / "federation.toml").write_text(re.sub(r"(?m)^names = .*", 'names = ["Ash", "Birch", "Cedar"]', text))
    job = (breast / "job-network.toml").read_text()
    for old, new in (("max = 5", "max = 3"), ("repeats = 4", "repeats = 1"), ('challenge = "10s"', 'challenge = "5s"')):
        assert old in job
        job = job.replace(old, new)
    (folder / "job-network.toml").write_text(job)
    return folder


@pytest.mark.slow
@pytest.mark.anvil
def test_processes_over_flare_make_the_very_model_that_loopback_makes(tmp_path):
    require_anvil()
    files = three_sites(tmp_path / "files")
    alone = caduceus("run", files / "job-network.toml", files, "--out", "run", "--no-report", at=tmp_path)
    assert alone.code == 0, alone.err

    ran = caduceus("cluster", "up", "net", files, "--until-done", at=tmp_path)
    assert ran.code == 0, ran.err
    assert "passes" in ran.out
    places = Places(tmp_path / "net")
    one, other = (
        json.loads(path.read_text())
        for path in (tmp_path / "run/models/job-network.json", places.party("buyer") / "models/files-job-network.json")
    )
    assert one.pop("job") != other.pop("job")
    assert one == other  # weights, and the digest of the state that the chain has anchored
    for name in ("Ash", "Birch", "Cedar", "coordinator", "buyer"):
        checked = call("log", "verify", places.party(name))
        assert checked.exit_code == 0, checked.output
    assert "not running" in call("status", tmp_path / "net").stdout

    # It goes on where it was, and ends cleanly when it is told to.
    begun = [sys.executable, "-c", "from caduceus.cli import main; main()", "cluster", "up", "net"]
    heeds = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # whoever runs this in the background may ignore it
    with subprocess.Popen(begun, cwd=tmp_path, stderr=subprocess.PIPE, text=True, preexec_fn=heeds) as again:
        assert again.stderr is not None
        line = next(line for line in again.stderr if "job " in line)
        again.send_signal(signal.SIGINT)
        again.communicate(timeout=60)
    assert "completed" in line
    assert again.returncode == STOPPED
    assert not any(str(tmp_path) in said for said in command_lines())


def command_lines() -> list[str]:
    """Of all processes on this machine that can be seen; none where /proc is not there."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:  # it ended meanwhile
            continue
    return [one for one in found if "pytest" not in one and str(os.getpid()) not in one]
