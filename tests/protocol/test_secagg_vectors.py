"""The vectors in tests/vectors/secagg: the package does what a second implementation wrote down, and takes nothing bad.

Everything here is read from the files; what wrote them shares no code with the package.
"""

import importlib
import json
import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from caduceus import canon
from caduceus.crypto import keystream, merkle, shamir, xwing
from caduceus.crypto.entropy import KeyedEntropy
from caduceus.crypto.mldsa import Identity
from caduceus.crypto.sign import Signer
from caduceus.errors import Misuse, PeerFault, Refused
from caduceus.protocol import (
    envelope,
    secagg_draw,
    secagg_exchange,
    secagg_intake,
    secagg_messages,
    secagg_parcel,
    secagg_plan,
    secagg_seeds,
    secagg_session,
    secagg_setup,
    secagg_setup_record,
)
from caduceus.protocol.encoding import DTYPES
from caduceus.protocol.secagg_client import Client
from caduceus.protocol.secagg_exchange import Exchange
from caduceus.protocol.secagg_messages import Confirm, Deal
from caduceus.protocol.secagg_plan import Assumptions, Family, Plan
from caduceus.protocol.secagg_replay import replay
from caduceus.protocol.secagg_server import Phase, Server
from caduceus.protocol.secagg_session import Session
from caduceus.protocol.secagg_setup import Layout, Party, Setup
from caduceus.protocol.secagg_setup_record import Foundation, SetupRecord, without_parcels
from caduceus.protocol.secagg_setup_server import SetupPhase, SetupServer
from caduceus.protocol.secagg_setup_site import SetupSite

VECTORS = Path(__file__).parents[1] / "vectors"
FILES = sorted(path.stem for path in (VECTORS / "secagg").glob("*.json"))
READ = {name: json.loads((VECTORS / "secagg" / f"{name}.json").read_text()) for name in FILES}

RECORDS = {
    canon.tag_of(kind): kind
    for module in (
        envelope,
        secagg_exchange,
        secagg_intake,
        secagg_messages,
        secagg_plan,
        secagg_session,
        secagg_setup,
        secagg_setup_record,
    )
    for kind in vars(module).values()
    if isinstance(kind, type) and hasattr(kind, "__canon_tag__")
}


def unhexed(parts):
    return [bytes.fromhex(part) for part in parts]


def of(name, group="good"):
    return READ[name][group]


def why(case):
    return " ".join(str(case[field]) for field in ("phase", "kind", "field", "why") if field in case)


@pytest.fixture(scope="module")
def generator():
    sys.path.insert(0, str(VECTORS))
    try:
        yield importlib.import_module("make_secagg")
    finally:
        sys.path.remove(str(VECTORS))


@pytest.mark.parametrize("name", FILES)
def test_the_files_hold_what_the_second_implementation_writes(generator, name):
    assert (VECTORS / "secagg" / f"{name}.json").read_text() == generator.text(name)


def test_there_is_a_file_for_everything_that_the_second_implementation_writes(generator):
    assert set(FILES) == set(generator.ALL)
    assert sum(path.stat().st_size for path in (VECTORS / "secagg").iterdir()) < 1_500_000


def test_the_second_implementation_has_nothing_of_the_package():
    for path in VECTORS.glob("*.py"):
        assert "import caduceus" not in path.read_text()
        assert "from caduceus" not in path.read_text()


# ---------------------------------------------------------------- sizes and draws


@pytest.mark.parametrize("case", of("plan"), ids=lambda case: str(case["sites"]))
def test_what_is_assumed_gives_the_plan_and_its_chances(case):
    assumptions = Assumptions(**case["assumptions"])
    chosen = secagg_plan.plan(case["sites"], assumptions)
    assert chosen == Plan(**{**case["plan"], "family": Family(case["plan"]["family"])})
    reached = secagg_plan.reached(chosen, assumptions)
    for what, expected in case["log2"].items():
        assert getattr(reached, what) == (float("-inf") if expected is None else pytest.approx(expected, abs=1e-4))


@pytest.mark.parametrize("case", of("plan", "bad"), ids=why)
def test_what_cannot_be_borne_has_no_plan(case):
    with pytest.raises(Refused, match="plan"):
        secagg_plan.plan(case["sites"], Assumptions(**case["assumptions"]))


@pytest.mark.parametrize("case", of("draws", "committees"))
def test_a_beacon_gives_its_committee(case):
    found = secagg_draw.draw_committee(bytes.fromhex(case["beacon"]), case["seats"], case["size"])
    assert list(found) == case["committee"]


def graph_of(case):
    sites = len(case["seats"])
    sizes = Plan(sites, case["degree"], sites, secagg_plan.threshold_for(sites), Family(case["family"]))
    return secagg_draw.draw_graph(bytes.fromhex(case["beacon"]), case["seats"], sizes)


@pytest.mark.parametrize("case", of("draws", "graphs"))
def test_a_beacon_gives_its_graph(case):
    graph = graph_of(case)
    rows = [list(graph.neighbours(seat)) for seat in case["seats"]]
    if "rows" in case:
        assert rows == case["rows"]
    else:
        flat = b"".join(one.to_bytes(4) for row in rows for one in (len(row), *row))
        assert sha256(flat).hexdigest() == case["digest"]


@pytest.mark.parametrize("case", of("draws", "groups"))
def test_a_beacon_gives_its_groups(case):
    beacon = bytes.fromhex(case["beacon"])
    found = secagg_draw.draw_groups(beacon, case["number"], case["seats"], case["size"])
    assert [list(group) for group in found] == case["groups"]


def layout_of(seats, sizes, beacon, cohort=0):
    parties = tuple(Party(seat, bytes(20), bytes(32)) for seat in seats)
    quorum = secagg_plan.threshold_for(len(seats))
    who = (secagg_setup.SUITE, bytes(32), bytes(32), bytes(20), parties)
    return Layout(Setup(*who, sizes, quorum, cohort, bytes.fromhex(beacon), keystream.CIPHER, 0, 1, 0))


@pytest.mark.parametrize("case", of("draws", "partitions"), ids=lambda case: str(case["sites"]))
def test_partitions_follow_one_another_and_stay_apart(case):
    sites = case["sites"]
    sizes = Plan(sites, sites - 1, sites, secagg_plan.threshold_for(sites), Family.FULL)
    layout = layout_of(range(sites), sizes, case["beacon"], case["cohort"])
    found = [[list(group) for group in layout.groups(draw)] for draw in range(len(case["draws"]))]
    assert found == case["draws"]


@pytest.mark.parametrize("case", of("draws", "roles"))
def test_who_deals_to_whom_follows_from_committee_and_graph(case):
    sizes = Plan(**{**case["plan"], "family": Family(case["plan"]["family"])})
    layout = layout_of(case["seats"], sizes, case["beacon"])
    everybody = layout.present(case["seats"])
    assert list(layout.committee) == case["committee"]
    for what in ("neighbours", "receivers", "dealers", "peers"):
        assert [list(getattr(everybody, what)(seat)) for seat in case["seats"]] == case[what]
    for low, high, dealer in case["dealer_of_pairs"]:
        assert layout.dealer(low, high) == layout.dealer(high, low) == dealer


# ---------------------------------------------------------------- secrets


@pytest.mark.parametrize("case", of("keys"))
def test_a_root_gives_every_secret(case):
    entropy, rounds = KeyedEntropy(bytes.fromhex(case["root"])), case["rounds"]
    setup, roster = bytes.fromhex(case["setup"]), bytes.fromhex(case["roster"])
    context = secagg_seeds.context_of(setup, roster)
    assert context.hex() == case["context"]
    seed = secagg_seeds.kem_seed(entropy, setup)
    assert (seed.hex(), xwing.Decapsulator(seed).public.hex()) == (case["kem_seed"], case["kem_public"])
    own = secagg_seeds.own_secrets(entropy, context, rounds)
    assert [row.tobytes().hex() for row in own[0]] == case["self_seeds"]
    assert [row.tobytes().hex() for row in own[1]] == case["recovery_keys"]
    root = secagg_seeds.pair_root(entropy, context)
    assert root.hex() == case["pair_root"]
    for pair in case["pairs"]:
        secret = secagg_seeds.pair_secret(root, pair["receiver"])
        assert secret.hex() == pair["secret"]
        assert [row.tobytes().hex() for row in secagg_seeds.pair_seeds(secret, rounds)] == pair["seeds"]
        assert secagg_seeds.tag_key(secret).hex() == pair["tag_key"]
    for one in case["pads"]:
        checks = np.frombuffer(b"".join(unhexed(one["checks"])), np.uint8).reshape(-1, 32)
        found = secagg_seeds.pads(bytes.fromhex(one["recovery_key"]), checks)
        assert [row.tobytes().hex() for row in found] == one["pads"]


def tag_of(case):
    key, about = bytes.fromhex(case["key"]), bytes.fromhex(case["about"])
    return key, {"about": about, "sender": case["sender"], "recipient": case["recipient"]}


@pytest.mark.parametrize("case", of("keys", "tags"))
def test_a_tag_assures_its_recipient(case):
    key, said = tag_of(case)
    assert secagg_seeds.tag(key, **said).hex() == case["tag"]
    assert secagg_seeds.is_tag(bytes.fromhex(case["tag"]), key, **said)


@pytest.mark.parametrize("case", of("keys", "bad_tags"), ids=why)
def test_a_bad_tag_assures_nobody(case):
    key, said = tag_of(case)
    assert not secagg_seeds.is_tag(bytes.fromhex(case["tag"]), key, **said)


@pytest.mark.parametrize("case", of("shares"))
def test_a_root_gives_every_share_and_a_threshold_of_them_the_secret(case):
    secrets, threshold, holders = unhexed(case["secrets"]), case["threshold"], case["holders"]
    entropy, context = KeyedEntropy(bytes.fromhex(case["root"])), bytes.fromhex(case["context"])
    dealt = shamir.share(secrets, threshold=threshold, holders=holders, entropy=entropy, context=context)
    assert [[one.tobytes().hex() for one in row] for row in dealt] == case["shares"]
    for chosen in (range(threshold), range(holders - threshold, holders)):
        assert shamir.reconstruct(list(chosen), dealt[:, list(chosen)]) == secrets
    assert all(shamir.are_shares(b"".join(unhexed(row))) for row in case["shares"])


@pytest.mark.parametrize("case", of("shares", "bad"), ids=why)
def test_a_bad_share_is_none(case):
    assert not shamir.are_shares(bytes.fromhex(case["share"]))


def contents_of(case):
    context, parcel, digests = (bytes.fromhex(case[field]) for field in ("context", "parcel", "digests"))
    opener = xwing.Decapsulator(bytes.fromhex(case["receiver_seed"]))
    seats = {"dealer": case["dealer"], "receiver": case["receiver"]}
    return secagg_parcel.read(parcel, opener, context=context, digests=digests, **seats)


@pytest.mark.parametrize("case", of("parcel"))
def test_a_parcel_gives_its_receiver_what_was_sealed(case):
    found = contents_of(case)
    assert found is not None
    assert (found.secret.hex(), found.shares.hex()) == (case["secret"], case["shares"])
    digests = secagg_messages.share_digests(case["dealer"], case["receiver"], found.shares)
    assert digests.hex() == case["digests"]
    opener = xwing.Decapsulator(bytes.fromhex(case["receiver_seed"]))
    assert opener.public.hex() == case["receiver_public"]
    is_member = bool(case["shares"])
    rounds = len(found.shares) // (2 * shamir.SHARE_BYTES)
    assert len(case["parcel"]) // 2 == secagg_messages.parcel_bytes(rounds, to_member=is_member)


@pytest.mark.parametrize("case", of("parcel", "bad"), ids=why)
def test_a_bad_parcel_holds_nothing_usable(case):
    assert contents_of(case) is None


def test_digests_bind_what_they_are_of():
    read = READ["commitments"]
    for case in read["commitments"]:
        assert secagg_messages.commitment(case["kind"], bytes.fromhex(case["secret"])).hex() == case["commitment"]
    for case in read["share_digests"]:
        share = bytes.fromhex(case["share"])
        found = secagg_messages.share_digest(case["owner"], case["holder"], case["kind"], share)
        assert found.hex() == case["digest"]
    for case in read["pair_checks"]:
        assert secagg_messages.pair_check(case["low"], case["high"], bytes.fromhex(case["seed"])).hex() == case["check"]
    for case in read["deal_trees"]:
        rows = zip(unhexed(case["sealed"]), case["digests"], strict=True)
        leaves = [secagg_messages.deal_leaf(sealed, b"".join(unhexed(digests))) for sealed, digests in rows]
        assert [leaf.hex() for leaf in leaves] == case["leaves"]
        assert merkle.root(leaves).hex() == case["root"]
    for case in read["signed_digests"]:
        assert secagg_messages.signed_digest(unhexed(case["messages"])).hex() == case["digest"]
    for case in read["survivors_digests"]:
        assert secagg_messages.survivors_digest(case["seats"], case["groups"]).hex() == case["digest"]
    for case in read["consent_digests"]:
        session, survivors = bytes.fromhex(case["session"]), bytes.fromhex(case["survivors"])
        assert secagg_messages.consent_digest(session, survivors).hex() == case["digest"]


@pytest.mark.parametrize("case", of("masks"))
def test_masks_are_added_and_taken(case):
    vector = np.array(case["start"], DTYPES[case["bits"]])
    keystream.apply(vector, unhexed(case["plus"]), unhexed(case["minus"]))
    assert vector.tolist() == case["masked"]
    keystream.apply(vector, unhexed(case["minus"]), unhexed(case["plus"]))
    assert vector.tolist() == case["start"]


@pytest.mark.parametrize("case", of("masks", "bad"), ids=why)
def test_bad_keys_mask_nothing(case):
    with pytest.raises(Misuse, match="keystream"):
        keystream.apply(np.zeros(4, "<u8"), unhexed(case["plus"]), unhexed(case["minus"]))


# ---------------------------------------------------------------- records


def read_field(shown):
    """A field as the file shows it, as the tree that is encoded."""
    if not isinstance(shown, dict):
        return [read_field(one) for one in shown] if isinstance(shown, list) else shown
    if "array" in shown:
        return [shown["array"], shown["shape"], bytes.fromhex(shown["hex"])]
    if "record" in shown:
        return [shown["record"], *map(read_field, shown["fields"])]
    return bytes.fromhex(shown["hex"])


@pytest.mark.parametrize("case", of("messages"), ids=lambda case: case["record"])
def test_a_record_has_one_encoding(case):
    kind, data = RECORDS[case["record"]], bytes.fromhex(case["bytes"])
    found = canon.unpack(kind, data)
    assert canon.pack(found) == data
    dump, _ = canon._codec_of(kind)
    assert dump(found) == [case["record"], *map(read_field, case["fields"])]


def test_there_is_a_vector_for_every_record_of_the_protocol():
    assert {case["record"] for case in of("messages")} == {tag for tag in RECORDS if tag in SPOKEN}


SPOKEN = {tag for tag in RECORDS if tag == "signed/1" or tag.startswith("secagg/")}


@pytest.mark.parametrize("case", of("messages", "bad"), ids=why)
def test_another_encoding_is_refused(case):
    with pytest.raises(Refused):
        canon.unpack(RECORDS[case["record"]], bytes.fromhex(case["bytes"]))


# ---------------------------------------------------------------- a set-up

SETUP, ROUND, LIES = READ["setup"], READ["round"], READ["lies"]
SAID = ("advertisements", "deals", "confirms", "endorses")
TOLD_TO = SETUP["told"]["seat"]


def record_of(setup):
    """The published record, from the messages of a set-up."""
    signed = [canon.unpack(envelope.Signed, bytes.fromhex(setup[name])).body for name in ("roster", "ready")]
    adverts, deals, confirms, endorses = (tuple(unhexed(setup[name])) for name in SAID)
    chosen = canon.unpack(Setup, bytes.fromhex(setup["setup"]))
    return SetupRecord(
        chosen,
        canon.unpack(secagg_messages.Roster, signed[0]),
        adverts,
        tuple(map(without_parcels, deals)),
        confirms,
        canon.unpack(secagg_messages.Ready, signed[1]),
        endorses[: chosen.plan.threshold],
        faults=(),
        others=(),
    )


def named(name):
    """A good message by the name that bad ones give it."""
    file, *path = name.split("/")
    if file == "record":
        return getattr(record_of(SETUP), path[0])[int(path[1])]
    if file == "told":
        return bytes.fromhex(SETUP["told"][path[0]])
    at = next(book[plural] for book in (SETUP, ROUND) for plural in (file, f"{file}s") if plural in book)
    if not path:
        return bytes.fromhex(at)
    return bytes.fromhex(at[int(path[0])] if isinstance(at, list) else at[path[0]])


def message_of(case):
    """A message as the file tells it: whole, or by the pieces that it has of a good one."""
    if "message" in case:
        return bytes.fromhex(case["message"])
    good = named(case["like"])
    return b"".join(
        bytes.fromhex(piece) if isinstance(piece, str) else good[piece[0] : piece[1]] for piece in case["pieces"]
    )


@pytest.fixture(scope="module")
def layout():
    return Layout(canon.unpack(Setup, bytes.fromhex(SETUP["setup"])))


@pytest.fixture(scope="module")
def foundation(layout):
    return Foundation(layout, record_of(SETUP))


COORDINATOR = Signer(bytes.fromhex(SETUP["coordinator"]))


def site_of(layout, seat):
    keys = SETUP["sites"][seat]
    journal = {}

    def remember(what, value):
        if journal.setdefault(what, value) != value:
            raise Refused(f"{what} was decided differently before")

    signer, identity = Signer(bytes.fromhex(keys["signer"])), Identity(bytes.fromhex(keys["identity"]))
    entropy = KeyedEntropy(bytes.fromhex(keys["root"]))
    return SetupSite(layout, seat, signer=signer, identity=identity, entropy=entropy, remember=remember)


def test_the_set_up_names_its_sites(layout):
    assert layout.id.hex() == SETUP["setup_id"]
    for site in SETUP["sites"]:
        party = layout.party(site["seat"])
        assert canon.pack(party).hex() == site["party"]
        assert party.signer == Signer(bytes.fromhex(site["signer"])).address
        assert party.voucher == sha256(Identity(bytes.fromhex(site["identity"])).public).digest()


PHASES = {"advertise": "advertisements", "deal": "deals", "confirm": "confirms", "endorse": "endorses"}


def server_in(layout, phase):
    """A coordinator that has taken what the file says up to a phase."""
    server = SetupServer(layout, COORDINATOR)
    for name, messages in PHASES.items():
        if name == phase:
            return server
        for seat, message in enumerate(unhexed(SETUP[messages])):
            assert server.receive(seat, message) == []
        told = server.advance()
    assert set(told) == set(layout.seats)
    return server


def test_a_coordinator_takes_the_set_up_and_says_what_the_file_has(layout):
    server = SetupServer(layout, COORDINATOR)
    expected = [SETUP["told"]["roster_for"], SETUP["told"]["inbox"], SETUP["ready"], SETUP["told"]["endorsed"]]
    for messages, told in zip(SAID, expected, strict=True):
        for seat, message in enumerate(unhexed(SETUP[messages])):
            server.receive(seat, message)
        assert server.advance()[TOLD_TO].hex() == told
    assert server.phase is SetupPhase.DONE
    assert server.faults == []
    assert sha256(canon.pack(server.record())).hexdigest() == SETUP["record_digest"]


def test_a_stranger_reads_the_record(foundation):
    assert sha256(foundation.blob).hexdigest() == SETUP["record_digest"]
    assert foundation.roster_id.hex() == SETUP["roster_id"]
    assert foundation.ready_id.hex() == SETUP["ready_id"]


def check_ground(ground):
    expected = SETUP["ground"]
    assert ground.ready.hex() == SETUP["ready_id"]
    assert [row.tobytes().hex() for row in ground.self_seeds] == expected["self_seeds"]
    found = {str(other): [row.tobytes().hex() for row in rows] for other, rows in ground.pair_seeds.items()}
    assert found == expected["pair_seeds"]
    assert {str(other): key.hex() for other, key in ground.tag_keys.items()} == expected["tag_keys"]
    assert {str(owner): shares.hex() for owner, shares in ground.shares.items()} == expected["shares"]


def told(name):
    return bytes.fromhex(SETUP["told"][name])


def test_a_site_says_what_the_file_has_and_ends_with_its_secrets(layout):
    site = site_of(layout, TOLD_TO)
    assert len(site.advertise()) == len(SETUP["advertisements"][TOLD_TO]) // 2
    (dealt,) = site.react(told("roster_for"))
    # What it seals and signs is another thing every time; what it binds itself to is not.
    mine, theirs = (canon.unpack(Deal, one) for one in (dealt, bytes.fromhex(SETUP["deals"][TOLD_TO])))
    assert (mine.commitments == theirs.commitments).all()
    assert (mine.digests == theirs.digests).all()
    assert [one.hex() for one in site.react(told("inbox"))] == [SETUP["confirms"][TOLD_TO]]
    assert [one.hex() for one in site.react(bytes.fromhex(SETUP["ready"]))] == [SETUP["endorses"][TOLD_TO]]
    assert site.react(told("endorsed")) == []
    check_ground(site.ground)


@pytest.mark.parametrize("outcome", ["endorsed", "endorsed_by_a_threshold"])
def test_a_site_that_starts_again_has_its_secrets_from_three_messages(layout, outcome):
    check_ground(site_of(layout, TOLD_TO).restore(told("roster_for"), told("inbox"), told(outcome)))


@pytest.mark.parametrize("case", SETUP["bad_messages"], ids=why)
def test_a_coordinator_names_whoever_broke_a_set_up(layout, case):
    server = server_in(layout, case["phase"])
    assert server.receive(case["seat"], message_of(case)) == []
    assert [fault.seat for fault in server.faults] == [case["seat"]]


@pytest.mark.parametrize("case", SETUP["strays"], ids=why)
def test_a_coordinator_of_a_set_up_passes_over_what_may_have_come_late(layout, case):
    server, seat = server_in(layout, case["phase"]), case["seat"]
    for other, message in enumerate(unhexed(SETUP[PHASES[case["phase"]]])):
        if other != seat:
            assert server.receive(other, message) == []
    assert [*server.receive(seat, message_of(case)), *server.receive(seat, message_of(case))] == []
    assert (server.faults, server.ready) == ([], False)
    assert server.receive(seat, bytes.fromhex(SETUP[PHASES[case["phase"]]][seat])) == []
    assert (server.faults, server.ready) == ([], True)


def blamed(problem):
    return problem.who if isinstance(problem, PeerFault) else None


@pytest.mark.parametrize("case", SETUP["bad_told"], ids=why)
def test_a_site_takes_nothing_bad_from_a_coordinator_of_a_set_up(layout, case):
    site = site_of(layout, TOLD_TO)
    site.advertise()
    before = {"roster_for": [], "inbox": ["roster_for"], "endorsed": ["roster_for", "inbox"]}
    for name in before[case["kind"]]:
        site.react(told(name))
    with pytest.raises((PeerFault, Refused)) as caught:
        site.react(message_of(case))
    assert blamed(caught.value) == case["names"]
    assert site.ground is None


@pytest.mark.parametrize("case", SETUP["bad_records"], ids=why)
def test_a_stranger_names_the_coordinator_for_a_record_that_cannot_be(layout, case):
    record = record_of(SETUP)
    fields = {name: getattr(record, name) for name in SetupRecord.__slots__}
    changed = list(fields[case["field"]])
    changed[case["at"]] = message_of(case)
    with pytest.raises(PeerFault, match="the coordinator"):
        Foundation(layout, SetupRecord(**{**fields, case["field"]: tuple(changed)}))


# ---------------------------------------------------------------- a round


@pytest.fixture
def session():
    return canon.unpack(Session, bytes.fromhex(ROUND["session"]))


@pytest.fixture
def ground(layout):
    return site_of(layout, TOLD_TO).restore(told("roster_for"), told("inbox"), told("endorsed"))


def client_of(session, ground):
    signer = Signer(bytes.fromhex(SETUP["sites"][ground.seat]["signer"]))
    return Client(session, ground, signer=signer, remember=lambda *_: None)


def vector_of(seat, session):
    return np.array(ROUND["vectors"][str(seat)], DTYPES[session.bits])


def test_a_site_says_in_a_round_what_the_file_has(session, ground):
    client, seat = client_of(session, ground), str(ground.seat)
    assert client.upload(vector_of(ground.seat, session)).hex() == ROUND["uploads"][seat]
    assert client.react(bytes.fromhex(ROUND["receipts"][seat])) == []
    assert [one.hex() for one in client.react(bytes.fromhex(ROUND["survivors"]))] == [ROUND["consents"][seat]]
    assert [one.hex() for one in client.react(bytes.fromhex(ROUND["told"]["consents"]))] == [ROUND["openings"][seat]]


ROUND_PHASES = {"upload": "uploads", "consent": "consents", "opening": "openings"}


def round_server_in(session, foundation, phase=None):
    """A coordinator that has taken what the file says up to a phase, or to the end."""
    server, told = Server(session, foundation, COORDINATOR), {}
    for name, messages in ROUND_PHASES.items():
        if name == phase:
            break
        for seat, message in ROUND[messages].items():
            replies = server.receive(int(seat), bytes.fromhex(message))
            assert [one.hex() for one in replies] == ([ROUND["receipts"][seat]] if name == "upload" else [])
        told[name] = server.advance()
    return server, told


def test_a_coordinator_takes_the_round_and_opens_the_sum(session, foundation):
    server, told = round_server_in(session, foundation)
    assert told["upload"][TOLD_TO].hex() == ROUND["survivors"]
    assert told["consent"][TOLD_TO].hex() == ROUND["told"]["consents"]
    assert server.phase is Phase.DONE
    assert server.totals[0].tolist() == ROUND["total"]
    assert [leaf.hex() for leaf in server.leaves()] == ROUND["leaves"]
    assert merkle.root(server.leaves()).hex() == ROUND["root"]
    assert canon.pack(server.exchange()).hex() == ROUND["exchange"]
    assert server.faults == []


def fetched(uploads):
    def fetch(seat):
        if str(seat) not in uploads:
            raise Refused("no such upload")
        return bytes.fromhex(uploads[str(seat)])

    return fetch


def test_a_stranger_computes_the_sum_again(foundation):
    leaves = [merkle.EMPTY] * len(ROUND["leaves"])
    exchange = canon.unpack(Exchange, bytes.fromhex(ROUND["exchange"]))
    totals = replay(exchange, foundation, fetched(ROUND["uploads"]), leaves=leaves)
    assert {at: total.tolist() for at, total in totals.items()} == {0: ROUND["total"]}
    assert [leaf.hex() for leaf in leaves] == ROUND["leaves"]


def test_the_sum_is_that_of_the_plain_vectors_and_masks_are_the_files(session):
    vectors = {seat: vector_of(seat, session) for seat in ROUND["vectors"]}
    assert np.add.reduce(list(vectors.values())).tolist() == ROUND["total"]
    for seat, vector in vectors.items():
        keys = ROUND["mask_keys"][seat]
        keystream.apply(vector, unhexed(keys["plus"]), unhexed(keys["minus"]))
        assert bytes.fromhex(ROUND["uploads"][seat]).endswith(vector.tobytes())


def test_a_recovery_key_opens_the_silent_sites_seeds_and_they_are_the_published_ones(foundation):
    (silent,) = set(foundation.ready.seats) - {int(seat) for seat in ROUND["vectors"]}
    neighbours, tables = foundation.table(silent)
    pads = secagg_seeds.pads(bytes.fromhex(ROUND["recovery_key"]), tables[:, 1, 0])
    for at, other in enumerate(neighbours):
        seed = np.bitwise_xor(tables[at, 1, 1], pads[at]).tobytes()
        assert seed.hex() == ROUND["opened_seeds"][str(other)]
        low, high = sorted((silent, other))
        assert secagg_messages.pair_check(low, high, seed) == tables[at, 1, 0].tobytes()


@pytest.mark.parametrize("case", ROUND["bad_messages"], ids=why)
def test_a_coordinator_names_whoever_broke_a_round(session, foundation, case):
    server, _ = round_server_in(session, foundation, case["phase"])
    assert server.receive(case["seat"], message_of(case)) == []
    assert [fault.seat for fault in server.faults] == [case["seat"]]


@pytest.mark.parametrize("case", ROUND["strays"], ids=why)
def test_a_coordinator_of_a_round_passes_over_what_may_have_come_late(session, foundation, case):
    server, _ = round_server_in(session, foundation, case["phase"])
    seat, due = case["seat"], ROUND[ROUND_PHASES[case["phase"]]]
    assert server.receive(seat, message_of(case)) == []
    assert (server.faults, server.ready) == ([], False)
    for one, message in due.items():
        server.receive(int(one), bytes.fromhex(message))
    assert server.faults == []
    assert seat in server._intake.taken[server.phase]
    server.advance()


@pytest.mark.parametrize("case", ROUND["bad_told"], ids=why)
def test_a_site_takes_nothing_bad_from_a_coordinator_of_a_round(session, ground, case):
    client = client_of(session, ground)
    client.upload(vector_of(ground.seat, session))
    if case["kind"] == "consents":
        client.react(bytes.fromhex(ROUND["survivors"]))
    with pytest.raises((PeerFault, Refused)) as caught:
        client.react(message_of(case))
    assert blamed(caught.value) == case["names"]


@pytest.mark.parametrize("case", ROUND["bad_exchanges"], ids=why)
def test_a_stranger_sums_nothing_from_a_bad_record(foundation, case):
    exchange = canon.unpack(Exchange, message_of(case))
    with pytest.raises((PeerFault, Refused)) as caught:
        replay(exchange, foundation, fetched(ROUND["uploads"]))
    assert blamed(caught.value) == case["names"]


# ---------------------------------------------------------------- lies


def test_a_parcel_with_nothing_in_it_is_confirmed_as_missing(layout):
    case = LIES["told"]
    site = site_of(layout, case["seat"])
    site.advertise()
    site.react(bytes.fromhex(case["roster_for"]))
    (confirmed,) = site.react(bytes.fromhex(case["inbox"]))
    said = canon.unpack(Confirm, canon.unpack(envelope.Signed, confirmed).body)
    assert list(said.missing) == case["missing"]


@pytest.mark.parametrize("case", LIES["rounds"], ids=why)
def test_a_lie_that_comes_out_names_its_author(layout, case):
    lying = Foundation(layout, canon.unpack(SetupRecord, bytes.fromhex(LIES["record"])))
    exchange = canon.unpack(Exchange, bytes.fromhex(case["exchange"]))
    with pytest.raises(PeerFault) as caught:
        replay(exchange, lying, fetched(case["uploads"]))
    assert caught.value.who == case["names"]
