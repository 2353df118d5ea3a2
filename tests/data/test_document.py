"""TOML into models: one clear error, with the file, the place and the key."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import Field

from caduceus.data.document import Document, read_document
from caduceus.errors import Refused


class Apple(Document):
    kind: Literal["apple"]
    seeds: int = 0


class Pear(Document):
    kind: Literal["pear"]
    stalk: float = 1.0


class Row(Document):
    name: str
    codes: tuple[str | int, ...] = ()


class Tree(Document):
    title: str
    fruit: Annotated[Apple | Pear, Field(discriminator="kind")] = Apple(kind="apple")
    row: tuple[Row, ...] = ()
    depth_of: Annotated[int, Field(alias="depth", ge=0)] = 0


def refusal(text: str) -> str:
    with pytest.raises(Refused) as caught:
        read_document(text, Tree, where="tree.toml")
    return str(caught.value)


def test_a_document_is_read_with_arrays_as_tuples():
    tree = read_document('title = "oak"\ndepth = 2\n[[row]]\nname = "a"\ncodes = [1, "x"]\n', Tree, where="tree.toml")
    assert tree.row == (Row(name="a", codes=(1, "x")),)
    assert tree.depth_of == 2


def test_text_that_is_no_toml_is_refused_with_its_line():
    message = refusal('title = "oak"\ndepth = = 2')
    assert message.startswith("tree.toml: not TOML")
    assert "line 2" in message


def test_an_unknown_key_is_refused_with_the_nearest_known_one():
    assert refusal('tilte = "oak"') == "tree.toml: unknown key 'tilte'; did you mean 'title'?"


def test_a_key_is_known_by_its_alias_only():
    assert "unknown key 'depht'; did you mean 'depth'?" in refusal('title = "oak"\ndepht = 1')


def test_an_unknown_key_in_an_array_names_the_entry():
    message = refusal('title = "oak"\n[[row]]\nname = "a"\n[[row]]\nname = "b"\ncods = [1]')
    assert message == "tree.toml: row 'b': unknown key 'cods'; did you mean 'codes'?"


def test_an_entry_without_a_name_is_counted_from_one():
    assert (
        refusal('title = "oak"\n[[row]]\nname = "a"\n[[row]]\ncodes = []') == "tree.toml: row 2: key 'name' is missing"
    )


def test_an_unknown_key_in_an_arm_of_a_union_is_compared_with_that_arms_keys():
    message = refusal('title = "oak"\n[fruit]\nkind = "pear"\nstalc = 2.0')
    assert message == "tree.toml: fruit: unknown key 'stalc'; did you mean 'stalk'?"
    other_arm = refusal('title = "oak"\n[fruit]\nkind = "pear"\nseeds = 2')
    assert other_arm == "tree.toml: fruit: unknown key 'seeds'; known: kind, stalk"


def test_a_value_of_the_wrong_type_is_refused_and_never_converted():
    assert refusal('title = "oak"\ndepth = "3"').startswith("tree.toml: depth: ")


def test_a_number_that_is_not_finite_is_refused():
    assert "fruit stalk" in refusal('title = "oak"\n[fruit]\nkind = "pear"\nstalk = nan')
