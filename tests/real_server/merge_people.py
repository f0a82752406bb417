"""Invented people who stand several times on a real server, with whatever may refer to a Patient."""

from itertools import count

from tests.fakes.duplicated_people import dose, observation, patient

_SERIALS = (serial for serial in count(9001) if serial % 10)


def new_nik():
    """Return a NIK that nobody on any of the servers has, of somebody born when the invented family was."""
    return f"330312150320{next(_SERIALS):04}"


def family(nik, other_nik):
    """Return three Patients of one person, one of another, and what refers to them, in the order of their creation."""
    return [*_people(nik, other_nik), *_clinical(), *_organising(), *_telling_what_was()]


_ABOUT_P2 = {"subject": {"reference": "Patient/p2"}}


def _people(nik, other_nik):
    """Return the Patients with their doses and observations."""
    return [
        patient(1, nik, address=[{"use": "home", "line": ["Kalimanah"], "city": "Purbalingga"}]),
        patient(2, nik, contact=[{"name": {"text": "Siti Aminah"}}]),
        patient(3, nik),
        patient(9, other_nik, name=[{"text": "Bayu Kusumo"}]),
        dose(1, "p1"),
        dose(1, "p2", lotNumber="L7"),
        dose(2, "p2"),
        observation(1, "p1"),
        observation(2, "p2", performer=[{"reference": "Patient/p3"}]),
        observation(3, "p3", focus=[{"reference": "Patient/p2"}, {"reference": "Patient/p9"}]),
        observation(9, "p9"),
    ]


def _clinical():
    """Return what was found and done."""
    return [
        {
            "resourceType": "ImmunizationEvaluation",
            "id": "ie",
            "status": "completed",
            "patient": {"reference": "Patient/p1"},
            "targetDisease": {"text": "tuberculosis"},
            "immunizationEvent": {"reference": "Immunization/d1-p1"},
            "doseStatus": {"text": "valid"},
        },
        {
            "resourceType": "Encounter",
            "id": "e",
            "status": "finished",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
            "period": {"start": "2021-01-02"},
            **_ABOUT_P2,
        },
        {
            "resourceType": "Condition",
            "id": "c",
            "code": {"text": "fever"},
            "encounter": {"reference": "Encounter/e"},
            "recorder": {"reference": "Patient/p3"},
            **_ABOUT_P2,
        },
        {"resourceType": "Procedure", "id": "pr", "status": "completed", "code": {"text": "weighing"}, **_ABOUT_P2},
        {
            "resourceType": "AllergyIntolerance",
            "id": "al",
            "clinicalStatus": {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical",
                        "code": "active",
                    }
                ]
            },
            "code": {"text": "milk"},
            "patient": {"reference": "Patient/p3"},
        },
    ]


def _organising():
    """Return documents, lists, groups and plans, in some of which others stand, too."""
    return [
        {
            "resourceType": "DocumentReference",
            "id": "dr",
            "status": "current",
            "content": [{"attachment": {"contentType": "text/plain", "title": "letter"}}],
            "author": [{"reference": "Patient/p3"}],
            **_ABOUT_P2,
        },
        {"resourceType": "RelatedPerson", "id": "rp", "patient": {"reference": "Patient/p3"}},
        {
            "resourceType": "List",
            "id": "li",
            "status": "current",
            "mode": "working",
            "entry": [{"item": {"reference": f"Patient/{one}"}} for one in ("p2", "p9", "p3")],
        },
        {
            "resourceType": "Group",
            "id": "g",
            "type": "person",
            "actual": True,
            "member": [{"entity": {"reference": f"Patient/{one}"}} for one in ("p9", "p2")],
        },
        {
            "resourceType": "Appointment",
            "id": "a",
            "status": "booked",
            "start": "2021-02-01T08:00:00+07:00",
            "end": "2021-02-01T08:10:00+07:00",
            "participant": [{"actor": {"reference": "Patient/p2"}, "status": "accepted"}],
        },
        {
            "resourceType": "Task",
            "id": "t",
            "status": "requested",
            "intent": "order",
            "for": {"reference": "Patient/p2"},
            "owner": {"reference": "Patient/p3"},
        },
    ]


def _telling_what_was():
    """Return what is never rewritten."""
    return [
        {
            "resourceType": "Provenance",
            "id": "pv",
            "target": [{"reference": "Patient/p2"}],
            "recorded": "2021-01-02T08:00:00+07:00",
            "agent": [{"who": {"reference": "Patient/p3"}}],
        },
        {
            "resourceType": "AuditEvent",
            "id": "ae",
            "type": {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "110110"},
            "recorded": "2021-01-02T08:00:00+07:00",
            "agent": [{"requestor": False, "who": {"reference": "Patient/p3"}}],
            "source": {"observer": {"display": "a desk"}},
            "entity": [{"what": {"reference": "Patient/p2"}}],
        },
    ]
