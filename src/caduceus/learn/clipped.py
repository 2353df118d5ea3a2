"""Sums of clipped gradients, one per record: what DP-SGD adds noise to (Abadi et al. 2016, algorithm 1).

Where every trained parameter sits in a linear layer that is used once, by `book_keeping`: the work of plain training.
Anything else, such as convolutions, embeddings, normalisation and layers used twice, record by record: whole gradients
by `torch.func`, so many at a time as fit a bounded room.

**Why a wrong norm cannot come out.** Book-keeping is used only where it is known to hold: a chain of layers is known
by their exact types; of any other module every use of a parameter is counted in every call, and automatic
differentiation says once that there are no uses but the counted ones. A module that is not walked as a chain sees one
record at a time, so nothing that mixes the records of a batch can carry one into another's gradient; such a module is
trained as if every batch had one row. (Asking whether one record's loss has a gradient by another's values would not
do: a module that mixes with `detach` passes.) Taken for granted: a forward pass keeps nothing for the next one.

**Floating point.** Norms are taken in float64 and rounded up, so that a record's share of the sum, made of the numbers
as they were computed, is no longer than the clip. `slack` bounds what adding up does. It also allows for something that
has no proof: which other rows are in a batch changes how a row's own numbers are rounded (a matrix product works in
blocks), so a record's share moves a little when another record leaves. A test measures that it is less than allowed;
a ReLU whose input is zero but for rounding may still move it by more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad
from torch.nn.modules.batchnorm import _BatchNorm

from caduceus.errors import Misuse, Refused
from caduceus.learn.book_keeping import PIECE, Books, Chain, Loss, Place, Watched, alone, log_loss, pieces

_BLOCK = 8192  # rows whose activations are kept at a time
_ROOM = 1 << 26  # bytes for whole gradients of single records
_JITTER = 64  # units in the last place that a share may move by when others leave; measured: below a quarter of it
_CLIPS = (1e-12, 1e12)  # no square of such a norm leaves float64, and no clipped number vanishes in float32


@dataclass(frozen=True, slots=True, eq=False)
class Clipped:
    """What came of some records.

    total  [parameters], the sum, over trained parameters in the order of `module.parameters()`
    norms  float64[rows], of the records' gradients before clipping. Made from single records: stays where they are
    """

    total: Tensor
    norms: Tensor


def clipped_sum(
    module: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    *,
    clip: float,
    weights: Tensor | None = None,
    loss: Loss = log_loss,
) -> Clipped:
    """Add up the gradients of single records' losses, each shortened to norm `clip` if it is longer.

    module   parameters are float32 or float64, all the same; those that require no gradient stand still
    inputs   [rows, ...]
    targets  [rows, ...]
    clip     1e-12 to 1e12, over all parameters together
    weights  [rows], 0 to 1: clipped gradients are multiplied by them. A patient whose m rows have weight 1 / m changes
             the sum by at most `clip`
    loss     of one record

    Raises Refused if the module mixes records, keeps buffers, has nothing to train or no finite gradient; Misuse if
    shapes or types do not fit. Whoever adds up often makes a `ClippedSum` once.
    """
    return ClippedSum(module, loss)(inputs, targets, clip=clip, weights=weights)


def slack(rows: int, dtype: torch.dtype, *, shares: float | None = None) -> float:
    """How far a computed sum can be from the exact sum of vectors no longer than the clip, divided by the clip.

    rows     at most so many are added up
    dtype    of the module
    shares   at most so much do their weights come to; as many as rows unless stated
    returns  a bound on the Euclidean norm; each of two neighbours' sums can be so far off

    A sum of products with a chain of n operations on each term is off by at most gamma(n) = n u / (1 - n u) times the
    sum of the terms' sizes, in any order (Higham 2002, sections 3.1 and 4.2); coordinate by coordinate, hence in norm.
    A term goes through at most PIECE operations in its piece and one for each piece, or through float64 from there on;
    _JITTER more stand for a share's own rounding.
    That no vector is longer than the clip times its weight is seen to in `_factors`. Why this has to be counted:
    Mironov 2012; Casacuberta et al. 2022.

    Raises Refused if so many rows cannot be bounded.
    """
    chain = min(rows, PIECE) + -(-rows // PIECE) + 2 + _JITTER
    off = chain * torch.finfo(dtype).eps / 2
    if off >= 0.5:
        raise Refused(f"a sum of {rows} rows in {dtype} has no useful bound; use float64")
    return (rows if shares is None else shares) * off / (1 - off)


@final
class ClippedSum:
    """`clipped_sum` for a module that is looked at once.

    Its parameters' values may change from then on; what it does with them may not.
    """

    __slots__ = ("_chain", "_looked", "_loss", "_module", "_places", "_watched", "dtype", "parameters")

    def __init__(self, module: nn.Module, loss: Loss = log_loss) -> None:
        _refuse_mixing(module)
        self._module, self._loss = module, loss
        self._places = {id(place.parameter): place for place in _placed(module)}
        self.dtype = next(iter(self._places.values())).parameter.dtype
        self.parameters = sum(place.parameter.numel() for place in self._places.values())
        self._chain = Chain.of(module, self._places, loss)
        self._watched: Watched | None = None
        self._looked = False

    def __call__(
        self, inputs: Tensor, targets: Tensor, *, clip: float, weights: Tensor | None = None, book_keeping: bool = True
    ) -> Clipped:
        """As `clipped_sum`.

        book_keeping  False: record by record, even where that is not needed
        """
        self._check(inputs, targets, clip, weights)
        way = self._book_keeping(inputs, targets) if book_keeping and len(inputs) else None
        total = torch.zeros(self.parameters, dtype=self.dtype if way else torch.float64, device=inputs.device)
        size = _BLOCK if way else min(max(_ROOM // (self.parameters * self.dtype.itemsize), 1), PIECE)
        norms = [total.new_zeros(0, dtype=torch.float64)]
        with torch.no_grad():
            for rows in pieces(len(inputs), size):
                books = way.keep(inputs[rows], targets[rows]) if way else self._whole(inputs[rows], targets[rows])
                norms.append(_norms(books))
                factors = _factors(norms[-1], clip, self.parameters, self.dtype)
                if weights is not None:
                    factors *= weights[rows]
                books.add(factors.to(self.dtype), total)
        return Clipped(total.to(self.dtype), torch.cat(norms))

    def _book_keeping(self, inputs: Tensor, targets: Tensor) -> Chain | Watched | None:
        """How to keep books of this module; None if that does not do."""
        if self._chain and inputs.dim() == 2:
            return self._chain
        if not self._looked:
            self._watched = Watched.of(self._module, self._places, self._loss, (inputs[:1], targets[0]))
            self._looked = True
        return self._watched

    def _whole(self, inputs: Tensor, targets: Tensor) -> _Whole:
        """Whole gradients of single records, per parameter."""

        def one(parameters: dict[int, Tensor], record: Tensor, target: Tensor) -> Tensor:
            named = {name: value for key, value in parameters.items() for name in self._places[key].names}
            # Its own search for shared weights leaves a part that is used twice with a stranger's values (torch 2.13).
            output = functional_call(self._module, named, (record.unsqueeze(0),), tie_weights=False)
            return self._loss(output.squeeze(0), target)

        trained = {key: place.parameter.detach() for key, place in self._places.items()}
        found = alone(grad(one), trained, inputs, targets)
        return _Whole([(self._places[key], gradients.flatten(1)) for key, gradients in found.items()])

    def _check(self, inputs: Tensor, targets: Tensor, clip: float, weights: Tensor | None) -> None:
        if not _CLIPS[0] <= clip <= _CLIPS[1]:
            raise Misuse(f"clipped sum: a clip is {_CLIPS[0]:g} to {_CLIPS[1]:g}, got {clip}")
        if len(targets) != len(inputs):
            raise Misuse(f"clipped sum: {len(inputs)} rows of inputs, {len(targets)} of targets")
        if inputs.is_floating_point() and inputs.dtype != self.dtype:
            raise Misuse(f"clipped sum: inputs are {inputs.dtype}, the module is {self.dtype}")
        if weights is not None and weights.shape != targets.shape[:1]:
            raise Misuse(f"clipped sum: weights {tuple(weights.shape)} for {len(inputs)} rows")
        if weights is not None and not bool(((weights >= 0) & (weights <= 1)).all()):
            raise Misuse("clipped sum: a weight is outside [0, 1]")
        if torch.get_float32_matmul_precision() != "highest" or torch.is_autocast_enabled(inputs.device.type):
            raise Refused("clipped sums need full precision: switch autocast and faster float32 products off")


@dataclass(frozen=True, slots=True, eq=False)
class _Whole:
    """Whole gradients of single records, [rows, numbers] per parameter. Does what `Books` does."""

    gradients: Sequence[tuple[Place, Tensor]]

    @property
    def names(self) -> list[str]:
        return [place.names[0] for place, _ in self.gradients]

    def squares(self) -> Tensor:
        parts = [torch.linalg.vector_norm(each, dim=1, dtype=torch.float64) for _, each in self.gradients]
        return torch.stack(parts).square_()

    def add(self, factors: Tensor, total: Tensor) -> None:
        """Pieces may be short here, and many: `total` is float64."""
        for place, each in self.gradients:
            total[place.where] += torch.mv(each.t(), factors)


def _norms(books: Books | _Whole) -> Tensor:
    """Norms of the records' gradients: float64[rows].

    Raises Refused if one is not finite.
    """
    parts = books.squares()
    total = parts.sum(0)
    if not math.isfinite(float(total.sum())):
        finite = parts.sum(1).isfinite().tolist()
        names = [name for name, fine in zip(books.names, finite, strict=True) if not fine]
        raise Refused(f"a record's gradient by {', '.join(names)} is not finite; look at the inputs, or lower the rate")
    return total.sqrt_()


def _factors(norms: Tensor, clip: float, parameters: int, dtype: torch.dtype) -> Tensor:
    """What records' gradients are multiplied by: float64[rows], at most 1.

    The norms are first made larger by more than they can be too small (a sum of squares in float64, every operation
    within u) and by more than rounding can lengthen a share: factor, factor times weight and factor times gradient are
    each rounded once to `dtype`, and a weight 1 / m was before.
    """
    margin = (parameters + 16) * 2.0**-52 + 4 * torch.finfo(dtype).eps
    return torch.clamp(clip / (norms * (1 + margin)), max=1.0)


def _placed(module: nn.Module) -> list[Place]:
    names: dict[int, list[str]] = {}
    for prefix, part in module.named_modules():
        for name, parameter in part.named_parameters(prefix, recurse=False, remove_duplicate=False):
            names.setdefault(id(parameter), []).append(name)
    places, start = [], 0
    for parameter in module.parameters():
        if parameter.requires_grad:
            where = slice(start, start + parameter.numel())
            places.append(Place(tuple(names[id(parameter)]), parameter, where))
            start += parameter.numel()
    if not places:
        raise Refused(f"{type(module).__name__} has no parameters to train")
    dtypes = {parameter.dtype for parameter in module.parameters()}
    if len(dtypes) > 1 or not dtypes <= {torch.float32, torch.float64}:
        raise Refused(f"{type(module).__name__}: parameters are {sorted(map(str, dtypes))}, wanted float32 or float64")
    return places


def _refuse_mixing(module: nn.Module) -> None:
    for name, part in module.named_modules():
        if isinstance(part, _BatchNorm):
            raise Refused(f"{name or type(part).__name__} mixes the records of a batch; use GroupNorm or LayerNorm")
    if names := [name for name, _ in module.named_buffers()]:
        raise Refused(
            f"{type(module).__name__} keeps buffers ({', '.join(names)}), which no clip bounds; make constants plain "
            "attributes, and use GroupNorm or LayerNorm instead of running statistics"
        )
