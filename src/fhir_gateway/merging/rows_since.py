"""Whose the rows of a merge's people are once it is undone, and which doses stand for them: pure.

Since a merge, rows may have gone to others, been corrected to another dose, or come anew and been linked to a dose that
goes back. A dose stands where its rows are: what no row tells of any more is not revived.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from fhir_gateway.bundling.parting import Supplied
from fhir_gateway.domain import systems
from fhir_gateway.domain.merges import KeySince, RowAfter
from fhir_gateway.domain.records import Resource
from fhir_gateway.fhir.references import id_referred_to

_WRONG = "entered-in-error"


@dataclass(frozen=True, slots=True)
class RowsAfter:
    """All rows that matter to an undoing; `told` are the doses (bare ids) that rows stood for before the merge."""

    rows: tuple[RowAfter, ...] = ()
    told: frozenset[str] = frozenset()

    def patients_of(self, dose_id: str) -> frozenset[str]:
        """Return whose rows stand for a dose."""
        return frozenset(row.patient_id for row in self.rows if dose_id in row.doses.values())

    def is_nobodys(self, dose: Resource) -> bool:
        """Tell whether the rows that made a dose (as it was before the merge) have all gone to another one since."""
        dose_id = str(dose.get("id"))
        identifiers = dose.get("identifier", [])
        made = bool(identifiers) and identifiers[0].get("system") == systems.DOSE
        return made and dose_id in self.told and not self.patients_of(dose_id)

    def stays(self, restored: Resource) -> bool:
        """Tell whether a dose is not to go back to its Patient, as its rows are all of others by now."""
        patients = self.patients_of(str(restored.get("id")))
        return bool(patients) and id_referred_to(restored.get("patient"), "Patient") not in patients

    def with_doses(
        self, places: Mapping[tuple[str, str], str], supplied: Mapping[str, Mapping[str, Supplied]]
    ) -> "RowsAfter":
        """Return the rows with other ids for some doses (key, name), and with what of them they count as having told."""
        rows = [
            replace(
                row,
                doses={name: places.get((row.key, name), dose) for name, dose in row.doses.items()},
                supplied=supplied.get(row.key, {}),
            )
            for row in self.rows
        ]
        return replace(self, rows=tuple(rows))


def rows_after(
    since: Iterable[KeySince],
    *,
    survivor: str,
    folded: Mapping[str, str],
    standing: Sequence[Mapping[str, str]] = (),
    reclaimed: Collection[str] = (),
) -> RowsAfter:
    """Return where rows stand once a merge is undone.

    `folded` are the doses that it entered in error → those that stand for them, `standing` the same of the merges that
    stay. What a load or an operator has led elsewhere since stays there, unless all its doses are `reclaimed`: an operator
    has them go back to whom the merge had replaced.
    """
    rows = []
    told: set[str] = set()
    for one in since:
        told |= set((one.before or {}).values())
        back = bool(one.doses) and set(one.doses.values()) <= set(reclaimed)
        if one.before is None or (one.patient_id != survivor and not back):
            rows.append(RowAfter(one.key, one.patient_id, one.doses))
            continue
        doses = {
            name: then
            if (then := one.before.get(name, "")) in folded and now in _followed(folded[then], standing)
            else now
            for name, now in one.doses.items()
        }
        rows.append(RowAfter(one.key, one.before_patient, doses))
    return RowsAfter(tuple(rows), frozenset(told))


def gone_with_doses(after: RowsAfter, *, survivor: str, moved: Mapping[str, str]) -> RowsAfter:
    """Let rows of the survivor all of whose doses go over to one other Patient go with them (dose → Patient)."""
    rows = []
    for row in after.rows:
        to = {moved.get(dose, "") for dose in row.doses.values()}
        goes = row.patient_id == survivor and len(to) == 1 and to != {""}
        rows.append(replace(row, patient_id=to.pop()) if goes else row)
    return replace(after, rows=tuple(rows))


def in_error(dose: Resource) -> Resource:
    """Return a dose as entered in error, without the gateway's identifiers, which mean another one by now."""
    kept = [one for one in dose.get("identifier", []) if one.get("system") != systems.DOSE]
    bare = {name: value for name, value in dose.items() if name != "identifier"}
    return bare | {"status": _WRONG} | ({"identifier": kept} if kept else {})


def _followed(dose: str, standing: Sequence[Mapping[str, str]]) -> Collection[str]:
    """Return a dose and those that it became by other merges."""
    found = [dose]
    while further := [now[one] for now in standing for one in found if one in now and now[one] not in found]:
        found += further
    return found
