"""Addresses as clinics write them → FHIR Address with Indonesia's administrative codes where they can be told.

The extension is that of the national profile: nested province, city, district, rt, rw with Kemendagri's codes without
dots (https://fhir.kemkes.go.id/r4/StructureDefinition/administrativeCode).
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from fhir_gateway.domain import systems
from fhir_gateway.domain.recent import remembered
from fhir_gateway.domain.records import Resource
from fhir_gateway.people.regions import DISTRICTS, PROVINCES, REGENCIES

PARTS = ("text", "village", "district", "regency", "province")
"""What a column may hold: a whole address, or one part of it."""

_NOISE = re.compile(
    r"\b(?:desa|ds|dsn|dusun|kelurahan|kel|kecamatan|kec|kabupaten|kab|kota|jalan|jln|jl|no|rt|rw)\b|[^a-z]+"
)
_RT_RW = re.compile(
    r"\brt\s*[.:/]?\s*(?P<rt>\d{1,3})(?!\d)\s*[,/\-]?\s*(?:rw)?\s*[.:/]?\s*(?P<rw>\d{1,3}(?!\d))?", re.IGNORECASE
)
_NAME = r"([A-Za-z][A-Za-z ]*?)\s*(?=$|[,.;/()\d-]|\b(?:kec|kab|kota|prov|rt|rw|desa|ds|kel|dusun|dsn)\b)"
_DISTRICT = re.compile(rf"\bkec(?:amatan|\.)?\s*[.:]?\s*{_NAME}", re.IGNORECASE)
_REGENCY = re.compile(rf"\bkab(?:upaten|\.)?\s*[.:]?\s*{_NAME}", re.IGNORECASE)
_LABEL = re.compile(
    r"^(?:kabupaten|kab|kecamatan|kec|kelurahan|kel|desa|ds|provinsi|prov|propinsi)\b\s*[.:]?\s*", re.IGNORECASE
)


class AddressText(NamedTuple):
    """What a row says of an address; anything may be ""."""

    text: str = ""
    village: str = ""
    district: str = ""
    regency: str = ""
    province: str = ""


def read_address(said: AddressText) -> Resource:
    """Return a FHIR Address: `text` as written, `line`, `district`, `city`, `state`, and the administrative codes.

    A district gets its code only where its regency is told, too: names like Rembang or Karanganyar stand in several.
    """
    free = said.text
    folded = free.casefold()  # looking for the signs of a pattern first takes a tenth of its time
    district, behind = _bare(said.district), ""
    if not district and "kec" in folded:
        district, behind = _parted(_found(_DISTRICT, free), REGENCIES)
    regency = _bare(said.regency) or ("kab" in folded and _found(_REGENCY, free)) or behind or _trailing_regency(free)
    if " " in regency:
        within, _ = _parted(regency, PROVINCES)
        regency = within if within.casefold() in REGENCIES else regency
    province = _bare(said.province)
    address: Resource = {"use": "home", "text": ", ".join(filter(None, said)), "country": "ID"}
    if free:
        address["line"] = [free]
    elif _bare(said.village):
        address["line"] = [said.village]
    for element, value in (("district", district), ("city", regency), ("state", province)):
        if value:
            address[element] = value
    codes = _codes(district, regency, province) if regency or province else []
    if "rt" in folded and (numbers := _RT_RW.search(free)):
        codes += [(url, str(int(number))) for url, number in numbers.groupdict("0").items() if int(number)]
    if codes:
        nested = [{"url": url, "valueCode": code} for url, code in codes]
        address["extension"] = [{"url": systems.ADMINISTRATIVE_CODE, "extension": nested}]
    return address


def places_in(address: Resource) -> list[str]:
    """Return the places that an address names, each as the words by which places are compared; its lines, else its text."""
    lines = address.get("line")
    texts = lines if isinstance(lines, list) and lines else [address.get("text")]
    return [_comparable(text) for text in texts if text and isinstance(text, str)]


@remembered(2048)
def _comparable(text: str) -> str:
    return " ".join(_NOISE.sub(" ", text.lower()).split())


def _codes(district: str, regency: str, province: str) -> list[tuple[str, str]]:
    city_code = REGENCIES.get(regency.casefold(), "")
    province_code = PROVINCES.get(province.casefold(), "") or city_code[:2]
    if city_code and city_code[:2] != province_code:
        city_code = ""
    district_code = DISTRICTS.get(city_code, {}).get("".join(district.casefold().split()), "")
    codes = (("province", province_code), ("city", city_code), ("district", district_code))
    return [(url, code) for url, code in codes if code]


def _bare(text: str) -> str:
    return " ".join(_LABEL.sub("", text.strip()).split()) if text else ""


def _found(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    return " ".join(match[1].split()) if match else ""


def _parted(name: str, known: Iterable[str]) -> tuple[str, str]:
    """Return a name without the known one that stands behind it without a comma, and that one ("Gerung Lombok Barat")."""
    if " " not in name:
        return name, ""
    folded = name.casefold()
    length = next((len(one) for one in known if folded.endswith(f" {one}")), 0)
    return (name[:-length].rstrip(), name[-length:]) if length else (name, "")


def _trailing_regency(text: str) -> str:
    """Return a known regency that stands at the end of a free text behind a comma, as in `…, Purbalingga`."""
    last = text.rpartition(",")[2].strip().strip(".") if "," in text else ""
    return last if last.casefold() in REGENCIES else ""
