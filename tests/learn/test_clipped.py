import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from caduceus.errors import Misuse, Refused
from caduceus.learn.book_keeping import PIECE, Chain, Watched
from caduceus.learn.clipped import _JITTER, ClippedSum, clipped_sum, slack
from caduceus.learn.torch_fedavg import perceptron

WIDTH = 6
CLIP = 0.4


class Between(nn.Module):
    """Linear layers inside of others, with functions between them."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.ModuleDict({"a": nn.Linear(WIDTH, 5), "b": nn.Linear(5, 5, bias=False)})
        self.out = nn.Linear(10, 1)

    def forward(self, x: Tensor) -> Tensor:
        a = nn.functional.gelu(self.inner["a"](x))
        b = torch.sin(nn.functional.linear(a, self.inner["b"].weight)) * a
        return self.out(torch.cat([a, b], dim=1))


class Tied(nn.Module):
    """A layer that is used twice, the second time without its module."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.out = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.tanh(self.b(torch.tanh(self.a(x)))) @ self.a.weight)


class Penalised(nn.Module):
    """A weight that is used once as a layer, and once more as a number."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.out = nn.Linear(WIDTH, 3), nn.Linear(3, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.tanh(self.a(x))) + self.a.weight.square().sum()


class Tokens(nn.Module):
    """An embedding, and a linear layer that is applied to each of several rows of a record."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.mix, self.out = nn.Embedding(7, 4), nn.Linear(4, 4), nn.Linear(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.relu(self.mix(self.table(x.abs().mul(3).long().clamp(max=6)))).mean(1))


class Image(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.out = nn.Conv1d(1, 3, 3), nn.GroupNorm(1, 3), nn.Linear(12, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.relu(self.norm(self.conv(x.unsqueeze(1)))).flatten(1))


class Centred(nn.Module):
    """Mixes the records of a batch, in a way that no gradient shows."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.out = nn.Linear(WIDTH, 4), nn.Linear(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.a(x)
        return self.out(torch.tanh(hidden - hidden.detach().mean(0) / 2))


class Shared(nn.Module):
    """Two layers that hold the same weight."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.out = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 1)
        self.b.weight = self.a.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.tanh(self.b(torch.tanh(self.a(x)))))


def frozen(module: nn.Module, *names: str) -> nn.Module:
    for name, parameter in module.named_parameters():
        if name in names:
            parameter.requires_grad_(False)
    return module


def twice() -> nn.Module:
    layer = nn.Linear(WIDTH, WIDTH)
    return nn.Sequential(layer, nn.ReLU(), layer, nn.Tanh(), nn.Linear(WIDTH, 1))


def hooked() -> nn.Module:
    module = perceptron(WIDTH, (4,), "relu")
    module[0].register_forward_hook(lambda layer, inputs, output: output * 2)
    return module


CHAINS = {
    "two layers without a function between": lambda: nn.Sequential(
        nn.Linear(WIDTH, 4), nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 1), nn.Sigmoid()
    ),
    "logistic": lambda: nn.Linear(WIDTH, 1),
    "relu": lambda: perceptron(WIDTH, (8, 5), "relu"),
    "tanh": lambda: perceptron(WIDTH, (8, 8, 3), "tanh"),
    "no bias": lambda: nn.Sequential(nn.Linear(WIDTH, 5, bias=False), nn.Sigmoid(), nn.Linear(5, 1, bias=False)),
    "one wide": lambda: nn.Sequential(nn.Linear(WIDTH, 1), nn.Sigmoid(), nn.Linear(1, 1)),
    "nested": lambda: nn.Sequential(
        nn.Tanh(), nn.Sequential(nn.Linear(WIDTH, 4), nn.Identity(), nn.ReLU(), nn.Tanh()), nn.Linear(4, 1)
    ),
    "first layer frozen": lambda: frozen(perceptron(WIDTH, (8, 5), "relu"), "0.weight", "0.bias"),
    "last layer frozen": lambda: frozen(perceptron(WIDTH, (8, 5), "tanh"), "4.weight", "4.bias"),
    "a weight and a bias frozen": lambda: frozen(perceptron(WIDTH, (8, 5), "tanh"), "0.bias", "2.weight"),
}
WATCHED = {
    "functions between": Between,
    "gelu": lambda: nn.Sequential(nn.Linear(WIDTH, 4), nn.GELU(), nn.Linear(4, 1)),
    "a hook": hooked,
    "a weight and a bias frozen, watched": lambda: frozen(Between(), "inner.a.weight", "out.bias"),
    "mixing": Centred,
}
WHOLE = {
    "one layer twice": twice,
    "one weight in two layers": Shared,
    "a weight used elsewhere": Tied,
    "a penalty in the forward pass": Penalised,
    "layer normalisation": lambda: nn.Sequential(nn.Linear(WIDTH, 4), nn.LayerNorm(4), nn.ReLU(), nn.Linear(4, 1)),
    "convolution": Image,
    "embedding": Tokens,
}
EVERY = CHAINS | WATCHED | WHOLE


def build(name: str, dtype: torch.dtype = torch.float64) -> nn.Module:
    torch.manual_seed(3)
    return EVERY[name]().to(dtype)


def rows(count: int, dtype: torch.dtype = torch.float64, seed: int = 1) -> tuple[Tensor, Tensor]:
    draw = np.random.default_rng(seed)
    return torch.tensor(draw.normal(size=(count, WIDTH)) * 1.5, dtype=dtype), torch.tensor(
        draw.integers(0, 2, count), dtype=dtype
    )


def one_by_one(module: nn.Module, inputs: Tensor, targets: Tensor, weights: Tensor | None = None, clip: float = CLIP):
    """What the definition says, in a loop: the sum and the norms."""
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    total, norms = 0.0, []
    for i in range(len(inputs)):
        loss = nn.functional.binary_cross_entropy_with_logits(module(inputs[i : i + 1])[0, 0], targets[i])
        parts = torch.autograd.grad(loss, trained, allow_unused=True, materialize_grads=True)
        gradient = torch.cat([part.reshape(-1) for part in parts])
        norms.append(float(gradient.norm()))
        share = gradient * min(1.0, clip / norms[-1]) if norms[-1] else gradient
        total = total + share * (1.0 if weights is None else float(weights[i]))
    return total, torch.tensor(norms, dtype=torch.float64)


@pytest.mark.parametrize("name", EVERY)
def test_every_way_gives_what_a_loop_over_records_gives(name):
    module, (inputs, targets) = build(name), rows(23)
    clip = float(one_by_one(module, inputs, targets)[1].median())
    for weights in (None, torch.linspace(0, 1, 23, dtype=torch.float64)):
        total, norms = one_by_one(module, inputs, targets, weights, clip)
        for book_keeping in (True, False):
            found = ClippedSum(module)(inputs, targets, clip=clip, weights=weights, book_keeping=book_keeping)
            torch.testing.assert_close(found.total, total, rtol=1e-9, atol=1e-11)
            torch.testing.assert_close(found.norms, norms, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", EVERY)
def test_books_are_kept_just_where_each_parameter_sits_in_a_linear_layer_that_is_used_once(name):
    way = ClippedSum(build(name))._book_keeping(*rows(3))
    assert type(way) is (Chain if name in CHAINS else Watched if name in WATCHED else type(None))


def test_a_linear_layer_on_several_rows_per_record_goes_record_by_record():
    module = nn.Sequential(nn.Linear(WIDTH, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    inputs, targets = rows(30)
    inputs, targets = inputs.reshape(10, 3, WIDTH), targets[:10]
    summing = ClippedSum(module, lambda output, target: (output.sum() - target).square())
    assert summing._book_keeping(inputs, targets) is None
    found = summing(inputs, targets, clip=1e6)
    loss = (module(inputs).sum((1, 2)) - targets).square().sum()
    parts = torch.autograd.grad(loss, list(module.parameters()))
    torch.testing.assert_close(found.total, torch.cat([part.reshape(-1) for part in parts]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["relu", "functions between", "mixing", "convolution"])
def test_another_record_in_the_batch_changes_no_record_s_norm(name):
    module, (inputs, targets) = build(name), rows(9)
    alone = clipped_sum(module, inputs[:8], targets[:8], clip=CLIP)
    inputs[8] *= 1e6
    together = clipped_sum(module, inputs, targets, clip=CLIP)
    torch.testing.assert_close(together.norms[:8], alone.norms, rtol=1e-12, atol=0)
    assert float((together.total - alone.total).norm()) <= CLIP * (1 + 1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("hidden", [(), (1,), (37,), (64, 64), (513, 3)])
def test_a_record_s_share_moves_less_than_is_allowed_for_when_others_leave_the_batch(hidden, dtype):
    torch.manual_seed(1)
    module, clip = perceptron(41, hidden, "tanh").to(dtype), 0.05
    inputs, targets = torch.randn(257, 41, dtype=dtype), torch.ones(257, dtype=dtype)
    summing, alone = ClippedSum(module), {}
    for count in (1, 2, 3, 8, 61, 256, 257):
        for first in {0, 257 - count}:
            weights = torch.zeros(count, dtype=dtype)
            weights[0] = 1.0  # the others are there and add nothing
            batch = slice(first, first + count)
            share = summing(inputs[batch], targets[batch], clip=clip, weights=weights).total.double()
            moved = float((share - alone.setdefault(first, share)).norm())
            assert moved <= _JITTER / 4 * torch.finfo(dtype).eps / 2 * clip


@pytest.mark.parametrize("book_keeping", [True, False])
def test_a_sum_is_no_farther_from_exact_shares_than_the_slack_and_no_share_is_longer_than_the_clip(book_keeping):
    torch.manual_seed(2)
    module, count = perceptron(5, (7,), "tanh").float(), PIECE + 60
    inputs, targets = torch.randn(count, 5) * 2, torch.ones(count)
    summing = ClippedSum(module)
    found = summing(inputs, targets, clip=0.01, book_keeping=book_keeping)
    exact = [Fraction(0)] * summing.parameters
    for i in range(count):
        share = summing(inputs[i : i + 1], targets[i : i + 1], clip=0.01, book_keeping=book_keeping).total
        entries = [Fraction(float(x)) for x in share]
        assert sum(x * x for x in entries) <= Fraction(0.01) ** 2 * (1 + Fraction(1, 10**12))
        exact = [a + b for a, b in zip(exact, entries, strict=True)]
    off = math.sqrt(sum((Fraction(float(a)) - b) ** 2 for a, b in zip(found.total, exact, strict=True)))
    bound = slack(count, torch.float32) * 0.01
    assert 0 < off < bound
    assert bound < 0.01 * 0.01


def test_the_slack_grows_with_rows_and_is_refused_where_it_says_nothing():
    assert 2 * slack(400, torch.float64) < 1e-10
    assert slack(400, torch.float32) < slack(401, torch.float32) < 0.01
    assert slack(300, torch.float32, shares=100) == pytest.approx(slack(300, torch.float32) / 3)
    assert slack(0, torch.float32) == 0
    with pytest.raises(Refused, match="use float64"):
        slack(1 << 32, torch.float32)


def test_an_adversary_s_rows_cannot_move_a_sum_by_more_than_the_clip():
    module = build("relu", torch.float32)
    inputs, targets = rows(40, torch.float32)
    inputs[7] *= 1e12
    inputs[11] = 0
    full = clipped_sum(module, inputs, targets, clip=CLIP).total
    for gone in range(40):
        kept = [i for i in range(40) if i != gone]
        less = clipped_sum(module, inputs[kept], targets[kept], clip=CLIP).total
        assert float((full - less).double().norm()) <= CLIP * (1 + 2 * slack(40, torch.float32))


def test_a_gradient_of_zero_stays_zero_and_no_rows_give_no_sum():
    module = nn.Linear(WIDTH, 1, bias=False).double()
    nothing = clipped_sum(module, torch.zeros(3, WIDTH, dtype=torch.float64), torch.ones(3).double(), clip=CLIP)
    assert not nothing.total.any()
    assert not nothing.norms.any()
    for book_keeping in (True, False):
        empty = ClippedSum(module)(*rows(0), clip=CLIP, book_keeping=book_keeping)
        assert empty.total.shape == (WIDTH,)
        assert empty.norms.shape == (0,)


def test_more_rows_than_one_block_are_added_up():
    module, (inputs, targets) = build("relu"), rows(9001)
    whole = clipped_sum(module, inputs, targets, clip=CLIP)
    halves = [clipped_sum(module, inputs[part], targets[part], clip=CLIP) for part in (slice(4500), slice(4500, 9001))]
    torch.testing.assert_close(whole.total, halves[0].total + halves[1].total)
    torch.testing.assert_close(whole.norms, torch.cat([halves[0].norms, halves[1].norms]))


@pytest.mark.parametrize("name", ["relu", "functions between", "convolution"])
def test_float32_gives_the_same_to_its_precision(name):
    inputs, targets = rows(50)
    exact = clipped_sum(build(name), inputs, targets, clip=CLIP)
    single = clipped_sum(build(name, torch.float32), inputs.float(), targets.float(), clip=CLIP)
    assert single.total.dtype == torch.float32
    assert single.norms.dtype == torch.float64
    torch.testing.assert_close(single.total.double(), exact.total, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["relu", "gelu", "layer normalisation"])
def test_another_loss_can_be_named(name):
    def squared(output: Tensor, target: Tensor) -> Tensor:
        return (output[0] - target).square() / 2

    module, (inputs, targets) = build(name), rows(12)
    for book_keeping in (True, False):
        found = ClippedSum(module, squared)(inputs, targets, clip=1e6, book_keeping=book_keeping)
        loss = ((module(inputs)[:, 0] - targets).square() / 2).sum()
        parts = torch.autograd.grad(loss, list(module.parameters()))
        torch.testing.assert_close(found.total, torch.cat([part.reshape(-1) for part in parts]), rtol=1e-4, atol=1e-4)


def test_dropout_draws_for_every_record_anew():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Dropout(0.5), nn.Linear(WIDTH, 1)).double()
    same = torch.ones(20, WIDTH, dtype=torch.float64)
    for book_keeping in (True, False):
        found = ClippedSum(module)(same, torch.ones(20).double(), clip=1e6, book_keeping=book_keeping)
        assert len({round(norm, 6) for norm in found.norms.tolist()}) > 3


@pytest.mark.parametrize("book_keeping", [True, False])
def test_a_gradient_that_is_not_finite_names_the_parameter(book_keeping):
    module, (inputs, targets) = build("relu"), rows(5)
    inputs[3, 2] = math.inf
    with pytest.raises(Refused, match=r"0\.weight.* is not finite"):
        ClippedSum(module)(inputs, targets, clip=CLIP, book_keeping=book_keeping)


def test_modules_that_mix_records_or_keep_buffers_or_have_nothing_to_train_are_refused():
    with pytest.raises(Refused, match="1 mixes the records of a batch; use GroupNorm or LayerNorm"):
        ClippedSum(nn.Sequential(nn.Linear(WIDTH, 4), nn.BatchNorm1d(4, track_running_stats=False), nn.Linear(4, 1)))
    module = nn.Linear(WIDTH, 1)
    module.register_buffer("seen", torch.zeros(1))
    with pytest.raises(Refused, match=r"keeps buffers \(seen\)"):
        ClippedSum(module)
    with pytest.raises(Refused, match="no parameters to train"):
        ClippedSum(frozen(nn.Linear(WIDTH, 1), "weight", "bias"))
    with pytest.raises(Refused, match="wanted float32 or float64"):
        ClippedSum(nn.Linear(WIDTH, 1).half())


def test_a_module_that_looks_at_values_cannot_run_on_one_record():
    class Looks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.out = nn.Linear(WIDTH, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.out(x) * (2 if float(x.sum()) > 0 else 1)

    with pytest.raises(Refused, match="cannot run on one record at a time"):
        clipped_sum(Looks(), *rows(4, torch.float32), clip=CLIP)


def test_a_module_that_changes_its_ways_is_refused():
    class Changes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.out, self.calls = nn.Linear(WIDTH, 1), 0

        def forward(self, x: Tensor) -> Tensor:
            self.calls += 1
            return self.out(x) if self.calls < 2 else self.out(x) + self.out(x)

    with pytest.raises(Refused, match="in another way than before"):
        clipped_sum(Changes(), *rows(4, torch.float32), clip=CLIP)


def test_arguments_that_do_not_fit_are_misuse():
    module, (inputs, targets) = build("relu"), rows(4)
    for clip in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(Misuse, match="a clip is"):
            clipped_sum(module, inputs, targets, clip=clip)
    with pytest.raises(Misuse, match="4 rows of inputs, 3 of targets"):
        clipped_sum(module, inputs, targets[:3], clip=CLIP)
    with pytest.raises(Misuse, match="inputs are torch"):
        clipped_sum(module, inputs.float(), targets, clip=CLIP)
    for weight in (1.5, -0.1, math.nan):
        with pytest.raises(Misuse, match="outside"):
            clipped_sum(module, inputs, targets, clip=CLIP, weights=torch.full((4,), weight))
    with pytest.raises(Misuse, match="2 outputs per row"):
        clipped_sum(nn.Linear(WIDTH, 2).double(), inputs, targets, clip=CLIP)


def test_faster_products_of_fewer_bits_are_refused():
    module, (inputs, targets) = build("relu", torch.float32), rows(4, torch.float32)
    with torch.autocast("cpu"), pytest.raises(Refused, match="full precision"):
        clipped_sum(module, inputs, targets, clip=CLIP)
    torch.set_float32_matmul_precision("medium")
    try:
        with pytest.raises(Refused, match="full precision"):
            clipped_sum(module, inputs, targets, clip=CLIP)
    finally:
        torch.set_float32_matmul_precision("highest")


@pytest.mark.parametrize("name", ["relu", "tanh", "no bias", "convolution"])
def test_opacus_clips_to_the_same_sum(name):
    opacus = pytest.importorskip("opacus", reason="the peer: pip install opacus")
    module, (inputs, targets) = build(name), rows(40)
    found = clipped_sum(module, inputs, targets, clip=CLIP)
    peer = opacus.GradSampleModule(build(name), loss_reduction="sum")
    nn.functional.binary_cross_entropy_with_logits(peer(inputs).reshape(-1), targets, reduction="sum").backward()
    optimizer = opacus.optimizers.DPOptimizer(
        torch.optim.SGD(peer.parameters(), lr=1.0),
        noise_multiplier=0.0,
        max_grad_norm=CLIP,
        expected_batch_size=1,
        loss_reduction="sum",
    )
    optimizer.clip_and_accumulate()
    total = torch.cat([parameter.summed_grad.reshape(-1) for parameter in peer.parameters()])
    torch.testing.assert_close(found.total, total, rtol=1e-5, atol=1e-6)
