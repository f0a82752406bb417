"""The merge road: Patients that are one person become one, and are taken apart again."""

from fhir_gateway.flows.merge.applying import ApplyRequest, GroupOutcome, apply, merge_of, resume
from fhir_gateway.flows.merge.parting import part
from fhir_gateway.flows.merge.planning import plan
from fhir_gateway.flows.merge.progress import WholeProgress
from fhir_gateway.flows.merge.selecting import Selected, patients_with, select
from fhir_gateway.flows.merge.tools import MergeTools
from fhir_gateway.flows.merge.undo_plan import UndoDecisions
from fhir_gateway.flows.merge.undoing import UndoOutcome, UndoRequest, preview_undo, undo

__all__ = [
    "ApplyRequest",
    "GroupOutcome",
    "MergeTools",
    "Selected",
    "UndoDecisions",
    "UndoOutcome",
    "UndoRequest",
    "WholeProgress",
    "apply",
    "merge_of",
    "part",
    "patients_with",
    "plan",
    "preview_undo",
    "resume",
    "select",
    "undo",
]
