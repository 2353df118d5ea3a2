"""Kits: what is provisioned, what a site makes of it, and how its process is started."""

from __future__ import annotations

import json
import shutil
import stat
import sys
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

import pytest

pytest.importorskip("nvflare")

from cryptography import x509

from caduceus.edges.flare.policy import equip
from caduceus.edges.flare.process import start
from caduceus.edges.flare.provision import Party, Server, add_party, provision
from caduceus.errors import Refused

SERVER = Server("fl.example.org", 8002, "coordinators")
NORTH, SOUTH = Party("north", "hospital_1"), Party("south", "hospital_2")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("authority") / "trial"
    provision(folder, "trial", SERVER, [NORTH])
    return folder


def _root(kit: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate((kit / "startup" / "rootCA.pem").read_bytes())


def test_kits_hold_a_certificate_of_the_projects_root_and_keep_their_keys_to_themselves(authority: Path) -> None:
    for name, role in (("server", "server"), ("north", "client")):
        startup = authority / "kits" / name / "startup"
        certificate = x509.load_pem_x509_certificate((startup / f"{role}.crt").read_bytes())
        certificate.verify_directly_issued_by(_root(authority / "kits" / name))
        assert stat.S_IMODE((startup / f"{role}.key").stat().st_mode) == 0o600
    assert stat.S_IMODE(authority.stat().st_mode) == 0o700


def test_the_authority_keeps_the_roots_key_and_no_partys(authority: Path) -> None:
    (state,) = authority.glob("authority/**/cert.json")
    assert set(json.loads(state.read_text())) == {"root_cert", "root_pri_key"}
    assert sorted(path.parent.parent.name for path in authority.rglob("*.key")) == ["north", "server"]


def test_a_party_added_later_has_the_same_root_and_no_second_server_kit_is_made(authority: Path) -> None:
    before = (authority / "kits" / "server" / "startup" / "server.crt").read_bytes()
    kit = add_party(authority, SOUTH)
    assert _root(kit) == _root(authority / "kits" / "north")
    assert (authority / "kits" / "server" / "startup" / "server.crt").read_bytes() == before
    with pytest.raises(Refused, match=r"a party south has a kit already"):
        add_party(authority, SOUTH)


@pytest.mark.parametrize(
    ("server", "parties", "why"),
    [
        (SERVER, [Party("server", "x")], "and not `server`"),
        (SERVER, [Party("North", "x")], "lower-case letters"),
        (SERVER, [Party("no/rth", "x")], "lower-case letters"),
        (SERVER, [NORTH, NORTH], "two of the names are the same"),
        (SERVER, [Party("north", "St Mary")], "letters, digits and underscores"),
        (Server("a b", 8002, "x"), [NORTH], "a host name or IPv4 address"),
        (Server("fl.example.org", 0, "x"), [NORTH], "a port below 65536"),
    ],
)
def test_a_name_that_flare_or_a_shell_would_misread_is_refused(
    tmp_path: Path, server: Server, parties: list[Party], why: str
) -> None:
    with pytest.raises(Refused, match=why):
        provision(tmp_path / "trial", "trial", server, parties)
    assert not (tmp_path / "trial").exists()


def test_a_folder_in_use_and_a_folder_of_nothing_are_refused(authority: Path, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"holds a project already"):
        provision(authority, "trial", SERVER, [NORTH])
    with pytest.raises(Refused, match=r"is this the folder of the project's authority\?"):
        add_party(tmp_path, NORTH)


def test_a_sites_policy_leaves_out_what_a_job_needs(authority: Path, tmp_path: Path) -> None:
    kit = shutil.copytree(authority / "kits" / "north", tmp_path / "kit")
    equip(kit, entry="somewhere:run", folder=tmp_path)
    local = kit / "local"
    resources = json.loads((local / "resources.json").read_text())
    (component,) = resources["components"]
    assert component["args"] == {"entry": "somewhere:run", "folder": str(tmp_path), "console": False}
    assert (resources["class_list_enforcement_mode"], resources["class_allow_list"]) == ("enforce", [])
    assert resources["allow_log_streaming"] is False
    rights = json.loads((local / "authorization.json").read_text())["permissions"]
    assert set(rights.values()) == {"none"}
    assert json.loads((local / "comm_config.json").read_text())["internal"]["scheme"] == "closed"
    with pytest.raises(Refused, match=r"a dotted module, a colon, and a function"):
        equip(kit, entry="somewhere.run", folder=tmp_path)


def test_the_command_is_that_of_the_kits_own_start_script(authority: Path, tmp_path: Path) -> None:
    """FLARE's script is the reference: its last line, less the interpreter's name."""
    for name in ("server", "north"):
        kit = shutil.copytree(authority / "kits" / name, tmp_path / name)
        equip(kit, entry="somewhere:run", folder=tmp_path)
        how = start(kit, environment={"PATH": "/bin", "NVFLARE_ALLOW_ADHOC_CONNS": "true", "GRPC_TRACE": "all"})
        (line,) = [
            line.split()
            for line in (kit / "startup" / "sub_start.sh").read_text().splitlines()
            if "exec python3" in line
        ]
        expected = [str(kit) if word == '"$WORKSPACE"' else word for word in line[2:]]
        assert how.argv[0] == sys.executable
        assert sorted(how.argv[1:]) == sorted(expected)
        assert how.env == {"PATH": "/bin", "MALLOC_ARENA_MAX": "4"}
        assert how.cwd == kit


@pytest.mark.parametrize(
    ("path", "content", "why"),
    [
        ("startup/more__resources.json", {"components": []}, r"more__resources.json: not a file that this kit should"),
        ("startup/comm_config.json", {}, r"comm_config.json: not a file that this kit should have"),
        ("local/more__p_resources.json", {}, r"more__p_resources.json: not a file that this kit should have"),
        ("local/custom/evil.json", {}, r"custom: not a file that this kit should have"),
        ("startup/fed_client.json", {"client": {}, "components": []}, r"sections that only the site may have"),
        ("startup/fed_client.json", "no json", r"fed_client.json: cannot be read"),
    ],
)
def test_a_kit_cannot_bring_what_the_site_did_not_choose(
    authority: Path, tmp_path: Path, path: str, content: object, why: str
) -> None:
    kit = shutil.copytree(authority / "kits" / "north", tmp_path / "kit")
    equip(kit, entry="somewhere:run", folder=tmp_path)
    start(kit)
    (kit / path).parent.mkdir(exist_ok=True)
    (kit / path).write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(Refused, match=why):
        start(kit)


def test_a_kit_that_would_hang_is_refused_before_it_starts(authority: Path, tmp_path: Path) -> None:
    other = provision(tmp_path / "other", "trial", SERVER, [NORTH])["north"] / "startup"
    with pytest.raises(Refused, match=r"is not a start-up kit"):
        start(tmp_path)
    for number, (names, why) in enumerate(
        (
            ((), r"equip the kit with the party's role first"),
            (("rootCA.pem",), r"the kit is a mixture of two"),
            (("client.key",), r"is not the certificate of client.key"),
        )
    ):
        kit = shutil.copytree(authority / "kits" / "north", tmp_path / str(number))
        if names:
            equip(kit, entry="somewhere:run", folder=tmp_path)
        for name in names:
            shutil.copy(other / name, kit / "startup" / name)
        with pytest.raises(Refused, match=why):
            start(kit)


@pytest.mark.parametrize(
    ("days", "why"), [(-1, r"this machine's clock is behind"), (400, r"ask the project's authority for a new kit")]
)
def test_a_kit_before_its_time_or_after_it_is_refused(
    authority: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int, why: str
) -> None:
    kit = shutil.copytree(authority / "kits" / "north", tmp_path / "kit")
    equip(kit, entry="somewhere:run", folder=tmp_path)

    class Then(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Then:
            return super().now(tz) + timedelta(days=days)

    monkeypatch.setattr("caduceus.edges.flare.process.datetime", Then)
    with pytest.raises(Refused, match=why):
        start(kit)
