"""Real processes of FLARE's, over the loopback network: frames, refusals, and what is left after kill -9."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
from collections.abc import Iterator

import pytest

pytest.importorskip("nvflare")

from flare_federation import Federation, Process, free_port, until
from flare_roles import LAST

from caduceus.edges.flare.connection import reason
from caduceus.edges.flare.provision import Party, Server, add_party, provision

pytestmark = pytest.mark.slow


def _server(port: int) -> Server:
    return Server("localhost", port, "coordinators")


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def federation(port: int) -> Iterator[Federation]:
    """A server and two parties, running."""
    made = Federation()
    try:
        parties = [Party("north", "hospital_1"), Party("south", "hospital_2")]
        made.add(provision(made.folder / "authority", "trial", _server(port), parties))
        for name, process in made.processes.items():
            process.equip("hub" if name == "server" else "spoke")
            process.launch()
        _all_there(made)
        yield made
    finally:
        made.close()


def _all_there(federation: Federation) -> None:
    hub = federation["server"]
    sites = set(federation.processes) - {"server"}
    until(lambda: sites <= hub.tell("peers"), "all parties connect")
    for name in sites:
        until(lambda name=name: federation[name].tell("connected"), f"{name} connects")


def _exchange(federation: Federation, site: str, frame: bytes) -> None:
    """One frame each way, ahead of which nothing is left over."""
    hub, spoke = federation["server"], federation[site]
    spoke.tell("post", frame + b"up")
    assert hub.tell("take", 20.0) == (site, frame + b"up")
    hub.tell("post", site, frame + b"down")
    assert spoke.tell("take", 20.0) == frame + b"down"


def test_frames_of_every_size_cross_both_ways(federation: Federation) -> None:
    for size in (200, 1 << 20, (1 << 20) + 1, 8 << 20):
        for site in ("north", "south"):
            _exchange(federation, site, os.urandom(size))


def test_small_frames_keep_their_order(federation: Federation) -> None:
    hub, spoke = federation["server"], federation["north"]
    for number in range(300):
        spoke.tell("post", number.to_bytes(4, "big") * 50)
        hub.tell("post", "north", number.to_bytes(4, "big") * 50)
    for number in range(300):
        assert hub.tell("take", 10.0) == ("north", number.to_bytes(4, "big") * 50)
        assert spoke.tell("take", 10.0) == number.to_bytes(4, "big") * 50


def test_a_frame_for_nobody_is_unavailable_at_once(federation: Federation) -> None:
    with pytest.raises(RuntimeError, match=r"Unavailable: west is not connected"):
        federation["server"].tell("post", "west", b"frame" * 40)


@pytest.mark.parametrize(
    ("channel", "topic"),
    [
        ("admin", "train.deploy"),
        ("admin", "train.start_job"),
        ("admin", "train.shutdown"),
        ("admin", "sys.shell"),
        ("aux_communication", "fed.event"),
        ("server_command", "get_task"),
        ("net_manager", "stop_cell"),
        ("cellnet.channel", "bulk"),
    ],
)
def test_a_site_does_nothing_else_for_a_server(federation: Federation, channel: str, topic: str) -> None:
    code, error = federation["server"].tell("demand", "north", channel, topic)
    assert (code, error) == ("invalid_request", "this process only carries frames")
    assert f"refused {channel}:{topic} from server" in federation["north"].log()


def test_a_site_reaches_no_other_site_through_the_server(federation: Federation) -> None:
    code, _ = federation["north"].tell("demand", "south", "caduceus", "frame")
    assert code == "invalid_request"
    assert federation["south"].tell("take", 0.2) is None


def test_a_party_killed_and_restarted_is_let_in_again(federation: Federation) -> None:
    federation["north"].kill()
    until(lambda: "north" not in federation["server"].tell("peers"), "the server sees it go")
    federation["north"].launch()
    _all_there(federation)
    _exchange(federation, "north", b"again" * 100)


def test_parties_return_to_a_server_that_was_killed_and_restarted(federation: Federation) -> None:
    federation["server"].kill()
    until(lambda: not federation["south"].tell("connected"), "the party sees it go")
    with pytest.raises(RuntimeError, match=r"Unavailable: server is not connected"):
        federation["south"].tell("post", b"frame" * 40)
    federation["server"].launch()
    _all_there(federation)
    for site in ("north", "south"):
        _exchange(federation, site, b"again" * 100)


def test_a_party_added_later_joins_without_a_change_at_the_server(federation: Federation) -> None:
    federation.add({"east": add_party(federation.folder / "authority", Party("east", "hospital_3"))})
    federation["east"].equip("spoke")
    federation["east"].launch()
    _all_there(federation)
    _exchange(federation, "east", b"new" * 100)
    assert federation["east"].end() == 0
    assert federation["server"].tell("take", 10.0) == ("east", LAST)
    del federation.processes["east"]


def test_a_party_of_another_authority_gets_nowhere_and_both_sides_say_why(federation: Federation, port: int) -> None:
    kits = provision(federation.folder / "other", "trial", _server(port), [Party("north", "hospital_1")])
    federation.add({"stranger": kits["north"]})
    stranger = federation.processes.pop("stranger")
    stranger.equip("spoke")
    stranger.launch()
    try:
        until(lambda: "the other side's certificate is not from this project" in stranger.log(), "the stranger's log")
        told = "refused a connection from 127.0.0.1"
        until(lambda: told in federation["server"].log(), "the server's log")
        why = "the other side says that our certificate is not from its project (unknown CA)"
        assert why in federation["server"].log()
        assert "the other side's certificate is not from this project" in stranger.output()
        assert not (stranger.home / "socket").exists()
    finally:
        stranger.close()
    _exchange(federation, "north", b"still here" * 100)


def test_the_server_refuses_a_certificate_of_another_authority_and_both_sides_say_why(
    federation: Federation, port: int
) -> None:
    """A stranger who does trust this server, and has a certificate of the same names from elsewhere."""
    startup = provision(federation.folder / "third", "trial", _server(port), [Party("north", "x")])["north"] / "startup"
    context = ssl.create_default_context(cafile=federation["north"].kit / "startup" / "rootCA.pem")
    context.check_hostname = False
    context.load_cert_chain(startup / "client.crt", startup / "client.key")
    with socket.create_connection(("127.0.0.1", port)) as sock, pytest.raises(ssl.SSLError) as refusal:
        context.wrap_socket(sock).recv(1)
    assert reason(refusal.value) == "the other side says that our certificate is not from its project (unknown CA)"
    why = "the other side's certificate is not from this project"
    until(lambda: why in federation["server"].log(), "the server's log")


def test_who_connects_and_says_nothing_keeps_nobody_out(federation: Federation, port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)), socket.create_connection(("127.0.0.1", port)):
        federation["south"].kill()
        federation["south"].launch()
        _all_there(federation)


def test_a_party_cannot_come_in_under_another_ones_name(federation: Federation, port: int) -> None:
    """The certificate is of this project, and it is another party's."""
    false = federation.folder / "false"
    shutil.copytree(federation["south"].kit, false, ignore=shutil.ignore_patterns("flare.log*"))
    impostor = Process("impostor", false, federation.folder / "homes" / "impostor")
    impostor.equip("spoke")
    impostor.launch(uid="north")
    try:
        until(lambda: "authenticated as 'south' but claimed" in federation["server"].log(), "the server's log")
        assert not (impostor.home / "socket").exists()
    finally:
        impostor.close()
    _exchange(federation, "north", b"still here" * 100)


def test_a_kit_runs_in_one_process_at_a_time(federation: Federation) -> None:
    twin = Process("twin", federation["north"].kit, federation.folder / "homes" / "twin")
    twin.home.mkdir()
    twin.launch()
    assert twin.process is not None
    assert twin.process.wait(90) == 1
    assert "another process runs this kit" in twin.output()
    _exchange(federation, "north", b"still here" * 100)


def test_sigterm_ends_the_role_and_the_process(federation: Federation) -> None:
    north = federation["north"]
    assert north.end() == 0
    assert (north.home / "stopped").exists()
    assert federation["server"].tell("take", 10.0) == ("north", LAST), "what it posted last has arrived"
    until(lambda: "north" not in federation["server"].tell("peers"), "the server sees it go")
    assert federation["server"].end() == 0
    assert (federation["server"].home / "stopped").exists()


def test_a_party_that_waits_for_its_server_says_so_ends_when_asked_and_connects_when_there_is_one(
    federation: Federation,
) -> None:
    north, server = federation["north"], federation["server"]
    north.launch()
    until(lambda: "Connection refused; trying again" in north.output(), "the party says that there is no server")
    assert north.end() == 0
    north.launch()
    server.launch()
    until(lambda: "north" in server.tell("peers"), "the party connects")
    _exchange(federation, "north", b"first" * 100)
    assert north.end() == 0
    assert server.end() == 0


def test_a_process_whose_role_does_not_start_ends_and_says_so(federation: Federation) -> None:
    server = federation["server"]
    server.close()
    server.equip("broken")
    server.launch()
    assert server.process is not None
    assert server.process.wait(90) == 1
    assert "the role flare_roles:broken did not start" in server.output()
    assert "nothing to run here" in server.output()
