"""Answers that are kept for a while: bounded, and dropped when a Patient that they concern changes."""

from collections.abc import Iterable
from typing import Any

from cachetools import LRUCache

from fhir_gateway.candidates.questions import Question
from fhir_gateway.domain.records import Resource

MOST_KEPT = 6_000
_WEIGHT_OF_A_PATIENT = 16  # a Patient weighs so many times what "nobody" does

Answer = tuple[Resource, ...]


class Answers(LRUCache[Question, Answer]):
    """Question → Patients found (none, too, is an answer); knows which answers a Patient stands in."""

    def __init__(self, most: int = MOST_KEPT) -> None:
        super().__init__(most, getsizeof=lambda answer: 1 + _WEIGHT_OF_A_PATIENT * len(answer))
        self._with_patient: dict[str, set[Question]] = {}

    def __setitem__(self, question: Question, answer: Answer, *args: Any, **kwargs: Any) -> None:
        if question in self:
            del self[question]
        if self.getsizeof(answer) > self.maxsize:
            return
        super().__setitem__(question, answer, *args, **kwargs)
        for patient in answer:
            self._with_patient.setdefault(patient["id"], set()).add(question)

    def __delitem__(self, question: Question, *args: Any, **kwargs: Any) -> None:
        for patient in self.get(question, ()):
            questions = self._with_patient.get(patient["id"], set())
            questions.discard(question)
            if not questions:
                self._with_patient.pop(patient["id"], None)
        super().__delitem__(question, *args, **kwargs)

    def drop(self, patient_id: str, questions: Iterable[Question]) -> None:
        """Drop the answers to these questions and those in which the Patient stands."""
        for question in (*questions, *self._with_patient.get(patient_id, ())):
            self.pop(question, None)
