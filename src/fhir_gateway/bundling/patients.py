"""What a Patient becomes: combined from records, enriched by a match, corrected by its own source.

All functions return new resources and leave their arguments alone; elements are shared, as nobody ever changes one.
Nothing that others wrote is overwritten, and nothing that was said is lost: what gives way stays with `use=old`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from fhir_gateway.bundling.absences import without_absences
from fhir_gateway.bundling.digests import digest, supplied
from fhir_gateway.domain import systems
from fhir_gateway.domain.records import Resource
from fhir_gateway.fhir.human_names import name_text
from fhir_gateway.people.addresses import places_in
from fhir_gateway.people.names import read_name
from fhir_gateway.people.nik import Nik, NikStatus, may_be_made_of, read_nik
from fhir_gateway.people.phone_digits import comparable_phone

_LISTS = ("identifier", "name", "telecom", "address", "contact", "extension")
_AGES = frozenset({"name", "address", "identifier"})
"""Lists whose replaced elements stay with `use=old`; a telecom's too, see corrected()."""
_MULTIPLE_BIRTH = ("multipleBirthInteger", "multipleBirthBoolean")
_DECEASED = ("deceasedDateTime", "deceasedBoolean")
_SINGLES = ("gender", "birthDate", *_MULTIPLE_BIRTH, *_DECEASED)


class Said(NamedTuple):
    """What records say of a person in one wording, and how many of them do."""

    patient: Resource
    records: int = 1


def combined(wordings: Sequence[Said], *, identifier: str = "") -> Resource:
    """Return one new Patient from what records say of one person, the fullest wording first.

    Of several birth dates or genders that counts which a NIK of the person's tells, else which most records say.
    `identifier` is the value of the gateway's own PERSON identifier. Order of the wordings does not matter.
    """
    ordered = sorted(wordings, key=_fullest_first) if wordings[1:] else wordings
    result = dict(ordered[0].patient)
    for other in ordered[1:]:
        result = enriched(result, other.patient) or result
    for name in ("birthDate", "gender") if wordings[1:] else ():
        if best := _best_said(name, ordered, result):
            result[name] = best
    if identifier:
        own = {"system": systems.PERSON, "value": identifier}
        result["identifier"] = [own, *result.get("identifier", [])]
    return result


def enriched(current: Resource, addition: Resource) -> Resource | None:
    """Return the Patient with what it lacks of `addition`, or None where it lacks nothing."""
    result = dict(current)
    for name in _SINGLES:
        _add_single(result, name, addition)
    _add_identifiers(result, addition.get("identifier", []))
    _add_names(result, addition.get("name", []))
    _add_missing(result, "telecom", addition.get("telecom", []), key=_telecom_key)
    _add_missing(result, "contact", addition.get("contact", []), key=_contact_key)
    _add_addresses(result, addition.get("address", []))
    return None if result == current else without_absences(result)


def corrected(current: Resource, before: Mapping[str, Sequence[str]], new: Resource) -> Resource | None:
    """Return the Patient as its source corrects it, or None where nothing is to be changed.

    `before` are the digests of what the same key supplied earlier (see digests.supplied). A field is changed only
    where the source changed it and nobody else has written over it meanwhile; what the source left blank stays.
    """
    result = dict(current)
    now = supplied(new)
    for name in _SINGLES:
        was = before.get(name, ())
        if name in new and now[name] != tuple(was) and (name not in current or digest(current[name]) in was):
            result[name] = new[name]
    for name in _LISTS:
        _correct_list(result, name, before.get(name, ()), new.get(name, []))
    return None if result == current else without_absences(result)


def recreated(current: Resource, new: Resource) -> Resource | None:
    """Return a Patient as its own records say it now, None where they say the same; nobody else has written to it.

    Singles and the name are corrected; phones and addresses that are not said any more stay, as other records may have
    brought them.
    """
    told = {name: new[name] for name in _SINGLES if name in new}
    names = new.get("name", [])
    if names and _name_key(names[0]) not in {_name_key(name) for name in current.get("name", ())}:
        told["name"] = names
    return corrected(current, supplied(current), told)


def _fullest_first(said: Said) -> tuple[int, str]:
    return -_fullness(said.patient), digest(said.patient)


def _best_said(name: str, wordings: Sequence[Said], person: Resource) -> str:
    """Return the value that is most to be believed: one odd record must not decide because it holds a phone as well."""
    records: Counter[str] = Counter()
    for said in wordings:
        if name in said.patient:
            records[said.patient[name]] += said.records
    niks = [read_nik(i["value"]) for i in person.get("identifier", ()) if i.get("system") == systems.NIK]
    return max(records, key=lambda value: (any(value in _told_by(nik) for nik in niks), records[value]), default="")


def _told_by(nik: Nik) -> tuple[str, ...]:
    """Return the gender that a NIK tells, and the birth date in either century."""
    if nik.birth_year < 0:
        return ()
    born = f"{nik.birth_year:02}-{nik.birth_month:02}-{nik.birth_day:02}"
    return nik.gender, f"19{born}", f"20{born}"


def _fullness(patient: Resource) -> int:
    official = any(i.get("system") == systems.NIK for i in patient.get("identifier", []))
    newborn = any(n.get("use") == "temp" for n in patient.get("name", []))
    return 100 * official - 50 * newborn + len(patient) + sum(len(patient.get(name, ())) for name in _LISTS)


def _add_single(result: Resource, name: str, addition: Resource) -> None:
    siblings = next((group for group in (_MULTIPLE_BIRTH, _DECEASED) if name in group), (name,))
    if name in addition and not any(sibling in result for sibling in siblings):
        result[name] = addition[name]


def _add_identifiers(result: Resource, additions: Sequence[Resource]) -> None:
    identifiers = list(result.get("identifier", []))
    present = {(i.get("system"), i.get("value")) for i in identifiers}
    has_nik = any(system == systems.NIK for system, _ in present)
    for identifier in additions:
        system = identifier.get("system")
        if (system, identifier.get("value")) in present or system == systems.PERSON:
            continue
        if has_nik and (system == systems.NIK_AS_WRITTEN or _is_damaged(identifier, identifiers)):
            continue  # a damaged number says less than the one that is there
        second = system == systems.NIK and has_nik
        identifiers.append({**identifier, "use": "secondary"} if second else identifier)
        present.add((system, identifier.get("value")))
    if identifiers:
        result["identifier"] = identifiers


def _is_damaged(identifier: Resource, present: Sequence[Resource]) -> bool:
    """Whether a NIK may be what a spreadsheet has made of one that is there."""
    nik = read_nik(str(identifier.get("value", "")))
    if identifier.get("system") != systems.NIK or nik.status is not NikStatus.TRUNCATED:
        return False
    return any(may_be_made_of(nik, str(one.get("value", ""))) for one in present if one.get("system") == systems.NIK)


def _add_addresses(result: Resource, additions: Sequence[Resource]) -> None:
    """Add addresses in other places: what names no place that is not there already tells nothing of having moved."""
    addresses = list(result.get("address", []))
    for addition in additions:
        addresses += _elsewhere([addition], addresses)
    if addresses:
        result["address"] = addresses


def _elsewhere(additions: Sequence[Resource], addresses: Sequence[Resource]) -> list[Resource]:
    """Return those that name places where none of the addresses is; all where there are no addresses."""
    there = [set(place.split()) for address in addresses for place in places_in(address) if place]
    found = []
    for addition in additions:
        named = [set(place.split()) for place in places_in(addition) if place]
        known = any(words <= known or known <= words for words in named for known in there)
        if not addresses or (named and there and not known):
            found.append(addition)
    return found


def _add_names(result: Resource, additions: Sequence[Resource]) -> None:
    names: list[Resource] = result.get("name", [])
    present = {_name_key(name) for name in names}
    for name in additions:
        if _name_key(name) in present:
            continue
        present.add(_name_key(name))
        still_newborn = bool(names) and all(known.get("use") == "old" or _is_temporary(known) for known in names)
        grows_up = still_newborn and not _is_temporary(name)
        if grows_up:  # a newborn under its mother's name has got its own
            names = [name, *({**known, "use": "old"} for known in names)]
        else:
            names = [*names, {**name, "use": "old"} if names else name]
    if names:
        result["name"] = names


def _is_temporary(name: Resource) -> bool:
    """Whether a name is a newborn's "By. Ny. …": others write it as any name. "By. X" may be the child's own."""
    return name.get("use") == "temp" or ((read := read_name(name_text(name))).newborn and not read.key)


def _name_key(name: Resource) -> str:
    return " ".join(name_text(name).casefold().split())


def _telecom_key(telecom: Resource) -> Any:
    """Return by what a number is known again that others wrote in another way, or keep as an old one."""
    system, value = telecom.get("system"), telecom.get("value")
    digits = comparable_phone(value) if system == "phone" and isinstance(value, str) else ""
    return (system, digits or value)


def _contact_key(contact: Resource) -> Any:
    codes = [c.get("code") for r in contact.get("relationship", []) for c in r.get("coding", [])]
    return (tuple(codes), _name_key(contact.get("name", {})))


def _add_missing(result: Resource, name: str, additions: Sequence[Resource], *, key: Any) -> None:
    elements = list(result.get(name, []))
    present = [key(element) for element in elements]
    for element in additions:
        if key(element) not in present:
            present.append(key(element))
            elements.append(element)
    if elements:
        result[name] = elements


def _correct_list(result: Resource, name: str, before: Sequence[str], new: Sequence[Resource]) -> None:
    now = [digest(element) for element in new]
    current: list[Resource] = result.get(name, [])
    present = {digest(element) for element in current}
    stated = [e for e, d in zip(new, now, strict=True) if d not in before]
    if name == "identifier" and any(i.get("system") == systems.NIK for i in current):
        stated = [i for i in stated if i.get("system") != systems.NIK_AS_WRITTEN and not _is_damaged(i, current)]
    arriving = [element for element in stated if digest(element) not in present]  # others may say it already
    kept: list[Resource] = []
    for element in current:
        said = digest({**element, "use": "official"} if element.get("use") == "secondary" else element)
        given_up = said in before and said not in now and _replaceable(name, element, stated)
        if given_up and (name in _AGES or name == "telecom"):
            kept.append({**element, "use": "old"})
        elif not given_up:
            kept.append(element)
    if not arriving and kept == current:
        return
    if name == "address":
        arriving = _elsewhere(arriving, [address for address in kept if address.get("use") != "old"])
    own = [element for element in kept if element.get("system") == systems.PERSON]
    rest = [element for element in kept if element.get("system") != systems.PERSON]
    result[name] = [*own, *arriving, *rest]


def _replaceable(name: str, element: Resource, arriving: Sequence[Resource]) -> bool:
    """Tell whether what arrives stands for this element; an identifier gives way to one of its own kind only."""
    if name != "identifier":
        return bool(arriving)
    kinds = (
        {element.get("system"), systems.NIK}
        if element.get("system") == systems.NIK_AS_WRITTEN
        else {element.get("system")}
    )
    return any(other.get("system") in kinds for other in arriving)
