"""The one byte form that is hashed, signed and stored.

A record is a frozen dataclass with a tag that names its kind and version. Its bytes are a
deterministic CBOR array (RFC 8949, section 4.2): the tag, then the fields in order. There is exactly
one encoding of a value, `unpack` refuses every other, and the tag inside the bytes keeps a digest or a
signature made for one kind of record from meaning anything as another.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from enum import IntEnum
from hashlib import sha256
from math import prod
from typing import Any, TypeVar, cast, dataclass_transform

import cbor2
import numpy as np

from caduceus.errors import Misuse, Refused
from caduceus.kinds import Digest

T = TypeVar("T")
_Dump = Callable[[Any], Any]
_Load = Callable[[Any, str], Any]

ARRAY_TYPES: Mapping[str, np.dtype[Any]] = {name: np.dtype(name) for name in ("<f8", "<f4", "<u8", "<u4", "<i8", "|u1")}
"""The element types an array may have in a record; all little-endian."""

_MOST_AXES, _MOST_ENTRIES = 8, 1 << 40
_REFERENCES = (25, 28, 29, 256)
"""CBOR tags that let a few bytes stand for many: a short message must not become a long value."""

_TAG = "__canon_tag__"
_CODEC = "__canon_codec__"


@dataclass_transform(frozen_default=True, eq_default=False)
def record(tag: str) -> Callable[[type[T]], type[T]]:
    """Make a class a record: a frozen, slotted dataclass with one byte form.

    tag  kind and version, such as "round/upload/1"; unique in the package
    """

    def decorate(cls: type[T]) -> type[T]:
        frozen = dataclasses.dataclass(frozen=True, slots=True, eq=False)(cls)
        setattr(frozen, _TAG, tag)
        setattr(frozen, "__eq__", _equal)  # noqa: B010  (slots forbid the plain form in the class body)
        setattr(frozen, "__hash__", _hash)  # noqa: B010
        return frozen

    return decorate


def pack(value: object) -> bytes:
    """The canonical bytes of a record.

    Raises Misuse if a field does not hold what its annotation says.
    """
    dump, _ = _codec_of(type(value))
    return cbor2.dumps(dump(value), canonical=True)


def unpack(kind: type[T], data: bytes) -> T:
    """Read a record of the given kind; arrays come back as read-only views of `data`.

    kind  a class made by `record`
    data  bytes from anywhere, hostile until proven otherwise

    Raises Refused if `data` is not the one encoding of such a record, naming the field.
    """
    _, load = _codec_of(kind)
    value = load(_parse(data), tag_of(kind))
    if pack(value) != data:
        raise Refused(f"{tag_of(kind)}: not the canonical encoding of this record")
    return cast(T, value)


def unpack_one_of(kinds: Mapping[str, type[T]], data: bytes) -> T:
    """Read a record whose kind is told by its tag.

    kinds  the records that are welcome here, by tag (see `tags`)

    Raises Refused if the tag is not among them or the record is malformed.
    """
    tree = _parse(data)
    tag = tree[0] if isinstance(tree, list) and tree else None
    kind = kinds.get(tag) if isinstance(tag, str) else None
    if kind is None:
        shown = tag[:40] if isinstance(tag, str) else type(tag).__name__
        raise Refused(f"record of kind {shown!r} is not expected here (welcome: {', '.join(sorted(kinds))})")
    return unpack(kind, data)


def tags(*kinds: type[T]) -> dict[str, type[T]]:
    """The given record kinds by their tags, for `unpack_one_of`."""
    return {tag_of(kind): kind for kind in kinds}


def tag_of(kind: type[Any]) -> str:
    """The tag that `record` gave to a class."""
    try:
        return cast(str, getattr(kind, _TAG))
    except AttributeError:
        raise Misuse(f"{kind.__name__} is not a record") from None


def peek_tag(data: bytes) -> str | None:
    """The tag at the head of a record's bytes, the rest unread; None if there is none. For routing only."""
    at = data[:1] and (1 if data[0] < 0x98 else 2)  # an array of up to 23 items, or of up to 255
    if not at or data[0] >> 5 != 4 or len(data) <= at or not 0x60 <= data[at] <= 0x78:
        return None
    start, size = (at + 1, data[at] - 0x60) if data[at] < 0x78 else (at + 2, data[at + 1] if len(data) > at + 1 else 0)
    try:
        return data[start : start + size].decode()
    except UnicodeDecodeError:
        return None


def peek_bytes(data: bytes, most: int) -> tuple[bytes, ...]:
    """The byte strings right behind the tag of a record's bytes, `most` of them at most, the rest unread.

    For routing only: takes no longer for a record that is long, or that is broken further on.
    """
    tag, found = peek_tag(data), list[bytes]()
    if tag is None:
        return ()
    size = len(tag.encode())
    at = (1 if data[0] < 0x98 else 2) + (1 if size < 24 else 2) + size
    while len(found) < most and at < len(data) and data[at] >> 5 == 2 and data[at] & 31 <= 26:
        wide = (0, 1, 2, 4)[max(0, (data[at] & 31) - 23)]  # bytes that the length takes beside the first
        start = at + 1 + wide
        size = int.from_bytes(data[at + 1 : start]) if wide else data[at] & 31
        if start + size > len(data):
            break
        found.append(data[start : start + size])
        at = start + size
    return tuple(found)


def digest(value: object) -> Digest:
    """SHA-256 of a record's canonical bytes."""
    return Digest(sha256(pack(value)).digest())


def digest_bytes(data: bytes | memoryview) -> Digest:
    """SHA-256 of bytes as they are: the name of a blob."""
    return Digest(sha256(data).digest())


def _equal(self: object, other: object) -> bool:
    return type(self) is type(other) and pack(self) == pack(other)


def _hash(self: object) -> int:
    return hash(pack(self))


def _no_reference(_decoder: object) -> Any:
    raise ValueError("references are never canonical")


_DECODERS = dict.fromkeys(_REFERENCES, _no_reference)


def _parse(data: bytes) -> Any:
    try:
        return cbor2.loads(data, semantic_decoders=_DECODERS, allow_indefinite=False)
    except (cbor2.CBORDecodeError, ValueError, OverflowError, RecursionError, TypeError) as problem:
        raise Refused(f"not readable as CBOR ({type(problem).__name__})") from None


def _codec_of(kind: type[Any]) -> tuple[_Dump, _Load]:
    codec = kind.__dict__.get(_CODEC)
    if codec is None:
        codec = _build(kind)
        setattr(kind, _CODEC, codec)
    return cast(tuple[_Dump, _Load], codec)


def _build(kind: type[Any]) -> tuple[_Dump, _Load]:
    tag = tag_of(kind)
    hints = typing.get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind)]
    codecs = [_field(hints[name], f"{tag}.{name}") for name in names]
    width = len(names) + 1

    def dump(value: Any) -> list[Any]:
        if type(value) is not kind:
            raise Misuse(f"{tag}: got a {type(value).__name__}")
        return [tag, *(codec[0](getattr(value, name)) for codec, name in zip(codecs, names, strict=True))]

    def load(tree: Any, where: str) -> Any:
        if not isinstance(tree, list) or len(tree) != width or tree[0] != tag:
            raise Refused(f"{where}: expected a record {tag} with {width - 1} fields")
        return kind(
            *(codec[1](item, f"{tag}.{name}") for codec, name, item in zip(codecs, names, tree[1:], strict=True))
        )

    return dump, load


def _field(hint: Any, where: str) -> tuple[_Dump, _Load]:
    while isinstance(hint, typing.NewType):
        hint = hint.__supertype__
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return _union(hint, where)
    if origin is tuple:
        return _tuple(typing.get_args(hint), where)
    if origin is np.ndarray:
        return _dump_array(where), _load_array
    if isinstance(hint, type):
        if hasattr(hint, _TAG):
            return _nested(hint)
        if issubclass(hint, IntEnum):
            return _enum(hint, where)
        if hint in (int, bytes, str, bool, float):
            return _scalar(hint, where)
    raise Misuse(f"{where}: records cannot hold {hint}")


def _nested(kind: type[Any]) -> tuple[_Dump, _Load]:
    # Looked up when used, so that a record may hold others that are declared after it.
    return (lambda value: _codec_of(kind)[0](value)), (lambda tree, where: _codec_of(kind)[1](tree, where))


def _scalar(kind: type[Any], where: str) -> tuple[_Dump, _Load]:
    def dump(value: Any) -> Any:
        if type(value) is not kind:
            raise Misuse(f"{where}: expected {kind.__name__}, got {type(value).__name__}")
        return value

    def load(tree: Any, where: str) -> Any:
        if type(tree) is not kind:
            raise Refused(f"{where}: expected {kind.__name__}, got {type(tree).__name__}")
        return tree

    return dump, load


def _enum(kind: type[IntEnum], where: str) -> tuple[_Dump, _Load]:
    def dump(value: Any) -> int:
        if type(value) is not kind:
            raise Misuse(f"{where}: expected {kind.__name__}, got {type(value).__name__}")
        return int(value)

    def load(tree: Any, where: str) -> IntEnum:
        if type(tree) is not int or tree not in kind._value2member_map_:
            raise Refused(f"{where}: not a {kind.__name__}")
        return kind(tree)

    return dump, load


def _union(hint: Any, where: str) -> tuple[_Dump, _Load]:
    arms = [arm for arm in typing.get_args(hint) if arm is not types.NoneType]
    if all(typing.get_origin(arm) is np.ndarray for arm in arms):
        arms = arms[:1]  # one array codec serves every element type
    optional = types.NoneType in typing.get_args(hint)
    if len(arms) != 1:
        raise Misuse(f"{where}: a record's field may be of one kind, or of one kind and None")
    dump_one, load_one = _field(arms[0], where)
    if not optional:
        return dump_one, load_one
    return (
        lambda value: None if value is None else dump_one(value),
        lambda tree, where: None if tree is None else load_one(tree, where),
    )


def _tuple(arms: tuple[Any, ...], where: str) -> tuple[_Dump, _Load]:
    if len(arms) == 2 and arms[1] is Ellipsis:
        dump_one, load_one = _field(arms[0], where)

        def load_many(tree: Any, where: str) -> tuple[Any, ...]:
            if not isinstance(tree, list):
                raise Refused(f"{where}: expected a list, got {type(tree).__name__}")
            return tuple(load_one(item, f"{where}[{i}]") for i, item in enumerate(tree))

        return (lambda value: [dump_one(item) for item in value]), load_many

    codecs = [_field(arm, where) for arm in arms]

    def dump(value: Any) -> list[Any]:
        if len(value) != len(codecs):
            raise Misuse(f"{where}: expected {len(codecs)} items, got {len(value)}")
        return [codec[0](item) for codec, item in zip(codecs, value, strict=True)]

    def load(tree: Any, where: str) -> tuple[Any, ...]:
        if not isinstance(tree, list) or len(tree) != len(codecs):
            raise Refused(f"{where}: expected a list of {len(codecs)}")
        return tuple(codec[1](item, f"{where}[{i}]") for i, (codec, item) in enumerate(zip(codecs, tree, strict=True)))

    return dump, load


def _dump_array(where: str) -> _Dump:
    def dump(value: Any) -> list[Any]:
        if not isinstance(value, np.ndarray) or value.dtype.str not in ARRAY_TYPES:
            shown = value.dtype.str if isinstance(value, np.ndarray) else type(value).__name__
            raise Misuse(f"{where}: expected an array of {', '.join(ARRAY_TYPES)}, got {shown}")
        return [value.dtype.str, list(value.shape), value.tobytes()]

    return dump


def _load_array(tree: Any, where: str) -> Any:
    if not (isinstance(tree, list) and len(tree) == 3 and isinstance(tree[0], str) and tree[0] in ARRAY_TYPES):
        raise Refused(f"{where}: expected an array of {', '.join(ARRAY_TYPES)}")
    dtype, shape, data = ARRAY_TYPES[tree[0]], tree[1], tree[2]
    if not (isinstance(shape, list) and all(type(n) is int and n >= 0 for n in shape) and isinstance(data, bytes)):
        raise Refused(f"{where}: malformed array")
    count = 1
    for n in shape:
        count *= n
    huge = len(shape) > _MOST_AXES or prod(max(n, 1) for n in shape) > _MOST_ENTRIES  # numpy would raise for some
    if huge or count * dtype.itemsize != len(data):
        raise Refused(f"{where}: array of shape {shape} does not fit {len(data)} bytes")
    return np.frombuffer(data, dtype).reshape(shape)
