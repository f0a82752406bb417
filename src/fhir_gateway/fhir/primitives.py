"""The JSON Schemas of R4's primitive types, and the required bindings that the models lack or abridge.

Patterns follow https://hl7.org/fhir/R4/datatypes.html; they are stricter where the specification says in words what its
own expressions let pass (a 30th of February, strings of blanks, control characters).
"""

from typing import Any

_CONTROL = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff"
_ANY_CONTROL = r"\x00-\x1f\x7f-\x9f\ufffe\uffff"
_TEXT = rf"^[\t\n\r ]*[^\s{_CONTROL}][^{_CONTROL}]*$"
_TOKEN = rf"[^\s{_ANY_CONTROL}]+"

_YEAR = r"(?:[0-9](?:[0-9](?:[0-9][1-9]|[1-9]0)|[1-9]00)|[1-9]000)"
_LEAP_YEAR = r"(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)"
_DAY = (
    rf"(?:{_YEAR}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    rf"|02-(?:0[1-9]|1[0-9]|2[0-8]))|{_LEAP_YEAR}-02-29)"
)
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?"
_ZONE = r"(?:Z|[+\-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
_PARTIAL_DATE = rf"{_YEAR}(?:-(?:0[1-9]|1[0-2]))?"
_BASE64 = r"[0-9A-Za-z+/]\s*"
_RELATIVE_URL = r"/?[A-Za-z0-9\-.#]+(?:/\S*|[?#]\S*)?"

ID_PATTERN = r"[A-Za-z0-9\-.]{1,64}"
MIME_TYPE = {
    "type": "string",
    "pattern": r"^[A-Za-z0-9!#$&^_.+\-]+/[A-Za-z0-9!#$&^_.+\-]+(?:\s*;\s*[^\x00-\x1f\x7f]+)?$",
}
LANGUAGE = {"type": "string", "pattern": r"^[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*$"}


def _string(pattern: str, longest: int = 0) -> dict[str, Any]:
    return {"type": "string", "pattern": pattern} | ({"maxLength": longest} if longest else {})


PRIMITIVES: dict[str, dict[str, Any]] = {
    "boolean": {"type": "boolean"},
    "string": _string(_TEXT, 1048576),
    "markdown": _string(_TEXT, 1048576),
    "xhtml": _string(rf"^\s*<div[\s>/][^{_CONTROL}]*$"),
    "code": _string(rf"^{_TOKEN}(?: {_TOKEN})*$"),
    "id": _string(rf"^{ID_PATTERN}$"),
    "uri": _string(rf"^{_TOKEN}$"),
    "canonical": _string(rf"^{_TOKEN}$"),
    "url": _string(rf"^(?:(?:https?|ftp|mllp)://[^\s/?#]+\S*|(?:mailto|urn|data|tel):\S+|{_RELATIVE_URL})$"),
    "oid": _string(r"^urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*))+$"),
    "uuid": _string(r"^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"),
    "base64Binary": _string(rf"^\s*(?:(?:{_BASE64}){{4}})*(?:(?:{_BASE64}){{2}}=\s*=\s*|(?:{_BASE64}){{3}}=\s*)?$")
    | {"minLength": 1},
    "decimal": {"type": "number"},
    "integer": {"type": "integer", "minimum": -2147483648, "maximum": 2147483647},
    "unsignedInt": {"type": "integer", "minimum": 0, "maximum": 2147483647},
    "positiveInt": {"type": "integer", "minimum": 1, "maximum": 2147483647},
    "date": _string(rf"^(?:{_PARTIAL_DATE}|{_DAY})$"),
    "dateTime": _string(rf"^(?:{_PARTIAL_DATE}|{_DAY}(?:T{_CLOCK}{_ZONE})?)$"),
    "instant": _string(rf"^{_DAY}T{_CLOCK}{_ZONE}$"),
    "time": _string(rf"^{_CLOCK}$"),
}

_OBSERVATION_STATUS = "registered preliminary final amended corrected cancelled entered-in-error unknown"
_COMPARATOR = "< <= >= >"

_CODES = {
    "Quantity.comparator": _COMPARATOR,
    "Age.comparator": _COMPARATOR,
    "Count.comparator": _COMPARATOR,
    "Distance.comparator": _COMPARATOR,
    "Duration.comparator": _COMPARATOR,
    "AuditEvent.action": "C R U D E",
    "AuditEvent.outcome": "0 4 8 12",
    "AuditEventAgentNetwork.type": "1 2 3 4 5",
    "Composition.confidentiality": "U L M N R V",
    "DetectedIssue.status": f"{_OBSERVATION_STATUS} mitigated",
    "DeviceUdiCarrier.entryType": "barcode rfid manual card self-reported unknown",
    "DeviceUseStatement.status": "active completed entered-in-error intended stopped on-hold",
    "DiagnosticReport.status": "registered partial preliminary final amended corrected appended cancelled "
    "entered-in-error unknown",
    "Encounter.status": "planned arrived triaged in-progress onleave finished cancelled entered-in-error unknown",
    "EncounterStatusHistory.status": "planned arrived triaged in-progress onleave finished cancelled entered-in-error "
    "unknown",
    "Observation.status": _OBSERVATION_STATUS,
    "OperationOutcomeIssue.code": "invalid structure required value invariant security login unknown expired forbidden "
    "suppressed processing not-supported duplicate multiple-matches not-found deleted too-long code-invalid extension "
    "too-costly business-rule conflict transient lock-error no-store exception timeout incomplete throttled "
    "informational",
    "QuestionnaireItem.type": "group display question boolean decimal integer date dateTime time string text url "
    "choice open-choice attachment reference quantity",
    "RiskAssessment.status": _OBSERVATION_STATUS,
    "StructureMapGroupRuleTarget.transform": "create copy truncate escape cast append translate reference dateOp uuid "
    "pointer evaluate cc c qty id cp",
    "SupplyRequest.status": "draft active suspended cancelled completed entered-in-error unknown",
    "Task.status": "draft requested received accepted rejected ready cancelled in-progress on-hold failed completed "
    "entered-in-error",
    "TimingRepeat.when": "MORN MORN.early MORN.late NOON AFT AFT.early AFT.late EVE EVE.early EVE.late NIGHT PHS HS "
    "WAKE C CM CD CV AC ACM ACD ACV PC PCM PCD PCV",
}

BINDINGS: dict[str, dict[str, Any]] = {
    **{path: {"type": "string", "enum": codes.split()} for path, codes in _CODES.items()},
    "Attachment.contentType": MIME_TYPE,
    "Binary.contentType": MIME_TYPE,
    "Signature.sigFormat": MIME_TYPE,
    "Signature.targetFormat": MIME_TYPE,
    "Money.currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
    "CapabilityStatement.format": PRIMITIVES["code"],
    "Expression.language": PRIMITIVES["code"],
}
"""`Type.element` → schema, for required bindings whose codes the models do not list, or list with an ellipsis."""


def reference_pattern(targets: tuple[str, ...]) -> str:
    """Return the pattern of `Reference.reference` for these resource types: fragment, URN, relative or absolute URL."""
    types = "|".join(targets)
    return rf"^(?:#{ID_PATTERN}|#|urn:(?:uuid|oid):[^\s{_ANY_CONTROL}]+|(?:https?://[^\s?#{_ANY_CONTROL}]+/)?(?:{types})/{ID_PATTERN}(?:/_history/{ID_PATTERN})?)$"
