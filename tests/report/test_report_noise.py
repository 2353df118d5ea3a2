"""Jobs with differential privacy and analyses are told as plainly as others, and what is withheld stays withheld."""

import dataclasses
import itertools
import math
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from noisy_facts import (
    HIDDEN,
    SUBTYPES,
    TIMES,
    analysis_job,
    answers,
    figure,
    private_job,
    unanswered_job,
    withheld,
    without_figures,
)
from report_facts import job

from caduceus.report.answer_charts import bars, cells, dots
from caduceus.report.budget_charts import budget_bar, cost_curve
from caduceus.report.facts import AxisFacts, BudgetFacts, JobFacts
from caduceus.report.page import page
from caduceus.report.privacy import chance, factor, guessing
from caduceus.report.survival_chart import Curve, survival_chart


def parsed(document: str) -> ElementTree.Element:
    return ElementTree.fromstring(document)


def words(root: ElementTree.Element) -> str:
    """What a reader reads, spaces made plain."""
    return " ".join(" ".join(root.itertext()).replace("\u202f", " ").split())


def part(facts: JobFacts, name: str) -> ElementTree.Element:
    (found,) = [e for e in parsed(page([facts])).iter() if e.get("id") == f"job-1-{name}"]
    return found


def parts(facts: JobFacts) -> set[str]:
    return {(e.get("id") or "") for e in parsed(page([facts])).iter("section")}


def tiles(facts: JobFacts) -> dict[str, str]:
    (listed,) = [e for e in parsed(page([facts])).iter("dl") if e.get("class") == "tiles"]
    return {words(entry[0]): words(entry[1]) for entry in listed}


# ---------------------------------------------------------------- privacy


def test_a_private_job_says_what_a_patient_is_promised():
    said = words(part(private_job(), "privacy"))
    assert "epsilon 1 , delta 10⁻⁵" in said
    assert "at most 2.72 times as likely" in said
    assert "1 in 100 000" in said
    assert "at most 73.2 %" in said
    assert "at most 20 % of the sites" in said
    assert "epsilon does not cover them" in said  # figures at sites are exact


def test_a_job_of_exact_sums_has_no_promise_and_no_tile_of_epsilon():
    assert "job-1-privacy" not in parts(job())
    assert "Epsilon" not in tiles(job())
    assert "job-1-privacy" in parts(private_job())


def test_the_tile_shows_what_was_spent_and_not_what_was_planned():
    assert tiles(private_job())["Epsilon"].startswith("0.875 delta 10⁻⁵")
    assert "over 3 noisy sums" in tiles(private_job())["Epsilon"]
    assert tiles(unanswered_job())["Epsilon"].startswith("0 ")


def test_every_release_is_told_with_its_noise_its_rate_and_what_was_spent_after_it():
    section = part(private_job(), "privacy")
    rows = [words(row) for row in section.iter("tr")]
    assert "1 moments group 1 9.25 all 0.35" in rows
    assert "2 to 3 training group 1 8.125 .125 0.875" in rows
    assert any(row.startswith("4 ") and row.endswith("3.5 all 1") for row in rows)


def test_what_a_sum_was_for_is_not_made_up_where_it_was_not_opened():
    facts = private_job()
    facts = dataclasses.replace(facts, rounds=facts.rounds[:3])
    (row,) = [words(r) for r in part(facts, "privacy").iter("tr") if words(r).startswith("4 ")]
    assert "not opened" in row


def test_budgets_are_spent_before_by_this_job_and_left():
    section = part(private_job(), "privacy")
    rows = {words(row[0]): words(row) for row in section.iter("tr")}
    assert rows["Cleveland"].endswith("3 0 0.875 2.125 8.5 × 10⁻⁵")
    assert rows["Budapest"].endswith("3 0.5 0.875 1.625 8.5 × 10⁻⁵")


def test_a_data_set_without_a_budget_says_so():
    facts = private_job()
    none = dataclasses.replace(facts.privacy.budgets[0], epsilon=0, delta=0, epsilon_before=0)
    facts = dataclasses.replace(facts, privacy=dataclasses.replace(facts.privacy, budgets=(none,)))
    (row,) = [words(r) for r in part(facts, "privacy").iter("tr") if words(r).startswith("Cleveland")]
    assert "no budget was set" in row
    assert "−" not in row


@given(st.integers(1, 20_000_000), st.integers(1, 10**10))
def test_promises_are_rounded_to_the_worse_side(micro, pico):
    shown = float("0" + factor(micro).replace("\u202f", "").replace(" ", "")) if "×" not in factor(micro) else math.inf
    assert shown >= math.exp(micro / 1e6) * (1 - 1e-9)
    assert 1 / int(chance(pico).replace("1 in ", "").replace("\u202f", "")) >= pico / 1e12
    right, epsilon, delta = guessing(micro, pico), micro / 1e6, pico / 1e12
    assert right == pytest.approx((math.exp(epsilon) + delta) / (math.exp(epsilon) + 1))
    assert 0.5 <= right <= 1


def test_the_curve_of_costs_rises_to_what_was_opened_and_goes_on_in_dashes():
    root = ElementTree.fromstring(cost_curve((0, 350_000, 600_000, 1_000_000), 2, title="t"))
    paths = {e.get("class"): e.get("d") for e in root.iter("path")}
    assert paths["l-cost"].count("V") == 2
    assert paths["l-soft"].count("V") == 1
    heights = [float(y) for y in re.findall(r"V([\d.]+)", paths["l-cost"])]
    assert heights == sorted(heights, reverse=True)
    (dot,) = root.iter("circle")
    assert float(dot.get("cy")) == heights[-1]
    assert "l-soft" not in cost_curve((0, 1_000_000), 1, title="t")


def test_ten_thousand_sums_are_drawn_with_no_more_steps_than_can_be_seen():
    costs = tuple(range(0, 10_001 * 100, 100))
    drawn = cost_curve(costs, 10_000, title="t")
    assert len(drawn) < 20_000
    (curve,) = [e.get("d") for e in ElementTree.fromstring(drawn).iter("path")]
    places = [float(x) for x in re.findall(r"H([\d.]+)", curve)]
    assert places == sorted(places)
    assert places[-1] == 384.0


def test_a_budget_bar_shares_its_length():
    budget = BudgetFacts("a", 4_000_000, 10, 1_000_000, 1, 2_000_000, 1)
    root = ElementTree.fromstring(budget_bar(budget))
    widths = {e.get("class"): float(e.get("width")) for e in root.iter("rect")}
    assert widths["f-federated"] == pytest.approx(2 * widths["f-pooled"], rel=0.02)
    assert widths["f-grid"] == pytest.approx(widths["f-pooled"], rel=0.02)
    assert "1 spent before, 2 by this job, 1 left" in (root.get("aria-label") or "")


def test_the_error_of_a_private_auroc_is_said_to_be_of_the_noise_too():
    assert "± .0321 left open by the histogram and its noise" in tiles(private_job())["AUROC, all rows"]
    assert "noise" not in tiles(job())["AUROC, all rows"]


# ---------------------------------------------------------------- answers


def test_an_analysis_has_answers_and_nothing_about_a_model():
    facts = analysis_job()
    found = parts(facts)
    assert {"job-1-answers", "job-1-privacy", "job-1-protection", "job-1-audit"} <= found
    assert not {"job-1-quality", "job-1-calibration", "job-1-weights"} & found
    root = parsed(page([facts]))
    said = words(root.find("body"))
    assert not re.search(r"AUROC|Brier|predict|learned|learns from", said)
    assert "4 sites answered 6 questions together" in said
    assert "report on an analysis" in said
    assert "Asks 6 questions of all sites together." in said
    assert tiles(facts)["Answers"].startswith("6 to 6 questions")


def test_every_number_stands_in_the_tables_with_its_error_and_its_interval():
    said = [words(row) for row in part(analysis_job(), "answers").iter("tr")]
    assert "all 1 409 12 1 385 to 1 433" in said
    assert "all 71.65 .10 71.45 to 71.85" in said
    assert "0.5 160.4 1.8 156.8 to 164.0" in said
    assert "30 d .930 .010 .910 to .950" in said
    assert "0 d 1 0 1 to 1" in said
    assert any(row.startswith("p 3 × 10⁻⁶⁸") for row in said)


def test_what_is_withheld_is_marked_and_shows_no_number():
    document = page([analysis_job()])
    hidden = [one for a in answers() for n in a.numbers for one in n.figures if one.withheld]
    section = part(analysis_job(), "answers")
    rows = [words(row) for row in section.iter("tr") if "withheld" in words(row)]
    assert len(rows) == len(hidden)
    assert all(re.fullmatch(r".+ withheld – \(withheld\) – \(withheld\)", row) for row in rows)
    plain = document.replace("\u202f", "")
    assert "7654" not in plain
    assert "7.65" not in plain
    assert f"{len(hidden)} withheld" in tiles(analysis_job())["Answers"]


def test_a_withheld_number_moves_nothing_that_is_drawn():
    """A drawing that made room for a withheld number would tell how large it is."""
    facts = analysis_job()
    for value in (0.0, 3.0, HIDDEN, math.nan):
        changed = [
            dataclasses.replace(
                answer,
                numbers=tuple(
                    dataclasses.replace(
                        numbers,
                        figures=tuple(
                            dataclasses.replace(one, value=value, error=value, low=value, high=value)
                            if one.withheld
                            else one
                            for one in numbers.figures
                        ),
                    )
                    for numbers in answer.numbers
                ),
            )
            for answer in answers()
        ]
        other = dataclasses.replace(facts, analysis=dataclasses.replace(facts.analysis, answers=tuple(changed)))
        assert page([other]) == page([facts])


def test_not_a_number_appears_nowhere_in_the_page():
    facts = analysis_job()
    odd = tuple(without_figures(one) for one in answers())
    document = page([dataclasses.replace(facts, analysis=dataclasses.replace(facts.analysis, answers=odd))])
    body = parsed(document).find("body")
    assert not re.search(r"\b(nan|inf)\b", words(body), flags=re.IGNORECASE)
    for element in body.iter():
        for name, value in element.items():
            assert not re.search(r"\bnan\b", value, flags=re.IGNORECASE), (element.tag, name)
    assert "the sum gave none" in words(body)


def test_no_answers_yet_is_said():
    assert "there are no answers" in words(parsed(page([unanswered_job()])).find("body"))
    assert "No sum was opened" in words(part(unanswered_job(), "answers"))


def test_an_overview_of_all_kinds_leaves_no_figure_where_none_belongs():
    root = parsed(page([job(), private_job(), analysis_job()]))
    (overview,) = [e for e in root.iter("section") if e.get("class") == "overview"]
    heads, *rows = [[words(cell) for cell in row] for row in overview.iter("tr")]
    column = {name: [row[i] for row in rows] for i, name in enumerate(heads)}
    assert [value.split()[0] for value in column["Epsilon"]] == ["–", "0.875", "1"]
    assert "exact sums" in column["Epsilon"][0]
    assert [value.split()[0] for value in column["Answers"]] == ["–", "–", "6"]
    assert [value.split()[0] for value in column["AUROC all rows"]] == [".888", ".888", "–"]
    assert "report on 3 jobs" in words(root.find("body"))
    assert "report on 2 analyses" in words(parsed(page([analysis_job(), analysis_job()])).find("body"))


# ---------------------------------------------------------------- charts of answers


def test_bars_are_as_long_as_their_counts_and_a_withheld_one_has_none():
    figures = [figure("a", 400.0, 10.0), figure("b", 200.0, 10.0), withheld("c")]
    root = ElementTree.fromstring(bars(figures, title="t"))
    lengths = [float(e.get("width")) for e in root.iter("rect") if e.get("class") == "f-bar"]
    assert lengths[0] == pytest.approx(2 * lengths[1], rel=0.01)
    assert len(lengths) == 2
    assert len([e for e in root.iter("circle") if e.get("class") == "o-withheld"]) == 1
    assert "withheld" in "".join(root.itertext())


def test_error_bars_end_where_the_interval_ends():
    root = ElementTree.fromstring(bars([figure("a", 400.0, 50.0)], title="t"))
    (bar,) = [e for e in root.iter("rect") if e.get("class") == "f-bar"]
    start, length = float(bar.get("x")), float(bar.get("width"))
    (across,) = [e for e in root.iter("line") if e.get("class") == "l-err" and e.get("y1") == e.get("y2")]
    reach = [(float(across.get(x)) - start) / length for x in ("x1", "x2")]
    assert reach == pytest.approx([0.75, 1.25], abs=0.01)


def test_dots_lie_inside_their_intervals_and_far_from_zero_if_all_are():
    root = ElementTree.fromstring(dots([figure("mean", 71.65, 0.1)], title="t"))
    (dot,) = root.iter("circle")
    (across,) = [e for e in root.iter("line") if e.get("class") == "l-err" and e.get("y1") == e.get("y2")]
    assert float(across.get("x1")) < float(dot.get("cx")) < float(across.get("x2"))
    assert float(across.get("x2")) - float(across.get("x1")) > 100


def test_thousands_of_cells_still_make_a_drawing_of_some_height():
    root = ElementTree.fromstring(bars([figure(str(i), 100.0 + i) for i in range(4096)], title="t"))
    assert float((root.get("viewBox") or "").split()[3]) < 2200
    assert len([e for e in root.iter("rect") if e.get("class") == "f-bar"]) == 4096
    rows = [float(e.get("y")) for e in root.iter("text") if e.get("class") == "e"]
    assert min(b - a for a, b in itertools.pairwise(rows)) >= 12


def test_cells_are_darker_the_more_are_in_them_and_dashed_where_withheld():
    figures = [figure("a", 100.0), figure("b", 1000.0), withheld("c"), figure("d", 10.0)]
    across, down = AxisFacts("dead", ("no", "yes")), AxisFacts("sex", ("f", "m"))
    root = ElementTree.fromstring(cells(figures, across, down, title="t", width=400))
    shades = [float(e.get("fill-opacity")) for e in root.iter("rect") if e.get("class") == "f-cell"]
    assert shades[1] > shades[0] > shades[2]
    assert len([e for e in root.iter("rect") if e.get("class") == "f-withheld"]) == 1
    assert [t.text for t in root.iter("text") if t.text == "withheld"] == ["withheld"]


def test_three_columns_make_a_block_per_cell_of_the_first():
    table = next(one for one in answers() if one.kind == "table")
    layers = ("2021", "2022")
    figures = tuple(
        dataclasses.replace(one, label=f"{year}, {one.label}") for year in layers for one in table.numbers[0].figures
    )
    deep = dataclasses.replace(
        table,
        axes=(AxisFacts("year", layers), *table.axes),
        numbers=(dataclasses.replace(table.numbers[0], figures=figures),),
    )
    facts = analysis_job()
    section = part(dataclasses.replace(facts, analysis=dataclasses.replace(facts.analysis, answers=(deep,))), "answers")
    blocks = [e for e in section.iter("svg") if e.get("role") == "img"]
    assert len(blocks) == len(layers)
    assert "year: 2021" in words(section)
    assert len([e for e in section.iter("rect") if e.get("class") == "f-cell"]) == 2 * 2 * (len(SUBTYPES) - 1)


def survival_curves() -> list[Curve]:
    told = next(one for one in answers() if one.kind == "survival")
    return [Curve(n.what.removeprefix("survival, "), n.figures) for n in told.numbers if n.what != "log-rank"]


def test_survival_falls_in_steps_with_a_band_and_a_dot_per_published_time():
    root = ElementTree.fromstring(survival_chart(survival_curves(), "d", title="t", width=840))
    lines = [e.get("d") or "" for e in root.iter("path") if (e.get("class") or "").startswith("c-curve")]
    assert [line.count("H") for line in lines] == [4, 2]
    for line in lines:
        heights = [float(y) for y in re.findall(r"V([\d.]+)", line)]
        assert heights == sorted(heights)
    kinds = [e.get("class") for e in root.iter("circle")]
    assert kinds.count("c-dot c-0") == len(TIMES)
    assert kinds.count("c-dot c-1") == 3
    assert len([e for e in root.iter("path") if (e.get("class") or "").startswith("c-band")]) == 2


def test_a_curve_whose_intervals_are_no_numbers_is_still_drawn():
    odd = [
        Curve(curve.group, tuple(dataclasses.replace(one, low=math.nan, high=None) for one in curve.figures))
        for curve in survival_curves()
    ]
    assert "nan" not in survival_chart(odd, "d", title="t", width=840)


def test_a_last_time_far_beyond_the_others_does_not_press_them_together():
    root = ElementTree.fromstring(survival_chart(survival_curves(), "d", title="t", width=840))
    labels = {t.text: float(t.get("x")) for t in root.iter("text") if t.get("class") == "s m"}
    assert labels["180"] - labels["0"] > 600
    assert labels["1\u202f400"] > labels["180"]


def test_an_answer_of_which_all_is_withheld_has_no_picture_and_still_its_table():
    one = answers()[0]
    hidden = dataclasses.replace(one, numbers=(dataclasses.replace(one.numbers[0], figures=(withheld("all"),)),))
    facts = analysis_job()
    section = part(
        dataclasses.replace(facts, analysis=dataclasses.replace(facts.analysis, answers=(hidden,))), "answers"
    )
    assert not list(section.iter("svg"))
    assert "all withheld" in words(section)
