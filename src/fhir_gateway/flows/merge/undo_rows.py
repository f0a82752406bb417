"""Rows whose doses go elsewhere when a merge is undone: each stands for a dose of its own person in the end.

A row that came since the merge, or was corrected since, may be linked to a dose that goes back to another Patient. Then
it stands for the same dose of its own person, or for a copy that is made for it.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from fhir_gateway.bundling.parting import dose_of_its_own
from fhir_gateway.domain import systems
from fhir_gateway.domain.errors import PermanentServerError
from fhir_gateway.domain.merges import Merge, MergeState
from fhir_gateway.domain.records import Resource
from fhir_gateway.domain.runs import KnownKey, WrittenResource
from fhir_gateway.fhir.references import id_referred_to
from fhir_gateway.flows.merge.fetching import read_together
from fhir_gateway.flows.merge.tools import MergeTools
from fhir_gateway.flows.review.dose_moving import MovedDose, dose_identifiers, plan_moves
from fhir_gateway.flows.review.sending import send_all
from fhir_gateway.identity.doses import DoseSameness, same_dose
from fhir_gateway.merging.rows_since import RowsAfter, gone_with_doses, rows_after

_WRONG = "entered-in-error"
_TRIES = 6
Place = tuple[str, str]
"""A record's dose: its key and its name."""


@dataclass(frozen=True, slots=True)
class Parted:
    """The rows, each with doses of its own person, and the bare ids of doses that were copied for that."""

    rows: RowsAfter
    copies: tuple[str, ...] = ()


def find_rows(merge: Merge, reclaimed: Collection[str], moved: Mapping[str, str], tools: MergeTools) -> RowsAfter:
    """Return where the rows of a merge's people stand once it is undone.

    `reclaimed` are doses (bare ids) that an operator has go back although their rows went elsewhere since, `moved` those
    that go over to a replaced Patient as well (→ that Patient).
    """
    since = tools.ledger.merged_keys.since(merge.id, [merge.survivor, *merge.replaced])
    others = [
        one
        for one in tools.journal.by_patient([merge.survivor])
        if one.id != merge.id and one.survivor == merge.survivor and one.state is not MergeState.UNDONE
    ]
    after = rows_after(
        since,
        survivor=merge.survivor,
        folded=_folded(merge, tools),
        standing=[_folded(one, tools) for one in others],
        reclaimed=reclaimed,
    )
    return gone_with_doses(after, survivor=merge.survivor, moved=moved)


def _folded(merge: Merge, tools: MergeTools) -> dict[str, str]:
    plan = tools.journal.plan_of(merge.id)
    return {dose.in_error: dose.kept for dose in plan.doses} if plan else {}


async def part_rows(merge: Merge, rows: RowsAfter, tools: MergeTools) -> Parted:
    """Let each row stand for a dose of its own person, after everything was put back; a repeat changes nothing.

    Raises ServerError where a copy is refused or the server has gone.
    """
    people = {merge.survivor, *merge.replaced}
    named = {dose for row in rows.rows if row.patient_id in people for dose in row.doses.values()}
    found = await read_together({"Immunization": sorted(named)}, tools) if named else {}
    doses = {str(dose["id"]): dose for dose in found.values() if dose.get("status") != _WRONG}
    astray: defaultdict[str, defaultdict[str, list[Place]]] = defaultdict(lambda: defaultdict(list))
    for row in rows.rows:
        for name, dose in row.doses.items():
            owner = _owner(doses[dose]) if dose in doses else ""
            if row.patient_id in people and owner in people and owner != row.patient_id:
                astray[row.patient_id][dose].append((row.key, name))
    places: dict[Place, str] = {}
    copied: dict[Place, str] = {}
    for patient_id, of_dose in sorted(astray.items()):
        linked, made = await _doses_for(patient_id, of_dose, doses, rows, tools)
        places |= linked | made
        copied |= made
    if not places:
        return Parted(rows)
    known = tools.ledger.keys.known({key for key, _ in copied})
    stood = {(row.key, name): doses[dose] for row in rows.rows for name, dose in row.doses.items() if dose in doses}
    supplied: defaultdict[str, dict[str, Mapping[str, Sequence[str]]]] = defaultdict(dict)
    for key, name in copied:
        supplied[key][name] = _of_copy(stood[key, name], known[key].supplied.get(name, {}))
    return Parted(rows.with_doses(places, supplied), tuple(sorted(set(copied.values()))))


async def _doses_for(
    patient_id: str,
    of_dose: Mapping[str, Sequence[Place]],
    doses: Mapping[str, Resource],
    rows: RowsAfter,
    tools: MergeTools,
) -> tuple[dict[Place, str], dict[Place, str]]:
    """Return place → dose of this Patient for rows that stand for another's: those that she has, and copies."""
    given = await _given(patient_id, tools)
    linked: dict[Place, str] = {}
    moved: list[MovedDose] = []
    for dose, places in sorted(of_dose.items()):
        twin = next((one for one in given if _same(one, doses[dose], tools)), None)
        if twin is not None:
            linked |= dict.fromkeys(places, str(twin["id"]))
        else:
            moved.append(_moved(dose, places, rows, tools))
    made: dict[Place, str] = {}
    for attempt in range(_TRIES):
        if not moved:
            return linked, made
        given = await _given(patient_id, tools) if attempt else given
        current = await read_together({"Immunization": [one.immunization_id for one in moved]}, tools)
        by_id = {str(dose["id"]): dose for dose in current.values()}
        taken = await _taken({one.copied_as[0] for one in moved}, {*by_id, *(str(one["id"]) for one in given)}, tools)
        plan = plan_moves(moved, by_id, given, right=patient_id, zone=tools.zone, taken=taken)
        if not plan.entries:
            return linked, dict(plan.standing)
        told: list[WrittenResource] = []
        await send_all(plan.entries, tools.writer, told)
    raise PermanentServerError("the doses keep changing on the server: run the same command again")


async def _given(patient_id: str, tools: MergeTools) -> list[Resource]:
    found = [dose async for dose in tools.reader.search("Immunization", {"patient": [patient_id]})]
    return [dose for dose in found if _owner(dose) == patient_id]


async def _taken(identifiers: Collection[str], ours: Collection[str], tools: MergeTools) -> set[str]:
    """Return which of these identifiers doses have that are none of `ours`."""
    asked = {"identifier": [f"{systems.DOSE}|{one}" for one in sorted(identifiers)]}
    found = [dose async for dose in tools.reader.search("Immunization", asked)]
    return {own for dose in found if str(dose["id"]) not in ours for own in dose_identifiers(dose)}


def _moved(dose: str, places: Sequence[Place], rows: RowsAfter, tools: MergeTools) -> MovedDose:
    staying = [
        (row.key, name)
        for row in rows.rows
        for name, own in row.doses.items()
        if own == dose and (row.key, name) not in places
    ]
    known = tools.ledger.keys.known({key for key, _ in (*places, *staying)})
    key, name = places[0]
    return MovedDose(
        immunization_id=dose,
        doses=tuple(places),
        supplied=known[key].supplied.get(name, {}),
        source=_source(known[key], tools),
        stays=True,
        shared_by=staying[0] if staying else None,
        others=tuple(known[other].supplied.get(own, {}) for other, own in staying),
    )


def _source(known: KnownKey, tools: MergeTools) -> str:
    """Return what a dose says of where its record was read last."""
    number, file, _, clinic = tools.ledger.keys.places([known.key]).get(known.key, (0, 0, 0, ""))
    run = tools.ledger.runs.get(number)
    mapping = run.files[file].mapping if run and file < len(run.files) else ""
    return f"{systems.SOURCE}:{clinic}:{mapping}"


def _of_copy(dose: Resource, told: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    """Return what of a dose's told fields its copy has; the rest comes with the next load of its file."""
    copy = dose_of_its_own(dose, told, identifier="", source="")
    return {name: digests for name, digests in told.items() if name in copy}


def _same(one: Resource, other: Resource, tools: MergeTools) -> bool:
    return same_dose(one, other, zone=tools.zone).sameness is DoseSameness.SAME


def _owner(dose: Resource) -> str:
    return id_referred_to(dose.get("patient"), "Patient")
