"""TOML text to a checked model, with one clear error that names file and key."""

from __future__ import annotations

import inspect
import tomllib
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from caduceus.data.schema import did_you_mean
from caduceus.errors import Refused

M = TypeVar("M", bound="Document")


class Document(BaseModel):
    """What a person writes down: unknown keys are refused, nothing is converted, nothing changes later.

    Arrays are tuples in a model, because `read_document` makes them so.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def read_document(text: str, kind: type[M], *, where: str) -> M:
    """Read TOML into a model.

    text   the whole file
    kind   the model, made of `Document`s
    where  the file's name, for the message

    Raises Refused, naming `where` and the first key that is unknown, absent or wrong.
    """
    try:
        tree = _freeze(tomllib.loads(text))
    except tomllib.TOMLDecodeError as problem:
        raise Refused(f"{where}: not TOML: {problem}") from None
    try:
        return kind.model_validate(tree)
    except ValidationError as problem:
        raise Refused(f"{where}: {_explain(problem, kind, tree)}") from None


def _freeze(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _freeze(value) for key, value in tree.items()}
    return tuple(_freeze(item) for item in tree) if isinstance(tree, list) else tree


def _explain(problem: ValidationError, kind: type[Document], tree: Any) -> str:
    first = next((one for one in problem.errors() if one["type"] == "extra_forbidden"), problem.errors()[0])
    path = list(first["loc"])
    if first["type"] == "extra_forbidden":
        key = str(path.pop())
        return f"{_place(path, tree)}unknown key '{key}'{did_you_mean(key, _keys(kind, path))}"
    if first["type"] == "missing":
        key = str(path.pop())
        return f"{_place(path, tree)}key '{key}' is missing"
    if first["type"] in ("value_error", "assertion_error"):
        return f"{_place(path, tree)}{first['msg'].removeprefix('Value error, ')}"
    return f"{_place(path, tree)}{first['msg'][0].lower()}{first['msg'][1:]}"


def _place(path: list[Any], tree: Any) -> str:
    """The path for people: entries of an array by their `name` if they have one, else counted from 1."""
    words: list[str] = []
    for step in path:
        if not _holds(tree, step):
            continue  # names an arm of a union, or a key that is absent: says nothing to people
        tree = tree[step]
        if isinstance(step, int):
            name = tree.get("name") if isinstance(tree, Mapping) else None
            words.append(f"'{name}'" if isinstance(name, str) else f"{step + 1}")
        else:
            words.append(step)
    return " ".join(words) + ": " if words else ""


def _holds(tree: Any, step: Any) -> bool:
    if isinstance(tree, Mapping):
        return step in tree
    return isinstance(tree, tuple) and isinstance(step, int) and step < len(tree)


def _keys(kind: type[Document], path: list[Any]) -> tuple[str, ...]:
    """The keys that are welcome at a path of the model."""
    here: list[type[Document]] = [kind]
    for step in path:
        fields = [field for one in here for name, field in one.model_fields.items() if step == (field.alias or name)]
        inside = [one for field in fields for one in _documents(field.annotation)]
        here = inside or [one for one in here if _is_arm(one, step)] or here
    return tuple(dict.fromkeys(field.alias or name for one in here for name, field in one.model_fields.items()))


def _is_arm(kind: type[Document], name: Any) -> bool:
    """Whether a model is the arm of a union that a literal in one of its fields calls `name`."""
    return any(name in typing.get_args(field.annotation) for field in kind.model_fields.values())


def _documents(hint: Any) -> typing.Iterator[type[Document]]:
    if inspect.isclass(hint) and issubclass(hint, Document):
        yield hint
    for arm in typing.get_args(hint):
        yield from _documents(arm)
