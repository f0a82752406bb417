"""The NIK, Indonesia's national identity number: what was written, how far it can be trusted, what it tells.

Sixteen digits PPRRDD DDMMYY SSSS: province, regency, district, birth date (day + 40 for women), serial. There is no
check digit, and by law a NIK is not reissued when a birth date is corrected or a person moves: what it tells of a
person is evidence, never a proof.
"""

import re
from collections.abc import Iterator
from datetime import date
from enum import StrEnum
from typing import NamedTuple

from fhir_gateway.domain.recent import remembered

PROVINCES = frozenset(
    f"{code}"
    for island in (
        range(11, 20),
        (21,),
        range(31, 37),
        (51, 52, 53),
        range(61, 66),
        range(71, 77),
        (81, 82),
        range(91, 97),
    )
    for code in island
)
"""The 38 provinces of 2022 (Kemendagri); older divisions used the same numbers, so a NIK of any year is in here."""

_SCIENTIFIC = re.compile(r"(\d)(?:[.,](\d{1,15}))?\s*[eE]\s*\+?\s*(\d{1,2})")
_SEPARATORS = re.compile(r"[\s.\-'\u2019`_/]+")
_DECIMALS = re.compile(r"[.,]0+$")
_ASCENDING = frozenset({"1234567890123456", "0123456789012345", "1234567812345678"})
_DAYS_IN_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_FEMALE_OFFSET = 40
_ENDS_IN_ZERO = "it ends in 0, as one that a spreadsheet has rounded"
_EXACT = 2**53
"""Up to here a floating-point number holds each digit; only spreadsheets, which keep fifteen, end it in 0."""
_NO_SERIAL = "its serial number is 0000"
_PARENT_YEARS = range(12, 61)
NIK_LENGTH = 16


class NikStatus(StrEnum):
    """How far a NIK can be trusted."""

    VALID = "valid"
    IMPLAUSIBLE = "implausible"
    PLACEHOLDER = "placeholder"
    TRUNCATED = "truncated"
    MISSING = "missing"


_VALID, _TRUNCATED = NikStatus.VALID, NikStatus.TRUNCATED
"""An enum's member is looked up by a function each time."""


class Nik(NamedTuple):
    """A NIK as it was read.

    `digits` are the digits that were written ("" where there are none), `trusted` the leading ones that no spreadsheet
    can have changed (all 16 of a valid one). `birth_day`, `birth_month` and the two-digit `birth_year` are 0, 0 and -1
    where the trusted digits do not reach that far or make no date; `gender` is "male", "female" or "". `province`,
    `regency` and `district` are codes of 2, 4 and 6 digits or "". `reason` says in words why it is not valid.
    """

    digits: str
    status: NikStatus
    trusted: str = ""
    birth_day: int = 0
    birth_month: int = 0
    birth_year: int = -1
    gender: str = ""
    province: str = ""
    regency: str = ""
    district: str = ""
    reason: str = ""

    @property
    def writable(self) -> bool:
        """Whether it may stand as a NIK identifier: a valid one, or one whose last digit 0 is merely suspicious."""
        if self.status is _VALID:
            return True
        return self.status is _TRUNCATED and len(self.digits) == 16 and self.reason == _ENDS_IN_ZERO


@remembered(4096)
def read_nik(text: str, numeric: bool = False) -> Nik:  # noqa: FBT001, FBT002 - lru_cache is twice as fast with positions
    """Read a NIK from a cell's text; `numeric` says that the cell was stored as a number. Never raises.

    Spaces, dots, dashes, a leading apostrophe and a trailing `.0` are tolerated. A number that does not end in 0 went through
    no spreadsheet that keeps fifteen digits: it is as good as text.
    """
    stripped = text if text.isdigit() else text.strip().strip("'\u2019`\"").strip()
    if not stripped:
        return Nik("", NikStatus.MISSING, reason="it is empty")
    if stripped.isascii() and stripped.isdigit():
        return _classify(stripped, numeric=numeric)
    scientific = _SCIENTIFIC.fullmatch(stripped)
    if scientific:
        return _from_scientific(scientific[1], scientific[2] or "", int(scientific[3]))
    digits = _SEPARATORS.sub("", _DECIMALS.sub("", stripped))
    if not (digits.isascii() and digits.isdigit()):
        digits = "".join(character for character in digits if character.isascii() and character.isdigit())
        if len(digits) < 8:
            return Nik(digits, NikStatus.PLACEHOLDER, reason="it stands for no number")
        return Nik(digits, NikStatus.IMPLAUSIBLE, reason="it contains other characters than digits")
    return _classify(digits, numeric=numeric)


def _from_scientific(first: str, rest: str, exponent: int) -> Nik:
    kept = first + rest
    if exponent != 15 or kept.strip("0") in {"", "1", "2"}:
        return Nik(kept, NikStatus.PLACEHOLDER, reason="it stands for no number")
    # What is displayed is rounded: its last digit may be one too high, unless all that a spreadsheet keeps is shown.
    trusted = kept if len(kept) >= 15 else kept[:-1]
    return _decode(kept.ljust(16, "0"), NikStatus.TRUNCATED, trusted[:15], "a spreadsheet wrote it as a power of ten")


def _classify(digits: str, *, numeric: bool) -> Nik:
    early = _classify_unlike(digits)
    if early is not None:
        return early
    if digits.endswith("0000"):
        # A spreadsheet keeps fifteen digits; fewer are true where it showed a power of ten, and then no date is left.
        whole = _decode(digits, _TRUNCATED, digits[:15], _NO_SERIAL)
        if whole.status is _TRUNCATED:
            return whole
        return _decode(digits, _TRUNCATED, digits.rstrip("0")[:-1], _NO_SERIAL)
    if numeric and (digits[15] == "0" or int(digits) > _EXACT):
        return _decode(digits, _TRUNCATED, digits[:15], "the cell was stored as a number")
    read = _decode(digits, _VALID, digits, "")
    if read.status is _VALID and digits[15] == "0":
        return _decode(digits, _TRUNCATED, digits[:15], _ENDS_IN_ZERO)
    return read


def _classify_unlike(digits: str) -> Nik | None:
    """Return what digits are that are no sixteen of a NIK's form, None where they are."""
    if len(digits) < 8 or digits == digits[0] * len(digits) or digits in _ASCENDING:
        return Nik(digits, NikStatus.PLACEHOLDER, reason="it stands for no number")
    if digits[0] == "0":
        return Nik(digits, NikStatus.PLACEHOLDER, reason="it begins with 0, as temporary numbers do")
    if len(digits) != 16:
        return Nik(digits, NikStatus.IMPLAUSIBLE, reason=f"it has {len(digits)} digits instead of 16")
    return None


def _decode(digits: str, status: NikStatus, trusted: str, reason: str) -> Nik:
    """Return the NIK with what its trusted digits tell; one that tells the impossible is implausible."""
    known = len(trusted)
    if known < 2:
        return Nik(digits, status, trusted, reason=reason)
    province = trusted[:2]
    if province not in PROVINCES:
        return Nik(digits, NikStatus.IMPLAUSIBLE, reason="no province has its first two digits")
    regency, district = (trusted[:4] if known >= 4 else ""), (trusted[:6] if known >= 6 else "")
    if regency[2:] == "00" or district[4:] == "00":
        return Nik(digits, NikStatus.IMPLAUSIBLE, reason="regency or district is 00")
    if known < 12:
        return Nik(digits, status, trusted, province=province, regency=regency, district=district, reason=reason)
    day, month, year = int(trusted[6:8]), int(trusted[8:10]), int(trusted[10:12])
    gender = "female" if day > _FEMALE_OFFSET else "male"
    day -= _FEMALE_OFFSET if day > _FEMALE_OFFSET else 0
    if not 1 <= month <= 12 or not 1 <= day <= _DAYS_IN_MONTH[month - 1] or (day == 29 and month == 2 and year % 4):
        return Nik(digits, NikStatus.IMPLAUSIBLE, reason="its birth date does not exist")
    values = (digits, status, trusted, day, month, year, gender, province, regency, district, reason)
    return tuple.__new__(Nik, values)  # a third of the time that Nik() takes


def is_masked(value: str) -> bool:
    """Return whether a server covers a number, whole or in part (SATUSEHAT: ################)."""
    return "##" in value or "**" in value


def may_be_made_of(written: Nik, whole: str) -> bool:
    """Whether a spreadsheet program may have made the number that was read of this whole NIK.

    It keeps fifteen digits, or shows fewer as a power of ten; some cut the rest off (Excel keeps a number so), some round
    (LibreOffice, and whoever prints a floating-point number).
    """
    if len(written.digits) != NIK_LENGTH or len(whole) != NIK_LENGTH:
        return False
    number, exact = int(written.digits), int(whole)
    kept = len(written.digits.rstrip("0"))
    units = [10 ** (NIK_LENGTH - places) for places in range(max(kept, 2), NIK_LENGTH + 1)]
    return any(number in (exact // unit * unit, (exact + unit // 2) // unit * unit) for unit in units)


def decoded_birth_date(nik: Nik, *, near: date | None, today: date) -> date | None:
    """Return the birth date that a NIK tells, None where it tells none.

    The century is the one that lies nearest to `near` (the record's own birth date); without one, the latest that is
    not in the future. A date after `today` is never returned.
    """
    if nik.birth_year < 0:
        return None
    possible = [day for day in _in_centuries(nik) if day <= today]
    if not possible:
        return None
    if near is None:
        return max(possible)
    return min(possible, key=lambda day: abs((day - near).days))


def _in_centuries(nik: Nik) -> Iterator[date]:
    for century in (1900, 2000):
        try:
            yield date(century + nik.birth_year, nik.birth_month, nik.birth_day)
        except ValueError:  # 29 February 1900
            continue


def is_parents_nik(nik: Nik, *, birth_date: date | None, newborn: bool = False) -> bool:
    """Say whether a NIK in a person's own column is evidently the mother's (or father's).

    A newborn under its mother's name has no NIK of its own yet, unless the NIK tells the child's own birth date; else
    the birth date that the NIK tells lies a generation before the record's. A NIK that fits neither is taken as the person's own:
    birth dates are corrected, NIKs are not.
    """
    if nik.birth_year < 0:
        return False
    if birth_date is None:
        return newborn
    if (nik.birth_day, nik.birth_month, nik.birth_year) == (birth_date.day, birth_date.month, birth_date.year % 100):
        return False
    if newborn:
        return True
    told = decoded_birth_date(nik, near=birth_date, today=birth_date)
    return told is not None and birth_date.year - told.year in _PARENT_YEARS and _written_otherwise(told, birth_date)


def _written_otherwise(told: date, birth_date: date) -> bool:
    """Whether two dates differ by more than a mistyped year: a parent's day and month are not the child's."""
    return (told.day, told.month) != (birth_date.day, birth_date.month)
