import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_hospitals import AVERAGING, CROSSED, SCHEMA, learning, ring_run, ring_sum, sites, table

from caduceus.errors import Misuse, Refused
from caduceus.learn import moments
from caduceus.learn.control import unsafe_open_run
from caduceus.learn.evaluate import sigmoid
from caduceus.learn.fedavg import Course
from caduceus.learn.perceptron import Perceptron
from caduceus.learn.program import build_task
from caduceus.learn.state import State

HIDDEN = replace(AVERAGING, hidden=(6, 4), activation="tanh", rounds=3)


def first(task, hospitals) -> State:
    """The state before the first average."""
    state = task.opening()
    return task.combine(state, sum(task.contribute(state, one) for one in hospitals), len(hospitals))


def course(rows: int, *, batch: int = 8, rate: float = 0.2, ridge: float = 0.0) -> Course:
    return Course(np.array_split(np.arange(rows), -(-rows // batch)), rate, ridge, 1)


def sample(rows: int = 40, columns: int = 5, seed: int = 0):
    draw = np.random.default_rng(seed)
    matrix = draw.normal(size=(rows, columns))
    return matrix, (matrix[:, 0] - matrix[:, 1] + draw.normal(size=rows) > 0).astype(float)


def test_one_round_is_the_weighted_mean_of_what_each_site_would_reach():
    task = build_task(learning(averaging=AVERAGING), SCHEMA)
    hospitals = sites(task, [40, 30, 100])
    state = first(task, hospitals)
    reached = [task.combine(state, task.contribute(state, one), 1).averaged.weights[0] for one in hospitals]
    together = task.combine(state, ring_sum(task, state, [task.contribute(state, one) for one in hospitals]), 3)
    weights = np.array([40, 30, 64])  # the third is capped
    np.testing.assert_allclose(together.averaged.weights[0], weights @ reached / weights.sum(), atol=1e-4)
    np.testing.assert_allclose(together.averaged.share, weights.sum() / 64, atol=1e-4)
    assert np.abs(together.averaged.weights).max() > 0.05


def test_equal_weighting_counts_every_site_the_same():
    task = build_task(learning(averaging=replace(AVERAGING, weighting="equal")), SCHEMA)
    hospitals = sites(task, [20, 100])
    state = first(task, hospitals)
    reached = [task.combine(state, task.contribute(state, one), 1).averaged.weights[0] for one in hospitals]
    together = task.combine(state, sum(task.contribute(state, one) for one in hospitals), 2)
    np.testing.assert_allclose(together.averaged.weights[0], np.mean(reached, axis=0), atol=1e-12)


def test_a_change_is_cut_to_the_clip_and_the_32_bit_ring_holds_it():
    task = build_task(learning(averaging=replace(AVERAGING, clip=0.05, weighting="equal")), SCHEMA)
    site = sites(task, [40])[0]
    state = first(task, [site])
    vector = task.contribute(state, site)
    assert np.linalg.norm(vector[:-1]) == pytest.approx(0.05)
    assert vector[-1] == task.bound(state) == 1.0
    assert 1024 * round(task.bound(state) * task.scale(state)) < 2**31


def test_averaging_in_the_ring_stays_close_to_averaging_in_the_open():
    task = build_task(learning(averaging=AVERAGING, evaluation=CROSSED), SCHEMA)
    hospitals = sites(task, [40, 30, 100])
    ring, plain = ring_run(task, hospitals), unsafe_open_run(task, hospitals)
    np.testing.assert_allclose(ring.averaged.weights, plain.averaged.weights, atol=1e-3)
    assert ring.quality.auroc.min() > 0.65


def test_many_rounds_of_averaging_come_near_the_pooled_model():
    newton = build_task(learning(), SCHEMA)
    gentle = replace(AVERAGING, rounds=200, epochs=1, batch=1000, rate=1.0, cap=2**20, bits=64)
    averaging = build_task(learning(averaging=gentle), SCHEMA)
    pooled = unsafe_open_run(newton, sites(newton, [80, 60, 90])).newton.weights[0]
    averaged = unsafe_open_run(averaging, sites(averaging, [80, 60, 90])).averaged.weights[0]
    np.testing.assert_allclose(averaged, pooled, atol=0.02)


def test_a_site_without_training_rows_has_no_weight_and_none_at_all_is_refused():
    task = build_task(learning(averaging=AVERAGING), SCHEMA)
    hospitals = sites(task, [40, 30])
    state = first(task, hospitals)
    idle = replace(hospitals[1], learning=np.zeros_like(hospitals[1].learning))
    assert not task.contribute(state, idle).any()
    with pytest.raises(Refused, match="no rows for some fit"):
        task.combine(state, task.contribute(state, idle), 1)


def test_training_that_diverges_is_refused_with_advice():
    steep = replace(AVERAGING, penalty=1e6, rate=100.0, rounds=1, epochs=50, batch=1)
    task = build_task(learning(averaging=steep), SCHEMA)
    site = sites(task, [40])[0]
    with np.errstate(all="ignore"), pytest.raises(Refused, match="diverged in round 0; lower the rate"):
        task.contribute(first(task, [site]), site)


def test_the_linear_model_takes_the_steps_that_the_formula_says():
    matrix, target = sample()
    weights = np.linspace(-0.3, 0.3, 6)
    change = Perceptron((), "relu").train(weights, matrix, target, course(40, batch=20, rate=0.5, ridge=0.1))
    current = weights.copy()
    for rows in (slice(0, 20), slice(20, 40)):
        error = sigmoid(matrix[rows] @ current[:5] + current[5]) - target[rows]
        slope = np.append(matrix[rows].T @ error / 20 + 0.1 * current[:5], error.mean())
        current = current - 0.5 * slope
    np.testing.assert_allclose(weights + change, current, atol=1e-14)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("hidden", [(), (7,), (6, 4)])
def test_numpy_predicts_what_torch_predicts(hidden, activation):
    torch = pytest.importorskip("torch")
    from caduceus.learn import torch_fedavg

    network = Perceptron(hidden, activation)
    matrix, _ = sample()
    weights = np.random.default_rng(1).normal(size=network.parameters(5))
    module = torch_fedavg.perceptron(5, hidden, activation).double()
    torch.nn.utils.vector_to_parameters(torch.from_numpy(weights.copy()), module.parameters())
    expected = module(torch.from_numpy(matrix)).detach().numpy()[:, 0]
    np.testing.assert_allclose(network.log_odds(weights, matrix), expected, atol=1e-12)


def test_torch_takes_the_same_steps_as_numpy_on_the_linear_model():
    from caduceus.learn import torch_fedavg

    matrix, target = sample()
    weights = np.linspace(-0.3, 0.3, 6)
    steps = course(40, ridge=0.05)
    by_numpy = Perceptron((), "relu").train(weights, matrix, target, steps)
    by_torch = torch_fedavg.train(torch_fedavg.perceptron(5, (), "relu"), weights, matrix, target, steps)
    np.testing.assert_allclose(by_torch, by_numpy, atol=1e-6)


def test_hidden_layers_train_as_an_optimiser_of_torch_does():
    torch = pytest.importorskip("torch")
    from caduceus.learn import torch_fedavg

    matrix, target = sample()
    network = Perceptron((6,), "relu")
    weights = network.opening(5, 3)
    change = network.train(weights, matrix, target, course(40, batch=10, rate=0.3))
    module = torch_fedavg.perceptron(5, (6,), "relu").double()
    torch.nn.utils.vector_to_parameters(torch.from_numpy(weights.copy()), module.parameters())
    optimiser = torch.optim.SGD(module.parameters(), lr=0.3)
    for rows in np.array_split(np.arange(40), 4):
        optimiser.zero_grad()
        output = module(torch.from_numpy(matrix[rows]))[:, 0]
        torch.nn.functional.binary_cross_entropy_with_logits(output, torch.from_numpy(target[rows])).backward()
        optimiser.step()
    reached = torch.nn.utils.parameters_to_vector(module.parameters()).detach().numpy()
    np.testing.assert_allclose(weights + change, reached, atol=1e-5)


def test_the_first_weights_are_public_and_spread_as_torch_spreads_them():
    network = Perceptron((16, 8), "relu")
    weights = network.opening(30, 5)
    np.testing.assert_array_equal(weights, network.opening(30, 5))
    assert (weights != network.opening(30, 6)).any()
    for (slopes, intercepts), width in zip(network.layers(weights, 30), (30, 16, 8), strict=True):
        assert np.abs(slopes).max() <= width**-0.5
        assert np.abs(intercepts).max() <= width**-0.5
        assert np.abs(slopes).max() > 0.5 * width**-0.5
    assert not Perceptron((), "relu").opening(30, 5).any()


@pytest.mark.parametrize("averaging", [AVERAGING, HIDDEN], ids=["linear", "hidden"])
def test_training_again_gives_the_same_bytes(averaging):
    task = build_task(learning(averaging=averaging), SCHEMA)
    site = sites(task, [50])[0]
    state = first(task, [site])
    once = task.contribute(state, site)
    assert once.tobytes() == task.contribute(state, site).tobytes()
    later = replace(state, averaged=replace(state.averaged, rounds=1))
    assert once.tobytes() != task.contribute(later, site).tobytes()
    elsewhere = task.ready(table(50, 0), "another hospital")
    assert once.tobytes() != task.contribute(state, elsewhere).tobytes()


def test_any_torch_module_can_be_trained_even_one_that_draws_random_numbers():
    torch = pytest.importorskip("torch")
    from caduceus.learn.torch_fedavg import TorchNetwork

    def factory(inputs: int):
        return torch.nn.Sequential(
            *(torch.nn.Linear(inputs, 8), torch.nn.LayerNorm(8), torch.nn.Dropout(0.2), torch.nn.GELU()),
            torch.nn.Linear(8, 1),
        )

    averaging = replace(AVERAGING, hidden=(8,), rounds=20, rate=0.3, bits=64)
    task = build_task(learning(averaging=averaging, evaluation=CROSSED), SCHEMA, TorchNetwork(factory))
    hospitals = sites(task, [80, 60, 90])
    before = torch.random.get_rng_state(), torch.get_num_threads()
    state, again = ring_run(task, hospitals), ring_run(task, hospitals)
    assert state == again
    assert state.quality.auroc.min() > 0.65
    assert torch.equal(before[0], torch.random.get_rng_state())
    assert before[1] == torch.get_num_threads()
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_module_whose_statistics_an_average_would_lose_is_refused():
    torch = pytest.importorskip("torch")
    from caduceus.learn.torch_fedavg import TorchNetwork

    network = TorchNetwork(lambda inputs: torch.nn.Sequential(torch.nn.BatchNorm1d(inputs), torch.nn.Linear(inputs, 1)))
    with pytest.raises(Refused, match=r"keeps buffers .* use GroupNorm"):
        network.parameters(5)


def test_a_module_of_another_size_or_with_two_outputs_is_a_misuse():
    torch = pytest.importorskip("torch")
    from caduceus.learn import torch_fedavg

    matrix, target = sample()
    with pytest.raises(Misuse, match="has 6 parameters"):
        torch_fedavg.train(torch.nn.Linear(5, 1), np.zeros(7), matrix, target, course(40))
    with pytest.raises(Misuse, match="16 outputs for 8 rows"):
        torch_fedavg.train(torch.nn.Linear(5, 2), np.zeros(12), matrix, target, course(40))


def test_whoever_combines_and_judges_needs_no_torch():
    """A coordinator or auditor of a perceptron's job, in a process where torch cannot be imported."""
    script = """
import sys
sys.modules["torch"] = None
sys.path.insert(0, sys.argv[1])
import numpy as np
from small_hospitals import CROSSED, SCHEMA, learning, sites
from test_fedavg import HIDDEN, first
from caduceus.learn.program import build_task
task = build_task(learning(averaging=HIDDEN, evaluation=CROSSED), SCHEMA)
hospitals = sites(task, [40, 30])
state = first(task, hospitals)
for _ in range(3):
    state = task.combine(state, np.full(task.length(state), 0.25), 2)
assert np.isfinite(task.contribute(state, hospitals[0])).all()
try:
    task.contribute(first(task, hospitals), hospitals[0])
except ImportError:
    print("only training asked for torch")
"""
    here = str(Path(__file__).parent)
    ran = subprocess.run([sys.executable, "-c", script, here], capture_output=True, text=True, check=False)
    assert ran.stdout == "only training asked for torch\n", ran.stderr


def test_gaps_are_filled_before_training_sees_them():
    task = build_task(learning(averaging=AVERAGING), SCHEMA)
    site = sites(task, [40])[0]
    assert np.isnan(site.features).any()
    state = first(task, [site])
    assert np.isfinite(moments.standardise(task.design, state.moments, site.features, 0)).all()
    assert np.isfinite(task.contribute(state, site)).all()
