"""Sums of masks on a torch device: the same bytes as `crypto.keystream.apply`.

AES is bitsliced: bit b of a byte of 32 blocks is one word, and a block cipher is a circuit of ANDs and XORs over
whole arrays of such words. No table is looked up, so no time depends on a key. Keys and vectors reach the
device's memory: it must be as trusted as this machine's.

Source: FIPS 197; the S-box's circuit is Boyar and Peralta, "A new combinational logic minimization technique with
applications to cryptology" (SEA 2010), 115 gates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from caduceus.crypto import keystream
from caduceus.errors import Misuse, Refused
from caduceus.kinds import Residues

MEMORY = 1 << 28
"""Bytes on the device, besides the vector, that masks are made in unless told otherwise."""

_ROUNDS = 14
_LANES = 32  # blocks in a word
_BYTES_PER_WORD = 64 * 64  # a plane of 16 words; at most 64 planes live at once: the S-box's wires and the state
_BYTES_PER_KEY = 4 * 128 * (_ROUNDS + 1)
_CONSTANT = np.uint8(0x63)  # what the S-box adds last; moved into the round keys, see `_round_keys`

# Of a byte, x0 is the highest bit, and of its image s0; the constant is left out.
_CIRCUIT = """
y14=x3^x5 y13=x0^x6 y9=x0^x3 y8=x0^x5 t0=x1^x2 y1=t0^x7 y4=y1^x3 y12=y13^y14 y2=y1^x0 y5=y1^x6 y3=y5^y8 t1=x4^y12
y15=t1^x5 y20=t1^x1 y6=y15^x7 y10=y15^t0 y11=y20^y9 y7=x7^y11 y17=y10^y11 y19=y10^y8 y16=t0^y11 y21=y13^y16 y18=x0^y16
t2=y12&y15 t3=y3&y6 t4=t3^t2 t5=y4&x7 t6=t5^t2 t7=y13&y16 t8=y5&y1 t9=t8^t7 t10=y2&y7 t11=t10^t7 t12=y9&y11
t13=y14&y17 t14=t13^t12 t15=y8&y10 t16=t15^t12 t17=t4^t14 t18=t6^t16 t19=t9^t14 t20=t11^t16 t21=t17^y20 t22=t18^y19
t23=t19^y21 t24=t20^y18 t25=t21^t22 t26=t21&t23 t27=t24^t26 t28=t25&t27 t29=t28^t22 t30=t23^t24 t31=t22^t26 t32=t31&t30
t33=t32^t24 t34=t23^t33 t35=t27^t33 t36=t24&t35 t37=t36^t34 t38=t27^t36 t39=t29&t38 t40=t25^t39 t41=t40^t37 t42=t29^t33
t43=t29^t40 t44=t33^t37 t45=t42^t41
z0=t44&y15 z1=t37&y6 z2=t33&x7 z3=t43&y16 z4=t40&y1 z5=t29&y7 z6=t42&y11 z7=t45&y17 z8=t41&y10 z9=t44&y12 z10=t37&y3
z11=t33&y4 z12=t43&y13 z13=t40&y5 z14=t29&y2 z15=t42&y9 z16=t45&y14 z17=t41&y8
t46=z15^z16 t47=z10^z11 t48=z5^z13 t49=z9^z10 t50=z2^z12 t51=z2^z5 t52=z7^z8 t53=z0^z3 t54=z6^z7 t55=z16^z17
t56=z12^t48 t57=t50^t53 t58=z4^t46 t59=z3^t54 t60=t46^t57 t61=z14^t57 t62=t52^t58 t63=t49^t58 t64=z4^t59 t65=t61^t62
t66=z1^t63 s0=t59^t63 s6=t56^t62 s7=t48^t60 t67=t64^t65 s3=t53^t66 s4=t51^t66 s5=t47^t65 s1=t64^s3 s2=t55^t67
"""

_Gate = tuple[str, str, str, str, tuple[str, ...]]


def _gates() -> list[_Gate]:
    """The circuit as (output, left, operation, right, wires that nothing after this gate needs)."""
    rows = []
    for text in _CIRCUIT.split():
        output, _, term = text.partition("=")
        operation = "&" if "&" in term else "^"
        left, _, right = term.partition(operation)
        rows.append((output, left, operation, right))
    gates: list[_Gate] = []
    needed = {f"s{i}" for i in range(8)}
    for output, left, operation, right in reversed(rows):
        gates.append((output, left, operation, right, tuple({left, right} - needed)))
        needed |= {left, right}
    return gates[::-1]


_GATES = _gates()


def best_device() -> str | None:
    """The device that masks are best made on; None where there is none but the processor."""
    return "cuda" if torch.cuda.is_available() else None


def apply_on(
    device: str, vector: Residues, plus: Sequence[bytes], minus: Sequence[bytes], *, memory: int = MEMORY
) -> None:
    """Add the masks of some keys to `vector` and take those of others from it, in place.

    device  as torch names it: "cuda", "cuda:1", "cpu" (slow)
    vector  uint32[d] or uint64[d], contiguous, native byte order (little-endian), in this machine's memory
    plus    keys of 32 bytes whose masks are added
    minus   keys of 32 bytes whose masks are taken away
    memory  bytes on the device to make masks in, besides the vector; at least one key at a time is worked on

    Raises Misuse if a key or the vector is not such, Refused if there is no such device.
    """
    keystream.check(vector, plus, minus)
    if memory < 1:
        raise Misuse(f"masks: {memory} bytes of memory")
    if device not in _devices():
        raise Refused(f"masks: no device {device!r} here; there is {', '.join(_devices())}")
    signed = torch.from_numpy(vector.view(np.int32 if vector.itemsize == 4 else np.int64))
    total = signed.to(device)
    words = -(-vector.nbytes // (16 * _LANES))
    span = max(1, min(words, (memory - _BYTES_PER_KEY) // _BYTES_PER_WORD))
    group = max(1, memory // (span * _BYTES_PER_WORD + _BYTES_PER_KEY))
    entries = 16 * _LANES // vector.itemsize  # per word of blocks
    for keys, sign in ((plus, 1), (minus, -1)):
        for first in range(0, len(keys), group):
            round_keys = _round_keys(keys[first : first + group]).to(device)
            for start in range(0, words, span):
                blocks = _encrypted(_counters(start, min(span, words - start), device), round_keys)
                masks = _rows(blocks).view(total.dtype)  # [keys, entries]
                piece = total[start * entries : start * entries + masks.shape[1]]
                piece.add_(masks.sum(0, dtype=total.dtype)[: len(piece)], alpha=sign)
    signed.copy_(total)


def _devices() -> list[str]:
    count = torch.cuda.device_count()
    return ["cpu", *["cuda"][:count], *(f"cuda:{i}" for i in range(count))]


def _substituted(planes: Sequence[Any]) -> list[Any]:
    """The S-box, without its constant, of bytes given as eight planes of bits, lowest first."""
    wires = {f"x{7 - bit}": plane for bit, plane in enumerate(planes)}
    for output, left, operation, right, spent in _GATES:
        wires[output] = wires[left] & wires[right] if operation == "&" else wires[left] ^ wires[right]
        for name in spent:
            del wires[name]
    return [wires[f"s{7 - bit}"] for bit in range(8)]


def _substituted_bytes(values: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    planes = _substituted([values >> bit & 1 for bit in range(8)])
    packed = np.packbits(np.stack(planes, axis=-1), axis=-1, bitorder="little")[..., 0]
    return np.asarray(packed ^ _CONSTANT)


def _round_keys(keys: Sequence[bytes]) -> torch.Tensor:
    """AES-256's key schedule, as masks of bits: int32[rounds + 1, bit, keys, byte, 1], each 0 or -1.

    The S-box's constant stands in every byte, and neither moving bytes nor mixing columns changes that, so it is
    added with the key that follows.
    """
    schedule = np.empty((4 * (_ROUNDS + 1), len(keys), 4), np.uint8)
    schedule[:8] = np.frombuffer(b"".join(keys), np.uint8).reshape(len(keys), 8, 4).transpose(1, 0, 2)
    for i in range(8, len(schedule)):
        word = schedule[i - 1]
        if i % 8 == 0:
            word = _substituted_bytes(np.roll(word, -1, axis=1))
            word[:, 0] ^= np.uint8(1 << (i // 8 - 1))
        elif i % 8 == 4:
            word = _substituted_bytes(word)
        schedule[i] = schedule[i - 8] ^ word
    schedule[4:] ^= _CONSTANT
    rounds = schedule.reshape(_ROUNDS + 1, 4, len(keys), 4).transpose(0, 2, 1, 3).reshape(_ROUNDS + 1, len(keys), 16)
    bits = np.stack([rounds >> bit & 1 for bit in range(8)], axis=1)
    return torch.from_numpy(-bits.astype(np.int32)[..., None])


def _counters(start: int, words: int, device: str) -> torch.Tensor:
    """Counter blocks from number 32 * `start` on, as planes: int32[bit, 1, byte, words]."""
    planes = torch.zeros((8, 1, 16, words), dtype=torch.int32, device=device)
    number = torch.arange(start, start + words, dtype=torch.int64, device=device)
    for place in range((_LANES * (start + words) - 1).bit_length()):
        if place < 5:  # which lane of a word
            lanes = sum(1 << lane for lane in range(_LANES) if lane >> place & 1)
            value: Any = int(np.uint32(lanes).view(np.int32))
        else:
            value = -(number >> (place - 5) & 1).to(torch.int32)
        planes[place % 8, 0, 15 - place // 8] = value
    return planes


def _encrypted(state: torch.Tensor, round_keys: torch.Tensor) -> torch.Tensor:
    """The blocks under every key: int32[bit, keys, byte, words].

    state  int32[bit, 1, byte, words]: one input for all keys
    """
    rows_shifted = torch.tensor([(i + 4 * (i % 4)) % 16 for i in range(16)], device=state.device)
    state = state ^ round_keys[0]
    for number in range(1, _ROUNDS + 1):
        state = torch.stack(_substituted(list(state[:, :, rows_shifted])))
        if number < _ROUNDS:
            state = _mixed(state)
        state ^= round_keys[number]
    return state


def _mixed(state: torch.Tensor) -> torch.Tensor:
    """Columns of four bytes times the circulant of (2, 3, 1, 1) over GF(2^8)."""
    columns = state.view(8, state.shape[1], 4, 4, -1)
    after = columns.roll(-1, 3)
    pairs = columns ^ after
    mixed = pairs.roll(1, 0)  # times two: bits move up, and the one that falls off comes back as 0x1b
    for bit in (1, 3, 4):
        mixed[bit] ^= pairs[7]
    mixed ^= after
    mixed ^= pairs.roll(-2, 3)
    return mixed.view(state.shape)


def _rows(planes: torch.Tensor) -> torch.Tensor:
    """Blocks out of planes: int32[keys, 4 * blocks], little-endian words in the order of the stream.

    The 32 planes of four bytes are 32 x 32 matrices of bits, turned by swapping ever smaller quarters (Warren,
    Hacker's Delight, 7-3).
    """
    keys, words = planes.shape[1], planes.shape[3]
    matrix = planes.view(8, keys, 4, 4, words).permute(3, 0, 1, 4, 2).reshape(_LANES, keys, words, 4)
    for width, low in ((16, 0x0000FFFF), (8, 0x00FF00FF), (4, 0x0F0F0F0F), (2, 0x33333333), (1, 0x55555555)):
        upper, lower = matrix.view(_LANES // (2 * width), 2, width, keys, words, 4).unbind(1)
        swap = (upper >> width ^ lower) & low
        lower ^= swap
        upper ^= swap << width
    return matrix.permute(1, 2, 0, 3).reshape(keys, -1)
