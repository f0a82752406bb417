"""Groups of people whom a registry can pull: those who live in a district, and those to whom a clinic gave doses.

A person lives in the district whose administrative code the Patient's address carries (the national profile's extension, as
the gateway loads it); a NIK tells where it was issued, not where somebody lives. A dose is the clinic's that its
`meta.source` names, which is what the gateway writes there.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from fhir_gateway.domain import systems
from fhir_gateway.domain.exports import Membership
from fhir_gateway.domain.records import Resource
from fhir_gateway.people.regions import DISTRICTS
from fhir_gateway.registry.cursors import position_of
from fhir_gateway.registry.enriching import patient_in

GROUP_IDENTIFIER = "urn:fhir-gateway:group"
"""System of a Group's identifier: `district|330309`, `clinic|pkm-1` as it stands in the sources."""

DISTRICT = "district-"
CLINIC = "clinic-"
_ID = re.compile(r"[A-Za-z0-9\-.]{1,57}")
_SOURCE = re.compile(rf"{re.escape(systems.SOURCE)}:(?P<clinic>[^:]+):[^:]+")
_DISTRICT_CODE = re.compile(r"\d{6}")


def memberships_in(resource: Resource) -> Iterator[Membership]:
    """Yield what a Patient (its district) or an Immunization (its clinic) says of who belongs to which group."""
    joined = position_of(resource).updated
    source = f"{resource['resourceType']}/{resource['id']}"
    if resource["resourceType"] == "Patient":
        if code := district_of(resource):
            yield Membership(source, f"{DISTRICT}{code}", resource["id"], joined)
        return
    clinic, patient = clinic_of(resource), patient_in(resource)
    if clinic and patient:
        yield Membership(source, clinic_group(clinic), patient, joined)


def groups_of(resource: Resource) -> frozenset[str]:
    """Return the groups that a resource makes somebody a member of."""
    return frozenset(one.group for one in memberships_in(resource))


def district_of(patient: Resource) -> str:
    """Return the administrative code (six digits) of the district where a Patient lives, "" where none is told."""
    addresses = [one for one in _dicts(patient.get("address")) if one.get("use") != "old"]
    for address in sorted(addresses, key=lambda one: one.get("use") != "home"):
        for extension in _dicts(address.get("extension")):
            if extension.get("url") != systems.ADMINISTRATIVE_CODE:
                continue
            for part in _dicts(extension.get("extension")):
                code = part.get("valueCode")
                if part.get("url") == "district" and isinstance(code, str) and _DISTRICT_CODE.fullmatch(code):
                    return code
    return ""


def clinic_of(resource: Resource) -> str:
    """Return the clinic whose export brought a resource, "" where the gateway did not write it."""
    meta = resource.get("meta")
    source = meta.get("source") if isinstance(meta, dict) else None
    found = _SOURCE.match(source) if isinstance(source, str) else None
    return found["clinic"] if found else ""


def clinic_group(clinic: str) -> str:
    """Return the id of a clinic's group; what FHIR takes for no id is hashed."""
    known = clinic if _ID.fullmatch(clinic) else hashlib.sha256(clinic.encode()).hexdigest()[:32]
    return f"{CLINIC}{known}"


def group_resource(group: str, quantity: int, *, clinics: Mapping[str, str]) -> Resource:
    """Return the Group: what makes a member, and how many there are. It lists nobody: members are what is exported.

    `clinics` are the clinics of the environment's settings, id → name.
    """
    code, kind = group.partition("-")[2], group.partition("-")[0]
    if kind == "district":
        words, name = "lives in the district (Kemendagri's code)", f"District {_district_name(code)}".strip()
    else:
        code = next((one for one in clinics if clinic_group(one) == group), code)
        words, name = "got a dose that this clinic reported", f"Clinic {clinics.get(code) or code}"
    return {
        "resourceType": "Group",
        "id": group,
        "identifier": [{"system": GROUP_IDENTIFIER, "value": f"{kind}|{code}"}],
        "active": True,
        "type": "person",
        "actual": True,
        "name": name,
        "quantity": quantity,
        "characteristic": [
            {"code": {"text": words}, "valueCodeableConcept": {"text": code}, "exclude": False},
        ],
    }


def _district_name(code: str) -> str:
    names = DISTRICTS.get(code[:4], {})
    name = next((name for name, known in names.items() if known == code), "")
    return f"{name.title()} ({code})" if name else code


def _dicts(values: Any) -> list[dict[str, Any]]:
    return [one for one in values if isinstance(one, dict)] if isinstance(values, list) else []
