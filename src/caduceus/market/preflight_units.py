"""Which other unit numbers look like: those of a column, by its codes, that lie a known conversion apart."""

from __future__ import annotations

from caduceus.data.cohort_units import conversion, substance_of
from caduceus.data.schema import Column

UNITS = (
    *("mmol/L", "umol/L", "nmol/L", "mg/dL", "g/dL", "g/L", "mg/L", "ug/dL", "ug/L", "ng/mL", "meq/L", "mmol/mol", "%"),
    *("1", "kg", "g", "[lb_av]", "m", "cm", "[in_i]", "Cel", "[degF]", "mm[Hg]", "kPa", "a", "mo", "d"),
)
"""In which laboratories and wards write what schemas ask for."""

NEAR = 1.35
"""Two medians that differ by no more than this factor may belong to the same values."""

APART = 1.6
"""Less than this factor, and two medians may differ because patients do."""


def other_unit(column: Column, *, of: float, among: float) -> str:
    """The unit that would bring numbers around `of` to where others are.

    of, among  medians, in the numbers as they stand
    returns    UCUM; "" if the two are near each other, or no known unit explains the difference
    """
    if min(of, among) <= 0 or _apart(of, among) < APART:
        return ""
    substance = next((name for name in map(substance_of, column.codes) if name), "")
    found = []
    for unit in UNITS:
        turned = None if unit == column.unit else conversion(unit, column.unit, substance)
        if turned is None:
            continue
        value = of * turned[0] + turned[1]
        if value > 0 and _apart(value, among) <= NEAR:
            found.append((_apart(value, among), unit))
    return min(found)[1] if found else ""


def _apart(one: float, two: float) -> float:
    return max(one / two, two / one)
