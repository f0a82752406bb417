"""Judging the matching itself: what other thresholds would change, and how right its links are. Nothing is posted."""

from fhir_gateway.flows.judging.drawing import AuditPair, draw_audit
from fhir_gateway.flows.judging.scoring import JUDGEMENTS, AuditScore, SealedPair, StratumScore, score_audit
from fhir_gateway.flows.judging.statistics import Proportion
from fhir_gateway.flows.judging.thresholds import Flip, StudiedRow, ThresholdOutcome, ThresholdStudy, study_thresholds

__all__ = [
    "JUDGEMENTS",
    "AuditPair",
    "AuditScore",
    "Flip",
    "Proportion",
    "SealedPair",
    "StratumScore",
    "StudiedRow",
    "ThresholdOutcome",
    "ThresholdStudy",
    "draw_audit",
    "score_audit",
    "study_thresholds",
]
