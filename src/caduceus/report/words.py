"""Numbers, times and names as people read them: 1 234 567, .797, 14 days."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from caduceus.report.markup import Html, dash, text

MINUS = "\u2212"
THIN = "\u202f"
"""A narrow space that does not break: between groups of three digits."""

LONG_NUMBER = 10**12
"""From here on, charts and tiles show powers of ten; tables always show every digit."""

_SUPERSCRIPT = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_DAY, _HOUR, _MINUTE = 86400, 3600, 60


def whole(number: int) -> Html:
    """Every digit, in groups of three: 1 234 567."""
    return Html(f"{number:,}".replace(",", THIN).replace("-", MINUS))


def brief(number: int) -> Html:
    """As `whole`; beyond twelve digits as a power of ten, where room is short: 1.25 × 10²¹."""
    if abs(number) < LONG_NUMBER:
        return whole(number)
    digits = str(abs(number))
    exponent = len(digits) - 1
    sign = MINUS if number < 0 else ""
    return Html(f"{sign}{digits[0]}.{digits[1:3]}{THIN}×{THIN}10{str(exponent).translate(_SUPERSCRIPT)}")


def known(value: float | None) -> bool:
    """Whether there is a figure: neither None nor NaN nor infinite."""
    return value is not None and math.isfinite(value)


def plain(value: float, digits: int = 3) -> str:
    """A finite number without its leading zero: .797, −.021, 1.000."""
    shown = f"{abs(value):.{digits}f}"
    short = shown[1:] if shown.startswith("0.") else shown
    return (MINUS if value < 0 and any(c in "123456789" for c in shown) else "") + short


def score(value: float | None, reason: str, digits: int = 3) -> Html:
    """A figure such as .797, or a dash with the reason why there is none."""
    return Html(plain(value, digits)) if value is not None and math.isfinite(value) else dash(reason)


def difference(value: float | None, reason: str) -> Html:
    """A signed figure such as +.028, or a dash with its reason."""
    if value is None or not math.isfinite(value):
        return dash(reason)
    shown = plain(value)
    return Html(shown if shown.startswith(MINUS) or not any(c in "123456789" for c in shown) else f"+{shown}")


def duration(seconds: float) -> Html:
    """A span of time: 0.4 s, 41 s, 2 min 5 s, 3 h 20 min, 14 days."""
    if not math.isfinite(seconds) or seconds < 0:
        return dash("not measured")
    if seconds < 10:
        return Html(f"{seconds:.1f} s")
    whole_seconds = round(seconds)
    if whole_seconds < _MINUTE:
        return Html(f"{whole_seconds} s")
    if whole_seconds < _HOUR:
        return _two(whole_seconds, _MINUTE, "min", 1, "s")
    if whole_seconds < _DAY:
        return _two(whole_seconds, _HOUR, "h", _MINUTE, "min")
    days, rest = divmod(whole_seconds, _DAY)
    hours = rest // _HOUR
    name = "day" if days == 1 else "days"
    return Html(f"{whole(days)} {name}" + (f" {hours} h" if hours else ""))


def _two(seconds: int, unit: int, name: str, smaller: int, smaller_name: str) -> Html:
    count, rest = divmod(seconds, unit)
    parts = rest // smaller
    return Html(f"{count} {name}" + (f" {parts} {smaller_name}" if parts else ""))


def moment(time: int) -> Html:
    """A block's time stamp (seconds since 1970) in UTC; as it is where no calendar holds it."""
    try:
        return Html(datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S"))
    except (OverflowError, OSError, ValueError):
        return Html(f"time {whole(time)}")


def count(number: int, one: str, many: str = "") -> Html:
    """A number and its noun: 1 site, 49 sites."""
    return Html(f"{whole(number)} {text(one if number == 1 else many or one + 's')}")


def be(number: int) -> str:
    """was or were."""
    return "was" if number == 1 else "were"
