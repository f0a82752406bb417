"""Whether a resource really carries what was searched for: a server may have ignored the question."""

from collections.abc import Container, Mapping, Sequence

from fhir_gateway.domain.records import Resource
from fhir_gateway.fhir.references import id_referred_to
from fhir_gateway.people.nik import is_masked


def carries(resource: Resource, parameters: Mapping[str, Sequence[str]], *, masked: bool = False) -> bool:
    """Return whether a match agrees with every search parameter that can be checked by looking at it.

    Checked: `_id`, `identifier`, `birthdate` (without a prefix), `gender` and `patient`. `masked`: identifiers that
    the server hides (SATUSEHAT: ################, or none at all) count as carried.
    """
    return all(_carries(resource, name, values, masked=masked) for name, values in parameters.items())


def _carries(resource: Resource, name: str, values: Sequence[str], *, masked: bool) -> bool:
    match name:
        case "_id":
            return resource.get("id") in values
        case "identifier":
            return _has_identifier(resource, values, masked=masked)
        case "birthdate":
            return _has_birth_date(resource, values)
        case "gender":
            return resource.get("gender") in values
        case "patient":
            return _patient_id(resource) in {value.removeprefix("Patient/") for value in values}
        case _:
            return True


def _has_identifier(resource: Resource, values: Sequence[str], *, masked: bool) -> bool:
    identifiers = [one for one in resource.get("identifier") or () if isinstance(one, dict)]
    if masked and _may_be_hidden(identifiers, {value.partition("|")[0] for value in values if "|" in value}):
        return True
    wanted = {value.casefold() for value in values}
    for one in identifiers:
        system, value = str(one.get("system") or ""), str(one.get("value") or "")
        written = {f"{system}|{value}", f"{system}|"} | ({value} if value else set())
        # Some servers compare without regard to case; who needs more than a candidate compares again.
        if wanted & {form.casefold() for form in written}:
            return True
    return False


def hides_numbers(resource: Resource) -> bool:
    """Return whether a server covers an identifier of this resource."""
    return any(
        is_masked(str(one.get("value", ""))) for one in resource.get("identifier") or () if isinstance(one, dict)
    )


def _may_be_hidden(identifiers: Sequence[Resource], systems: Container[str]) -> bool:
    """Return whether a server may hide the number that was asked for: one of its kind is covered, or all are or none is."""
    covered = [one for one in identifiers if not one.get("value") or is_masked(str(one["value"]))]
    return len(covered) == len(identifiers) or any(one.get("system") in systems for one in covered)


def _has_birth_date(resource: Resource, values: Sequence[str]) -> bool:
    own = resource.get("birthDate")
    if not isinstance(own, str) or not own:
        return False
    plain = [value.removeprefix("eq") for value in values]
    if not all(value[:1].isdigit() for value in plain):
        return True  # a range: not to be judged by looking at equality
    # A less precise date on either side overlaps; servers differ on whether that is a match.
    return any(own.startswith(value) or value.startswith(own) for value in plain)


def _patient_id(resource: Resource) -> str | None:
    ids = (id_referred_to(resource.get(element), "Patient") for element in ("patient", "subject", "beneficiary"))
    return next(filter(None, ids), None)
