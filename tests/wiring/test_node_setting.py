"""A party's folder: what is written there, what is refused before anything is, and the process that it is run by."""

from __future__ import annotations

import stat
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from caduceus.edges.code import code_digest
from caduceus.errors import Refused
from caduceus.wiring.node.engine import engine_named
from caduceus.wiring.node.file import NODE_FILE, read_node_file
from caduceus.wiring.node.setting import KIT, Setting, command_of, make_folder
from node_kits import HUB, Kits, make_kits
from small_federation import write_small

FEDERATION = Path("/data/federation.toml")


@pytest.fixture(scope="module")
def kits(tmp_path_factory: pytest.TempPathFactory) -> Kits:
    return make_kits(tmp_path_factory.mktemp("kits"))


def test_a_folder_says_what_its_administrator_said(kits, tmp_path):
    party = make_folder(tmp_path / "east", kits.site(FEDERATION, tmp_path))
    found = read_node_file(tmp_path / "east")
    assert (found.engine, found.party.name, found.party.role) == ("flare", "East", "site")
    assert (found.chain.url, found.chain.confirmations, found.hub) == ("http://127.0.0.1:9", 1, HUB)
    assert found.data is not None
    assert (found.data.federation, found.data.site, found.data.root) == (str(FEDERATION), "East", str(tmp_path))
    assert found.allowed == {code_digest()}
    assert len(party.account) == 20


def test_a_folder_and_its_keys_are_their_owners_alone(kits, tmp_path):
    make_folder(tmp_path / "hub", kits.coordinator())
    assert stat.S_IMODE((tmp_path / "hub").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "hub" / "keys").stat().st_mode) == 0o600
    assert not list((tmp_path / "hub").glob("*.new"))


def test_a_path_with_quotes_and_backslashes_is_read_as_it_was_given(kits, tmp_path):
    odd = tmp_path / 'a "b" \\c'
    make_folder(tmp_path / "east", kits.site(odd / "federation.toml", odd))
    found = read_node_file(tmp_path / "east")
    assert found.data is not None
    assert found.data.root == str(odd)


def test_a_complete_folder_is_not_touched(kits, tmp_path):
    make_folder(tmp_path / "me", kits.buyer())
    before = {path: path.read_bytes() for path in (tmp_path / "me").rglob("*") if path.is_file()}
    with pytest.raises(Refused, match=r"node\.toml: is there already"):
        make_folder(tmp_path / "me", replace(kits.buyer(), name="other"))
    assert {path: path.read_bytes() for path in (tmp_path / "me").rglob("*") if path.is_file()} == before


def test_an_attempt_that_was_cut_off_is_completed_with_the_same_keys(kits, tmp_path):
    first = make_folder(tmp_path / "me", kits.buyer())
    (tmp_path / "me" / NODE_FILE).unlink()  # it comes last
    assert make_folder(tmp_path / "me", kits.buyer()).account == first.account


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (lambda kits: replace(kits.buyer(), kit=kits.kit("server")), "server: is not the kit of a buyer"),
        (lambda kits: replace(kits.coordinator(), kit=kits.kit("east")), "east: is not the kit of a coordinator"),
        (lambda kits: replace(kits.buyer(), kit=kits.folder), "is not a start-up kit"),
        (lambda kits: replace(kits.buyer(), engine="pigeon"), "engine 'pigeon': not known; there is flare"),
        (
            lambda kits: replace(kits.buyer(), chain=replace(kits.chain, deployment=Path("nowhere"))),
            "nowhere: missing; it says where the contracts are",
        ),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_written(kits, tmp_path, change, wanted):
    setting: Setting = change(kits)
    with pytest.raises(Refused) as refusal:
        make_folder(tmp_path / "folder", setting)
    assert wanted in str(refusal.value)
    assert not any(tmp_path.iterdir())


def test_a_kit_says_whose_it_is(kits):
    assert [engine_named("flare").name_in(kits.kit(one)) for one in ("east", "pharma")] == ["east", "pharma"]


def test_a_folder_is_run_by_its_engine_in_this_interpreter(kits, tmp_path):
    make_folder(tmp_path / "hub", kits.coordinator())
    make_folder(tmp_path / "me", kits.buyer())
    hub, spoke = command_of(tmp_path / "hub"), command_of(tmp_path / "me")
    assert hub.argv[0] == spoke.argv[0] == sys.executable
    assert any("server_train" in one for one in hub.argv)
    assert any("client_train" in one for one in spoke.argv)
    assert spoke.cwd == tmp_path / "me" / KIT
    assert "attach_hub" in (hub.cwd / "local" / "resources.json").read_text()
    assert "attach_spoke" in (spoke.cwd / "local" / "resources.json").read_text()


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ('engine = "flare"', 'engine = "pigeon"', "engine"),
        ("poll = 2.0", "poll = 0", "chain poll"),
        ('role = "site"', 'role = "steward"', "party role"),
        ('url = "http://', 'url = "ftp://', "chain url"),
        (f'code = ["{code_digest().hex()}"]', 'code = ["abc"]', "policy code"),
        ("[policy]", "[politics]", "politics"),
    ],
)
def test_a_file_that_was_spoilt_names_the_field(kits, tmp_path, old, new, wanted):
    small = write_small(tmp_path / "files")
    make_folder(tmp_path / "east", kits.site(small.federation))
    path = tmp_path / "east" / NODE_FILE
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(Refused) as refusal:
        read_node_file(tmp_path / "east")
    assert str(path) in str(refusal.value)
    assert wanted in str(refusal.value)
