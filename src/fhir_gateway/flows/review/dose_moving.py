"""What is still to be sent so that doses stand with the right Patient: pure, from what the server has now.

Planned again after every answer until nothing is left: so a move that was cut off goes on where it stopped.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo

from fhir_gateway.bundling.immunizations import completed, for_patient, improved, without_completion
from fhir_gateway.bundling.parting import Supplied, dose_of_its_own, without_dose_identifiers
from fhir_gateway.domain import systems
from fhir_gateway.domain.posting import BundleEntry
from fhir_gateway.domain.records import Resource, dose_identifier
from fhir_gateway.fhir.references import id_referred_to
from fhir_gateway.identity.doses import DoseSameness, same_dose

_WRONG = "entered-in-error"


@dataclass(frozen=True, slots=True)
class MovedDose:
    """One Immunization of the wrong Patient, and which records' doses (key, name) it is.

    `supplied` is what the first of them said of it, `source` its `meta.source`. `stays`: it stands for somebody else as well, a record that stays
    (`shared_by`, one of its doses) or another system that wrote it.
    """

    immunization_id: str
    doses: tuple[tuple[str, str], ...]
    supplied: Supplied
    source: str
    stays: bool = False
    shared_by: tuple[str, str] | None = None
    others: tuple[Supplied, ...] = ()
    """What each record that stays said of it."""

    @property
    def copied_as(self) -> tuple[str, str]:
        """The identifier of a copy, and the one that it gets where another person's dose has that already."""
        key, name = self.doses[0]
        return dose_identifier(key, name), dose_identifier(key, f"{name}\x1f{self.immunization_id}")


@dataclass(frozen=True, slots=True)
class DoseMove:
    """What is to be sent now, and where each dose (key, name) stands as far as that is known."""

    entries: tuple[BundleEntry, ...]
    standing: Mapping[tuple[str, str], str] = field(default_factory=dict)


def plan_moves(  # noqa: PLR0913 - a plan needs all that stands there
    moved: Sequence[MovedDose],
    current: Mapping[str, Resource],
    given: Sequence[Resource],
    *,
    right: str,
    zone: tzinfo,
    taken: Collection[str] = (),
) -> DoseMove:
    """Plan what is left to do: `current` are the doses as they are now, `given` those of the Patient `right`.

    `taken` are identifiers that doses of others have: two people got a dose that came with one key. A dose that the right Patient has already is entered in error at the wrong one;
    its identifiers, and what the other one lacks, go to that.
    A dose that stays is copied. One that has gone from the server stands nowhere.
    """
    entries: list[BundleEntry] = []
    standing: dict[tuple[str, str], str] = {}
    for dose in moved:
        resource = current.get(dose.immunization_id)
        if resource is None:
            continue
        if dose.stays:
            place = _part(dose, resource, given, right, entries, zone=zone, taken=taken)
        else:
            place = _move(resource, given, right, zone, entries)
        if place:
            standing.update(dict.fromkeys(dose.doses, place))
    return DoseMove(tuple(entries), standing)


def _part(  # noqa: PLR0913 - a dose, whose it becomes, and what stands there
    dose: MovedDose,
    resource: Resource,
    given: Sequence[Resource],
    right: str,
    entries: list[BundleEntry],
    *,
    zone: tzinfo,
    taken: Collection[str],
) -> str:
    """Plan the copy of a shared dose, unless the right Patient has it; its identifier is taken off the shared one first."""
    mine = {dose_identifier(*own) for own in dose.doses}
    other = dose_identifier(*dose.shared_by) if dose.shared_by else ""
    stripped = without_dose_identifiers(resource, mine, other)
    if stripped is not resource:
        entries.append(_update(stripped))
        return ""
    own, second = dose.copied_as
    identifier = second if own in taken else own
    copy = for_patient(dose_of_its_own(resource, dose.supplied, identifier=identifier, source=dose.source), right)
    standing = next((g for g in given if (mine | {second}) & dose_identifiers(g)), None)
    if standing is None and (twin := _twin(given, copy, zone)):
        entries.append(_update(improved(twin, {"identifier": copy["identifier"]}) or twin))
    elif standing is None:
        condition = f"identifier={systems.DOSE}|{identifier}"
        entries.append(BundleEntry(f"copy:{identifier}", "POST", "Immunization", copy, if_none_exist=condition))
    elif standing.get("status") == _WRONG != resource.get("status"):  # a copy of before, when the row had gone back
        entries.append(_update({**copy, "id": standing["id"], "meta": standing.get("meta", {})}))
    else:
        cleaned = without_completion(resource, dose.supplied, dose.others) if dose.others else resource
        if cleaned is not resource:
            entries.append(_update(cleaned))
        return str(standing["id"])
    return ""


def _move(resource: Resource, given: Sequence[Resource], right: str, zone: tzinfo, entries: list[BundleEntry]) -> str:
    own = str(resource["id"])
    if id_referred_to(resource.get("patient"), "Patient") == right:
        return own
    valid = {**resource, "status": "completed"} if resource.get("status") == _WRONG else resource
    twin = _twin(given, valid, zone)
    if twin is None:
        entries.append(_update(for_patient(resource, right)))
        return own
    fuller = completed(twin, valid) or twin
    named = improved(fuller, {"identifier": resource.get("identifier", [])}) or fuller
    if named != twin:
        entries.append(_update(named))
    elif resource.get("status") != _WRONG:  # only now: what was cut off between the two would look like a real error
        entries.append(_update({**resource, "status": _WRONG}))
    return str(twin["id"])


def _twin(given: Sequence[Resource], dose: Resource, zone: tzinfo) -> Resource | None:
    return next((g for g in given if same_dose(g, dose, zone=zone).sameness is DoseSameness.SAME), None)


def made_by_gateway(resource: Resource) -> bool:
    """Tell whether an Immunization is the gateway's own; one that others wrote carries their identifiers first."""
    identifiers = resource.get("identifier", [])
    return bool(identifiers) and identifiers[0].get("system") == systems.DOSE


def is_copy(resource: Resource, dose: MovedDose) -> bool:
    """Tell whether an Immunization was made as a copy of a shared dose."""
    return made_by_gateway(resource) and resource["identifier"][0].get("value") in dose.copied_as


def dose_identifiers(resource: Resource) -> set[str]:
    """Return the gateway's identifiers of an Immunization."""
    return {str(i.get("value")) for i in resource.get("identifier", []) if i.get("system") == systems.DOSE}


def _update(resource: Resource) -> BundleEntry:
    url = f"Immunization/{resource['id']}"
    version = str(resource.get("meta", {}).get("versionId", ""))
    return BundleEntry(url, "PUT", url, resource, if_match=version)
