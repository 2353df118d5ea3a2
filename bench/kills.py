"""Processes killed at random while real jobs run: nobody's money is lost, and every settlement is the same.

    python bench/kills.py [--runs N] [--seed N] [--example breast|stroke] [--folder DIR]

A network of real processes on loopback: anvil, a FLARE server with the coordinator, a buyer and the sites, all over
mutual TLS and kept alive by a supervisor. One job after the other is posted. While it runs, processes are killed
without a word (SIGKILL), drawn by the seed, at times drawn by the seed; the chain node is stopped and started again
now and then. Afterwards the job must have ended; if it was completed, the model must be the one of an undisturbed run,
bit for bit, as must be everybody's pay; if it expired, everybody must have back what they put in. Either way the
token's supply must be where it belongs, and the audit must pass. Writes bench/results/kills.json.

A run that fails is run again alone by --seed S --runs 1, S being its own seed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from caduceus import canon
from caduceus.edges.federation import example
from caduceus.edges.network import join_url
from caduceus.errors import Error
from caduceus.kinds import Address, JobId, Stage
from caduceus.learn.state import State
from caduceus.wiring.audit import audit_run
from caduceus.wiring.cluster.begin import make
from caduceus.wiring.cluster.places import BUYER, COORDINATOR, Places, slug
from caduceus.wiring.cluster.plan import Ask
from caduceus.wiring.cluster.supervisor import Supervisor
from caduceus.wiring.node.file import read_node_file
from caduceus.wiring.node.party import party_in
from instruments.record import keep, load, provenance, show

PATIENCE = 600.0
MOST_KILLS = 4
BEFORE, IN_ROUNDS, AFTER = "before", "in rounds", "after"
MOMENTS = (BEFORE, IN_ROUNDS, AFTER)
SECONDS = {BEFORE: 8.0, IN_ROUNDS: 3.0, AFTER: 8.0}
"""How long each part of a job takes about: posting and enrolment, set-up and rounds, settlement and payment."""

OUTAGE = 0.2
"""Share of runs in which the chain node is away for a while."""

FILES = {"breast": "federation.toml", "stroke": "federation-network.toml"}
DEADLINES = """[deadlines]
enrol = "5m"
train = "8m"
challenge = "5s"
exchange = "60s"
"""


@dataclass(frozen=True)
class Run:
    """One job with its kills.

    killed  who was killed when, in seconds after the posting
    ended   how the job ended
    same    whether model and pay are those of an undisturbed run; None if the job was not completed
    """

    seed: int
    killed: tuple[tuple[float, str], ...]
    ended: str
    same: bool | None
    whole: bool
    audit: bool
    seconds: float

    @property
    def is_fine(self) -> bool:
        """Whether it kept what is promised."""
        return self.whole and self.audit and self.same is not False and self.ended in ("completed", "expired")


def main() -> int:
    """Run, show, write; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1000, help="of the first run; the others count on")
    parser.add_argument("--example", choices=sorted(FILES), default="breast")
    parser.add_argument("--folder", type=Path, help="keep the network here; else it is made and removed")
    chosen = parser.parse_args()
    about = provenance(seed=list(range(chosen.seed, chosen.seed + chosen.runs)))
    with tempfile.TemporaryDirectory() as made:
        runs = play(chosen.folder or Path(made) / "network", chosen)
    show(
        f"{chosen.example}: {len(runs)} jobs with processes killed",
        ("seed", "killed, s after posting", "ended", "same", "money", "audit", "s"),
        [
            (
                str(one.seed),
                ", ".join(f"{who} {when:.0f}" for when, who in one.killed),
                one.ended,
                {None: "-", True: "yes", False: "NO"}[one.same],
                "whole" if one.whole else "LOST",
                "passes" if one.audit else "FAILS",
                f"{one.seconds:.0f}",
            )
            for one in runs
        ],
    )
    print(f"\nload before {about['machine']['load'][0]}, after {load()[0]}")  # type: ignore[index]
    keep("kills", about | {"example": chosen.example, "runs": [vars(one) for one in runs]})
    return 0 if all(one.is_fine for one in runs) else 1


def play(folder: Path, chosen: argparse.Namespace) -> list[Run]:
    """The undisturbed job, then the disturbed ones, on one network."""
    places = Places(folder)
    places.root.mkdir(parents=True, exist_ok=True)
    federation = example(chosen.example, file=FILES[chosen.example])
    root = os.environ.get("CADUCEUS_DATA")
    runs: list[Run] = []
    with Supervisor() as keeper:
        cluster = make(places, Ask(federation, None if root is None else Path(root)), None, keeper)
        cluster.start(keeper)
        stage = Stage_(places, cluster.url, list(cluster.sites), keeper, chosen.example)
        print("the undisturbed run", flush=True)
        first = stage.run(chosen.seed - 1, disturb=False)
        print(vars(first), flush=True)
        if first.ended != "completed":
            return [first]
        for seed in range(chosen.seed, chosen.seed + chosen.runs):
            runs.append(stage.run(seed, disturb=True))
            print(vars(runs[-1]), flush=True)
    return runs


class Stage_:  # noqa: N801  (`Stage` is the job's)
    """A network on which jobs are run and disturbed."""

    def __init__(self, places: Places, url: str, names: list[str], keeper: Supervisor, name: str) -> None:
        self.places, self.url, self.keeper, self.example = places, url, keeper, name
        self.parties = (COORDINATOR, BUYER, *names)
        self.accounts = {one: self.account(one) for one in self.parties}
        self.expected: tuple[str, dict[str, int]] | None = None

    def account(self, name: str) -> Address:
        """A party's account, from its folder."""
        folder = self.places.party(name)
        return party_in(folder, read_node_file(folder)).account

    def run(self, seed: int, *, disturb: bool) -> Run:
        """Post one job, disturb it, wait for its end, and look at what is left."""
        chance = random.Random(seed)
        before = self.balances()
        known = set(self.jobs())
        began = time.monotonic()
        self.post(seed)
        killed = self.disturb(chance, known, began) if disturb else []
        job = self.wait_for_new(known, began)
        ended = self.wait_for_end(job, began)
        return self.judge(seed, killed, job, ended, before, time.monotonic() - began)

    def post(self, seed: int) -> None:
        """Give the buyer a job file with short deadlines, all sites wanted."""
        source = example(self.example, file="job.toml")
        text = source.read_text()
        text = text[: text.index("[deadlines]")] + DEADLINES
        sites = len(self.parties) - 2
        head, tail = text.split("[sites]", 1)
        rest = tail[tail.index("\n[") :]
        text = f"{head}[sites]\nmin = {max(3, sites - 2)}\nmax = {sites}\nspare_rounds = 20\n{rest}"
        folder = self.places.party(BUYER) / "jobs" / f"run-{seed}"
        folder.mkdir(parents=True)
        (folder / "schema.toml").write_bytes((source.parent / "schema.toml").read_bytes())
        (folder / "job.part").write_text(text)
        (folder / "job.part").replace(folder / "job.toml")

    def disturb(self, chance: random.Random, known: set[JobId], began: float) -> list[tuple[float, str]]:
        """Kill before, in and after the rounds, and stop the chain node for a while in some runs."""
        plan = [
            (chance.choice(MOMENTS), chance.random(), slug(chance.choice(self.parties)))
            for _ in range(chance.randint(1, MOST_KILLS))
        ]
        if chance.random() < OUTAGE:
            plan.append((chance.choice(MOMENTS), chance.random(), "chain"))
        done: list[tuple[float, str]] = []
        for moment in MOMENTS:
            if moment == IN_ROUNDS:
                self.wait_for_rounds(known, began)
            start = time.monotonic()
            for _, part, who in sorted(one for one in plan if one[0] == moment):
                time.sleep(max(0.0, start + part * SECONDS[moment] - time.monotonic()))
                done.append((round(time.monotonic() - began, 1), who))
                self.harm(who)
        return done

    def harm(self, who: str) -> None:
        """Kill a party, or stop the chain node for three seconds."""
        if who != "chain":
            self.keeper.kill(who)
            return
        self.keeper.hold(who)
        time.sleep(3.0)
        self.keeper.release(who)

    def wait_for_rounds(self, known: set[JobId], began: float) -> None:
        """Return once the job is trained, or has ended."""
        job = self.wait_for_new(known, began)
        while time.monotonic() < began + PATIENCE:
            try:
                with join_url(self.url, self.places.deployment) as network:
                    entry = network.chain.job(job)
                    if entry is not None and entry.stage >= Stage.TRAINING:
                        return
            except Error:
                pass
            time.sleep(0.2)

    def wait_for_new(self, known: set[JobId], began: float) -> JobId:
        """The job that was posted."""
        while time.monotonic() < began + PATIENCE:
            if new := [job for job in self.jobs() if job not in known]:
                return new[0]
            time.sleep(0.5)
        raise SystemExit("the buyer has not posted the job")

    def wait_for_end(self, job: JobId, began: float) -> str:
        """How the job ends, once everybody has what is theirs."""
        ended = "hangs"
        while time.monotonic() < began + PATIENCE:
            try:
                with join_url(self.url, self.places.deployment) as network:
                    entry = network.chain.job(job)
                    assert entry is not None
                    if entry.stage in (Stage.COMPLETED, Stage.REJECTED, Stage.EXPIRED):
                        ended = entry.stage.name.lower()
                        held = network.chain.balance(network.deployment.token, network.deployment.jobs)
                        if held == 0:
                            return ended
            except Error:
                pass
            time.sleep(0.5)
        return ended

    def judge(
        self, seed: int, killed: list[tuple[float, str]], job: JobId, ended: str, before: dict[str, int], took: float
    ) -> Run:
        """Compare money, model and audit with what they must be."""
        after = self.balances()
        moved = {name: after[name] - before[name] for name in after}
        whole = sum(moved.values()) == 0
        same = None
        transcript = self.places.party(COORDINATOR) / "transcript"
        if ended == "completed":
            with join_url(self.url, self.places.deployment) as network:
                anchors = network.chain.anchors(job)
            blob = (transcript / "blobs" / anchors[-1].model.hex()[:2] / anchors[-1].model.hex()).read_bytes()
            model = canon.digest(canon.unpack(State, blob)).hex()
            if self.expected is None:
                self.expected = (model, moved)
            same = self.is_same(model, moved)
        elif ended == "expired":
            whole = whole and not any(moved.values())
        audits = [one for one in audit_run(transcript, chain=None, url=self.url) if one.job == job]
        passes = bool(audits) and all(one.passes for one in audits) if ended == "completed" else True
        return Run(seed, tuple(killed), ended, same, whole, passes, round(took, 1))

    def is_same(self, model: str, moved: dict[str, int]) -> bool:
        """Whether a job came to the model and the pay of the undisturbed one.

        Sites enrol in whatever order they come; units that do not divide go by seats, so pay may differ by one.
        """
        assert self.expected is not None
        wanted, paid = self.expected
        off = {name: moved[name] - paid[name] for name in paid if abs(moved[name] - paid[name]) > 1}
        if model != wanted or off:
            print(json.dumps({"model": model, "wanted": wanted, "pay differs by": off}), file=sys.stderr)
        return model == wanted and not off

    def balances(self) -> dict[str, int]:
        """Tokens by party, and those of the contract."""
        with join_url(self.url, self.places.deployment) as network:
            token = network.deployment.token
            found = {name: int(network.chain.balance(token, account)) for name, account in self.accounts.items()}
            return found | {"contract": int(network.chain.balance(token, network.deployment.jobs))}

    def jobs(self) -> list[JobId]:
        """All jobs on the chain; none where the node is away."""
        try:
            with join_url(self.url, self.places.deployment) as network:
                return list(network.chain.jobs())
        except Error:
            return []


if __name__ == "__main__":
    sys.exit(main())
