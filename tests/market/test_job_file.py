"""A job file becomes a specification, or one clear error."""

from dataclasses import replace

import pytest

from caduceus import canon
from caduceus.data.schema import Column, Schema
from caduceus.errors import Refused
from caduceus.kinds import Address, Visibility
from caduceus.market.job_file import read_job_file, specify
from caduceus.market.specification import JobSpec
from caduceus.market.terms import ask_of, costs_of
from caduceus.market.work import work_of
from caduceus.privacy.accountant import epsilon_micro
from caduceus.privacy.events import Event, Part, Spending
from caduceus.privacy.events import check as check_spending

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


COHORT = FILE.replace('schema = "schema.toml"', 'schema = "schema.toml"\nvisibility = "cohort"\ncohort = 5', 1) + (
    "[sites]\nmin = 10\nmax = 40\n"
)
"""Sums over groups of at least five of at least ten sites."""


def test_a_job_may_open_sums_over_groups_and_says_how_small():
    spec = spec_of(COHORT)
    assert spec.visibility is Visibility.COHORT
    assert spec.cohort == 5
    assert canon.unpack(JobSpec, canon.pack(spec)) == spec
    assert spec_of(FILE).cohort == 0


@pytest.mark.parametrize(("spec", "seen", "others"), [(COHORT, Visibility.COHORT, 5), (FILE, Visibility.SUM, 3)])
def test_terms_judge_a_job_by_its_smallest_sum(spec, seen, others):
    ask = ask_of(spec_of(spec), Address(bytes(20)))
    assert (ask.visibility, ask.min_sites) == (seen, others)


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


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('visibility = "cohort"\n', "", r"job\.cohort: given with visibility = \"cohort\" only"),
        ('visibility = "cohort"', 'visibility = "sum"', r"job\.cohort: given with visibility = \"cohort\" only"),
        ("cohort = 5\n", "", r"job\.cohort: given with visibility = \"cohort\" only"),
        ("cohort = 5", "cohort = 2", r"job\.toml: job cohort: .*greater than or equal to 3"),
        ("cohort = 5", "cohort = 0", r"job\.toml: job cohort: .*greater than or equal to 3"),
        ("cohort = 5", "cohort = 5.5", r"job\.toml: job cohort"),
        ("cohort = 5", "cohort = 513", r"job\.toml: job cohort"),
        ("cohort = 5", "cohort = 6", r"sites\.min: at least twice job\.cohort"),
        ("min = 10", "min = 9", r"sites\.min: at least twice job\.cohort"),
        ('visibility = "cohort"', 'visibility = "open"', r"job\.toml: job visibility"),
    ],
)
def test_a_job_file_with_groups_that_cannot_be_names_the_key(old, new, message):
    assert old in COHORT
    with pytest.raises(Refused, match=message):
        spec_of(COHORT.replace(old, new))


@pytest.mark.parametrize("cohort", [3, 5])
def test_a_cohort_of_half_the_sites_or_fewer_will_do(cohort):
    assert spec_of(COHORT.replace("cohort = 5", f"cohort = {cohort}")).cohort == cohort


# ---------------------------------------------------------------- differential privacy

PRIVATE = FILE.replace(
    'method = "cross"\nrepeats = 2\nfolds = 5', 'method = "holdout"\nrepeats = 1\nfraction = 0.2'
) + ("[privacy]\nepsilon = 1.0\ndelta = 1e-6\nmissing = 10\n")
ASKING = """
[job]
kind = "analysis"
title = "How many are ill"
schema = "schema.toml"
[privacy]
epsilon = 0.5
[[query]]
name = "ill"
kind = "histogram"
column = "ill"
[[query]]
name = "age"
kind = "mean"
column = "age"
[money]
price = 1000
"""


def test_a_private_job_states_its_epsilon_and_the_noise_for_it():
    spec = spec_of(PRIVATE)
    assert spec.privacy is not None
    assert (spec.privacy.epsilon_micro, spec.privacy.delta_pico, spec.privacy.missing_percent) == (10**6, 10**6, 10)
    assert [part.releases for part in spec.privacy.spending.parts] == [13, 1]
    assert 0.99e6 < epsilon_micro(spec.privacy.spending, 10**6) <= 10**6
    assert canon.unpack(JobSpec, canon.pack(spec)) == spec
    asked = ask_of(spec, Address(bytes(20)))
    assert (asked.epsilon_micro, asked.delta_pico) == (10**6, 10**6)
    costs = costs_of(spec)
    assert costs is not None
    assert costs.sums == 14
    assert costs.steps[-1] == (10**6, 10**6)
    assert costs.steps[1][1] == 10**6  # delta is spent whole with the first sum


def test_a_private_job_without_a_number_of_rounds_has_few():
    spec = spec_of(PRIVATE.replace("rounds = 12\n", ""))
    assert spec.learning is not None
    assert spec.learning.logistic is not None
    assert spec.learning.logistic.max_rounds == 4
    assert spec_of(FILE.replace("rounds = 12\n", "")).learning.logistic.max_rounds == 20


def test_an_exact_job_asks_for_no_epsilon():
    spec = spec_of(FILE)
    assert spec.privacy is None
    assert costs_of(spec) is None
    asked = ask_of(spec, Address(bytes(20)))
    assert (asked.epsilon_micro, asked.delta_pico) == (0, 0)


def test_an_analysis_asks_questions_in_one_noisy_sum():
    spec = spec_of(ASKING)
    assert spec.learning is None
    assert spec.analysis is not None
    assert [query.name for query in spec.analysis.queries] == ["ill", "age"]
    assert spec.privacy is not None
    assert spec.privacy.spending.releases == 1
    assert ask_of(spec, Address(bytes(20))).columns == ("ill", "age")
    assert canon.unpack(JobSpec, canon.pack(spec)) == spec


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (ASKING.replace("[privacy]\nepsilon = 0.5\n", ""), r"a job of kind 'analysis' needs \[privacy\]"),
        (ASKING.replace('kind = "analysis"\n', ""), r"a job of kind 'train' needs \[model\]"),
        (ASKING + '[task]\ntarget = "ill"\n', "a job of kind 'analysis' has no 'task'"),
        (PRIVATE + '[[query]]\nname = "x"\nkind = "count"\n', "a job of kind 'train' has no 'query'"),
        (ASKING.replace('column = "age"', 'column = "weight"'), "age.*weight"),
        (PRIVATE.replace("epsilon = 1.0", "epsilon = 0"), "privacy epsilon"),
        (PRIVATE.replace("missing = 10", "missing = 95"), "privacy missing"),
        (PRIVATE.replace('kind = "logistic"\nrounds = 12', 'kind = "mlp"'), "use 'dp-sgd' or 'logistic'"),
        (FILE.replace('kind = "logistic"\nrounds = 12', 'kind = "dp-sgd"'), r"'dp-sgd' needs a \[privacy\] table"),
        (PRIVATE.replace("epsilon = 1.0", "epsilons = 1.0"), "epsilons"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(text: str, why: str):
    with pytest.raises(Refused, match=why):
        spec_of(text)


def test_a_specification_that_states_less_than_it_spends_is_refused():
    spec = spec_of(PRIVATE)
    assert spec.privacy is not None
    cheap = replace(spec, privacy=replace(spec.privacy, epsilon_micro=900_000))
    with pytest.raises(Refused, match=r"states an epsilon of 0.9, and what it opens is worth (1|0.99\d*)"):
        costs_of(cheap)


def test_what_is_stated_above_the_accountants_figure_is_spent_with_the_first_sum():
    spec = spec_of(PRIVATE)
    assert spec.privacy is not None
    dear = costs_of(replace(spec, privacy=replace(spec.privacy, epsilon_micro=1_500_000)))
    assert dear is not None
    assert dear.steps[0] == (0, 0)
    assert dear.steps[1][0] > 500_000
    assert dear.steps[-1][0] == 1_500_000


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"epsilon_micro": 0}, "privacy.epsilon"),
        ({"epsilon_micro": 2**64}, "privacy.epsilon"),
        ({"delta_pico": 0}, "privacy.delta"),
        ({"delta_pico": 10**12}, "privacy.delta"),
        ({"missing_percent": -1}, "privacy.missing"),
        ({"missing_percent": 100}, "privacy.missing"),
    ],
)
def test_a_strangers_specification_with_numbers_that_make_no_sense_is_refused(change: dict[str, int], why: str):
    spec = spec_of(PRIVATE)
    assert spec.privacy is not None
    work_of(spec)
    with pytest.raises(Refused, match=why):
        work_of(replace(spec, privacy=replace(spec.privacy, **change)))


def test_a_specification_asks_for_a_model_or_for_answers():
    spec, asking = spec_of(PRIVATE), spec_of(ASKING)
    for learning, analysis in ((None, None), (spec.learning, asking.analysis)):
        with pytest.raises(Refused, match="a model or for answers, one of them"):
            work_of(replace(spec, learning=learning, analysis=analysis))
    with pytest.raises(Refused, match="answers are published with noise only"):
        work_of(replace(asking, privacy=None))


def test_a_stranger_does_not_keep_the_accountant_busy_for_hours():
    event = Event("discrete-gaussian", 3.0, 0.5, 1)
    with pytest.raises(Refused, match="more than 16 events with sampling"):
        check_spending(Spending((Part((event,) * 17),)))


JUDGED = (
    FILE.replace('schema = "schema.toml"', 'schema = "schema.toml"\nvisibility = "gram"', 1)
    .replace('kind = "logistic"\nrounds = 12', 'kind = "mlp"\nhidden = []\nrounds = 12')
    .replace('method = "cross"\nrepeats = 2\nfolds = 5', 'method = "holdout"\nrepeats = 1\nfraction = 0.25')
    + """
[sites]
min = 5
[judging]
[[judging.stratum]]
name = "old"
where = [{ column = "age", from = 80.0 }]
"""
)


def test_a_job_may_have_its_updates_judged_and_says_whom_it_looks_at_apart():
    spec = spec_of(JUDGED)
    assert spec.visibility is Visibility.GRAM
    assert work_of(spec).strata == ("everyone else", "old")
    assert canon.unpack(JobSpec, canon.pack(spec)) == spec
    assert sum(spec.judging.rules.budgets) == pytest.approx(1.0)
    assert sum(spec.judging.rules.voices) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("find", "put", "complaint"),
    [
        ('visibility = "gram"', 'visibility = "sum"', r"judging: given with visibility"),
        ("min = 5", "min = 3", r"sites\.min: at least 4"),
        ('column = "age"', 'column = "edge"', r"edge"),
        ("[judging]", "[privacy]\nepsilon = 1.0\n[judging]", r"'mlp' opens exact sums"),
    ],
)
def test_a_judged_job_that_does_not_fit_together_is_refused(find, put, complaint):
    assert find in JUDGED
    with pytest.raises(Refused, match=complaint):
        work_of(spec_of(JUDGED.replace(find, put, 1)))


def test_rules_that_a_stranger_made_up_are_refused():
    spec = spec_of(JUDGED)
    nobody_is_paid = replace(spec.judging, rules=replace(spec.judging.rules, budgets=(0.0, 0.0)))
    with pytest.raises(Refused, match="other than this version's"):
        work_of(replace(spec, judging=nobody_is_paid))
