"""One round of Flower's SecAgg+ in a fresh process, with Flower's own interpreter: it needs flwr and numpy only.

    python bench/workers/flower_secagg.py '{"sites": 10, "length": 1000, "vectors": "FILE.npy", "clip": 1.0,
                                            "vanish": 1, "neighbours": 8, "threshold": 5}'

The question comes as the argument or on standard input; one line of JSON goes to standard output, or an exit code
other than 0. Server and clients are Flower's (`SecAggPlusWorkflow`, `secaggplus_mod`, `FedAvg`); between them stands a
grid that calls the clients in turn, so that the protocol alone is measured.

What is counted is processor time of all threads, in the clients' calls and in the workflow outside the grid. Not
counted, in Flower's favour: imports, a first small round, training, turning a result into Flower's records, the grid,
protobuf, processes and network. Included in the server, and also shown alone: `FedAvg.aggregate_fit`, which Flower
1.41 gives the decrypted mean once for every site. Bytes are what records hold, without framing.

Flower's parameters:

- `num_shares` is neighbours + 1, as a client keeps a share of its own; all sites if neighbours >= sites - 1. It must be
  odd otherwise, so `neighbours` must be even.
- `quantization_range` 2^22 and `max_weight` 1000 are Flower's defaults; so is `modulus_range` 2^32 ("bits" in the
  question changes it).
- Every site reports 100 examples. Flower quantises the update times examples / max_weight, so that `clipping_range` is
  clip x 100 / 1000: nothing is clipped and all steps are used. A step of a site is 2 x clip / 2^22 in model units.

Flower's masks come from NumPy's Mersenne Twister with a seed of 32 bits, into which the agreed key is folded; messages
are not signed, and clients do not check that all were told the same survivors. Source: flwr 1.41.0,
common/secure_aggregation/secaggplus_utils.py (`pseudo_rand_gen`), client/mod/secure_aggregation/secaggplus_mod.py.
"""

from __future__ import annotations

import os

os.environ["FLWR_TELEMETRY_ENABLED"] = "0"
os.environ["FLWR_DISABLE_UPDATE_CHECK"] = "1"
os.environ |= dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")

import json
import logging
import random
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Self, final

import numpy as np
import numpy.typing as npt
from flwr.app import ArrayRecord, ConfigRecord, Context, Error, Message, RecordDict
from flwr.client.mod import secaggplus_mod
from flwr.common import Code, FitIns, FitRes, Parameters, Status, ndarrays_to_parameters, parameters_to_ndarrays
from flwr.common.constant import ErrorCode
from flwr.common.secure_aggregation.secaggplus_constants import RECORD_KEY_CONFIGS, Key, Stage
from flwr.compat.common import recorddict_compat as compat
from flwr.server import LegacyContext
from flwr.server.client_manager import ClientManager, SimpleClientManager
from flwr.server.client_proxy import ClientProxy
from flwr.server.strategy import FedAvg
from flwr.server.workflow import SecAggPlusWorkflow
from flwr.server.workflow.constant import MAIN_CONFIGS_RECORD, MAIN_PARAMS_RECORD
from flwr.server.workflow.constant import Key as WorkflowKey
from flwr.supercore.task_identity import TaskIdentity

SEED = 1  # of node ids and of Flower's order of sites; its keys are the operating system's
STEPS = 2**22
EXAMPLES, MOST_EXAMPLES = 100, 1000
MIB = 2**20

Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Question:
    """A round to be measured.

    sites       how many take part, >= 3
    length      entries of a vector
    vectors     .npy file, float32[sites, length]
    clip        no entry is larger than this in size
    vanish      so many sites, the first, are silent when masked vectors are due
    neighbours  with how many others a site agrees on masks; even, or all
    threshold   shares that open a secret, >= 2
    bits        of the ring in which vectors are summed
    """

    sites: int
    length: int
    vectors: str
    clip: float
    vanish: int
    neighbours: int
    threshold: int
    bits: int = 32

    def __post_init__(self) -> None:
        if self.sites * STEPS >= 2**self.bits:
            raise SystemExit(f"{self.sites} sites: the sum wraps in {self.bits} bits")
        if not self.everybody and self.neighbours % 2:
            raise SystemExit(f"{self.neighbours} neighbours: Flower's ring needs an even number, or all")
        if self.threshold < 2:
            raise SystemExit(
                f"a threshold of {self.threshold} opens secrets to single sites, and Flower reads it as all"
            )

    @property
    def everybody(self) -> bool:
        """Whether every site masks with every other."""
        return self.neighbours >= self.sites - 1


@final
class Watch:
    """Adds up processor and wall seconds of the blocks that it is put around."""

    def __init__(self) -> None:
        self.processor = self.wall = 0.0

    def __enter__(self) -> Self:
        self.processor -= time.process_time()
        self.wall -= time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.processor += time.process_time()
        self.wall += time.perf_counter()


@final
class Proxy(ClientProxy):
    """A site as Flower's strategy knows it; the workflow reads its number and calls nothing."""

    def __init__(self, node: int) -> None:
        super().__init__(str(node))
        self.node_id = node

    def _unused(self, *_: object) -> None:
        raise AssertionError("the workflow sends messages and does not call proxies")

    get_properties = get_parameters = fit = evaluate = reconnect = _unused


@final
class TimedStrategy:
    """What the workflow uses of FedAvg, with a watch around its part of the sum."""

    def __init__(self, sites: int) -> None:
        self._fedavg = FedAvg(fraction_fit=1.0, min_fit_clients=sites, min_available_clients=sites)
        self.watch = Watch()

    def configure_fit(self, number: int, model: Parameters, sites: ClientManager) -> list[tuple[ClientProxy, FitIns]]:
        return self._fedavg.configure_fit(number, model, sites)

    def aggregate_fit(
        self, number: int, results: list[tuple[ClientProxy, FitRes]], failures: list[BaseException]
    ) -> tuple[Parameters | None, Mapping[str, object]]:
        with self.watch:
            return self._fedavg.aggregate_fit(number, results, failures)


@final
class Grid:
    """Stands for Flower's network: calls every client in turn, and has a watch for each and one for itself."""

    def __init__(self, vectors: Mapping[int, npt.NDArray[np.float32]], silent: frozenset[int]) -> None:
        self._vectors, self._silent = vectors, silent
        self._sites = {node: _context(node) for node in vectors}
        self.watch = Watch()
        self.watches = {node: Watch() for node in vectors}
        self.up = dict.fromkeys(vectors, 0)

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        """Every message's reply: from a silent site, what Flower's own network says of an absent one."""
        with self.watch:
            return [self._answer(message) for message in messages]

    def _answer(self, message: Message) -> Message:
        node = message.metadata.dst_node_id
        uploading = message.content.config_records[RECORD_KEY_CONFIGS][Key.STAGE] == Stage.COLLECT_MASKED_VECTORS
        if uploading and node in self._silent:
            return Message(Error(ErrorCode.NODE_UNAVAILABLE, "silent"), reply_to=message)
        message.content = _received(message.content)
        trained = _trained(self._vectors[node]) if uploading else RecordDict()

        def train(asked: Message, _: Context) -> Message:
            return Message(trained, reply_to=asked)

        with self.watches[node]:
            reply = secaggplus_mod(message, self._sites[node], train)
        self.up[node] += _size(reply.content)
        return reply


def _context(node: int) -> Context:
    """An empty state."""
    return Context(run_id=1, node_id=node, node_config={}, state=RecordDict(), run_config={})


def _received(content: RecordDict) -> RecordDict:
    """The client's own copy, as clients take out what they read and the server sends one record to several."""
    records = content.items()
    return RecordDict({name: ConfigRecord(dict(r)) if isinstance(r, ConfigRecord) else r for name, r in records})


def _trained(vector: npt.NDArray[np.float32]) -> RecordDict:
    """A site's update as its training would return it."""
    result = FitRes(Status(Code.OK, ""), ndarrays_to_parameters([vector]), EXAMPLES, {})
    return compat.fitres_to_recorddict(result, keep_input=False)


def _size(content: RecordDict) -> int:
    """Bytes in all records: 8 for a number, names of keys left out."""
    values = [value for record in content.config_records.values() for value in record.values()]
    flat = [one for value in values for one in (value if isinstance(value, list) else [value])]
    held = sum(len(one) if isinstance(one, bytes | str) else 8 for one in flat)
    return held + sum(len(array.data) for record in content.array_records.values() for array in record.values())


def measure(question: Question, vectors: Matrix) -> dict[str, float | int | str]:
    """Run a round, check its mean, and say what it cost.

    vectors  float32[sites, length], entries within the question's clip
    """
    drawn = random.Random(SEED)
    random.seed(SEED)
    nodes = [drawn.getrandbits(62) for _ in range(question.sites)]
    silent = frozenset(nodes[: question.vanish])
    grid = Grid(dict(zip(nodes, vectors, strict=True)), silent)
    strategy = TimedStrategy(question.sites)
    server = _server(nodes, strategy, question.length)
    workflow = SecAggPlusWorkflow(
        num_shares=1.0 if question.everybody else question.neighbours + 1,
        reconstruction_threshold=question.threshold,
        max_weight=float(MOST_EXAMPLES),
        clipping_range=question.clip * EXAMPLES / MOST_EXAMPLES,
        quantization_range=STEPS,
        modulus_range=2**question.bits,
    )
    held = _memory("VmRSS")
    with Watch() as whole:
        workflow(grid, server)
    peak = _memory("VmHWM")
    clients, survivors = grid.watches.values(), [node for node in nodes if node not in silent]
    finished = [grid.watches[node].processor for node in survivors]
    serving = whole.processor - grid.watch.processor
    return {
        "processor": serving + sum(watch.processor for watch in clients),
        "processor_server": serving,
        "processor_strategy": strategy.watch.processor,
        "processor_client_median": median(finished),
        "processor_client_max": max(finished),
        "wall": whole.wall - grid.watch.wall + sum(watch.wall for watch in clients),
        "up_per_client": int(median(grid.up[node] for node in survivors)),
        "error": _error(server, vectors[question.vanish :], 2 * question.clip / STEPS),
        "held_mb": round(held / MIB, 1),
        "peak_mb": round(peak / MIB, 1),
        "flower": version("flwr"),
    }


def _server(nodes: Iterable[int], strategy: TimedStrategy, length: int) -> LegacyContext:
    """Flower's server before round 1, with a model of zeros."""
    manager = SimpleClientManager()
    for node in nodes:
        manager.register(Proxy(node))
    server = LegacyContext(_context(0), strategy=strategy, client_manager=manager)  # type: ignore[arg-type]
    server.state.config_records[MAIN_CONFIGS_RECORD] = ConfigRecord({WorkflowKey.CURRENT_ROUND: 1})
    model = ndarrays_to_parameters([np.zeros(length, np.float32)])
    server.state.array_records[MAIN_PARAMS_RECORD] = compat.parameters_to_arrayrecord(model, keep_input=True)
    return server


def _error(server: LegacyContext, vectors: Matrix, step: float) -> float:
    """How far the mean is from the plain one at most; ends the process if by more than rounding explains."""
    record: ArrayRecord = server.state.array_records[MAIN_PARAMS_RECORD]
    mean = parameters_to_ndarrays(compat.arrayrecord_to_parameters(record, keep_input=True))[0]
    error = float(np.abs(mean - vectors.mean(axis=0, dtype=np.float64)).max())
    if not error <= 2 * step:  # each site's rounding moves its entries by less than a step; the rest is float32
        raise SystemExit(f"Flower's mean is {error} from the plain one; a step is {step}. Did the round halt?")
    return error


def _memory(name: str) -> int:
    """Bytes; from /proc, as getrusage's peak of a new process begins with its parent's."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name + ":"))


def main() -> None:
    """Read, warm up, measure, answer."""
    logging.getLogger("flwr").setLevel(logging.ERROR)
    TaskIdentity.run_id = TaskIdentity.task_id = TaskIdentity.node_id = 1
    question = Question(**json.loads(sys.argv[1] if len(sys.argv) > 1 else sys.stdin.read()))
    vectors = np.load(question.vectors)
    if vectors.shape != (question.sites, question.length) or vectors.dtype != np.float32:
        raise SystemExit(f"{question.vectors}: {vectors.dtype}{vectors.shape} is not what was asked about")
    if not max(vectors.max(), -vectors.min()) <= question.clip:
        raise SystemExit(f"{question.vectors}: entries are beyond the clip of {question.clip}")
    small = Question(4, 10, "", 1.0, vanish=1, neighbours=3, threshold=2)
    measure(small, np.zeros((4, 10), np.float32))  # first calls
    print(json.dumps(measure(question, vectors)))


if __name__ == "__main__":
    main()
