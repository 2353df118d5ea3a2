"""Check digits agree with a second library on random numbers, and with published examples."""

import importlib
import random

import pytest

from caduceus.data.readiness import identifier_checks as checks

stdnum = pytest.importorskip("stdnum")

DIGITS, LETTERS = "0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def drawn(shape: str, chance: random.Random) -> str:
    """A text of a shape: 9 is any digit, A any letter, anything else itself."""
    return "".join(chance.choice({"9": DIGITS, "A": LETTERS}.get(one, one)) for one in shape)


PEERS = {
    "luhn": ("luhn", "9" * 12, 2000),
    "nhs": ("gb.nhs", "9" * 10, 4000),
    "bsn": ("nl.bsn", "9" * 9, 4000),
    "cpf": ("br.cpf", "9" * 11, 6000),
    "verhoeff": ("verhoeff", "9" * 12, 2000),
    "steuer_id": ("de.idnr", "9" * 11, 6000),
    "tckn": ("tr.tckimlik", "9" * 11, 6000),
    "dni": ("es.dni", "99999999A", 4000),
    "gs1": ("ean", "9" * 13, 2000),
}


@pytest.mark.parametrize("name", PEERS)
def test_a_check_agrees_with_a_second_library(name: str):
    module, shape, draws = PEERS[name]
    valid = importlib.import_module(f"stdnum.{module}").is_valid
    chance, ours = random.Random(5), getattr(checks, name)
    texts = [drawn(shape, chance) for _ in range(draws)]
    answers = [ours(one) for one in texts]
    assert answers == [valid(one) for one in texts]
    assert any(answers)
    assert not all(answers)


def test_check_digits_of_names_and_dates_agree_with_a_second_library():
    from stdnum.cn import ric
    from stdnum.fi import hetu
    from stdnum.fr import nir
    from stdnum.it import codicefiscale
    from stdnum.no import fodselsnummer
    from stdnum.pl import pesel

    chance = random.Random(7)
    for _ in range(300):
        body = drawn("AAAAAA99A99A999", chance)
        assert checks.codice_fiscale(body + codicefiscale.calc_check_digit(body))
        number = drawn("9" * 10, chance)
        assert checks.pesel(number + pesel.calc_check_digit(number))
        body = drawn("9" * 17, chance)
        assert checks.resident_china(body + ric.calc_check_digit(body + "0"))
        body = "1" + drawn("99", chance) + "05" + drawn("99999999", chance)
        assert checks.nir(body + nir.calc_check_digits(body))
        digits = drawn("9" * 11, chance)
        fits = (
            fodselsnummer.calc_check_digit1(digits) == digits[9]
            and fodselsnummer.calc_check_digit2(digits) == digits[10]
        )
        assert checks.fodselsnummer(digits) == fits
    assert hetu.is_valid("131052-308T")
    assert checks.hetu("131052308T".replace("131052", "131052-"))
    assert not checks.hetu("131052-308U")


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (checks.npi, "1234567893", "1234567890"),  # the example of CMS
        (checks.iban, "GB82WEST12345698765432", "GB82WEST12345698765433"),
        (checks.iban, "DE89370400440532013000", "DE89370400440532013001"),
        (checks.vin, "1M8GDM9AXKP042788", "1M8GDM9A1KP042788"),
        (checks.udi, "(01)00844588003288(17)141120", "(01)00844588003289(17)141120"),  # the FDA's example
        (checks.ahv, "7569217076985", "7569217076984"),
        (checks.kvnr, "A123456780", "A123456781"),
        (checks.belgian, "85073003328", "85073003329"),
        (checks.personnummer, "198112189876", "198112189877"),
        (checks.medicare, "2123456701", "2123456711"),
        (checks.nhi, "ZZZ0016", "ZZZ0017"),
        (checks.ssn, "999349409", "666349409"),
        (checks.ssn, "123456789", "123006789"),
    ],
)
def test_a_published_example_fits_and_its_neighbour_does_not(check: checks.Check, good: str, bad: str):
    assert check(good)
    assert not check(bad)
