"""What a private step of training costs, beside a plain one and beside Opacus.

    python bench/dp_sgd.py [--threads N ...]

Rows are the widths of two hidden layers (40 inputs, ReLU, batches of 256). Arms take turns; figures are medians, in
milliseconds per step: "wall" on the clock, "cpu" of all threads.

    plain    forward, backward and step of torch.optim.SGD
    clipped  our sum of clipped gradients, alone
    private  a step of our training with all that belongs to it: coins, rows, clipped sum, exact noise, step
    opacus   a step of Opacus in its default mode on rows that are given: no coins, noise from torch's own generator

Compares the clipped sums, and what both accountants say of the same training. Without Opacus (pip install opacus) that
arm is left out, and the script says so. Writes bench/results/dp_sgd.json.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import warnings
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from caduceus.learn.clipped import ClippedSum
from caduceus.learn.dp_sgd import Course, Table, train
from caduceus.learn.torch_fedavg import perceptron
from caduceus.privacy.accountant import epsilon
from caduceus.privacy.events import DISCRETE_GAUSSIAN, Event, Part, Spending
from instruments.record import keep, load, provenance, show

try:
    import opacus
except ImportError:
    opacus = None

WIDTHS = (64, 128, 256, 512)
INPUTS, BATCH, PATIENTS = 40, 256, 10_000
CLIP, MULTIPLIER, LENGTH, DELTA = 1.0, 1.0, 0.1, 1e-6
STEPS = 50  # of one private training that is timed
TURNS = 7
ACCOUNTED = 1000  # steps, for the accountants
TURN = 0.15  # seconds of one arm, about

Step = Callable[[], None]
Times = dict[str, float]


def network(width: int, device: str) -> nn.Module:
    """The same weights for every arm."""
    torch.manual_seed(0)
    return perceptron(INPUTS, (width, width), "relu").to(device)


def batch(rows: int, device: str) -> tuple[Tensor, Tensor]:
    """Synthetic rows and targets."""
    torch.manual_seed(1)
    return torch.randn(rows, INPUTS, device=device), torch.randint(0, 2, (rows,), device=device).float()


def plain(width: int, device: str) -> Step:
    """Ordinary training."""
    module, (inputs, targets) = network(width, device), batch(BATCH, device)
    optimizer = torch.optim.SGD(module.parameters(), lr=LENGTH)

    def step() -> None:
        optimizer.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(module(inputs).reshape(-1), targets).backward()
        optimizer.step()

    return step


def clipped(width: int, device: str) -> Step:
    """Our sums."""
    summing, (inputs, targets) = ClippedSum(network(width, device)), batch(BATCH, device)
    return lambda: void(summing(inputs, targets, clip=CLIP))


def private(width: int, device: str) -> Step:
    """Our training, `STEPS` steps of it."""
    module, rows = network(width, device), Table(*batch(PATIENTS, device))
    course = Course(STEPS, BATCH / PATIENTS, CLIP, MULTIPLIER, PATIENTS, LENGTH)
    key = bytes(32)  # a measurement has no secrets
    return lambda: void(train(module, rows, course, key))


def peer(width: int, device: str) -> tuple[nn.Module, torch.optim.Optimizer]:
    """A module and an optimizer as Opacus makes them private in its default mode."""
    module, (inputs, targets) = network(width, device), batch(BATCH, device)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(inputs, targets), batch_size=BATCH)
    made, optimizer, _ = opacus.PrivacyEngine().make_private(
        module=module,
        optimizer=torch.optim.SGD(module.parameters(), lr=LENGTH),
        data_loader=loader,
        noise_multiplier=MULTIPLIER,
        max_grad_norm=CLIP,
        poisson_sampling=False,  # the rows are given
    )
    return made, optimizer


def opacus_step(width: int, device: str) -> Step:
    """Opacus."""
    (module, optimizer), (inputs, targets) = peer(width, device), batch(BATCH, device)

    def step() -> None:
        optimizer.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(module(inputs).reshape(-1), targets).backward()
        optimizer.step()

    return step


def difference(width: int, device: str) -> float:
    """Of the two clipped sums, relative to their norm."""
    inputs, targets = batch(BATCH, device)
    ours = ClippedSum(network(width, device))(inputs, targets, clip=CLIP).total
    module, optimizer = peer(width, device)
    nn.functional.binary_cross_entropy_with_logits(module(inputs).reshape(-1), targets).backward()
    optimizer.clip_and_accumulate()
    theirs = torch.cat([parameter.summed_grad.reshape(-1) for parameter in module.parameters()])
    return float((ours - theirs).norm() / theirs.norm())


def void(_: object) -> None:
    """Forget a result."""


def measure(width: int, device: str) -> dict[str, Times]:
    """Milliseconds per step: wall and cpu, per arm."""
    arms: dict[str, tuple[Step, int]] = {
        "plain": (plain(width, device), 1),
        "clipped": (clipped(width, device), 1),
        "private": (private(width, device), STEPS),
    }
    if opacus is not None:
        arms["opacus"] = (opacus_step(width, device), 1)
    counts = {}
    for name, (step, _) in arms.items():
        step()  # the first is slower
        counts[name] = max(round(TURN / clock(step, 1, device)[0]), 1)
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in arms}
    for _ in range(TURNS):
        for name, (step, _) in arms.items():
            took[name].append(clock(step, counts[name], device))
    return {
        name: {
            "wall": 1e3 * statistics.median(wall for wall, _ in took[name]) / steps,
            "cpu": 1e3 * statistics.median(cpu for _, cpu in took[name]) / steps,
        }
        for name, (_, steps) in arms.items()
    }


def clock(step: Step, count: int, device: str) -> tuple[float, float]:
    """Seconds per call: on the clock, and of all threads."""
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(count):
        step()
    if device != "cpu":
        torch.cuda.synchronize()
    return (time.perf_counter() - wall) / count, (time.process_time() - cpu) / count


def epsilons() -> dict[str, float]:
    """What the accountants say of the same training."""
    rate, steps = BATCH / PATIENTS, ACCOUNTED
    event = Event(DISCRETE_GAUSSIAN, MULTIPLIER, rate, steps)
    found = {"caduceus (dp_accounting, PLD)": epsilon(Spending((Part((event,)),)), DELTA)}
    if opacus is not None:
        for name, accountant in (
            ("opacus, PRV", opacus.accountants.PRVAccountant()),
            ("opacus, RDP", opacus.accountants.RDPAccountant()),
        ):
            accountant.history = [(MULTIPLIER, rate, steps)]
            found[name] = float(accountant.get_epsilon(DELTA))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, show, write."""
    threads = torch.get_num_threads()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=sorted({1, threads}), help="that torch may use")
    chosen = parser.parse_args(arguments)
    warnings.filterwarnings("ignore", category=UserWarning)  # Opacus: its noise is not secure, its hooks are fine
    before, rows = load(), []
    settings = [("cpu", count) for count in chosen.threads] + [("cuda", 1)] * torch.cuda.is_available()
    for device, count in settings:
        torch.set_num_threads(count)
        found = {width: measure(width, device) for width in WIDTHS}
        rows += [{"device": device, "threads": count, "width": width, "ms": found[width]} for width in WIDTHS]
        names = list(found[WIDTHS[0]])
        for measured in ("wall", "cpu"):
            table = []
            for width, arms in found.items():
                ms = {name: arms[name][measured] for name in names}
                ratios = [ms["clipped"] / ms["plain"], ms["private"] / ms["plain"]]
                ratios += [ms["opacus"] / ms["private"]] if "opacus" in ms else []
                table.append([str(width), *(f"{ms[name]:.2f}" for name in names), *(f"{r:.2f}" for r in ratios)])
            head = ["width", *names, "clipped / plain", "private / plain", "opacus / private"]
            show(f"{device}, {count} thread(s), {measured}: ms per step", head[: len(table[0])], table)
    torch.set_num_threads(threads)
    apart = {width: difference(width, "cpu") for width in WIDTHS} if opacus is not None else {}
    spent = epsilons()
    if apart:
        print(f"\nclipped sums differ from those of Opacus {opacus.__version__} by {max(apart.values()):.0e}, relative")
    else:
        print("\nOpacus was not measured: pip install opacus")
    print(f"epsilon of {ACCOUNTED} steps at delta {DELTA}:", ", ".join(f"{k} {v:.4f}" for k, v in spent.items()))
    print(
        f"load before {before[0]}, after {load()[0]}; {len(os.sched_getaffinity(0))} cores; torch {torch.__version__}"
    )
    if not torch.cuda.is_available():
        print("no GPU was measured: torch sees no CUDA device here")
    record = {"rows": rows, "sums apart": apart, "epsilon": spent, "torch": torch.__version__}
    keep("dp_sgd", {**provenance(seed={"weights": 0, "rows": 1}), **record})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
