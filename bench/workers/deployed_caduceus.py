"""Our network as real processes, and one job on it from posting to payment and audit.

    python bench/workers/deployed_caduceus.py '{"folder": "DIR", "job": "JOB", "federation": "FILE", "sites": 3,
                                                "result": "FILE.json", "outage": false}'

Anvil, a FLARE server with the coordinator, a buyer and the sites over mutual TLS, as `caduceus cluster up` makes them.
With "outage" the chain node is stopped once the round of moments is done, which comes before those of averaging, and
started again when the last round is done; then every round must come to the chain. Writes the times at which rounds
were done, by the coordinator's own log, and the final weights beside the result. Ends all its processes.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import numpy as np

from caduceus import canon
from caduceus.edges.network import join_url
from caduceus.errors import Error
from caduceus.kinds import JobId, Stage
from caduceus.learn.state import State
from caduceus.wiring.audit import audit_run
from caduceus.wiring.cluster.begin import Cluster, locked, make
from caduceus.wiring.cluster.chain import CHAIN, wait_for_chain
from caduceus.wiring.cluster.places import COORDINATOR, Places
from caduceus.wiring.cluster.plan import Ask
from caduceus.wiring.cluster.supervisor import Supervisor
from caduceus.wiring.node.party import LOG

PATIENCE = 420.0
LOOK = 0.1
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be run.

    folder      new; the network's
    job         a job file with its schema beside it
    federation  a federation's TOML file
    sites       how many of its sites, the first
    rounds      that the job has, the one of moments included
    result      JSON file that is written; the weights go beside it
    outage      whether the chain node is away while rounds of averaging are played
    """

    folder: str
    job: str
    federation: str
    sites: int
    rounds: int
    result: str
    outage: bool = False


def wait(what: str, found: Callable[[], T | None], *, look: float = LOOK) -> T:
    """The first answer that is not None. Raises SystemExit if there is none in time."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if (answer := found()) is not None:
            return answer
        time.sleep(look)
    raise SystemExit(f"not within {PATIENCE:.0f} s: {what}")


class Observer:
    """Reads what the coordinator and the chain say."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def events(self, name: str, *, of: str = COORDINATOR) -> list[dict[str, object]]:
        """A party's events of that name, oldest first."""
        log = self.cluster.places.party(of) / LOG
        if not log.exists():
            return []
        lines = log.read_text().splitlines(keepends=True)
        read = [json.loads(line) for line in lines if line.endswith("\n")]
        return [one for one in read if one["event"] == name]

    def times(self, name: str) -> list[float]:
        """When the coordinator's were, in seconds since 1970."""
        return [datetime.fromisoformat(str(one["time"])).timestamp() for one in self.events(name)]

    def is_trained(self, rounds: int) -> bool | None:
        """Whether so many rounds are done; None while they are not.

        Raises SystemExit if a site has declined the job, as it does when the program's files change under it.
        """
        for name in self.cluster.sites:
            if declined := self.events("job declined", of=name):
                raise SystemExit(f"{name} declines the job: {declined[-1].get('reason')}")
        return True if len(self.times("round done")) >= rounds else None

    def job(self) -> JobId | None:
        """The job that was posted, once the chain has it."""
        with join_url(self.cluster.url, self.cluster.places.deployment) as network:
            return next(iter(network.chain.jobs()), None)

    def anchored(self, job: JobId) -> int | None:
        """How many rounds the chain has; None while its node does not answer."""
        try:
            with join_url(self.cluster.url, self.cluster.places.deployment) as network:
                return len(network.chain.anchors(job))
        except Error:
            return None

    def is_paid(self, job: JobId) -> bool | None:
        """Whether the job is completed and the contract holds nothing more; None while it is not.

        Raises SystemExit if the job ended in another way.
        """
        try:
            with join_url(self.cluster.url, self.cluster.places.deployment) as network:
                entry = network.chain.job(job)
                if entry is not None and entry.stage in (Stage.REJECTED, Stage.EXPIRED):
                    raise SystemExit(f"the job is {entry.stage.name.lower()}")
                held = network.chain.balance(network.deployment.token, network.deployment.jobs)
                return True if entry is not None and entry.stage is Stage.COMPLETED and held == 0 else None
        except Error:
            return None


def play(question: Question, supervisor: Supervisor) -> dict[str, object]:
    """Make the network, run the job, and look at what came of it."""
    began = time.time()
    ask = Ask(federation=Path(question.federation), most=question.sites)
    cluster = make(Places(Path(question.folder)), ask, Path(question.job), supervisor)
    cluster.start(supervisor)
    made = time.time()
    cluster.give(Path(question.job))
    observer = Observer(cluster)
    job = wait("the job is on the chain", observer.job)
    posted = time.time()
    if question.outage:
        wait("the round of moments is done", lambda: observer.is_trained(1), look=0.02)
        supervisor.hold(CHAIN)
    held = time.time()
    wait("all rounds are done", lambda: observer.is_trained(question.rounds))
    at_release = None
    if question.outage:
        released = time.time()
        at_release = 1 + max((int(str(one["round"])) for one in observer.events("anchored")), default=-1)
        supervisor.release(CHAIN)
        wait_for_chain(cluster.url)
    wait("all rounds are on the chain", lambda: True if observer.anchored(job) == question.rounds else None)
    anchored = time.time()
    wait("the job is paid", lambda: observer.is_paid(job))
    paid = time.time()
    transcript = cluster.places.transcript
    audits = [one for one in audit_run(transcript, chain=None, url=cluster.url) if one.job == job]
    if not audits or not all(one.passes for one in audits):
        raise SystemExit("the audit does not pass")
    with join_url(cluster.url, cluster.places.deployment) as network:
        anchors = network.chain.anchors(job)
    name = anchors[-1].model.hex()
    state = canon.unpack(State, (transcript / "blobs" / name[:2] / name).read_bytes())
    assert state.averaged is not None
    np.save(Path(question.result).with_suffix(".npy"), state.averaged.weights[0])
    marks = observer.times("round done")
    answer: dict[str, object] = {
        "marks": marks,
        "seconds_in_rounds": [one["seconds"] for one in observer.events("round done")],
        "anchored_marks": observer.times("anchored"),
        "setting_up": made - began,
        "posted_to_last_round": marks[-1] - posted,
        "posted_to_last_anchor": anchored - posted,
        "posted_to_paid": paid - posted,
        "audit": "passes",
        "anchors": len(anchors),
        "processes": 2 + 1 + question.sites,
    }
    if question.outage:
        answer |= {
            "chain_away": released - held,
            "rounds_done_while_away": sum(held <= one <= released for one in marks),
            "rounds_anchored_before_release": at_release,
            "back_to_last_anchor": anchored - released,
        }
    return answer


def main() -> None:
    """Run, and write what was found."""
    question = Question(**json.loads(sys.argv[1]))
    with locked(Places(Path(question.folder))), Supervisor() as supervisor:
        answer = play(question, supervisor)
        Path(question.result).write_text(json.dumps(answer, indent=1) + "\n")


if __name__ == "__main__":
    main()
