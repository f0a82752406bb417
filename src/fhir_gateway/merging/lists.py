"""Which elements of a Patient's lists survive: the survivor's as they stand, then what the others add.

An element is added where none of the same key is there; its key is what makes two of them the same thing. One that is
there gets what it lacks (a contact's phone, the codes of an address). What may be out of date (another number of the same kind, an earlier name, an address) is added with `use=old`.
"""

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_gateway.domain import systems
from fhir_gateway.domain.merges import FieldChoice
from fhir_gateway.domain.records import Resource
from fhir_gateway.fhir import json_text
from fhir_gateway.fhir.human_names import name_text
from fhir_gateway.fhir.references import iterate_references, parse_literal
from fhir_gateway.merging.elements import objects, text
from fhir_gateway.people.names import read_name
from fhir_gateway.people.nik import NikStatus, is_masked, read_nik
from fhir_gateway.people.phones import read_phones

_NAMES_BESIDE = frozenset({"nickname", "maiden", "anonymous", "old"})
"""Uses of a name that say themselves that it is not the current one."""
_OF_ITS_PATIENT = frozenset({"id", "use", "rank", "period", "preferred"})
"""What tells how an element stands among the others of its Patient, so it says nothing for another one's."""
_SPACES = re.compile(r"\W+")

Element = dict[str, Any]
Adapt = Callable[[Element, list[Element]], Element | None]
"""Returns an element as it is added to those that came from the Patients before, None where it is not added."""


@dataclass(frozen=True, slots=True)
class ListRule:
    """How a list is merged: what makes two elements the same, and what becomes of one that is added."""

    field: str
    words: str
    key: Callable[[Element], Any]
    adapt: Adapt


def merge_list(result: Resource, patients: Sequence[Resource], rule: ListRule) -> list[FieldChoice]:
    """Add to a list of `result` (the survivor's) what the others have beyond it; return the choice, if any."""
    own = objects(result.get(rule.field))
    merged = list(own)
    place: dict[Any, int] = {}
    for number, element in enumerate(own):
        place.setdefault(rule.key(element), number)
    taken: list[str] = []
    dropped: list[str] = []
    for patient in patients[1:]:
        added = False
        before = list(merged)
        for element in objects(patient.get(rule.field)):
            key = rule.key(element)
            if key in place:
                known = merged[place[key]]
                merged[place[key]] = completed = _completed(known, element, rule.field)
                added = added or completed is not known
                continue
            adapted = None if _points_inside(element, rule.field) else rule.adapt(element, before)
            if adapted is None:
                dropped.append(str(patient["id"]))
                continue
            place[key] = len(merged)
            merged.append(adapted)
            added = True
        if added:
            taken.append(str(patient["id"]))
    if taken:
        result[rule.field] = merged
    if not taken and not dropped:
        return []
    kept = (str(patients[0]["id"]), *taken) if own else tuple(taken)
    return [FieldChoice(rule.field, rule.words, kept, tuple(dict.fromkeys(dropped)))]


def _completed(known: Element, same: Element, field: str) -> Element:
    """Return an element with what the same one of another Patient says beyond it; itself where that is nothing."""
    lacking = {
        name: value
        for name, value in same.items()
        if name.lstrip("_") not in known.keys() | _OF_ITS_PATIENT
        and f"_{name}" not in known
        and not _points_inside({name: value}, field)
    }
    return known | lacking if lacking else known


def merge_names(result: Resource, patients: Sequence[Resource]) -> list[FieldChoice]:
    """Keep the survivor's names, add others with `use=old`; only a newborn's temporary name gives way to an own one."""
    names = objects(result.get("name"))
    taken: list[str] = []
    for patient in patients[1:]:
        before = names
        for name in objects(patient.get("name")):
            names = _with_name(names, name)
        if names is not before:
            taken.append(str(patient["id"]))
    if not taken:
        return []
    own = objects(result.get("name"))
    result["name"] = names
    grown = bool(own) and _name_key(names[0]) != _name_key(own[0])
    rule = "the child's own name replaces the temporary one" if grown else "the survivor's; others with use=old"
    return [FieldChoice("name", rule, (str(patients[0]["id"]), *taken) if own else tuple(taken))]


def _with_name(names: list[Element], name: Element) -> list[Element]:
    key = _name_key(name)
    if not key or any(_name_key(known) == key for known in names):
        return names
    if not names:
        return [name]
    if not _temporary(name) and name.get("use") != "old" and all(_temporary(n) or n.get("use") == "old" for n in names):
        return [name, *({**known, "use": "old"} for known in names)]
    return [*names, name if name.get("use") in _NAMES_BESIDE else {**name, "use": "old"}]


def _temporary(name: Element) -> bool:
    """Whether this is a newborn's name, as `By. Ny. …`."""
    return name.get("use") == "temp" or read_name(name_text(name)).newborn


def _name_key(name: Element) -> str:
    return _folded(name_text(name))


def merge_security(result: Resource, patients: Sequence[Resource]) -> list[FieldChoice]:
    """Keep the security labels of all: who restricted one of the records restricted what now stands in the survivor's."""
    meta = result.get("meta")
    own = dict(meta) if isinstance(meta, dict) else {}
    labels = objects(own.get("security"))
    present = {(label.get("system"), label.get("code")) for label in labels}
    taken: list[str] = []
    for patient in patients[1:]:
        theirs = patient.get("meta")
        for label in objects(theirs.get("security") if isinstance(theirs, dict) else None):
            if (label.get("system"), label.get("code")) not in present:
                present.add((label.get("system"), label.get("code")))
                labels.append(label)
                taken.append(str(patient["id"]))
    if not taken:
        return []
    result["meta"] = own | {"security": labels}
    return [FieldChoice("meta.security", "labels of all", tuple(dict.fromkeys(taken)))]


def _points_inside(element: Element, field: str) -> bool:
    """Whether an element refers to a contained resource, which does not come along."""
    held = {"resourceType": "Patient", field: [element]}
    return any(text(found.value.get("reference")).startswith("#") for found in iterate_references(held))


def _folded(words: str) -> str:
    return " ".join(_SPACES.split(words.casefold())).strip()


def _content(value: Any) -> bytes:
    return json_text.dump(value, ordered=True)


def _as_it_is(element: Element, _present: list[Element]) -> Element:
    return element


def _identifier_key(identifier: Element) -> Any:
    value = text(identifier.get("value")).strip()
    if not value:
        return _content(identifier)
    return text(identifier.get("system")), value.upper()


def _add_identifier(identifier: Element, present: list[Element]) -> Element | None:
    """Another number of a kind that is there is an earlier one; the gateway's own number stays with its own Patient."""
    system = identifier.get("system")
    same_kind = [known for known in present if system and known.get("system") == system and _counts(known)]
    if system == systems.PERSON:
        return None
    if system == systems.NIK_AS_WRITTEN and any(known.get("system") == systems.NIK for known in present):
        return None  # a damaged number says less than the one that is there
    if system == systems.NIK and is_masked(text(identifier.get("value"))):
        return None
    return {**identifier, "use": "old"} if same_kind else identifier


def _counts(identifier: Element) -> bool:
    """Whether this is a current number, and no placeholder where a NIK should stand."""
    if (
        identifier.get("system") == systems.NIK
        and read_nik(text(identifier.get("value"))).status is not NikStatus.VALID
    ):
        return False
    return identifier.get("use") != "old"


def _telecom_key(telecom: Element) -> Any:
    value = text(telecom.get("value")).strip()
    if not value:
        return _content(telecom)
    numbers = read_phones(value).numbers if telecom.get("system") in {"phone", "sms", "fax"} else ()
    return telecom.get("system"), numbers[0] if len(numbers) == 1 else value.casefold()


def _address_key(address: Element) -> Any:
    lines = address.get("line")
    parts = [text(line) for line in lines] if isinstance(lines, list) else []
    words = _folded(
        " ".join((*parts, *(text(address.get(name)) for name in ("city", "district", "state", "postalCode"))))
    )
    return words or _folded(text(address.get("text"))) or _content(address)


def _add_address(address: Element, present: list[Element]) -> Element:
    """Where somebody lives now the survivor knows; without any address, what others know is taken as it is."""
    return {**address, "use": "old"} if any(known.get("use") != "old" for known in present) else address


def _contact_key(contact: Element) -> Any:
    codes = sorted(
        {
            text(coding.get("code"))
            for kind in objects(contact.get("relationship"))
            for coding in objects(kind.get("coding"))
        }
    )
    name = contact.get("name")
    named = _name_key(name) if isinstance(name, dict) else ""
    return (tuple(codes), named) if named else _content(contact)


def _communication_key(communication: Element) -> Any:
    language = communication.get("language")
    codes = sorted(
        {text(coding.get("code")) for coding in objects(language.get("coding") if isinstance(language, dict) else None)}
    )
    return tuple(codes) or _content(communication)


def _add_communication(communication: Element, present: list[Element]) -> Element:
    """One language is preferred, and the survivor says which."""
    if communication.get("preferred") is True and any(known.get("preferred") is True for known in present):
        return {name: value for name, value in communication.items() if name != "preferred"}
    return communication


def _reference_key(reference: Element) -> Any:
    return text(reference.get("reference")) or _content(reference)


def _extension_key(extension: Element) -> Any:
    return _content(extension)


def _add_extension(extension: Element, present: list[Element]) -> Element | None:
    """Extensions are taken over by URL: where the survivor has one, it says what the others say otherwise."""
    return None if any(known.get("url") == extension.get("url") for known in present) else extension


def _photo_key(photo: Element) -> Any:
    return text(photo.get("hash")) or text(photo.get("url")) or _content(photo)


def _link_key(link: Element) -> Any:
    other = link.get("other")
    return link.get("type"), text(other.get("reference")) if isinstance(other, dict) else _content(link)


def link_rule(members: Collection[str]) -> ListRule:
    """Return the rule for Patient.link: who replaced whom stays where it was said, as chains are followed.

    Other ties come along, but for those between the members (bare ids) themselves.
    """

    def add(link: Element, _present: list[Element]) -> Element | None:
        other = link.get("other")
        literal = parse_literal(text(other.get("reference"))) if isinstance(other, dict) else None
        within = literal is not None and literal.resource_type == "Patient" and literal.id in members
        return link if link.get("type") == "seealso" and not within else None

    return ListRule("link", "ties to others come along, earlier replacements stay where they are", _link_key, add)


def _rules() -> Iterable[ListRule]:
    old = "all; another one of the same kind with use=old"
    yield ListRule("identifier", old, _identifier_key, _add_identifier)
    yield ListRule("telecom", "all", _telecom_key, _as_it_is)
    yield ListRule("address", "the survivor's; others with use=old", _address_key, _add_address)
    yield ListRule("contact", "all, by relationship and name", _contact_key, _as_it_is)
    yield ListRule(
        "communication", "all languages; the survivor's is preferred", _communication_key, _add_communication
    )
    yield ListRule("generalPractitioner", "all", _reference_key, _as_it_is)
    yield ListRule("photo", "all", _photo_key, _as_it_is)
    yield ListRule("extension", "by URL: the survivor's, else the first known", _extension_key, _add_extension)


LISTS = tuple(_rules())
