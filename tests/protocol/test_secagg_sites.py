"""A coordinator that lies: no site opens a second sum, and none opens anything that the committee has not seen."""

from functools import cache
from itertools import combinations

import numpy as np
import pytest

from adversary import (
    COORDINATOR,
    DOMAIN,
    JOB,
    Memory,
    Play,
    SetupPlay,
    a_client,
    a_setup,
    a_vector,
    prepared,
    reads,
    said_by,
    signer_of,
    told_by_coordinator,
    with_fields,
)
from caduceus import canon
from caduceus.crypto import shamir, sign
from caduceus.errors import PeerFault, Refused
from caduceus.protocol import secagg_seeds as seeds
from caduceus.protocol.envelope import Signed, kind_of
from caduceus.protocol.secagg_client import Revealed, Step
from caduceus.protocol.secagg_messages import (
    Consent,
    Consents,
    Opening,
    Receipt,
    Roster,
    Survivors,
    consent_digest,
    survivors_digest,
)
from caduceus.protocol.secagg_plan import Family, Plan
from caduceus.protocol.secagg_server import Phase
from caduceus.protocol.secagg_setup_server import SetupPhase

SITES, SITE, THRESHOLD = 7, 2, 5
STAGE = prepared(SITES)
SESSION = STAGE.session()
EVERYBODY = tuple(range(SITES))
ELSEWHERE = bytes(range(32))
STEPS = [Step.UPLOADED, Step.CONSENTED]


@cache
def honest(round=0):
    """A round in which nobody lied."""
    play = Play(stage=STAGE, session=STAGE.session(round=round))
    play.run()
    return play


def told_to(play, seat):
    """What the coordinator told a site, receipts aside."""
    return [told for _, to, told in play.told if to == seat and kind_of(told) != canon.tag_of(Receipt)]


def a_site(seat=SITE, memory=None, session=SESSION, stage=STAGE):
    """A site that has uploaded; with the same memory it is the same one after a crash."""
    client = a_client(session, stage.grounds[seat], memory)
    client.upload(a_vector(session, seat))
    return client


def a_site_at(step, round=0, memory=None):
    """A site that stands at a step of an honest round, and the message that is due to it next."""
    client = a_site(memory=memory, session=STAGE.session(round=round))
    for message in told_to(honest(round), SITE):
        if client.step is step:
            return client, message
        client.react(message)
    raise AssertionError(f"no message is due at {step}")


def lied_to(step, kind, **fields):
    """What a site raises when its next message has other fields, signed by the coordinator."""
    client, message = a_site_at(step)
    with pytest.raises((PeerFault, Refused)) as caught:
        client.react(told_by_coordinator(with_fields(reads(kind, message), **fields)))
    assert client.step is Step.STOPPED
    with pytest.raises(PeerFault, match="given up"):
        client.react(message)  # and now it does not even answer the truth
    return caught.value


def a_list(seats, session=SESSION, groups=(0,)):
    """A survivor list that the coordinator signed."""
    return told_by_coordinator(Survivors(session.digest, tuple(seats), groups))


def seen(seats, recipient, senders, session=SESSION, stage=STAGE):
    """That some members have seen a list, as one member must be told; made with the keys that they have in common."""
    about = consent_digest(session.digest, survivors_digest(seats, [seats]))
    return told_by_coordinator(with_tags(about, recipient, senders, session, stage))


def with_tags(about, recipient, senders, session=SESSION, stage=STAGE):
    tags = [
        bytes(32)
        if sender == recipient
        else seeds.tag(stage.grounds[sender].tag_keys[recipient], about=about, sender=sender, recipient=recipient)
        for sender in senders
    ]
    return Consents(session.digest, tuple(senders), np.frombuffer(b"".join(tags), np.uint8).reshape(-1, 32))


# ---------------------------------------------------------------- one decision per round


def test_a_second_survivor_list_finds_nobody_to_open_for_it():
    """The attack that consistency is for: two lists that differ by one site would give away its update."""
    play = honest()
    for seat in EVERYBODY[:-1]:
        site = a_site(seat, play.memories[seat])
        with pytest.raises(Refused, match="survivors was decided differently"):
            site.react(a_list(EVERYBODY[:-1]))
        assert site.step is Step.STOPPED


@pytest.mark.parametrize("step", [*STEPS, Step.OPENED], ids=lambda step: step.name)
def test_a_site_that_starts_again_at_any_step_says_the_same_bytes(step):
    memory, play = Memory(), honest()
    client = a_site(memory=memory)
    said = [play.server.uploads()[SITE]]
    for message in told_to(play, SITE):
        if client.step is step:
            break
        said += client.react(message)
    again = a_client(SESSION, STAGE.grounds[SITE], memory)
    repeated = [again.upload(a_vector(SESSION, SITE))]
    for message in told_to(play, SITE):
        repeated += again.react(message)
    assert repeated[: len(said)] == said
    assert repeated == [body for _, who, body in play.heard if who == SITE]


def test_another_session_of_the_same_round_is_refused():
    memory = Memory()
    a_site(memory=memory)
    for differs in ({"state": ELSEWHERE}, {"length": 6}, {"bits": 32}):
        other = STAGE.session(**differs)
        with pytest.raises(Refused, match="session was decided differently"):
            a_site(memory=memory, session=other)


def test_another_vector_in_the_same_round_is_refused():
    """Two vectors under the same masks would give away their difference."""
    memory = Memory()
    a_site(memory=memory)
    again = a_client(SESSION, STAGE.grounds[SITE], memory)
    other = a_vector(SESSION, SITE)
    other[0] += np.uint64(1)
    with pytest.raises(Refused, match="upload was decided differently"):
        again.upload(other)
    assert again.step is Step.NEW
    assert again.upload(a_vector(SESSION, SITE)) == honest().server.uploads()[SITE]


def test_a_list_is_remembered_by_the_sites_of_its_sums_alone():
    """So a caller can hold a site to one list per public state, in whatever round."""
    lists = [honest(number).memories[0]["survivors"] for number in (0, 1)]
    assert lists[0] == lists[1] == canon.pack(Revealed((EVERYBODY,)))


def test_a_consent_names_the_list_and_its_groups_in_this_round():
    different = [(EVERYBODY, [EVERYBODY]), (EVERYBODY[:-1], [EVERYBODY[:-1]]), (EVERYBODY, [(0, 1, 2), (3, 4, 5, 6)])]
    different += [(EVERYBODY, [(0, 1, 2)]), (EVERYBODY, [(3, 4, 5, 6)]), (EVERYBODY, []), ((), [EVERYBODY])]
    sessions = (SESSION, STAGE.session(round=1), STAGE.session(state=ELSEWHERE))
    digests = {consent_digest(session.digest, survivors_digest(*one)) for session in sessions for one in different}
    assert len(digests) == len(sessions) * len(different)
    assert reads(Consent, a_site().react(a_list(EVERYBODY))[0]).survivors == survivors_digest(*different[0])


def test_what_a_site_decides_is_remembered_before_it_is_said():
    for what, said in (("session", False), ("upload", False), ("survivors", True)):
        client = a_client(SESSION, STAGE.grounds[SITE], Memory({what: b"something else"}))
        if said:
            client.upload(a_vector(SESSION, SITE))
        with pytest.raises(Refused, match=f"{what} was decided differently"):
            client.react(a_list(EVERYBODY)) if said else client.upload(a_vector(SESSION, SITE))


# ---------------------------------------------------------------- different words to different sites


def test_different_survivor_lists_to_different_sites_open_nothing():
    """Half of the sites are told that 6 vanished; the coordinator passes on every consent that it has."""
    lists = {seat: EVERYBODY if seat < 3 else EVERYBODY[:-1] for seat in EVERYBODY[:-1]}
    clients = {seat: a_site(seat) for seat in lists}
    said = {seat: reads(Consent, client.react(a_list(lists[seat]))[0]) for seat, client in clients.items()}
    for seat, client in clients.items():
        tags = np.stack([said[sender].tags[seat] for sender in said])
        with pytest.raises(Refused, match="only 3 members have seen this survivor list, 5 are needed"):
            client.react(told_by_coordinator(Consents(SESSION.digest, tuple(said), tags)))
        assert client.step is Step.STOPPED


def test_however_a_third_of_liars_splits_the_others_two_lists_are_never_both_opened():
    """Seats 0 and 1 side with the coordinator and stand by any list; the others are told one of two."""
    liars, others, opened_one = (0, 1), EVERYBODY[2:], 0
    lists = (EVERYBODY, EVERYBODY[1:])
    for size in range(len(others) + 1):
        for first in combinations(others, size):
            camps = (first, tuple(seat for seat in others if seat not in first))
            opened = [opens(seats, camp, liars) for seats, camp in zip(lists, camps, strict=True)]
            assert not all(opened)
            opened_one += any(opened)
    assert opened_one  # a third of liars can choose which


def opens(seats, camp, liars):
    """Whether the members of a camp open a list for which they and the liars stand."""
    found = set()
    for seat in camp:
        client = a_site(seat)
        client.react(a_list(seats))
        try:
            found.add(bool(client.react(seen(seats, seat, sorted((*camp, *liars))))))
        except Refused:
            found.add(False)
    return found == {True}


# ---------------------------------------------------------------- what a site opens


def shares_in(opening, ground, round):
    """The kind of every owner's share in an opening: 0 of the self-mask seed, 1 of the recovery key."""
    kinds, size = {}, shamir.SHARE_BYTES
    for owner, row in zip(opening.owners, opening.shares, strict=True):
        both = [ground.shares[owner][(2 * round + kind) * size :][:size] for kind in (0, 1)]
        assert both[0] != both[1]
        kinds[owner] = both.index(row.tobytes())
    return kinds


@pytest.mark.parametrize("round", [0, 1])
def test_a_site_opens_one_share_of_each_and_of_the_kind_that_the_list_calls_for(round):
    session = STAGE.session(round=round)
    play = Play(stage=STAGE, session=session, silent={Phase.UPLOAD: frozenset({4})})
    play.run()
    openings = {seat: reads(Opening, body) for at, seat, body in play.heard if at is Phase.OPEN}
    assert set(openings) == set(play.server.survivors) == set(EVERYBODY) - {4}
    for seat, opening in openings.items():
        assert shares_in(opening, STAGE.grounds[seat], round) == {owner: int(owner == 4) for owner in EVERYBODY}


@pytest.mark.parametrize("seat", range(5))
def test_over_all_pairs_of_lists_a_site_never_opens_both_shares_of_an_owner(seat):
    """It is restarted between any two lists that could be true, and told that everybody has seen either."""
    stage = prepared(5)
    session, ground = stage.session(), stage.grounds[seat]
    lists = [those for size in (4, 5) for those in combinations(range(5), size) if seat in those]
    for first in lists:
        for second in lists:
            memory, kinds = Memory(), []
            for seats in (first, second):
                client = a_site(seat, memory, session, stage)
                try:
                    client.react(a_list(seats, session))
                    (answer,) = client.react(seen(seats, seat, range(5), session, stage))
                except Refused:
                    assert seats != first
                    continue
                kinds.append(shares_in(reads(Opening, answer), ground, 0))
                assert kinds[-1] == {owner: int(owner not in seats) for owner in range(5)}
            assert all(one == kinds[0] for one in kinds)
            assert len(kinds) == (2 if first == second else 1)


@pytest.mark.parametrize("others", [(), (0,), (0, 3), (1, 4, 5), (0, 1, 3, 6), (0, 1, 3, 4, 5), (0, 1, 3, 4, 5, 6)])
@pytest.mark.parametrize("own", [False, True])
def test_a_site_opens_nothing_before_a_threshold_of_the_committee_has_seen_the_list(others, own):
    client = a_site()
    client.react(a_list(EVERYBODY))
    told = seen(EVERYBODY, SITE, sorted((*others, *([SITE] if own else []))))
    if len(others) + own < THRESHOLD:
        with pytest.raises(Refused, match=f"only {len(others) + own} members have seen this survivor list, 5 are"):
            client.react(told)
        assert client.step is Step.STOPPED
    else:
        assert kind_of(client.react(told)[0]) == canon.tag_of(Opening)


def test_an_opening_says_nothing_of_the_rounds_to_come():
    """Of each owner 36 bytes: the share of this round, and none of its shares of another."""
    answers = [reads(Opening, body) for at, _, body in honest().heard if at is Phase.OPEN]
    for opening in answers:
        opened = {row.tobytes() for row in opening.shares}
        kept, size = STAGE.grounds[opening.seat].shares, shamir.SHARE_BYTES
        never = {kept[owner][at * size :][:size] for owner in EVERYBODY for at in (1, 2, 3)}
        assert not opened & never


# ---------------------------------------------------------------- survivor lists

LISTS = [
    ("not ready, or one twice", {"seats": lambda old: (*old[:-1], 99)}),
    ("not ready, or one twice", {"seats": lambda old: (-1, *old[1:])}),
    ("not ready, or one twice", {"seats": lambda old: (*old, 2**80)}),
    ("not ready, or one twice", {"seats": lambda old: old[::-1]}),
    ("not ready, or one twice", {"seats": lambda old: (0, *old)}),
    ("not ready, or one twice", {"seats": lambda old: (*old, old[-1])}),
    ("a survivor list of 4, 5 are needed", {"seats": lambda old: old[:4]}),
    ("a survivor list of 0, 5 are needed", {"seats": ()}),
    ("left this site's upload out", {"seats": lambda old: tuple(seat for seat in old if seat != SITE)}),
    ("groups that there are not", {"groups": ()}),
    ("groups that there are not", {"groups": (1,)}),
    ("groups that there are not", {"groups": (-1,)}),
    ("groups that there are not", {"groups": (0, 0)}),
    ("groups that there are not", {"groups": (0, 1)}),
    ("groups that there are not", {"groups": (2**80,)}),
]


@pytest.mark.parametrize(("why", "fields"), LISTS, ids=[f"{i}-{why}" for i, (why, _) in enumerate(LISTS)])
def test_a_false_survivor_list_is_the_coordinators_fault(why, fields):
    fault = lied_to(Step.UPLOADED, Survivors, **fields)
    assert isinstance(fault, PeerFault)
    assert fault.who == "the coordinator"
    assert why in fault.why


def test_a_list_with_a_site_that_enrolled_and_never_got_ready_is_the_coordinators_fault():
    stage = SetupPlay(setup=a_setup(7), silent={SetupPhase.DEAL: frozenset({6})}).run()
    session = stage.session()
    with pytest.raises(PeerFault, match="not ready, or one twice"):
        a_site(session=session, stage=stage).react(a_list(EVERYBODY, session))
    said = a_site(session=session, stage=stage).react(a_list(EVERYBODY[:-1], session))
    assert kind_of(said[0]) == canon.tag_of(Consent)


def test_a_list_that_leaves_out_as_many_as_can_be_spared_is_consented_to():
    said = reads(Consent, a_site().react(a_list((0, 1, SITE, 5, 6)))[0])
    assert said.survivors == survivors_digest((0, 1, 2, 5, 6), [(0, 1, 2, 5, 6)])
    assert said.tags.shape == (SITES, 32)


def test_who_is_no_member_of_the_committee_consents_to_nothing():
    stage = prepared(12, plan=Plan(12, 4, 5, 4, Family.RING), silent=3)
    session, everybody = stage.session(), tuple(range(12))
    for seat in everybody:
        client = a_site(seat, session=session, stage=stage)
        if stage.foundation.layout.is_member(seat):
            assert kind_of(client.react(a_list(everybody, session))[0]) == canon.tag_of(Consent)
        else:
            with pytest.raises(PeerFault, match="no member of the committee"):
                client.react(a_list(everybody, session))
            assert client.step is Step.STOPPED
            assert not stage.grounds[seat].shares
            assert not stage.grounds[seat].tag_keys


# ---------------------------------------------------------------- consents


def another_list(senders, recipient=SITE):
    """Tags that these members truly made, for another list."""
    return lambda _: (
        with_tags(
            consent_digest(SESSION.digest, survivors_digest(EVERYBODY[:-1], [EVERYBODY[:-1]])), recipient, senders
        ).tags
    )


def of_this_list(recipient, session=SESSION):
    about = consent_digest(session.digest, survivors_digest(EVERYBODY, [EVERYBODY]))
    return lambda _: with_tags(about, recipient, EVERYBODY).tags


def its_own(_):
    """What the site itself said to the others, handed back as theirs: the key of a pair is the same both ways."""
    return reads(Consent, a_site().react(a_list(EVERYBODY))[0]).tags


CONSENTS = [
    ("not one tag per seat", {"seats": lambda old: old[:-1]}),
    ("not one tag per seat", {"tags": lambda old: old[:-1].copy()}),
    ("not one tag per seat", {"tags": lambda old: old[:, :-1].copy()}),
    ("not one tag per seat", {"tags": lambda old: old.astype("<u4")}),
    ("not one tag per seat", {"tags": lambda old: old.reshape(-1)}),
    ("not one tag per seat", {"seats": lambda old: old[::-1]}),
    ("not one tag per seat", {"seats": lambda old: (0, *old[:-1])}),
    ("no member", {"seats": lambda old: (*old[:-1], 99)}),
    ("no member", {"seats": lambda old: (-1, *old[1:])}),
    ("only 1 members have seen", {"tags": lambda old: old ^ np.uint8(1)}),
    ("only 1 members have seen", {"tags": lambda old: np.zeros_like(old)}),
    ("only 1 members have seen", {"tags": lambda old: np.roll(old, 1, axis=0)}),
    ("only 1 members have seen", {"tags": of_this_list(3)}),
    ("only 1 members have seen", {"tags": another_list(EVERYBODY)}),
    ("only 1 members have seen", {"tags": its_own}),
    ("only 1 members have seen", {"tags": of_this_list(SITE, STAGE.session(round=1))}),
    ("only 1 members have seen", {"tags": of_this_list(SITE, STAGE.session(state=ELSEWHERE))}),
    ("only 4 members have seen", {"seats": lambda old: old[:4], "tags": lambda old: old[:4].copy()}),
    ("only 4 members have seen", {"tags": lambda old: np.concatenate([old[:4], old[4:] ^ np.uint8(1)])}),
    ("only 0 members have seen", {"seats": (), "tags": lambda old: old[:0].copy()}),
]


@pytest.mark.parametrize(("why", "fields"), CONSENTS, ids=[f"{i}-{why}" for i, (why, _) in enumerate(CONSENTS)])
def test_false_consents_open_nothing(why, fields):
    fault = lied_to(Step.CONSENTED, Consents, **fields)
    assert why in str(fault)
    assert isinstance(fault, Refused if why.startswith("only") else PeerFault)


def test_as_many_false_tags_as_can_be_spared_do_not_stop_a_site():
    client, message = a_site_at(Step.CONSENTED)
    spoiled = with_fields(reads(Consents, message), tags=lambda old: np.concatenate([old[:5], old[5:] ^ np.uint8(1)]))
    assert client.react(told_by_coordinator(spoiled)) == a_site_at(Step.CONSENTED)[0].react(message)


def test_a_tag_is_made_for_one_member_by_one_member_about_one_list():
    said = [reads(Consent, body) for at, _, body in honest().heard if at is Phase.CONSENT]
    tags = {tag.tobytes() for consent in said for tag in consent.tags}
    assert len(tags) == SITES * (SITES - 1) + 1  # and zeros for oneself
    assert all(not consent.tags[consent.seat].any() for consent in said)
    later = {
        tag.tobytes() for at, _, body in honest(1).heard if at is Phase.CONSENT for tag in reads(Consent, body).tags
    }
    assert tags & later == {bytes(32)}


# ---------------------------------------------------------------- receipts


def test_a_receipt_for_something_else_is_no_receipt():
    good = honest().clients[SITE].receipt
    said = sign.digest(DOMAIN, sign.Receipt(JOB, 0, SITE, good.leaf))
    forged = [
        {"leaf": ELSEWHERE},
        {"leaf": honest().clients[3].receipt.leaf},
        {"signature": good.signature[:-1] + b"\x00"},
        {"signature": b""},
        {"signature": signer_of(3).sign(said)},
        {"signature": COORDINATOR.sign(sign.digest(DOMAIN, sign.Receipt(JOB, 1, SITE, good.leaf)))},
        {"signature": COORDINATOR.sign(sign.digest(bytes(32), sign.Receipt(JOB, 0, SITE, good.leaf)))},
    ]
    for fields in forged:
        client = a_site()
        with pytest.raises(PeerFault, match="the coordinator: sent a receipt for something else"):
            client.react(told_by_coordinator(with_fields(good, **fields)))
        assert client.receipt is None
        assert client.step is Step.STOPPED
    client = a_site()
    assert client.react(told_by_coordinator(good)) == []
    assert client.receipt == good


def test_a_receipt_is_welcome_at_any_later_step():
    receipt = told_by_coordinator(honest().clients[SITE].receipt)
    for step in STEPS:
        client, due = a_site_at(step)
        assert client.react(receipt) == []
        assert client.receipt is not None
        assert client.step is step
        assert client.react(due)


# ---------------------------------------------------------------- what anybody on the wire can do


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_bytes_that_are_not_the_coordinators_for_this_round_change_nothing(step):
    client, message = a_site_at(step)
    _, of_another_round = a_site_at(step, round=1)
    signed = canon.unpack(Signed, message)
    unsigned = canon.pack(with_fields(signed, signature=bytes(65)))
    by_a_site = said_by(3, reads(Survivors if step is Step.UPLOADED else Consents, message))
    other_scheme = canon.pack(with_fields(signed, scheme="ml-dsa-65"))
    bare = signed.body
    cut, longer = message[:-1], message + b"\x00"
    for data in (b"", b"\xff" * 99, cut, longer, unsigned, by_a_site, other_scheme, bare, of_another_round):
        with pytest.raises(PeerFault, match="the coordinator"):
            client.react(data)
        assert client.step is step
    assert client.react(message)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_a_message_out_of_turn_is_not_taken_and_one_taken_before_is_answered_alike(step):
    client, due = a_site_at(step)
    for other in STEPS:
        _, message = a_site_at(other)
        if STEPS.index(other) < STEPS.index(step):
            assert client.react(message) == client.react(message) != []
        elif other is not step:
            with pytest.raises(PeerFault, match=f"a site that has {step.value}"):
                client.react(message)
        assert client.step is step
    assert client.react(due)


def test_messages_of_the_setup_or_of_sites_mean_nothing_in_a_round():
    client, due = a_site_at(Step.UPLOADED)
    roster = told_by_coordinator(Roster(STAGE.foundation.layout.id, EVERYBODY, np.zeros((SITES, 32), np.uint8)))
    consent = next(body for at, seat, body in honest().heard if at is Phase.CONSENT)
    for message in (roster, consent, honest().server.uploads()[3], told_by_coordinator(reads(Consent, consent))):
        with pytest.raises(PeerFault, match="the coordinator"):
            client.react(message)
        assert client.step is Step.UPLOADED
    assert client.react(due)


def test_a_site_that_has_opened_opens_no_more():
    client, due = a_site_at(Step.CONSENTED)
    (opened,) = client.react(due)
    assert client.react(due) == [opened]
    with pytest.raises(PeerFault, match="a site that has opened"):
        client.react(seen(EVERYBODY, SITE, EVERYBODY[:5]))
    with pytest.raises(PeerFault, match="a site that has opened"):
        client.react(a_list(EVERYBODY[:-1]))
    assert client.react(due) == [opened]


def test_a_site_that_says_nothing_yet_hears_nothing():
    client = a_client(SESSION, STAGE.grounds[SITE])
    for message in told_to(honest(), SITE):
        with pytest.raises(PeerFault, match="nothing yet"):
            client.react(message)
    assert client.step is Step.NEW
