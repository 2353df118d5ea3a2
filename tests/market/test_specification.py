"""A job file becomes a specification, or one clear error."""

import pytest

from caduceus import canon
from caduceus.data.schema import Column, Schema
from caduceus.errors import Refused
from caduceus.kinds import Visibility
from caduceus.market.specification import JobSpec, read_job_file, specify

SCHEMA = Schema(
    "Tiny",
    (
        Column("age", "number", "feature", "a", "", 0.0, 120.0, (), True, None),
        Column("ill", "boolean", "target", "", "", 0.0, 1.0, (), True, None),
    ),
)
FILE = """
seed = 7
[job]
title = "Who is ill"
schema = "schema.toml"
[task]
target = "ill"
[model]
kind = "logistic"
rounds = 12
[evaluation]
method = "cross"
repeats = 2
folds = 5
[money]
price = 1000
fee = 100
[deadlines]
train = "2d"
"""


def spec_of(text: str) -> JobSpec:
    return specify(read_job_file(text, where="job.toml"), SCHEMA, nonce=bytes(16), where="job.toml")


def test_a_job_file_becomes_a_specification_that_survives_the_wire():
    spec = spec_of(FILE)
    assert spec.learning.features == ("age",)
    assert spec.learning.logistic.max_rounds == 12
    assert spec.deadlines.train == 2 * 86400
    assert spec.visibility is Visibility.SUM
    assert canon.unpack(JobSpec, canon.pack(spec)) == spec


def test_a_perceptron_has_keys_of_its_own():
    spec = spec_of(FILE.replace('kind = "logistic"', 'kind = "mlp"\nhidden = [8, 4]'))
    assert spec.learning.logistic is None
    assert spec.learning.averaging.hidden == (8, 4)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("rounds = 12", "round = 12", r"job\.toml: model: unknown key 'round'; did you mean 'rounds'"),
        ("seed = 7", "sede = 7", r"job\.toml: unknown key 'sede'; did you mean 'seed'"),
        ('title = "Who is ill"\n', "", r"job\.toml: job: key 'title' is missing"),
        ('target = "ill"', 'target = "sick"', r"job\.toml: schema 'Tiny' has no column 'sick'"),
        ("fee = 100", "fee = 1001", r"job\.toml: money\.fee: at most the price"),
        ("fee = 100", "fee = 10.5", r"job\.toml: money fee"),
        ('"2d"', '"2 days"', r"job\.toml: deadlines train"),
        ("folds = 5", "folds = 1", r"job\.toml: evaluation\.folds: from 2 to 20"),
        ('kind = "logistic"', 'kind = "oracle"', r"job\.toml: model"),
        ('kind = "logistic"', 'kind = "logistic"\nhidden = [3]', r"job\.toml: model: unknown key 'hidden'"),
        ("[money]", "[money", r"job\.toml: not TOML"),
    ],
)
def test_a_job_file_that_is_wrong_names_the_key(old, new, message):
    with pytest.raises(Refused, match=message):
        spec_of(FILE.replace(old, new))
