"""Invented plans of merges for tests of what keeps and shows them."""

from datetime import UTC, datetime
from decimal import Decimal

from fhir_gateway.domain.identity import ComparedPair, Comparison, Evidence, Grade, Veto
from fhir_gateway.domain.merges import (
    ChangeKind,
    DuplicateDose,
    DuplicateGroup,
    ElementChange,
    FieldChoice,
    GroupPlan,
    GroupRule,
    JournalledChange,
    MergeConflict,
    PlannedChange,
)

NOW = datetime(2026, 3, 4, 5, 6, 7, 891, tzinfo=UTC)
NIK = "3174016203950001"


def patient(number, **more):
    return {"resourceType": "Patient", "id": f"p{number}", "name": [{"text": "Siti Contoh"}], **more}


def observation(number, subject):
    return {
        "resourceType": "Observation",
        "id": f"o{number}",
        "subject": {"reference": f"Patient/{subject}"},
        "valueQuantity": {"value": Decimal("0.50")},
    }


def change(resource, kind, before, after):
    element = ElementChange("/subject/reference", "Patient/p2", "Patient/p1")
    return PlannedChange(resource, kind, "1", (element,), before, after)


def group_plan(*, survivor="p1", replaced=("p2",), nik=NIK, observations=2):
    """A plan in which `replaced` go into `survivor`, with so many observations of the first replaced one."""
    evidence = Evidence("name", "exact", 7.25, "the names are the same")
    compared = Comparison((evidence,), (Veto("twins", "they look like twins"),), 9.5, Grade.CERTAIN)
    changes = [change(f"Patient/{survivor}", ChangeKind.SURVIVOR, patient(1), patient(1, active=True))]
    changes += [change(f"Patient/{old}", ChangeKind.REPLACED, patient(2), patient(2, active=False)) for old in replaced]
    changes += [
        change(f"Observation/o{n}", ChangeKind.REFERENCE, observation(n, replaced[0]), observation(n, survivor))
        for n in range(observations)
    ]
    return GroupPlan(
        group=DuplicateGroup(
            patient_ids=tuple(sorted((survivor, *replaced))),
            rule=GroupRule.SAME_NIK,
            grade=Grade.CERTAIN,
            nik=nik,
            pairs=(ComparedPair(survivor, replaced[0], compared),),
            conflicts=(MergeConflict("name-disagrees", "their names differ", (f"Patient/{survivor}",)),),
        ),
        survivor=survivor,
        replaced=tuple(replaced),
        survivor_words="the most complete one",
        scores={survivor: 3.5, replaced[0]: 1.0},
        fields=(FieldChoice("name", "newest", (survivor,), (replaced[0],)),),
        doses=(DuplicateDose("i1", "i2", "the same day and vaccine"),),
        changes=tuple(changes),
        conflicts=(),
        unsearched=("Task.input",),
        digest="ab" * 32,
    )


def provenance():
    """The resource that a merge adds."""
    return JournalledChange(0, "", None, None, {"resourceType": "Provenance", "activity": {"text": "merge"}}, "")
