"""Measured values into one unit: against published factors, and never by a guess."""

from __future__ import annotations

import pytest

from caduceus.data.cohort_units import SUBSTANCES, conversion, substance_of


@pytest.mark.parametrize(
    ("unit", "wanted", "code", "value", "expected"),
    [  # conventional to SI units as the AMA Manual of Style (11th edition, section 17.5) prints the factors
        ("mg/dL", "mmol/L", "LOINC:2345-7", 1, 0.0555),
        ("mg/dL", "mmol/L", "LOINC:2093-3", 1, 0.0259),
        ("mg/dL", "mmol/L", "LOINC:2571-8", 1, 0.0113),
        ("mg/dL", "umol/L", "LOINC:2160-0", 1, 88.4),
        ("mg/dL", "mmol/L", "LOINC:3094-0", 1, 0.357),
        ("mg/dL", "umol/L", "LOINC:1975-2", 1, 17.104),
        ("mg/dL", "mmol/L", "LOINC:17861-6", 1, 0.25),
        ("meq/L", "mmol/L", "LOINC:17861-6", 1, 0.5),
        ("meq/L", "mmol/L", "LOINC:2823-3", 1, 1.0),
        ("mg/dL", "umol/L", "LOINC:3084-1", 1, 59.485),
        ("ng/mL", "nmol/L", "LOINC:1989-3", 1, 2.496),
        ("mmol/mol", "%", "LOINC:4548-4", 53, 7.0),  # pairs of the NGSP's own calculator
        ("%", "mmol/mol", "LOINC:4548-4", 6.5, 47.5),
    ],
)
def test_laboratory_values_are_converted_as_published(unit: str, wanted: str, code: str, value: float, expected: float):
    found = conversion(unit, wanted, substance_of(code))
    assert found is not None
    assert value * found[0] + found[1] == pytest.approx(expected, rel=5e-3)


@pytest.mark.parametrize(
    ("unit", "wanted", "value", "expected"),
    [
        ("[degF]", "Cel", 98.6, 37.0),
        ("K", "Cel", 310.15, 37.0),
        ("[lb_av]", "kg", 100, 45.359237),
        ("[in_i]", "cm", 70, 177.8),
        ("mm[Hg]", "kPa", 120, 15.99864),
        ("10*3/uL", "10*9/L", 7.5, 7.5),
        ("/uL", "10*9/L", 7500, 7.5),
        ("g/L", "g/dL", 135, 13.5),
        ("ug/L", "ng/mL", 4, 4),
        ("{beats}/min", "/min", 60, 60),
        ("%", "1", 40, 0.4),
        ("h", "d", 36, 1.5),
    ],
)
def test_units_of_one_kind_are_converted_without_knowing_what_is_measured(
    unit: str, wanted: str, value: float, expected: float
):
    found = conversion(unit, wanted)
    assert found is not None
    assert value * found[0] + found[1] == pytest.approx(expected, rel=1e-9)
    back = conversion(wanted, unit)
    assert back is not None
    assert expected * back[0] + back[1] == pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize(
    ("unit", "wanted", "substance"),
    [
        ("mmol/L", "mg/dL", ""),  # of what?
        ("mmol/L", "mg", "glucose"),
        ("C", "Cel", ""),  # the coulomb
        ("beats/minute", "/min", ""),
        ("", "mg/dL", "glucose"),
        (None, "kg", ""),
        ("kg", "", ""),
        ("m", "kg", ""),
        ("mL/min/{1.73_m2}", "mL/min", ""),
        ("MG/DL", "mg/dL", "glucose"),
        ("%", "mmol/mol", "glucose"),
    ],
)
def test_of_other_units_nothing_is_guessed(unit: str | None, wanted: str, substance: str):
    assert conversion(unit, wanted, substance) is None


def test_the_same_unit_and_no_unit_need_no_conversion():
    assert conversion("mL/min/{1.73_m2}", "mL/min/{1.73_m2}") == (1.0, 0.0)
    assert conversion(None, "") == conversion("1", "") == conversion(None, "1") == (1.0, 0.0)
    assert substance_of("LOINC:0000-0") == ""
    assert {"glucose", "cholesterol", "creatinine"} <= SUBSTANCES.keys()
