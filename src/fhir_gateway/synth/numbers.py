"""Identity and phone numbers: made as the country makes them, and damaged as clerks and spreadsheets damage them."""

from datetime import date

from fhir_gateway.synth.dice import Dice

PLACEHOLDERS = (
    "-",
    "0",
    "2",
    "0000000000000000",
    "1111111111111111",
    "9999999999999999",
    "3303000000000000",
    "tidak ada",
    "belum ada",
    "1234567890123456",
)
_SCATTERED = 0x9E3779B97F4A7C15
"""Knuth's multiplier: neighbouring numbers fall on distant bits."""
_PHONE_PREFIXES = (
    "0812",
    "0813",
    "0821",
    "0822",
    "0852",
    "0853",
    "0856",
    "0857",
    "0858",
    "0877",
    "0878",
    "0819",
    "0895",
    "0896",
    "0882",
)


def make_nik(dice: Dice, regency: str, born: date, sex: str) -> str:
    """Return 16 digits: district, birth date with day + 40 for a woman, serial."""
    day = born.day + (40 if sex == "P" else 0)
    serial = dice.randint(1, 9) if dice.happens(0.7) else dice.randint(10, 9999)
    return f"{regency}{dice.randint(1, 18):02d}{day:02d}{born:%m%y}{serial:04d}"


class IssuedNiks:
    """Which NIKs have been issued: the country gives none to two people. Eight MiB, however many they are.

    A number may pass for issued although it is not, when another falls on the same bit: then the next one is drawn.
    """

    def __init__(self) -> None:
        self._bits = bytearray(1 << 23)

    def issue(self, dice: Dice, regency: str, born: date, sex: str) -> str:
        """Return a NIK that nobody has."""
        while True:
            nik = make_nik(dice, regency, born, sex)
            place, bit = divmod(int(nik) * _SCATTERED >> 13 & 0x3FFFFFF, 8)
            if not self._bits[place] >> bit & 1:
                self._bits[place] |= 1 << bit
                return nik


def make_phone(dice: Dice) -> str:
    """Return a mobile number of 11 to 13 digits in the national form."""
    return dice.pick(_PHONE_PREFIXES) + "".join(dice.pick("0123456789") for _ in range(dice.pick((7, 8, 8, 8, 9))))


def other_digit(dice: Dice, number: str) -> str:
    """Return the number with one of its digits mistyped."""
    place = dice.randrange(len(number))
    return number[:place] + dice.pick("0123456789".replace(number[place], "")) + number[place + 1 :]


def transposed(dice: Dice, number: str) -> str:
    """Return the number with two neighbouring digits changed about; the same number where all are alike."""
    places = [place for place in range(len(number) - 1) if number[place] != number[place + 1]]
    if not places:
        return number
    place = dice.pick(places)
    return number[:place] + number[place + 1] + number[place] + number[place + 2 :]


def wrong_length(dice: Dice, number: str) -> str:
    """Return the number with a digit lost or doubled."""
    place = dice.randrange(len(number))
    return (
        number[:place] + number[place + 1 :] if dice.happens(0.7) else number[:place] + number[place] + number[place:]
    )


def through_spreadsheet(dice: Dice, number: str) -> str:
    """Return what a spreadsheet leaves of a 16-digit number: 15 digits and a 0, or the scientific notation."""
    if dice.happens(0.5):
        return number[:15] + "0"
    decimals = dice.pick((5, 5, 2, 14))
    text = f"{float(number[:15] + '0'):.{decimals}E}"
    return text.replace(".", dice.pick((",", ".")))


def written_phone(dice: Dice, phone: str) -> str:
    """Return a phone number in one of the forms that people write."""
    form = dice.random()
    if form < 0.6:
        return phone
    if form < 0.7:
        return "+62" + phone[1:]
    if form < 0.76:
        return "62" + phone[1:]
    if form < 0.86:
        return phone[1:]
    mark = dice.pick(("-", " ", "."))
    return mark.join((phone[:4], phone[4:8], phone[8:]))


def phone_through_spreadsheet(phone: str) -> str:
    """Return what a spreadsheet shows of a long number without its leading 0."""
    return f"{float(phone):.2E}".replace(".", ",")
