"""Federation files, and which rows belong to which site."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caduceus.data.federation import Split, assign, read_federation_file
from caduceus.errors import Refused

HEAD = '[federation]\ntitle = "t"\ndata = "d"\nschema = "schema.toml"\n'


def refusal(text: str) -> str:
    with pytest.raises(Refused) as caught:
        read_federation_file(text, where="federation.toml")
    return str(caught.value)


def test_sites_are_listed_or_split():
    listed = read_federation_file(HEAD + '[[site]]\nname = "A"\nfile = "a.csv"\n', where="federation.toml")
    assert listed.site[0].file == "a.csv"
    split = read_federation_file(HEAD + 'split = { column = "h", min_rows = 5 }\n', where="federation.toml")
    assert split.federation.split == Split(column="h", min_rows=5)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ("", "not both, not neither"),
        ('split = { column = "h" }\n[[site]]\nname = "A"\nfile = "a"\n', "not both, not neither"),
        ('[[site]]\nname = "A"\nfile = "a"\n[[site]]\nname = "A"\nfile = "b"\n', "same name"),
        ('[[site]]\nname = "A"\nfil = "a"\n', "site 'A': unknown key 'fil'; did you mean 'file'?"),
        ('[[site]]\nname = "<b>"\nfile = "a"\n', "site '<b>' name"),
        ("split = { min_rows = 5 }\n", "either a 'column' or 'sizes'"),
        ('split = { column = "h", sizes = [1], names = ["A"] }\n', "either a 'column' or 'sizes'"),
        ('split = { sizes = [1, 2], names = ["A"] }\n', "as many 'names'"),
        ('split = { sizes = [1, 2], names = ["A", "A"] }\n', "all different"),
        ('split = { sizes = [1], names = ["A"], min_rows = 2 }\n', "belong to a split by 'column'"),
        ('split = { sizes = [0], names = ["A"] }\n', "federation split sizes"),
    ],
)
def test_a_federation_that_does_not_fit_together_is_refused(more: str, why: str):
    assert why in refusal(HEAD + more)


@pytest.mark.parametrize(
    "place", ["postgresql://me:hunter2@host/cdm", "postgresql://host/cdm?user=me&password=hunter2"]
)
def test_a_password_in_a_url_is_refused_and_not_repeated(place: str):
    split = f'[federation]\ntitle = "t"\nschema = "s"\ndata = "{place}"\nsplit = {{ names = ["A"] }}\n'
    for text in (split, HEAD + f'[[site]]\nname = "A"\nfile = "{place}"\n'):
        said = refusal(text)
        assert "holds a password" in said
        assert "hunter2" not in said
    read_federation_file(split.replace(":hunter2", "").replace("&password=hunter2", ""), where="federation.toml")


def test_names_alone_split_patients_into_blocks():
    whose = np.array(["z", "a", "z", "b", "c"])
    parts = assign(Split(names=("A", "B")), 5, None, where="f", patients=whose)
    assert [(name, rows.tolist()) for name, rows in parts] == [("A", [0, 1, 2]), ("B", [3, 4])]
    rows = assign(Split(names=("A", "B")), 5, None, where="f")
    assert [(name, where.tolist()) for name, where in rows] == [("A", [0, 1, 2]), ("B", [3, 4])]
    with pytest.raises(Refused, match="f: has fewer patients than the split has sites"):
        assign(Split(names=("A", "B", "C", "D", "E")), 5, None, where="f", patients=whose)


LABELS = np.array(["10", "9", "10", "2", "10", "9"])


def test_a_column_splits_in_the_order_of_the_sites_numbers():
    parts = assign(Split(column="h", prefix="Hospital "), 6, LABELS, where="f.csv")
    assert [name for name, _ in parts] == ["Hospital 2", "Hospital 9", "Hospital 10"]
    assert [rows.tolist() for _, rows in parts] == [[3], [1, 5], [0, 2, 4]]


def test_small_sites_are_left_out_or_gathered():
    left = assign(Split(column="h", min_rows=2), 6, LABELS, where="f.csv")
    assert [name for name, _ in left] == ["9", "10"]
    gathered = assign(Split(column="h", min_rows=3, rest="Others"), 6, LABELS, where="f.csv")
    assert [(name, rows.tolist()) for name, rows in gathered] == [("10", [0, 2, 4]), ("Others", [1, 3, 5])]


def test_a_split_that_leaves_no_site_is_refused():
    with pytest.raises(Refused, match=r"f.csv: no site of column 'h' has 7 rows"):
        assign(Split(column="h", min_rows=7), 6, LABELS, where="f.csv")


@pytest.mark.parametrize("names", [["<script>", "b"], ["", "b"], ["a", "Others"]])
def test_site_names_that_are_unfit_or_stand_twice_are_refused(names: list[str]):
    with pytest.raises(Refused, match="no fit site names"):
        assign(
            Split(column="h", min_rows=2, rest="Others"),
            5,
            np.array([names[0]] * 2 + [names[1]] * 2 + ["c"]),
            where="f",
        )


def test_sizes_must_add_up_to_the_file():
    split = Split(sizes=(2, 3), names=("A", "B"))
    assert [(name, rows.tolist()) for name, rows in assign(split, 5, None, where="f")] == [
        ("A", [0, 1]),
        ("B", [2, 3, 4]),
    ]
    with pytest.raises(Refused, match="has 6 rows, but the split's sizes add up to 5"):
        assign(split, 6, None, where="f")


@given(st.lists(st.sampled_from(["1", "2", "30", "A b"]), min_size=1, max_size=40), st.integers(1, 5))
def test_every_row_belongs_to_exactly_one_site_when_the_rest_is_gathered(labels: list[str], min_rows: int):
    parts = assign(Split(column="h", min_rows=min_rows, rest="Others"), len(labels), np.array(labels), where="f")
    assert sorted(np.concatenate([rows for _, rows in parts]).tolist()) == list(range(len(labels)))
