"""Local training of torch modules: the one part of a job that needs torch.

The same arguments give the same change on one machine: one thread, no algorithm that torch knows to be
non-deterministic, batches decided beforehand, and the module's own random numbers seeded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import final

import numpy as np
import torch
from torch import nn

from caduceus.errors import Misuse, Refused
from caduceus.kinds import Floats
from caduceus.learn.clipped import clipped_sum
from caduceus.learn.fedavg import Course
from caduceus.learn.spec import TANH


def perceptron(inputs: int, hidden: Sequence[int], activation: str) -> nn.Module:
    """The torch twin of `perceptron.Perceptron`, with weights still to be set.

    activation  relu or tanh
    """
    layers: list[nn.Module] = []
    width = inputs
    for outputs in hidden:
        layers += [nn.Linear(width, outputs), nn.Tanh() if activation == TANH else nn.ReLU()]
        width = outputs
    return nn.Sequential(*layers, nn.Linear(width, 1))


@final
class TorchNetwork:
    """Any torch module as a `fedavg.Network`.

    factory  makes the module for a number of input columns; its output is one log-odds per row, its parameters
             are floats, and it keeps no buffers
    """

    __slots__ = ("_factory", "_sizes")

    def __init__(self, factory: Callable[[int], nn.Module]) -> None:
        self._factory = factory
        self._sizes: dict[int, int] = {}

    def parameters(self, inputs: int) -> int:
        """How many parameters the module has.

        Raises Refused if the module keeps buffers, such as running statistics, which an average would not carry.
        """
        if inputs not in self._sizes:
            self._sizes[inputs] = sum(parameter.numel() for parameter in self._module(inputs, 0).parameters())
        return self._sizes[inputs]

    def opening(self, inputs: int, seed: int) -> Floats:
        """The module's own first weights, drawn with `seed`: float64[parameters], the same with one torch version."""
        return _flat(self._module(inputs, seed))

    def slopes(self, inputs: int) -> Floats:
        """float64[parameters]: 1 for parameters of two or more axes, which penalties act on."""
        parameters = self._module(inputs, 0).parameters()
        return np.concatenate([np.full(one.numel(), float(one.dim() > 1)) for one in parameters])

    def clipped(self, weights: Floats, matrix: Floats, target: Floats, shares: Floats, clip: float) -> Floats:
        """The sum of all rows' gradients, each cut to Euclidean norm `clip` and then weighed: float64[parameters].

        In float64: what rounding does to the sum is part of what one patient can change (see `privacy.mechanisms`).
        """
        module = self._module(matrix.shape[1], 0).double()
        nn.utils.vector_to_parameters(torch.from_numpy(weights), module.parameters())
        with _deterministic(0):
            rows, wanted = torch.from_numpy(np.ascontiguousarray(matrix)), torch.from_numpy(target)
            found = clipped_sum(module, rows, wanted, clip=clip, weights=torch.from_numpy(shares))
        return np.asarray(found.total.double().numpy())

    def train(self, weights: Floats, matrix: Floats, target: Floats, course: Course) -> Floats:
        """The change that a course of gradient descent makes: float64[parameters]."""
        return train(self._module(matrix.shape[1], course.seed), weights, matrix, target, course)

    def log_odds(self, weights: Floats, matrix: Floats) -> Floats:
        """Predictions in evaluation mode: float64[rows]."""
        module = self._module(matrix.shape[1], 0)
        _load(module, weights)
        with _deterministic(0), torch.no_grad():
            scores = module.eval()(torch.from_numpy(matrix.astype(np.float32)))
        return np.asarray(scores.reshape(len(matrix)).double().numpy())

    def _module(self, inputs: int, seed: int) -> nn.Module:
        with _deterministic(seed):
            module = self._factory(inputs)
        if any(True for _ in module.buffers()):
            raise Refused(
                f"{type(module).__name__} keeps buffers (running statistics), which averaging would not carry; "
                "use GroupNorm or LayerNorm instead"
            )
        return module


def train(module: nn.Module, weights: Floats, matrix: Floats, target: Floats, course: Course) -> Floats:
    """Plain gradient descent on the mean logistic loss, in float32.

    module   takes float32[rows, inputs], returns one log-odds per row; its parameters are overwritten
    weights  float64[parameters], where to start
    matrix   float64[rows, inputs]
    target   float64[rows], 0 or 1
    returns  float64[parameters], the change; the penalty acts on parameters of two or more axes

    Raises Misuse if the module has another number of parameters or its output is not one number per row.
    """
    _load(module, weights)
    before = _flat(module)
    inputs = torch.from_numpy(matrix.astype(np.float32))
    wanted = torch.from_numpy(target.astype(np.float32))
    parameters = list(module.parameters())
    with _deterministic(course.seed):
        module.train()
        for batch in course.batches:
            rows = torch.from_numpy(batch)
            output = module(inputs[rows])
            if output.numel() != len(batch):
                raise Misuse(
                    f"{type(module).__name__}: {output.numel()} outputs for {len(batch)} rows, wanted one each"
                )
            loss = nn.functional.binary_cross_entropy_with_logits(output.reshape(-1), wanted[rows])
            gradients = torch.autograd.grad(loss, parameters)
            with torch.no_grad():
                for parameter, gradient in zip(parameters, gradients, strict=True):
                    if parameter.dim() > 1:
                        parameter.mul_(1.0 - course.rate * course.ridge)
                    parameter.sub_(gradient, alpha=course.rate)
    return _flat(module) - before


def _flat(module: nn.Module) -> Floats:
    flat = nn.utils.parameters_to_vector(module.parameters())
    return np.asarray(flat.detach().double().numpy())


def _load(module: nn.Module, weights: Floats) -> None:
    size = sum(parameter.numel() for parameter in module.parameters())
    if weights.shape != (size,):
        raise Misuse(f"{type(module).__name__} has {size} parameters, got {weights.shape}")
    nn.utils.vector_to_parameters(torch.from_numpy(weights.astype(np.float32)), module.parameters())


@contextmanager
def _deterministic(seed: int) -> Iterator[None]:
    """Torch's global switches set for repeatable work, and put back."""
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng(devices=[]):
        torch.random.manual_seed(seed)
        torch.set_num_threads(1)
        torch.use_deterministic_algorithms(True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(strict)
            torch.set_num_threads(threads)
