"""Days and months as numbers: terms speak of dates, the chain of seconds."""

from __future__ import annotations

import re

import numpy as np

from caduceus.errors import Refused

DAY_SECONDS = 86_400
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def read_day(text: str) -> int:
    """Days from 1970-01-01 (UTC) to a date such as "2027-01-31".

    Raises Refused if it is no date after 1970.
    """
    try:
        day = int(np.datetime64(text, "D").astype(np.int64)) if _DATE.fullmatch(text) else 0
    except ValueError:
        day = 0
    if day <= 0:
        raise Refused(f"'{text[:40]}' is no date after 1970; write it as 2027-01-31")
    return day


def show_day(day: int) -> str:
    """A day as people write it: 2027-01-31."""
    return str(np.datetime64(day, "D"))


def day_of(seconds: int) -> int:
    """The day in which a moment lies (UTC)."""
    return seconds // DAY_SECONDS


def start_of(day: int) -> int:
    """The first second of a day (UTC)."""
    return day * DAY_SECONDS


def after_months(day: int, months: int) -> int:
    """The day so many calendar months later: the same day of the month, or the month's last."""
    date = np.datetime64(day, "D")
    month = date.astype("datetime64[M]")
    then = month + months
    last = int(((then + 1).astype("datetime64[D]") - 1).astype(np.int64))
    return min(
        int(then.astype("datetime64[D]").astype(np.int64)) + day - int(month.astype("datetime64[D]").astype(np.int64)),
        last,
    )
