"""By what two phone numbers are held against each other, however they are written."""

import re

from fhir_gateway.domain.recent import remembered

_NOT_A_DIGIT = re.compile(r"\D+")


@remembered(2048)
def comparable_phone(text: str) -> str:
    """Return a phone's national digits without 0 and country code, "" where they cannot be a number of their own."""
    plain = text if text.isdecimal() else _NOT_A_DIGIT.sub("", text)
    digits = plain.lstrip("0").removeprefix("62").lstrip("0")
    return digits if 7 <= len(digits) <= 13 and len(set(digits[2:])) > 2 else ""
