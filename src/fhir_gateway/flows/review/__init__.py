"""The review road: an operator's answer posts at once, as a run of its own, and is remembered."""

from fhir_gateway.flows.review.answering import create, link, reject, said_before
from fhir_gateway.flows.review.asking import asked_about, candidate_ids, waiting_candidates
from fhir_gateway.flows.review.hanging import Question, hanging_on, question_of, questions
from fhir_gateway.flows.review.parting_plan import UnlinkRequest, place_of_file
from fhir_gateway.flows.review.sheets import (
    AppliedLine,
    Choice,
    LineResult,
    SheetDecision,
    SheetLine,
    apply_sheet,
    check_sheet,
    version_of,
)
from fhir_gateway.flows.review.staying import LoadedRow, rows_that_fit_as_well, whose_is_asked
from fhir_gateway.flows.review.undoing import DoseTakenBack, NumberTakenBack, undo
from fhir_gateway.flows.review.unlinked_before import Unlinked
from fhir_gateway.flows.review.unlinking import unlink

__all__ = [
    "AppliedLine",
    "Choice",
    "DoseTakenBack",
    "LineResult",
    "LoadedRow",
    "NumberTakenBack",
    "Question",
    "SheetDecision",
    "SheetLine",
    "UnlinkRequest",
    "Unlinked",
    "apply_sheet",
    "asked_about",
    "candidate_ids",
    "check_sheet",
    "create",
    "hanging_on",
    "link",
    "place_of_file",
    "question_of",
    "questions",
    "reject",
    "rows_that_fit_as_well",
    "said_before",
    "undo",
    "unlink",
    "version_of",
    "waiting_candidates",
    "whose_is_asked",
]
