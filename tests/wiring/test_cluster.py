"""Keeping processes alive, with real ones; and the folder of a network."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from caduceus.edges.federation import example, open_federation
from caduceus.errors import Misuse, Refused
from caduceus.wiring.cluster import supervisor as module
from caduceus.wiring.cluster.begin import begin, locked
from caduceus.wiring.cluster.places import Places, slug
from caduceus.wiring.cluster.plan import Ask, Record, keep_record, names_of, read_record
from caduceus.wiring.cluster.supervisor import Job, Supervisor

PATIENCE = 30.0


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSES", (0.01,))


def shell(name: str, script: str, folder: Path, *, ends_last: bool = False) -> Job:
    command = lambda: (("/bin/sh", "-c", script), dict(os.environ), folder)  # noqa: E731
    return Job(name, command, folder / "logs" / f"{name}.log", ends_last=ends_last)


def until(true: Callable[[], bool]) -> None:
    """Return once something is so; fail if it never is."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not (stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] == "Z")


# ---------------------------------------------------------------- processes


def test_whoever_ends_is_started_again(tmp_path):
    said: list[tuple[str, str]] = []
    with Supervisor(lambda name, what: said.append((name, what))) as kept:
        kept.keep(shell("one", "echo here; exit 3", tmp_path))
        until(lambda: kept.starts("one") >= 3)
        assert kept.endings("one")[:2] == [3, 3]
    assert said[:3] == [("one", "started"), ("one", "ended with 3"), ("one", "started again (2)")]
    assert (tmp_path / "logs" / "one.log").read_text().startswith("here\nhere\n")


def test_whoever_is_killed_is_started_again_as_another_process(tmp_path):
    with Supervisor() as kept:
        kept.keep(shell("one", "exec sleep 1000", tmp_path))
        first = kept.pid("one")
        kept.kill("one")
        until(lambda: kept.starts("one") == 2)
        assert kept.endings("one") == [-signal.SIGKILL]
        assert kept.pid("one") not in (first, None)


def test_whoever_is_held_stays_away_until_released(tmp_path):
    with Supervisor() as kept:
        kept.keep(shell("one", "exec sleep 1000", tmp_path))
        kept.keep(shell("other", "exit 0", tmp_path))
        kept.hold("one")
        seen = kept.starts("other")
        until(lambda: kept.starts("other") >= seen + 3)  # meanwhile the supervisor has looked at everybody
        assert (kept.pid("one"), kept.starts("one")) == (None, 1)
        kept.release("one")
        until(lambda: kept.starts("one") == 2)


def test_they_end_together_and_those_that_others_need_at_last(tmp_path):
    note = "trap 'echo {0} >> ends; exit 0' TERM; touch {0}.up; while :; do sleep 0.02; done"
    with Supervisor() as kept:
        kept.keep(shell("chain", note.format("chain"), tmp_path, ends_last=True))
        for name in ("one", "two"):
            kept.keep(shell(name, note.format(name), tmp_path))
        until(lambda: all((tmp_path / f"{name}.up").exists() for name in kept.names))
        pids = [kept.pid(name) for name in kept.names]
    assert (tmp_path / "ends").read_text().split()[-1] == "chain"
    assert set((tmp_path / "ends").read_text().split()) == {"one", "two", "chain"}
    assert not any(lives(pid) for pid in pids if pid is not None)


def test_whoever_does_not_listen_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_ENOUGH", 0.2)
    with Supervisor() as kept:
        kept.keep(shell("deaf", "trap '' TERM; touch up; while :; do sleep 0.02; done", tmp_path))
        until((tmp_path / "up").exists)
        pid = kept.pid("deaf")
    assert pid is not None
    assert not lives(pid)


def test_a_program_that_is_not_there_is_refused_and_not_kept(tmp_path):
    with Supervisor() as kept:
        missing = Job("one", lambda: (("/no/such/program",), {}, tmp_path), tmp_path / "log")
        with pytest.raises(Refused, match=r"one: cannot be started: /no/such/program"):
            kept.keep(missing)
        assert kept.names == ()


def test_a_command_that_is_refused_later_is_tried_again(tmp_path):
    good = shell("one", "exit 0", tmp_path)
    asked: list[int] = []
    came = threading.Event()

    def command() -> tuple[tuple[str, ...], dict[str, str], Path]:
        asked.append(1)
        if len(asked) == 2:
            raise Refused("the kit is damaged")
        if len(asked) > 3:
            came.set()
        argv, env, cwd = good.command()
        return tuple(argv), dict(env), cwd

    with Supervisor() as kept:
        kept.keep(Job("one", command, tmp_path / "log"))
        assert came.wait(PATIENCE)
        assert 127 in kept.endings("one")


def test_one_name_is_one_process(tmp_path):
    with Supervisor() as kept:
        kept.keep(shell("one", "exec sleep 1000", tmp_path))
        with pytest.raises(Misuse, match=r"'one' is kept already"):
            kept.keep(shell("one", "exec sleep 1000", tmp_path))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux's kernel ends a child with its parent")
def test_nobody_outlives_a_supervisor_that_was_killed(tmp_path):
    script = f"""
import os
from pathlib import Path
from caduceus.wiring.cluster.supervisor import Job, Supervisor
kept = Supervisor()
kept.keep(Job("one", lambda: (("/bin/sleep", "1000"), dict(os.environ), Path({str(tmp_path)!r})), Path("one.log")))
print(kept.pid("one"), flush=True)
input()
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tmp_path
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        until(lambda: Path(f"/proc/{child}/cmdline").read_bytes().startswith(b"/bin/sleep"))
        parent.kill()
        until(lambda: not lives(child))


# ---------------------------------------------------------------- a network's folder


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("Ash", "ash"),
        ("Hospital 12", "hospital-12"),
        ("St. Mary's  (north)", "st-mary-s-north"),
        ("X", "site-x"),
        ("a" * 39 + " bc", "a" * 39),
    ],
)
def test_a_partys_name_becomes_one_that_engines_take(name, plain):
    assert slug(name) == plain


def test_the_first_sites_are_taken_in_the_federations_order():
    breast = open_federation(example("breast"))
    assert names_of(breast, Ask(breast.path, most=3)) == ["Ash", "Birch", "Cedar"]
    assert names_of(breast, Ask(breast.path, sites=("Elm", "Ash"))) == ["Ash", "Elm"]


@pytest.mark.parametrize(
    ("ask", "wanted"),
    [
        (Ask(Path(), most=9), "has 5 sites, and 9 are asked for"),
        (Ask(Path(), sites=("Oak",)), "there is no site 'Oak'"),
    ],
)
def test_sites_that_are_not_there_are_refused(ask, wanted):
    with pytest.raises(Refused, match=wanted):
        names_of(open_federation(example("breast")), ask)


def test_a_site_that_would_have_anothers_folder_is_refused(tmp_path):
    for name in ("schema.toml", "terms.toml", "federation.toml"):
        text = (example("breast").parent / name).read_text()
        (tmp_path / name).write_text(text.replace('"Ash"', '"Buyer"'))
    with pytest.raises(Refused, match=r"'Buyer' would have another party's folder"):
        names_of(open_federation(tmp_path), Ask(tmp_path))


def test_two_do_not_run_the_same_network(tmp_path):
    places = Places(tmp_path / "net")
    with locked(places), pytest.raises(Refused, match=r"another `cluster up` runs"), locked(places):
        pass
    with locked(places):
        pass


def test_a_folder_of_something_else_is_not_taken(tmp_path):
    (tmp_path / "letters").touch()
    with pytest.raises(Refused, match=r"not empty and not the folder of a network"), locked(Places(tmp_path)):
        pass
    with pytest.raises(Refused, match=r"a file, not a folder"), locked(Places(tmp_path / "letters")):
        pass


def test_a_network_is_gone_on_with_as_it_was_made(tmp_path):
    places, federation = Places(tmp_path), example("breast").resolve()
    assert read_record(places) is None
    keep_record(places, Record(federation=str(federation), sites=("Ash", "Birch", "Cedar"), chain_port=1))
    with Supervisor() as kept:
        with pytest.raises(Refused, match=r"was made for .*breast.* with 3 sites"):
            begin(places, Ask(federation, most=4), None, kept)
        with pytest.raises(Refused, match=r"state\.json: missing, and with it the chain"):
            begin(places, Ask(federation, most=3), None, kept)
    places.record.write_text("{}")
    with pytest.raises(Refused, match=r"cluster\.json: damaged"):
        read_record(places)
