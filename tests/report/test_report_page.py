"""The report is one file that loads nothing, survives hostile names, and says what the facts say."""

import base64
import dataclasses
import hashlib
import re
import subprocess
import sys
from xml.etree import ElementTree

import pytest
from judged_facts import judged_job, unjudged_job
from noisy_facts import analysis_job, private_job, unanswered_job
from report_facts import CHECKS, bare_job, empty_job, job, with_text

from caduceus.errors import Misuse
from caduceus.kinds import Evidence
from caduceus.report.facts import CheckFacts, Coefficient, Quality
from caduceus.report.page import page

VARIETY = {
    "whole": [job()],
    "49 sites": [job(49)],
    "466 sites": [job(466, 20)],
    "one site, one round": [job(1, 1)],
    "nothing known": [bare_job()],
    "nobody came": [empty_job()],
    "three jobs": [job(), bare_job(), job(49)],
    "with noise": [private_job()],
    "answers": [analysis_job()],
    "no answers yet": [unanswered_job()],
    "judged": [judged_job()],
    "judged, 49 sites": [judged_job(49, 120)],
    "nothing judged": [unjudged_job()],
    "every kind": [job(), analysis_job(), private_job(49), judged_job()],
}
HOSTILE = (
    '<script>alert("x")</script>',
    "\"'><img src=x onerror=alert(1)>",
    "</title></style></svg><iframe src='http://evil.example/'>",
    "&lt;b&gt;&amp;&#60;",
    "]]><![CDATA[<b>",
    "<!-- --> {{7*7}} ${x}",
    "\u202egnp.exe\u2066 \x00\x07\x1b[31m \ud800 \uffff",
    "javascript:alert(1) url(//evil.example) @import 'x'",
    "W" * 400,
)


def parsed(document: str) -> ElementTree.Element:
    assert document.startswith("<!DOCTYPE html>\n")
    document.encode("utf-8")
    return ElementTree.fromstring(document)


def words(document: str | ElementTree.Element) -> str:
    """What a reader reads, spaces made plain."""
    root = parsed(document) if isinstance(document, str) else document
    body = root.find("body")
    body = root if body is None else body
    return " ".join("".join(t for e in [body] for t in e.itertext()).replace("\u202f", " ").split())


def part(document: str, anchor: str) -> ElementTree.Element:
    found = [e for e in parsed(document).iter() if e.get("id") == anchor]
    assert len(found) == 1, anchor
    return found[0]


def skeleton(root: ElementTree.Element) -> list[tuple[str, tuple[str, ...]]]:
    return [(e.tag, tuple(sorted(e.keys()))) for e in root.iter()]


@pytest.fixture(scope="module", params=VARIETY)
def told(request):
    return page(VARIETY[request.param])


def test_every_page_is_well_formed_and_the_same_each_time():
    for jobs in VARIETY.values():
        assert page(jobs) == page(jobs)
        assert parsed(page(jobs)).tag == "html"


def test_a_report_without_jobs_is_a_bug_of_the_caller():
    with pytest.raises(Misuse, match="at least one job"):
        page([])


def test_nothing_outside_the_file_is_referred_to(told):
    root = parsed(told)
    tags = {e.tag for e in root.iter()}
    assert not tags & {
        "link",
        "img",
        "image",
        "iframe",
        "object",
        "embed",
        "base",
        "form",
        "audio",
        "video",
        "use",
        "a:a",
    }
    for element in root.iter():
        for name, value in element.items():
            assert not name.startswith("on")
            assert name not in {
                "src",
                "srcset",
                "data",
                "action",
                "formaction",
                "poster",
                "style",
                "background",
                "ping",
            }
            if name.endswith("href"):
                assert value.startswith("#")
            if name not in {"title", "aria-label"}:
                assert not re.search(r"https?:|//|url\(", value), (name, value)
    for tag in ("style", "script"):
        (element,) = root.iter(tag)
        assert not re.search(r"https?:|//|url\s*\(|@import|fetch|XMLHttp|WebSocket|import\s*\(", element.text or "")


def test_an_address_in_the_facts_is_shown_as_text_and_not_as_a_link():
    document = page([job()])
    assert "https://archive.example/dataset/45" in words(document)
    assert 'href="http' not in document


def test_the_policy_allows_only_the_style_and_script_in_the_file(told):
    root = parsed(told)
    (policy,) = [m.get("content") or "" for m in root.iter("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        (element,) = root.iter(tag)
        told_hash = base64.b64encode(hashlib.sha256((element.text or "").encode()).digest()).decode()
        assert rules[f"{tag}-src"] == f"'sha256-{told_hash}'"


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize(
    "facts",
    [job(4), job(15), private_job(), analysis_job(), judged_job()],
    ids=["4", "15", "noise", "answers", "judged"],
)
def test_hostile_text_in_every_field_changes_no_element_of_the_page(hostile, facts):
    marker = iter(range(10**6))
    names: dict[str, str] = {}

    def renamed(prefix):
        return lambda value: names.setdefault(prefix + value, f"{prefix}{next(marker)}")

    harmless = with_text(facts, lambda value: names.setdefault("h" + value, f"harmless {next(marker)}"))
    attack = with_text(facts, renamed(hostile))
    assert any(hostile in field for field in (attack.title, attack.sites[0].name, attack.checks[0].breaks))
    assert _shape(page([attack])) == _shape(page([harmless]))


def _shape(document: str) -> list[tuple[str, tuple[str, ...]]]:
    """Elements and attributes, but for those that a longer text may have more of: lines in the picture, and wbr."""
    return [entry for entry in skeleton(parsed(document)) if entry not in (("wbr", ()), ("text", ("class", "x", "y")))]


def test_a_hostile_name_is_shown_letter_by_letter():
    attack = HOSTILE[0]
    facts = job()
    facts = dataclasses.replace(facts, title=attack, protection=(attack,))
    document = page([facts])
    assert words(part(document, "job-1-h")) == attack
    assert attack in words(part(document, "job-1-protection"))
    assert attack not in document


def test_characters_that_turn_a_line_around_are_replaced():
    facts = dataclasses.replace(job(), notes=("\u202egnp.exe\x07",))
    said = words(part(page([facts]), "job-1-notes"))
    assert "\ufffdgnp.exe\ufffd" in said
    assert "\u202e" not in said


def test_every_link_leads_to_a_part_and_every_name_of_a_part_is_its_own(told):
    root = parsed(told)
    ids = [e.get("id") for e in root.iter() if e.get("id")]
    assert len(ids) == len(set(ids))
    links = {(e.get("href") or "")[1:] for e in root.iter("a")}
    assert links <= set(ids)
    sections = {e.get("id") for e in root.iter("section") if e.get("id")}
    assert sections <= links  # nothing is missing from the contents
    for element in root.iter():
        assert set((element.get("aria-labelledby") or "").split()) <= set(ids)


def test_tables_have_captions_and_headings_and_drawings_have_words(told):
    root = parsed(told)
    for table in root.iter("table"):
        caption = table.find("caption")
        assert caption is not None
        assert words(caption)
        assert all(th.get("scope") for th in table.iter("th"))
        width = len(table.findall("thead/tr/th"))
        assert all(len(list(row)) == width for row in table.iter("tr"))
        assert all(row[0].tag == "th" for row in table.iter("tr"))
    for drawing in root.iter("svg"):
        if drawing.get("aria-hidden") != "true":
            assert drawing.get("role") == "img"
            assert drawing.get("aria-label")
            assert drawing.find("title") is not None
            assert drawing.find("desc") is not None
    levels = [int(e.tag[1]) for e in root.iter() if re.fullmatch("h[1-6]", e.tag)]
    assert levels.count(1) == 1


def test_every_drawing_holds_only_finite_numbers(told):
    for drawing in parsed(told).iter("svg"):
        for element in drawing.iter():
            for name, value in element.items():
                if name in {"x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "width", "height", "d", "points"}:
                    assert not re.search(r"nan|inf|None|e[-+]?\d", value), (element.tag, name, value)
                    if name in {"width", "height", "r"}:
                        assert float(value) >= 0


def test_every_site_is_named_in_the_cards_and_in_the_figures():
    for sites in (4, 49, 466):
        facts = job(sites)
        document = page([facts])
        for anchor in ("job-1-sites", "job-1-quality"):
            said = words(part(document, anchor))
            assert all(site.name in said for site in facts.sites)


def test_a_missing_figure_is_a_dash_with_its_reason():
    document = page([bare_job()])
    said = words(document)
    assert "– (cannot be told from what was summed)" in said
    assert "– the card does not say" in said
    assert "None" not in said
    assert "No site has a figure" in said
    assert "– No calibration" in said
    assert "not been audited" in said
    assert "take nothing for granted" in said


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), float("-inf")])
def test_a_figure_that_is_no_number_is_a_dash_too(odd):
    facts = job()
    first = dataclasses.replace(facts.sites[0], federated=Quality(odd, odd), local=Quality(odd, 0.1))
    facts = dataclasses.replace(
        facts,
        sites=(first, *facts.sites[1:]),
        pooled=Quality(odd, odd),
        auroc_error=odd,
        seconds_training=odd,
        coefficients=(Coefficient("age", odd), Coefficient("sex", 0.5)),
    )
    document = page([facts])
    assert not re.search(r"\b(nan|inf)\b", words(document))
    assert "– (not measured)" in words(document)


def test_the_verdict_passes_only_if_nothing_broke_and_something_was_checked():
    def verdict(*checks):
        document = page([dataclasses.replace(job(), checks=tuple(checks))])
        (banner,) = [e for e in parsed(document).iter("div") if (e.get("class") or "").startswith("verdict")]
        return banner.get("class"), words(banner)

    kind, said = verdict(*CHECKS)
    assert kind == "verdict good"
    assert "The audit passes" in said
    assert "1 claim was not checked" in said

    broken = CheckFacts("Every sum is right", Evidence.RE_EXECUTED, False, "round 7 differs", "")
    kind, said = verdict(*CHECKS, broken, dataclasses.replace(broken, claim="Money adds up"))
    assert kind == "verdict bad"
    assert "does not pass" in said
    assert "First that does not fit: Every sum is right (round 7 differs)." in said
    assert "1 more claim does not fit" in said

    for nothing in ((), (CHECKS[-1],)):
        kind, said = verdict(*nothing)
        assert kind == "verdict open"
        assert "Not audited" in said


def test_a_claim_without_evidence_is_never_shown_as_held():
    boast = CheckFacts("Trust us", Evidence.NOT_CHECKED, True, "", "anyone")
    said = words(part(page([dataclasses.replace(job(), checks=(boast,))]), "job-1-audit"))
    assert "✓ holds" not in said
    assert "0 hold" in said


def test_each_claim_carries_its_word_of_evidence_and_who_could_break_it():
    audit = part(page([job()]), "job-1-audit")
    rows = [row for row in audit.iter("tr") if row.find("td") is not None]
    shown = [words(row) for row in rows]
    for check in CHECKS:
        (row,) = [text for text in shown if check.claim in text]
        assert check.word.word in row
        assert (check.breaks or "the audit does not say") in row


def test_claims_that_do_not_fit_stand_first():
    broken = CheckFacts("The model follows", Evidence.RE_EXECUTED, False, "", "nobody")
    audit = part(page([dataclasses.replace(job(), checks=(*CHECKS, broken))]), "job-1-audit")
    first = next(row for row in audit.iter("tr") if row.find("td") is not None)
    assert "The model follows" in words(first)
    assert "✗ does not fit" in words(first)


def test_control_arms_are_marked_wherever_they_appear():
    quality = words(part(page([job()]), "job-1-quality"))
    assert quality.count("control arm") >= 2
    assert "A real job has no such party" in quality
    facts = job()
    only = tuple(
        dataclasses.replace(site, local=Quality(None, None), pooled=Quality(None, None)) for site in facts.sites
    )
    without = words(part(page([dataclasses.replace(facts, sites=only)]), "job-1-quality"))
    assert "A real job has no such party" not in without


def test_several_jobs_are_listed_at_a_glance_and_told_one_by_one():
    document = page(VARIETY["three jobs"])
    (overview,) = [e for e in parsed(document).iter("section") if e.get("class") == "overview"]
    rows = overview.findall(".//tbody/tr")
    assert len(rows) == 3
    assert "✓ passes" in words(rows[0])
    assert "– not audited" in words(rows[1])
    assert {e.get("id") for e in parsed(document).iter("article")} >= {"job-1", "job-2", "job-3"}
    assert "At a glance" not in page([job()])


def test_rounds_name_who_was_silent_and_why_a_round_failed():
    facts = job()
    rounds = words(part(page([facts]), "job-1-rounds"))
    assert "3 of 4" in rounds
    assert facts.sites[-1].name in rounds
    assert "too few sites answered in time" in rounds
    assert "– (none was anchored)" in rounds
    assert "3 sites of 4 were never silent" in rounds


def test_many_silent_sites_are_counted_and_all_of_them_kept():
    facts = job(49)
    names = tuple(site.name for site in facts.sites[:30])
    late = dataclasses.replace(facts.rounds[2], silent=names, survivors=19)
    document = page([dataclasses.replace(facts, rounds=(*facts.rounds[:2], late, *facts.rounds[3:]))])
    section = part(document, "job-1-rounds")
    assert "and 24 more" in words(section)
    assert ", ".join(names) in [e.get("title") for e in section.iter("span")]


def test_gas_is_added_up_over_kinds():
    facts = job()
    gas = words(part(page([facts]), "job-1-gas"))
    total = sum(kind.count * kind.mean for kind in facts.gas)
    assert f"{total:,}".replace(",", " ") in gas


def test_runs_of_like_steps_are_gathered_and_none_is_lost():
    facts = job(49)
    steps = part(page([facts]), "job-1-steps")
    said = words(steps)
    assert "49 parties: enrolled (49 times)" in said
    assert "anchored round 1 … anchored round 9" in said
    titles = [e.get("title") for e in steps.iter("code")]
    assert all(step.transaction in titles for step in facts.steps)


def test_reading_the_report_module_pulls_in_no_heavy_package():
    heavy = {"torch", "pandas", "web3", "jinja2", "matplotlib", "pyarrow", "scipy", "pydantic", "rich"}
    code = f"import sys, caduceus.report.page; print(sorted(set(sys.modules) & {heavy}))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
