"""What one entry's answer means for who sent it."""

from fhir_gateway.domain.posting import BundleEntry, EntryKind, EntryOutcome
from fhir_gateway.fhir.bundles import EntryAnswer
from fhir_gateway.fhir_server.verdicts import Condition, Verdict, judge

_DUPLICATE = "20002"
_WANTS_A_VERSION = frozenset({412, 428})
_SHOWS_NONE = (
    "the server takes an update only with the version that it changes (If-Match), but its resources show none: have it"
    " send meta.versionId, or take updates without If-Match"
)


def condition_of(entry: BundleEntry) -> Condition:
    """Return what the entry hangs on."""
    if entry.if_none_exist:
        return "create"
    return "update" if entry.if_match else ""


def outcome_of(entry: BundleEntry, said: EntryAnswer) -> EntryOutcome | None:
    """Return the entry's outcome, None where it is to be sent again (busy, lost a race, or nothing readable said)."""
    verdict = judge(said.status, condition=condition_of(entry)) if said.status else Verdict.BUSY
    if verdict in {Verdict.BUSY, Verdict.OUTAGE}:
        return None
    if verdict is Verdict.CHANGED or (entry.if_match and said.status in {404, 410}):
        return _outcome(entry, EntryKind.CHANGED_MEANWHILE, said, "changed or deleted on the server meanwhile")
    if verdict is Verdict.REFUSED:
        return _outcome(entry, EntryKind.REFUSED, said, _refusal(entry, said))
    if entry.method == "PUT":
        return _outcome(entry, EntryKind.UPDATED, said, "", resource_id=entry.url.partition("/")[2])
    kind = EntryKind.EXISTED if entry.if_none_exist and said.status == 200 else EntryKind.CREATED
    type_fits = said.resource_type in {"", entry.url}
    return _outcome(entry, kind, said, "", resource_id=said.id if type_fits else "")


def is_duplicate(entry: BundleEntry, said: EntryAnswer) -> bool:
    """Return whether the server refused a create as a duplicate (SATUSEHAT: 400 with "(RuleNumber: 20002)")."""
    return bool(entry.if_none_exist) and said.status == 400 and _DUPLICATE in said.message


def may_exist(entry: BundleEntry, said: EntryAnswer) -> bool:
    """Return whether a conditional create was refused since one or several are there: the standard's 412 says several."""
    return bool(entry.if_none_exist) and said.status == 412


def in_doubt(entry: BundleEntry) -> EntryAnswer:
    """Return what is left of an answer that may be another entry's: a create is looked up, an update sent again."""
    return EntryAnswer(status=201 if entry.method == "POST" else 0)


def unavailable(entry: BundleEntry, message: str) -> EntryOutcome:
    """Return the outcome of an entry that can be sent again later."""
    return EntryOutcome(key=entry.key, kind=EntryKind.UNAVAILABLE, message=message)


def refused(entry: BundleEntry, message: str, *, status: int = 0) -> EntryOutcome:
    """Return the outcome of an entry that the server will never take."""
    return EntryOutcome(key=entry.key, kind=EntryKind.REFUSED, status=status, message=message)


def existed(entry: BundleEntry, resource_id: str, version_id: str) -> EntryOutcome:
    """Return the outcome of a create whose resource was found by its identifier."""
    return EntryOutcome(entry.key, EntryKind.EXISTED, resource_id=resource_id, version_id=version_id, status=200)


def _refusal(entry: BundleEntry, said: EntryAnswer) -> str:
    if entry.method == "PUT" and not entry.if_match and said.status in _WANTS_A_VERSION:
        return f"{_SHOWS_NONE} ({said.status})" + (f": {said.message}" if said.message else "")
    if said.status == 412 and not said.message:
        return "several resources on the server carry this identifier (412)"
    return said.message or f"the server refused it with {said.status} and gave no reason"


def _outcome(
    entry: BundleEntry, kind: EntryKind, said: EntryAnswer, message: str, *, resource_id: str = ""
) -> EntryOutcome:
    return EntryOutcome(
        key=entry.key, kind=kind, resource_id=resource_id, version_id=said.version, status=said.status, message=message
    )
