"""What becomes of a journalled change when the server has overtaken it: pure, given the resource as it stands now."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from fhir_gateway.domain.merges import ChangeKind, ChangeState, JournalledChange
from fhir_gateway.domain.records import Resource
from fhir_gateway.flows.merge.sending import Settled, Write
from fhir_gateway.merging.changes import same
from fhir_gateway.merging.repointing import repoint, repoint_doses
from fhir_gateway.merging.survivorship import mark_replaced
from fhir_gateway.merging.undoing import restore
from fhir_gateway.merging.versions import version_of, without_version

_GONE = "it was deleted on the server meanwhile: nothing is left to be changed"
_CLASHES = "somebody changed the same elements meanwhile; undo this merge and plan it anew"


@dataclass(frozen=True, slots=True)
class Group:
    """Who becomes whom; ids are bare, `base` is the server's own address.

    `kept` is a dose entered in error → the dose that it really is.
    """

    survivor: str
    replaced: tuple[str, ...]
    base: str
    kept: Mapping[str, str] = field(default_factory=dict)

    def repointed(self, resource: Resource) -> Resource:
        """Return a resource with its references to the replaced, and to doses in error, leading where they should."""
        return repoint_doses(repoint(resource, self.replaced, self.survivor, base=self.base), self.kept, base=self.base)


def replanned(write: Write, current: Resource | None, group: Group) -> Write | Settled:
    """Return what is left to be written of a change, or that it is done already, or that it cannot be done."""
    change = write.change
    if current is None:
        essential = change.kind in {ChangeKind.SURVIVOR, ChangeKind.REPLACED}
        state = ChangeState.FAILED if essential else ChangeState.DONE
        return Settled(write.merge, replace(change, state=state, after_version="", message=_GONE))
    version = version_of(current)
    if version and version == change.before_version:
        return write
    bare = without_version(current)
    after = _after(change, bare, group)
    if after is None:
        return Settled(write.merge, replace(change, state=ChangeState.FAILED, message=_CLASHES))
    if same(after, bare):
        return Settled(write.merge, replace(change, state=ChangeState.DONE, after_version=version, message=""))
    anew = replace(
        change,
        before=_before(change, bare),
        after=after,
        before_version=version,
        state=ChangeState.PLANNED,
        after_version="",
        message="",
    )
    return Write(write.merge, anew, after, version)


def _before(change: JournalledChange, current: Resource) -> Resource:
    """Return the resource as it would stand without what of the merge has been done to it already, edits included.

    What somebody has changed again stays as it is now.
    """
    return restore(change.before or {}, change.after, current).resource


def _after(change: JournalledChange, current: Resource, group: Group) -> Resource | None:
    """Return the resource as the merge wants it to stand, given how it stands now; None where that cannot be told."""
    if change.kind is ChangeKind.REPLACED:
        return repoint(mark_replaced(current, group.survivor), group.replaced, group.survivor, base=group.base)
    if change.kind is ChangeKind.REFERENCE or change.before is None:
        return group.repointed(current)
    redone = restore(change.after, change.before, current)  # what undoing puts back is, backwards, what merging did
    if redone.conflicts:
        return None
    return repoint(redone.resource, group.replaced, group.survivor, base=group.base)
