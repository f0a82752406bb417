"""Why others say that an element is missing, which no longer holds where it has got a value."""

from fhir_gateway.domain.records import Resource

DATA_ABSENT_REASON = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"


def without_absences(resource: Resource) -> Resource:
    """Return the resource without the reasons for the absence of its own primitive elements that have a value.

    What else their extensions say stays.
    """
    result = dict(resource)
    for name, beside in resource.items():
        if name.startswith("_") and name[1:] in resource and isinstance(beside, dict):
            extensions = beside.get("extension") or ()
            kept = [one for one in extensions if not isinstance(one, dict) or one.get("url") != DATA_ABSENT_REASON]
            if len(kept) < len(extensions):
                del result[name]
                if rest := {**beside, "extension": kept} if kept else {n: v for n, v in beside.items() if n == "id"}:
                    result[name] = rest
    return result
