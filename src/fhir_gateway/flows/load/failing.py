"""What becomes of a run's open rows when the server cannot be worked with any longer."""

import logging
from enum import StrEnum

from fhir_gateway.domain.errors import PermanentServerError, ServerError, UntrustedAnswerError
from fhir_gateway.domain.outcomes import Outcome
from fhir_gateway.domain.runs import Run, Settlement
from fhir_gateway.flows.load.tools import LoadTools

_log = logging.getLogger(__name__)


class Failure(StrEnum):
    """Why a row is `failed`: the codes that reports and summaries count it under."""

    REFUSED = "server-refused"
    UNAVAILABLE = "server-unavailable"
    UNTRUSTED = "server-untrusted"
    UNUSABLE = "server-unusable"
    CHANGED_MEANWHILE = "changed-meanwhile"
    """Somebody else was at work on the same Patient or dose, again and again."""


WORTH_REPEATING = (Failure.UNAVAILABLE, Failure.CHANGED_MEANWHILE)
"""What may go away by itself."""


def fail_open_rows(run: Run, error: ServerError, tools: LoadTools) -> None:
    """Settle every row that has not come to its end as failed, with a reason code that says what kind of failure it is."""
    failure = failure_of(error)
    suggestion = what_to_do(failure, run, tools)
    with tools.ledger.transaction():
        failed = tools.ledger.spool.settle_open(run, Settlement(0, Outcome.FAILED, failure, str(error), suggestion))
    if not failed:  # every row has come to its end: only the look for other writers' duplicates is missing
        _log.warning("Run %d was not looked through for people whom others created meanwhile: %s", run.id, error)


def what_to_do(failure: Failure, run: Run, tools: LoadTools) -> str:
    """Return what can be done about rows that failed for this reason."""
    if failure is Failure.REFUSED:
        return "correct what the server names, then load again"
    if failure is Failure.UNAVAILABLE:
        return tools.sent_again_by(run)
    if failure is Failure.CHANGED_MEANWHILE:
        return tools.sent_again_by(run, when="when nobody else is at work on that Patient")
    option = f" {tools.environment}" if tools.environment else ""
    return tools.sent_again_by(run, when=f"when `fhir-gateway env check{option}` finds nothing wrong any more")


def failure_of(error: ServerError) -> Failure:
    """Return the reason: it stayed away, it answered another question than was asked, or it refuses to be asked."""
    if isinstance(error, UntrustedAnswerError):
        return Failure.UNTRUSTED
    return Failure.UNUSABLE if isinstance(error, PermanentServerError) else Failure.UNAVAILABLE
