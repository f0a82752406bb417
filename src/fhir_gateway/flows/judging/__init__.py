"""Judging the matching itself: what other thresholds would change, what agreements weigh, how right links are.

Nothing is posted.
"""

from fhir_gateway.flows.judging.drawing import AuditPair, draw_audit
from fhir_gateway.flows.judging.estimating import EstimationStudy, estimate_parameters
from fhir_gateway.flows.judging.scoring import (
    JUDGEMENTS,
    AuditScore,
    JoinedOtherwise,
    SealedPair,
    StratumScore,
    score_audit,
)
from fhir_gateway.flows.judging.statistics import Proportion
from fhir_gateway.flows.judging.thresholds import Flip, StudiedRow, ThresholdOutcome, ThresholdStudy, study_thresholds

__all__ = [
    "JUDGEMENTS",
    "AuditPair",
    "AuditScore",
    "EstimationStudy",
    "Flip",
    "JoinedOtherwise",
    "Proportion",
    "SealedPair",
    "StratumScore",
    "StudiedRow",
    "ThresholdOutcome",
    "ThresholdStudy",
    "draw_audit",
    "estimate_parameters",
    "score_audit",
    "study_thresholds",
]
