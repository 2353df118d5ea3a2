"""Rounds of judged updates among honest parties: exact, whoever is absent, and the same whenever repeated."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adversary import COORDINATOR, JOB, Memory
from caduceus import canon
from caduceus.crypto import merkle, ring, sign
from caduceus.errors import Misuse, PeerFault, Refused
from caduceus.learn.judged.opened import UNKNOWN, WHOLE
from caduceus.protocol import gram_upload, secagg_upload
from caduceus.protocol.gram_messages import GramUpload
from caduceus.protocol.gram_server import EXPECTS, GramServer, Phase
from caduceus.protocol.gram_session import bound_for
from caduceus.protocol.secagg_messages import upload_leaf_data
from gram_play import GramPlay, a_plan, a_rule, report_of, rows_of, secrets_of, signer_of

SITE, EVALUATOR, AGGREGATOR = 2, 4, 6
"""Parties of a round of four sites and two evaluators."""


def assert_exact(play, total, inside):
    """A round in which nobody lied opens the plain inner products and the plain sum, and a stranger finds the same."""
    gram, plain = play.plain(inside)
    server, plan = play.server, play.plan
    assert server.products.raw.tolist() == gram.tolist()
    assert server.judged.gram.tolist() == (gram / plan.session.scale**2).tolist()
    assert np.flatnonzero(server.judged.present).tolist() == list(inside)
    assert total.view(np.int64).tolist() == plain.tolist()
    assert server.summed == tuple(dealer for dealer in inside if dealer < plan.sites)
    assert_replays(play, total)
    assert not play.problems
    assert not server.faults


def assert_replays(play, total):
    leaves = [merkle.EMPTY] * play.plan.sites
    again = play.replayed(leaves=leaves)
    assert leaves == play.server.leaves()
    assert again.total.tolist() == total.tolist()
    assert again.summed == play.server.summed
    assert again.products.raw.tolist() == play.server.products.raw.tolist()
    for name in ("gram", "reports", "present", "weights"):
        assert getattr(again.judged, name).tolist() == getattr(play.server.judged, name).tolist()


# ---------------------------------------------------------------- exactness


@pytest.mark.parametrize(
    ("sites", "evaluators", "fields"),
    [
        (1, 0, {"quorum": 1}),
        (3, 2, {"site_rows": 3, "evaluator_rows": 2, "public": True}),
        (3, 2, {"evaluator_rows": 0}),
        (12, 1, {"length": 128, "report": 0}),
    ],
)
def test_a_round_opens_the_plain_inner_products_and_the_plain_weighted_sum(sites, evaluators, fields):
    play = GramPlay(a_plan(sites, evaluators, **fields))
    assert_exact(play, play.run(), play.plan.dealers)


@settings(deadline=None, max_examples=25)
@given(st.integers(2, 7), st.integers(0, 3), st.integers(1, 3), st.booleans(), st.data())
def test_dealers_that_are_silent_are_absent_and_the_rest_is_exact(sites, evaluators, rows, public, data):
    plan = a_plan(sites, evaluators, site_rows=rows, public=public)
    gone = data.draw(
        st.sets(st.sampled_from(plan.dealers), max_size=sites + evaluators - 2).filter(
            lambda gone: sum(dealer < sites for dealer in gone) <= sites - 2
        )
    )
    play = GramPlay(plan, silent={Phase.DEAL: frozenset(gone)})
    inside = [dealer for dealer in plan.dealers if dealer not in gone]
    assert_exact(play, play.run(), inside)
    judged = play.server.judged
    for dealer in gone:
        assert judged.reports[dealer].tolist() == [UNKNOWN] * plan.session.report
        assert not judged.gram[plan.place(dealer)].any()
    for dealer in inside:
        assert judged.reports[dealer].tolist() == list(report_of(plan, dealer))


def test_long_rows_are_multiplied_as_sketches_and_summed_as_they_are():
    plan = a_plan(3, 1, length=1000, site_rows=2, bound=bound_for(25.0, scale=1 << 10, length=1000, buckets=128))
    play = GramPlay(plan, rows=shorter)
    total = play.run()
    gram, plain = play.plain(plan.dealers)
    found = play.server.products.raw
    assert total.view(np.int64).tolist() == plain.tolist()
    assert (found != gram).any()  # they are estimates, so that the norm of the total says nothing about them
    assert np.abs(found - gram).max() < 0.6 * gram.max()
    assert_replays(play, total)


def shorter(plan, dealer):
    """Rows well below the bound, so that those of a small sketch are below it as well."""
    return np.rint(rows_of(plan, dealer).view(np.int64) * 0.7).astype(np.int64).view(np.uint64)


def test_a_bound_allows_for_rounding_and_for_the_sketch_and_is_refused_where_lengths_are_not_checked():
    assert bound_for(1.0, scale=1 << 15, length=16, buckets=128) == (1 << 15) + 2
    assert bound_for(1.0, scale=1 << 15, length=1 << 20, buckets=1 << 12) == 2 * ((1 << 15) + 512)
    with pytest.raises(Misuse, match="at most 32768 steps"):
        bound_for(1.1, scale=1 << 15, length=16, buckets=128)


# ---------------------------------------------------------------- too few, and silence


def test_fewer_sites_than_the_quorum_and_nothing_is_opened():
    play = GramPlay(a_plan(4, 2, quorum=3), silent={Phase.DEAL: frozenset({0, 3})})
    with pytest.raises(Refused, match="only 2 sites dealt, 3 are needed"):
        play.run()
    with pytest.raises(Refused, match="only 2 sites dealt, 3 are needed"):
        play.server.advance()  # asked again, it says the same
    assert not play.server.exchange().told
    with pytest.raises(Refused, match="failed"):
        play.replayed()


@pytest.mark.parametrize("phase", [phase for phase in EXPECTS if phase is not Phase.LEND])
@pytest.mark.parametrize("k", range(3))
def test_an_aggregator_that_falls_silent_voids_the_round(phase, k):
    play = GramPlay(a_plan(), silent={phase: frozenset({4 + k})})
    with pytest.raises(Refused, match=f"aggregator {k} did not answer"):
        play.run()
    assert play.server.total is None
    assert play.server.summed == ()
    assert play.server.leaves().count(merkle.EMPTY) == 0
    with pytest.raises(Refused, match="failed"):
        play.replayed()


def test_the_server_waits_for_everyone_and_for_nobody_in_vain():
    play = GramPlay(a_plan(4, 2))
    opening = play.opening()
    for party in (*play.plan.aggregators, *play.plan.dealers):
        assert not play.server.ready
        play.answer({party: opening[party]})
    assert play.server.ready
    play.answer(play.close())
    assert play.server.ready
    play.server.receive(AGGREGATOR, b"nonsense")
    assert play.named() == [("aggregator 0", "sent two different messages where one was due")]
    play.close()  # the first stands
    assert not play.server.ready
    play.server.receive(AGGREGATOR, b"nonsense")
    assert play.server.ready  # nothing can come of it any more
    with pytest.raises(Refused, match="aggregator 0 sent something else than was due"):
        play.close()


# ---------------------------------------------------------------- receipts, leaves


def test_receipts_leaves_and_heads_are_those_of_secure_aggregation():
    """So contracts check uploads, omissions and disputes of both alike."""
    play = GramPlay(a_plan(4, 2))
    play.run()
    plan = play.plan
    for dealer, data in play.server.uploads().items():
        envelope = secagg_upload.envelope(data, who="")
        body = canon.digest_bytes(envelope.body)
        signed = sign.digest(plan.ground.domain, sign.Upload(JOB, 3, dealer, body))
        assert sign.verify(plan.ground.signer_of(dealer), signed, envelope.signature)
        assert secagg_upload.kind_of(data) == canon.tag_of(GramUpload)
        leaf = merkle.leaf(upload_leaf_data(JOB, 3, dealer, body, envelope.signature))
        receipt = play.dealers[dealer].receipt
        assert receipt.leaf == leaf
        signed = sign.digest(plan.ground.domain, sign.Receipt(JOB, 3, dealer, leaf))
        assert sign.verify(plan.ground.coordinator, signed, receipt.signature)
        if dealer < plan.sites:
            assert play.server.leaves()[dealer] == leaf
    assert len(play.server.leaves()) == plan.sites
    assert play.server.exchange().evaluators == tuple(
        canon.digest_bytes(play.server.uploads()[dealer]) for dealer in (4, 5)
    )


def test_a_receipt_for_something_else_is_the_coordinators_fault():
    play = GramPlay(a_plan())
    one, other = (play.dealers[seat] for seat in (0, 1))
    receipts = {}
    for seat, dealer in ((0, one), (1, other)):
        (receipts[seat],) = play.server.receive(
            seat, dealer.upload(rows_of(play.plan, seat), report_of(play.plan, seat))
        )
    assert one.react(receipts[0]) == []
    for wrong in (receipts[1], b"", receipts[0][:-1]):
        with pytest.raises(PeerFault, match="the coordinator"):
            play.a_dealer(0).react(wrong)
        with pytest.raises(PeerFault, match="the coordinator"):
            one.react(wrong)


# ---------------------------------------------------------------- again


def test_everyone_starts_again_at_any_step_and_says_the_same_bytes():
    first = GramPlay(a_plan(3, 1))
    total = first.run()
    again = GramPlay(a_plan(3, 1), memories=first.memories)
    assert again.run().tolist() == total.tolist()
    assert [body for *_, body in again.heard] == [body for *_, body in first.heard]
    assert [body for *_, body in again.told] == [body for *_, body in first.told]
    assert canon.pack(again.server.exchange()) == canon.pack(first.server.exchange())


def test_a_coordinator_that_starts_again_is_told_the_same_by_everybody():
    """Aggregators that stayed up answer from what they said before, loans among it."""
    play = GramPlay(a_plan())
    honest = play.aggregators[5]._seeds
    play.aggregators[5]._seeds = lambda told: None if told.upload.seat == SITE else honest(told)
    total = play.run()
    first, play.server = play.server, GramServer(play.plan, COORDINATOR, play.rule, listed=play.server.dealers)
    assert play.run().tolist() == total.tolist()
    assert canon.pack(play.server.exchange()) == canon.pack(first.exchange())
    assert first.exchange().loans


@pytest.mark.parametrize("phase", [phase for phase in EXPECTS if phase not in (Phase.DEAL, Phase.LEND)])
def test_an_aggregator_that_starts_again_is_told_everything_again_and_the_round_goes_on(phase):
    play = GramPlay(a_plan())
    play.until(phase)
    fresh = play.aggregators[5] = play.an_aggregator(5)
    said = fresh.pledge()
    while said:
        told = play.server.receive(5, said)
        said = next((answer for body in told for answer in fresh.react(body)), None)
    while not play.server.is_over:
        play.answer(play.close())
    assert_exact(play, play.server.total, play.plan.dealers)


def test_a_dealer_never_deals_other_rows_or_another_report_in_a_round():
    plan, memory = a_plan(), Memory()

    def deal(rows, report, kept=True):
        play = GramPlay(plan, memories={SITE: memory})
        if not kept:
            play.dealers[SITE]._kept = b""  # its journal lost that entry alone
        return play.dealers[SITE].upload(rows, report)

    rows, report = rows_of(plan, SITE), report_of(plan, SITE)
    first = deal(rows, report)
    assert deal(rows, report) == first
    other = rows + np.uint64(1)
    for kept in (True, False):
        with pytest.raises(Refused):
            deal(other, report, kept)
        with pytest.raises(Refused):
            deal(rows, (0, 0), kept)
    assert deal(rows, report) == first


def test_other_rows_are_never_covered_by_the_same_keystreams():
    """Two corrections under one keystream would give the difference of the rows away."""
    plan = a_plan()
    rows = rows_of(plan, 0)
    corrections = []
    for table in (rows, rows + np.uint64(1)):
        play = GramPlay(plan)
        message = play.dealers[0].upload(table, report_of(plan, 0))
        corrections.append(gram_upload.read(message, plan, 0).correction)
    difference = np.abs(ring.signed(corrections[1] - corrections[0]))
    assert (difference[:, : plan.session.length] > 1 << 40).all()


def test_a_party_takes_part_under_one_session_per_round():
    play = GramPlay(a_plan())
    play.opening()
    other = GramPlay(a_plan(scale=1 << 11), memories=play.memories)
    with pytest.raises(Refused):
        other.dealers[0].upload(rows_of(other.plan, 0), report_of(other.plan, 0))
    with pytest.raises(Refused):
        other.aggregators[4].pledge()


def test_an_aggregator_opens_one_weighted_sum_per_state():
    """Two sums from one state, weighed differently, would differ by single rows."""
    first = GramPlay(a_plan())
    first.run()
    kept = {party: Memory({"weights": memory["weights"]}) for party, memory in first.memories.items() if party >= 4}
    same = GramPlay(a_plan(round=3), memories={party: Memory(memory) for party, memory in kept.items()})
    same.run()
    other = GramPlay(a_plan(), silent={Phase.DEAL: frozenset({1})}, memories=kept)
    with pytest.raises(Refused, match="did not answer with sum"):
        other.run()
    assert {type(problem) for problem in other.problems.values()} == {Refused}


# ---------------------------------------------------------------- what does not fit


@pytest.mark.parametrize(
    "fields",
    [
        {"length": 0},
        {"length": (1 << 28) + 1},
        {"scale": 0},
        {"bound": 0},
        {"bound": 1 << 18},
        {"buckets": 100},
        {"quorum": 5},
        {"quorum": 0},
        {"site_rows": 0},
        {"site_rows": 1 << 14},
        {"evaluator_rows": -1},
        {"report": 65},
        {"round": -1},
        {"state": b"short"},
    ],
)
def test_an_unsound_session_is_refused(fields):
    with pytest.raises(Refused, match="session"):
        a_plan(**fields)


def test_a_signer_that_stands_for_two_parties_is_refused():
    plan = a_plan()
    ground = replace(plan.ground, sites=(plan.ground.sites[0],) * 4)
    with pytest.raises(Refused, match="two parties"):
        type(plan)(replace(plan.session, ground=ground.digest), ground)
    with pytest.raises(Misuse, match="another ground"):
        type(plan)(plan.session, ground)
    with pytest.raises(Misuse, match="another public row"):
        type(plan)(plan.session, plan.ground, np.zeros(5, np.uint64))


def test_rows_reports_and_keys_have_to_fit_the_session():
    play = GramPlay(a_plan(4, 2))
    dealer = play.dealers[0]
    rows = rows_of(play.plan, 0)
    for wrong in (rows[:, 1:], rows.view(np.int64), np.vstack([rows, rows])):
        with pytest.raises(Misuse, match="rows"):
            dealer.upload(wrong, (0, 0))
    with pytest.raises(Misuse, match="report"):
        dealer.upload(rows, (0,))
    with pytest.raises(Misuse, match="another key"):
        type(dealer)(play.plan, 1, signer=signer_of("seat 0"), entropy=None, remember=None)
    with pytest.raises(Misuse, match="other keys"):
        type(play.aggregators[6])(play.plan, 1, secrets_of(0), judge=None, remember=None)
    with pytest.raises(Misuse, match="another coordinator"):
        GramServer(play.plan, signer_of("seat 0"), a_rule(play.plan))


@pytest.mark.parametrize(
    "weights",
    [
        np.array([1, 2, 3, 4], np.int32),
        np.array([1, 2, 3], np.int64),
        np.array([-1, 0, 0, 0], np.int64),
        np.array([WHOLE, 1, 0, 0], np.int64),
    ],
)
def test_a_rule_that_gives_no_weights_is_our_own_bug(weights):
    play = GramPlay(a_plan(), judge=lambda *_: weights)
    with pytest.raises(Misuse, match="gram"):
        play.run()


def test_a_rule_that_weighs_nobody_opens_a_sum_of_nothing():
    play = GramPlay(a_plan(), judge=lambda *_: np.zeros(4, np.int64))
    assert not play.run().any()


def test_a_rule_that_refuses_voids_the_round():
    def refuse(*_):
        raise Refused("nobody helps")

    play = GramPlay(a_plan(), judge=refuse)
    with pytest.raises(Refused, match="nobody helps"):
        play.run()


def test_only_the_listed_may_be_in_where_a_list_was_told_before():
    play = GramPlay(a_plan())
    play.server = GramServer(play.plan, play.server._signer, play.rule, listed=(0, 2, 3))
    play.answer(play.opening())
    assert play.server.ready
    while not play.server.is_over:
        play.answer(play.close())
    assert play.server.dealers == play.server.summed == (0, 2, 3)
