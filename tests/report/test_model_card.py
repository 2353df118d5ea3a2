"""A model card is well-formed whatever names are in it, says the same in both forms, and loads nothing."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

from caduceus.report.model_card import model_card_html, model_card_json
from caduceus.report.model_card_parts import UNKNOWN, CardPart, CardTable

HOSTILE = (
    '<script>alert("x")</script>',
    "\"'><img src=x onerror=alert(1)>",
    "</title></style><iframe src='http://evil.example/'>",
    "\u202egnp.exe \x00\x1b[31m",
)


def parts(name: str) -> tuple[CardPart, ...]:
    table = CardTable(name, ("data set", "rows"), ((name, 12), (name, None)))
    return (
        CardPart("model_details", "Model details", (("title", name), ("rounds", 5), ("licence", None)), (name,)),
        CardPart("training_data", "Training data", (), (), (table,)),
        CardPart("caveats", "Caveats"),
    )


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_text_and_changes_nothing_of_the_page(name):
    root, plain = (ElementTree.fromstring(model_card_html(parts(one))) for one in (name, "plain"))
    assert [element.tag for element in root.iter()] == [element.tag for element in plain.iter()]
    assert not {element.tag for element in root.iter()} & {"script", "img", "iframe", "link"}


def test_the_page_may_run_nothing_and_refers_to_nothing_outside():
    root = ElementTree.fromstring(model_card_html(parts("a")))
    (policy,) = [one.get("content") for one in root.iter("meta") if one.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert all(str(one.get("href")).startswith("#") for one in root.iter("a"))
    targets = {one.get("id") for one in root.iter()}
    assert all(str(one.get("href"))[1:] in targets for one in root.iter("a"))


def test_both_forms_say_the_same_and_what_is_unknown_stands_as_unknown():
    told = json.loads(model_card_json(parts("a name")))
    assert told["model_details"]["facts"] == {"title": "a name", "rounds": 5, "licence": None}
    assert told["training_data"]["tables"][0]["rows"] == [
        {"data set": "a name", "rows": 12},
        {"data set": "a name", "rows": None},
    ]
    page = "".join(ElementTree.fromstring(model_card_html(parts("a name"))).itertext())
    assert "a name" in page
    assert page.count(UNKNOWN) == 2
