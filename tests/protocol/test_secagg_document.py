"""What docs/protocol.md says of the moves is what the code does."""

import re
from pathlib import Path

from caduceus import canon
from caduceus.protocol import secagg_messages
from caduceus.protocol.secagg_client import EXPECTS as SITE_EXPECTS
from caduceus.protocol.secagg_server import EXPECTS
from caduceus.protocol.secagg_session import threshold_for

TEXT = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()


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


def test_the_document_lists_what_the_coordinator_takes_in_each_phase():
    assert {name: kind.strip("`") for name, kind in table("the coordinator's phase")} == {
        phase.name: kind for phase, kind in EXPECTS.items()
    }


def test_the_document_lists_what_a_site_takes_at_each_step():
    assert {name: set(re.findall(r"`([^`]+)`", kinds)) for name, kinds in table("a site that has")} == {
        step.value: {canon.tag_of(kind) for kind in kinds} for step, kinds in SITE_EXPECTS.items()
    }


def test_every_message_of_the_table_is_a_record_that_says_what_it_reveals():
    by_tag = {
        canon.tag_of(kind): kind
        for kind in vars(secagg_messages).values()
        if isinstance(kind, type) and hasattr(kind, "__canon_tag__")
    }
    listed = [row[1].strip("`") for row in table("step")]
    assert len(listed) == len(set(listed)) == 10
    for tag in listed:
        assert "Reveals:" in by_tag[tag].__doc__
    spoken = {*EXPECTS.values(), *(canon.tag_of(kind) for kinds in SITE_EXPECTS.values() for kind in kinds)}
    assert set(listed) == spoken


def test_the_document_states_the_threshold_that_is_used():
    assert "floor(2n/3) + 1" in TEXT
    assert [threshold_for(n) for n in range(3, 11)] == [n * 2 // 3 + 1 for n in range(3, 11)]
    assert all(2 * threshold_for(n) > n + n / 3 for n in range(3, 500))
