"""The systems (URIs) of identifiers and codes that the gateway reads and writes."""

KEMKES = "https://fhir.kemkes.go.id"
NIK = f"{KEMKES}/id/nik"
NIK_IBU = f"{KEMKES}/id/nik-ibu"
KK = f"{KEMKES}/id/kk"
IHS_NUMBER = f"{KEMKES}/id/ihs-number"
STRUCTURE_DEFINITION = f"{KEMKES}/r4/StructureDefinition"
ADMINISTRATIVE_CODE = f"{STRUCTURE_DEFINITION}/administrativeCode"

LOCAL_IDENTIFIERS = "http://sys-ids.kemkes.go.id"
"""Local identifiers: `<this>/<type>/<organization or clinic id>`."""

KFA = "http://sys-ids.kemkes.go.id/kfa"
CVX = "http://hl7.org/fhir/sid/cvx"
RELATIONSHIP = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"
STATUS_REASON = "http://terminology.kemkes.go.id/CodeSystem/immunization-statusReason"
REPLACED_BY_TAG = "http://terminology.kemkes.go.id/sp-replaced-by"

PERSON = "urn:fhir-gateway:person"
"""The gateway's own opaque identifier of a Patient that it created."""

DOSE = "urn:fhir-gateway:dose"
"""The gateway's own opaque identifier of an Immunization that it created or linked."""

PROVENANCE = "urn:fhir-gateway:provenance"
"""`meta.tag` by which the gateway finds a Provenance of its own again on servers that give it another id."""

NIK_AS_WRITTEN = "urn:fhir-gateway:nik-as-written"
"""A NIK that is no valid one (placeholder apart), as the source wrote it: kept, never searched as a NIK."""

SOURCE = "urn:fhir-gateway:source"
"""`meta.source` is `<this>:<clinic>:<mapping>`."""

AS_WRITTEN = "urn:fhir-gateway:as-written"
"""Extension with the original text (valueString) where normalising could lose meaning."""


def medical_record(clinic: str) -> str:
    """Return the system of a clinic's medical record numbers; they are unique within one clinic only."""
    return f"{LOCAL_IDENTIFIERS}/mrn/{clinic}"
