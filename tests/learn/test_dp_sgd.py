import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from caduceus.errors import Misuse, Refused
from caduceus.learn.clipped import clipped_sum, slack
from caduceus.learn.dp_sgd import Course, Table, Trained, noise, train
from caduceus.learn.torch_fedavg import perceptron

KEY = bytes(range(32))
QUIET = Course(steps=1, rate=1.0, clip=0.5, multiplier=1e-3, patients=30, length=1.0)
LOUD = Course(steps=60, rate=0.2, clip=1.0, multiplier=1.0, patients=400, length=1.0)


def table(count: int, width: int = 5, dtype: torch.dtype = torch.float64) -> Table:
    draw = np.random.default_rng(4)
    inputs = draw.normal(size=(count, width))
    targets = (inputs[:, 0] - inputs[:, 1] + 0.3 * draw.normal(size=count) > 0).astype(float)
    return Table(torch.tensor(inputs, dtype=dtype), torch.tensor(targets, dtype=dtype))


def network(width: int = 5, dtype: torch.dtype = torch.float64) -> nn.Module:
    torch.manual_seed(5)
    return perceptron(width, (6,), "tanh").to(dtype)


def weights(module: nn.Module) -> Tensor:
    return nn.utils.parameters_to_vector(module.parameters()).detach().clone()


def chosen(rows: Table, course: Course, key: bytes = KEY) -> list[bool]:
    """Who was in a step: each row's input is an axis of its own, so its weight shows it."""
    module = nn.Linear(len(rows.inputs), 1, bias=False).double()
    nn.init.zeros_(module.weight)
    train(module, rows, course, key)
    return (module.weight[0] > course.length / (course.rate * course.patients) * 0.1).tolist()


def test_with_hardly_any_noise_a_training_takes_the_steps_that_the_definition_says():
    rows, course = table(30), replace(QUIET, steps=4, momentum=0.7, length=0.3)
    module, plain = network(), network()
    train(module, rows, course, KEY)
    velocity = torch.zeros(len(weights(plain)), dtype=torch.float64)
    for _ in range(4):
        velocity = 0.7 * velocity + clipped_sum(plain, rows.inputs, rows.targets, clip=0.5).total / 30
        nn.utils.vector_to_parameters(weights(plain) - 0.3 * velocity, plain.parameters())
    torch.testing.assert_close(weights(module), weights(plain), rtol=0, atol=1e-4)
    assert float((weights(module) - weights(network())).norm()) > 0.1


def test_the_noise_in_the_weights_is_the_noise_that_was_stated():
    course = Course(steps=3, rate=0.5, clip=2.0, multiplier=1.5, patients=100, length=0.25)
    module = nn.Linear(20_000, 1, bias=False)
    before = weights(module)
    nothing = Table(torch.zeros(100, 20_000), torch.ones(100))  # all gradients are zero
    done = train(module, nothing, course, KEY)
    change = (weights(module) - before).double() / (0.25 / 50)
    deviation = 2.0 * done.multiplier * math.sqrt(3)
    assert float(change.std()) == pytest.approx(deviation, rel=0.02)
    assert abs(float(change.mean())) < 4 * deviation / math.sqrt(20_000)
    assert done == Trained(done.multiplier, 0.5, 3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("multiplier", [0.3, 1.0, 7.7])
def test_the_multiplier_that_is_reported_is_there_with_slack_and_rounding_and_not_less_than_asked(multiplier, dtype):
    course = replace(LOUD, multiplier=multiplier, clip=0.3)
    found = noise(course, 12_345, dtype)
    change = Fraction(0.3) * (1 + 2 * Fraction(slack(course.most, dtype))) / Fraction(found.step)
    root = Fraction(math.isqrt(12_345 << 80) + 1, 1 << 40)  # of the parameters, rounded up
    assert Fraction(found.multiplier) ** 2 * (change + root) ** 2 <= found.variance
    assert multiplier <= found.multiplier <= multiplier * (1 + 1e-11)
    assert math.sqrt(found.variance) * found.step > 0.3 * multiplier


def test_more_patients_than_most_are_chosen_hardly_ever():
    for patients, rate in ((40, Fraction(1, 10)), (400, Fraction(1, 4)), (1000, Fraction(1, 64))):
        course = replace(LOUD, patients=patients, rate=float(rate))
        q = Fraction(course.rate)
        tail = sum(
            math.comb(patients, k) * q**k * (1 - q) ** (patients - k) for k in range(course.most + 1, patients + 1)
        )
        assert tail < Fraction(1, 2**100)
        assert rate * patients < course.most < patients
    assert replace(LOUD, rate=1.0).most == LOUD.patients
    assert replace(LOUD, patients=3, rate=0.5).most == 3


def test_the_same_key_gives_the_same_weights_and_another_key_gives_others():
    rows, found = table(400, dtype=torch.float32), []
    for key in (KEY, KEY, bytes(32)):
        module = network(dtype=torch.float32)
        module.insert(1, nn.Dropout(0.3))  # draws random numbers of its own
        train(module, rows, replace(LOUD, steps=5), key)
        found.append(weights(module))
        torch.rand(3)
    assert torch.equal(found[0], found[1])
    assert not torch.allclose(found[0], found[2])


def test_each_patient_is_in_a_step_with_the_stated_chance_and_steps_choose_anew():
    rows = Table(torch.eye(300).double(), torch.ones(300).double())
    course = replace(QUIET, rate=0.25, patients=300)
    first, other = chosen(rows, course), chosen(rows, course, bytes(32))
    assert 50 < sum(first) < 100
    assert first != other
    twice = chosen(rows, replace(course, steps=2))
    assert all(late or not early for early, late in zip(first, twice, strict=True))
    assert 100 < sum(twice) < 165


def test_all_rows_of_a_patient_are_in_a_step_together_and_weigh_as_one():
    patients = torch.arange(300) // 3
    rows = Table(torch.eye(300).double(), torch.ones(300).double(), patients)
    course = replace(QUIET, rate=0.5, patients=100, each=3)
    found = torch.tensor(chosen(rows, course)).reshape(100, 3)
    assert torch.equal(found.all(1), found.any(1))
    assert 30 < int(found.all(1).sum()) < 70

    module = nn.Linear(300, 1, bias=False).double()
    nn.init.zeros_(module.weight)
    train(module, rows, replace(course, rate=1.0), KEY)
    torch.testing.assert_close(module.weight[0], torch.full((300,), 0.5 / 3 / 100).double(), rtol=0, atol=1e-4)


def test_a_private_model_learns():
    rows, module = table(400, dtype=torch.float32), network(dtype=torch.float32)
    train(module, rows, LOUD, KEY)
    right = (module(rows.inputs).reshape(-1) > 0) == (rows.targets > 0.5)
    assert float(right.float().mean()) > 0.85


def test_what_stands_still_stays_and_parameters_keep_memory_of_their_own():
    module = network()
    module[0].bias.requires_grad_(False)
    before = weights(module)
    train(module, table(30), QUIET, KEY)
    after = weights(module)
    assert torch.equal(after[30:36], before[30:36])
    assert not torch.equal(after[:30], before[:30])
    assert {parameter.untyped_storage().nbytes() // 8 for parameter in module.parameters()} == {30, 6, 1}


def test_a_table_that_is_larger_than_the_course_says_is_refused():
    rows = table(31)
    with pytest.raises(Refused, match="has 31 patients"):
        train(network(), rows, QUIET, KEY)
    patients = replace(rows, patients=torch.arange(31) // 2)
    with pytest.raises(Refused, match="up to 2 rows, the course is made for 30 with up to 1"):
        train(network(), patients, QUIET, KEY)
    train(network(), patients, replace(QUIET, each=2), KEY)


def test_a_step_may_choose_nobody():
    module = network()
    train(module, table(3), replace(QUIET, rate=1e-9, multiplier=1.0), KEY)
    assert torch.isfinite(weights(module)).all()
    train(module, table(0), QUIET, KEY)


def test_sums_that_cannot_be_bounded_are_refused_in_float32_and_not_in_float64():
    course = replace(LOUD, patients=1_000_000, rate=1.0)
    with pytest.raises(Refused, match="use float64"):
        noise(course, 100, torch.float32)
    assert noise(course, 100, torch.float64).multiplier == pytest.approx(1.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"rate": 0.0},
        {"rate": 1.1},
        {"rate": math.nan},
        {"steps": 0},
        {"patients": 0},
        {"each": 0},
        {"clip": 0.0},
        {"clip": math.nan},
        {"multiplier": 0.0},
        {"multiplier": math.inf},
        {"length": 0.0},
        {"momentum": 1.0},
    ],
)
def test_a_course_out_of_range_is_refused(wrong):
    with pytest.raises(Refused):
        replace(LOUD, **wrong)


def test_tables_and_keys_that_do_not_fit_are_misuse():
    rows = table(10)
    with pytest.raises(Misuse, match="10 rows of inputs, 9 of targets"):
        train(network(), replace(rows, targets=rows.targets[:9]), QUIET, KEY)
    for patients in (torch.zeros(9).long(), torch.zeros(10), torch.full((10,), -1)):
        with pytest.raises(Misuse, match="patients"):
            train(network(), replace(rows, patients=patients), QUIET, KEY)
    with pytest.raises(Misuse, match="32"):
        train(network(), rows, QUIET, b"short")


def test_opacus_counts_the_same_epsilon_for_what_was_done():
    accountants = pytest.importorskip("opacus.accountants", reason="the peer: pip install opacus")
    from caduceus.privacy.accountant import epsilon
    from caduceus.privacy.events import Part, Spending

    done = train(network(), table(400), replace(LOUD, multiplier=1.2), KEY)
    ours = epsilon(Spending((Part((done.event,)),)), 1e-5)
    peer = accountants.PRVAccountant()
    peer.history = [(done.multiplier, done.rate, done.steps)]
    assert ours == pytest.approx(peer.get_epsilon(1e-5), rel=0.02)
