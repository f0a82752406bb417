"""The plan for one dose of a record, and what an operator is asked about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from fhir_gateway.bundling import immunizations
from fhir_gateway.bundling.digests import supplied
from fhir_gateway.domain import systems
from fhir_gateway.domain.posting import FIRST_VERSION
from fhir_gateway.domain.records import Dose, Resource, dose_identifier
from fhir_gateway.domain.runs import SpooledRecord
from fhir_gateway.fhir.references import id_referred_to
from fhir_gateway.identity.doses import prefer

OTHER_PERSON = "correction-other-person"
"""The reason of a dose whose row was loaded for another person before."""

WRONG = "entered-in-error"
"""The status of a dose that stands for nothing: it is not this person's, or stands under another id."""

_MOVE = (
    "if the row was of the wrong person before, link it: its dose is moved here; if both people got a dose, create it;"
    " reject the row if it is of the wrong person now"
)
_TAKE_APART = "reject the row, whose key may be another row's; if that Patient never got the dose, part it from there with `review unlink`"


class DoseAction(StrEnum):
    """What is to be done with a dose."""

    CREATE = "create"
    UPDATE = "update"
    KEEP = "keep"
    SAME_AS = "same-as"
    REVIEW = "review"


class Answer(StrEnum):
    """An operator's answer to a doubtful dose: it is the one that the person has, or one of its own."""

    LINK = "link"
    CREATE = "create"


@dataclass(frozen=True, slots=True)
class DosePlan:
    """The plan for dose `name` of the record `number`.

    CREATE: `resource` is to be created. UPDATE: `resource` (with id and version) is to be written over
    `immunization_id`. KEEP: `immunization_id` is it, nothing to do. SAME_AS: it is the dose of the plan at index
    `twin`. REVIEW: `code`, `text` and `suggestion` say what an operator is asked. UPDATE: `text` says what
    is added to another source's dose.
    """

    number: int
    name: str
    action: DoseAction
    resource: Resource | None = None
    immunization_id: str = ""
    twin: int = -1
    version: str = ""
    """Of a dose that this very record brought before, and that is kept: the version that the server has."""
    withdrawn: Resource | None = None
    """The dose that this very record made, entered in error: corrected, the record tells of another standing one."""
    along: tuple[tuple[str, str], ...] = ()
    """Other records' doses (key, name) that stood where this one did, and stand for `immunization_id` with it."""
    posted: bool = False
    """Whether a dose that is kept or updated was created for this very record, by a run that did not come to note that."""
    supplied_before: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What the record has supplied by then, as far as only the server tells it: nobody has written to its dose since."""
    code: str = ""
    text: str = ""
    suggestion: str = ""


def posted_before(record: SpooledRecord, dose: Dose, current: Resource, *, answer: Answer | None) -> DosePlan:
    """Plan for a dose that stands under the identifier of this very record, though the ledger does not know it.

    A run was cut off before it noted that it had posted the dose, or the ledger is lost; the row may say something else
    by now. The first version of what stands is what the record said then, so it is corrected. Later ones others may
    have written: what differs there is asked about, unless a better source says it.
    """
    own = str(current["id"])
    if current.get("status") == WRONG:
        if answer is Answer.CREATE:
            return DosePlan(record.number, dose.name, DoseAction.CREATE, again(record, dose, own))
        return gone(record, dose, own, deleted=False)
    said = supplied(current)
    changed = immunizations.corrected(current, said, dose.stated)
    untouched = current.get("meta", {}).get("versionId") == FIRST_VERSION
    before = said if untouched else {}
    if changed is None or prefer(dose.resource, current) is current:
        return DosePlan(
            record.number, dose.name, DoseAction.KEEP, immunization_id=own, posted=True, supplied_before=before
        )
    if untouched or answer is Answer.LINK:
        return DosePlan(record.number, dose.name, DoseAction.UPDATE, changed, own, posted=True, supplied_before=before)
    if answer is Answer.CREATE:
        return DosePlan(record.number, dose.name, DoseAction.CREATE, again(record, dose, own))
    return differs(
        record,
        dose,
        own,
        text="this dose was loaded before, without a note of it; it says something else on the server by now",
        suggestion="link it to have the row's content written over it; reject the row to leave what stands there",
    )


def of_another(  # noqa: PLR0913 - a plan needs all that is known of the dose
    record: SpooledRecord,
    dose: Dose,
    there: Resource,
    *,
    supplied_before: Mapping[str, Sequence[str]],
    has_it: bool,
    answer: Answer | None,
) -> DosePlan:
    """Plan for a dose of this record that stands with another person, though this one `has_it` perhaps as well."""
    dose_id, owner = str(there["id"]), id_referred_to(there.get("patient"), "Patient")
    if answer is Answer.CREATE and not has_it:
        return DosePlan(record.number, dose.name, DoseAction.CREATE, again(record, dose, dose_id))
    if answer is Answer.LINK and not has_it:
        moved = immunizations.corrected(there, supplied_before, dose.stated) or there
        return DosePlan(record.number, dose.name, DoseAction.UPDATE, moved, dose_id)
    return DosePlan(
        record.number,
        dose.name,
        DoseAction.REVIEW,
        immunization_id=dose_id,
        code=OTHER_PERSON,
        text=f"the row was loaded before for Patient {owner}, with whom its dose stands"
        + (", and this person has the same dose already" if has_it else ""),
        suggestion=_TAKE_APART if has_it else _MOVE,
    )


def again(record: SpooledRecord, dose: Dose, gone_id: str) -> Resource:
    """Return the dose under an identifier of its own, or the create would find the one that is gone."""
    others = [i for i in dose.resource.get("identifier", []) if i.get("system") != systems.DOSE]
    own = {"system": systems.DOSE, "value": dose_identifier(record.key, f"{dose.name}\x1f{gone_id}")}
    return {**dose.resource, "identifier": [own, *others]}


def gone(record: SpooledRecord, dose: Dose, resource_id: str, *, deleted: bool) -> DosePlan:
    """Plan the question about a dose that was loaded before and is gone from the server."""
    what = "has been deleted on" if deleted else "has been marked entered-in-error on"
    return DosePlan(
        record.number,
        dose.name,
        DoseAction.REVIEW,
        immunization_id=resource_id,
        code="dose-gone" if deleted else "dose-entered-in-error",
        text=f"this dose was loaded before and {what} the server",
        suggestion="create it again if it was given, else reject the row",
    )


def differs(record: SpooledRecord, dose: Dose, resource_id: str, *, text: str, suggestion: str) -> DosePlan:
    """Plan the question about a dose of which the record says something else than what stands there."""
    return DosePlan(
        record.number,
        dose.name,
        DoseAction.REVIEW,
        immunization_id=resource_id,
        code="dose-differs",
        text=text,
        suggestion=suggestion,
    )


def doubtful(record: SpooledRecord, dose: Dose, code: str, text: str, resource_id: str) -> DosePlan:
    """Plan the question whether a dose is one that stands there."""
    return DosePlan(
        record.number,
        dose.name,
        DoseAction.REVIEW,
        immunization_id=resource_id,
        code=code,
        text=text,
        suggestion="link it if it is the dose that the person has already, create it if it is another one",
    )
