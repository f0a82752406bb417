"""A refusal as an error, in the server's own words without a patient's data."""

from fhir_gateway.domain.errors import PermanentServerError
from fhir_gateway.fhir.outcomes import describe_outcome
from fhir_gateway.fhir_server.client import Answer


def refusal(answer: Answer, what: str) -> PermanentServerError:
    """Return the error for a final answer that is no success; `what` names what was tried, without values."""
    words = describe_outcome(answer.body)
    said = f": {words}" if words else ""
    return PermanentServerError(f"The FHIR server refused {what} with {answer.status}{said}", status=answer.status)
