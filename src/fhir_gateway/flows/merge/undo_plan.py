"""What undoing makes of each resource as it stands now: pure, given the journal, the server's content and decisions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fhir_gateway.domain.merges import ChangeKind, JournalledChange, UndoConflict
from fhir_gateway.domain.records import Resource
from fhir_gateway.merging.changes import same
from fhir_gateway.merging.rows_since import RowsAfter, in_error
from fhir_gateway.merging.survivorship import with_golden_tag, without_golden_tag
from fhir_gateway.merging.undoing import Decision, decide, restore

_OWNER = "/patient/reference"
_NO_ROWS = RowsAfter()


@dataclass(frozen=True, slots=True)
class UndoDecisions:
    """What an operator decided: `of` by resource (`Type/id`) and path, `otherwise` for every other conflict.

    `moves` are new resources (`Type/id`) that go to a Patient (bare id) whom the merge had replaced.
    """

    of: Mapping[str, Mapping[str, Decision]] = field(default_factory=dict)
    otherwise: Decision | None = None
    moves: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def remembered(cls, body: Mapping[str, Any]) -> "UndoDecisions":
        """Return decisions from as_json()."""
        of = {
            resource: {path: Decision(word) for path, word in decided.items()}
            for resource, decided in body.get("of", {}).items()
        }
        otherwise = body.get("otherwise")
        return cls(of, Decision(otherwise) if otherwise else None, dict(body.get("moves", {})))

    def as_json(self) -> dict[str, Any]:
        """Return what the journal keeps, so that an undoing that was interrupted goes on as it was decided."""
        of = {resource: {path: str(word) for path, word in decided.items()} for resource, decided in self.of.items()}
        return {"of": of, "otherwise": str(self.otherwise or ""), "moves": dict(self.moves)}

    def followed_by(self, later: "UndoDecisions") -> "UndoDecisions":
        """Return these decisions with later ones over them."""
        of = {
            name: {**self.of.get(name, {}), **later.of.get(name, {})}
            for name in sorted(self.of.keys() | later.of.keys())
        }
        return UndoDecisions(of, later.otherwise or self.otherwise, {**self.moves, **later.moves})


@dataclass(frozen=True, slots=True)
class Touched:
    """A resource with all that a merge did to it, in order (more than once where others changed it in between)."""

    resource: str
    changes: tuple[JournalledChange, ...]

    @property
    def kind(self) -> ChangeKind | None:
        """What the merge first did to it."""
        return self.changes[0].kind

    @property
    def is_dose(self) -> bool:
        """Whether it is an Immunization."""
        return self.resource.startswith("Immunization/")

    @property
    def before(self) -> Resource:
        """The resource as it was before the merge."""
        return self.changes[0].before or {}


@dataclass(frozen=True, slots=True)
class Undone:
    """A resource after undoing: equal to the current one where nothing is left to do; `open` ones are undecided."""

    resource: Resource
    open: tuple[UndoConflict, ...]
    kept: tuple[UndoConflict, ...]
    """Conflicts that were decided for what stands there now; a dose that stays with whom its rows are now is one."""
    withdrawn: bool = False
    """A dose whose rows have all gone to another one since: it is entered in error, whatever it was before."""
    reclaimed: bool = False
    """A dose that an operator has go back to its Patient, although somebody gave it to another one since."""


def touched(changes: Sequence[JournalledChange]) -> list[Touched]:
    """Return the resources that changes are about, those apart that a merge has created itself."""
    by_resource: dict[str, list[JournalledChange]] = {}
    for change in changes:
        if change.before is not None:
            by_resource.setdefault(change.resource, []).append(change)
    return [Touched(resource, tuple(several)) for resource, several in by_resource.items()]


def undone(
    one: Touched,
    current: Resource,
    decisions: UndoDecisions,
    *,
    golden: bool | None = None,
    rows: RowsAfter = _NO_ROWS,
) -> Undone:
    """Take back what a merge did to a resource, the last thing first.

    `golden` says whether the survivor stays a golden record; None leaves that to what the merge did. `rows` tells whose
    the rows are then that tell of a dose: it stands with them, and is entered in error where there are none any more.
    """
    resource = current
    left: list[UndoConflict] = []
    kept: list[UndoConflict] = []
    back: set[str] = set()
    for change in reversed(one.changes):
        if change.before is None:
            continue
        restored = restore(change.before, change.after, resource)
        chosen = {
            conflict.path: decision
            for conflict in restored.conflicts
            if (decision := decisions.of.get(one.resource, {}).get(conflict.path, decisions.otherwise)) is not None
        }
        kept += [conflict for conflict in restored.conflicts if chosen.get(conflict.path) is Decision.KEEP]
        back |= {path for path, decision in chosen.items() if decision is Decision.RESTORE}
        decided = decide(restored, chosen)
        left += decided.conflicts
        resource = decided.resource
    if one.kind is ChangeKind.SURVIVOR and golden is not None:
        survivor_id = one.resource.partition("/")[2]
        resource = with_golden_tag(resource, survivor_id) if golden else without_golden_tag(resource)
    reclaimed = one.is_dose and any(path.startswith("/patient") for path in back)
    withdrawn = one.is_dose and rows.is_nobodys(one.before)
    if withdrawn:
        resource = in_error(resource)
    elif one.is_dose and rows.stays(resource) and not reclaimed:
        if not same(resource.get("patient"), current.get("patient")):
            kept.append(UndoConflict(one.resource, _OWNER, _owner(resource), _owner(current)))
        resource = resource | {"patient": current.get("patient")}
    return Undone(current if same(resource, current) else resource, tuple(left), tuple(kept), withdrawn, reclaimed)


def _owner(dose: Resource) -> str:
    patient = dose.get("patient")
    return str(patient.get("reference", "")) if isinstance(patient, dict) else ""
