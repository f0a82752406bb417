"""What becomes of a run's open rows when the server cannot be worked with any longer."""

import logging

from fhir_gateway.domain.errors import PermanentServerError, ServerError, UntrustedAnswerError
from fhir_gateway.domain.outcomes import Outcome
from fhir_gateway.domain.runs import Run, Settlement
from fhir_gateway.flows.load.tools import LoadTools

_log = logging.getLogger(__name__)


def fail_open_rows(run: Run, error: ServerError, tools: LoadTools) -> None:
    """Settle every row that has not come to its end as failed, with a reason code that says what kind of failure it is."""
    code = reason_code(error)
    suggestion = tools.sent_again_by(run)
    if code != "server-unavailable":
        option = f" {tools.environment}" if tools.environment else ""
        suggestion = tools.sent_again_by(
            run, when=f"when `fhir-gateway env check{option}` finds nothing wrong any more"
        )
    with tools.ledger.transaction():
        failed = tools.ledger.spool.settle_open(run, Settlement(0, Outcome.FAILED, code, str(error), suggestion))
    if not failed:  # every row has come to its end: only the look for other writers' duplicates is missing
        _log.warning("Run %d was not looked through for people whom others created meanwhile: %s", run.id, error)


def reason_code(error: ServerError) -> str:
    """Return the reason: it stayed away, it answered another question than was asked, or it refuses to be asked."""
    code = "server-unavailable"
    if isinstance(error, UntrustedAnswerError):
        code = "server-untrusted"
    elif isinstance(error, PermanentServerError):
        code = "server-unusable"
    return code
