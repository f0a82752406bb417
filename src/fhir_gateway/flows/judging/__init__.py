"""Judging the matching itself: what other thresholds would change, and how right its links are. Nothing is posted."""

from fhir_gateway.flows.judging.thresholds import Flip, StudiedRow, ThresholdOutcome, ThresholdStudy, study_thresholds

__all__ = ["Flip", "StudiedRow", "ThresholdOutcome", "ThresholdStudy", "study_thresholds"]
