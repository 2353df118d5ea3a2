"""The report shows where every update went, whom it helped, what was paid and why, and who saw what."""

import dataclasses
from xml.etree import ElementTree

import pytest
from judged_facts import FAILED, LANES, TAKEN_BACK, WHY, judged_job, unjudged_job
from report_facts import FEE, PRICE, job
from test_report_page import part, words

from caduceus.market.mechanism.verdict import Lane
from caduceus.report.facts import JudgingFacts
from caduceus.report.judging import kept_and_left
from caduceus.report.judging_charts import (
    LANE_WORDS,
    MOST_LINES,
    effect_chart,
    lane_map,
    lane_mark,
    lines_for,
    panels_of,
    pay_bar,
    percent,
)
from caduceus.report.page import page
from caduceus.report.reading import lanes_of, mostly


def told(sites: int = 9, rounds: int = 6) -> JudgingFacts:
    facts = judged_job(sites, rounds).judging
    assert facts is not None
    return facts


def drawn(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def section(facts) -> str:
    return words(part(page([facts]), "job-1-judging"))


def rows(facts, caption: str) -> list[str]:
    """The rows of the table whose caption begins so, cells set apart."""
    (table,) = [
        t for t in part(page([facts]), "job-1-judging").iter("table") if words(t.find("caption")).startswith(caption)
    ]
    return [" | ".join(words(cell) for cell in row) for row in table.findall("tbody/tr")]


# ---------------------------------------------------------------- lanes


def test_every_lane_has_a_sign_of_its_own_without_colour():
    shapes = set()
    for lane in Lane:
        mark = drawn(lane_mark(lane, 10, 10, 5))
        shape = {key: value for key, value in mark.attrib.items() if key not in {"class", "cx", "cy"}}
        filled = lane not in (Lane.DROPPED, Lane.STALE)
        shapes.add((mark.tag, tuple(sorted(shape.items())), filled))
    assert len(shapes) == len(Lane)
    assert LANE_WORDS.keys() == set(Lane)


def test_the_map_has_a_cell_for_every_site_in_every_judged_round():
    facts = told()
    cells = [e for e in drawn(lane_map(facts, title="t", width=840)).iter("g") if e.get("class") == "cell"]
    hints = [e.find("title").text for e in cells]
    assert len(hints) == len(facts.sites) * (len(facts.rounds) - 1)
    for seat, site in enumerate(facts.sites):
        own = [hint for hint in hints if hint.startswith(f"{site.name}, round")]
        lanes = [one.sites[seat].lane for one in facts.rounds if one.sites]
        assert [LANE_WORDS[lane] in hint for lane, hint in zip(lanes, own, strict=True)] == [True] * 5


def test_a_site_that_was_put_out_is_told_apart_from_one_that_did_not_come():
    facts = told()
    root = drawn(lane_map(facts, title="t", width=840))
    hints = [e.find("title").text for e in root.iter("g") if e.get("class") == "cell"]
    assert sum(WHY in hint for hint in hints) == 5
    assert section(judged_job()).count("put out for breaking a bound") == 1


def test_a_failed_round_is_shaded_with_its_reason_and_a_move_taken_back_has_an_arrow():
    titles = [e.text for e in drawn(lane_map(told(), title="t", width=840)).iter("title")]
    assert f"Round {FAILED}: too few sites answered in time" in titles
    assert sum("was taken back" in (title or "") for title in titles) == 1
    said = section(judged_job())
    assert "Nothing was judged in 1 round" in said
    assert "1 time the move before had done harm and was taken back" in said


def test_bars_below_the_signs_are_as_long_as_what_was_earned():
    facts = told()
    first = facts.rounds[-1]
    richer = dataclasses.replace(first.sites[0], pay=first.sites[0].pay * 2)
    facts = dataclasses.replace(facts, rounds=(dataclasses.replace(first, sites=(richer, *first.sites[1:])),))
    root = drawn(lane_map(facts, title="t", width=840))
    bars = [float(e.get("width")) for e in root.iter("rect") if e.get("class") == "f-site"]
    assert bars[0] == pytest.approx(2 * bars[1], rel=0.02)
    assert len(bars) == sum(site.pay > 0 for site in facts.rounds[0].sites)


def test_with_many_sites_only_those_out_of_the_consensus_have_a_line():
    facts = told(466, 20)
    assert lines_for(facts) == tuple(range(1, len(LANES)))
    assert len(lines_for(facts)) <= MOST_LINES
    assert lines_for(told(9)) == tuple(range(9))


def test_hundreds_of_rounds_fit_into_the_width():
    for width in (840, 360):
        root = drawn(lane_map(told(9, 400), title="t", width=width))
        assert max(float(e.get("x")) + float(e.get("width")) for e in root.iter("rect")) <= width + 1
        kinds = {e.get("class") for e in root.iter("rect")}
        assert {"j-consensus", "j-readmitted", "f-moments", "j-out", "f-fee", "f-soft"} <= kinds


# ---------------------------------------------------------------- effects


def circles(root: ElementTree.Element) -> list[float]:
    return [float(e.get("cx")) for e in root.iter("circle") if e.get("class") == "j-consensus"]


def test_a_site_that_helps_more_lies_further_right():
    facts = told(12)
    better = dataclasses.replace(facts.sites[0], effects=(0.9, 0.2))
    facts = dataclasses.replace(facts, sites=(better, *facts.sites[1:]))
    kept = [seat for seat in range(12) if mostly(lanes_of(facts, seat)) is Lane.CONSENSUS]
    first, *others = circles(drawn(effect_chart(facts, title="t", width=840)))[: len(kept)]
    assert first > max(others) + 10


def test_what_decides_is_marked_where_it_lies():
    facts = told()
    root = drawn(effect_chart(facts, title="t", width=840))
    kinds = [e.get("class") for e in root.iter("line")]
    assert kinds.count("l-floor") == 4
    assert kinds.count("l-bar") == 1
    assert kinds.count("l-median") == 3
    (bar,) = [float(e.get("x1")) for e in root.iter("line") if e.get("class") == "l-bar"]
    diamonds = [
        e.get("points").split()[0].split(",")[0] for e in root.iter("polygon") if e.get("class") == "j-readmitted"
    ]
    assert any(float(x) > bar for x in diamonds)


def test_what_lies_far_off_is_drawn_at_the_edge_with_its_figure():
    root = drawn(effect_chart(told(), title="t", width=840))
    said = [t.text for t in root.iter("text")]
    assert "−40.0" in said
    assert "−10.4" in said
    assert max(float(e.get("cx")) for e in root.iter("circle")) <= 840


def test_a_figure_that_nobody_could_tell_is_a_dash_in_every_panel():
    facts = told()
    root = drawn(effect_chart(facts, title="t", width=840))
    assert [t.text for t in root.iter("text")].count("–") == len(panels_of(facts))


def test_the_dishonest_are_marked_and_what_they_did_is_said():
    facts = judged_job()
    names = [t.text for t in drawn(effect_chart(told(), title="t", width=840)).iter("text")]
    assert f"{facts.sites[3].name} *" in names
    assert f"{facts.sites[3].name} learned with every outcome turned round" in section(facts)


# ---------------------------------------------------------------- pay


def test_every_site_has_its_pay_beside_an_equal_share_and_the_reason():
    facts = judged_job()
    shown = rows(facts, "What each site was paid")
    assert len(shown) == len(facts.sites)
    for site, row in zip(facts.sites, shown, strict=True):
        assert f"{site.paid:,}".replace(",", " ") in row
        assert f"A reason for {site.name}." in row
    equal = round((PRICE - FEE) / len(facts.sites))
    assert f"An equal share would be {equal:,}".replace(",", " ") in section(facts)
    assert "New to the move before: 45 % on average. Earned in 3 of 4 rounds." in shown[0]
    assert "New to the move before" not in shown[3]


def test_a_pay_bar_ends_at_the_equal_share_if_it_is_one():
    def bar(paid):
        root = drawn(pay_bar(paid, 50.0, 100.0))
        widths = [float(e.get("width")) for e in root.iter("rect") if e.get("class") == "f-site"]
        (equal,) = [float(e.get("x1")) for e in root.iter("line")]
        return widths, equal

    assert bar(50) == ([100.0], 100.0)
    assert bar(25)[0] == [50.0]
    assert bar(0)[0] == []


def test_a_share_of_nothing_has_no_point():
    assert percent(0.0, 1) == "0 %"
    assert percent(0.0832, 1) == "8.3 %"
    assert percent(1.0, 0) == "100 %"


def test_sites_are_named_in_every_round_by_where_their_updates_went():
    facts = judged_job()
    shown = rows(facts, "Every round, site by site")
    assert len(shown) == 6
    assert "too few sites answered in time" in shown[FAILED - 1]
    assert "the move before had done harm" in shown[TAKEN_BACK - 1]
    names = [site.name for site in facts.sites]
    assert all(name in shown[4] for name in names[1:7])
    assert names[7] not in shown[4]  # counted, in the consensus
    assert shown[4].startswith("5 | 3 | ")


def test_the_tile_counts_who_was_mostly_kept_and_names_the_others():
    kept, left = kept_and_left(told())
    assert kept == 4
    assert left[1].endswith("vetoed")
    assert len(left) == 5
    (tiles,) = [e for e in ElementTree.fromstring(page([judged_job()])).iter("dl") if e.get("class") == "tiles"]
    assert "Updates kept of" in words(tiles)
    assert "Updates kept of" not in page([job()])


def test_a_round_that_takes_a_move_back_says_nothing_of_any_site():
    facts = told()
    assert {one.lane for one in facts.rounds[TAKEN_BACK - 1].sites} == {Lane.VOID, Lane.ABSENT}
    assert len(lanes_of(facts, 0)) == 4
    assert Lane.VOID not in lanes_of(facts, 0)


def test_of_equally_frequent_lanes_the_latest_counts():
    assert mostly([Lane.VETOED, Lane.CONSENSUS]) is Lane.CONSENSUS
    assert mostly([Lane.VETOED, Lane.VETOED, Lane.CONSENSUS]) is Lane.VETOED
    assert mostly([]) is Lane.ABSENT


# ---------------------------------------------------------------- strata, faults, who sees what


def test_every_stratum_says_what_it_decides_and_how_the_model_serves_it():
    first, second = rows(judged_job(), "Patients who are looked at apart")
    assert "65 %" in first
    assert "75 %" in first
    assert ".910" in first
    assert "310" in first
    assert "(too few rows, or one outcome)" in second


def test_a_fault_is_named_with_its_evidence_and_the_stake():
    facts = judged_job()
    (row,) = rows(facts, "Who broke the protocol")
    assert facts.sites[-1].name in row
    assert WHY in row
    assert "forfeited" in row
    titles = [e.get("title") for e in part(page([facts]), "job-1-judging").iter("code")]
    assert facts.judging.faults[0].evidence in titles
    assert "Nobody broke the protocol of a round" in section(unjudged_job())


def test_nothing_is_called_signed_or_re_executed_that_was_not_audited():
    facts = judged_job()
    found = [row.split(" | ")[-1] for row in rows(facts, "Who sees what")]
    assert found == ["not checked", "not checked", "signed", "re-executed"]
    unaudited = rows(dataclasses.replace(facts, checks=()), "Who sees what")
    assert all(row.endswith("not checked") for row in unaudited)
    assert "must not collude" in unaudited[0]


def test_long_updates_are_said_to_be_sketched_before_they_are_multiplied():
    facts = judged_job()
    long = dataclasses.replace(facts, judging=dataclasses.replace(facts.judging, sketched=True))
    assert "sketches of all updates" in section(long)
    assert "sketches" not in section(facts)


def test_a_job_that_judged_nothing_says_so_and_draws_nothing():
    section_of = part(page([unjudged_job()]), "job-1-judging")
    assert "No round was judged" in words(section_of)
    assert not list(section_of.iter("svg"))
    assert "job-1-judging" not in page([job()])
