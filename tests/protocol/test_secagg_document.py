"""What docs/protocol.md says of the moves, sizes and chances is what the code does."""

import math
import re
from pathlib import Path

import pytest

from caduceus import canon
from caduceus.crypto import field, keystream, mldsa, shamir, xwing
from caduceus.protocol import secagg_messages, secagg_plan, secagg_setup, session_for
from caduceus.protocol.secagg_client import EXPECTS as SITE_EXPECTS
from caduceus.protocol.secagg_messages import parcel_bytes
from caduceus.protocol.secagg_plan import (
    Assumptions,
    default_assumptions,
    hypergeometric_tail,
    plan,
    reached,
    threshold_for,
)
from caduceus.protocol.secagg_server import EXPECTS
from caduceus.protocol.secagg_setup import quorum_for
from caduceus.protocol.secagg_setup_server import SETUP_EXPECTS
from caduceus.protocol.secagg_setup_site import SETUP_STEPS

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "protocol.md").read_text()


def table(header):
    """The rows of the table whose first heading is given, as lists of cells."""
    lines = TEXT.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {header} |"))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def quoted(cell):
    return re.findall(r"`([^`]+)`", cell)


@pytest.mark.parametrize(("what", "expects"), [("a set-up", SETUP_EXPECTS), ("a round", EXPECTS)])
def test_the_document_lists_what_the_coordinator_takes_in_each_phase(what, expects):
    assert {name: kind.strip("`") for name, kind in table(f"the coordinator's phase of {what}")} == {
        phase.name: kind for phase, kind in expects.items()
    }


@pytest.mark.parametrize(("what", "steps"), [("a set-up", SETUP_STEPS), ("a round", SITE_EXPECTS)])
def test_the_document_lists_what_a_site_takes_at_each_step(what, steps):
    assert {name: set(quoted(kinds)) for name, kinds in table(f"in {what} a site that has")} == {
        step.value: {canon.tag_of(kind) for kind in kinds} for step, kinds in steps.items()
    }


RECORDS = {
    canon.tag_of(kind): kind
    for kind in vars(secagg_messages).values()
    if isinstance(kind, type) and hasattr(kind, "__canon_tag__")
}


def test_every_message_of_the_tables_is_a_record_and_every_message_is_in_a_table():
    listed = [row[1].strip("`") for which in ("set-up", "round") for row in table(which)]
    assert len(listed) == len(set(listed))
    # What travels only inside another message: a part of an inbox.
    assert set(listed) == RECORDS.keys() - {"secagg/delivery/1"}
    spoken = {*SETUP_EXPECTS.values(), *EXPECTS.values()}
    for steps in (SETUP_STEPS, SITE_EXPECTS):
        spoken |= {canon.tag_of(kind) for kinds in steps.values() for kind in kinds}
    assert spoken <= set(listed)


def test_every_message_says_what_it_reveals_unless_it_is_bare():
    for which in ("set-up", "round"):
        for row in table(which):
            said = RECORDS[row[1].strip("`")].__doc__
            assert ("Bare:" if row[2] == "bare" else "Reveals:") in said


def test_the_document_states_the_threshold_and_the_quorum_that_are_used():
    assert "t = floor(2m/3) + 1" in TEXT
    assert "quorum is `floor(2n/3) + 1` sites with the full graph" in TEXT
    for sites in range(3, 300):
        assert threshold_for(sites) == sites * 2 // 3 + 1
        assert 2 * threshold_for(sites) > sites + sites // 3
    full = plan(49, default_assumptions(49))
    assert quorum_for(full, default_assumptions(49).silent(49)) == threshold_for(49)
    sparse, assumed = plan(1000, default_assumptions(1000)), default_assumptions(1000)
    assert quorum_for(sparse, assumed.silent(1000)) == 1000 - assumed.silent(1000)


# ---------------------------------------------------------------- sizes and chances


def power(log2_chance):
    return "never" if log2_chance == -math.inf else f"2^-{-log2_chance:.1f}"


def plan_row(sites, assumptions):
    chosen = plan(sites, assumptions)
    chances = reached(chosen, assumptions)
    numbers = (sites, assumptions.corrupt(sites), assumptions.silent(sites))
    sizes = (chosen.degree, chosen.committee, chosen.threshold)
    likely = (chances.committee, chances.graph, chances.opening)
    return [*map(str, numbers), chosen.family.name.lower(), *map(str, sizes), *map(power, likely)]


def test_the_document_has_the_usual_plans():
    rows = table("usual plan for")
    assert [int(row[0]) for row in rows] == [10, 49, 128, 466, 1000, 10_000]
    assert rows == [plan_row(int(row[0]), default_assumptions(int(row[0]))) for row in rows]
    assert "a third corrupt up to 512 sites" in TEXT
    assert default_assumptions(512).corrupt(512) == 170
    assert default_assumptions(513).corrupt(513) == 51
    bits = {(default_assumptions(n).security_bits, default_assumptions(n).correctness_bits) for n in (10, 10_000)}
    assert bits == {(40, 20)}
    assert "2^-40 for leak and cut, 2^-20 for no sum" in TEXT


def test_the_document_has_the_plans_on_a_ring():
    rows = table("ring plan for")
    assert rows == [plan_row(int(row[0]), Assumptions(100, 50, 40, 20, adaptive=False)) for row in rows]
    assert len(rows) == 3


def test_the_document_says_how_likely_a_group_has_one_honest_site_at_most():
    rows = table("sites")
    assert len(rows) == 5
    for row in rows:
        sites, corrupt, cohort, group = map(int, row[:4])
        assert group == -(-sites // max(1, sites // (2 * cohort))) or group == sites // max(1, sites // (2 * cohort))
        chance = 2 ** hypergeometric_tail(sites, corrupt, group, cohort - 2)
        assert row[4] == "never" if chance == 0 else float(row[4]) == pytest.approx(chance, rel=0.02)


# ---------------------------------------------------------------- parameters


def test_the_document_has_the_parameters_of_the_code():
    values = {row[0]: row[1] for row in table("parameter")}
    rounds = session_for.MOST_AT_ONCE
    assert values == {
        "suite": f"`{secagg_setup.SUITE}`",
        "fewest sites": str(secagg_plan.FEWEST_SITES),
        "everybody does everything up to": f"{secagg_plan.FEW} sites",
        "threshold of a committee of `m`": "floor(2m/3) + 1",
        "rounds of a set-up, at most": str(secagg_setup.MOST_ROUNDS),
        "rounds of a set-up that a job asks for, at most": str(rounds),
        "field of the sharing": f"2^{field.P.bit_length()} - 1",
        "a share": f"{shamir.SHARE_BYTES} bytes",
        "X-Wing key, ciphertext": f"{xwing.PUBLIC_BYTES}, {xwing.CIPHERTEXT_BYTES} bytes",
        "ML-DSA-65 key, signature": f"{mldsa.PUBLIC_BYTES}, {mldsa.SIGNATURE_BYTES} bytes",
        f"parcel to a member, {rounds} rounds": f"{parcel_bytes(rounds, to_member=True)} bytes",
        "parcel to a neighbour": f"{parcel_bytes(rounds, to_member=False)} bytes",
        "keys, seeds, digests, tags": f"{secagg_messages.SECRET_BYTES} bytes",
        "cipher of the masks": f"`{keystream.CIPHER}`",
    }


def test_every_decision_is_in_the_list_and_every_link_leads_somewhere():
    written = {path.name for path in (DOCS / "decisions").glob("*.md")} - {"README.md"}
    assert set(re.findall(r"\(([\w-]+\.md)\)", (DOCS / "decisions" / "README.md").read_text())) == written
    for path in DOCS.rglob("*.md"):
        for link in re.findall(r"\]\(([^)#:]+)\)", path.read_text()):
            assert (path.parent / link).exists(), f"{path.name}: {link}"
