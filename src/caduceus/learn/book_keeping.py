"""Gradients of single records that never exist: what linear layers saw and passed back, and what follows from it.

The gradient of one record's loss by the weight of a linear layer is the outer product of g, the gradient by the layer's
output, and a, the layer's input. So its norm is |g| |a| (Goodfellow 2015), and a weighted sum of such gradients over
records is one matrix product (Bu et al. 2022, algorithm 1): the work of plain training, and no more memory.

Two ways to a and g, and neither guesses what a layer does. A `Chain` of layers whose kinds are known exactly is walked
by hand. Any other module is `Watched` while `torch.func` runs it on one record, as a batch of one row (the machine does
all of them at once): whatever it does with the rows of a batch, it has no other record to do it with.

Source: Bu, Wang, Zha, Karypis, "Differentially Private Optimization on Large Model at Small Cost" (2022);
Goodfellow, "Efficient Per-Example Gradient Computations" (2015).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, cast, final

import torch
from torch import Tensor, nn
from torch.func import grad, vmap
from torch.overrides import TorchFunctionMode

from caduceus.errors import Misuse, Refused

Loss = Callable[[Tensor, Tensor], Tensor]
"""From one record's output and target to one number, by functions that `torch.func.vmap` knows."""

PIECE = 256
"""Rows that one matrix product adds up; the sums of pieces are added one after the other."""

_aten = torch.ops.aten


def log_loss(output: Tensor, target: Tensor) -> Tensor:
    """Binary cross entropy of one record's log-odds.

    output  one number, of any shape
    target  0 to 1

    Raises Misuse if there is more than one output.
    """
    if output.numel() != 1:
        raise Misuse(f"log loss: {output.numel()} outputs per row, wanted one")
    return nn.functional.binary_cross_entropy_with_logits(output.reshape(()), target.to(output.dtype))


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A trained parameter, and where it lies in the flat sum.

    names  of all places in the module that hold it; a part that is used twice has one
    """

    names: tuple[str, ...]
    parameter: nn.Parameter
    where: slice


Places = Mapping[int, Place]
"""By the parameter's identity, in the order of `module.parameters()`."""


@dataclass(frozen=True, slots=True, eq=False)
class Use:
    """One use of a linear layer by some records.

    inputs  [rows, ins]
    slopes  [rows, outs], gradients of the records' losses by the layer's output
    weight  None if it stands still
    bias    None if there is none, or it stands still
    """

    inputs: Tensor
    slopes: Tensor
    weight: Place | None
    bias: Place | None


@dataclass(frozen=True, slots=True, eq=False)
class Books:
    """All that linear layers with trained parameters saw of some records.

    uses   one of each layer
    owned  the slopes belong to these books alone: adding up may overwrite them
    """

    uses: Sequence[Use]
    owned: bool

    @property
    def names(self) -> list[str]:
        """Per use, what to look at if something is wrong there."""
        return [place.names[0] for use in self.uses if (place := use.weight or use.bias)]

    def squares(self) -> Tensor:
        """Squared norms of the records' gradients, by use: float64[uses, rows], taken in float64."""
        rows = len(self.uses[0].slopes)
        lengths = self.uses[0].slopes.new_empty((2, len(self.uses), rows), dtype=torch.float64)
        for use, slopes, inputs in zip(self.uses, lengths[0], lengths[1], strict=True):
            torch.linalg.vector_norm(use.slopes, dim=1, dtype=torch.float64, out=slopes)
            if use.weight:
                torch.linalg.vector_norm(use.inputs, dim=1, dtype=torch.float64, out=inputs)
            else:
                inputs.zero_()
        lengths.square_()
        biases = torch.tensor([1.0 if use.bias else 0.0 for use in self.uses], dtype=torch.float64)
        return lengths[1].add_(biases.to(lengths.device).unsqueeze(1)).mul_(lengths[0])

    def add(self, factors: Tensor, total: Tensor) -> None:
        """Add the records' gradients, each times its factor, to the flat sum, in place.

        factors  [rows]
        total    [parameters]
        """
        column = factors.unsqueeze(1)
        parts = pieces(len(factors), PIECE)
        for use in self.uses:
            if use.bias:
                into = total[use.bias.where]
                for rows in parts:
                    into.addmv_(use.slopes[rows].t(), factors[rows])
            if use.weight:
                slopes = use.slopes.mul_(column) if self.owned else use.slopes * column
                into = total[use.weight.where].view_as(use.weight.parameter)
                for rows in parts:
                    into.addmm_(slopes[rows].t(), use.inputs[rows])


def pieces(rows: int, size: int) -> list[slice]:
    """Cut `rows` into pieces of at most `size`."""
    return [slice(start, min(start + size, rows)) for start in range(0, rows, size)]


def alone(function: Callable[..., Any], shared: dict[int, Tensor], inputs: Tensor, targets: Tensor) -> Any:
    """What a function of shared values, a record and its target gives for many records; none of them sees another.

    Raises Refused if it does something that cannot be done for one record at a time.
    """
    try:
        return vmap(function, in_dims=(None, 0, 0), randomness="different")(shared, inputs, targets)
    except (RuntimeError, ValueError) as error:
        raise Refused(
            "the module or its loss cannot run on one record at a time (torch.func.vmap); if its forward pass looks at "
            "values or changes what it keeps, write it without"
        ) from error


@final
class Chain:
    """Linear layers and functions of single numbers, one after the other: walked forward and back by hand."""

    __slots__ = ("_first", "_loss", "_places", "_room", "_steps")

    def __init__(self, steps: Sequence[_Step], places: Places, loss: Loss) -> None:
        self._steps, self._places, self._loss = tuple(steps), places, loss
        self._room = _Room()
        self._first = next(i for i, step in enumerate(steps) if isinstance(step, nn.Linear) and _trained(step, places))

    @classmethod
    def of(cls, module: nn.Module, places: Places, loss: Loss) -> Chain | None:
        """The chain that a module is; None if it is anything else."""
        steps = []
        for step in _steps(module):
            if step is None:
                return None
            steps.append(step)
        used = [id(p) for step in steps if isinstance(step, nn.Linear) for p in step.parameters()]
        if len(used) != len(set(used)) or not places.keys() <= set(used):
            return None
        return cls(steps, places, loss)

    def keep(self, inputs: Tensor, targets: Tensor) -> Books:
        """How the layers are used by records: inputs [rows, ins], targets [rows, ...]."""
        values = self._forward(inputs)
        slopes = self._first_slopes(values[-1], targets)
        found = []
        for i in range(len(self._steps) - 1, self._first - 1, -1):
            step = self._steps[i]
            if not isinstance(step, nn.Linear):
                step.backward(slopes, values[i + 1])
                continue
            if _trained(step, self._places):
                weight, bias = self._places.get(id(step.weight)), self._places.get(id(step.bias))
                found.append(Use(values[i], slopes, weight, bias))
            if i > self._first:
                slopes = torch.mm(slopes, step.weight, out=self._room.take(step.in_features))
        return Books(found, owned=True)

    def _forward(self, inputs: Tensor) -> list[Tensor]:
        """What goes into each step, and the output."""
        self._room.empty(inputs)
        values = [inputs]
        for i, step in enumerate(self._steps):
            before = values[-1]
            if isinstance(step, nn.Linear):
                out = self._room.take(step.out_features)
                bias = cast("Tensor | None", step.bias)  # torch's own types forget that there may be none
                if bias is None:
                    torch.mm(before, step.weight.t(), out=out)
                else:
                    torch.addmm(bias, before, step.weight.t(), out=out)
            else:  # a layer's own output is needed no more: the next function of it may stand in its place
                out = before if i and isinstance(self._steps[i - 1], nn.Linear) else self._room.take(before.shape[1])
                step.forward(before, out)
            values.append(out)
        return values

    def _first_slopes(self, output: Tensor, targets: Tensor) -> Tensor:
        """Gradients of the losses by the outputs: [rows, outs]."""
        if self._loss is not log_loss or output.shape[1] != 1 or targets.dim() != 1:

            def slope(_: dict[int, Tensor], one: Tensor, target: Tensor) -> Any:
                return grad(self._loss)(one, target)

            found: Tensor = alone(slope, {}, output, targets)
            return found.clone(memory_format=torch.contiguous_format)
        return torch.sigmoid(output).sub_(targets.to(output.dtype).unsqueeze(1))


@final
class Watched:
    """Any module whose trained parameters all sit in linear layers that a forward pass uses once."""

    __slots__ = ("_loss", "_module", "_places")

    def __init__(self, module: nn.Module, places: Places, loss: Loss) -> None:
        self._module, self._places, self._loss = module, places, loss

    @classmethod
    def of(cls, module: nn.Module, places: Places, loss: Loss, example: tuple[Tensor, Tensor]) -> Watched | None:
        """The same module, if it is such a one; None if a parameter is used in any other way.

        example  one record, [1, ...], and its target: where parameters are used depends on no record's values, as
                 `torch.func` refuses modules that look at them
        """
        if any(place.parameter.dim() > 2 for place in places.values()):
            return None
        device = example[0].device
        watch = _Watch(places, None)
        with torch.enable_grad(), torch.random.fork_rng([device] if device.type == "cuda" else []):
            with watch:
                value = loss(module(example[0])[0], example[1])
            if not watch.once:
                return None
            # The layers were cut off, so a gradient comes only from a parameter that is used elsewhere too.
            trained = [place.parameter for place in places.values()]
            others = torch.autograd.grad(value, trained, allow_unused=True) if value.requires_grad else ()
        return cls(module, places, loss) if all(other is None for other in others) else None

    def keep(self, inputs: Tensor, targets: Tensor) -> Books:
        """How the layers are used by records: inputs [rows, ...], targets [rows, ...].

        Raises Refused if they are used in another way than at first, or the module cannot run on one record.
        """
        biases: dict[int, int] = {}

        def one(shifts: dict[int, Tensor], record: Tensor, target: Tensor) -> tuple[Tensor, dict[int, Tensor]]:
            watch = _Watch(self._places, shifts)
            with watch:
                value = self._loss(self._module(record.unsqueeze(0)).squeeze(0), target)
            if not watch.once:
                raise Refused(f"{type(self._module).__name__} uses its layers in another way than before")
            biases.update(watch.biases)
            return value, watch.inputs

        shifts = {key: place.parameter.new_zeros(len(place.parameter)) for key, place in self._places.items()}
        slopes, seen = alone(grad(one, has_aux=True), shifts, inputs, targets)
        return Books(
            [
                Use(kept, slopes[key], self._places[key] if key != biases[key] else None, self._places.get(biases[key]))
                for key, kept in seen.items()
            ],
            owned=False,
        )


@final
class _Watch(TorchFunctionMode):
    """Watches linear layers that have trained parameters while a module runs.

    shifts  per layer, zeros to add to its output, by which to differentiate
            None: cut the layers' parameters off instead
    A layer is known by its weight or, if that stands still, its bias.
    """

    def __init__(self, places: Places, shifts: Mapping[int, Tensor] | None) -> None:
        super().__init__()
        self._shifts = shifts
        self._counts = dict.fromkeys(places, 0)
        self._one_row = True
        self.inputs: dict[int, Tensor] = {}
        self.biases: dict[int, int] = {}

    @property
    def once(self) -> bool:
        """Whether each parameter was used once, in a layer whose input was one row."""
        return self._one_row and all(count == 1 for count in self._counts.values())

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        run = self._linear if func is nn.functional.linear else func
        return run(*args, **(kwargs or {}))

    def _linear(self, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:  # noqa: A002
        trained = [id(parameter) for parameter in (weight, bias) if id(parameter) in self._counts]
        if not trained:
            return nn.functional.linear(input, weight, bias)
        for parameter in trained:
            self._counts[parameter] += 1
        self._one_row &= input.dim() == 1 or (input.dim() == 2 and len(input) == 1)
        layer = trained[0]
        self.inputs[layer] = input.reshape(-1)
        self.biases[layer] = trained[-1] if trained[-1] == id(bias) else 0
        output = nn.functional.linear(input, weight.detach(), None if bias is None else bias.detach())
        return output if self._shifts is None else output + self._shifts[layer]


@final
class _Room:
    """Memory for a walk, which the next walk uses again: fresh memory costs page faults, a fifth of the time of all."""

    __slots__ = ("_memory", "_rows", "_taken")

    def __init__(self) -> None:
        self._memory, self._rows, self._taken = torch.empty(0), 0, 0

    def empty(self, like: Tensor) -> None:
        """Take everything back, and be ready for rows such as those: [rows, ...]."""
        if self._taken > len(self._memory) or (self._memory.dtype, self._memory.device) != (like.dtype, like.device):
            self._memory = like.new_empty(self._taken + self._taken // 4)
        self._rows, self._taken = len(like), 0

    def take(self, columns: int) -> Tensor:
        """Memory whose values don't matter: [rows, columns]."""
        start, size = self._taken, self._rows * columns
        self._taken += -(-size // 16) * 16  # products are faster where memory is aligned
        if self._taken > len(self._memory):
            return self._memory.new_empty((self._rows, columns))
        return self._memory[start : start + size].view(self._rows, columns)


@dataclass(frozen=True, slots=True, eq=False)
class _Pointwise:
    """A function of single numbers that knows its slope from its value.

    forward   from the input; writes into the second
    backward  turns the gradient by the output, in place, into that by the input; the second is the output
    """

    forward: Callable[[Tensor, Tensor], object]
    backward: Callable[[Tensor, Tensor], object]


_Step = nn.Linear | _Pointwise
_POINTWISE: Mapping[type[nn.Module], _Pointwise] = MappingProxyType(
    {
        nn.ReLU: _Pointwise(
            lambda x, out: torch.clamp(x, min=0, out=out),
            lambda slope, y: _aten.threshold_backward.grad_input(slope, y, 0, grad_input=slope),
        ),
        nn.Tanh: _Pointwise(
            lambda x, out: torch.tanh(x, out=out),
            lambda slope, y: _aten.tanh_backward.grad_input(slope, y, grad_input=slope),
        ),
        nn.Sigmoid: _Pointwise(
            lambda x, out: torch.sigmoid(x, out=out),
            lambda slope, y: _aten.sigmoid_backward.grad_input(slope, y, grad_input=slope),
        ),
    }
)
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def _steps(module: nn.Module) -> Iterator[_Step | None]:
    """A chain's steps in their order; None for what is not known exactly."""
    if "forward" in vars(module) or any(vars(module)[hooks] for hooks in _HOOKS):
        yield None  # it does something else than its type says
    elif isinstance(module, nn.Sequential) and type(module) is nn.Sequential:
        for child in module:  # one that comes twice is walked twice
            yield from _steps(child)
    elif isinstance(module, nn.Linear) and type(module) is nn.Linear and isinstance(module.weight, nn.Parameter):
        yield module
    elif type(module) is not nn.Identity:
        yield _POINTWISE.get(type(module))


def _trained(layer: nn.Linear, places: Places) -> bool:
    return id(layer.weight) in places or id(layer.bias) in places
