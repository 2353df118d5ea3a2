"""Measured values from the unit of a record to the unit of a column: the same arithmetic at every site.

UCUM units of the kinds that laboratories and bedsides write are understood; of a unit that is not, nothing is guessed.

Source for units: The Unified Code for Units of Measure, version 2.1, tables 2 to 8 (ucum.org). For moles and grams:
molar masses from the standard atomic weights (IUPAC 2021). For haemoglobin A1c: Hoelzel and others (2004), Clinical
Chemistry 50, 166-174, the master equation of IFCC and NGSP.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_PREFIXES = {"": 0, "k": 3, "d": -1, "c": -2, "m": -3, "u": -6, "n": -9, "p": -12, "f": -15}
_PLAIN = {"g": "mass", "L": "volume", "l": "volume", "m": "length", "mol": "amount", "eq": "charge", "s": "time"}
_PLAIN |= {"U": "catalysis", "[IU]": "activity", "[iU]": "activity", "Pa": "pressure"}

_OTHERS = {
    "[lb_av]": ("mass", 453.59237),
    "[oz_av]": ("mass", 28.349523125),
    "[in_i]": ("length", 0.0254),
    "[ft_i]": ("length", 0.3048),
    "mm[Hg]": ("pressure", 133.322),
    "cm[H2O]": ("pressure", 98.0665),
    "min": ("time", 60.0),
    "h": ("time", 3600.0),
    "d": ("time", 86400.0),
    "wk": ("time", 604800.0),
    "mo": ("time", 2629800.0),
    "a": ("time", 31557600.0),
    "%": ("", 0.01),
    "1": ("", 1.0),
    "": ("", 1.0),
}
_WARMTH = {"Cel": (1.0, 273.15), "K": (1.0, 0.0), "[degF]": (5 / 9, 273.15 - 32 * 5 / 9)}
_POWER = re.compile(r"10[*^](-?\d{1,2})")
_ANNOTATION = re.compile(r"\{[^{}]*\}")


@dataclass(frozen=True, slots=True)
class Substance:
    """What moles of it weigh.

    mass     g/mol
    valence  charges per particle; 0 where equivalents are not used
    """

    mass: float
    valence: int = 0


SUBSTANCES = {
    "glucose": Substance(180.156),
    "cholesterol": Substance(386.66),
    "triglycerides": Substance(885.43),  # as triolein
    "creatinine": Substance(113.120),
    "urea nitrogen": Substance(28.014),  # two atoms of nitrogen in a molecule of urea
    "bilirubin": Substance(584.673),
    "urate": Substance(168.112),
    "calcium": Substance(40.078, 2),
    "magnesium": Substance(24.305, 2),
    "sodium": Substance(22.990, 1),
    "potassium": Substance(39.098, 1),
    "chloride": Substance(35.453, 1),
    "bicarbonate": Substance(61.016, 1),
    "phosphorus": Substance(30.974),
    "lactate": Substance(90.078, 1),
    "haemoglobin": Substance(16114.5),  # one chain with one iron
    "calcidiol": Substance(400.647),
    "haemoglobin A1c": Substance(0.0),
}
"""Substances that a schema file may name."""

_CODES = {
    "glucose": "2345-7 2339-0 14749-6 15074-8 1558-6 14771-0 41653-7 2340-8",
    "cholesterol": "2093-3 14647-2 2085-9 14646-4 2089-1 22748-8 13457-7 39469-2 18262-6 43396-1",
    "triglycerides": "2571-8 14927-8",
    "creatinine": "2160-0 14682-9 38483-4",
    "urea nitrogen": "3094-0 6299-2 14937-7",
    "bilirubin": "1975-2 14631-6 1968-7 14629-0",
    "urate": "3084-1 14933-6",
    "calcium": "17861-6 2000-8 49765-1",
    "magnesium": "19123-9 2601-3",
    "sodium": "2951-2 2947-0",
    "potassium": "2823-3 6298-4",
    "chloride": "2075-0 2069-3",
    "bicarbonate": "1963-8 2028-9 20565-8",
    "phosphorus": "2777-1 14879-1",
    "lactate": "2524-7 14118-4",
    "haemoglobin": "718-7 59260-0",
    "calcidiol": "1989-3 62292-8",
    "haemoglobin A1c": "4548-4 17856-6 4549-2 59261-8",
}
_SUBSTANCE_OF = {f"LOINC:{code}": name for name, codes in _CODES.items() for code in codes.split()}


def substance_of(code: str) -> str:
    """What a code measures, of `SUBSTANCES`; "" if that is not known here."""
    return _SUBSTANCE_OF.get(code, "")


def conversion(unit: str | None, wanted: str, substance: str = "") -> tuple[float, float] | None:
    """How a value becomes one in another unit.

    unit       UCUM, of the record; None or "" if it says none
    wanted     UCUM, of the column; "" takes values without a unit, or in the unit 1
    substance  of `SUBSTANCES`, for moles and grams; "" if not known
    returns    (factor, offset): value * factor + offset; None if the units do not measure the same, or one is not
               known here: the value is then missing
    """
    unit = unit or ""
    if unit == wanted:
        return 1.0, 0.0
    if not unit or not wanted:
        return (1.0, 0.0) if {unit, wanted} <= {"", "1"} else None
    if unit in _WARMTH and wanted in _WARMTH:
        (factor, zero), (other, other_zero) = _WARMTH[unit], _WARMTH[wanted]
        return factor / other, (zero - other_zero) / other
    if substance == "haemoglobin A1c" and (turned := _a1c(unit, wanted)):
        return turned
    one, two = _parse(unit), _parse(wanted)
    if one is None or two is None:
        return None
    weight = _weight(one.kind, two.kind, SUBSTANCES.get(substance))
    return None if weight is None else (weight * one.factor / two.factor * _tens(one.tens - two.tens), 0.0)


def _a1c(unit: str, wanted: str) -> tuple[float, float] | None:
    if (unit, wanted) == ("mmol/mol", "%"):
        return 0.09148, 2.152
    if (unit, wanted) == ("%", "mmol/mol"):
        return 1 / 0.09148, -2.152 / 0.09148
    return None


@dataclass(frozen=True, slots=True)
class _Unit:
    """A unit as factor * 10**tens of the unit of its kind; tens apart, so that they cancel exactly."""

    kind: tuple[str, str]
    factor: float
    tens: int


def _parse(unit: str) -> _Unit | None:
    """A unit of the form a, a/b or /b."""
    above, slash, below = _ANNOTATION.sub("", unit).partition("/")
    over, under = _part(above), _part(below) if slash else _Unit(("", ""), 1.0, 0)
    if over is None or under is None:
        return None
    return _Unit((over.kind[0], under.kind[0]), over.factor / under.factor, over.tens - under.tens)


def _part(word: str) -> _Unit | None:
    if word in _OTHERS:
        kind, factor = _OTHERS[word]
        return _Unit((kind, ""), factor, 0)
    if power := _POWER.fullmatch(word):
        return _Unit(("", ""), 1.0, int(power[1]))
    for plain, kind in _PLAIN.items():
        if word.endswith(plain) and word.removesuffix(plain) in _PREFIXES:
            return _Unit((kind, ""), 1.0, _PREFIXES[word.removesuffix(plain)])
    return None


def _weight(one: tuple[str, str], two: tuple[str, str], substance: Substance | None) -> float | None:
    """What a unit of the first kind is in units of the second, apart from factors; None if they differ."""
    if one == two:
        return 1.0
    if substance is None or one[1] != two[1]:
        return None
    grams = {"mass": 1.0, "amount": substance.mass}
    if substance.valence:
        grams["charge"] = substance.mass / substance.valence
    return grams[one[0]] / grams[two[0]] if one[0] in grams and two[0] in grams and substance.mass else None


def _tens(power: int) -> float:
    return float(f"1e{power}")
