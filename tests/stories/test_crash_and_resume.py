"""A run that is killed anywhere, and played again, ends as if nothing had happened."""

from __future__ import annotations

import multiprocessing
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Lock
from typing import Any

import pytest
import small_job
from ending import Ending, assert_audit_passes, ending

from caduceus import canon
from caduceus.edges.gateway import Account
from caduceus.edges.journal import SqliteJournal
from caduceus.edges.store import FolderStore
from caduceus.edges.workspace import Workspace
from caduceus.kinds import Stage
from caduceus.wiring.order import Order
from caduceus.wiring.parties import COORDINATOR
from caduceus.wiring.play import play
from thorough import tries

SEEDS = tries(20, 8)
ACTS: dict[str, tuple[type, str]] = {
    "journal entry": (SqliteJournal, "put_all"),
    "blob": (FolderStore, "put"),
    "transaction": (Account, "send"),
}
"""What a run does that lasts."""

ENTRIES = (
    "order/nonce",
    "order/spec",
    "site/confirm",
    "site/confirmed",
    "site/ready",
    "coordinator/setup",
    "site/standing",
    "site/beacon",
    "site/round/session",
    "site/round/upload",
    "coordinator/upload",
    "coordinator/list",
    "site/receipt",
    "site/round/survivors",
    "coordinator/done",
)
"""What is written down in a run, in the order of a job: whose entry, and what about."""


def entry_kind(journal: SqliteJournal, entries: Mapping[str, bytes]) -> str:
    """Whose entry it is, and what about."""
    who = journal.path.parent.name
    key = list(entries)[-1]
    if who == "buyer":
        return "order/" + key.rpartition("/")[2]
    what = [part for part in key.split("/") if not re.fullmatch("[0-9a-f]{64}|[0-9]{5}", part)]
    return "/".join(("coordinator" if who == COORDINATOR else "site", *what))


@dataclass(frozen=True, slots=True)
class Undisturbed:
    """The job, and what it comes to when nobody disturbs it."""

    order: Order
    ending: Ending
    seconds: float
    acts: dict[str, int]
    entries: list[str]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    folder = tmp_path_factory.mktemp("undisturbed")
    order = small_job.write(folder / "asked")
    play(Workspace(folder / "warm"), order, small_job.Onlooker())  # the first run also loads code
    workspace = Workspace(folder / "run")
    with pytest.MonkeyPatch.context() as patch:
        fuse = Fuse(patch)
        began = time.monotonic()
        played = play(workspace, order, small_job.Onlooker())
        seconds = time.monotonic() - began
    found = ending(workspace, played.cast, played.job)
    assert found.stage is Stage.COMPLETED
    assert_audit_passes(workspace.root)
    return Undisturbed(order, found, seconds, dict(fuse.done), fuse.entries)


def play_again(root: Path, undisturbed: Undisturbed) -> None:
    """Play a run that was killed to its end, and compare."""
    played = play(Workspace(root), undisturbed.order, small_job.Onlooker())
    assert ending(Workspace(root), played.cast, played.job) == undisturbed.ending
    assert canon.digest(played.state) == undisturbed.ending.model
    assert_audit_passes(root)


def test_money_is_conserved_and_the_deposits_return(undisturbed):
    balances, pulled = undisturbed.ending.balances, undisturbed.ending.pulled
    assert balances["contract"] == 0
    assert sum(balances.values()) == 10**15
    assert sum(amount for amount, _ in pulled.values()) == 100_003
    assert {name: returned for name, (_, returned) in pulled.items()} == {
        **dict.fromkeys(small_job.SITES, 2_000),
        "coordinator": 10_000,
    }


def test_playing_an_ended_job_again_changes_nothing(undisturbed, tmp_path):
    for _ in range(2):
        play_again(tmp_path, undisturbed)


# ---------------------------------------------------------------- the process is killed, whatever it is doing


def _play_in_a_process_of_its_own(root: Path, order: Order, ready: Connection) -> None:
    ready.send(b"begun")
    play(Workspace(root), order, small_job.Onlooker())


@pytest.fixture(scope="module")
def processes() -> multiprocessing.context.BaseContext:
    """Processes that are forked from one that has the code loaded and runs no threads."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", "caduceus.wiring.play"])
    return context


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_process_killed_at_a_random_moment_is_played_to_the_same_end(seed, undisturbed, processes, tmp_path):
    chance = random.Random(seed)
    for _ in range(chance.choice([1, 1, 2])):
        moment = undisturbed.seconds * (seed + chance.random()) / SEEDS
        kill_after(moment, tmp_path, undisturbed.order, processes)
    play_again(tmp_path, undisturbed)


def kill_after(seconds: float, root: Path, order: Order, processes: Any) -> None:
    """Play in another process, and kill it; it may have ended before."""
    ours, theirs = processes.Pipe()
    process = processes.Process(target=_play_in_a_process_of_its_own, args=(root, order, theirs))
    process.start()
    theirs.close()
    assert ours.recv() == b"begun"
    process.join(seconds)
    process.kill()
    process.join()
    assert process.exitcode in (0, -9)


# ---------------------------------------------------------------- the process dies at a chosen act


class Killed(BaseException):
    """The process is dead: nothing that it does any more reaches the disk or the chain."""


@dataclass
class Fuse:
    """Counts what a run does that lasts, and ends it at one of these acts: before it, or just after it.

    at  the kind of act, its number counted from 0, and whether it still happens; None never ends the run
    """

    patch: pytest.MonkeyPatch
    at: tuple[str, int, bool] | None = None
    done: Counter[str] = field(default_factory=Counter)
    entries: list[str] = field(default_factory=list)
    dead: bool = False
    lock: Any = field(default_factory=Lock)

    def __post_init__(self) -> None:
        for kind, (owner, name) in ACTS.items():
            self.patch.setattr(owner, name, self._watched(kind, getattr(owner, name)))

    def _watched(self, kind: str, act: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(act)
        def watched(*arguments: Any, **options: Any) -> Any:
            with self.lock:
                if self.dead:
                    raise Killed
                number = self.done[kind]
                self.done[kind] += 1
                if (kind, number, False) == self.at:
                    self.dead = True
                    raise Killed
                if kind == "journal entry":
                    self.entries.append(entry_kind(*arguments))
                result = act(*arguments, **options)
                if (kind, number, True) == self.at:
                    self.dead = True
                    raise Killed
                return result

        return watched


def test_every_kind_of_entry_is_known_here(undisturbed):
    """So that none is written without a test of a death beside it."""
    assert set(undisturbed.entries) == set(ENTRIES)
    assert list(dict.fromkeys(undisturbed.entries)) == list(ENTRIES)


def dies_and_is_played_to_the_same_end(at: tuple[str, int, bool], root: Path, undisturbed: Undisturbed) -> None:
    with pytest.MonkeyPatch.context() as patch:
        fuse = Fuse(patch, at)
        with pytest.raises(Killed):
            play(Workspace(root), undisturbed.order, small_job.Onlooker())
        assert fuse.dead
    play_again(root, undisturbed)


@pytest.mark.parametrize("happens", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("kind", ENTRIES)
def test_a_run_that_dies_at_any_kind_of_entry_is_played_to_the_same_end(kind, happens, undisturbed, tmp_path):
    """At the first, when nobody else has written its own yet, and at any other."""
    places = [at for at, entry in enumerate(undisturbed.entries) if entry == kind]
    chosen = {places[0], random.Random(f"{kind}/{happens}").choice(places)}
    for number in sorted(chosen):
        dies_and_is_played_to_the_same_end(("journal entry", number, happens), tmp_path / f"{number}", undisturbed)


@pytest.mark.parametrize("happens", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("kind", ["blob", "transaction"])
def test_a_run_that_dies_at_any_act_is_played_to_the_same_end(kind, part, happens, undisturbed, tmp_path):
    count = undisturbed.acts[kind]
    chance = random.Random(f"{kind}/{part}/{happens}")
    for number in sorted(chance.sample(range(part * count // 4, (part + 1) * count // 4), 3)):
        dies_and_is_played_to_the_same_end((kind, number, happens), tmp_path / f"{number}", undisturbed)
