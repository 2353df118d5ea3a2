"""Dates, times and decimals of limited precision: where they begin and end, how they compare, and their middle."""

from __future__ import annotations

import calendar
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

DATE = re.compile(
    r"^(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(?:(\d\d)(?::(\d\d)(?::(\d\d)(\.\d+)?)?)?)?(Z|[+-]\d\d:\d\d)?)?)?)?$"
)
TIME = re.compile(r"^T?(\d\d)(?::(\d\d)(?::(\d\d)(\.\d+)?)?)?$")

_EARLIEST, _LATEST = "+14:00", "-12:00"  # the offsets at which a day begins first and ends last


class Written(float):
    """A decimal that remembers how it was written: its digits are its precision."""

    text: str

    def __new__(cls, text: str) -> Written:
        """A number from its JSON text."""
        made = super().__new__(cls, text)
        made.text = text
        return made


def boundary(value: Any, *, high: bool, clock: bool) -> Any:
    """The least (or the largest) value that a decimal, date, dateTime or time of limited precision can stand for.

    clock    whether a date without a time is a dateTime, whose boundary has one
    returns  of the same kind, as JSON; None for anything else
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        written = Decimal(value.text if isinstance(value, Written) else repr(value))
        exponent = written.as_tuple().exponent
        if not isinstance(exponent, int):
            return None
        half = Decimal((0, (5,), exponent - 1))
        return float(written + half if high else written - half)
    if not isinstance(value, str):
        return None
    if found := TIME.match(value):
        return _time(found.groups(), high)
    return _date(value, high, clock)


def _time(parts: tuple[str | None, ...], high: bool) -> str:
    hour, minute, second, fraction = parts
    if fraction is None:
        fraction = ".999" if high else ".000"
    return f"{hour}:{minute or ('59' if high else '00')}:{second or ('59' if high else '00')}{fraction}"


def _date(value: str, high: bool, clock: bool) -> str | None:
    found = DATE.match(value)
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    month = month or ("12" if high else "01")
    if not 1 <= int(month) <= 12 or int(year) < 1:
        return None
    day = day or (f"{calendar.monthrange(int(year), int(month))[1]:02}" if high else "01")
    if hour is None and not clock:
        return f"{year}-{month}-{day}"
    time = _time((hour or ("23" if high else "00"), minute, second, fraction), high)
    return f"{year}-{month}-{day}T{time}{zone or (_LATEST if high else _EARLIEST)}"


def compare(left: str, right: str) -> int | None:
    """Whether one date, dateTime or time is before another: -1, 0 or 1.

    returns  None where the precision, or a missing time zone, leaves it open, or where either is none of these
    """
    if TIME.match(left) and TIME.match(right) and not DATE.match(left):
        parts = [[float(part) for part in one.lstrip("T").split(":")] for one in (left, right)]
        return _ordered(parts[0], parts[1])
    one, other = DATE.match(left), DATE.match(right)
    if one is None or other is None:
        return None
    if one[4] and other[4] and bool(one[8]) != bool(other[8]):
        return None
    return _ordered(_numbers(one), _numbers(other))


def _numbers(found: re.Match[str]) -> list[float]:
    """The parts of a date, as far as they are known; in UTC where a zone is given."""
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    parts = [float(part) for part in (year, month, day, hour, minute, second) if part is not None]
    if zone in (None, "Z") or len(parts) < 5:
        return parts[:5] + ([parts[5] + float(fraction or 0)] if len(parts) == 6 else [])
    ahead = timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6])) * (-1 if zone[0] == "-" else 1)
    try:
        moment = datetime(*(int(part) for part in parts[:5]), tzinfo=UTC) - ahead  # type: ignore[arg-type, misc]
    except (ValueError, OverflowError):
        return parts
    shifted = [moment.year, moment.month, moment.day, moment.hour, moment.minute]
    return [float(part) for part in shifted] + ([parts[5] + float(fraction or 0)] if len(parts) == 6 else [])


def _ordered(left: list[float], right: list[float]) -> int | None:
    for one, other in zip(left, right, strict=False):
        if one != other:
            return -1 if one < other else 1
    return 0 if len(left) == len(right) else None


def middle(text: str) -> datetime | None:
    """The moment for which a date or dateTime stands in a table: the middle of a year or a month if no more is known,
    midnight of a day, and otherwise the clock where it was written, without its zone.

    returns  None if it is no date
    """
    size = len(text)
    try:
        if size == 10:
            return datetime.fromisoformat(text)
        if size > 10 and text[10] == "T":
            if text[19:20] != ".":
                return datetime.fromisoformat(text[:19])
            return datetime.fromisoformat(text[:19] + re.split("[Z+-]", text[19:])[0])
        if size == 4 and text.isdecimal():
            return datetime(int(text), 7, 2)
        if size == 7:
            return datetime.fromisoformat(f"{text}-15")
    except ValueError:
        pass
    return None
