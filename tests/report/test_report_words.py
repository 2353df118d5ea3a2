"""Numbers and times as people read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caduceus.report.markup import shortened, text
from caduceus.report.words import brief, count, difference, duration, moment, plain, score, whole


@given(st.integers(-(10**30), 10**30))
def test_a_whole_number_keeps_every_digit(number):
    shown = whole(number)
    assert int(shown.replace("\u202f", "").replace("\u2212", "-")) == number


def test_groups_of_three_are_set_apart_by_a_space_that_does_not_break():
    assert whole(1_234_567) == "1\u202f234\u202f567"
    assert whole(999) == "999"
    assert whole(-1000) == "\u22121\u202f000"


def test_only_very_long_numbers_become_powers_of_ten():
    assert brief(999_999_999_999) == whole(999_999_999_999)
    assert brief(1_257 * 10**18) == "1.25\u202f×\u202f10²¹"
    assert brief(-(10**12)) == "\u22121.00\u202f×\u202f10¹²"


@pytest.mark.parametrize(
    ("value", "shown"), [(0.797, ".797"), (1.0, "1.000"), (-0.0214, "\u2212.021"), (0.0, ".000"), (-0.0001, ".000")]
)
def test_shares_lose_their_leading_zero(value, shown):
    assert plain(value) == shown


def test_a_difference_has_its_sign_unless_it_is_nothing():
    assert difference(0.0281, "") == "+.028"
    assert difference(-0.0281, "") == "\u2212.028"
    assert difference(0.0, "") == difference(-0.0001, "") == ".000"


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_no_figure_is_a_dash_with_its_reason(value):
    for shown in (score(value, "<too few>"), difference(value, "<too few>")):
        assert "–" in shown
        assert "&lt;too few&gt;" in shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.44, "0.4 s"),
        (41.2, "41 s"),
        (125, "2 min 5 s"),
        (120, "2 min"),
        (12_000, "3 h 20 min"),
        (14 * 86_400, "14 days"),
        (86_400 + 3_600, "1 day 1 h"),
        (59.9, "1 min"),
    ],
)
def test_spans_of_time_are_told_in_the_units_that_fit(seconds, shown):
    assert duration(seconds) == shown


def test_a_span_that_was_not_measured_is_a_dash():
    assert "not measured" in duration(float("nan"))
    assert "not measured" in duration(-1.0)


def test_a_moment_is_in_utc_and_an_impossible_one_stays_a_number():
    assert moment(0) == "1970-01-01 00:00:00"
    assert moment(10**18) == "time " + whole(10**18)


def test_nouns_follow_their_numbers():
    assert count(1, "site") == "1 site"
    assert count(49, "site") == "49 sites"
    assert count(2, "party", "parties") == "2 parties"


@given(st.text())
def test_escaped_text_never_opens_an_element_or_ends_an_attribute(value):
    assert not set(text(value)) & set("<>\"'")


@given(st.text(), st.integers(2, 50))
def test_shortened_text_is_never_longer_than_asked(value, limit):
    import html

    assert len(html.unescape(shortened(value, limit))) <= limit
