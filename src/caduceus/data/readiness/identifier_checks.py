"""Check digits of identifiers: what a pattern cannot tell.

Each takes a text of the right shape, separators removed and in capitals, and says whether its check digits fit.
Sources are the issuers' own descriptions, named at each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

Check = Callable[[str], bool]


def luhn(text: str) -> bool:
    """ISO/IEC 7812-1, annex B: payment cards, Canadian SIN, Swedish numbers."""
    digits = [int(one) for one in reversed(text)]
    return sum(digits[::2]) % 10 == -sum(sum(divmod(2 * one, 10)) for one in digits[1::2]) % 10


def npi(text: str) -> bool:
    """US National Provider Identifier: Luhn over 80840 and the number (45 CFR 162.406)."""
    return luhn("80840" + text)


def iban(text: str) -> bool:
    """ISO 13616: the first four characters to the end, letters as 10 to 35, remainder 1 modulo 97."""
    return int("".join(str(int(one, 36)) for one in text[4:] + text[:4])) % 97 == 1


_VIN = dict(
    zip("ABCDEFGHJKLMNPRSTUVWXYZ", (1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 7, 9, 2, 3, 4, 5, 6, 7, 8, 9), strict=True)
)
_VIN_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)


def vin(text: str) -> bool:
    """Vehicle identification number: the ninth place is a check digit (49 CFR 565.15)."""
    total = sum(
        weight * (_VIN[one] if one in _VIN else int(one)) for weight, one in zip(_VIN_WEIGHTS, text, strict=True)
    )
    return text[8] == "0123456789X"[total % 11]


def gs1(text: str) -> bool:
    """GS1 numbers (GTIN, SSCC, Swiss AHV): weights 3 and 1 from the right."""
    digits = [int(one) for one in reversed(text)]
    return (sum(digits[0::2]) + 3 * sum(digits[1::2])) % 10 == 0


def udi(text: str) -> bool:
    """A unique device identifier of GS1: "(01)" or "01" and a GTIN-14."""
    digits = text.replace("(", "").replace(")", "")
    return gs1(digits[2:16])


def _weighed(weights: Sequence[int], text: str) -> int:
    return sum(weight * int(one) for weight, one in zip(weights, text, strict=False))


def nhs(text: str) -> bool:
    """NHS number of England and Wales: modulus 11 over weights 10 to 2 (NHS Data Dictionary)."""
    check = 11 - _weighed(range(10, 1, -1), text) % 11
    return check != 10 and check % 11 == int(text[9]) and len(set(text)) > 1


def bsn(text: str) -> bool:
    """Dutch citizen number: eleven test with -1 as the last weight."""
    return _weighed((9, 8, 7, 6, 5, 4, 3, 2, -1), text) % 11 == 0 and len(set(text)) > 1


def nir(text: str) -> bool:
    """French social security number with its key: 97 minus the first thirteen digits modulo 97 (INSEE)."""
    body = text[:13].replace("2A", "19").replace("2B", "18")
    return body.isdigit() and 97 - int(body) % 97 == int(text[13:15])


def belgian(text: str) -> bool:
    """Belgian national number: 97 minus the first nine digits modulo 97, with 2 in front from the year 2000 on."""
    return any(97 - int(lead + text[:9]) % 97 == int(text[9:]) for lead in ("", "2"))


def steuer_id(text: str) -> bool:
    """German tax number of a person: ISO 7064 MOD 11,10."""
    product = 10
    for one in text[:10]:
        total = (int(one) + product) % 10 or 10
        product = 2 * total % 11
    repeated = [n for n in (text[:10].count(one) for one in "0123456789") if n > 1]
    return (11 - product) % 10 == int(text[10]) and text[0] != "0" and len(repeated) == 1 and repeated[0] in (2, 3)


def kvnr(text: str) -> bool:
    """German health insurance number: the letter as two digits, weights 1 and 2, sum of digits modulo 10."""
    digits = f"{ord(text[0]) - 64:02d}{text[1:9]}"
    total = sum(sum(divmod(int(one) * (1 + i % 2), 10)) for i, one in enumerate(digits))
    return total % 10 == int(text[9])


def dni(text: str) -> bool:
    """Spanish DNI and NIE: the letter is the number modulo 23."""
    number = {"X": "0", "Y": "1", "Z": "2"}.get(text[0], text[0]) + text[1:8]
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23] == text[8]


_FISCAL_ODD = dict(
    zip(
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        (
            1,
            0,
            5,
            7,
            9,
            13,
            15,
            17,
            19,
            21,
            1,
            0,
            5,
            7,
            9,
            13,
            15,
            17,
            19,
            21,
            2,
            4,
            18,
            20,
            11,
            3,
            6,
            8,
            12,
            14,
            16,
            10,
            22,
            25,
            24,
            23,
        ),
        strict=True,
    )
)


def codice_fiscale(text: str) -> bool:
    """Italian tax code: places counted from 1, odd ones by a table, even ones by value, modulo 26 (D.M. 23/12/1976)."""
    even = sum(int(one) if one.isdigit() else ord(one) - 65 for one in text[1:15:2])
    return chr(65 + (even + sum(_FISCAL_ODD[one] for one in text[0:15:2])) % 26) == text[15]


def fodselsnummer(text: str) -> bool:
    """Norwegian birth number: two check digits modulo 11."""
    first = -_weighed((3, 7, 6, 1, 8, 9, 4, 5, 2), text) % 11
    second = -_weighed((5, 4, 3, 2, 7, 6, 5, 4, 3, 2), text) % 11
    return first == int(text[9]) and second == int(text[10])


def hetu(text: str) -> bool:
    """Finnish personal code: nine digits modulo 31."""
    return "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(text[:6] + text[-4:-1]) % 31] == text[-1]


def pesel(text: str) -> bool:
    """Polish PESEL: weights 1, 3, 7, 9."""
    return -_weighed((1, 3, 7, 9, 1, 3, 7, 9, 1, 3), text) % 10 == int(text[10])


def cpf(text: str) -> bool:
    """Brazilian CPF: two check digits modulo 11."""
    return len(set(text)) > 1 and all(
        _weighed(range(n + 1, 1, -1), text[:n]) * 10 % 11 % 10 == int(text[n]) for n in (9, 10)
    )


_TURN = (
    "0123456789",
    "1576283094",
    "5803796142",
    "8916043527",
    "9453126870",
    "4286573901",
    "2793806415",
    "7046913258",
)
_DIHEDRAL = (
    "0123456789",
    "1234067895",
    "2340178956",
    "3401289567",
    "4012395678",
    "5987604321",
    "6598710432",
    "7659821043",
    "8765932104",
    "9876543210",
)


def verhoeff(text: str) -> bool:
    """Indian Aadhaar: Verhoeff's check digit in the dihedral group of order ten."""
    check = 0
    for i, one in enumerate(reversed(text)):
        check = int(_DIHEDRAL[check][int(_TURN[i % 8][int(one)])])
    return check == 0


def ahv(text: str) -> bool:
    """Swiss social security number: an EAN-13 that starts with 756."""
    return text.startswith("756") and gs1(text)


def medicare(text: str) -> bool:
    """Australian Medicare card: weights 1, 3, 7, 9 over the first eight digits."""
    return _weighed((1, 3, 7, 9, 1, 3, 7, 9), text[:8]) % 10 == int(text[8])


def nhi(text: str) -> bool:
    """New Zealand health index, three letters and four digits: modulus 11 (HISO 10046)."""
    letters = "ABCDEFGHJKLMNPQRSTUVWXYZ"
    values = [letters.index(one) + 1 for one in text[:3]] + [int(one) for one in text[3:6]]
    rest = sum(weight * value for weight, value in zip(range(7, 1, -1), values, strict=True)) % 11
    return rest != 0 and (11 - rest) % 10 == int(text[6])


def tckn(text: str) -> bool:
    """Turkish identity number: two check digits."""
    digits = [int(one) for one in text]
    first = (7 * sum(digits[0:9:2]) - sum(digits[1:8:2])) % 10
    return digits[0] > 0 and first == digits[9] and sum(digits[:10]) % 10 == digits[10]


def resident_china(text: str) -> bool:
    """Chinese resident identity: ISO 7064 MOD 11-2 (GB 11643)."""
    weights = [pow(2, 17 - i, 11) for i in range(17)]
    return "10X98765432"[_weighed(weights, text[:17]) % 11] == text[17]


def personnummer(text: str) -> bool:
    """Swedish personal number: Luhn over the last ten digits."""
    return luhn(text[-10:])


def ssn(text: str) -> bool:
    """US social security number or ITIN, also Synthea's with 999: no block of zeros, and not 666 in front."""
    return text[:3] not in ("000", "666") and text[3:5] != "00" and text[5:] != "0000"
