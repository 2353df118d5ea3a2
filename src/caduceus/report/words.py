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


def power_of_ten(value: float, digits: int = 2) -> Html:
    """A finite number but 0 by its size: 2.5 × 10⁻⁵, or 10⁻⁵ where nothing stands before it.

    digits  of the number before the power of ten, at most
    """
    before, exponent = f"{abs(value):.{digits - 1}e}".split("e")
    before = before.rstrip("0").rstrip(".") if "." in before else before
    sign = MINUS if value < 0 else ""
    power = f"10{str(int(exponent)).translate(_SUPERSCRIPT)}"
    return Html(f"{sign}{power}" if before == "1" else f"{sign}{before}{THIN}×{THIN}{power}")


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


def measured(value: float, digits: int) -> Html:
    """A finite number with its decimals, in groups of three and without a leading zero: 1 409, .971, −12.5, 0."""
    if value == 0:
        return Html("0")
    if abs(value) >= LONG_NUMBER:
        return power_of_ten(value, 3)
    shown = f"{abs(value):,.{digits}f}".replace(",", THIN)
    short = shown[1:] if shown.startswith("0.") else shown
    return Html((MINUS if value < 0 and any(c in "123456789" for c in shown) else "") + short)


def significant(value: float) -> Html:
    """A finite number to four digits, however small: 1.734, .0213, 3.1 × 10⁻⁸, 0."""
    if value == 0:
        return Html("0")
    if abs(value) < 1e-4:
        return power_of_ten(value)
    digits = max(3 - math.floor(math.log10(abs(value))), 0)
    shown = measured(value, digits)
    return Html(shown.rstrip("0").rstrip(".")) if "." in shown else shown


def decimals_for(error: float | None) -> int | None:
    """So many decimals that a standard error has two digits; None where there is no error to go by."""
    if error is None or not math.isfinite(error) or error <= 0:
        return None
    return min(max(1 - math.floor(math.log10(error)), 0), 9)


def epsilon(micro: int) -> Html:
    """Millionths of epsilon, every digit of it: 1, 2.5, 0.125."""
    whole_part, rest = divmod(abs(micro), 10**6)
    shown = f"{whole_part:,}".replace(",", THIN) + f".{rest:06d}".rstrip("0").rstrip(".")
    return Html((MINUS if micro < 0 else "") + shown)


def delta(pico: int) -> Html:
    """Millionths of a millionth of delta: 10⁻⁵, 2.5 × 10⁻⁶, 0."""
    return power_of_ten(pico / 10**12, 12) if pico else Html("0")


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
